"""How the parts of an XLSX archive belong together: tabs, where their XML lies, which styles pad with zeros."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping

from msgspec import Struct

from batcher.sheet.address import column_index
from batcher.sheet.archive import Archive, Damaged

_TABLE = re.compile(r"([A-Z]{1,3})(\d{1,7}):([A-Z]{1,3})(\d{1,7})")
_PADDING = re.compile(r"0{2,30}\Z")


class Tab(Struct, frozen=True, kw_only=True):
    """
    One tab of a workbook that can hold rows.

    Attributes:
        name: As people see it.

        part: Name of its XML in the archive.

        hidden: People do not see it.
    """

    name: str
    part: str
    hidden: bool


def tabs(archive: Archive) -> list[Tab]:
    """The tabs in the order of the workbook, without charts, dialogs and macros; Damaged when they cannot be told."""
    workbook = _workbook_part(archive)
    targets = _targets(archive, workbook)
    found = []
    for element in _elements(archive.read(workbook), "sheet"):
        link = next((value for key, value in element.items() if _local(key) == "id"), "")
        kind, part = targets.get(link, ("", ""))
        if kind == "worksheet":
            name = next((value for key, value in element.items() if _local(key) == "name"), "")
            found.append(Tab(name=name, part=part, hidden=element.get("state", "visible") != "visible"))
    return found


def totals_rows(archive: Archive, tab: Tab, *, header_row: int) -> dict[int, range]:
    """
    Number of the row in which a table below the header adds up, to the columns of the table, counted from 0.

    Excel puts it under the table, and whoever looks at it sees no row of the list.
    """
    found = {}
    parts = [part for kind, part in _targets(archive, tab.part).values() if kind == "table" and archive.holds(part)]
    for table in (element for part in parts for element in _elements(archive.read(part), "table")):
        place = _TABLE.fullmatch(table.get("ref", ""))
        if place and table.get("totalsRowCount", "0") != "0" and int(place[2]) == header_row:
            found[int(place[4])] = range(column_index(place[1]), column_index(place[3]) + 1)
    return found


def padded_styles(archive: Archive) -> dict[int, int]:
    """
    Index of a cell style to the digits that its format fills up with zeros: `00000` is 5.

    Postcodes and numbers of customers often are kept that way: the value is 1234, everybody sees 01234.
    """
    workbook = _workbook_part(archive)
    part = next((part for kind, part in _targets(archive, workbook).values() if kind == "styles"), "")
    if not archive.holds(part):
        return {}
    xml = archive.read(part)
    codes = {
        element.get("numFmtId", ""): len(element["formatCode"])
        for element in _elements(xml, "numFmt")
        if _PADDING.match(element.get("formatCode", ""))
    }
    if not codes:
        return {}
    styles = enumerate(_elements(xml, "xf", inside="cellXfs"))
    return {index: codes[style["numFmtId"]] for index, style in styles if style.get("numFmtId") in codes}


def _workbook_part(archive: Archive) -> str:
    for kind, part in _targets(archive, "").values():
        if kind == "officeDocument" and archive.holds(part):
            return part
    if archive.holds("xl/workbook.xml"):
        return "xl/workbook.xml"
    raise Damaged("it has no list of tabs")


def _targets(archive: Archive, part: str) -> Mapping[str, tuple[str, str]]:
    """What a part refers to: id to kind and name of the other part."""
    folder, base = posixpath.split(part)
    rels = posixpath.join(folder, "_rels", f"{base}.rels")
    if not archive.holds(rels):
        return {}
    found = {}
    for element in _elements(archive.read(rels), "Relationship"):
        target = element.get("Target", "").replace("\\", "/")
        path = target.lstrip("/") if target.startswith("/") else posixpath.normpath(posixpath.join(folder, target))
        found[element.get("Id", "")] = (element.get("Type", "").rpartition("/")[2], path)
    return found


def _elements(xml: bytes, name: str, *, inside: str = "") -> Iterator[dict[str, str]]:
    """The attributes of every element of that name; Damaged when the XML is broken or plays tricks with entities."""
    from xml.etree.ElementTree import ParseError

    from defusedxml.common import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    try:
        root = fromstring(xml, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as exc:
        raise Damaged(f"its XML is broken ({exc})") from exc
    scopes = [element for element in root.iter() if _local(element.tag) == inside] if inside else [root]
    for scope in scopes:
        yield from (dict(element.attrib) for element in scope.iter() if _local(element.tag) == name)


def _local(name: str) -> str:
    """The name without its namespace."""
    return name.rpartition("}")[2]
