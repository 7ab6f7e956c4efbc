"""The sheet again, with links and reasons beside every row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from msgspec import Struct, field

from batcher.bound import BoundJob
from batcher.errors import InputError
from batcher.expiry import link_expiry, next_renewal
from batcher.layout import STATUS
from batcher.ledger.protocol import Ledger
from batcher.ledger.values import Standing
from batcher.lines import SKIPPED, row_lines, row_word
from batcher.marks import Identified, Mark
from batcher.model import HELD
from batcher.sheet import PLAIN, Looks, Sheet, SheetSpec, open_sheet, write_rows
from batcher.stores import Location, on_disk

GROUP = 400
_DELIMITERS = {".csv": ",", ".tsv": "\t"}


class Tally(Struct, kw_only=True):
    """
    The account of a results sheet: every row is in exactly one word.

    Attributes:
        rows: Rows of the sheet.
        words: Rows by their word; `skipped` among them.
        links_end: When the first of its links stops working, unix seconds; None where none does, or that is not known.
        renew_at: When the first of its links should be renewed, unix seconds; None while there is none that can be.
        held: Of those that are held, how many wait for which instant, unix seconds; 0 is a person's word. Empty where
            the sheet was not gone through.
    """

    rows: int = 0
    words: Counter[str] = field(default_factory=Counter)
    links_end: float | None = None
    renew_at: float | None = None
    held: Counter[float] = field(default_factory=Counter)

    def identity(self) -> str:
        """`40 rows = 37 done + 1 failed + 2 invalid`, with a mark when it does not add up."""
        order = ("done", "failed", "invalid", "in progress", "unsure", "waiting", "held", SKIPPED)
        parts = [f"{self.words[word]} {word}" for word in order if self.words[word]]
        right = sum(self.words.values()) == self.rows
        return f"{self.rows} rows = {' + '.join(parts) or '0'} {'✓' if right else '✗ (these do not add up: please report it)'}"


class Written(Struct, frozen=True, kw_only=True):
    """
    Where results stand.

    Attributes:
        file: The file that has taken them.
        note: Why it is not the one that the job names; empty when it is.
        fingerprint: Of the sheet, which now holds the results itself; empty when it was not touched.
        is_final: Nothing is gained by writing the same once more, later.
    """

    tally: Tally
    file: Location
    note: str = ""
    fingerprint: str = ""
    is_final: bool = True


def write_results(bound: BoundJob, ledger: Ledger, *, to: Location | None = None) -> Tally:
    """
    Write the results file whole, and count its rows.

    Args:
        to: Another file than the job's.

    Raises:
        InputError: The sheet can no longer be read, or the file cannot be written in this format.
        OSError: The file cannot be written.
    """
    tally = Tally()
    layout, results = bound.layout, bound.job.results
    file = to or results.file
    write_rows(
        file,
        layout.header,
        (line for _, _, lines in rows_and_lines(bound, ledger, tally) for line in lines),
        ours_from=layout.own_from,
        bom=results.bom,
        escape_input=results.escape_formulas,
        looks=_looks(bound) if file.suffix.lower() == ".xlsx" else PLAIN,
        like=bound.job.sheet.file,  # who may read the sheet may read what came of it
    )
    return tally


def open_results(file: Path) -> Sheet:
    """
    Open a results file to read it.

    Raises:
        InputError: It cannot be read.
    """
    return open_sheet(SheetSpec(path=file, delimiter=_DELIMITERS.get(file.suffix.lower(), "")))


def results_header(place: Location) -> Sequence[str]:
    """
    The column names of a file that results may stand in; none when it cannot be read as a sheet.

    Raises:
        StoreError: It cannot be had.
    """
    with on_disk(place) as file:
        try:
            return open_results(file).header
        except InputError:
            return ()


def _looks(bound: BoundJob) -> Looks:
    """What the update in place does as well: links, numbers, and the colours of the words."""
    from batcher.workbook import colour_of  # loads what only workbooks need

    layout = bound.layout
    status = list(layout.header).index(f"{bound.job.results.prefix}{STATUS}", layout.own_from)
    return Looks(
        links={layout.own_from + index for index in layout.links},
        numbers={layout.own_from + index for index in layout.numbers},
        fills={status: colour_of},
    )


def count_rows(bound: BoundJob, ledger: Ledger) -> Tally:
    """Count the rows of the sheet by their words, without writing anything."""
    tally = Tally()
    for _ in rows_and_lines(bound, ledger, tally):
        pass
    return tally


def result_rows(bound: BoundJob, ledger: Ledger) -> Iterator[Sequence[str]]:
    """The lines below the results header, as texts."""
    return (line for _, _, lines in rows_and_lines(bound, ledger, Tally()) for line in lines)


def rows_and_lines(
    bound: BoundJob, ledger: Ledger, tally: Tally
) -> Iterator[tuple[Identified, Sequence[Standing], Sequence[Sequence[str]]]]:
    """Every row of the sheet with its tasks and its lines, counted into the tally on the way."""
    rows, now = bound.rows(), bound.clock()
    while some := list(islice(rows, GROUP)):
        ids = [identified.row_id for identified in some if identified.row_id]
        by_row: dict[str, list[Standing]] = {}
        for standing in ledger.standings(bound.job.name, ids):
            by_row.setdefault(standing.key.row_id, []).append(standing)
        for identified in some:
            standings = by_row.get(identified.row_id, [])
            tally.rows += 1
            word = row_word(bound, identified, standings)
            tally.words[word] += 1
            if word == HELD:
                tally.held[0.0 if identified.mark is Mark.HOLD else identified.not_before] += 1
            ends = _count_links(tally, bound, standings, now)
            yield identified, standings, row_lines(bound, identified, standings, ends)


def _count_links(tally: Tally, bound: BoundJob, standings: Sequence[Standing], now: float) -> dict[int, float]:
    """
    When the links of attempts stop working, by their ids, as far as that is known.

    Into the tally goes when the first of them does, and when the first should be renewed.
    """
    ends: dict[int, float] = {}
    for each in standings:
        step = bound.steps.get(each.key.step)
        if step is None or (end := link_expiry(step.operation, each)) is None:
            continue
        ends[each.attempt_id] = end
        if each.is_gone:
            continue
        tally.links_end = end if tally.links_end is None else min(tally.links_end, end)
        renewal = next_renewal(step.operation, each, expiry=end, now=now)
        if renewal is not None:
            tally.renew_at = renewal if tally.renew_at is None else min(tally.renew_at, renewal)
    return ends
