"""Cell formats: ours are made from those that are there, and put behind them, so that no number changes its meaning."""

from __future__ import annotations

from collections.abc import Callable, Collection
from copy import deepcopy

from lxml import etree

from batcher.workbook.names import main, parse, serialised

_TEXT = "49"
"""The built-in number format @."""
_MAX_FORMATS = 64_000
_LINK = "FF0563C1"
_HEADER = "E2EFDA"


class Formats:
    """
    The formats of a workbook's cells, known by their index.

    Args:
        xml: The part with the styles; None for a workbook without, whose cells then stay plain.

        palette: The fills, as RGB, that mark our states: only these are ever taken away again.
    """

    def __init__(self, xml: bytes | None, *, palette: Collection[str]) -> None:
        self._root = None if xml is None else parse(xml)
        self._lists = {name: self._list(name) for name in ("cellXfs", "fills", "fonts")}
        self._found = {name: _index(found) for name, found in self._lists.items()}
        self._palette = frozenset(palette)
        self._memory: dict[tuple[str, int, str], int] = {}
        self.changed = False

    def filled(self, base: int, rgb: str) -> int:
        """The format with that fill; an empty `rgb` takes one of our fills away and leaves the user's."""
        return self._remembered("fill", base, rgb, self._with_fill)

    def as_text(self, base: int) -> int:
        """The format under which a person who edits `=1+1` keeps a text."""
        return self._remembered("text", base, "", lambda xf, _: _set(xf, "NumberFormat", numFmtId=_TEXT))

    def as_link(self, base: int) -> int:
        """The format of something to click; a cell that has a format of its own keeps it."""
        return base if base else self._remembered("link", 0, "", lambda xf, _: self._with_font(xf, _link_font))

    def without_link(self, base: int) -> int:
        """The format of a cell in which nothing is to click any more."""
        return 0 if base and base == self.as_link(0) else base

    def as_header(self, neighbour: int) -> int:
        """The format of our header cells: like the header beside them, or bold on light green where that is plain."""
        return self._remembered("header", neighbour, _HEADER, self._with_header)

    def xml(self) -> bytes:
        """The part as the archive holds it; nothing for a workbook without."""
        return b"" if self._root is None else serialised(self._root)

    def _list(self, name: str) -> etree._Element | None:
        return None if self._root is None else self._root.find(main(name))

    def _remembered(self, what: str, base: int, rgb: str, change: Callable[[etree._Element, str], None]) -> int:
        key = (what, base, rgb)
        if key not in self._memory:
            self._memory[key] = self._derived(base, rgb, change)
        return self._memory[key]

    def _derived(self, base: int, rgb: str, change: Callable[[etree._Element, str], None]) -> int:
        """The index of a copy of a format, changed; the same one for the same outcome."""
        formats = self._lists["cellXfs"]
        if formats is None or any(found is None for found in self._lists.values()) or not len(formats):
            return base
        xf = deepcopy(formats[base if base < len(formats) else 0])
        change(xf, rgb)
        return self._index_of("cellXfs", xf) if len(formats) < _MAX_FORMATS else base

    def _with_fill(self, xf: etree._Element, rgb: str) -> None:
        if not rgb:
            if self._fill_colour(xf) in self._palette:
                _set(xf, "Fill", fillId="0")
            return
        fill = etree.Element(main("fill"))
        pattern = etree.SubElement(fill, main("patternFill"), patternType="solid")
        etree.SubElement(pattern, main("fgColor"), rgb=f"FF{rgb}")
        etree.SubElement(pattern, main("bgColor"), indexed="64")
        _set(xf, "Fill", fillId=str(self._index_of("fills", fill)))

    def _with_header(self, xf: etree._Element, rgb: str) -> None:
        if int(xf.get("fillId", "0")) > 1:
            return
        self._with_fill(xf, rgb)
        self._with_font(xf, _bold_font)

    def _with_font(self, xf: etree._Element, change: Callable[[etree._Element], None]) -> None:
        fonts = self._lists["fonts"]
        number = int(xf.get("fontId", "0"))
        font = deepcopy(fonts[number]) if fonts is not None and number < len(fonts) else etree.Element(main("font"))
        change(font)
        _set(xf, "Font", fontId=str(self._index_of("fonts", font)))

    def _fill_colour(self, xf: etree._Element) -> str:
        """The colour that fills a format, as RGB; empty without one."""
        fills, number = self._lists["fills"], int(xf.get("fillId", "0"))
        if fills is None or number >= len(fills):
            return ""
        colour = fills[number].find(f"{main('patternFill')}/{main('fgColor')}")
        return "" if colour is None else str(colour.get("rgb", ""))[2:]

    def _index_of(self, name: str, element: etree._Element) -> int:
        """Where an equal element stands in its list; it is put at the end when there is none."""
        into, known = self._lists[name], self._found[name]
        if into is None:
            return 0
        key = _said(element)
        if key not in known:
            known[key] = len(into)
            into.append(element)
            if "count" in into.attrib:
                into.set("count", str(len(into)))
            self.changed = True
        return known[key]


def _index(found: etree._Element | None) -> dict[_Said, int]:
    """What stands in a list, to where it stands first."""
    known: dict[_Said, int] = {}
    for index, element in enumerate(found if found is not None else ()):
        known.setdefault(_said(element), index)
    return known


_Said = tuple[str, tuple[tuple[str, str], ...], tuple["_Said", ...]]
"""What an element says, whatever its prefix and the order of its attributes."""


def _said(element: etree._Element) -> _Said:
    attributes = tuple(sorted((str(name), str(value)) for name, value in element.attrib.items()))
    return str(element.tag), attributes, tuple(_said(child) for child in element)


def _set(xf: etree._Element, aspect: str, **values: str) -> None:
    """Set one aspect of a format, and that it counts."""
    for name, value in values.items():
        xf.set(name, value)
    xf.set(f"apply{aspect}", "1")


def _bold_font(font: etree._Element) -> None:
    if font.find(main("b")) is None:
        font.insert(0, etree.Element(main("b")))


def _link_font(font: etree._Element) -> None:
    """Blue and underlined; the members of a font stand in the order in which Excel writes them."""
    for name in ("u", "color"):
        for old in font.findall(main(name)):
            font.remove(old)
    before = {main(name) for name in ("b", "i", "strike", "condense", "extend", "outline", "shadow")}
    after_style = sum(1 for child in font if child.tag in before)
    font.insert(after_style, etree.Element(main("u")))
    size = font.find(main("sz"))
    at = after_style + 1 if size is None else font.index(size) + 1
    font.insert(at, etree.Element(main("color"), rgb=_LINK))
