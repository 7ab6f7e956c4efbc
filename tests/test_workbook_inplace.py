"""Updating a workbook in place: our columns come, and nothing of the user's goes."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from datetime import date
from io import BytesIO
from pathlib import Path
from typing import Any, cast

import openpyxl
import pytest
import xlsxwriter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree
from openpyxl.comments import Comment
from openpyxl.styles import Alignment, Font
from openpyxl.worksheet.datavalidation import DataValidation
from openpyxl.worksheet.table import Table
from python_calamine import CalamineError, CalamineWorkbook

from batcher.errors import InputError
from batcher.sheet import SheetSpec, clean, open_sheet
from batcher.sheet.address import letters
from batcher.sheet.write_xlsx import CUT, MAX_TEXT
from batcher.workbook import CellNote, InPlaceUpdate, WorkbookBusy, WorkbookRefused, Written, update_workbook
from batcher.workbook.links import MAX_LINKS
from batcher.workbook.update import COLOURS, LEGEND

_ROOT = Path(os.environ.get("BATCHER_CORPORA") or Path(__file__).parents[1].parent / "shared" / "corpora")
_PUBLIC = sorted((_ROOT / "calamine" / "tests").glob("*.xls[xm]"))
_MAY_CHANGE = re.compile(
    r"xl/worksheets/sheet1\.xml|xl/worksheets/_rels/.*|xl/styles\.xml|xl/comments.*|xl/drawings/\w*[dD]rawing\d+\.vml"
    r"|\[Content_Types\]\.xml"
)
_HEADER = ("batcher_status", "video_url", "error", "cost")
_URL = "https://files.example.com/a.mp4?Expires=1&Signature=b"
needs_office = pytest.mark.skipif(shutil.which("soffice") is None, reason="LibreOffice (soffice) is not installed")


def make_update(**changes: Any) -> InPlaceUpdate:
    values: dict[str, Any] = {
        "header": _HEADER,
        "rows": {2: ("done", _URL, "", "0.25"), 3: ("failed", "", "the logo is unreachable", "1.5")},
        "notes": [CellNote(row=3, column=1, text="the logo is unreachable")],
        "links": [1],
        "status": 0,
        "numbers": [3],
    }
    return InPlaceUpdate(**{**values, **changes})


def apply(path: Path, update: InPlaceUpdate | None = None, *, tab: str = "Leads", header_row: int = 1) -> Written:
    read = hashlib.sha256(path.read_bytes()).hexdigest()
    return update_workbook(path, tab=tab, header_row=header_row, update=update or make_update(), read_fingerprint=read)


def leads(path: Path, *, start: int = 1, **how: Any) -> tuple[xlsxwriter.Workbook, Any]:
    """A workbook with three columns and two rows, still open for more."""
    book = xlsxwriter.Workbook(str(path), how)
    tab = book.add_worksheet("Leads")
    rows: list[list[Any]] = [["id", "Logo", "Born"], ["001", "a.png", 4], ["002", "b.png", 5]]
    for number, cells in enumerate(rows, start - 1):
        tab.write_row(number, 0, cells)
    return book, tab


def saved(folder: Path, decorate: Callable[[xlsxwriter.Workbook, Any], object] = lambda book, tab: None) -> Path:
    book, tab = leads(folder / "leads.xlsx")
    decorate(book, tab)
    book.close()
    return folder / "leads.xlsx"


def raw(folder: Path, body: str, *, prefix: str = "", tail: str = "") -> Path:
    """A workbook whose tab is exactly this XML."""
    path = saved(folder)
    space = f"xmlns{':' + prefix if prefix else ''}"
    name = f"{prefix}:" if prefix else ""
    xml = (
        f'<{name}worksheet {space}="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
        f"<{name}sheetData>{body}</{name}sheetData>{tail}</{name}worksheet>"
    )
    replace_part(path, "xl/worksheets/sheet1.xml", lambda old: xml.encode())
    return path


def replace_part(path: Path, name: str, change: Callable[[bytes], bytes]) -> None:
    with zipfile.ZipFile(path) as file:
        parts = [(entry.filename, file.read(entry)) for entry in file.infolist()]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for part, content in parts:
            file.writestr(part, change(content) if part == name else content)
        if name not in {part for part, _ in parts}:
            file.writestr(name, change(b""))


def part_of(path: Path, name: str) -> bytes:
    with zipfile.ZipFile(path) as file:
        return file.read(name)


def packed(path: Path) -> list[tuple[str, bytes, tuple[int, ...]]]:
    """Every part as it lies packed in the file, in order."""
    data = path.read_bytes()
    found: list[tuple[str, bytes, tuple[int, ...]]] = []
    with zipfile.ZipFile(path) as file:
        assert file.testzip() is None
        for entry in file.infolist():
            at = entry.header_offset
            start = at + 30 + int.from_bytes(data[at + 26 : at + 28], "little")
            start += int.from_bytes(data[at + 28 : at + 30], "little")
            found.append((entry.filename, data[start : start + entry.compress_size], entry.date_time))
    return found


def values(path: Path) -> dict[str, list[list[Any]]]:
    book = CalamineWorkbook.from_path(path)
    return {name: book.get_sheet_by_name(name).to_python(skip_empty_area=False) for name in book.sheet_names}


def require_kept(before: Path, after: Path, *, tab: str = "Leads", may_change: re.Pattern[str] = _MAY_CHANGE) -> None:
    """Every part but the touched ones has its bytes and place, and every cell of the user's its value."""
    old, new = packed(before), packed(after)
    assert [part for part in new[: len(old)] if not may_change.fullmatch(part[0])] == [
        part for part in old if not may_change.fullmatch(part[0])
    ]
    assert [part[0] for part in new[: len(old)]] == [part[0] for part in old]
    assert all(may_change.fullmatch(part[0]) for part in new[len(old) :])
    then, now = values(before), values(after)
    assert {name: rows for name, rows in now.items() if name != tab} == {
        name: rows for name, rows in then.items() if name != tab
    }
    for number, row in enumerate(then[tab]):
        assert now[tab][number][: len(row)] == row


