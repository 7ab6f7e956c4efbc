"""Reading workbooks: what a person sees in the cells, and warnings about what the person does not see."""

from __future__ import annotations

import zipfile
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.errors import InputError
from batcher.model import Row
from batcher.sheet import SheetSpec, open_sheet
from batcher.sheet.cell_text import text_of, texts_of
from batcher.sheet.workbook import Grid

_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def front(book: openpyxl.Workbook) -> Any:
    """The tab that opens first; it may be a chart, says its type, which it never is here."""
    return book.active


def saved(folder: Path, *rows: list[Any], name: str = "leads.xlsx") -> Path:
    book = openpyxl.Workbook()
    for row in rows:
        front(book).append(row)
    front(book).title = "Leads"
    book.save(folder / name)
    return folder / name


def raw(folder: Path, cells: str, *, root: str = "<worksheet xmlns='{}'>{}</worksheet>") -> Path:
    """A workbook with one tab of exactly this XML, as hostile or careless programs write it."""
    parts = {
        "[Content_Types].xml": "<Types xmlns='http://schemas.openxmlformats.org/package/2006/content-types'/>",
        "_rels/.rels": f"<Relationships xmlns='{_RELATIONS}'><Relationship Id='r1' Type='{_OFFICE}/officeDocument' "
        "Target='xl/workbook.xml'/></Relationships>",
        "xl/_rels/workbook.xml.rels": f"<Relationships xmlns='{_RELATIONS}'><Relationship Id='r1' "
        f"Type='{_OFFICE}/worksheet' Target='worksheets/sheet1.xml'/></Relationships>",
        "xl/workbook.xml": f"<workbook xmlns='{_MAIN}' xmlns:r='{_OFFICE}'><sheets>"
        "<sheet name='Leads' sheetId='1' r:id='r1'/></sheets></workbook>",
        "xl/worksheets/sheet1.xml": root.format(_MAIN, cells),
    }
    path = folder / "raw.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, text in parts.items():
            file.writestr(name, text)
    return path


def text_cell(ref: str, text: str) -> str:
    return f'<c r="{ref}" t="inlineStr"><is><t>{text}</t></is></c>'


def rows_of(path: Path, **how: Any) -> list[Row]:
    return list(open_sheet(SheetSpec(path=path, **how)).rows())


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (7.0, "7"),
        (-0.5, "-0.5"),
        (1.1, "1.1"),
        (True, "TRUE"),
        (False, "FALSE"),
        (date(2026, 11, 20), "2026-11-20"),
        (datetime(2026, 11, 20, 13, 5), "2026-11-20 13:05:00"),
        (datetime(2026, 11, 20, 13, 4, 59, 999999), "2026-11-20 13:05:00"),
        (time(9, 30), "09:30:00"),
        (timedelta(hours=30, minutes=1), "30:01:00"),
        (timedelta(seconds=-90), "-00:01:30"),
        ("007", "007"),
        (None, ""),
    ],
)
def test_every_value_has_one_text(value: object, text: str) -> None:
    """Whole numbers without a point, dates as ISO, texts untouched."""
    assert text_of(value) == text


def test_texts_stay_texts(tmp_path: Path) -> None:
    """A text that looks like a number, a date or a missing value is none."""
    odd = ["007", "NA", "null", "1e5", "  lead", "=not a formula", "a\nb"]
    path = saved(tmp_path, [f"c{i}" for i in range(len(odd))])
    book = openpyxl.load_workbook(path)
    for column, text in enumerate(odd, 1):
        front(book).cell(2, column, text).data_type = "s"
    book.save(path)

    assert rows_of(path)[0].cells == tuple(odd)


def test_empty_rows_and_columns_at_the_beginning_do_not_shift(tmp_path: Path) -> None:
    """Numbers and letters are those that the spreadsheet shows."""
    path = saved(tmp_path, [], [], [None, None, "id"], [None, None, 7])

    with pytest.raises(InputError, match="write header_row: 3"):
        open_sheet(SheetSpec(path=path), needs=["id"])
    sheet = open_sheet(SheetSpec(path=path, header_row=3), needs=["id"])
    assert sheet.column("id") == 2
    assert [(row.number, row.cells[2]) for row in sheet.rows()] == [(4, "7")]
    assert sheet.where(2, 4) == "Leads!C4"


