"""The XML names that a workbook is made of, and the one way in which we parse its parts."""

from __future__ import annotations

from lxml import etree

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
STRICT = "http://purl.oclc.org/ooxml/spreadsheetml/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
TYPES = "http://schemas.openxmlformats.org/package/2006/content-types"


class Broken(Exception):
    """A part is not what it should be: says why; never leaves this room."""


def parse(xml: bytes) -> etree._Element:
    """The root of a part; Broken when it is no XML or declares a document type."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True)
    try:
        root = etree.fromstring(xml, parser)
    except etree.XMLSyntaxError as exc:
        raise Broken(f"its XML is broken ({exc.msg})") from exc
    if root.getroottree().docinfo.doctype:
        raise Broken("its XML declares a document type, which workbooks never do")
    return root


def serialised(root: etree._Element) -> bytes:
    """The part as a file holds it."""
    return etree.tostring(root, encoding="UTF-8", standalone=True)


def main(name: str) -> str:
    """The name of a workbook's own element, as the parser shows it."""
    return f"{{{MAIN}}}{name}"


def is_true(value: str | None) -> bool:
    """How these files write truth."""
    return value in ("1", "true", "on")