def updated(path: Path, update: InPlaceUpdate | None = None, **how: Any) -> tuple[Written, Any]:
    """What an update did, and the tab as openpyxl then reads it; the user's part of the file is checked."""
    before = path.with_name(f"before-{path.name}")
    shutil.copy(path, before)
    written = apply(path, update, **how)
    require_kept(before, path)
    return written, openpyxl.load_workbook(path)["Leads"]


def ours(tab: Any, written: Written, number: int) -> list[Any]:
    return [tab.cell(number, column + 1).value for column in written.columns]


def test_adds_our_columns_at_the_right(tmp_path: Path) -> None:
    """The user's three columns stay, ours follow."""
    written, tab = updated(saved(tmp_path))

    assert written.columns == (3, 4, 5, 6)
    assert ours(tab, written, 1) == list(_HEADER)
    assert ours(tab, written, 2) == ["done", _URL, None, 0.25]
    assert ours(tab, written, 3) == ["failed", None, "the logo is unreachable", 1.5]


def test_our_own_reader_reads_the_same_rows_and_our_texts(tmp_path: Path) -> None:
    """What was written is what the next run reads."""
    path = saved(tmp_path)
    before = [row.cells for row in open_sheet(SheetSpec(path=path)).rows()]

    apply(path)

    sheet = open_sheet(SheetSpec(path=path))
    assert sheet.header == ("id", "Logo", "Born", *_HEADER)
    assert [row.cells for row in sheet.rows()] == [
        (*cells, *texts) for cells, texts in zip(before, make_update().rows.values(), strict=True)
    ]


def test_the_same_update_again_writes_nothing(tmp_path: Path) -> None:
    """A run that has nothing new to say leaves the file alone, to its time of change."""
    path = saved(tmp_path)
    first = apply(path)
    standing = path.stat()

    again = apply(path)

    assert (first.changed, again.changed) == (True, False)
    assert again.fingerprint == first.fingerprint == hashlib.sha256(path.read_bytes()).hexdigest()
    assert path.stat() == standing


def test_refreshes_our_columns_where_they_stand(tmp_path: Path) -> None:
    """Also when the user has moved them between other columns."""
    path = saved(tmp_path)
    book, tab = leads(path)
    for column, name in enumerate(("error", "mine", "batcher_status"), 3):
        tab.write(0, column, name)
        tab.write(1, column, f"old {name}")
    book.close()

    written, read = updated_ours(path)

    assert written.columns == (5, 6, 3, 7)
    assert [read.cell(2, column).value for column in (4, 5, 6)] == [None, "old mine", "done"]


def updated_ours(path: Path, update: InPlaceUpdate | None = None) -> tuple[Written, Any]:
    """Like `updated`, where our own cells stand already."""
    return apply(path, update), openpyxl.load_workbook(path)["Leads"]


def test_rows_that_are_not_named_keep_theirs(tmp_path: Path) -> None:
    """An update of one row says nothing about the others, their links and notes included."""
    path = saved(tmp_path)
    kept = ("failed", _URL, "the logo is unreachable", "1.5")
    apply(path, make_update(rows={2: ("done", _URL, "", ""), 3: kept}))

    written, tab = updated_ours(path, make_update(rows={2: ("unsure", "", "", "")}, notes=[]))

    assert ours(tab, written, 2) == ["unsure", None, None, None]
    assert ours(tab, written, 3) == ["failed", _URL, "the logo is unreachable", 1.5]
    assert (tab["E2"].hyperlink, tab["E3"].hyperlink.target) == (None, _URL)
    assert tab["B3"].comment.text == "batcher:\nthe logo is unreachable"


