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
from batcher.lines import is_misread, sheet_advice
from batcher.marks import Mark
from batcher.model import Row, State
from batcher.results import Tally, Written, results_header, rows_and_lines, write_results
from batcher.sheet import clean
from batcher.sheet.address import column_index
from batcher.stores import Changed, Location, edited, look
from batcher.workbook import CellNote, InPlaceUpdate, WorkbookBusy, WorkbookRefused, update_workbook

_CELL = re.compile(r"!([A-Z]{1,3})(\d+)\Z")
_PUT_BACK = "; put back to: "


def write_in_place(bound: BoundJob, ledger: Ledger, *, fingerprint: str) -> Written:
    """
    Write our columns into the sheet's own workbook; beside it while it is open somewhere, or would come to harm.

    One in the cloud is changed in a copy, which takes its place only where that still holds what was copied.

    Args:
        fingerprint: Of the workbook as it was last read or written by us: what has changed since is never lost.

    Raises:
        InputError: The sheet can no longer be read, or neither file can be written.
        OSError: The file cannot be written.
    """
    place, tally = bound.job.sheet.file, Tally()
    update = _update(bound, ledger, tally)
    header_row = bound.job.sheet.header_row
    try:
        with edited(place) as file:
            written = update_workbook(
                file, tab=bound.sheet.tab, header_row=header_row, update=update, read_fingerprint=fingerprint
            )
    except (WorkbookBusy, WorkbookRefused, Changed) as error:
        beside = file_beside(place)
        require_ours(bound, beside)
        tally = write_results(bound, ledger, to=beside)
        note = f"{error}; until then the results stand in {beside.name}"
        return Written(tally=tally, file=beside, note=note, is_final=isinstance(error, WorkbookRefused))
    return Written(tally=tally, file=place, fingerprint=written.fingerprint)


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


def file_beside(workbook: Location) -> Location:
    """Where the results stand while the workbook cannot take them."""
    return workbook.with_name(f"{workbook.stem}.results.xlsx")


def _update(bound: BoundJob, ledger: Ledger, tally: Tally) -> InPlaceUpdate:
    layout = bound.layout
    prefix, header = bound.job.results.prefix, layout.header[layout.own_from :]
    status = header.index(f"{prefix}{STATUS}")
    rows: dict[int, Sequence[str]] = {}
    notes: list[CellNote] = []
    lasting: dict[int, str] = {}
    for identified, standings, (line,) in rows_and_lines(bound, ledger, tally):
        number, texts = identified.row.number, line[layout.own_from :]
        rows[number] = texts
        if is_misread(bound, identified.row):
            notes.append(CellNote(row=number, column=None, text=_misread(bound, identified.row, texts[status])))
        elif bound.marks.word(identified.row):
            lasting[number] = f"{_PUT_BACK}{texts[status]}"
        notes += [note for standing in standings for note in _notes(bound, identified.row, standing)]
    return InPlaceUpdate(
        header=header,
        rows=rows,
        notes=notes,
        links=layout.links,
        status=status,
        numbers=layout.numbers,
        stays=lambda row, line: row in lasting and line.endswith(lasting[row]),
    )


def _misread(bound: BoundJob, row: Row, word: str) -> str:
    """What a person is told whose word was replaced; as long as this word stands there, by `InPlaceUpdate.stays`."""
    known = ", ".join(mark.value for mark in Mark if mark.value)
    return f"'{clean(bound.marks.word(row))[:40]}' is none of the words that count here ({known}){_PUT_BACK}{word}"


def _notes(bound: BoundJob, row: Row, standing: Standing) -> Iterator[CellNote]:
    """The reasons why a task is not done, each on the cell that has caused it; without one, beside the row's word."""
    for place, message in standing.flaws if standing.state is State.INVALID else ():
        cell = _CELL.search(place)
        at, column = (int(cell[2]), column_index(cell[1])) if cell else (row.number, None)
        yield CellNote(row=at, column=column, text=message)
    if standing.state not in (State.FAILED, State.UNSURE):
        return
    reason = clean(" → ".join(filter(None, [standing.error, sheet_advice(bound, standing)])))
    step = bound.steps.get(standing.key.step) if standing.state is State.FAILED else None
    found = (
        step.columns_about(row, item=standing.key.item, code=standing.error_code, error=standing.error) if step else ()
    )
    label = f"{standing.key.step}: " if len(bound.steps) > 1 else ""
    label += f"{standing.key.item}: " if standing.key.item else ""
    for column in found or (None,):
        yield CellNote(row=row.number, column=column, text=f"{label}{reason}")


def require_ours(bound: BoundJob, file: Location) -> None:
    """InputError when the file beside is there and holds something else."""
    if look(file) is None and not (isinstance(file, Path) and file.exists()):
        return
    if f"{bound.job.results.prefix}{STATUS}" not in results_header(file):
        message = "is there and was not written by batcher, so the results cannot stand there: move it away"
        raise InputError(Problem(where=file.name, message=message))
