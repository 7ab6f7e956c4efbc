"""Writing results: what came in comes out, what we add is harmless, and the file is whole at every moment."""

from __future__ import annotations

import csv
import stat
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.errors import InputError
from batcher.sheet import Looks, SheetSpec, clean, open_sheet, write_csv, write_rows, write_xlsx
from batcher.stores import replacing

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20) | st.sampled_from(
    [
        "007",
        "  lead",
        'say "hi"',
        "a,b;c",
        "two\nlines",
        "two\r\nlines",
        "\r",
        "=1+1",
        "NA",
        "1e5",
        "\u2028",
        "\ufeff",
        "'",
    ]
)
fit_for_xml = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), max_size=20
).map(lambda text: text if text.strip() else "") | st.sampled_from(
    ["two\nlines", "_x000D_", "=1+1", " lead", "tab\there"]
)


def front(path: Path) -> Any:
    """The first tab of a workbook, as openpyxl sees it."""
    return openpyxl.load_workbook(path).active


def tables(cell: st.SearchStrategy[str]) -> st.SearchStrategy[list[tuple[str, str, str]]]:
    return st.lists(st.tuples(st.from_regex(r"[a-z]{1,5}", fullmatch=True), cell, cell), min_size=1, max_size=5)


@given(tables(texts), st.sampled_from([",", ";", "\t"]), st.booleans())
def test_csv_comes_back_exactly(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, str]], delimiter: str, bom: bool
) -> None:
    """Line breaks, quotes, delimiters, leading blanks and letters of every script survive the round trip."""
    path = tmp_path_factory.mktemp("round") / "r.csv"

    write_csv(path, ["id", "a", "b"], rows, ours_from=3, bom=bom, delimiter=delimiter)

    sheet = open_sheet(SheetSpec(path=path, delimiter=delimiter), needs=["id"])
    assert [row.cells for row in sheet.rows()] == rows


@given(tables(texts), st.sampled_from([",", ";", "\t"]))
def test_csv_is_quoted_as_the_csv_module_quotes_it(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, str]], delimiter: str
) -> None:
    """Lines in which nothing is quoted are put together without it, byte for byte alike."""
    folder = tmp_path_factory.mktemp("quotes")
    with (folder / "theirs.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter=delimiter, lineterminator="\r\n").writerows([("id", "a", "b"), *rows])

    write_csv(folder / "ours.csv", ["id", "a", "b"], rows, ours_from=3, bom=False, delimiter=delimiter)

    assert (folder / "ours.csv").read_bytes() == (folder / "theirs.csv").read_bytes()


@given(tables(fit_for_xml))
def test_xlsx_comes_back_exactly(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, str]]) -> None:
    """Every text that XML can carry."""
    path = tmp_path_factory.mktemp("round") / "r.xlsx"

    write_xlsx(path, ["id", "a", "b"], rows, ours_from=3)

    assert [row.cells for row in open_sheet(SheetSpec(path=path), needs=["id"]).rows()] == rows


def test_csv_is_what_excel_expects(tmp_path: Path) -> None:
    """A byte order mark against mojibake, CR LF, quotes only where needed."""
    write_csv(tmp_path / "r.csv", ["id", "näme"], [["1", 'a "b"'], ["2", "c,d"]], ours_from=2)

    expected = '\ufeffid,näme\r\n1,"a ""b"""\r\n2,"c,d"\r\n'
    assert (tmp_path / "r.csv").read_bytes() == expected.encode()


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "＝", "＋", "－", "＠"])
def test_our_cells_never_become_formulas(tmp_path: Path, start: str) -> None:
    """An API's message is a stranger's text; the cells that came in are echoed as they are."""
    text = f"{start}cmd|'/c calc'!A1"

    write_csv(tmp_path / "r.csv", ["a", "ours"], [[text, text]], ours_from=1)
    write_csv(tmp_path / "safe.csv", ["a", "ours"], [[text, text]], ours_from=1, escape_input=True)

    read = [next(open_sheet(SheetSpec(path=tmp_path / name)).rows()).cells for name in ("r.csv", "safe.csv")]
    assert read == [(text, f"'{text}"), (f"'{text}", f"'{text}")]


def test_plain_numbers_are_no_formulas(tmp_path: Path) -> None:
    """A price below zero stays a number."""
    write_csv(tmp_path / "r.csv", ["ours"], [["-3.5"], ["+7"], ["-3.5+cmd"]], ours_from=0)

    lines = (tmp_path / "r.csv").read_text(encoding="utf-8-sig").split()
    assert lines == ["ours", "-3.5", "+7", "'-3.5+cmd"]