def test_error_values_are_flaws_and_not_blank(tmp_path: Path) -> None:
    """The reader takes them for empty cells."""
    row = rows_of(saved(tmp_path, ["id", "logo"], ["#REF!", "x"], [1, "#N/A"]))

    assert [(r.cells, dict(r.flaws)) for r in row] == [
        (("#REF!", "x"), {0: "shows #REF!: mend the formula"}),
        (("1", "#N/A"), {1: "shows #N/A: mend the formula"}),
    ]


def test_formulas_that_were_never_calculated_are_flaws_even_in_the_last_rows(tmp_path: Path) -> None:
    """The reader does not see such rows at all; they would silently get no video."""
    rows = rows_of(saved(tmp_path, ["id", "name"], [1, "=A1"], ["=A2", "=A3&B3"]))

    assert [row.number for row in rows] == [2, 3]
    assert rows[1].cells == ("=A2", "=A3&B3")
    assert not rows[1].is_blank
    assert "a formula without a value" in rows[1].flaws[0]


def test_a_formula_whose_value_is_the_empty_text_is_no_flaw(tmp_path: Path) -> None:
    """`=IF(A1="","",…)` is how people leave cells empty."""
    empty = '<c r="B2" t="str"><f>IF(1,"","x")</f><v></v></c>'
    path = raw(
        tmp_path,
        f'<sheetData><row r="1">{text_cell("A1", "id")}{text_cell("B1", "x")}</row>'
        f'<row r="2">{text_cell("A2", "a")}{empty}</row></sheetData>',
    )

    assert [(row.cells, dict(row.flaws)) for row in rows_of(path)] == [(("a", ""), {})]


def test_numbers_that_lost_digits_are_flaws(tmp_path: Path) -> None:
    """A spreadsheet keeps fifteen of them: the rest of a card number is gone."""
    rows = rows_of(saved(tmp_path, ["id"], [12345678901234567890], [1 / 3], [123456789012345], [1.1]))

    assert "digits beyond the 15th are lost" in rows[0].flaws[0]
    assert "more than 15 digits" in rows[1].flaws[0]
    assert [row.cells[0] for row in rows[2:]] == ["123456789012345", "1.1"]
    assert not rows[2].flaws
    assert not rows[3].flaws


def test_formats_of_zeros_are_honoured(tmp_path: Path) -> None:
    """A postcode kept as 1067 and shown as 01067 is 01067."""
    path = saved(tmp_path, ["postcode", "plain"], [1067, 5], [99084, 6])
    book = openpyxl.load_workbook(path)
    for number in (2, 3):
        front(book).cell(number, 1).number_format = "00000"
    book.save(path)

    assert [row.cells for row in rows_of(path)] == [("01067", "5"), ("99084", "6")]


def test_hidden_rows_columns_and_tabs_are_told(tmp_path: Path) -> None:
    """They are sent and paid like the others."""
    path = saved(tmp_path, ["id", "secret"], [1, 2], [3, 4], [5, 6])
    book = openpyxl.load_workbook(path)
    front(book).row_dimensions[3].hidden = True
    front(book).row_dimensions[4].hidden = True
    front(book).column_dimensions["B"].hidden = True
    lists = book.create_sheet("Lists")
    lists["A1"] = "yes"
    lists.sheet_state = "hidden"
    book.save(path)

    sheet = open_sheet(SheetSpec(path=path))

    assert sheet.tab == "Leads"
    assert sheet.notes == ("hidden tabs are not read: Lists", "2 hidden rows included", "hidden columns: secret")


def test_merged_cells_in_the_data_are_flaws_where_they_look_filled(tmp_path: Path) -> None:
    """Only the first cell of a range holds the text."""
    path = saved(tmp_path, ["id", "city"], [1, "Bonn"], [2, None], [3, "Kiel"])
    book = openpyxl.load_workbook(path)
    front(book).merge_cells("B2:B3")
    book.save(path)

    sheet = open_sheet(SheetSpec(path=path))

    assert [list(row.flaws) for row in sheet.rows()] == [[], [1], []]
    assert "merged into B2:B3" in list(sheet.rows())[1].flaws[1]
    assert sheet.notes == ("merged cells: B2:B3",)


def test_the_tab_is_the_named_one_or_the_only_one_with_content(tmp_path: Path) -> None:
    """Between two the person decides."""
    path = saved(tmp_path, ["id"], [1])
    book = openpyxl.load_workbook(path)
    book.create_sheet("Empty")
    book.save(path)
    assert open_sheet(SheetSpec(path=path)).tab == "Leads"

    book["Empty"].append(["id"])
    book["Empty"].append([2])
    book.save(path)
    with pytest.raises(InputError, match="with one of Leads, Empty"):
        open_sheet(SheetSpec(path=path))
    assert [row.cells for row in rows_of(path, tab="empty ")] == [("2",)]
    with pytest.raises(InputError, match='no tab "Laeds"; did you mean "Leads"'):
        open_sheet(SheetSpec(path=path, tab="Laeds"))


