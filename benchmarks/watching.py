"""How full the slots are, and what it costs to watch them."""

from __future__ import annotations

import heapq
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from batcher.simulator.chance import render_time
from benchmarks.stand import report, run_job, simulator, watching_requests, write_job

MEDIAN_S, SPREAD = 4.0, 0.35


def ideal_s(times: Sequence[float], *, slots: int) -> float:
    """The makespan of a greedy schedule without gaps."""
    busy = [0.0] * min(slots, len(times))
    for took in times:
        heapq.heapreplace(busy, busy[0] + took)
    return max(busy)


def occupancy(folder: Path, *, rows: int, slots: int, seed: int, **changes: Any) -> tuple[float, float, str]:
    """Ideal over actual makespan, status requests per row, and what else was seen."""
    times = [render_time(seed, number, median_s=MEDIAN_S, spread=SPREAD) for number in range(1, rows + 1)]
    with simulator(render_s=MEDIAN_S, spread=SPREAD, seed=seed, in_flight=slots, balance=1e9) as url:
        limits = {"in_flight": slots, **changes}
        run_job(
            write_job(
                folder, rows=rows, url=url, limits=limits, poll={"at_most_every": "0.1s", "budget": "1000/second"}
            )
        )
        told = report(url)
    begun = [charge["at"] for charge in told["charges"]]
    last = max(told["ended_at"])
    late = statistics.mean(told["noticed_late_s"])
    refused = sum(told["refused"].values())
    note = f"noticed {late:.2f} s late on average; {len(told['duplicates'])} duplicates, {refused} refusals"
    return ideal_s(times, slots=slots) / (last - min(begun)), watching_requests(told) / rows, note


def batches(limit: int) -> Iterator[tuple[str, dict[str, int]]]:
    """Without batches, and with."""
    yield "single", {}
    yield "in batches", {"batch": limit}
