"""Reading CSV and its relatives: exactly what stands there, or a refusal that says where."""

from __future__ import annotations

import codecs
import gzip
import os
import subprocess
import sys
import zipfile
from collections.abc import Collection
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.errors import InputError
from batcher.sheet import Sheet, SheetSpec, normalise, open_sheet
from batcher.sheet.address import column_index, letters


def written(folder: Path, content: str | bytes, name: str = "people.csv") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def opened(
    folder: Path,
    content: str | bytes,
    *,
    name: str = "people.csv",
    needs: Collection[str] = (),
    encoding: str = "",
    delimiter: str = "",
    header_row: int = 1,
) -> Sheet:
    path = written(folder, content, name)
    spec = SheetSpec(path=path, encoding=encoding, delimiter=delimiter, header_row=header_row)
    return open_sheet(spec, needs=needs)


def cells(sheet: Sheet) -> list[tuple[str, ...]]:
    return [row.cells for row in sheet.rows()]


def refusal(folder: Path, content: str | bytes, **how: object) -> str:
    with pytest.raises(InputError) as caught:
        list(opened(folder, content, **how).rows())  # type: ignore[arg-type]
    return str(caught.value)


def test_cells_are_texts_exactly_as_they_stand(tmp_path: Path) -> None:
    """Nothing is taken for a number, a date, a truth or a missing value."""
    odd = ["007", "NA", "null", "1e5", "3.10", "  lead", "12345678901234567890", "#N/A", "TRUE", "1,5", "=1+1", "-"]
    quoted = ",".join(f'"{text}"' for text in odd)

    sheet = opened(tmp_path, ",".join(f"c{i}" for i in range(len(odd))) + "\n" + quoted + "\n")

    assert cells(sheet) == [tuple(odd)]


def test_rows_carry_the_numbers_that_a_spreadsheet_shows(tmp_path: Path) -> None:
    """A line break inside a quoted cell does not count as another row."""
    sheet = opened(tmp_path, 'id,text\n1,"two\nlines"\n2,x\n')

    assert [row.number for row in sheet.rows()] == [2, 3]
    assert sheet.where(1, 3) == "people.csv!B3"


def test_only_line_ends_end_rows(tmp_path: Path) -> None:
    """Line separators of Unicode, form feeds and the like are letters of a cell."""
    odd = "a\u2028b\x85c\x0bd\x0ce"

    assert cells(opened(tmp_path, f"id,text\n1,{odd}\r2,x\r\n3,y\n")) == [("1", odd), ("2", "x"), ("3", "y")]


@pytest.mark.parametrize(
    ("mark", "codec", "notes"),
    [
        (codecs.BOM_UTF8, "utf-8", ()),
        (codecs.BOM_UTF16_LE, "utf-16-le", ("encoding UTF-16",)),
        (codecs.BOM_UTF16_BE, "utf-16-be", ("encoding UTF-16",)),
    ],
)
def test_byte_order_marks_tell_the_encoding(tmp_path: Path, mark: bytes, codec: str, notes: tuple[str, ...]) -> None:
    """The mark is no part of the first column's name, and what is not UTF-8 is told."""
    sheet = opened(tmp_path, mark + "name,city\nJürgen,Köln\n".encode(codec))

    assert sheet.header == ("name", "city")
    assert cells(sheet) == [("Jürgen", "Köln")]
    assert sheet.notes == notes


def test_another_encoding_is_refused_with_place_bytes_and_likely_name(tmp_path: Path) -> None:
    """The person is told what to write, and sees how it would be read."""
    message = refusal(tmp_path, "id,name\n1,Anna\n2,Müller\n".encode("cp1252"))

    assert "people.csv line 3" in message
    assert "byte 18" in message
    assert "FC 6C 6C 65" in message
    assert 'encoding: cp1252 (reads "Müller")' in message


def test_bad_bytes_are_placed_in_large_files_as_well(tmp_path: Path) -> None:
    """A letter cut in two by the reader's pieces is no error, and offsets count from the file's beginning."""
    good = "id,name\n" + "1,Jürgen ß\n" * 200_000
    offset = len(good.encode())

    assert f"byte {offset + 2}," in refusal(tmp_path, good.encode() + b"2,\xff\n")