def test_the_state_is_a_colour(tmp_path: Path) -> None:
    """Each word has its colour, which changes with the word; a word of the user's has none."""
    path = saved(tmp_path)
    words = [*COLOURS, "again"]
    rows = {number: (word, "", "", "") for number, word in enumerate(words, 2)}

    _, tab = updated(path, make_update(rows=rows, notes=[]))
    _, turned = updated_ours(path, make_update(rows={2: ("again", "", "", ""), 10: ("done", "", "", "")}, notes=[]))

    colours = [tab.cell(number, 4).fill.fgColor.rgb[2:] for number in rows]
    assert colours == [*COLOURS.values(), "000000"]
    assert (turned["D2"].fill.fill_type, turned["D10"].fill.fgColor.rgb) == (None, "FFC6EFCE")


def test_styles_are_added_to_and_never_renumbered(tmp_path: Path) -> None:
    """Every format that a cell of the user's may refer to stays under its number."""
    path = saved(tmp_path, lambda book, tab: tab.write(3, 0, "x", book.add_format({"bold": True, "num_format": "0.0"})))
    old: Any = etree.fromstring(part_of(path, "xl/styles.xml"))

    apply(path)

    new: Any = etree.fromstring(part_of(path, "xl/styles.xml"))
    for name in ("cellXfs", "fills", "fonts", "numFmts"):
        before, after = (list(root.find(f"{{*}}{name}")) for root in (old, new))
        assert [etree.tostring(one) for one in after[: len(before)]] == [etree.tostring(one) for one in before]
        assert new.find(f"{{*}}{name}").get("count") == str(len(after))


def test_what_a_user_formatted_in_our_columns_stays(tmp_path: Path) -> None:
    """Wrapped error texts stay wrapped, a status cell keeps its border under the new colour."""
    path = saved(tmp_path)
    apply(path)
    book = openpyxl.load_workbook(path)
    book["Leads"]["F3"].alignment = Alignment(wrap_text=True)
    book["Leads"]["D3"].font = Font(italic=True)
    book["Leads"].column_dimensions["F"].width = 77
    book.save(path)

    _, tab = updated_ours(path, make_update(rows={3: ("done", _URL, "fine", "")}, notes=[]))

    assert tab["F3"].alignment.wrap_text
    assert (tab["D3"].font.italic, tab["D3"].fill.fgColor.rgb) == (True, "FFC6EFCE")
    assert tab.column_dimensions["F"].width == 77


def test_links_can_be_clicked(tmp_path: Path) -> None:
    """An address becomes a link whose text is the address; other texts in that column do not."""
    path = saved(tmp_path)
    odd = "https://x.example/a b?q=<1>#part"

    _, tab = updated(
        path, make_update(rows={2: ("done", _URL, "", ""), 3: ("done", odd, "", ""), 4: ("", "soon", "", "")})
    )

    assert (tab["E2"].hyperlink.target, tab["E2"].value) == (_URL, _URL)
    assert (tab["E3"].hyperlink.target, tab["E3"].hyperlink.location) == ("https://x.example/a%20b?q=%3C1%3E", "part")
    assert (tab["E3"].value, tab["E4"].hyperlink) == (odd, None)


def test_the_links_of_the_user_stay(tmp_path: Path) -> None:
    """Outside, to another cell, and in a column beside ours; ours are replaced, not piled up."""

    def link(book: xlsxwriter.Workbook, tab: Any) -> None:
        tab.write_url("A2", "https://mine.example/")
        tab.write_url("A3", "internal:Leads!B2")

    path = saved(tmp_path, link)
    apply(path)

    _, tab = updated_ours(path, make_update(rows={2: ("done", "https://new.example/", "", "")}))

    found = {cell.coordinate: cell.hyperlink.target for row in tab for cell in row if cell.hyperlink}
    assert found == {"A2": "https://mine.example/", "A3": None, "E2": "https://new.example/"}
    relations = part_of(path, "xl/worksheets/_rels/sheet1.xml.rels")
    assert b"files.example.com" not in relations


def test_too_many_and_too_long_links_are_texts_and_told(tmp_path: Path) -> None:
    """A workbook with more than Excel's number of links would be called damaged."""
    path = saved(tmp_path)
    rows = {number: ("", f"https://x.example/{number}", "", "") for number in range(2, MAX_LINKS + 4)}
    rows[2] = ("", "https://x.example/" + "a" * 2079, "", "")

    written = apply(path, make_update(rows=rows, notes=[]))

    assert written.links_left_out == 2
    assert part_of(path, "xl/worksheets/sheet1.xml").count(b"<hyperlink ") == MAX_LINKS


def test_the_reason_stands_on_the_cell_that_caused_it(tmp_path: Path) -> None:
    """A note by batcher, and a legend on the header of the status."""
    _, tab = updated(saved(tmp_path))

    assert (tab["B3"].comment.text, tab["B3"].comment.author) == ("batcher:\nthe logo is unreachable", "batcher")
    assert (tab["D1"].comment.text, tab["D1"].comment.author) == (f"batcher:\n{LEGEND}", "batcher")