def test_a_wrong_dimension_loses_no_row(tmp_path: Path) -> None:
    """The note on the used range is often wrong; rows that never get a video are the worst fault there is."""
    cells = "".join(f'<row r="{n}">{text_cell(f"A{n}", f"x{n}")}</row>' for n in range(1, 31))

    assert len(rows_of(raw(tmp_path, f'<dimension ref="A1:A2"/><sheetData>{cells}</sheetData>'))) == 29


def test_carriage_returns_are_unescaped_once(tmp_path: Path) -> None:
    """`_x000D_` would be spoken aloud; an escaped underscore is meant as it stands."""
    path = raw(
        tmp_path,
        f'<sheetData><row r="1">{text_cell("A1", "t")}</row><row r="2">{text_cell("A2", "a_x000D_b")}</row>'
        f'<row r="3">{text_cell("A3", "_x005F_x000D_")}</row></sheetData>',
    )

    assert [row.cells[0] for row in rows_of(path)] == ["a\rb", "_x000D_"]


def test_ghost_cells_do_not_count(tmp_path: Path) -> None:
    """A style in the last corner of the tab holds nothing."""
    path = raw(
        tmp_path,
        f'<sheetData><row r="1">{text_cell("A1", "id")}</row><row r="2">{text_cell("A2", "a")}</row>'
        '<row r="1048576"><c r="XFD1048576" s="0"/></row></sheetData>',
    )

    assert [(row.number, row.cells) for row in rows_of(path)] == [(2, ("a",))]


def test_values_too_far_apart_are_refused_before_they_fill_the_memory(tmp_path: Path) -> None:
    """The reader lays out the whole rectangle: here 17 thousand million cells."""
    path = raw(
        tmp_path,
        '<sheetData><row r="1"><c r="A1"><v>1</v></c></row>'
        '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData>',
    )

    with pytest.raises(InputError, match="cells reach to XFD1048576"):
        open_sheet(SheetSpec(path=path))


def test_rows_out_of_order_are_refused(tmp_path: Path) -> None:
    """The reader trusts the last row to be the lowest."""
    path = raw(tmp_path, f'<sheetData><row r="9">{text_cell("A9", "b")}</row><row r="2"></row></sheetData>')

    with pytest.raises(InputError, match="rows are out of order"):
        open_sheet(SheetSpec(path=path))


def test_rows_that_leave_out_their_numbers_are_counted(tmp_path: Path) -> None:
    """Also where only some do, and the one with something to tell is hidden behind them."""
    rows = (
        f'<row r="1">{text_cell("A1", "id")}</row><row>{text_cell("A2", "a")}</row>'
        f'<row hidden="1">{text_cell("A3", "b")}</row><row r="7">{text_cell("A7", "c")}</row>'
    )

    sheet = open_sheet(SheetSpec(path=raw(tmp_path, f"<sheetData>{rows}</sheetData>")))

    assert sheet.notes == ("1 hidden row included",)
    assert {row.number: row.cells[0] for row in sheet.rows() if not row.is_blank} == {2: "a", 3: "b", 7: "c"}


def test_a_damaged_part_is_refused_also_where_no_cell_stands_in_it(tmp_path: Path) -> None:
    """Written back, such a workbook would lose what it held."""
    path = saved(tmp_path, ["id"], ["a"])
    with zipfile.ZipFile(path, "a", zipfile.ZIP_STORED) as file:
        file.writestr("xl/media/image1.png", "a picture of a cat")
    path.write_bytes(path.read_bytes().replace(b"a picture of a cat", b"a picture of a bat"))

    with pytest.raises(InputError, match=r"image1\.png is damaged"):
        open_sheet(SheetSpec(path=path))


def test_cells_with_another_prefix_are_searched_as_well(tmp_path: Path) -> None:
    """Some programs write `x:c` for `c`."""
    root = "<x:worksheet xmlns:x='{}'>{}</x:worksheet>"
    cell = '<x:c r="A{0}" t="{1}">{2}</x:c>'
    rows = (
        f'<x:row r="1">{cell.format(1, "inlineStr", "<x:is><x:t>id</x:t></x:is>")}</x:row>'
        f'<x:row r="2">{cell.format(2, "e", "<x:v>#N/A</x:v>")}</x:row>'
    )

    row = rows_of(raw(tmp_path, f"<x:sheetData>{rows}</x:sheetData>", root=root))[0]

    assert row.flaws[0] == "shows #N/A: mend the formula"


