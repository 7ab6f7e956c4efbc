"""Runs over rows that are all done: a million of them."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from batcher.idle import STILL_S
from benchmarks.documents import dumped_s, exponent, wide_sheet
from benchmarks.stand import AT_ONCE, Ran, run_job, simulator, timed, write_job
from benchmarks.table import Figure

ROWS = 1_000_000
SMALLER = (10_000, 100_000)
"""Sheets of so many rows are measured as well, to see how the time grows."""

_ROOT = str(Path(__file__).parent.parent)


@dataclass(frozen=True, kw_only=True)
class _Seen:
    """
    The runs over one sheet whose rows are all done, each beside reading the same file and writing each row as JSON.

    Attributes:
        first: The run that writes the results for the first time.
        saved: The sheet was saved again, with nothing changed: it is read, and neither planned nor written.
        changed: A cell that the job does not use is another: everything is planned, and the results are written anew.
        quiet: The second of two runs with no file touched at all.
    """

    dump_s: float
    first: Ran
    saved: Ran
    changed: Ran
    quiet: Ran


def done(runs: int, folder: Path) -> Iterator[Figure]:
    """Runs over a million rows that are done, and how their time grows up to there."""
    load = os.getloadavg()[0]
    smaller = [_seen(folder / f"done-{rows}", rows) for rows in SMALLER]
    seen = [_seen(folder / f"done-{number}", ROWS) for number in range(min(runs, 2))]
    last, what = seen[-1], f"run with {ROWS:,} rows done"
    beside = f"csv and json alone {last.dump_s:.1f} s"
    yield Figure(
        what=f"{what}: time beside csv and json",
        goal="<= 4",
        values=[each.saved.took_s / each.dump_s for each in seen],
        unit="x",
        note=f"the sheet saved again: {last.saved.took_s:.1f} s, {beside}; no file touched: {last.quiet.took_s:.2f} s",
        load=load,
    )
    yield Figure(
        what=f"{what}, one cell changed: time beside csv and json",
        goal="",
        values=[each.changed.took_s / each.dump_s for each in seen],
        unit="x",
        note=f"planned and written anew: {last.changed.took_s:.0f} s, {beside}; written first: {last.first.took_s:.0f} s",
        load=load,
    )
    peaks = [[each.peak_mb for each in (one.first, one.saved, one.changed, one.quiet)] for one in seen]
    yield Figure(
        what=f"{what}: peak memory",
        goal="<= 200",
        values=[max(each) for each in peaks],
        unit="MB",
        note="written first {:.0f}, saved again {:.0f}, one cell changed {:.0f}, no file touched {:.0f}".format(
            *peaks[-1]
        ),
        load=load,
    )
    sizes = (*SMALLER, ROWS)
    yield Figure(
        what="growth of a run with all rows done, one cell changed, from 10⁴ to 10⁶ rows (exponent)",
        goal="<= 1.05",
        values=[exponent(sizes, [each.changed.took_s for each in (*smaller, one)]) for one in seen],
        note=", ".join(
            f"{size:,}: {one.changed.took_s:.1f} s" for size, one in zip(sizes, (*smaller, last), strict=True)
        ),
        load=load,
    )


def _seen(folder: Path, rows: int) -> _Seen:
    """Make so many rows, let them be done, and run over them in every way."""
    with simulator(**AT_ONCE) as url:
        job = write_job(folder, rows=1, url=url, limits={"in_flight": 100_000, "batch": 100})
        sheet = wide_sheet(folder / "people.csv", rows)
        filled = timed((sys.executable, "-m", "benchmarks.filler", job), folder, PYTHONPATH=_ROOT)
        if filled.exit:
            raise RuntimeError("the ledger could not be filled")
        dump_s, first = dumped_s(folder, sheet), run_job(job)
        sheet.touch()
        saved = run_job(job)
        _change_a_cell(sheet)
        changed = run_job(job)
        time.sleep(STILL_S + 0.5)
        run_job(job)  # looks properly, and leaves how all files look
        quiet = run_job(job)
    return _Seen(dump_s=dump_s, first=first, saved=saved, changed=changed, quiet=quiet)


def _change_a_cell(sheet: Path) -> None:
    """The last letter of the last cell, which the job does not use, becomes another."""
    with sheet.open("r+b") as file:
        file.seek(-len("y\r\n"), os.SEEK_END)
        file.write(b"s")
