"""Lists that people keep as a table of Excel's, with a row in which it adds up."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import openpyxl
import xlsxwriter
from person import require_kept
from support import batcher, environment, write_job

from batcher.errors import Exit
from batcher.sheet import SheetSpec, open_sheet
from batcher.simulator import Running


def table(path: Path, *, beside: str = "") -> Path:
    """A table of two rows and its totals in row 4, and another one at its right that begins lower."""
    book = xlsxwriter.Workbook(str(path))
    tab = book.add_worksheet("Leads")
    columns = [
        {"header": "id", "total_string": "Total"},
        {"header": "name", "total_string": "all"},
        {"header": "Budget", "total_function": "sum"},
    ]
    tab.add_table("A1:C4", {"columns": columns, "total_row": True, "data": [["r1", "Ann", 1], ["r2", "Bob", 2]]})
    tab.write_row("D1", ["Notes"])
    tab.write_string("D4", beside)
    tab.write_row("F1", ["x", "y"])
    tab.add_table("F2:G3", {"columns": [{"header": "x2"}, {"header": "y2"}], "total_row": True})
    book.close()
    return path


def test_the_row_in_which_a_table_adds_up_is_known(tmp_path: Path) -> None:
    """A table that begins elsewhere says nothing about the list."""
    sheet = open_sheet(SheetSpec(path=table(tmp_path / "leads.xlsx")))

    assert dict(sheet.totals) == {4: range(3)}
    assert "row 4 adds up the table" in sheet.notes


def test_the_row_in_which_a_table_adds_up_is_no_row(tmp_path: Path, make_simulator: Callable[..., Running]) -> None:
    """It is neither sent nor complained about, and nothing is written beside it."""
    book, simulator = table(tmp_path / "leads.xlsx"), make_simulator()
    before = (tmp_path / "before.xlsx", book.read_bytes())
    before[0].write_bytes(before[1])
    job = write_job(tmp_path, [], sheet={"file": "leads.xlsx"}, results={"file": "leads.xlsx"})

    done = batcher("run", job, env=environment(tmp_path, simulator.url), cwd=tmp_path)

    assert (done.returncode, "3 rows = 2 done + 1 skipped" in done.stdout) == (Exit.DONE, True), done.stdout
    assert sorted(charge["title"] for charge in simulator.charges()) == ["For r1", "For r2"]
    header, *rows = openpyxl.load_workbook(book)["Leads"].iter_rows(values_only=True)
    assert [row[header.index("batcher_status")] for row in rows] == ["done", "done", None]
    require_kept(before[0], book, columns="ABCDEFG", typed={})


def test_a_row_with_something_beside_the_totals_is_still_a_row(
    tmp_path: Path, make_simulator: Callable[..., Running]
) -> None:
    """Whatever a person has written there is not passed over in silence."""
    table(tmp_path / "leads.xlsx", beside="call her")
    job = write_job(tmp_path, [], sheet={"file": "leads.xlsx"}, results={"file": "out.csv"})

    checked = batcher("check", job, env=environment(tmp_path, make_simulator().url), cwd=tmp_path)

    assert "3 rows = 3 waiting" in checked.stdout
