"""Workbooks that LibreOffice writes, and people save in it between runs: nothing is lost, and no word is misread."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from datetime import date
from io import BytesIO
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import xlsxwriter
from person import cells_of, parts_of, require_kept, type_into
from support import batcher, environment, write_job

from batcher.errors import Exit
from batcher.simulator import Running

pytestmark = [
    pytest.mark.skipif(shutil.which("soffice") is None, reason="LibreOffice (soffice) is not installed"),
    pytest.mark.filterwarnings("ignore:.*extension is not supported"),
]
DOT = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010804000000b51c0c020000000b4944415478da6364f80f00010501012718e366"
    "0000000049454e44ae426082"
)
THEIRS = "ABCDEFG"
PIVOT = """
<table:data-pilot-tables><table:data-pilot-table table:name="Pivot" table:target-range-address="Summary.A1:Summary.B5">
<table:source-cell-range table:cell-range-address="Leads.A1:Leads.C3"/>
<table:data-pilot-field table:source-field-name="name" table:orientation="row" table:used-hierarchy="-1"/>
<table:data-pilot-field table:source-field-name="Budget" table:orientation="data" table:used-hierarchy="-1" table:function="sum"/>
</table:data-pilot-table></table:data-pilot-tables>"""
"""A pivot table as an OpenDocument sheet holds it: no library writes one."""


def saved_by_office(source: Path, folder: Path) -> Path:
    """The file as LibreOffice saves it as .xlsx into a folder."""
    home = f"-env:UserInstallation=file://{folder}/profile"
    kind = "xlsx:Calc MS Excel 2007 XML"
    command = ["soffice", home, "--headless", "--convert-to", kind, "--outdir", str(folder), str(source)]
    subprocess.run(command, capture_output=True, timeout=120, check=True)
    return folder / f"{source.stem}.xlsx"


def written(path: Path) -> Path:
    """All that people put into a sheet of leads, in a tab of its own and in others."""
    book = xlsxwriter.Workbook(str(path))
    tab, other = book.add_worksheet("Leads"), book.add_worksheet("Other")
    money, day = book.add_format({"num_format": '#,##0.00 "€"'}), book.add_format({"num_format": "dd.mm.yyyy"})
    tab.write_row("A1", ["id", "name", "Budget", "Twice", "Born", "Rich", "Group"])
    for number, name in enumerate(("Ann", "[fail]", "  Zoë ", "Ann"), 2):
        tab.write_row(number - 1, 0, [f"00{number}", name])
        tab.write_number(number - 1, 2, 10.5 * number, money)
        tab.write_formula(number - 1, 3, f"=C{number}*2", None, 21 * number)
        tab.write_datetime(number - 1, 4, date(1990, 1, number), day)
    tab.write_rich_string("F2", "half ", book.add_format({"bold": True}), "bold")
    tab.merge_range("G2:G5", "one group", book.add_format({"valign": "vcenter"}))
    tab.set_row(3, 40, None, {"hidden": True})
    tab.set_column("A:A", 22)
    tab.freeze_panes(1, 1)
    tab.data_validation("B2:B9", {"validate": "list", "source": ["Ann", "Bob"]})
    tab.conditional_format(
        "C2:C9", {"type": "cell", "criteria": ">", "value": 30, "format": book.add_format({"bold": 1})}
    )
    tab.write_comment("C2", "ask Ben", {"author": "Ann"})
    tab.insert_image("A12", "dot.png", {"image_data": BytesIO(DOT)})
    tab.insert_textbox("C12", "a box")
    chart = book.add_chart({"type": "column"})
    chart.add_series({"values": "=Leads!$C$2:$C$5"})
    other.insert_chart("A9", chart)
    other.add_table("A1:B4", {"name": "Elsewhere", "columns": [{"header": "key"}, {"header": "value"}]})
    other.write_formula("D1", "=SUM(Leads!C2:C5)", None, 147)
    book.define_name("Budgets", "=Leads!$C$2:$C$5")
    book.close()
    return path


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """The workbook as LibreOffice has saved it, beside its job."""
    (tmp_path / "made").mkdir()
    path = tmp_path / "leads.xlsx"
    shutil.move(saved_by_office(written(tmp_path / "leads.xlsx"), tmp_path / "made"), path)
    write_job(tmp_path, [], sheet={"file": "leads.xlsx", "tab": "Leads"}, results={"file": "leads.xlsx"})
    return path


def run(book: Path, simulator: Running) -> str:
    """One run of the job beside the workbook; what it said."""
    env = environment(book.parent, simulator.url)
    done = batcher("run", book.with_name("job.yaml"), env=env, cwd=book.parent)
    assert done.returncode in {Exit.DONE, Exit.SOME_FAILED}, done.stderr
    assert f"Results  {book}\n" in done.stdout
    return done.stdout


def column(book: Path, name: str) -> dict[str, Any]:
    """What stands in a column, by the row's id."""
    header, *rows = openpyxl.load_workbook(book, data_only=True)["Leads"].iter_rows(values_only=True)
    return {str(row[0]): row[header.index(name)] for row in rows if row[0]}


