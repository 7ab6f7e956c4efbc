"""The zip archive written anew: what has not changed is copied as it lies there, packed."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from io import BytesIO
from typing import BinaryIO

from msgspec import Struct

from batcher.sheet.archive import Archive
from batcher.workbook.names import Broken

_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s4B4HL2L5H2L")
_END = struct.Struct("<4s4H2LH")
_DESCRIPTOR_FOLLOWS = 0x08
_UTF8 = 0x800
_ZIP64 = 1
_LEVEL = 6


class _Packed(Struct, frozen=True, kw_only=True):
    """One entry, ready to be written."""

    entry: zipfile.ZipInfo
    name: bytes
    local_extra: bytes
    data: Iterable[bytes]


def pack(
    file: BinaryIO, archive: Archive, *, replaced: Mapping[str, Iterable[bytes]], added: Mapping[str, bytes]
) -> None:
    """
    Write the archive with some parts replaced, the others and their order unchanged, new ones at the end.

    Args:
        replaced: Name of a part, as the archive's directory spells it, to its new content in pieces.

        added: Name to content of the parts that the archive did not have.

    Raises:
        Broken: Two parts have the same name, so that nobody can say which one counts.
    """
    with zipfile.ZipFile(BytesIO(archive.data)) as source:
        entries, comment = source.infolist(), source.comment
    if len({entry.filename.lower() for entry in entries}) != len(entries):
        raise Broken("it holds two parts of the same name")
    written: list[bytes] = []
    for entry in entries:
        new = replaced.get(entry.filename)
        written.append(_write(file, _as_it_lies(archive.data, entry) if new is None else _renewed(entry, new)))
    for name, content in added.items():
        entry = zipfile.ZipInfo(name)
        entry.compress_type = zipfile.ZIP_DEFLATED
        written.append(_write(file, _renewed(entry, [content])))
    start = file.tell()
    directory = b"".join(written)
    file.write(directory)
    file.write(_END.pack(b"PK\5\6", 0, 0, len(written), len(written), len(directory), start, len(comment)) + comment)


def _as_it_lies(data: bytes, entry: zipfile.ZipInfo) -> _Packed:
    head = entry.header_offset
    name_length, extra_length = _LOCAL.unpack_from(data, head)[-2:]
    extra_at = head + _LOCAL.size + name_length
    start = extra_at + extra_length
    return _Packed(
        entry=entry,
        name=_name(entry),
        local_extra=_without_zip64(data[extra_at:start]),
        data=[data[start : start + entry.compress_size]],
    )


def _renewed(entry: zipfile.ZipInfo, content: Iterable[bytes]) -> _Packed:
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    pieces, crc, size = [], 0, 0
    for piece in content:
        crc, size = zlib.crc32(piece, crc), size + len(piece)
        pieces.append(packer.compress(piece))
    pieces.append(packer.flush())
    entry.CRC, entry.file_size, entry.compress_size = crc, size, sum(map(len, pieces))
    entry.compress_type = zipfile.ZIP_DEFLATED
    return _Packed(entry=entry, name=_name(entry), local_extra=b"", data=pieces)


def _write(file: BinaryIO, packed: _Packed) -> bytes:
    """Write one entry, and give its line for the directory."""
    entry = packed.entry
    year, month, day, hour, minute, second = entry.date_time
    date, time = (year - 1980) << 9 | month << 5 | day, hour << 11 | minute << 5 | second // 2
    flags = entry.flag_bits & ~_DESCRIPTOR_FOLLOWS
    offset, extra = file.tell(), _without_zip64(entry.extra)
    sizes = (entry.CRC, entry.compress_size, entry.file_size)
    version, method = max(20, entry.extract_version), entry.compress_type
    lengths = len(packed.name), len(packed.local_extra)
    file.write(_LOCAL.pack(b"PK\3\4", version, flags, method, time, date, *sizes, *lengths))
    file.write(packed.name + packed.local_extra)
    for piece in packed.data:
        file.write(piece)
    made_by = (max(20, entry.create_version), entry.create_system, version, 0)
    lengths = len(packed.name), len(extra)
    attributes = (len(entry.comment), 0, entry.internal_attr, entry.external_attr, offset)
    line = _CENTRAL.pack(b"PK\1\2", *made_by, flags, method, time, date, *sizes, *lengths, *attributes)
    return line + packed.name + extra + entry.comment


def _name(entry: zipfile.ZipInfo) -> bytes:
    """The name in the bytes in which the directory has it."""
    if not entry.orig_filename.isascii() and not entry.flag_bits & _UTF8:
        return entry.orig_filename.encode("cp437")
    return entry.orig_filename.encode()


def _without_zip64(extra: bytes) -> bytes:
    """The extra field without the sizes for archives beyond 4 GB: ours stand in their usual place."""
    kept, at = b"", 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        if kind != _ZIP64:
            kept += extra[at : at + 4 + length]
        at += 4 + length
    return kept