def test_our_notes_go_when_their_reason_is_gone(tmp_path: Path) -> None:
    """The next update of a row takes its notes away, their boxes too."""
    path = saved(tmp_path)
    apply(path)

    _, tab = updated_ours(path, make_update(notes=[CellNote(row=2, column=0, text="odd & \n<b>")]))

    assert {cell.coordinate: cell.comment.text for row in tab for cell in row if cell.comment} == {
        "D1": f"batcher:\n{LEGEND}", "A2": "batcher:\nodd & \n<b>"
    }  # fmt: skip
    assert part_of(path, "xl/drawings/vmlDrawing1.vml").count(b"<v:shape ") == 2


def test_our_notes_are_known_without_their_author(tmp_path: Path) -> None:
    """LibreOffice saves notes without author; an old reason must not stand there for good."""
    path = saved(tmp_path, lambda book, tab: tab.write_comment("B2", "batcher: is great"))
    apply(path)
    replace_part(path, "xl/comments1.xml", lambda xml: xml.replace(b"<author>batcher</author>", b"<author> </author>"))

    written, tab = updated_ours(path, make_update(notes=[CellNote(row=2, column=1, text="new")]))

    assert written.notes_left_out == ("B2",)
    assert (tab["B2"].comment.text, tab["B3"].comment) == ("batcher: is great", None)


@pytest.mark.parametrize("maker", ["xlsxwriter", "openpyxl"])
def test_notes_of_the_user_stay(tmp_path: Path, maker: str) -> None:
    """Where one stands already, ours is left out and told."""
    path = saved(tmp_path, lambda book, tab: tab.write_comment("B3", "ask Ann", {"author": "Ann"}))
    if maker == "openpyxl":
        book = openpyxl.load_workbook(path)
        book["Leads"]["B2"].comment = Comment("ask Bob", "Bob")
        book.save(path)

    written, tab = updated(path, make_update(notes=[CellNote(row=3, column=column, text="why") for column in (0, 1)]))

    assert written.notes_left_out == ("B3",)
    assert (tab["B3"].comment.text, tab["B3"].comment.author) == ("ask Ann", "Ann")
    assert tab["A3"].comment.text == "batcher:\nwhy"
    assert maker == "xlsxwriter" or tab["B2"].comment.text == "ask Bob"
    vml = next(part[0] for part in packed(path) if part[0].endswith(".vml"))
    numbers = re.findall(rb'id="(_x0000_s\d+)"', part_of(path, vml))
    assert len(set(numbers)) == len(numbers) == (3 if maker == "xlsxwriter" else 4)


def test_what_looks_like_a_formula_is_a_text(tmp_path: Path) -> None:
    """A reply of the API cannot calculate in the user's spreadsheet, not even when the cell is edited."""
    bad = '=HYPERLINK("http://evil.example","x")'

    written, tab = updated(
        saved(tmp_path), make_update(rows={2: ("@x", "+1", bad, "=1+1"), 3: ("-2", "=2", "\t=1", "1e5")})
    )

    assert ours(tab, written, 2) == ["@x", "+1", bad, "=1+1"]
    assert [tab.cell(2, column + 1).data_type for column in written.columns] == ["s"] * 4
    assert (tab["F2"].number_format, tab["G3"].value) == ("@", "1e5")
    assert b"<f>" not in part_of(tmp_path / "leads.xlsx", "xl/worksheets/sheet1.xml")


@pytest.mark.parametrize(
    "text", ["a\x00b\x1b", "\ud800", "a\r\nb", " spaced ", "]]>&amp;<t>", "_x000D_", "ÄÖ 👩‍🚀", "0x1F"]
)
def test_odd_texts_come_back(tmp_path: Path, text: str) -> None:
    """Cleaned as everywhere, else exactly; a code such as _x000D_ is no line break."""
    path = saved(tmp_path)

    apply(path, make_update(rows={2: (text, text, text, text)}, notes=[CellNote(row=2, column=0, text=text)]))

    assert values(path)["Leads"][1][3:] == [clean(text)] * 4


def test_a_text_too_long_for_a_cell_is_cut_where_it_shows(tmp_path: Path) -> None:
    """A cell holds 32,767 characters."""
    written, tab = updated(saved(tmp_path), make_update(rows={2: ("done", "", "x" * 40_000, "")}, notes=[]))

    assert ours(tab, written, 2)[2] == "x" * (MAX_TEXT - len(CUT)) + CUT


@pytest.mark.parametrize("text", ["007", "1.50", "1e5", "1,5", "12345678901234567", "-0", "", " 1"])
def test_only_plain_numbers_become_numbers(tmp_path: Path, text: str) -> None:
    """What would come back as another text stays a text."""
    written, tab = updated(saved(tmp_path), make_update(rows={2: ("done", "", "", text)}, notes=[]))

    assert ours(tab, written, 2)[3] == (text or None)


