"""
Notes on cells: ours carry our name and come and go, everybody else's stay.

The name stands in the text too, as Excel itself begins notes: LibreOffice (seen in 7.4) saves them without author.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from lxml import etree

from batcher.sheet.write_xlsx import fit
from batcher.workbook.cell_xml import coded
from batcher.workbook.names import MAIN, OFFICE, Broken, main, parse, serialised
from batcher.workbook.note_shapes import NoShapes, reshaped
from batcher.workbook.package import Package
from batcher.workbook.place import Area, area, cell_name
from batcher.workbook.relations import Relations
from batcher.workbook.shared import rich_text
from batcher.workbook.tab_xml import TabXml
from batcher.workbook.update import LEGEND, CellNote

AUTHOR = "batcher"
_OPENING = f"{AUTHOR}:\n"
_ID = f"{{{OFFICE}}}id"
_NOTES_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.comments+xml"
_VML_TYPE = "application/vnd.openxmlformats-officedocument.vmlDrawing"


def texts_by_cell(notes: Sequence[CellNote], *, header_row: int, status: int) -> dict[str, str]:
    """Cell to the text of our note there: the reasons, and the legend on the header of the column `status`."""
    texts: dict[str, list[str]] = {cell_name(status, header_row): [LEGEND]}
    for note in notes:
        column = status if note.column is None else note.column
        texts.setdefault(cell_name(column, note.row), []).append(note.text)
    return {cell: fit(_OPENING + "\n".join(dict.fromkeys(lines))) for cell, lines in texts.items() if any(lines)}


def set_notes(
    package: Package,
    tab: TabXml,
    relations: Relations,
    wanted: Mapping[str, str],
    *,
    is_ours: Callable[[Area], bool],
    stays: Callable[[Area, str], bool],
) -> tuple[str, ...]:
    """
    Put our notes on cells, and take away those of ours that are no longer wanted.

    Args:
        wanted: Cell, such as `C17`, to text.

        is_ours: True for a cell whose note is ours to set.

        stays: True for a line of an earlier note of ours that goes on standing on its cell.

    Returns:
        The cells that carry a note of the user's, where ours therefore was not put.

    Raises:
        Broken: The parts that hold the notes are not what they should be.
    """
    part = next((part for _, part in relations.parts("comments")), None)
    root = parse(package.read(part)) if part else _empty()
    theirs, ours = _told_apart(root, is_ours)
    earlier = {cell: rich_text(_text_of(note)) for cell, note in ours.items()}
    put = {cell: text for cell, text in wanted.items() if cell not in theirs}
    for cell, text in earlier.items():
        lines = [line for line in text.removeprefix(_OPENING).splitlines() if (at := area(cell)) and stays(at, line)]
        if lines:
            new = put.get(cell, "").removeprefix(_OPENING).splitlines()
            put[cell] = fit(_OPENING + "\n".join(dict.fromkeys([*lines, *new])))
    if earlier != put:
        _set_texts(root, list(ours.values()), put)
        _set_boxes(package, tab, relations, gone=list(ours), new=put)
        _store(package, relations, part, serialised(root))
    return tuple(cell for cell in wanted if cell in theirs)


def _empty() -> etree._Element:
    root = etree.Element(main("comments"), nsmap={None: MAIN})
    etree.SubElement(root, main("authors"))
    etree.SubElement(root, main("commentList"))
    return root


def _told_apart(root: etree._Element, is_ours: Callable[[Area], bool]) -> tuple[set[str], dict[str, etree._Element]]:
    """The cells with a note of somebody else, or one of ours that is not to be touched; and our others."""
    authors = [element.text or "" for element in root.iter(main("author"))]
    theirs: set[str] = set()
    ours: dict[str, etree._Element] = {}
    for note in root.iter(main("comment")):
        place = area(note.get("ref", ""))
        number = int(note.get("authorId", "0"))
        if place is None:
            continue
        author = authors[number].strip() if number < len(authors) else ""
        if _is_by_us(author, rich_text(_text_of(note))) and is_ours(place):
            ours[str(place)] = note
        else:
            theirs.add(str(place))
    return theirs, ours


def _is_by_us(author: str, text: str) -> bool:
    return author == AUTHOR or (not author and text.startswith(_OPENING))


def _text_of(note: etree._Element) -> etree._Element:
    found = note.find(main("text"))
    return etree.Element(main("text")) if found is None else found


def _set_texts(root: etree._Element, gone: list[etree._Element], new: Mapping[str, str]) -> None:
    authors, into = root.find(main("authors")), root.find(main("commentList"))
    if authors is None or into is None:
        raise Broken("its notes are broken")
    names = [element.text or "" for element in authors]
    if AUTHOR not in names:
        etree.SubElement(authors, main("author")).text = AUTHOR
        names.append(AUTHOR)
    for note in gone:
        into.remove(note)
    author = str(names.index(AUTHOR))
    for cell, text in new.items():
        note = etree.SubElement(into, main("comment"), {"ref": cell, "authorId": author, "shapeId": "0"})
        run = etree.SubElement(etree.SubElement(note, main("text")), main("r"))
        looks = etree.SubElement(run, main("rPr"))
        for name, value in (("sz", "9"), ("rFont", "Tahoma"), ("family", "2")):
            etree.SubElement(looks, main(name), val=value)
        shown = etree.SubElement(run, main("t"))
        shown.set("{http://www.w3.org/XML/1998/namespace}space", "preserve")
        shown.text = coded(text)


def _set_boxes(package: Package, tab: TabXml, relations: Relations, *, gone: list[str], new: Mapping[str, str]) -> None:
    drawing = tab.child("legacyDrawing")
    key = "" if drawing is None else drawing.get(_ID, "")
    part = next((part for found, part in relations.parts("vmlDrawing") if found == key), None)
    if drawing is not None and part is None:
        raise Broken("the boxes of its notes are missing")
    old = package.read(part) if part else None
    places = {cell: place for cell in (*gone, *new) if (place := area(cell))}
    boxes = {turn: (places[cell], text) for turn, (cell, text) in enumerate(new.items())}
    try:
        vml = reshaped(old, gone=[places[cell] for cell in gone], new=boxes)
    except NoShapes as exc:
        raise Broken(str(exc)) from exc
    if part is None:
        part = package.free_name("xl/drawings/vmlDrawing{}.vml")
        tab.made("legacyDrawing").set(_ID, relations.add_part("vmlDrawing", part))
        package.declare(extensions={"vml": _VML_TYPE}, parts={})
    package.put(part, vml)


def _store(package: Package, relations: Relations, part: str | None, xml: bytes) -> None:
    if part is None:
        part = package.free_name("xl/comments{}.xml")
        relations.add_part("comments", part)
        package.declare(extensions={"xml": "application/xml"}, parts={part: _NOTES_TYPE})
    package.put(part, xml)
