"""The results in the Google Sheet itself, or beside the job when Google cannot take them now."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from batcher.bound import BoundJob
from batcher.copies import Copies
from batcher.errors import InputError
from batcher.google_link import GoogleLink
from batcher.gsheets.api import Tab, open_tab
from batcher.gsheets.door import Door
from batcher.gsheets.merging import Line, Wanted, compare
from batcher.gsheets.reading import keep_values
from batcher.inplace import require_ours
from batcher.job import CONTENT
from batcher.layout import STATUS
from batcher.ledger.protocol import Ledger
from batcher.marks import Mark
from batcher.results import Tally, Written, rows_and_lines, write_results
from batcher.sheet import clean

TRIES = 3
"""So often the cells are written anew when rows have moved in the meantime."""


def write_into_google(
    bound: BoundJob, ledger: Ledger, link: GoogleLink, door: Door, *, state: Path, offline: bool
) -> Written:
    """
    Write our columns into the sheet that the rows were read from; beside the job while Google cannot be reached.

    Only cells of ours change, as plain texts, all in one request. They are read back: rows that moved while they were
    written are found again by their ids.

    Args:
        state: The user's state folder.
        offline: Use no network: the results go beside the job, and the next run brings them into the sheet.

    Raises:
        InputError: The file beside cannot be written.
        OSError: As above.
    """
    tally = Tally()
    if offline:
        return _beside(bound, ledger, "the network is not used now; the next run writes them into the sheet")
    wanted = _wanted(bound, ledger, tally, where=bound.sheet.name)
    try:
        tab = open_tab(link, door)
        is_same = _bring(tab, wanted)
        values = tab.values()
    except InputError as error:
        return _beside(bound, ledger, f"{error}; until then the results stand here")
    final = compare(values, wanted, strays={})
    fingerprint = ""
    if is_same and final.is_same and not final.blocks:
        _, fingerprint = keep_values(Copies.of(str(link), state=state), values, title=f"{tab.document} - {tab.title}")
    return Written(tally=tally, file=bound.job.results.file, fingerprint=fingerprint)


def _bring(tab: Tab, wanted: Wanted) -> bool:
    """Write until everything stands where it should; whether the person's cells are as they were read."""
    strays: dict[int, Sequence[str]] = {}
    is_same = True
    for _ in range(TRIES):
        changes = compare(tab.values(), wanted, strays=strays)
        is_same = is_same and changes.is_same
        if not changes.blocks:
            break
        tab.write(changes.blocks)
        strays |= changes.placed
    return is_same


def _wanted(bound: BoundJob, ledger: Ledger, tally: Tally, *, where: str) -> Wanted:
    layout, sheet, part = bound.layout, bound.sheet, bound.job.sheet
    row_id = "" if part.row_id == CONTENT else part.row_id
    id_at, status_at = sheet.column(row_id) if row_id else None, layout.own.get(STATUS)
    ours = layout.header[layout.own_from :]
    lines = [
        Line(
            cells=tuple(identified.row.cells[index] for index in layout.kept),
            row_id="" if id_at is None else identified.row.cells[id_at],
            status="" if status_at is None else identified.row.cells[status_at],
            texts=[clean(text) for text in line[layout.own_from :]],
        )
        for identified, _, (line,) in rows_and_lines(bound, ledger, tally)
    ]
    return Wanted(
        where=where,
        header_row=part.header_row,
        kept=layout.header[: layout.own_from],
        ours=ours,
        status=ours.index(f"{bound.job.results.prefix}{STATUS}"),
        words=frozenset(mark.value for mark in Mark if mark.value),
        row_id=row_id,
        lines=lines,
    )


def _beside(bound: BoundJob, ledger: Ledger, note: str) -> Written:
    file = bound.job.folder / f"{bound.job.name}.results.csv"
    require_ours(bound, file)
    return Written(tally=write_results(bound, ledger, to=file), file=file, note=note, is_final=False)
