"""The rows of a tab as bytes: found, looked into, and given our cells without a touch on the others."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from msgspec import Struct

from batcher.sheet.address import column_index
from batcher.workbook.names import Broken
from batcher.workbook.place import cell_name
from batcher.workbook.tab_xml import Splice, TabXml

_NUMBER = re.compile(rb"""\sr\s*=\s*["'](\d{1,7})["']""")
_REF = re.compile(rb"""\sr\s*=\s*["']([A-Za-z]{1,3})\d{1,7}["']""")
_STYLE = re.compile(rb"""\ss\s*=\s*["'](\d{1,6})["']""")
_TYPE = re.compile(rb"""\st\s*=\s*["'](\w+)["']""")
_SPANS = re.compile(rb"""\sspans\s*=\s*(?:"[^"]*"|'[^']*')""")


class RowSpan(NamedTuple):
    """
    Where a row lies in the XML.

    Attributes:
        number: As the spreadsheet shows it.

        start, end: The whole element.

        inner_start, inner_end: Its cells; equal when it has none.
    """

    number: int
    start: int
    inner_start: int
    inner_end: int
    end: int


class CellSpan(NamedTuple):
    """
    Where a cell lies in the XML.

    Attributes:
        column: Counted from 0.

        start, end: The whole element.

        attributes: What stands in its tag.

        inner: What stands between its tags; empty for a cell that only has a format.
    """

    column: int
    start: int
    end: int
    attributes: bytes
    inner: bytes

    @property
    def style(self) -> int:
        """The index of its format."""
        found = _STYLE.search(self.attributes)
        return int(found[1]) if found else 0

    @property
    def kind(self) -> str:
        """How its value is stored: `s` shared, `inlineStr`, `str` of a formula, `n` a number, and so on."""
        found = _TYPE.search(self.attributes)
        return found[1].decode() if found else "n"


class _Patterns(Struct, frozen=True, kw_only=True):
    """The expressions for one prefix of names."""

    row: re.Pattern[bytes]
    row_end: bytes
    cell: re.Pattern[bytes]
    cell_start: bytes


@lru_cache(maxsize=8)
def _patterns(prefix: bytes) -> _Patterns:
    def compiled(pattern: bytes) -> re.Pattern[bytes]:
        return re.compile(pattern.replace(b"@", re.escape(prefix)), re.DOTALL)

    return _Patterns(
        row=compiled(rb"<@row(?=[\s/>])([^>]*?)(/?)>"),
        row_end=b"</" + prefix + b"row>",
        cell=compiled(rb"<@c(?=[\s/>])([^>]*?)(?:/>|>(.*?)</@c>)"),
        cell_start=b"<" + prefix + b"c ",
    )


def rows(tab: TabXml) -> Iterator[RowSpan]:
    """Every row of the tab; Broken when their numbers do not rise, or something else stands between them."""
    found, at, number = _patterns(tab.prefix), tab.start, 0
    while opening := found.row.search(tab.xml, at, tab.end):
        given = _NUMBER.search(opening[1])
        before, number = number, int(given[1]) if given else number + 1
        if number <= before:
            raise Broken("its rows are out of order")
        inner = opening.end()
        inner_end = inner if opening[2] else tab.xml.find(found.row_end, inner, tab.end)
        if inner_end < 0:
            raise Broken("its rows do not end")
        at = inner if opening[2] else inner_end + len(found.row_end)
        yield RowSpan(number, opening.start(), inner, inner_end, at)
    if tab.xml[at : tab.end].strip():
        raise Broken("something else than rows stands among its rows")


def cells(tab: TabXml, row: RowSpan, *, start: int | None = None) -> Iterator[CellSpan]:
    """
    The cells of a row; Broken when their columns do not rise.

    Args:
        start: Where a cell begins that says where it stands; None for all cells.
    """
    column = -1
    for match in _patterns(tab.prefix).cell.finditer(
        tab.xml, row.inner_start if start is None else start, row.inner_end
    ):
        ref = _REF.search(match[1])
        before, column = column, column_index(ref[1].decode()) if ref else column + 1
        if column <= before:
            raise Broken(f"the cells of row {row.number} are out of order")
        yield CellSpan(column, match.start(), match.end(), match[1], match[2] or b"")


def last_cell(tab: TabXml, row: RowSpan) -> CellSpan | None:
    """The last cell of a row, found from its end; None when it has none or does not say where it stands."""
    found = _patterns(tab.prefix)
    start = tab.xml.rfind(found.cell_start, row.inner_start, row.inner_end)
    match = found.cell.match(tab.xml, start, row.inner_end) if start >= 0 else None
    ref = _REF.search(match[1]) if match else None
    if match is None or ref is None or found.cell.search(tab.xml, match.end(), row.inner_end):
        return None
    return CellSpan(column_index(ref[1].decode()), match.start(), match.end(), match[1], match[2] or b"")


Compose = Callable[[int, int, CellSpan | None], bytes]
"""Row number, index among the cells to be written, and the cell that stands there, to the new cell or nothing."""


def spliced(tab: TabXml, row: RowSpan, places: Sequence[tuple[int, int]], compose: Compose) -> Splice | None:
    """
    A row with our cells in it; None when it stays as it is.

    Args:
        places: Column and index of each cell to be written, the columns rising.
    """
    last = last_cell(tab, row)
    if last is not None and last.column < places[0][0]:
        ours = b"".join(compose(row.number, index, None) for _, index in places)
        cells_xml = tab.xml[row.inner_start : last.end] + ours + tab.xml[last.end : row.inner_end] if ours else None
    else:
        cells_xml = _merged(tab, row, places, compose)
    if cells_xml is None or cells_xml == tab.xml[row.inner_start : row.inner_end]:
        return None
    tag = _SPANS.sub(b"", tab.xml[row.start : row.inner_start])
    if tag.endswith(b"/>"):
        tag = tag[:-2].rstrip() + b">"
    return row.start, row.end, tag + cells_xml + _patterns(tab.prefix).row_end


def new_row(tab: TabXml, number: int, places: Sequence[tuple[int, int]], compose: Compose) -> bytes:
    """A row that the tab did not have; nothing when none of our cells holds anything."""
    ours = b"".join(compose(number, index, None) for _, index in places)
    return b'<%brow r="%d">%b%b' % (tab.prefix, number, ours, _patterns(tab.prefix).row_end) if ours else b""


def _merged(tab: TabXml, row: RowSpan, places: Sequence[tuple[int, int]], compose: Compose) -> bytes:
    """The cells of a row and ours, by column; a cell that relied on its place being counted gets its name."""
    pieces: list[bytes] = []
    at, turn = row.inner_start, 0
    for cell in cells(tab, row, start=_start_of(tab, row, places[0][0])):
        pieces.append(tab.xml[at : cell.start])
        while turn < len(places) and places[turn][0] < cell.column:
            pieces.append(compose(row.number, places[turn][1], None))
            turn += 1
        if turn < len(places) and places[turn][0] == cell.column:
            pieces.append(compose(row.number, places[turn][1], cell))
            turn += 1
        else:
            pieces.append(_named(tab, row, cell))
        at = cell.end
    pieces.extend(compose(row.number, index, None) for _, index in places[turn:])
    pieces.append(tab.xml[at : row.inner_end])
    return b"".join(pieces)


def _start_of(tab: TabXml, row: RowSpan, column: int) -> int | None:
    """Where the cell of a column begins, found by its name; None when it cannot be told that quickly."""
    name = tab.xml.find(f' r="{cell_name(column, row.number)}"'.encode(), row.inner_start, row.inner_end)
    start = tab.xml.rfind(_patterns(tab.prefix).cell_start, row.inner_start, name) if name >= 0 else -1
    return start if start >= 0 and tab.xml.find(b">", start, name) < 0 else None


def _named(tab: TabXml, row: RowSpan, cell: CellSpan) -> bytes:
    xml = tab.xml[cell.start : cell.end]
    if _REF.search(cell.attributes):
        return xml
    tag = len(tab.prefix) + 2
    return xml[:tag] + f' r="{cell_name(cell.column, row.number)}"'.encode() + xml[tag:]
