"""A rehearsal: the same run on a simulator of its own, of which nothing is kept."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from batcher.job import Job
from batcher.ledger.lock import job_lock


def rehearsal(job: Job, state: Path, stack: ExitStack) -> tuple[Job, Path]:
    """A ledger and results of their own; the lock is taken before what an earlier rehearsal has left is removed."""
    folder = state / "rehearsal" / job.name
    stack.enter_context(job_lock(state / "rehearsal" / "locks", job.name))
    shutil.rmtree(folder, ignore_errors=True)
    file = job.results.file
    suffix = ".xlsx" if job.is_in_place else file.suffix
    downloads = tuple(replace(each, folder=folder / "files" / (each.name or "main")) for each in job.results.downloads)
    results = replace(job.results, file=file.with_name(f"{file.stem}.rehearsal{suffix}"), downloads=downloads)
    return replace(job, results=results, base_url=""), folder


@contextmanager
def own_simulator() -> Iterator[str]:
    """A simulator for as long as it is needed; its address."""
    from batcher.simulator import Behaviour, start

    with start(Behaviour(render_s=1.0, hostile=frozenset({"v2=alive"}))) as running:
        yield running.url