def test_document_types_in_the_xml_are_refused(tmp_path: Path) -> None:
    """They exist for XML bombs only."""
    root = "<!DOCTYPE x [<!ENTITY a 'b'>]><worksheet xmlns='{}'>{}</worksheet>"

    with pytest.raises(InputError, match="declares a document type"):
        open_sheet(SheetSpec(path=raw(tmp_path, "<sheetData/>", root=root)))


def test_zip_bombs_are_refused_by_their_directory(tmp_path: Path) -> None:
    """One megabyte that unpacks to a thousand is no sheet."""
    path = tmp_path / "bomb.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file, file.open("xl/a.xml", "w") as part:
        for _ in range(40):
            part.write(bytes(1 << 20))

    with pytest.raises(InputError, match="times its size"):
        open_sheet(SheetSpec(path=path))


def test_sizes_that_lie_are_noticed(tmp_path: Path) -> None:
    """What comes out is counted, not believed."""
    path = saved(tmp_path, ["id"], ["x" * 500])
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as file:
        size = file.getinfo("xl/worksheets/sheet1.xml").file_size.to_bytes(4, "little")
    path.write_bytes(data.replace(size, (9).to_bytes(4, "little")))

    with pytest.raises(InputError, match="larger than the directory says"):
        open_sheet(SheetSpec(path=path))


def test_damaged_workbooks_are_refused_at_every_cut(tmp_path: Path) -> None:
    """Wherever the copying was broken off, one clear sentence and no traceback."""
    whole = saved(tmp_path, ["id", "name"], [1, "a"]).read_bytes()
    path = tmp_path / "cut.xlsx"
    for length in range(1, len(whole), 97):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"cut\.xlsx: "):
            open_sheet(SheetSpec(path=path))


def test_openpyxl_defends_itself_against_xml_bombs() -> None:
    """It does so only where defusedxml is installed."""
    assert openpyxl.DEFUSEDXML


def test_a_tab_without_rows_is_refused(tmp_path: Path) -> None:
    """Header only, or nothing at all."""
    for rows in ([], [["id", "name"]]):
        with pytest.raises(InputError, match="no rows"):
            open_sheet(SheetSpec(path=saved(tmp_path, *rows)))


def test_parquet_is_read_or_the_missing_package_is_named(tmp_path: Path) -> None:
    """pandas needs a second package for it, which few people have."""
    path = tmp_path / "a.parquet"
    path.write_bytes(b"PAR1" + bytes(20) + b"PAR1")

    with pytest.raises(InputError, match=r"pip install pyarrow|cannot read the workbook"):
        open_sheet(SheetSpec(path=path))


_VALUES = st.one_of(
    st.text(max_size=3),
    st.floats(),
    st.sampled_from([1.5, 2.0, -0.0]),
    st.integers(),
    st.booleans(),
    st.none(),
    st.dates(min_value=date(1900, 1, 1)),
    st.datetimes(min_value=datetime(1900, 1, 1), max_value=datetime(9999, 1, 1)),
    st.times(),
    st.timedeltas(min_value=timedelta(-999), max_value=timedelta(999)),
)


@given(st.one_of(st.lists(_VALUES), st.lists(st.floats()), st.lists(st.sampled_from([1.5, -0.0])), st.lists(st.text())))
def test_a_column_has_the_texts_of_its_values(values: list[Any]) -> None:
    """Quicker, not otherwise."""
    assert list(texts_of(values)) == [text_of(value) for value in values]


def test_one_special_row_among_many_keeps_its_place_and_its_flaw() -> None:
    """Rows are made of whole columns only where nothing is special about them."""
    lines: list[list[object]] = [[float(number), "Ana", time(9, 30)] for number in range(1, 1001)]
    lines[599][0] = 1e17

    rows = list(Grid(name="Leads", width=4, height=1000, values=lambda: iter(lines)).rows())

    assert [row.number for row in rows] == list(range(1, 1001))
    assert [row.number for row in rows if row.flaws] == [600]
    assert rows[599].cells == ("100000000000000000", "Ana", "09:30:00", "")
    assert rows[-1] == Row(number=1000, cells=("1000", "Ana", "09:30:00", ""))
