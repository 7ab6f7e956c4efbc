"""One function for each row of the table; each measures bound, rival and batcher in the same run."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks import cluster, documents, finished, startup
from benchmarks.stand import (
    AT_ONCE,
    OPEN_POLL,
    VIDEO,
    report,
    run_job,
    simulator,
    timed,
    write_job,
    write_sheet,
)
from benchmarks.table import Figure
from benchmarks.watching import batches, occupancy

THREADS = 16
Measure = Callable[[int, Path], Iterator[Figure]]
"""Measures so many times, in a folder of its own."""


def figure(runs: int, measure: Callable[[int], tuple[float, str]], **about: Any) -> Figure:
    """One figure from several runs; the note is that of the last."""
    load = os.getloadavg()[0]
    values, note = [], ""
    for number in range(runs):
        value, note = measure(number)
        values.append(value)
    return Figure(values=values, note=note, load=load, **about)


def _bare(folder: Path, url: str, *, rows: int, path: str, body: Mapping[str, Any], threads: int = THREADS) -> float:
    sheet = write_sheet(folder / "bare.csv", rows)
    root = str(Path(__file__).parent.parent)
    ran = timed(
        (sys.executable, "-m", "benchmarks.bare", url + path, sheet, str(threads), json.dumps(body)),
        folder,
        PYTHONPATH=root,
    )
    if ran.exit:
        raise RuntimeError("the bound itself has failed")
    return ran.took_s


def simulator_alone(runs: int, folder: Path) -> Iterator[Figure]:
    """How quick the stand-in is: nothing that is measured against it can be quicker."""

    def measure(number: int) -> tuple[float, str]:
        with simulator(**AT_ONCE, seed=number) as url:
            ran = timed(
                (sys.executable, "-m", "benchmarks.storm", url), folder, PYTHONPATH=str(Path(__file__).parent.parent)
            )
        singles, batched = ran.stdout.split()
        return float(singles), f"{float(batched):.0f} videos a second in batches of 100"

    yield figure(runs, measure, what="the simulator alone: POST /v3/videos", goal="", unit="/s")


def slots(runs: int, folder: Path) -> Iterator[Figure]:
    """Slot occupancy and the cost of watching, small."""
    costs: list[float] = []

    def measure(number: int) -> tuple[float, str]:
        ratio, cost, note = occupancy(folder / f"slots-{number}", rows=300, slots=10, seed=number)
        costs.append(cost)
        return ratio, note

    yield figure(runs, measure, what="slot occupancy: 300 rows, cap 10, renders of 4 s", goal=">= 0.95")
    yield Figure(what="status requests per row: same run", goal="<= 1.5", values=costs)


def slots_at_scale(runs: int, folder: Path) -> Iterator[Figure]:
    """The same with a thousand slots."""
    for way, changes in batches(100):
        costs: list[float] = []

        def measure(number: int, costs: list[float] = costs, changes: dict[str, int] = changes) -> tuple[float, str]:
            place = folder / f"scale-{len(changes)}-{number}"
            ratio, cost, note = occupancy(place, rows=5000, slots=1000, seed=number, **changes)
            costs.append(cost)
            return ratio, note

        yield figure(runs, measure, what=f"slot occupancy: 5,000 rows, cap 1,000, {way}", goal=">= 0.95")
        yield Figure(what=f"status requests per row: 5,000 rows, cap 1,000, {way}", goal="<= 0.15", values=costs)


def rate(runs: int, folder: Path) -> Iterator[Figure]:
    """600 rows at 20 a second."""

    def measure(number: int) -> tuple[float, str]:
        with simulator(**AT_ONCE, seed=number) as url:
            limits = {"in_flight": 100_000, "submissions": "20/second"}
            run_job(write_job(folder / f"rate-{number}", rows=600, url=url, limits=limits))
            told = report(url)
        posts = told["posts_at"]
        permitted = 20 * (posts[-1] - posts[0] + 1)  # a window is full as it begins
        note = f"at most {told['max_posts_in_second']} in any second; {told['refused'].get('429', 0)} times 429"
        return len(posts) / permitted, note

    yield figure(runs, measure, what="rate use: 600 rows at 20/second", goal=">= 0.99")


def overhead(runs: int, folder: Path) -> Iterator[Figure]:
    """5,000 rows from sheet to results, beside a bare pool that only POSTs."""
    for way, changes in batches(100):

        def measure(number: int, way: str = way, changes: dict[str, int] = changes) -> tuple[float, str]:
            with simulator(**AT_ONCE, seed=number) as url:
                bare_s = _bare(folder, url, rows=5000, path="/v3/videos", body=VIDEO)
            with simulator(**AT_ONCE, seed=number) as url:
                limits = {"in_flight": 100_000, **changes}
                job = write_job(
                    folder / f"overhead-{way[:2]}-{number}", rows=5000, url=url, limits=limits, poll=OPEN_POLL
                )
                ran = run_job(job)
                told = report(url)
            note = f"pool {bare_s:.1f} s, batcher {ran.took_s:.1f} s ({ran.cpu_s:.1f} s of processor)"
            return bare_s / ran.took_s, f"{note}; {len(told['duplicates'])} duplicates"

        goal = ">= 5" if changes else ">= 0.9"
        yield figure(
            runs, measure, what=f"5,000 rows from sheet to results beside a bare pool, {way}", goal=goal, unit="x"
        )


def ancestor(runs: int, folder: Path) -> Iterator[Figure]:
    """200 translations, answers after 0.3 s: HeyGen's published loop and us."""
    body = {"video": {"type": "url", "url": "{{ link }}"}, "output_languages": ["German"], "title": "For {{ id }}"}

    def measure(number: int) -> tuple[float, str]:
        with simulator(**AT_ONCE, seed=number, answer_s=0.3) as url:
            loop_s = _bare(
                folder, url, rows=200, path="/v3/video-translations", body={**body, "video": _LINK}, threads=1
            )
        with simulator(**AT_ONCE, seed=number, answer_s=0.3) as url:
            request = {**body, "video": "{{ link }}"}
            place = folder / f"ancestor-{number}"
            job = write_job(place, rows=200, url=url, operation="heygen.translation", request=request)
            ran = run_job(job)
        kept = (place / "out.csv").read_text(encoding="utf-8-sig").count(",done,")
        return loop_s / ran.took_s, f"loop {loop_s:.1f} s and 0 ids kept, batcher {ran.took_s:.1f} s and {kept} kept"

    yield figure(
        runs, measure, what="200 translations, answers after 0.3 s, beside HeyGen's published loop", goal="", unit="x"
    )


_LINK = {"type": "url", "url": "https://files.example.com/v.mp4"}

ROWS: Mapping[str, Measure] = {
    "simulator": simulator_alone,
    "slots": slots,
    "scale": slots_at_scale,
    "rate": rate,
    "overhead": overhead,
    "ancestor": ancestor,
    "million": documents.million,
    "growth": documents.growth,
    "done": finished.done,
    "xlsx": documents.xlsx,
    "enriched": documents.enriched,
    "startup": startup.startup,
    "workers": cluster.workers,
    "shared": cluster.beside_a_file,
    "claims": cluster.claims,
}
"""What can be measured, in the order of the table."""


def measured(names: list[str], runs: int) -> list[Figure]:
    """The figures of some rows of the table, each in a folder of its own that is gone afterwards."""
    found: list[Figure] = []
    for name in names:
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            for each in ROWS[name](runs, Path(folder)):
                found.append(each)
                sys.stderr.write(f"{each.what}: {each.median:.3g} {each.unit} {each.note}\n")
    return found
