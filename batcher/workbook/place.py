"""Places in a tab, as its XML writes them: `C5`, `A1:E10`, `$A:$C`."""

from __future__ import annotations

import re
from functools import lru_cache

from lxml import etree
from msgspec import Struct

from batcher.sheet.address import column_index, letters
from batcher.sheet.write_xlsx import MAX_COLUMNS, MAX_ROWS
from batcher.workbook.names import main

_letters = lru_cache(maxsize=1024)(letters)
_CORNER = re.compile(r"\$?([A-Za-z]{0,3})\$?(\d{0,7})\Z")


class Area(Struct, frozen=True, kw_only=True):
    """
    A rectangle of cells.

    Attributes:
        left, right: Its first and last column, counted from 0.

        top, bottom: Its first and last row, as the spreadsheet shows them.
    """

    left: int
    top: int
    right: int
    bottom: int

    def __str__(self) -> str:
        corners = cell_name(self.left, self.top), cell_name(self.right, self.bottom)
        return corners[0] if corners[0] == corners[1] else ":".join(corners)

    @property
    def is_cell(self) -> bool:
        """True when it is a single cell."""
        return self.left == self.right and self.top == self.bottom


def cell_name(column: int, row: int) -> str:
    """Column counted from 0 and row number as `C5`."""
    return f"{_letters(column)}{row}"


def area(text: str) -> Area | None:
    """The rectangle of a reference, whole columns and rows included; None for what is none."""
    first, _, last = text.partition(":")
    corners = [_CORNER.match(corner) for corner in (first, last or first)]
    if corners[0] is None or corners[1] is None or not first:
        return None
    (left, top), (right, bottom) = (corner.groups() for corner in corners if corner)
    return Area(
        left=column_index(left) if left else 0,
        top=int(top) if top else 1,
        right=column_index(right) if right else MAX_COLUMNS - 1,
        bottom=int(bottom) if bottom else MAX_ROWS,
    )


def areas(root: etree._Element, name: str) -> list[Area]:
    """The rectangles that the elements of a name, the root among them, refer to."""
    found = (area(element.get("ref", "")) for element in root.iter(main(name)))
    return [place for place in found if place is not None]
