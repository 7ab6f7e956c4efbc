"""Which encoding a text file is in: byte order mark, then strict UTF-8, then a refusal that helps."""

from __future__ import annotations

import codecs
import hashlib
import os
import re
from io import TextIOWrapper
from pathlib import Path
from typing import BinaryIO

from msgspec import Struct

from batcher.errors import InputError, Problem
from batcher.sheet.clean import shown

_CHUNK = 1 << 20
_SAMPLE = 1 << 15

_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le", "UTF-32"),
    (codecs.BOM_UTF32_BE, "utf-32-be", "UTF-32"),
    (codecs.BOM_UTF8, "utf-8", "UTF-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16-be", "UTF-16"),
)

_PLAUSIBLE = [
    "cp1252",
    "cp1250",
    "cp1251",
    "cp1253",
    "cp1254",
    "cp1255",
    "cp1256",
    "cp1257",
    "mac_roman",
    "koi8_r",
    "cp437",
    "cp850",
    "cp932",
    "shift_jis",
    "euc_jp",
    "gb18030",
    "big5",
    "cp949",
]
"""What spreadsheet programs and old exports really write; the detector knows ninety more, and finds them too."""


class TextFile(Struct, frozen=True, kw_only=True):
    """
    A text file whose every byte has been decoded once.

    Attributes:
        path: The file.

        codec: Python's name of the encoding, without byte order mark.

        skip: Bytes of the mark at the beginning.

        fingerprint: SHA-256 of all bytes, in hexadecimal.

        holds_nul: Somewhere stands a NUL character.

        identity: Device, inode, size and time of change when it was looked through.
    """

    path: Path
    codec: str
    skip: int
    fingerprint: str
    holds_nul: bool
    identity: tuple[int, int, int, int]

    @property
    def note(self) -> str:
        """What to tell the person about the encoding; empty for UTF-8."""
        return "" if self.codec == "utf-8" else f"encoding {self.codec.upper().removesuffix('-LE').removesuffix('-BE')}"

    def changed(self) -> InputError:
        """The refusal of a file whose bytes are no longer those of the fingerprint."""
        return InputError(Problem(where=self.path.name, message="has changed while it was being read: start again"))

    def open(self) -> TextIOWrapper:
        """
        The text from its beginning, with line ends as they stand.

        Raises:
            InputError: The file has changed since it was looked through.
        """
        file = open_binary(self.path)
        if identity(file) != self.identity:
            file.close()
            raise self.changed()
        file.seek(self.skip)
        return TextIOWrapper(file, encoding=self.codec, errors="strict", newline="")


def open_binary(path: Path) -> BinaryIO:
    """The file's bytes; InputError when it may not be read."""
    try:
        return path.open("rb")
    except OSError as exc:
        raise InputError(Problem(where=path.name, message=f"cannot be read: {exc.strerror or exc}")) from exc


def identity(file: BinaryIO | TextIOWrapper) -> tuple[int, int, int, int]:
    """What changes when a file is replaced or written to."""
    status = os.fstat(file.fileno())
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def look_through(path: Path, encoding: str) -> TextFile:
    """
    Decode the whole file once, strictly, and remember how.

    Args:
        encoding: The encoding that the job names; empty when it names none.

    Raises:
        InputError: It is not in that encoding, or not in UTF-8 when none is named.
    """
    with open_binary(path) as file:
        codec, skip = _codec(path.name, file.read(4), encoding)
        file.seek(0)
        digest = hashlib.sha256(file.read(skip))
        decoder = codecs.getincrementaldecoder(codec)("strict")
        done, nul = skip, False
        while True:
            chunk = file.read(_CHUNK)
            kept = len(decoder.getstate()[0])
            try:
                nul |= "\0" in decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as exc:
                raise _undecodable(path, codec, done - kept + exc.start, named=bool(encoding)) from exc
            digest.update(chunk)
            done += len(chunk)
            if not chunk:
                break
        return TextFile(
            path=path, codec=codec, skip=skip, fingerprint=digest.hexdigest(), holds_nul=nul, identity=identity(file)
        )


