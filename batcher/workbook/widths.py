"""The widths of our columns, and how far the tab says it reaches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy

from lxml import etree

from batcher.workbook.names import main
from batcher.workbook.place import Area, area
from batcher.workbook.tab_xml import TabXml


def set_widths(tab: TabXml, widths: Mapping[int, int]) -> None:
    """
    Give columns, counted from 0, a width and show them; all others keep what they have.

    A tab often says one thing for all columns from G on, hidden mostly: such a range is cut in pieces.
    """
    if not widths:
        return
    into = tab.made("cols")
    pieces = [piece for element in into.findall(main("col")) for piece in _without(element, widths)]
    for column, width in widths.items():
        place = str(column + 1)
        pieces.append(etree.Element(main("col"), min=place, max=place, width=str(width), customWidth="1"))
    into[:] = sorted(pieces, key=lambda piece: int(piece.get("min", "1")))


def _without(element: etree._Element, columns: Mapping[int, int]) -> list[etree._Element]:
    """What a range of columns says, for those of its columns that are not named."""
    first, last = int(element.get("min", "1")), int(element.get("max", "1"))
    taken = sorted(column + 1 for column in columns if first <= column + 1 <= last)
    pieces = []
    for start, end in zip(
        [first, *(number + 1 for number in taken)], [*(number - 1 for number in taken), last], strict=True
    ):
        if start <= end:
            piece = deepcopy(element)
            piece.set("min", str(start))
            piece.set("max", str(end))
            pieces.append(piece)
    return pieces


def reach(tab: TabXml, columns: Sequence[int], numbers: Sequence[int]) -> None:
    """Let the tab's own word on how far it reaches hold our cells too; one without such a word needs none."""
    dimension = tab.child("dimension")
    old = area(dimension.get("ref", "")) if dimension is not None else None
    if dimension is None or old is None:
        return
    whole = Area(
        left=min(old.left, *columns),
        top=min(old.top, *numbers),
        right=max(old.right, *columns),
        bottom=max(old.bottom, *numbers),
    )
    if whole != old:
        dimension.set("ref", str(whole))