def test_workbooks_hold_texts_only(tmp_path: Path) -> None:
    """No formula, no number that lost its zeros."""
    write_xlsx(
        tmp_path / "r.xlsx",
        ["a", "b", "c"],
        [["007", "=1+1", "https://example.com/x"]],
        ours_from=1,
        looks=Looks(links={2}),
    )

    cells = front(tmp_path / "r.xlsx")[2]
    assert [(cell.value, cell.data_type) for cell in cells] == [
        ("007", "s"),
        ("=1+1", "s"),
        ("https://example.com/x", "s"),
    ]
    assert cells[2].hyperlink.target == "https://example.com/x"


def test_our_columns_of_a_new_workbook_are_made_to_be_read(tmp_path: Path) -> None:
    """Words have their colours, our numbers add up, and no column is cut off at the width of an empty one."""
    looks = Looks(numbers={2}, fills={1: lambda word: "FFC7CE" if word == "failed" else ""})
    rows = [["1.50", "failed", "0.6003", "Rendering failed, please try again"], ["2", "held", "007", ""]]

    write_xlsx(tmp_path / "r.xlsx", ["id", "status", "cost", "error"], rows, ours_from=1, looks=looks)

    sheet = front(tmp_path / "r.xlsx")
    assert [[cell.value for cell in row[:3]] for row in sheet["2:3"]] == [
        ["1.50", "failed", 0.6003],
        ["2", "held", "007"],
    ]
    assert [sheet[at].fill.fgColor.rgb for at in ("B2", "B3")] == ["FFFFC7CE", "00000000"]
    assert 34 <= sheet.column_dimensions["D"].width < 40


def test_only_web_addresses_can_be_clicked(tmp_path: Path) -> None:
    """Neither programs nor files nor endless addresses."""
    odd = ["javascript:alert(1)", "file:///etc/passwd", "", "https://example.com/" + "x" * 3000]

    write_xlsx(tmp_path / "r.xlsx", ["link"], [[text] for text in odd], ours_from=0, looks=Looks(links={0}))

    sheet = front(tmp_path / "r.xlsx")
    assert [sheet.cell(number, 1).hyperlink for number in range(2, 6)] == [None] * 4
    assert [sheet.cell(number, 1).value or "" for number in range(2, 6)] == odd


def test_texts_too_long_for_a_cell_are_cut_where_everybody_sees_it(tmp_path: Path) -> None:
    """The libraries cut silently, or drop the cell."""
    write_xlsx(tmp_path / "r.xlsx", ["a", "b"], [["x" * 40_000, "😀" * 20_000]], ours_from=2)

    plain, wide = (cell.value for cell in front(tmp_path / "r.xlsx")[2])
    assert len(plain) == 32_767
    assert plain.endswith("x…[cut]")
    assert wide.endswith("😀…[cut]")


def test_what_no_file_can_hold_is_made_visible(tmp_path: Path) -> None:
    """Half surrogates and control characters come out of real APIs."""
    odd = "a\ud800b\x00c\x1b[31m"

    assert clean(odd) == "a\ufffdb\ufffdc\ufffd[31m"
    assert clean("a\r\nb\tc\rd") == "a\nb\tc\nd"
    write_csv(tmp_path / "r.csv", ["in", "ours"], [["\ud800", odd]], ours_from=1)
    write_xlsx(tmp_path / "r.xlsx", ["in", "ours"], [["\ud800", odd]], ours_from=1)
    assert front(tmp_path / "r.xlsx")["B2"].value == clean(odd)
    assert next(open_sheet(SheetSpec(path=tmp_path / "r.csv")).rows()).cells[1] == clean(odd)


def test_more_rows_than_a_workbook_holds_are_refused(tmp_path: Path) -> None:
    """With the advice to write a .csv, and nothing left behind."""
    with pytest.raises(InputError, match=r"write results to a \.csv"):
        write_xlsx(tmp_path / "r.xlsx", ["a"], ([""] for _ in range(1_048_576)), ours_from=1)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["r.csv", "r.tsv", "r.xlsx"])