def test_everything_of_a_libreoffice_workbook_survives(book: Path, make_simulator: Callable[..., Running]) -> None:
    """Shared texts, dates, merged cells, formulas with values, hidden rows, lists, drawings, charts and tables."""
    before = shutil.copy(book, book.with_name("before.xlsx"))
    kinds = {name.split("/")[1] for name in parts_of(book) if name.count("/") > 1}
    assert {"worksheets", "drawings", "charts", "media", "tables"} <= kinds
    assert "xl/sharedStrings.xml" in parts_of(book)

    run(book, make_simulator())

    require_kept(before, book, columns=THEIRS, typed={})
    assert column(book, "batcher_status") == {"002": "done", "003": "failed", "004": "done", "005": "done"}
    assert column(book, "Twice") == {"002": 42, "003": 63, "004": 84, "005": 105}
    again = openpyxl.load_workbook(saved_by_office(book, book.parent / "made"))
    assert (again["Leads"]["C2"].comment.text, again["Leads"].row_dimensions[4].hidden) == ("ask Ben", True)
    assert [str(each) for each in again["Leads"].merged_cells.ranges] == ["G2:G5"]
    assert list(again["Other"].tables) == ["Elsewhere"]


def test_a_workbook_saved_in_libreoffice_between_runs(book: Path, make_simulator: Callable[..., Running]) -> None:
    """Saving rewrites every part: nothing is sent for it, and `again` is still known to stand beside the newest state."""
    simulator = make_simulator()
    run(book, simulator)
    shutil.move(saved_by_office(book, book.parent / "made"), book)
    run(book, simulator)
    assert simulator.report()["creations"] == 4

    type_into(book, {"B3": "Bob", status(book, 3): "again"})
    shutil.move(saved_by_office(book, book.parent / "made"), book)
    run(book, simulator)
    assert simulator.report()["creations"] == 5
    assert set(column(book, "batcher_status").values()) == {"done"}
    assert column(book, "attempts") == {"002": 1, "003": 2, "004": 1, "005": 1}


def test_rows_sorted_without_our_columns_get_their_own_results_back(
    book: Path, make_simulator: Callable[..., Running]
) -> None:
    """A person has marked only the own columns before sorting: links stood beside the wrong people."""
    simulator = make_simulator()
    run(book, simulator)
    links = column(book, "video_url")

    type_into(book, {"A2": "004", "A4": "002", "B2": "  Zoë ", "B4": "Ann"})
    run(book, simulator)

    assert column(book, "video_url") == links
    assert simulator.report()["creations"] == 4


def test_a_pivot_table_and_its_cache_survive(tmp_path: Path, make_simulator: Callable[..., Running]) -> None:
    """Its parts are copied, and LibreOffice still finds it."""
    (tmp_path / "made").mkdir()
    book = tmp_path / "leads.xlsx"
    shutil.move(saved_by_office(with_pivot(tmp_path / "leads.fods"), tmp_path / "made"), book)
    write_job(tmp_path, [], sheet={"file": "leads.xlsx", "tab": "Leads"}, results={"file": "leads.xlsx"})
    before = shutil.copy(book, tmp_path / "before.xlsx")
    pivots = [name for name in parts_of(book) if re.search(r"pivot(Cache|Tables)/", name)]
    assert len(pivots) == 5

    run(book, make_simulator())

    require_kept(before, book, columns="ABC", typed={})
    assert pivots == [name for name in parts_of(saved_by_office(book, tmp_path / "made")) if "pivot" in name]
    assert cells_of(before)["A2"] == cells_of(book)["A2"]


def with_pivot(path: Path) -> Path:
    """A flat OpenDocument sheet with two leads and a pivot table over them."""
    spaces = " ".join(f'xmlns:{x}="urn:oasis:names:tc:opendocument:xmlns:{x}:1.0"' for x in ("office", "table", "text"))
    cells = [["id", "name", "Budget"], ["r1", "Ann", 4], ["r2", "Bob", 5]]
    path.write_text(
        f'<?xml version="1.0" encoding="UTF-8"?><office:document {spaces} office:version="1.2" '
        'office:mimetype="application/vnd.oasis.opendocument.spreadsheet"><office:body><office:spreadsheet>'
        f"<table:table table:name='Leads'>{''.join(map(_row, cells))}</table:table>"
        f"<table:table table:name='Summary'>{_row([''])}</table:table>{PIVOT}"
        "</office:spreadsheet></office:body></office:document>",
        encoding="utf-8",
    )
    return path


def _row(cells: list[Any]) -> str:
    def cell(value: Any) -> str:
        kind = "string'" if isinstance(value, str) else f"float' office:value='{value}'"
        return f"<table:table-cell office:value-type='{kind}><text:p>{value}</text:p></table:table-cell>"

    return f"<table:table-row>{''.join(map(cell, cells))}</table:table-row>"


def status(book: Path, row: int) -> str:
    """The address of a row's status cell."""
    cells = openpyxl.load_workbook(book)["Leads"][1]
    return next(f"{cell.column_letter}{row}" for cell in cells if cell.value == "batcher_status")
