"""Where a secret can be seen, in any of the forms that files give it, however it is packed."""

from __future__ import annotations

import base64
import bz2
import contextlib
import gzip
import html
import io
import json
import lzma
import quopri
import shlex
import sqlite3
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from urllib.parse import quote, quote_plus

from proofs.books import open_copy

MAX_UNPACKED = 50_000_000
"""Bytes of one thing unpacked that are looked through: some tests write bombs on purpose."""

_DEEPEST = 4
"""A log in a zip in a zip."""

# One format or other says each of these: gzip and bz2 an OSError or that the end is missing, the rest their own.
_BROKEN = (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, tarfile.TarError, NotImplementedError)
_BROKEN_MEMBER = (*_BROKEN, RuntimeError, ValueError)  # a zip with a password, or with names of no encoding


@cache
def forms(secret: str) -> Mapping[bytes, str]:
    """Every way in which the secret may be written, with the name of each; UTF-16 is taken care of in `seen_in`."""
    found: dict[bytes, str] = {}
    for name, text in _forms(secret):
        if text:
            found.setdefault(text.encode(), name)
    return found


def _forms(secret: str) -> Iterator[tuple[str, str]]:
    raw, escaped, quoted = secret.encode(), json.dumps(secret)[1:-1], quote(secret, safe="")
    yield "plain", secret
    for text in (quoted, _lower_percent(quoted), quote(secret), quote_plus(secret)):
        yield "URL-escaped", text
    for text in (
        escaped,
        escaped.replace("/", "\\/"),
        json.dumps(json.dumps(secret))[3:-3],
        _each(secret, "\\u{:04x}"),
    ):
        yield "JSON-escaped", text
    for text in (
        html.escape(secret, quote=False),
        html.escape(secret),
        _each(secret, "&#{};"),
        _each(secret, "&#x{:X};"),
    ):
        yield "XML-escaped", text
    yield "hex", raw.hex()
    yield "hex", raw.hex().upper()
    yield "as Python shows it", repr(secret)[1:-1]
    yield "as a shell takes it", shlex.quote(secret).strip("'")
    yield "as mails have it", quopri.encodestring(raw).decode().replace("=\n", "")
    yield "backwards", secret[::-1]
    for shift in range(3):  # inside a longer text, base64 begins at one of three places in the secret
        inner = raw[shift : len(raw) - (len(raw) - shift) % 3]
        yield "base64", base64.b64encode(inner).decode()
        yield "base64", base64.urlsafe_b64encode(inner).decode()
    for shift in range(5):  # and base32 at one of five
        yield "base32", base64.b32encode(raw[shift : len(raw) - (len(raw) - shift) % 5]).decode()


def _lower_percent(text: str) -> str:
    first, *others = text.split("%")
    return "%".join([first, *(each[:2].lower() + each[2:] for each in others)])


def _each(text: str, form: str) -> str:
    """Every character but letters and digits by its number."""
    return "".join(each if each.isalnum() else form.format(ord(each)) for each in text)


def seen_in(content: bytes, secret: str) -> str:
    """
    The form in which a content shows the secret; empty when it does not.

    Line breaks hide nothing, such as those of base64; without its zeros UTF-16 is ASCII.
    """
    return _form_in(_texts(content), secret)


def _texts(content: bytes) -> Sequence[bytes]:
    """What is to be searched of a content."""
    texts = [content.translate(None, b"\0\r\n")]
    if b"=\n" in content or b"=\r\n" in content:  # a long line of a mail
        texts.append(content.replace(b"=\r\n", b"").replace(b"=\n", b""))
    return texts


def _form_in(texts: Sequence[bytes], secret: str) -> str:
    return next((name for text in texts for form, name in forms(secret).items() if form in text), "")


def leaks_below(folder: Path, secret: str, *, except_for: frozenset[Path] = frozenset()) -> Iterator[str]:
    """A sentence for every file below a folder that shows the secret; what is packed and databases are looked into."""
    for path in sorted(folder.rglob("*")):
        if path not in except_for:
            yield from leaks_of(path, secret)


def leaks_of(path: Path, *secrets: str) -> Iterator[str]:
    """A sentence for every place of one file, and its name, that shows one of the secrets; links lead elsewhere."""
    if not path.is_file() or path.is_symlink():
        return
    for name, content in (("its name", path.name.encode("utf-8", "surrogateescape")), *_contents(path)):
        texts = _texts(content)
        for secret in secrets:
            if form := _form_in(texts, secret):
                yield f"{path}: {name} holds it {form}"


def leaks_in_database(address: str, secret: str) -> Iterator[str]:
    """A sentence for every table of a PostgreSQL database in which a row shows the secret, those of the queue too."""
    import psycopg

    with psycopg.connect(address) as db:
        for schema, table in db.execute(_TABLES).fetchall():
            rows = db.execute(f'SELECT each::text FROM "{schema}"."{table}" each'.encode()).fetchall()
            if form := seen_in("\n".join(row for (row,) in rows).encode("utf-8", "replace"), secret):
                yield f"{schema}.{table} holds it {form}"


_TABLES = """
SELECT table_schema, table_name FROM information_schema.tables
WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema') ORDER BY 1, 2"""


def _contents(path: Path) -> Iterator[tuple[str, bytes]]:
    raw = path.read_bytes()
    yield from unpacked("the file", raw)
    if raw.startswith(b"SQLite format 3"):
        with contextlib.suppress(sqlite3.Error), open_copy(path) as db:  # some tests damage theirs
            yield "its dump", "\n".join(db.iterdump()).encode("utf-8", "replace")


def unpacked(name: str, raw: bytes, *, depth: int = 0) -> Iterator[tuple[str, bytes]]:
    """A content, and whatever is packed in it, in whatever: gzip, bzip2, xz, zlib, zip (so XLSX) and tar."""
    yield name, raw
    if depth < _DEEPEST:
        for inner, content in _members(raw):
            yield from unpacked(f"{name}!{inner}", content, depth=depth + 1)


def _members(raw: bytes) -> Iterator[tuple[str, bytes]]:
    """What is packed in a content, as far as it can be unpacked: damaged archives are part of many tests."""
    try:
        if raw.startswith(b"\x1f\x8b"):
            with gzip.GzipFile(fileobj=io.BytesIO(raw)) as file:  # also of several members
                yield "unpacked", file.read(MAX_UNPACKED)
        elif raw.startswith(b"BZh"):
            yield "unpacked", bz2.BZ2Decompressor().decompress(raw, MAX_UNPACKED)
        elif raw.startswith(b"\xfd7zXZ"):
            yield "unpacked", lzma.LZMADecompressor().decompress(raw, MAX_UNPACKED)
        elif raw.startswith((b"x\x01", b"x\x5e", b"x\x9c", b"x\xda")):
            yield "unpacked", zlib.decompressobj().decompress(raw, MAX_UNPACKED)
        elif raw[257:262] == b"ustar":
            yield from _of_tar(raw)
        elif zipfile.is_zipfile(io.BytesIO(raw)):
            yield from _of_zip(raw)
    except _BROKEN_MEMBER:
        return


def _of_zip(raw: bytes) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        if archive.comment:
            yield "comment", archive.comment
        for member in archive.infolist():
            yield f"name of {member.filename}", member.filename.encode("utf-8", "surrogateescape")
            try:
                with archive.open(member) as file:
                    yield member.filename, file.read(MAX_UNPACKED)
            except _BROKEN_MEMBER:
                continue


def _of_tar(raw: bytes) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
        for member in archive:
            file = archive.extractfile(member)
            if file is not None:
                yield member.name, file.read(MAX_UNPACKED)
