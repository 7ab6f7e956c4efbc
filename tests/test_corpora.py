"""
Public test files of other projects: each is read, or refused in one sentence; nothing ever ends otherwise.

They are found through BATCHER_CORPORA, else beside the repository; BATCHER_CORPORA_EXTRA names further folders
(separated like PATH): their sheets are thrown at the reader of sheets, their YAML at the reader of jobs, their JSON at the
reader of answers.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import warnings
from collections.abc import Callable, Collection, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import openpyxl
import pandas
import pytest
from _pytest.mark import ParameterSet
from msgspec.structs import replace

from batcher.api.sorting import sort_answer
from batcher.api.wire import Answer, parse_json
from batcher.catalog.load import built_in_providers
from batcher.catalog.outcome import read_outcome
from batcher.catalog.pick import as_text
from batcher.errors import InDoubt, InputError
from batcher.job import load_job
from batcher.sheet import SheetSpec, open_sheet, write_csv
from batcher.sheet.archive import Archive, Damaged, open_archive
from batcher.sheet.package import Tab, tabs
from batcher.sheet.workbook import calamine_grid, read_whole
from batcher.sheet.xlsx_xml import Survey, survey

_ROOT = Path(os.environ.get("BATCHER_CORPORA") or Path(__file__).parents[1].parent / "shared" / "corpora")
_EXTRA = [Path(folder) for folder in os.environ.get("BATCHER_CORPORA_EXTRA", "").split(os.pathsep) if folder]
_SUFFIXES = {".csv", ".tsv", ".tab", ".txt", ".xlsx", ".xlsm", ".xlsb", ".xls", ".ods", ".parquet"}
_ERRATA = {"location_coordinates.csv": {"Contact Phone Number": "2095257564"}}
"""Answers that contradict their own CSV file: the cell as it stands there."""
HEYGEN = next(each for each in built_in_providers() if each.name == "heygen")
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


@pytest.mark.parametrize("path", files(_ROOT, *_EXTRA))
def test_every_file_is_read_or_refused(path: Path, tmp_path: Path) -> None:
    """One clear sentence with a place or all rows, every tab of it; what was read can be written and read again."""
    specs = [SheetSpec(path=path)]
    for spec in specs:
        try:
            sheet = open_sheet(spec)
            rows = [row.cells for row in sheet.rows()]
        except InputError as refused:
            specs += _as_told(spec, refused)
            continue
        write_csv(tmp_path / "again.csv", sheet.header, rows, ours_from=len(sheet.header))
        again = open_sheet(SheetSpec(path=tmp_path / "again.csv", delimiter=","))
        assert [row.cells for row in again.rows()] == rows


def _as_told(spec: SheetSpec, refused: InputError) -> list[SheetSpec]:
    """The same file as the refusal says that it should be read: nobody is told what does not help."""
    assert refused.problems
    told: list[SheetSpec] = []
    for problem in refused.problems:
        assert problem.where and problem.message
        assert str(problem).isprintable(), "one line, and nothing that a terminal obeys"
        if found := re.search(r"write tab: with one of (.*)", problem.message):
            told += [replace(spec, tab=tab) for tab in found[1].split(", ")]
        if found := re.search(r"write header_row: (\d+)", problem.message):
            assert int(found[1]) != spec.header_row
            told.append(replace(spec, header_row=int(found[1])))
        if found := re.search(r"encoding: ([\w-]+)", problem.message):
            assert found[1] != spec.encoding
            told.append(replace(spec, encoding=found[1]))
    return told


Bounded = Callable[[Path, int], str]


@pytest.fixture(scope="module")
def bounded() -> Iterator[Bounded]:
    """Reads a sheet within so many megabytes and ten seconds, in a process of its own; says how that has ended."""
    command = [sys.executable, str(Path(__file__).with_name("bounded.py"))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as process:

        def read(path: Path, megabytes: int) -> str:
            assert process.stdin and process.stdout
            process.stdin.write(f"{megabytes} {path}\n")
            return process.stdout.readline().strip()

        yield read


@pytest.mark.parametrize("path", files(_ROOT, *_EXTRA))
def test_no_file_takes_more_than_ten_seconds_or_half_a_gigabyte(path: Path, bounded: Bounded) -> None:
    """Whatever it is, and however it ends."""
    assert bounded(path, 500).startswith(("read", "refused"))


@pytest.mark.parametrize(("megabytes", "ending"), [(500, "read 1"), (20, "broke with MemoryError()")])
def test_what_takes_too_much_is_seen(megabytes: int, ending: str, bounded: Bounded, tmp_path: Path) -> None:
    """Otherwise the bounds would prove nothing."""
    (tmp_path / "a.csv").write_text("id,name\n1," + "x" * 15_000_000, encoding="utf-8")
    assert bounded(tmp_path / "a.csv", megabytes) == ending


@pytest.mark.parametrize("path", files(_ROOT / "csvkit", *_EXTRA, suffixes={".csv", ".tsv"}))
def test_a_second_reader_of_texts_sees_the_same_rows(path: Path) -> None:
    """As many as pandas finds, with the same cells; what only one of them reads proves nothing."""
    try:
        sheet = open_sheet(SheetSpec(path=path))
        rows = list(sheet.rows())
    except InputError:
        pytest.skip("the file is refused")
    noted = next((note.removeprefix("delimiter ") for note in sheet.notes if note.startswith("delimiter")), "")
    usual = "\t" if path.suffix == ".tsv" else ","
    told = {"sep": {"tab": "\t", "": usual}.get(noted, noted), "encoding": _encoding(path)}
    theirs = pandas.read_csv(
        path,
        header=None,
        dtype=str,
        keep_default_na=False,
        skip_blank_lines=False,
        skiprows=rows[0].number - 1,
        **told,
    )
    assert [list(row.cells) for row in rows if any(row.cells)] == [row for row in theirs.values.tolist() if any(row)]


def _encoding(path: Path) -> str:
    begin = path.read_bytes()[:2]
    return "utf-16" if begin in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"


@pytest.mark.parametrize("path", files(_ROOT, *_EXTRA, suffixes={".json"}))
def test_every_json_text_is_an_answer_or_none(path: Path) -> None:
    """What must be accepted is, what must not is in doubt, and whatever is read can be kept."""
    raw = path.read_bytes()
    value, is_json = parse_json(raw)
    answer = Answer(status=200, value=value, is_json=is_json, start=raw[:200].decode("utf-8", "replace"))

    error = sort_answer(answer, HEYGEN.errors, is_write=True, now=0)

    assert is_json or isinstance(error, InDoubt)
    if path.name.startswith(("y_", "n_")):
        assert is_json == path.name.startswith("y_")
    as_text(value).encode()
    for operation in HEYGEN.operations.values():
        if operation.reading:
            read_outcome(operation.reading, value)


@pytest.mark.parametrize("path", files(_ROOT, *_EXTRA, suffixes={".yaml", ".yml"}))
def test_every_yaml_file_is_a_job_or_refused(path: Path) -> None:
    """Each problem with its place, in one line."""
    try:
        load_job(path)
    except InputError as refused:
        for problem in refused.problems:
            assert str(problem).startswith(path.name)
            assert str(problem).isprintable()


@pytest.mark.parametrize("path", files(_ROOT / "calamine", _ROOT / "csvkit", *_EXTRA, suffixes={".xlsx", ".xlsm"}))
def test_a_second_reader_sees_the_same_rows(path: Path) -> None:
    """Rows that silently never get a video are the worst fault there is: openpyxl must not see others."""
    try:
        data = read_whole(path)
        archive = open_archive(data, path.name)
        known = [(tab, _survey(archive, tab)) for tab in tabs(archive)]
        grids = [calamine_grid(data, tab.name, path.name, found) for tab, found in known]
    except (InputError, Damaged):
        pytest.skip("the workbook is refused")
    theirs = [_rows_of_openpyxl(data, grid.name) for grid in grids]
    if None in theirs:
        pytest.skip("openpyxl cannot read it")
    assert [[row.number for row in grid.rows() if not row.is_blank] for grid in grids] == theirs


def _survey(archive: Archive, tab: Tab) -> Survey:
    return survey(lambda: archive.pieces(tab.part), padded={}, data_from=1)


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