def decorated(book: xlsxwriter.Workbook, tab: Any) -> None:
    """All that people put into workbooks."""
    tab.write_formula("A5", '="x"&B2', None, "cached")
    tab.write_datetime("B5", date(2026, 11, 20), book.add_format({"num_format": "yyyy-mm-dd"}))
    tab.merge_range("A7:C7", "a heading", book.add_format({"align": "center"}))
    tab.set_row(1, 30, book.add_format({"italic": True}), {"hidden": True})
    tab.set_column("A:A", 33)
    tab.freeze_panes(1, 1)
    tab.autofilter("A1:C3")
    tab.data_validation("B2:B9", {"validate": "list", "source": ["a.png", "b.png"]})
    tab.conditional_format("C2:C9", {"type": "data_bar"})
    tab.insert_image("A12", "dot.png", {"image_data": BytesIO(_DOT)})
    chart = book.add_chart({"type": "line"})
    chart.add_series({"values": "=Leads!$C$2:$C$3"})
    tab.insert_chart("A15", chart)
    tab.set_header("&CConfidential")
    tab.print_area("A1:C9")
    tab.ignore_errors({"number_stored_as_text": "A1:A9"})
    other = book.add_worksheet("Other")
    other.write_formula("A1", "=SUM(Leads!C2:C3)", None, 9)
    other.add_table("C3:D5", {"name": "Elsewhere"})
    book.define_name("Born", "=Leads!$C$2:$C$3")


_DOT = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010804000000b51c0c020000000b4944415478da6364f80f00010501012718e366"
    "0000000049454e44ae426082"
)


def test_all_that_people_put_into_workbooks_survives(tmp_path: Path) -> None:
    """Every part but the tab's is untouched, and the tab keeps all its members in Excel's order."""
    path = saved(tmp_path, decorated)
    old = etree.fromstring(part_of(path, "xl/worksheets/sheet1.xml"))

    _, tab = updated(path)

    new = etree.fromstring(part_of(path, "xl/worksheets/sheet1.xml"))
    changed = {"sheetData", "cols", "dimension", "hyperlinks", "legacyDrawing"}
    kept = [etree.tostring(one) for one in new if etree.QName(one).localname not in changed]
    assert kept == [etree.tostring(one) for one in old if etree.QName(one).localname not in changed]
    assert [etree.QName(one).localname for one in new if etree.QName(one).localname in changed] == [
        "dimension", "cols", "sheetData", "hyperlinks", "legacyDrawing"
    ]  # fmt: skip
    assert (tab.column_dimensions["A"].width, tab.row_dimensions[2].hidden, tab.row_dimensions[2].height) == (
        33.7109375,
        True,
        30,
    )
    assert (tab["A5"].value, values(path)["Leads"][4][0]) == ('="x"&B2', "cached")


def test_a_table_is_left_alone(tmp_path: Path) -> None:
    """Ours stand right of it: a table whose header is not the cells' would be called damaged."""
    path = saved(tmp_path, lambda book, tab: tab.add_table("A1:D3", {"columns": [{"header": name} for name in "wxyz"]}))

    written, tab = updated(path)

    assert written.columns == (4, 5, 6, 7)
    assert [table.ref for table in tab.tables.values()] == ["A1:D3"]


def test_an_empty_table_at_the_right_keeps_its_room(tmp_path: Path) -> None:
    """It has no header and no texts yet; what is typed there later belongs to it."""
    path = saved(tmp_path, lambda book, tab: tab.add_table("F2:H5", {"header_row": False}))

    written, _ = updated(path)

    assert written.columns == (8, 9, 10, 11)


