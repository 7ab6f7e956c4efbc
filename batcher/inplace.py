"""The results in the sheet's own workbook, or beside it when the workbook cannot take them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from batcher.bound import BoundJob
from batcher.errors import InputError, Problem
from batcher.layout import STATUS
from batcher.ledger.protocol import Ledger
from batcher.ledger.values import Standing
from batcher.results import Tally, Written, rows_and_lines, write_results
from batcher.sheet import SheetSpec, open_sheet
from batcher.sheet.address import column_index
from batcher.workbook import CellNote, InPlaceUpdate, WorkbookBusy, WorkbookRefused, update_workbook

_CELL = re.compile(r"!([A-Z]{1,3})(\d+)\Z")


def write_in_place(bound: BoundJob, ledger: Ledger, *, fingerprint: str) -> Written:
    """
    Write our columns into the sheet's own workbook; beside it while it is open somewhere, or would come to harm.

    Args:
        fingerprint: Of the workbook as it was last read or written by us: what has changed since is never lost.

    Raises:
        InputError: The sheet can no longer be read, or neither file can be written.
        OSError: The file cannot be written.
    """
    file, tally = bound.job.sheet.file, Tally()
    update = _update(bound, ledger, tally)
    header_row = bound.job.sheet.header_row
    try:
        written = update_workbook(
            file, tab=bound.sheet.tab, header_row=header_row, update=update, read_fingerprint=fingerprint
        )
    except (WorkbookBusy, WorkbookRefused) as error:
        beside = file_beside(file)
        require_ours(bound, beside)
        tally = write_results(bound, ledger, to=beside)
        note = f"{error}; until then the results stand in {beside.name}"
        return Written(tally=tally, file=beside, note=note, is_final=isinstance(error, WorkbookRefused))
    return Written(tally=tally, file=file, fingerprint=written.fingerprint)


def update_copy(bound: BoundJob, ledger: Ledger, copy: Path) -> Tally:
    """
    Bring a copy of the workbook up to date: what a run would make of the workbook itself now.

    Raises:
        WorkbookRefused: It cannot be updated without harm; the results then stand beside the workbook.
        InputError: The sheet can no longer be read, or the copy not be written.
    """
    tally = Tally()
    update = _update(bound, ledger, tally)
    fingerprint = hashlib.sha256(copy.read_bytes()).hexdigest()
    update_workbook(
        copy, tab=bound.sheet.tab, header_row=bound.job.sheet.header_row, update=update, read_fingerprint=fingerprint
    )
    return tally


def file_beside(workbook: Path) -> Path:
    """Where the results stand while the workbook cannot take them."""
    return workbook.with_name(f"{workbook.stem}.results.xlsx")


def _update(bound: BoundJob, ledger: Ledger, tally: Tally) -> InPlaceUpdate:
    layout = bound.layout
    prefix, header = bound.job.results.prefix, layout.header[layout.own_from :]
    rows: dict[int, Sequence[str]] = {}
    notes: list[CellNote] = []
    for identified, standings, (line,) in rows_and_lines(bound, ledger, tally):
        rows[identified.row.number] = line[layout.own_from :]
        notes += _notes(standings)
    return InPlaceUpdate(
        header=header,
        rows=rows,
        notes=notes,
        links=layout.links,
        status=header.index(f"{prefix}{STATUS}"),
        numbers=layout.numbers,
    )


def _notes(standings: Sequence[Standing]) -> Iterator[CellNote]:
    """The reasons why a row is invalid, each on the cell that a person mends; one of the whole row has no cell."""
    for standing in standings:
        for place, message in standing.flaws:
            if cell := _CELL.search(place):
                yield CellNote(row=int(cell[2]), column=column_index(cell[1]), text=message)


def require_ours(bound: BoundJob, file: Path) -> None:
    """InputError when the file beside is there and holds something else."""
    if not file.exists():
        return
    try:
        header: Sequence[str] = open_sheet(SheetSpec(path=file)).header
    except InputError:
        header = ()
    if f"{bound.job.results.prefix}{STATUS}" not in header:
        message = "is there and was not written by batcher, so the results cannot stand there: move it away"
        raise InputError(Problem(where=file.name, message=message))
