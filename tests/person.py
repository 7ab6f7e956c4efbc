"""A person at a spreadsheet program: types into one tab and saves, and everything else in the file stays as it was."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lxml import etree

MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
SHEET = "xl/worksheets/sheet1.xml"
MAY_CHANGE = re.compile(
    r"xl/worksheets/sheet1\.xml|xl/worksheets/_rels/sheet1\.xml\.rels|xl/styles\.xml|xl/comments.*"
    r"|xl/drawings/\w*[dD]rawing\d+\.vml|\[Content_Types\]\.xml"
)
"""The parts that an update of the first tab may change, and no other."""


@dataclass(frozen=True, slots=True)
class Formula:
    """
    A formula with the value that the program has calculated.

    Attributes:
        text: Without the equals sign.
        value: A text, or a number.
    """

    text: str
    value: str | float


def type_into(path: Path, cells: Mapping[str, str | Formula]) -> None:
    """Type into cells of the first tab (`C7` to its text or formula) and save; their formats stay."""
    parts = parts_of(path)
    tab = etree.fromstring(parts[SHEET])
    for address, content in cells.items():
        cell = _cell(tab, address)
        for child in list(cell):
            cell.remove(child)
        if isinstance(content, Formula):
            cell.set("t", "str" if isinstance(content.value, str) else "n")
            etree.SubElement(cell, f"{MAIN}f").text = content.text
            etree.SubElement(cell, f"{MAIN}v").text = str(content.value)
        else:
            cell.set("t", "inlineStr")
            etree.SubElement(etree.SubElement(cell, f"{MAIN}is"), f"{MAIN}t").text = content
    parts[SHEET] = etree.tostring(tab, xml_declaration=True, encoding="UTF-8", standalone=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in parts.items():
            file.writestr(name, data)


def parts_of(path: Path) -> dict[str, bytes]:
    """Every part of a workbook by its name, in order."""
    with zipfile.ZipFile(path) as file:
        return {name: file.read(name) for name in file.namelist()}


def cells_of(path: Path, part: str = SHEET) -> dict[str, bytes]:
    """The cells of a tab by their addresses, each as the XML that it is; one that holds and shows nothing is none."""
    tab = etree.fromstring(parts_of(path)[part])
    return {
        str(cell.get("r")): etree.tostring(cell, method="c14n2")
        for cell in tab.iter(f"{MAIN}c")
        if len(cell) or cell.get("s", "0") != "0"
    }


def surroundings_of(path: Path, part: str = SHEET) -> list[bytes]:
    """What a tab says beside its cells: panes, filters, conditional formats, lists, merged cells, print settings."""
    tab = etree.fromstring(parts_of(path)[part])
    ours = {"sheetData", "cols", "dimension", "hyperlinks", "legacyDrawing"}
    return [etree.tostring(each, method="c14n2") for each in tab if etree.QName(each).localname not in ours]


def require_kept(before: Path, after: Path, *, columns: str, typed: Mapping[str, object]) -> None:
    """
    Nothing of the person's is changed.

    Args:
        columns: The letters of the person's columns.
        typed: The cells that the person has typed into in between.
    """
    old, new = parts_of(before), parts_of(after)
    assert {name: data for name, data in new.items() if not MAY_CHANGE.fullmatch(name)} == {
        name: data for name, data in old.items() if not MAY_CHANGE.fullmatch(name)
    }
    assert surroundings_of(after) == surroundings_of(before)
    assert _theirs(after, columns, typed) == _theirs(before, columns, typed)


def _theirs(path: Path, columns: str, typed: Mapping[str, object]) -> dict[str, bytes]:
    found = cells_of(path).items()
    return {at: xml for at, xml in found if at.rstrip("0123456789") in columns and at not in typed}


def _cell(tab: Any, address: str) -> Any:
    found = tab.find(f".//{MAIN}c[@r='{address}']")
    assert found is not None, f"there is no cell {address} yet"
    return found
