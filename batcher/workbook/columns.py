"""Where our columns stand: found by their names in the header row, or put at the right of everything there is."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from msgspec import Struct

from batcher.sheet import normalise
from batcher.sheet.address import letters
from batcher.sheet.write_xlsx import MAX_COLUMNS
from batcher.workbook.cell_xml import raw_text
from batcher.workbook.names import Broken
from batcher.workbook.place import Area, areas
from batcher.workbook.rows import CellSpan, RowSpan, cells, last_cell, rows
from batcher.workbook.tab_xml import TabXml

_INLINE = re.compile(rb"<(?:[\w.-]+:)?t(?:\s[^>]*)?>([^<]*)<")
_VALUE = re.compile(rb"<(?:[\w.-]+:)?v(?:\s[^>]*)?>([^<]*)<")


class Columns(Struct, frozen=True, kw_only=True):
    """
    Where our columns stand.

    Attributes:
        places: The column of each of ours, counted from 0, in the order of the update's header.

        added: Indexes among ours of those that the tab did not have.

        neighbour_style: The format of the header cell at the left of the first added one.
    """

    places: tuple[int, ...]
    added: tuple[int, ...]
    neighbour_style: int

    def in_order(self, indexes: Iterable[int]) -> list[tuple[int, int]]:
        """Column and index of some of ours, the columns rising."""
        return sorted((self.places[index], index) for index in indexes)


def find_columns(
    tab: TabXml,
    *,
    header: Sequence[str],
    header_row: int,
    tables: Sequence[Area],
    pivots: Sequence[Area],
    shared: Callable[[set[int]], Mapping[int, str]],
) -> Columns:
    """
    Find our columns, and room for those that are missing.

    Room is right of all that has a value from the header row on, of tables, of the filter and of merged cells.

    Args:
        tables: Where this tab has tables.

        pivots: Where it has pivot tables, which write over their surroundings when they grow.

        shared: Gives the shared texts of some numbers.

    Raises:
        Broken: There is no such header row, it belongs to a pivot table, or there is no room at the right.
    """
    if any(pivot.top <= header_row <= pivot.bottom for pivot in pivots):
        raise Broken(f"row {header_row} belongs to a pivot table, which would write over our columns")
    head = _header_cells(tab, header_row)
    texts = _texts(head, shared)
    by_name: dict[str, int] = {}
    for cell, text in zip(head, texts, strict=True):
        if normalise(text):
            by_name.setdefault(normalise(text), cell.column)
    if not by_name:
        raise Broken(f"row {header_row} holds no column names")
    missing = [index for index, name in enumerate(header) if normalise(name) not in by_name]
    edge = _edge(tab, header_row, [*tables, *pivots]) if missing else 0
    if edge + len(missing) > MAX_COLUMNS:
        raise Broken(f"there is no room for {len(missing)} more columns right of column {letters(edge - 1)}")
    new = {index: edge + turn for turn, index in enumerate(missing)}
    places = tuple(new[index] if index in new else by_name[normalise(name)] for index, name in enumerate(header))
    style = max(((cell.column, cell.style) for cell in head if cell.inner and cell.column < edge), default=(0, 0))[1]
    return Columns(places=places, added=tuple(missing), neighbour_style=style)


def _header_cells(tab: TabXml, header_row: int) -> list[CellSpan]:
    row = next((row for row in rows(tab) if row.number >= header_row), None)
    return list(cells(tab, row)) if row is not None and row.number == header_row else []


def _texts(head: Sequence[CellSpan], shared: Callable[[set[int]], Mapping[int, str]]) -> list[str]:
    """The texts of some cells."""
    numbers = {cell: _shared_number(cell) for cell in head if cell.kind == "s"}
    texts = shared({number for number in numbers.values() if number is not None})
    return [texts.get(numbers[cell] or 0, "") if cell in numbers else _own_text(cell) for cell in head]


def _shared_number(cell: CellSpan) -> int | None:
    found = _VALUE.search(cell.inner)
    return int(found[1]) if found and found[1].strip().isdigit() else None


def _own_text(cell: CellSpan) -> str:
    """The text or value that a cell holds itself."""
    pattern = _INLINE if cell.kind == "inlineStr" else _VALUE
    return raw_text(b"".join(pattern.findall(cell.inner)))


def _edge(tab: TabXml, header_row: int, taken: Iterable[Area]) -> int:
    """The first column at the right of everything from the header row on."""
    refs = [*taken]
    for name in ("autoFilter", "mergeCell"):
        refs += areas(tab.root, name)
    edge = max((ref.right + 1 for ref in refs if ref.bottom >= header_row and ref.right < MAX_COLUMNS - 1), default=0)
    for row in rows(tab):
        if row.number >= header_row:
            edge = max(edge, _row_edge(tab, row, edge))
    return edge


def _row_edge(tab: TabXml, row: RowSpan, edge: int) -> int:
    """The first column right of a row's values; 0 when it cannot be beyond `edge`."""
    last = last_cell(tab, row)
    if last is not None and (last.column < edge or last.inner):
        return last.column + 1
    return max((cell.column + 1 for cell in cells(tab, row) if cell.inner), default=0)