def test_a_workbook_that_was_written_as_a_stream(tmp_path: Path) -> None:
    """Web services write sizes behind each part; ours stand before it, and no part says otherwise."""
    path = saved(tmp_path)
    with zipfile.ZipFile(path) as file:
        parts = [(name, file.read(name)) for name in file.namelist()]
    with path.open("wb") as stream, zipfile.ZipFile(cast(Any, Unseekable(stream)), "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in parts:
            file.writestr(name, content)

    updated(path)

    with zipfile.ZipFile(path) as file:
        assert not any(entry.flag_bits & 8 for entry in file.infolist())


class Unseekable:
    """A file that can only be written on."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def write(self, data: bytes, /) -> int:
        return int(self._file.write(data))

    def flush(self) -> None:
        self._file.flush()


def test_room_is_found_right_of_merged_cells_filters_and_stray_texts(tmp_path: Path) -> None:
    """Nothing of the user's is written over or covers ours."""
    path = saved(
        tmp_path,
        lambda book, tab: (tab.merge_range("C3:F3", "wide"), tab.write("H9", "stray"), tab.autofilter("A1:I9")),
    )

    written, _ = updated(path)

    assert written.columns == (9, 10, 11, 12)


def test_hidden_columns_at_the_right_do_not_hide_ours(tmp_path: Path) -> None:
    """People hide all columns that they do not use; those between stay hidden."""
    path = saved(tmp_path, lambda book, tab: tab.set_column("D:XFD", None, None, {"hidden": True}))

    apply(path)

    columns: Any = etree.fromstring(part_of(path, "xl/worksheets/sheet1.xml")).find("{*}cols")
    shown = [(one.get("min"), one.get("max"), one.get("hidden")) for one in columns]
    assert shown == [*((str(n), str(n), None) for n in range(4, 8)), ("8", "16384", "1")]


def test_a_header_further_down_and_columns_beyond_z(tmp_path: Path) -> None:
    """Titles above the header are no columns, and AA follows Z."""
    book, tab = leads(tmp_path / "leads.xlsx", start=4)
    tab.write_row(3, 3, [f"column {number}" for number in range(3, 30)])
    tab.merge_range("A1:AZ1", "The title")
    book.close()

    written, read = updated(
        tmp_path / "leads.xlsx", make_update(rows={5: ("done", _URL, "", "")}, notes=[]), header_row=4
    )

    assert [letters(column) for column in written.columns] == ["AE", "AF", "AG", "AH"]
    assert (read["AE4"].value, read["AE5"].value, read["AE1"].value) == ("batcher_status", "done", None)


def test_rows_that_the_tab_does_not_have_are_made(tmp_path: Path) -> None:
    """Between others and at the end; a row without any text is not made."""
    path = raw(
        tmp_path, '<row r="1"><c r="A1" t="inlineStr"><is><t>id</t></is></c></row><row r="5" ht="30" customHeight="1"/>'
    )

    _, tab = updated(
        path, make_update(rows={n: ("done" if n != 4 else "", "", "", "") for n in (3, 4, 5, 9)}, notes=[])
    )

    assert [tab.cell(number, 2).value for number in (3, 4, 5, 9)] == ["done", None, "done", "done"]
    assert tab.row_dimensions[5].height == 30
    assert re.findall(rb'<row r="(\d)"', part_of(path, "xl/worksheets/sheet1.xml")) == [b"1", b"3", b"5", b"9"]


def inline(text: str, prefix: str = "", place: str = "") -> str:
    return f'<{prefix}c{place} t="inlineStr"><{prefix}is><{prefix}t>{text}</{prefix}t></{prefix}is></{prefix}c>'


_HEAD = inline("id", place=' r="A1"')
_AWKWARD = {
    "prefixed names": ("x", f'<x:row r="1">{inline("id", "x:")}</x:row><x:row r="2"/>'),
    "cells without places": ("", f"<row>{inline('id')}{inline('n')}</row><row><c/><c><v>7</v></c></row>"),
    "comments": ("", f'<!-- <row r="9"> --><row r="1">{_HEAD}</row><row r="2"></row>'),
    "CDATA": ("", f'<row r="1">{inline("<![CDATA[<id> </row>]]>")}</row><row r="2"></row>'),
    "single quotes": ("", f"<row r='1' spans='1:1'>{_HEAD}</row>\n<row r='2'>\n<c r='A2' s='0'><v>1</v></c>\n</row>\n"),
    "an extension in the row": ("", f'<row r="1">{_HEAD}<extLst/></row>'),
}


@pytest.mark.parametrize("how", _AWKWARD)
def test_awkward_xml_is_updated_too(tmp_path: Path, how: str) -> None:
    """What other programs write, as long as it is XML."""
    prefix, body = _AWKWARD[how]
    path = raw(tmp_path, body, prefix=prefix)

    written, tab = updated(path, make_update(notes=[CellNote(row=2, column=0, text="x")]))

    assert ours(tab, written, 1) == list(_HEADER)
    assert ours(tab, written, 2)[0] == "done"
    assert not apply(path, make_update(notes=[CellNote(row=2, column=0, text="x")])).changed


def test_an_open_workbook_is_left_alone(tmp_path: Path) -> None:
    """Excel and LibreOffice put a lock file beside it; what they save later would undo ours."""
    path = saved(tmp_path)
    before = path.read_bytes()

    for lock in ("~$leads.xlsx", ".~lock.leads.xlsx#"):
        (tmp_path / lock).write_bytes(b"Ann")
        with pytest.raises(WorkbookBusy, match="close it"):
            apply(path)
        (tmp_path / lock).unlink()

    assert path.read_bytes() == before


def test_a_workbook_that_changed_since_it_was_read_is_left_alone(tmp_path: Path) -> None:
    """The rows may have moved: results would stand beside the wrong people."""
    path = saved(tmp_path)

    with pytest.raises(WorkbookBusy, match="has changed since it was read"):
        update_workbook(path, tab="Leads", header_row=1, update=make_update(), read_fingerprint="0" * 64)


_PROTECTED = '<sheetProtection sheet="1" objects="1"/>'
_ROW = '<row r="1"><c r="A1" t="inlineStr"><is><t>id</t></is></c></row>'


def refusals() -> Iterator[tuple[str, Callable[[Path], Path], str]]:
    def changed(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path], Path]:
        def make(folder: Path) -> Path:
            path = saved(folder)
            replace_part(path, name, change)
            return path

        return make

    def ole(folder: Path) -> Path:
        (folder / "leads.xlsx").write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600))
        return folder / "leads.xlsx"

    sheet = "xl/worksheets/sheet1.xml"
    strict = b"http://purl.oclc.org/ooxml/spreadsheetml/main"
    yield "encrypted", ole, "protected by a password"
    yield "protected", lambda folder: raw(folder, _ROW, tail=_PROTECTED), "the tab Leads is protected"
    yield "signed", changed("_xmlsignatures/origin.sigs", lambda _: b""), "signed"
    yield (
        "strict",
        changed(sheet, lambda xml: xml.replace(b"http://schemas.openxmlformats.org/spreadsheetml/2006/main", strict)),
        "Strict Open XML",
    )
    yield "history", changed("xl/revisions/revisionHeaders.xml", lambda _: b"<x/>"), "history of changes"
    yield "out of order", lambda folder: raw(folder, _ROW + '<row r="3"/><row r="2"/>'), "out of order"
    yield "no header", lambda folder: raw(folder, ""), "no column names"
    yield "no room", lambda folder: raw(folder, _ROW.replace("A1", "XFD1")), "no room"
    yield (
        "doctype",
        changed(sheet, lambda xml: b"<!DOCTYPE a [<!ENTITY b 'c'>]>" + xml.partition(b"?>")[2]),
        "document type",
    )
    yield "damaged", changed(sheet, lambda xml: xml[:-20]), "broken|do not end"