def test_a_named_encoding_is_used_strictly(tmp_path: Path) -> None:
    """What the job says is believed, until the bytes contradict it."""
    assert cells(opened(tmp_path, "a,b\nMüller,€\n".encode("cp1252"), encoding="cp1252")) == [("Müller", "€")]
    assert "is not CP1252" in refusal(tmp_path, b"a,b\n\x81,x\n", encoding="cp1252")
    assert "cannot be cp1252" in refusal(tmp_path, codecs.BOM_UTF8 + b"a,b\n1,2\n", encoding="cp1252")
    assert "unknown encoding" in refusal(tmp_path, "a,b\n1,2\n", encoding="hex")


def test_utf16_without_a_mark_is_recognised(tmp_path: Path) -> None:
    """It would otherwise be a file full of NUL characters."""
    assert "encoding: utf-16-le" in refusal(tmp_path, "name,city\nAnna,Bonn\n".encode("utf-16-le"))


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_the_one_that_yields_the_needed_columns(tmp_path: Path, delimiter: str) -> None:
    """Other delimiters inside texts do not matter."""
    text = delimiter.join(["id", "name"]) + "\n" + delimiter.join(["1", '"a,b;c|d\te"']) + "\n"

    sheet = opened(tmp_path, text, needs=["name"])

    assert cells(sheet) == [("1", "a,b;c|d\te")]
    shown = {",": (), "\t": ("delimiter tab",)}.get(delimiter, (f"delimiter {delimiter}",))
    assert sheet.notes == shown


def test_without_needs_the_most_consistent_delimiter_wins(tmp_path: Path) -> None:
    """The one that gives most columns in every row."""
    assert cells(opened(tmp_path, "id;name;price\n1;Anna, Berta;1,5\n2;Eva;2,5\n"))[0] == ("1", "Anna, Berta", "1,5")


def test_a_header_that_fits_two_delimiters_is_not_guessed(tmp_path: Path) -> None:
    """Then the job must say which."""
    assert "write delimiter:" in refusal(tmp_path, "x,a,y;a;z\n1,2,3;4;5\n", needs=["a"])
    assert cells(opened(tmp_path, "x,a,y;a;z\n1,2,3;4;5\n", delimiter=",")) == [("1", "2", "3;4;5")]


def test_the_line_sep_is_honoured_and_counted(tmp_path: Path) -> None:
    """Excel writes and reads it; the header then stands in row 2."""
    sheet = opened(tmp_path, "sep=;\r\nid;name\r\n1;a,b\r\n", needs=["id"])

    assert [(row.number, row.cells) for row in sheet.rows()] == [(3, ("1", "a,b"))]


def test_rows_that_do_not_fit_are_listed_together(tmp_path: Path) -> None:
    """All of them at once, with their numbers, and never shifted into other columns."""
    sheet = opened(tmp_path, "id,name,city\n1,a,b\n2,a,b,c\n3,a\n4,a,b,,\n\n", needs=["id", "city"])
    read: list[object] = []

    with pytest.raises(InputError) as caught:
        for row in sheet.rows():
            read.append(row.number)

    assert read == [2, 5, 6]
    assert [problem.where for problem in caught.value.problems] == ["people.csv row 3", "people.csv row 4"]
    assert 'too much: "c"' in str(caught.value)
    assert 'nothing for "city"' in str(caught.value)


def test_a_line_may_end_before_columns_that_the_job_does_not_ask_for(tmp_path: Path) -> None:
    """Excel writes no delimiters behind the last filled cell of a line."""
    sheet = opened(tmp_path, "id,name,note,\n1,a\n2,b,c\n", needs=["id", "name"])

    assert [row.cells for row in sheet.rows()] == [("1", "a", "", ""), ("2", "b", "c", "")]


def test_long_lists_of_bad_rows_end_in_a_count(tmp_path: Path) -> None:
    """Twenty examples are enough."""
    message = refusal(tmp_path, "id,name\n" + "1,a\n" + "1,2,3\n" * 25, needs=["id", "name"])

    assert message.endswith("… and 5 more rows like these")


