"""
Public test files of other projects: each is read, or refused in one sentence; nothing ever ends otherwise.

They are found through BATCHER_CORPORA, else beside the repository; BATCHER_CORPORA_EXTRA names further folders
(separated like PATH) whose files are all thrown at the reader.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Collection
from io import BytesIO
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from _pytest.mark import ParameterSet

from batcher.errors import InputError
from batcher.sheet import SheetSpec, open_sheet, write_csv
from batcher.sheet.archive import Damaged, open_archive
from batcher.sheet.package import tabs
from batcher.sheet.workbook import calamine_grid, read_whole
from batcher.sheet.xlsx_xml import survey

_ROOT = Path(os.environ.get("BATCHER_CORPORA") or Path(__file__).parents[1].parent / "shared" / "corpora")
_EXTRA = [Path(folder) for folder in os.environ.get("BATCHER_CORPORA_EXTRA", "").split(os.pathsep) if folder]
_SUFFIXES = {".csv", ".tsv", ".tab", ".txt", ".xlsx", ".xlsm", ".xlsb", ".xls", ".ods", ".parquet"}
_ERRATA = {"location_coordinates.csv": {"Contact Phone Number": "2095257564"}}
"""Answers that contradict their own CSV file: the cell as it stands there."""
_ABSENT = pytest.param(None, marks=pytest.mark.skip(reason=f"no public test files at {_ROOT}"))


def files(*folders: Path, suffixes: Collection[str] = _SUFFIXES) -> list[ParameterSet]:
    """One case per file in the folders, or a skipped one that says why."""
    found = [
        path
        for folder in folders
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in suffixes and path.is_file()
    ]
    return [pytest.param(path, id=f"{path.parent.name}/{path.name}") for path in found] or [_ABSENT]


@pytest.mark.parametrize("path", files(_ROOT / "csv-spectrum" / "csvs"))
def test_csv_spectrum_is_read_as_its_authors_say(path: Path) -> None:
    """Its answers are exact."""
    answers = json.loads((path.parents[1] / "json" / f"{path.stem}.json").read_text(encoding="utf-8"))

    sheet = open_sheet(SheetSpec(path=path, delimiter=","))

    for name, cell in _ERRATA.get(path.name, {}).items():
        answers[name] = cell
    read = [dict(zip(sheet.header, row.cells, strict=True)) for row in sheet.rows() if not row.is_blank]
    assert read == (answers if isinstance(answers, list) else [answers])


@pytest.mark.parametrize("path", files(_ROOT / "csvkit", _ROOT / "calamine", *_EXTRA))
def test_every_file_is_read_or_refused(path: Path, tmp_path: Path) -> None:
    """One clear sentence or all rows; what was read can be written and read again."""
    try:
        sheet = open_sheet(SheetSpec(path=path))
        rows = [row.cells for row in sheet.rows()]
    except InputError as refused:
        assert refused.problems
        assert all(problem.where and problem.message for problem in refused.problems)
        return
    write_csv(tmp_path / "again.csv", sheet.header, rows, ours_from=len(sheet.header))
    again = open_sheet(SheetSpec(path=tmp_path / "again.csv", delimiter=","))
    assert [row.cells for row in again.rows()] == rows


@pytest.mark.parametrize("path", files(_ROOT / "calamine", _ROOT / "csvkit", *_EXTRA, suffixes={".xlsx", ".xlsm"}))
def test_a_second_reader_sees_the_same_rows(path: Path) -> None:
    """Rows that silently never get a video are the worst fault there is: openpyxl must not see others."""
    try:
        data = read_whole(path)
        archive = open_archive(data, path.name)
        known = [(tab, survey(archive.read(tab.part), padded={}, data_from=1)) for tab in tabs(archive)]
        grids = [calamine_grid(data, tab.name, path.name, found) for tab, found in known]
    except (InputError, Damaged):
        pytest.skip("the workbook is refused")
    theirs = [_rows_of_openpyxl(data, grid.name) for grid in grids]
    if None in theirs:
        pytest.skip("openpyxl cannot read it")
    assert [[row.number for row in grid.rows() if not row.is_blank] for grid in grids] == theirs


def _rows_of_openpyxl(data: bytes, tab: str) -> list[int] | None:
    """Numbers of the rows with anything in them; None when openpyxl fails."""
    try:
        with warnings.catch_warnings(action="ignore"):
            sheet: Any = openpyxl.load_workbook(BytesIO(data))[tab]
        # Not iter_rows: it makes a cell for every place in the used range, which may be the whole tab.
        cells = [(cell.row, cell.value) for cell in sheet._cells.values()]
    except Exception:
        return None
    return sorted({number for number, value in cells if value is not None and str(value).strip()})