@pytest.mark.parametrize(("make", "words"), [pytest.param(*case[1:], id=case[0]) for case in refusals()])
def test_what_cannot_be_updated_safely_is_refused_in_a_sentence(
    tmp_path: Path, make: Callable[[Path], Path], words: str
) -> None:
    """And stands as it was."""
    path = make(tmp_path)
    before = path.read_bytes()

    with pytest.raises(WorkbookRefused, match=words):
        apply(path)

    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["leads.xlsx"]


def test_a_formula_in_our_column_is_not_written_over(tmp_path: Path) -> None:
    """Its place in the chain of calculation would point to nothing, which Excel calls damage."""
    path = saved(tmp_path, lambda book, tab: (tab.write("D1", "error"), tab.write_formula("D2", "=A2")))

    with pytest.raises(WorkbookRefused, match="D2 holds a formula, but column error is ours"):
        apply(path)


def test_a_header_in_a_pivot_table_is_refused(tmp_path: Path) -> None:
    """A pivot table that grows writes over its neighbours."""
    path = saved(tmp_path)
    office = b"http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    relations = (
        b"<Relationships xmlns='http://schemas.openxmlformats.org/package/2006/relationships'>%b</Relationships>"
    )
    one = b"<Relationship Id='p' Type='%b/pivotTable' Target='../pivotTables/pivotTable1.xml'/>" % office
    main = b"http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    pivot = b"<pivotTableDefinition xmlns='%b'><location ref='A1:C9'/></pivotTableDefinition>" % main
    replace_part(path, "xl/worksheets/_rels/sheet1.xml.rels", lambda _: relations % one)
    replace_part(path, "xl/pivotTables/pivotTable1.xml", lambda _: pivot)

    with pytest.raises(WorkbookRefused, match="row 1 belongs to a pivot table"):
        apply(path)


def test_a_missing_tab_and_another_kind_of_file_are_refused(tmp_path: Path) -> None:
    """By name."""
    path = saved(tmp_path)
    with pytest.raises(WorkbookRefused, match="no tab Lost"):
        apply(path, tab="Lost")

    with pytest.raises(WorkbookRefused, match=r"only \.xlsx and \.xlsm can"):
        apply(path.rename(tmp_path / "leads.xlsb"))


def test_an_update_that_does_not_fit_together_is_a_bug(tmp_path: Path) -> None:
    """Nobody's workbook is at fault."""
    for wrong in (
        {"rows": {2: ("done",)}},
        {"rows": {1: ("", "", "", "")}},
        {"status": 4},
        {"header": ("a", "a", "b", "c")},
    ):
        with pytest.raises(ValueError, match=r"columns|indexes|row"):
            apply(saved(tmp_path), make_update(**wrong))


def test_openpyxl_workbooks_with_tables_and_validations(tmp_path: Path) -> None:
    """A workbook by the library that most scripts use."""
    book = openpyxl.Workbook()
    tab: Any = book.active
    tab.title = "Leads"
    for row in (["id", "Logo", "Born"], ["001", "a.png", date(2026, 1, 2)], ["002", "b.png", 7.5]):
        tab.append(row)
    tab.add_table(Table(displayName="People", ref="A1:C3"))
    tab.add_data_validation(DataValidation(type="list", formula1='"a,b"', sqref="B2:B3"))
    tab["A1"].comment = Comment("the id", "Ann")
    book.save(tmp_path / "leads.xlsx")

    written, read = updated(tmp_path / "leads.xlsx")

    assert ours(read, written, 3) == ["failed", None, "the logo is unreachable", 1.5]
    assert (read["A1"].comment.text, read["C2"].value.year) == ("the id", 2026)
    assert read.data_validations.dataValidation[0].sqref.ranges.pop().coord == "B2:B3"


