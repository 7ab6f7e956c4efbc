"""A job is handed over to workers, and watched by whoever handed it over."""

from __future__ import annotations

import time
from collections.abc import Callable

from batcher.cluster.care import ending_of
from batcher.cluster.queue import Order, Queue, Task
from batcher.cluster.slices import fresh
from batcher.cluster.workplace import handed_of
from batcher.ending import Ending
from batcher.errors import Exit, InputError, LedgerUnreachable, Problem
from batcher.inplace import file_beside
from batcher.job import Job
from batcher.ledger.values import Handed
from batcher.model import State
from batcher.open_job import OpenJob
from batcher.progress import Progress
from batcher.witness import shows_ours

LOOK_S = 0.5


def require_shareable(job: Job) -> None:
    """
    Make sure that several machines can share a job.

    Raises:
        InputError: Its sheet or its results are for one machine at a time.
    """
    if job.sheet.is_dropped:
        message = "the files of an inbox are each done by a run of their own: leave --cluster out"
        raise InputError(Problem(where="--cluster", message=message))
    if job.sheet.link is not None and job.is_in_place:
        message = (
            "a Google Sheet cannot take the results of several machines, for what was last written into it is remembered by "
            "one alone: name a file, or leave --cluster out"
        )
        raise InputError(job.problem(("results", "file"), message))


def in_hands(at_hand: OpenJob) -> Handed | None:
    """How workers have the job now; None when they have not."""
    handed = handed_of(at_hand)
    return handed if handed is not None and handed.ended_at is None else None


def hand_over(at_hand: OpenJob, queue: Queue, *, at: float, until: float | None, every_s: float | None) -> None:
    """
    Have workers do a job that is planned and agreed to.

    Args:
        at_hand: The job.
        queue: Where the first of them is called; should that be lost, they see in the ledger that it is theirs.
        at: Now, unix seconds.
        until: When sending is to end, unix seconds; None without a deadline.
        every_s: After how many seconds its sheet is looked at again; None for never.
    """
    handed = fresh(at_hand, at=at, until=until, every_s=every_s)
    at_hand.ledger.hand_over(handed)
    queue.put(Order(task=Task.TEND, path=handed.path))


def watch(
    at_hand: OpenJob,
    *,
    clock: Callable[[], float],
    interrupted: Callable[[], bool],
    report: Callable[[Progress], None],
    sleep: Callable[[float], None] = time.sleep,
) -> Ending:
    """
    Show how workers come on with a job, until it has come to its end or nobody wants to see more.

    Raises:
        LedgerUnreachable: The database has gone; the workers go on when it is back.
    """
    try:
        return _watch(at_hand, clock=clock, interrupted=interrupted, report=report, sleep=sleep)
    except LedgerUnreachable as error:
        raise LedgerUnreachable(
            f"{error}; workers go on when it is back, and the same command shows them again"
        ) from error


def _watch(
    at_hand: OpenJob,
    *,
    clock: Callable[[], float],
    interrupted: Callable[[], bool],
    report: Callable[[Progress], None],
    sleep: Callable[[float], None],
) -> Ending:
    job, ledger = at_hand.job.name, at_hand.ledger
    finished_before, seen = _finished(at_hand), Progress()
    while True:
        handed = handed_of(at_hand)
        if handed is None or handed.ended_at is not None:
            return _ended(at_hand, handed, at=clock())
        if interrupted():
            ending = ending_of(at_hand, handed, at=clock(), writes=False)
            ending.exit, ending.reason = Exit.INTERRUPTED, "interrupted; the workers go on without this terminal"
            return ending
        counts = ledger.counts(job)
        finished = _finished(at_hand) - finished_before
        in_work = counts.get(State.IN_PROGRESS, 0) + counts.get(State.SENDING, 0)
        if (finished, in_work) != (seen.finished, seen.in_flight):
            seen = Progress(finished=finished, in_flight=in_work, sweeps=seen.sweeps + 1)
            report(seen)
        sleep(LOOK_S)


def _finished(at_hand: OpenJob) -> int:
    counts = at_hand.ledger.counts(at_hand.job.name)
    return sum(counts.get(state, 0) for state in (State.DONE, State.FAILED, State.UNSURE))


def _ended(at_hand: OpenJob, handed: Handed | None, *, at: float) -> Ending:
    if handed is None:
        handed = fresh(at_hand, at=at, until=None, every_s=None)
    ending = ending_of(at_hand, handed, at=at, writes=False)
    ending.exit, ending.reason = Exit(handed.exit), handed.reason
    if ending.exit in (Exit.DONE, Exit.SOME_FAILED) and not _shows_results(at_hand):
        file = at_hand.job.results.file
        ending.results_error = (
            f"are not in {file}: this machine does not share that folder with whoever has written them"
        )
        ending.exit = Exit.EDIT
    return ending


def _shows_results(at_hand: OpenJob) -> bool:
    job, file = at_hand.job, at_hand.job.results.file
    return shows_ours(job, file) or (job.is_in_place and shows_ours(job, file_beside(file)))