def test_blank_lines_and_empty_cells_beyond_the_header_are_tolerated(tmp_path: Path) -> None:
    """A blank line is a blank row and keeps its number."""
    sheet = opened(tmp_path, "id,name\n1,a,,\n\n2,b\n")

    assert [(row.number, row.cells, row.is_blank) for row in sheet.rows()] == [
        (2, ("1", "a"), False),
        (3, ("", ""), True),
        (4, ("2", "b"), False),
    ]


def test_an_unclosed_quote_names_the_row_in_which_it_opens(tmp_path: Path) -> None:
    """Not the end of the file, where a parser notices it."""
    message = refusal(tmp_path, 'id,text\n1,"a\nb"\n2,"never closed\n' + "3,x\n" * 50, needs=["id"])

    assert message.startswith("people.csv row 3 (line 4)")
    assert "never closed" in message


def test_text_after_a_closing_quote_is_an_error_with_its_row(tmp_path: Path) -> None:
    """A lenient reader would glue the pieces together."""
    assert refusal(tmp_path, 'id,text\n1,"abc"def\n', needs=["id"]).startswith("people.csv row 2")


def test_a_nul_character_is_an_error_with_its_cell(tmp_path: Path) -> None:
    """No text has one; the file is damaged."""
    assert refusal(tmp_path, "id,name\n1,a\n2,b\0c\n").startswith("people.csv!B3:")


def test_cells_may_be_larger_than_the_csv_module_allows(tmp_path: Path) -> None:
    """Its own limit of 131,072 characters is below what a template may hold."""
    assert cells(opened(tmp_path, "id,text\n1," + "x" * 200_000 + "\n"))[0][1] == "x" * 200_000


def test_columns_named_alike_are_refused_with_their_letters(tmp_path: Path) -> None:
    """Case, the kind of space and the form of an umlaut do not make two names."""
    assert "columns A and C are both named" in refusal(tmp_path, "name,city,NAME\n1,2,3\n")
    assert "columns A and B" in refusal(tmp_path, "first name,first\u00a0name\n1,2\n")
    assert "columns A and B" in refusal(tmp_path, "M\u00fcller,Mu\u0308ller\n1,2\n")


def test_a_column_without_name_must_be_empty(tmp_path: Path) -> None:
    """An empty one is kept as it stands; a filled one would be lost without a word."""
    assert cells(opened(tmp_path, "id,,name,\n1,,a,\n2,,b\n")) == [("1", "", "a", ""), ("2", "", "b", "")]
    assert "people.csv!B3: column B holds text but has no name" in refusal(tmp_path, "id,,name\n1,,a\n2,x,b\n")


def test_a_missing_column_is_named_with_the_nearest(tmp_path: Path) -> None:
    """And the columns there are."""
    message = refusal(tmp_path, "name,e-mail,city\n1,2,3\n", needs=["email", "name"])

    assert message == 'people.csv: no column "email"; did you mean "e-mail"? The columns are: name, e-mail, city'


def test_headers_compare_in_normal_form_and_trimmed(tmp_path: Path) -> None:
    """Two ways to write an umlaut look the same on the screen."""
    sheet = opened(tmp_path, " Mu\u0308ller ,x\n1,2\n", needs=["M\u00fcller"])

    assert sheet.column("M\u00fcller") == 0
    assert sheet.column("nobody") is None
    assert sheet.header[0] == " Mu\u0308ller "
    assert normalise(" Mu\u0308ller ") == "M\u00fcller"


def test_a_header_further_down_is_pointed_at(tmp_path: Path) -> None:
    """Exports like to begin with a title and a date."""
    text = "Customers\nas of May;\n\nid;name\n1;a\n"

    assert "write header_row: 4" in refusal(tmp_path, text, needs=["id", "name"])
    sheet = opened(tmp_path, text, needs=["id", "name"], header_row=4)
    assert [(row.number, row.cells) for row in sheet.rows()] == [(5, ("1", "a"))]


@pytest.mark.parametrize("content", ["id,name\n", "\n", "\n\n\n", "\ufeff", "id,name\n,\n \n", " , \n"])
def test_a_sheet_without_rows_is_refused(tmp_path: Path, content: str) -> None:
    """Nothing to do is a mistake in the file, not a success."""
    assert "no rows" in refusal(tmp_path, content)


