"""How long it takes to be there at all."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from batcher.idle import STILL_S
from benchmarks.stand import AT_ONCE, BATCHER, run_job, simulator, timed, write_job
from benchmarks.table import Figure

REPEATS = 7


def _quickest(command: Sequence[str | Path], folder: Path) -> float:
    return min(timed(command, folder).took_s for _ in range(REPEATS))


def startup(runs: int, folder: Path) -> Iterator[Figure]:
    """Beside a Python that does nothing."""
    load = os.getloadavg()[0]
    versions, looks, ticks, tens, bare = [], [], [], [], 0.0
    for number in range(runs):
        bare = _quickest((sys.executable, "-c", "pass"), folder)
        versions.append(_quickest((*BATCHER, "--version"), folder) / bare)
        with simulator(**AT_ONCE, seed=number) as url:
            job = write_job(folder / f"ten-{number}", rows=10, url=url)
            tens.append(run_job(job).took_s)
            time.sleep(STILL_S)  # the next tick of cron is minutes away
            tick = (*BATCHER, "run", job, "--quiet", "--yes")
            looks.append(timed(tick, job.parent).took_s / bare)
            ticks.append(_quickest(tick, job.parent) / bare)
    note = f"python -c pass: {bare * 1000:.0f} ms"
    yield Figure(
        what="batcher --version beside python -c pass", goal="<= 4", values=versions, unit="x", note=note, load=load
    )
    yield Figure(
        what="a cron tick with nothing to do beside python -c pass",
        goal="<= 8",
        values=ticks,
        unit="x",
        note=note,
        load=load,
    )
    yield Figure(what="the first such tick after a run", goal="", values=looks, unit="x", note=note, load=load)
    yield Figure(what="a run over 10 rows", goal="<= 1", values=tens, unit="s", load=load)
