"""The results file held against what the ledger and the sheet would make of it now."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path

from msgspec import Struct, field

from batcher.errors import InputError
from batcher.finding import open_job_sheet
from batcher.inplace import file_beside, update_copy
from batcher.layout import STATUS
from batcher.open_job import OpenJob
from batcher.results import Tally, open_results, write_results
from batcher.sheet import Sheet
from batcher.stores import CloudPath, Location, look, on_disk
from batcher.workbook import WorkbookRefused

_OTHER_COLUMNS = "the columns are not those of this version or job"


class Comparison(Struct, frozen=True, kw_only=True):
    """
    What was found.

    Attributes:
        tally: The rows by their words, as the ledger has them now.
        prefix: Before the names of our columns.
        is_missing: There are no results.
        damage: Why the results cannot be read; empty when they can.
        foreign: Lines whose cells from the sheet are not those of the sheet.
        ours: Lines whose words, links or ids are not those of the ledger.
        bad: (number, header to text) of every line that did not become a video, as the ledger has it.
    """

    tally: Tally
    prefix: str
    is_missing: bool = False
    damage: str = ""
    foreign: list[str] = field(default_factory=list)
    ours: list[str] = field(default_factory=list)
    bad: list[tuple[int, Mapping[str, str]]] = field(default_factory=list)

    @property
    def differs(self) -> bool:
        """Whether the results are not what would be written now."""
        return bool(self.is_missing or self.damage or self.foreign or self.ours)

    def lines_of(self, *words: str) -> Iterator[tuple[int, Mapping[str, str]]]:
        """The lines with one of these words."""
        return ((number, line) for number, line in self.bad if line[f"{self.prefix}{STATUS}"] in words)


def compare_results(opened: OpenJob) -> Comparison:
    """
    Write the results once more, elsewhere, and compare cell by cell.

    While a workbook cannot take its own results, those beside it are compared.

    Both are read back from their files, so that what a format does to a text does not count as a difference.

    Raises:
        InputError: The sheet can no longer be read.
    """
    with tempfile.TemporaryDirectory(prefix="batcher-") as folder:
        if not opened.job.is_in_place:
            return _compare_file(opened, opened.job.results.file, Path(folder))
        if opened.job.sheet.link is not None:
            return _compare(opened, Path(folder) / "results.csv", lambda: opened.sheet)
        beside = file_beside(opened.job.sheet.file)
        try:
            found = _compare_workbook(opened, Path(folder))
        except WorkbookRefused:
            return _compare_file(opened, beside, Path(folder))
        if found.differs and _is_newer(beside, opened.job.sheet.file):
            return _compare_file(opened, beside, Path(folder))
        return found


def _compare_file(opened: OpenJob, place: Location, folder: Path) -> Comparison:
    if look(place) is None:
        return _compare(opened, folder / place.name, None)
    with on_disk(place) as file:
        return _compare(opened, folder / place.name, lambda: open_results(file))


def _compare(opened: OpenJob, again: Path, standing: Callable[[], Sheet] | None) -> Comparison:
    """The results written into another file, held against those that stand somewhere; None when there are none."""
    prefix = opened.job.results.prefix
    tally = write_results(opened.bound, opened.ledger, to=again)
    wanted = open_results(again)
    bad = list(_bad_lines(wanted, f"{prefix}{STATUS}"))
    if standing is None:
        return Comparison(tally=tally, prefix=prefix, is_missing=True, bad=bad)
    try:
        foreign, ours = _differences(wanted, standing(), opened.bound.layout.own_from)
    except InputError as error:
        return Comparison(tally=tally, prefix=prefix, damage=str(error), bad=bad)
    return Comparison(tally=tally, prefix=prefix, foreign=foreign, ours=ours, bad=bad)


def _compare_workbook(opened: OpenJob, folder: Path) -> Comparison:
    """The sheet is the results: a copy that is brought up to date shows what is not."""
    job, prefix = opened.job, opened.job.results.prefix
    copy = folder / job.sheet.file.name
    with on_disk(job.sheet.file) as file:
        shutil.copyfile(file, copy)
        shutil.copyfile(file, standing := folder / f"standing{copy.suffix}")
    tally = update_copy(opened.bound, opened.ledger, copy)
    wanted, found = open_job_sheet(job, file=copy), open_job_sheet(job, file=standing)
    bad = list(_bad_lines(wanted, f"{prefix}{STATUS}"))
    if f"{prefix}{STATUS}" not in found.header:
        return Comparison(tally=tally, prefix=prefix, is_missing=True, bad=bad)
    if wanted.header != found.header:
        return Comparison(tally=tally, prefix=prefix, ours=[_OTHER_COLUMNS], bad=bad)
    ours = [
        f"line {want.number}: {_first_difference(wanted.header, want.cells, have.cells)}"
        for want, have in zip(wanted.rows(), found.rows(), strict=False)
        if want.cells != have.cells
    ]
    return Comparison(tally=tally, prefix=prefix, ours=ours, bad=bad)


def _is_newer(one: Location, other: Location) -> bool:
    """In the cloud the file beside is there only while the workbook could not take the results, and is not compared by time."""
    if isinstance(one, CloudPath) or isinstance(other, CloudPath):
        return look(one) is not None
    return one.exists() and one.stat().st_mtime_ns > other.stat().st_mtime_ns


def _bad_lines(sheet: Sheet, status: str) -> Iterator[tuple[int, Mapping[str, str]]]:
    place = len(sheet.header) - 1 - sheet.header[::-1].index(status)
    for row in sheet.rows():
        if row.cells[place] in ("failed", "invalid", "unsure"):
            yield row.number, dict(zip(sheet.header, row.cells, strict=True))


def _differences(wanted: Sheet, found: Sheet, own_from: int) -> tuple[list[str], list[str]]:
    """Lines that differ in the sheet's cells, and in ours."""
    if wanted.header[:own_from] != found.header[:own_from]:
        return ["the columns are not those of the sheet"], []
    foreign: list[str] = []
    ours: list[str] = [] if wanted.header == found.header else [_OTHER_COLUMNS]
    for want, have in zip_longest(wanted.rows(), found.rows()):
        if want is None or have is None:
            foreign.append(
                f"line {(want or have).number}: {'is missing' if have is None else 'is no row of the sheet'}"
            )
        elif want.cells[:own_from] != have.cells[:own_from]:
            foreign.append(f"line {want.number}: its cells are not those of the sheet")
        elif (not ours and want.cells != have.cells) or (ours and want.cells[own_from:] != have.cells[own_from:]):
            ours.append(f"line {want.number}: {_first_difference(wanted.header, want.cells, have.cells)}")
    return foreign, ours


def _first_difference(header: Sequence[str], want: Sequence[str], have: Sequence[str]) -> str:
    for name, wanted, found in zip(header, want, have, strict=False):
        if wanted != found:
            return f"{name} is {found[:60]!r}, the ledger has {wanted[:60]!r}"
    return "has other columns"