@pytest.mark.parametrize(
    "path",
    _PUBLIC or [pytest.param(None, marks=pytest.mark.skip(reason=f"no public test files at {_ROOT}"))],
    ids=lambda path: path.name if path else "",
)
def test_public_workbooks_are_updated_or_refused(tmp_path: Path, path: Path) -> None:
    """Every tab of every one; nothing ends otherwise, and nothing else changes."""
    try:
        tabs = {name: rows for name, rows in values(path).items() if any(map(any, rows))}
    except CalamineError:
        tabs = {"Sheet1": []}
    except BaseException as exc:
        if type(exc).__name__ != "PanicException":
            raise
        tabs = {"Sheet1": []}
    for tab, rows in tabs.items():
        number = next((at for at, row in enumerate(rows, 1) if any(map(str, row))), 1)
        work = tmp_path / path.name
        shutil.copy(path, work)
        update = make_update(
            rows={number + 1: ("done", _URL, "=1", "2"), number + 3: ("failed", "", "x", "")},
            notes=[CellNote(row=number + 1, column=0, text="why")],
        )
        try:
            written = apply(work, update, tab=tab, header_row=number)
        except InputError as exc:
            assert str(exc).startswith(path.name)
            continue
        require_kept(
            path,
            work,
            tab=tab,
            may_change=re.compile(
                r".*(sheet\w*\.xml|\.rels|styles\w*\.xml|comments\w*\.xml|\.vml|\[Content_Types\]\.xml)"
            ),
        )
        assert [values(work)[tab][number][column] for column in written.columns] == ["done", _URL, "=1", 2]
        assert not apply(work, update, tab=tab, header_row=number).changed


def office(folder: Path, path: Path, kind: str) -> Path:
    """The file as LibreOffice converts it."""
    home = f"-env:UserInstallation=file://{folder}/profile"
    command = ["soffice", home, "--headless", "--convert-to", kind, "--outdir", str(folder / "out"), str(path)]
    done = subprocess.run(command, capture_output=True, timeout=120, check=True)
    assert b"rror" not in done.stderr + done.stdout
    return folder / "out" / path.with_suffix(f".{kind.partition(':')[0]}").name


@needs_office
@pytest.mark.filterwarnings("ignore:.*extension is not supported")
def test_a_workbook_by_libreoffice_is_updated_and_read_by_it_again(tmp_path: Path) -> None:
    """It finds our texts, no formula among them, and all of the user's."""
    path = office(tmp_path, saved(tmp_path, decorated), "xlsx:Calc MS Excel 2007 XML")
    before = path.with_name("before.xlsx")
    shutil.copy(path, before)

    written = apply(path, make_update(rows={2: ("done", _URL, "=1+1", "0.25"), 3: ("failed", "", "@x\ny", "")}))

    require_kept(before, path)
    (tmp_path / "again").mkdir()
    again = office(tmp_path / "again", path, "xlsx:Calc MS Excel 2007 XML")
    tab = openpyxl.load_workbook(again)["Leads"]
    assert ours(tab, written, 2) == ["done", _URL, "=1+1", 0.25]
    assert [tab.cell(2, column + 1).data_type for column in written.columns] == ["s", "s", "s", "n"]
    assert (tab["E2"].hyperlink.target, tab["B3"].comment.text) == (_URL, "batcher:\nthe logo is unreachable")
    assert (tab["A5"].value, tab["D2"].fill.fgColor.rgb) == ('="x"&B2', "FFC6EFCE")
    assert apply(again, make_update(notes=[])).columns == written.columns


_texts = st.text(st.characters(codec="utf-8", exclude_characters="\ufffe\uffff"), max_size=8)
_cells = st.one_of(
    st.none(), _texts.map(clean).filter(lambda text: not text.startswith("=")), st.integers(-999, 999), st.booleans()
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    grid=st.lists(st.lists(_cells, min_size=1, max_size=5), max_size=6),
    updates=st.lists(
        st.dictionaries(st.integers(2, 9), st.tuples(_texts, _texts, _texts), max_size=5), min_size=1, max_size=3
    ),
)
def test_any_updates_over_any_sheet_come_back(
    tmp_path: Path, grid: list[list[Any]], updates: list[dict[int, tuple[str, ...]]]
) -> None:
    """The last word about a row stands, and the user's cells never move."""
    path = tmp_path / "leads.xlsx"
    book = openpyxl.Workbook()
    tab: Any = book.active
    tab.title = "Leads"
    for row in [["id"], *grid]:
        tab.append(row)
    book.save(path)
    before = tmp_path / "before.xlsx"
    shutil.copy(path, before)
    names, expected = ("batcher_status", "video_url", "error"), dict[int, tuple[str, ...]]()

    for rows in updates:
        update = make_update(header=names, rows=rows, notes=[], numbers=[])
        written = apply(path, update)
        expected.update(rows)
        assert not apply(path, update).changed

    require_kept(before, path)
    read = dict(enumerate(values(path)["Leads"], 1))
    for number, texts in expected.items():
        cells = read.get(number, [])
        assert tuple(cells[column] if column < len(cells) else "" for column in written.columns) == tuple(
            map(clean, texts)
        )
