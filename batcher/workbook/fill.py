"""Our cells: which text, number, colour and link stands in each of them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from msgspec import Struct

from batcher.sheet.cell_text import is_number
from batcher.workbook.cell_xml import empty_cell, is_risky, number_cell, text_cell
from batcher.workbook.columns import Columns
from batcher.workbook.formats import Formats
from batcher.workbook.links import Address, address
from batcher.workbook.names import Broken
from batcher.workbook.place import cell_name
from batcher.workbook.rows import CellSpan, RowSpan, new_row, rows, spliced
from batcher.workbook.tab_xml import Splice, TabXml
from batcher.workbook.update import InPlaceUpdate, colour_of

_FORMULA = re.compile(rb"<(?:[\w.-]+:)?f[\s/>]")


def wanted_links(
    texts: Mapping[int, Sequence[str]], update: InPlaceUpdate, columns: Columns
) -> tuple[dict[str, Address], int]:
    """Cell to the address to click there, row by row; and how many addresses no spreadsheet would open."""
    wanted, unfit = {}, 0
    places = columns.in_order(update.links)
    for number, row in texts.items():
        for column, index in places:
            found = address(row[index])
            if found:
                wanted[cell_name(column, number)] = found
            elif row[index].startswith(("http://", "https://")):
                unfit += 1
    return wanted, unfit


class Filler(Struct, frozen=True, kw_only=True):
    """
    Writes our cells into rows.

    Attributes:
        update: What shall stand there.

        texts: Its rows, as cells can hold them, in order.

        columns: Where our columns stand.

        linked: The cells, such as `G5`, with something to click.

        formats: The workbook's formats; ours are added as they are needed.

        header_row: Number of the row with the column names.
    """

    update: InPlaceUpdate
    texts: Mapping[int, Sequence[str]]
    columns: Columns
    linked: Collection[str]
    formats: Formats
    header_row: int

    def splices(self, tab: TabXml) -> Iterator[Splice]:
        """What is to change in the rows of a tab, from top to bottom."""
        everywhere = self.columns.in_order(range(len(self.update.header)))
        places = dict.fromkeys(self.texts, everywhere)
        if self.columns.added:
            places = {self.header_row: self.columns.in_order(self.columns.added), **places}

        def compose(number: int, index: int, old: CellSpan | None) -> bytes:
            return self._cell(tab.prefix, number, index, old)

        for number, row, before in _paired(tab, places):
            if row is not None:
                changed = spliced(tab, row, places[number], compose)
            else:
                made = new_row(tab, number, places[number], compose)
                changed = (before, before, made) if made else None
            if changed is not None:
                yield changed

    def _cell(self, prefix: bytes, number: int, index: int, old: CellSpan | None) -> bytes:
        """One of our cells; nothing for one without text and format."""
        column = self.columns.places[index]
        if old is not None and _FORMULA.search(old.inner):
            name = self.update.header[index]
            raise Broken(f"{cell_name(column, number)} holds a formula, but column {name} is ours: delete the formula")
        style = old.style if old is not None else 0
        if number == self.header_row:
            style = style or self.formats.as_header(self.columns.neighbour_style)
            return text_cell(prefix, column, number, style, self.update.header[index])
        text = self.texts[number][index]
        style = self._style(style, text, number=number, index=index)
        if not text:
            return empty_cell(prefix, column, number, style)
        if index in self.update.numbers and is_number(text):
            return number_cell(prefix, column, number, style, text)
        return text_cell(prefix, column, number, style, text)

    def _style(self, old: int, text: str, *, number: int, index: int) -> int:
        """The format of a cell: what it had, and what its text asks for."""
        if index == self.update.status:
            return self.formats.filled(old, colour_of(text))
        if index in self.update.links:
            linked = cell_name(self.columns.places[index], number) in self.linked
            return self.formats.as_link(old) if linked else self.formats.without_link(old)
        if is_risky(text) and not (index in self.update.numbers and is_number(text)):
            return self.formats.as_text(old)
        return old


def _paired(tab: TabXml, numbers: Iterable[int]) -> Iterator[tuple[int, RowSpan | None, int]]:
    """Each number with its row, or with None and the place where the row would have to be put; the numbers rise."""
    present = rows(tab)
    row = next(present, None)
    for number in numbers:
        while row is not None and row.number < number:
            row = next(present, None)
        before = tab.end if row is None else row.start
        yield number, row if row is not None and row.number == number else None, before
    for _ in present:
        pass  # rows out of order must be seen, also below ours
