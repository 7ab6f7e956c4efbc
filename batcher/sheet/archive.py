"""The zip archive of a workbook, measured before anything is parsed: a small file may unpack to gigabytes."""

from __future__ import annotations

import zipfile
import zlib
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping
from io import BytesIO

from msgspec import Struct, field

from batcher.errors import InputError, Problem

MAX_ENTRIES = 10_000
MAX_BYTES = 1 << 30
"""Unpacked, all parts together. A sheet of a million rows and ten columns stays below it."""
MAX_RATIO = 400
"""Unpacked to packed, for parts of more than `SMALL_BYTES`; real sheets stay below a hundred, bombs come near 1,000."""
SMALL_BYTES = 20_000_000
_CHUNK = 1 << 13
"""Packed bytes that are unpacked together: what comes out, some ten times as much, stays in the processor's cache."""
_LOCAL_HEADER = 30


class Damaged(Exception):
    """The archive cannot be read or must not be: says why; never leaves this room."""


class Archive(Struct, frozen=True, kw_only=True):
    """
    A workbook's parts.

    Attributes:
        data: The file's bytes.

        parts: Lower-case name to directory entry: spreadsheet programs do not tell case apart.

        unpacked: The names of the parts that were unpacked already, and found to be what the directory says.
    """

    data: bytes
    parts: Mapping[str, zipfile.ZipInfo]
    unpacked: set[str] = field(default_factory=set)

    def holds(self, name: str) -> bool:
        """True when there is such a part."""
        return name.lower() in self.parts

    def read(self, name: str) -> bytes:
        """The unpacked part; Damaged when it is missing or not what the directory says."""
        return b"".join(self.pieces(name))

    def pieces(self, name: str) -> Iterator[bytes]:
        """
        The unpacked part piece by piece, for one that is large: it need not be in memory whole.

        Raises:
            Damaged: It is missing or not what the directory says; that may show only behind the last piece.
        """
        entry = self.parts.get(name.lower())
        if entry is None:
            raise Damaged(f"the part {name} is missing")
        yield from _inflated(self.data, entry)
        self.unpacked.add(name.lower())

    def check_rest(self) -> None:
        """Unpack what was not read so far, because the sizes in the directory may be lies; Damaged when they are."""
        for name in self.parts:
            if name not in self.unpacked:
                deque(self.pieces(name), maxlen=0)


def open_archive(data: bytes, name: str) -> Archive:
    """
    Check a workbook's archive and give its parts; every one of them is unpacked once and counted.

    Raises:
        InputError: It is damaged, encrypted, or would unpack to something enormous.
    """
    try:
        archive = listed_archive(data)
        archive.check_rest()
    except Damaged as exc:
        raise unreadable(name, str(exc)) from exc
    return archive


def listed_archive(data: bytes) -> Archive:
    """
    The parts of a workbook as its directory lists them; each is checked when it is read, or by `Archive.check_rest`.

    Raises:
        Damaged: The directory alone shows that it is damaged, encrypted, or would unpack to something enormous.
    """
    entries = _entries(data)
    _require_sane(data, entries)
    return Archive(data=data, parts={entry.filename.replace("\\", "/").lstrip("/").lower(): entry for entry in entries})


def _entries(data: bytes) -> list[zipfile.ZipInfo]:
    """What the directory lists; besides its own error zipfile lets through names of no encoding, and a version it does not know."""
    try:
        with zipfile.ZipFile(BytesIO(data)) as file:
            return [entry for entry in file.infolist() if not entry.is_dir()]
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as exc:
        raise Damaged(str(exc)) from exc


def unreadable(name: str, reason: str) -> InputError:
    """The one refusal for a workbook that cannot be read."""
    one_line = " ".join(reason.split())[:200]
    advice = "open it in Excel or LibreOffice and save it again"
    return InputError(Problem(where=name, message=f"cannot read the workbook: {one_line}; {advice}"))


def _require_sane(data: bytes, entries: list[zipfile.ZipInfo]) -> None:
    """Refuse by the directory alone what no honest workbook has."""
    if len(entries) > MAX_ENTRIES:
        raise Damaged(f"{len(entries):,} parts, more than a workbook can have")
    if sum(entry.file_size for entry in entries) > MAX_BYTES:
        raise Damaged(f"it unpacks to more than {MAX_BYTES >> 20:,} MB; save large sheets as .csv")
    if sum(entry.compress_size for entry in entries) > len(data):
        raise Damaged("its parts overlap")
    for entry in entries:
        if entry.file_size > SMALL_BYTES and entry.file_size > MAX_RATIO * max(1, entry.compress_size):
            raise Damaged(
                f"the part {entry.filename} unpacks to {entry.file_size // max(1, entry.compress_size)} times its size"
            )
        if entry.flag_bits & 1:
            raise Damaged("it is protected by a password")


def _inflated(data: bytes, entry: zipfile.ZipInfo) -> Iterator[bytes]:
    """The unpacked pieces of a part, never more than its declared size; Damaged when that is not what comes out."""
    start = entry.header_offset
    header = data[start : start + _LOCAL_HEADER]
    if len(header) < _LOCAL_HEADER or not header.startswith(b"PK\x03\x04"):
        raise Damaged(f"the part {entry.filename} is not where the directory says")
    start += _LOCAL_HEADER + int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
    end = start + entry.compress_size
    pieces = (data[at : min(end, at + _CHUNK)] for at in range(start, end, _CHUNK))
    if entry.compress_type == zipfile.ZIP_DEFLATED:
        pieces = _deflated(pieces, entry)
    elif entry.compress_type != zipfile.ZIP_STORED:
        raise Damaged(f"the part {entry.filename} is packed in a way that workbooks do not use")
    check = size = 0
    for piece in pieces:
        check = zlib.crc32(piece, check)
        size += len(piece)
        yield piece
    if size != entry.file_size or check != entry.CRC:
        raise Damaged(f"the part {entry.filename} is damaged")


def _deflated(packed: Iterable[bytes], entry: zipfile.ZipInfo) -> Generator[bytes, None, None]:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    left = entry.file_size
    try:
        for chunk in packed:
            piece = inflater.decompress(chunk, left + 1)
            left -= len(piece)
            if left < 0:
                raise Damaged(f"the part {entry.filename} is larger than the directory says")
            yield piece
            if inflater.eof:
                break
    except zlib.error as exc:
        raise Damaged(f"the part {entry.filename} is damaged") from exc
