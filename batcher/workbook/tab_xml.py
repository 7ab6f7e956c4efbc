"""
The XML of one tab: what stands around the rows is parsed, the rows themselves stay bytes.

Rows that are not touched thus keep every byte, and a sheet of 200,000 rows is never a tree in memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from lxml import etree

from batcher.workbook.names import MAIN, OFFICE, STRICT, Broken, main, parse, serialised

_DECLARATION = re.compile(rb"""\A(?:\xef\xbb\xbf)?\s*<\?xml[^>]*?\?>""")
_ENCODING = re.compile(rb"""encoding\s*=\s*["']([\w.-]+)["']""")
_ROOT = re.compile(rb"<(?:([\w.-]+):)?worksheet(?=[\s/>])")

_ORDER = (
    "sheetPr dimension sheetViews sheetFormatPr cols sheetData sheetCalcPr sheetProtection protectedRanges scenarios "
    "autoFilter sortState dataConsolidate customSheetViews mergeCells phoneticPr conditionalFormatting dataValidations "
    "hyperlinks printOptions pageMargins pageSetup headerFooter rowBreaks colBreaks customProperties cellWatches "
    "ignoredErrors smartTags drawing legacyDrawing legacyDrawingHF drawingHF picture oleObjects controls webPublishItems "
    "tableParts extLst"
)
"""The members of a tab, in the order that ECMA-376 (part 1, 18.3.1.99) demands and Excel insists on."""
_RANK = {main(name): rank for rank, name in enumerate(_ORDER.split())}

Splice = tuple[int, int, bytes]
"""From and to where the XML is replaced, and by what."""


class TabXml:
    """
    One tab: its rows as bytes, everything around them as a tree.

    Attributes:
        xml: The whole part in UTF-8, without comments and CDATA.

        start, end: Where the rows begin and end in it.

        prefix: What stands before the names of its elements: mostly nothing, sometimes `x:`.

        root: The tree around the rows; its `sheetData` is empty.
    """

    def __init__(self, xml: bytes) -> None:
        self.xml = _plain(xml)
        found = _ROOT.search(self.xml, 0, 65_536)
        if not found:
            raise Broken("the part of the tab holds no cells")
        self.prefix = found[1] + b":" if found[1] else b""
        self._head, self._tail, self.start, self.end = _around(self.xml, self.prefix)
        self.root = parse(self._head + self._tail)
        namespace = str(self.root.tag).rpartition("}")[0][1:]
        if namespace != MAIN:
            strict = "it is saved as Strict Open XML: save it as an ordinary Excel workbook (.xlsx)"
            raise Broken(strict if namespace == STRICT else "its cells are of an unknown kind")
        self._before = serialised(self.root)

    def child(self, name: str) -> etree._Element | None:
        """A member of the tab; None when it has none of that name."""
        return self.root.find(main(name))

    def made(self, name: str) -> etree._Element:
        """The member of that name, put into its place when the tab had none."""
        found = self.child(name)
        if found is None:
            # Declared here once where the tab does not: thousands of links would each declare it for themselves.
            found = etree.Element(main(name), nsmap={self.prefix.decode()[:-1] or None: MAIN, "r": OFFICE})
            self.root.insert(self._place_of(name), found)
        return found

    def pieces(self, splices: Sequence[Splice]) -> Iterator[bytes] | None:
        """The new part, with the rows spliced; None when nothing has changed."""
        after = serialised(self.root)
        if after == self._before and not splices:
            return None
        if after == self._before:
            return self._joined(self._head, splices, self._tail)
        rows, mark = self.made("sheetData"), etree.Comment("rows")
        rows.append(mark)
        head, _, tail = serialised(self.root).partition(b"<!--rows-->")
        rows.remove(mark)
        return self._joined(head, splices, tail)

    def _joined(self, head: bytes, splices: Iterable[Splice], tail: bytes) -> Iterator[bytes]:
        yield head
        at, rows = self.start, memoryview(self.xml)
        for start, end, new in splices:
            yield bytes(rows[at:start])
            yield new
            at = end
        yield bytes(rows[at : self.end])
        yield tail

    def _place_of(self, name: str) -> int:
        """Before the first member that must come later; members of unknown names stay where they are."""
        rank = _RANK[main(name)]
        later = [index for index, child in enumerate(self.root) if _rank(child) > rank]
        return min(later, default=len(self.root))


def _rank(child: etree._Element) -> int:
    """The place of a member in the order; where Excel offers a choice of members, that of the first known one."""
    return next((_RANK[str(element.tag)] for element in child.iter() if str(element.tag) in _RANK), -1)


def _plain(xml: bytes) -> bytes:
    """The part in UTF-8 and without what could look like a row and is none: comments, CDATA, instructions."""
    declaration = _DECLARATION.match(xml)
    encoding = _ENCODING.search(declaration[0]) if declaration else None
    utf8 = (encoding is None or encoding[1].lower() in (b"utf-8", b"utf8")) and not xml.startswith(
        (b"\xff", b"\xfe", b"\0")
    )
    begins = declaration.end() if declaration else 0
    if utf8 and not any(xml.find(mark, begins) >= 0 for mark in (b"<!", b"<?")):
        return xml
    parse(xml)
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, huge_tree=True, remove_comments=True, remove_pis=True, strip_cdata=True
    )
    return serialised(etree.fromstring(xml, parser))


def _around(xml: bytes, prefix: bytes) -> tuple[bytes, bytes, int, int]:
    """What stands before and after the rows, their tag included, and where they begin and end."""
    opening = re.compile(rb"<%bsheetData(?=[\s/>])[^>]*?(/?)>" % re.escape(prefix)).search(xml)
    if not opening:
        raise Broken("the part of the tab holds no cells")
    open_tag, close_tag = b"<%bsheetData>" % prefix, b"</%bsheetData>" % prefix
    if opening[1]:
        head, tail = xml[: opening.start()] + open_tag, close_tag + xml[opening.end() :]
        return head, tail, opening.end(), opening.end()
    end = xml.rfind(close_tag)
    if end < opening.end():
        raise Broken("its rows do not end")
    return xml[: opening.end()], xml[end:], opening.end(), end
