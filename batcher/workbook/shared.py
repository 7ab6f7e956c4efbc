"""The texts that cells share: those of a few numbers, without laying out the rest."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from io import BytesIO

from lxml import etree

from batcher.workbook.cell_xml import unescaped
from batcher.workbook.names import Broken, main


def shared_texts(xml: bytes, numbers: Collection[int]) -> Mapping[int, str]:
    """The texts of those numbers; one that is not there is left out. Broken when the part is no XML."""
    found: dict[int, str] = {}
    if not numbers:
        return found
    last = max(numbers)
    events = etree.iterparse(BytesIO(xml), tag=main("si"), resolve_entities=False, no_network=True, huge_tree=True)
    try:
        for number, (_, element) in enumerate(events):
            if number in numbers:
                found[number] = rich_text(element)
            if number >= last:
                break
            element.clear()
            while element.getprevious() is not None and (parent := element.getparent()) is not None:
                del parent[0]
    except etree.XMLSyntaxError as exc:
        raise Broken(f"its XML is broken ({exc.msg})") from exc
    return found


def rich_text(element: etree._Element) -> str:
    """The text of an element that may be cut into differently written pieces; hints on pronunciation do not count."""
    texts = [element.find(main("t")), *(run.find(main("t")) for run in element.findall(main("r")))]
    return unescaped("".join(text.text or "" for text in texts if text is not None))
