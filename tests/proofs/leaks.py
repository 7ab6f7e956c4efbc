"""Where a secret can be seen, in any of the forms that files give it."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote, quote_plus

from proofs.books import open_copy


def forms(secret: str) -> Mapping[bytes, str]:
    """Every way in which the secret may be written, with the name of each."""
    raw = secret.encode()
    found = {
        raw: "plain",
        quote(secret, safe="").encode(): "URL-escaped",
        quote_plus(secret).encode(): "URL-escaped",
        json.dumps(secret)[1:-1].encode(): "JSON-escaped",
        json.dumps(json.dumps(secret))[3:-3].encode(): "JSON-escaped twice",
        json.dumps(secret).replace("/", "\\/")[1:-1].encode(): "JSON-escaped",
        secret.replace("&", "&amp;").replace("<", "&lt;").encode(): "XML-escaped",
        raw.hex().encode(): "hex",
        repr(secret)[1:-1].encode(): "as Python shows it",
    }
    for shift in range(3):  # inside a longer text, base64 begins at one of three places in the secret
        inner = raw[shift : len(raw) - (len(raw) - shift) % 3]
        found[base64.b64encode(inner)] = "base64"
        found[base64.urlsafe_b64encode(inner)] = "base64"
    return found


def seen_in(content: bytes, secret: str) -> str:
    """The form in which a content shows the secret; empty when it does not."""
    return next((name for form, name in forms(secret).items() if form in content), "")


def leaks_below(folder: Path, secret: str, *, except_for: frozenset[Path] = frozenset()) -> Iterator[str]:
    """A sentence for every file below a folder that shows the secret; zip files and databases are looked into."""
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.is_symlink() or path in except_for:
            continue
        for name, content in _contents(path):
            if form := seen_in(content, secret):
                yield f"{name} holds it {form}"
        if form := seen_in(path.name.encode(), secret):
            yield f"the name of {path} holds it {form}"


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
    yield str(path), raw
    if raw.startswith(b"PK") and zipfile.is_zipfile(path):
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            for member in archive.namelist():
                yield f"{path}!{member}", archive.read(member)
    if raw.startswith(b"SQLite format 3"):
        with open_copy(path) as db:
            yield f"dump of {path}", "\n".join(db.iterdump()).encode("utf-8", "replace")
