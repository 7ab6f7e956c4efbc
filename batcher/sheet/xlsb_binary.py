"""How far the cells of an XLSB tab reach, before the reader lays them out in memory."""

from __future__ import annotations

from collections.abc import Iterator

from batcher.sheet.address import letters
from batcher.sheet.archive import Archive, Damaged
from batcher.sheet.xlsx_xml import MAX_CELLS

_ROW = 0
_VALUED_CELLS = range(2, 12)
"""Record types of [MS-XLSB]: 1 is a cell without a value, 2 to 11 hold numbers, errors, texts and formulas."""


def require_compact(archive: Archive) -> None:
    """Damaged when the values of a tab lie so far apart that the reader would run out of memory."""
    for part in archive.parts:
        if not (part.startswith("xl/worksheets/") and part.endswith(".bin")):
            continue
        row = bottom = widest = 0
        for kind, number in _records(archive.read(part)):
            if kind == _ROW:
                row = number + 1
            elif kind in _VALUED_CELLS:
                bottom, widest = max(bottom, row), max(widest, number + 1)
        if bottom * widest > MAX_CELLS:
            raise Damaged(f"its cells reach to {letters(widest - 1)}{bottom}: delete the stray cells")


def _records(data: bytes) -> Iterator[tuple[int, int]]:
    """Type and first number of every record that has one: for rows and cells that is the row or the column."""
    at, end = 0, len(data)
    while at < end:
        kind, at = _variable(data, at, 2)
        size, at = _variable(data, at, 4)
        if size >= 4:
            yield kind, int.from_bytes(data[at : at + 4], "little")
        at += size


def _variable(data: bytes, at: int, longest: int) -> tuple[int, int]:
    """A number in groups of seven bits, and where it ends."""
    number = 0
    for index, byte in enumerate(data[at : at + longest]):
        number |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return number, at + index + 1
    return number, at + longest
