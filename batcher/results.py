"""The sheet again, with links and reasons beside every row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from batcher.bound import BoundJob
from batcher.ledger.protocol import Ledger, Standing
from batcher.lines import SKIPPED, row_lines, row_word
from batcher.sheet import write_rows

GROUP = 400


@dataclass(kw_only=True, slots=True)
class Tally:
    """
    The account of a results sheet: every row is in exactly one word.

    Attributes:
        rows: Rows of the sheet.
        words: Rows by their word; `skipped` among them.
    """

    rows: int = 0
    words: Counter[str] = field(default_factory=Counter)

    def identity(self) -> str:
        """`40 rows = 37 done + 1 failed + 2 invalid`, with a mark when it does not add up."""
        order = ("done", "failed", "invalid", "in progress", "unsure", "waiting", "held", SKIPPED)
        parts = [f"{self.words[word]} {word}" for word in order if self.words[word]]
        right = sum(self.words.values()) == self.rows
        return f"{self.rows} rows = {' + '.join(parts) or '0'} {'✓' if right else '✗ (these do not add up: please report it)'}"


def write_results(bound: BoundJob, ledger: Ledger, *, to: Path | None = None) -> Tally:
    """
    Write the results file whole, and count its rows.

    Args:
        to: Another file than the job's.

    Raises:
        InputError: The sheet can no longer be read, or the file cannot be written in this format.
        OSError: The file cannot be written.
    """
    tally = Tally()
    layout, job = bound.layout, bound.job
    links = [index for index, name in enumerate(layout.header) if index >= layout.own_from and name.endswith("_url")]
    write_rows(
        to or job.results.file,
        layout.header,
        _lines(bound, ledger, tally),
        ours_from=layout.own_from,
        bom=job.results.bom,
        links=links,
    )
    return tally


def count_rows(bound: BoundJob, ledger: Ledger) -> Tally:
    """Count the rows of the sheet by their words, without writing anything."""
    tally = Tally()
    for _ in _lines(bound, ledger, tally):
        pass
    return tally


def result_rows(bound: BoundJob, ledger: Ledger) -> Iterator[Sequence[str]]:
    """The lines below the results header, as texts."""
    return _lines(bound, ledger, Tally())


def _lines(bound: BoundJob, ledger: Ledger, tally: Tally) -> Iterator[Sequence[str]]:
    rows = bound.rows()
    while some := list(islice(rows, GROUP)):
        ids = [identified.row_id for identified in some if identified.row_id]
        by_row: dict[str, list[Standing]] = {}
        for standing in ledger.standings(bound.job.name, ids):
            by_row.setdefault(standing.key.row_id, []).append(standing)
        for identified in some:
            standings = by_row.get(identified.row_id, [])
            tally.rows += 1
            tally.words[row_word(identified, standings)] += 1
            yield from row_lines(bound, identified, standings)