def _codec(name: str, start: bytes, encoding: str) -> tuple[str, int]:
    """The codec and the length of the byte order mark."""
    mark = next(((bom, codec, family) for bom, codec, family in _MARKS if start.startswith(bom)), None)
    if not encoding:
        return (mark[1], len(mark[0])) if mark else ("utf-8", 0)
    codec = _known(name, encoding)
    if mark is None:
        return ("utf-8" if codec == "utf-8-sig" else codec), 0
    bom, actual, family = mark
    if codec.startswith(family.lower()):
        return actual, len(bom)
    message = f"begins with the mark of {family}, so it cannot be {encoding}: take out encoding: {encoding}"
    raise InputError(Problem(where=name, message=message))


def _known(name: str, encoding: str) -> str:
    """Python's own name of an encoding; InputError when it is none for text."""
    try:
        "".encode(encoding)
        b"".decode(encoding)
        return codecs.lookup(encoding).name
    except (LookupError, UnicodeError, ValueError):
        message = f"unknown encoding {shown(encoding)}: write utf-8, cp1252, utf-16 or another name that Python knows"
        raise InputError(Problem(where=name, message=message)) from None


def _undecodable(path: Path, codec: str, offset: int, *, named: bool) -> InputError:
    """The refusal: line, offset, the bytes, and which encoding to write."""
    line = _line_at(path, offset)
    with open_binary(path) as file:
        file.seek(max(0, offset - 256))
        around = file.read(offset - file.tell() + 256)
        file.seek(max(0, offset - _SAMPLE // 2))
        sample = file.read(_SAMPLE)
    at = min(offset, 256)
    shown_bytes = " ".join(f"{byte:02X}" for byte in around[at : at + 4])
    what = f"is not {codec.upper()}: byte {offset}, counted from 0, begins {shown_bytes}"
    likely = [] if named else _likely(sample)
    if not likely:
        hint = "name its encoding with encoding: under sheet:, or save it as CSV UTF-8"
    else:
        guesses = ", or ".join(f"encoding: {name} (reads {_preview(around, at, name)})" for name in likely)
        hint = f"likely under sheet: {guesses}; or save it as CSV UTF-8"
    return InputError(Problem(where=f"{path.name} line {line}", message=f"{what}; {hint}"))


def _line_at(path: Path, offset: int) -> int:
    """The line of a byte, as a text editor counts."""
    feeds = returns = 0
    with open_binary(path) as file:
        while offset > 0 and (chunk := file.read(min(_CHUNK, offset))):
            feeds += chunk.count(b"\n")
            returns += chunk.count(b"\r")
            offset -= len(chunk)
    return 1 + (feeds or returns)


def _likely(sample: bytes) -> list[str]:
    """
    Up to three encodings that decode the bytes and look like language.

    Where few bytes are not ASCII the text is Western, and then it is Excel's cp1252 before anything else: the
    detector takes a short German file for Japanese.
    """
    from charset_normalizer import from_bytes

    found = [match.encoding for match in from_bytes(sample, cp_isolation=_PLAUSIBLE)]
    western = ["mac_roman", "cp1252"] if b"\r" in sample and b"\n" not in sample else ["cp1252", "mac_roman"]
    high = sum(byte > 0x7F for byte in sample)
    order = [*western[:1], *found, *western[1:]] if high < len(sample) * 0.2 else [*found, *western]
    return [name for name in dict.fromkeys(order) if _decodes(sample, name)][:3]


def _decodes(sample: bytes, name: str) -> bool:
    """True when the bytes are possible in that encoding, but for a letter cut off at the sample's end."""
    try:
        codecs.getincrementaldecoder(name)("strict").decode(sample)
    except UnicodeDecodeError:
        return False
    return True


def _preview(around: bytes, at: int, name: str) -> str:
    """The word in which the bad byte stands, as that encoding would read it."""
    before = re.split(rb"[,;\t|\r\n\" ]", around[:at])[-1][-12:]
    after = re.split(rb"[,;\t|\r\n\" ]", around[at:], maxsplit=1)[0][:12]
    return shown((before + after).decode(name, errors="replace"))