def test_the_same_rows_make_the_same_bytes(tmp_path: Path, name: str) -> None:
    """A run with nothing to do changes no file."""
    path = tmp_path / name
    write_rows(path, ["a", "b"], [["1", "https://example.com"]], ours_from=1, looks=Looks(links={1}))
    first = path.read_bytes()

    write_rows(path, ["a", "b"], [["1", "https://example.com"]], ours_from=1, looks=Looks(links={1}))

    assert path.read_bytes() == first


def test_the_suffix_chooses_the_format(tmp_path: Path) -> None:
    """And only those that can be written."""
    write_rows(tmp_path / "r.tsv", ["a", "b"], [["1", "2,3"]], ours_from=2)

    assert (tmp_path / "r.tsv").read_text(encoding="utf-8-sig") == "a\tb\n1\t2,3\n"
    with pytest.raises(InputError, match=r"write \.csv, \.tsv or \.xlsx"):
        write_rows(tmp_path / "r.pdf", ["a"], [], ours_from=1)


@pytest.mark.parametrize("name", ["r.csv", "r.xlsx"])
def test_a_failure_leaves_the_old_file_whole_and_nothing_else(tmp_path: Path, name: str) -> None:
    """Results are always the old ones or the new ones."""

    def rows() -> Iterator[Sequence[str]]:
        yield ["1"]
        raise RuntimeError("bug")

    (tmp_path / name).write_bytes(b"old")

    with pytest.raises(RuntimeError):
        write_rows(tmp_path / name, ["a"], rows(), ours_from=1)

    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_bytes() == b"old"


@pytest.mark.parametrize("name", ["r.csv", "r.xlsx"])
def test_a_full_disk_is_told_and_leaves_the_old_file(tmp_path: Path, name: str) -> None:
    """The limit on the size of files stands in for the disk."""
    (tmp_path / name).write_bytes(b"old")
    code = (
        "import random, resource, sys; from pathlib import Path; from batcher.sheet import write_rows\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        "rows = ([str(random.random())] for _ in range(20_000))\n"
        "write_rows(Path(sys.argv[1]), ['a'], rows, ours_from=1)"
    )

    ended = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / name)], capture_output=True, text=True, check=False
    )

    assert f"StoreError: {name}: cannot be written: File too large" in ended.stderr
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [(name, b"old")]


def test_new_files_are_private_and_old_ones_keep_their_mode(tmp_path: Path) -> None:
    """Results hold names and links; who shared them on purpose goes on sharing."""
    new, old = tmp_path / "new.csv", tmp_path / "old.csv"
    old.write_text("x")
    old.chmod(0o644)

    for path in (new, old):
        write_csv(path, ["a"], [["1"]], ours_from=1)

    assert [stat.S_IMODE(path.stat().st_mode) for path in (new, old)] == [0o600, 0o644]


@pytest.mark.parametrize(("sheet", "expected"), [(0o640, 0o640), (0o664, 0o664), (0o400, 0o600), (0o755, 0o644)])
def test_who_may_read_the_sheet_may_read_what_came_of_it(tmp_path: Path, sheet: int, expected: int) -> None:
    """On a shared drive colleagues see results; a sheet that is its owner's alone makes no public copy."""
    like = tmp_path / "people.csv"
    like.touch()
    like.chmod(sheet)

    write_rows(tmp_path / "new.csv", ["a"], [["1"]], ours_from=1, like=like)
    write_rows(tmp_path / "new.xlsx", ["a"], [["1"]], ours_from=1, like=like)

    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("new.csv", "new.xlsx")] == [expected] * 2


def test_a_link_to_a_file_stays_a_link(tmp_path: Path) -> None:
    """The file behind it is replaced."""
    (tmp_path / "real.csv").write_text("x")
    (tmp_path / "link.csv").symlink_to(tmp_path / "real.csv")

    write_csv(tmp_path / "link.csv", ["a"], [["1"]], ours_from=1)

    assert (tmp_path / "link.csv").is_symlink()
    assert "a" in (tmp_path / "real.csv").read_text(encoding="utf-8-sig")


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """A missing folder, or a folder where the file should be."""
    (tmp_path / "folder.csv").mkdir()
    for path in (tmp_path / "missing" / "r.csv", tmp_path / "folder.csv"):
        with pytest.raises(InputError, match=f"{path.name}: cannot be written"):
            write_csv(path, ["a"], [], ours_from=1)


def test_replacing_shows_the_new_file_only_when_it_is_complete(tmp_path: Path) -> None:
    """A watcher in a loop never sees half a file."""
    path = tmp_path / "r.txt"
    path.write_text("old")

    with replacing(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"

    assert path.read_text() == "new"