@pytest.mark.parametrize(
    ("content", "name", "says"),
    [
        (gzip.compress(b"a,b\n1,2\n", mtime=0), "a.csv", "gzip"),
        (b"%PDF-1.7 ...", "a.csv", "PDF"),
        (b"<!DOCTYPE html><html>", "a.csv", "web page"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(100), "a.csv", "protected by a password, or an old .xls"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(100), "a.xlsx", "protected by a password, or an old .xls"),
        (b"a,b\n1,2\n", "a.xlsx", "rename it to .csv"),
        (b"", "a.csv", "is empty (0 bytes)"),
        (b"a,b\n1,2\n", "~$a.xlsx", "lock file"),
        (b"{}", "a.json", "save it as .csv or .xlsx"),
        (b"a,b\n", "a.parquet", "not a Parquet file"),
    ],
)
def test_files_that_are_not_what_they_seem_are_named(tmp_path: Path, content: bytes, name: str, says: str) -> None:
    """The first bytes tell more than the name."""
    assert says in refusal(tmp_path, content, name=name)


def test_zip_archives_saved_as_csv_are_told_apart(tmp_path: Path) -> None:
    """A renamed workbook wants another advice than an archive."""
    for member, says in (("xl/workbook.xml", "rename it to .xlsx"), ("people.txt", "unpack it first")):
        with zipfile.ZipFile(tmp_path / "a.csv", "w") as file:
            file.writestr(member, "x")
        with pytest.raises(InputError, match=says):
            open_sheet(SheetSpec(path=tmp_path / "a.csv"))


def test_folders_pipes_and_missing_files_are_refused_at_once(tmp_path: Path) -> None:
    """A pipe would block the run for ever."""
    (tmp_path / "folder.csv").mkdir()
    os.mkfifo(tmp_path / "pipe.csv")
    written(tmp_path, "a\n1\n")
    for name, says in (("folder", "folder"), ("pipe", "pipe or a device"), ("poeple", "did you mean people.csv")):
        with pytest.raises(InputError, match=says):
            open_sheet(SheetSpec(path=tmp_path / f"{name}.csv"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_refused(tmp_path: Path) -> None:
    """In words, not as a traceback."""
    path = written(tmp_path, "a\n1\n")
    path.chmod(0)

    with pytest.raises(InputError, match="cannot be read: Permission denied"):
        open_sheet(SheetSpec(path=path))


def test_a_file_replaced_after_opening_is_not_read_on(tmp_path: Path) -> None:
    """Its rows would not be those whose fingerprint was taken."""
    sheet = opened(tmp_path, "id,name\n1,a\n")
    written(tmp_path, "id,name\n1,another\n")

    with pytest.raises(InputError, match="has changed"):
        list(sheet.rows())


def test_a_file_that_grows_during_the_pass_is_refused_at_its_end(tmp_path: Path) -> None:
    """Some of its rows would be of another file than the fingerprint says."""
    sheet = opened(tmp_path, "id,name\n1,a\n2,b\n")
    rows = sheet.rows()
    next(rows)
    with (tmp_path / "people.csv").open("a") as file:
        file.write("3,c\n")

    with pytest.raises(InputError, match="has changed"):
        list(rows)


def test_rows_can_be_read_more_than_once(tmp_path: Path) -> None:
    """Each pass starts at the first row again, also after one that was broken off."""
    sheet = opened(tmp_path, "id\n1\n2\n")
    next(iter(sheet.rows()))

    assert cells(sheet) == cells(sheet) == [("1",), ("2",)]


def test_importing_the_room_is_cheap() -> None:
    """Heavy libraries are imported where they are used."""
    code = (
        "import batcher.sheet, sys; print({'pandas', 'openpyxl', 'python_calamine', 'xlsxwriter'} & set(sys.modules))"
    )

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


@given(st.integers(0, 20_000))
def test_letters_and_numbers_of_columns_are_opposites(column: int) -> None:
    """For every column that a spreadsheet can have."""
    assert column_index(letters(column)) == column


@given(st.binary(max_size=200), st.sampled_from(["csv", "tsv", "xlsx", "xls"]))
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes, kind: str) -> None:
    """No file whatever ends in a traceback."""
    path = written(tmp_path_factory.mktemp("any"), content, f"a.{kind}")
    try:
        list(open_sheet(SheetSpec(path=path)).rows())
    except InputError as refused:
        assert str(refused)
