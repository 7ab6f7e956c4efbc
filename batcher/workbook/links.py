"""Links that can be clicked, on our cells only: addresses outside, kept among the tab's relationships."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import NamedTuple

from lxml import etree

from batcher.workbook.names import OFFICE, main
from batcher.workbook.place import Area, area
from batcher.workbook.relations import Relations
from batcher.workbook.tab_xml import TabXml

MAX_LINKS = 65_000
"""Excel opens no more than 65,530 per tab."""
MAX_URL = 2_079
_ID = f"{{{OFFICE}}}id"
_UNFIT = re.compile(r"[\s\"<>\\^`{|}\[\]]")


class Address(NamedTuple):
    """
    An address as a workbook keeps it.

    Attributes:
        target: Without what follows the `#`.

        location: What follows the `#`; empty without.
    """

    target: str
    location: str


def address(text: str) -> Address | None:
    """The address to click; None for a text that is none, or one that Excel would not open."""
    if not text.startswith(("http://", "https://")) or not text.isascii() or not text.isprintable():
        return None
    fit = _UNFIT.sub(lambda found: f"%{ord(found[0]):02X}", text)
    target, _, location = fit.partition("#")
    return Address(target, location) if len(fit) <= MAX_URL else None


def set_links(
    tab: TabXml, relations: Relations, wanted: Mapping[str, Address], *, is_ours: Callable[[Area], bool]
) -> set[str]:
    """
    Put links on our cells, and take away those of ours that are no longer wanted.

    Args:
        wanted: Cell to address, such as `G5`; earlier cells first when there are too many.

        is_ours: True for a cell whose link is ours to set.

    Returns:
        The cells that could not become links, because the tab is full.
    """
    into = tab.child("hyperlinks")
    present = [] if into is None else into.findall(main("hyperlink"))
    users = Counter(element.get(_ID, "") for element in present)
    kept: set[str] = set()
    for element in present:
        place = area(element.get("ref", ""))
        if place is None or not place.is_cell or not is_ours(place):
            continue
        key, cell = element.get(_ID, ""), str(place)
        if wanted.get(cell) == (relations.outside(key), element.get("location", "")) and cell not in kept:
            kept.add(cell)
            continue
        if into is not None:
            into.remove(element)
        users[key] -= 1
        if not users[key]:
            relations.drop(key)
    room = MAX_LINKS - sum(users.values())
    new = [cell for cell in wanted if cell not in kept]
    if new[: max(0, room)]:
        into = tab.made("hyperlinks")
        for cell in new[: max(0, room)]:
            _add(into, relations, cell, wanted[cell])
    if into is not None and not len(into):
        tab.root.remove(into)  # an empty list of links is an error to Excel
    return set(new[max(0, room) :])


def _add(into: etree._Element, relations: Relations, cell: str, to: Address) -> None:
    key = relations.add_outside("hyperlink", to.target)
    element = etree.SubElement(into, main("hyperlink"), {"ref": cell, _ID: key})
    if to.location:
        element.set("location", to.location)
