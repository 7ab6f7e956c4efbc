"""What workers do: each a bounded piece of a run over one job."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

from msgspec.structs import replace

from batcher.cluster.queue import Order, Task
from batcher.cluster.workplace import Workplace, handed_of
from batcher.consent import unapproved
from batcher.downloads import open_downloads
from batcher.ending import Ending, Verbs
from batcher.errors import BatcherError, Exit, InputError, NotFinished, Stopped
from batcher.job import load_job
from batcher.journal import Journal
from batcher.lease import Lease
from batcher.ledger.values import Handed
from batcher.model import State
from batcher.open_job import OpenJob
from batcher.opening import check_results_file, opened
from batcher.run import LONG_WAIT_S, SENDERS, SLOTS_TAKEN, Run
from batcher.senders import ThreadedSenders

SLICE_S = 10.0
"""So long a slice sends; then others of the same queue have their turn."""

TICK_S = 0.5


def dispatch(work: Workplace, order: Order, should_end: Callable[[], bool]) -> None:
    """Send for some seconds, beside other slices of the same job."""
    with work.at(order.path) as (at_hand, handed):
        if handed is None or handed.ended_at is not None or handed.stop:
            return
        clock = work.around.clock
        lease = Lease(holder=f"{work.name}:{uuid.uuid4().hex[:12]}", ledger=at_hand.ledger, clock=clock)
        lease.begin()
        try:
            ending = _slice(work, at_hand, Verbs.SUBMIT, should_end, lease=lease, until=handed.until)
            work.witnessed.add(str(at_hand.job.path))
        finally:
            lease.end()
        if not _heed(at_hand, ending, now=clock()) and ending.again_at is not None and not should_end():
            work.put(order.task, order.path, part=order.part, parts=order.parts, in_s=ending.again_at - clock())


def reconcile(work: Workplace, order: Order, should_end: Callable[[], bool]) -> None:
    """Look once at what is in work, and renew links that are about to stop working."""
    with work.at(order.path) as (at_hand, handed):
        ending = _slice(work, at_hand, Verbs.RECONCILE, should_end)
        if handed is None or handed.ended_at is not None:
            work.put(Task.WRITE, order.path)  # nobody else writes the links that were renewed
            return
        _heed(at_hand, ending, now=work.around.clock())
        if ending.again_at is not None:
            work.put(order.task, order.path, in_s=max(TICK_S, ending.again_at - work.around.clock()))
        work.put(Task.TEND, order.path)


def _slice(
    work: Workplace,
    at_hand: OpenJob,
    verbs: Verbs,
    should_end: Callable[[], bool],
    *,
    lease: Lease | None = None,
    until: float | None = None,
) -> Ending:
    if len(at_hand.job.steps) > 1:
        at_hand.bind(checked=True)  # later steps are still to be made from their cells, names looked up
    deadline = work.around.clock() + SLICE_S
    return Run(
        opened=at_hand,
        around=work.around,
        senders=ThreadedSenders(SENDERS),
        verbs=verbs,
        fetches=False,
        is_slice=True,
        trusts_ledger=str(at_hand.job.path) in work.witnessed,
        lease=lease,
        deadline=deadline if until is None else min(deadline, until),
        interrupted=should_end,
        report=lambda progress: work.report(at_hand.job.name, progress),
        journal=Journal(note=work.note, ledger=at_hand.ledger),
    ).go()


def _heed(at_hand: OpenJob, ending: Ending, *, now: float) -> bool:
    """Write down why nothing more is to be sent, where that is so; returns whether it is."""
    is_far = ending.again_at is not None and ending.again_at - now > LONG_WAIT_S
    is_stuck = ending.reason == SLOTS_TAKEN and _is_stuck(at_hand)
    if not (ending.exit is Exit.STOPPED or is_far or is_stuck):
        return False
    reason = "unsure rows hold the places of the account: decide about them with batcher settle" if is_stuck else ""
    handed = handed_of(at_hand)
    if handed is not None and not handed.stop and handed.ended_at is None:
        stop_exit = Exit.STOPPED if ending.exit is Exit.STOPPED else Exit.NOT_FINISHED
        at_hand.ledger.hand_over(replace(handed, stop=reason or ending.reason, stop_exit=int(stop_exit)))
    return True


def _is_stuck(at_hand: OpenJob) -> bool:
    """Whether no slot will come free by itself, because only rows that a person must decide about hold them."""
    job, account = at_hand.job.name, at_hand.account_name
    busy = at_hand.ledger.in_flight(job, account) or at_hand.ledger.in_doubt(job, account)
    return not busy and bool(at_hand.ledger.unsure(job))


def fetch(work: Workplace, order: Order, should_end: Callable[[], bool]) -> None:
    """Fetch one share of the files of finished rows, for some seconds."""
    with work.at(order.path) as (at_hand, _):
        end, clock = work.around.clock() + SLICE_S, work.around.clock
        with closing(open_downloads(at_hand, work.around)) as downloads:
            downloads.filed = Journal(note=work.note, ledger=at_hand.ledger).filed
            downloads.takes = lambda row_id: share_of(row_id, order.parts) == order.part
            downloads.begin()
            while downloads.is_busy and not should_end() and clock() < end:
                downloads.step()
                downloads.collect(wait_s=TICK_S)
            is_unfinished = downloads.is_busy
        if is_unfinished and not should_end():
            work.put(order.task, order.path, part=order.part, parts=order.parts)


def share_of(row_id: str, parts: int) -> int:
    """Which of so many shares a row belongs to, on every machine the same."""
    return (
        int.from_bytes(hashlib.blake2b(row_id.encode("utf-8", "surrogatepass"), digest_size=4).digest(), "big") % parts
    )


def write(work: Workplace, order: Order, should_end: Callable[[], bool]) -> None:  # noqa: ARG001 - as all tasks
    """Write the results."""
    with work.at(order.path) as (at_hand, _):
        try:
            at_hand.write_results()
        except (InputError, OSError) as error:
            work.note("the results cannot be written now", {"path": order.path, "error": str(error)})


def plan(work: Workplace, order: Order, should_end: Callable[[], bool]) -> None:  # noqa: ARG001 - as all tasks
    """Look at the sheet of a job anew, and have worked on what is new in it; what costs too much waits for a person."""
    job = load_job(Path(order.path))
    check_results_file(job)
    with opened(job, work.around) as at_hand, at_hand.held(work.around.tell):
        before = handed_of(at_hand)
        if before is None or before.ended_at is None:
            return
        now = work.around.clock()
        at_hand.check_results_file()
        found = at_hand.plan(at=now)
        if asked := unapproved(at_hand, tasks=found.to_come, cost=found.cost):
            name = job.path.name if job.path else job.name
            raise Stopped(f"{asked}: agree with `batcher approve {name}`, or hand it over again")
        at_hand.obey(found, at=now)
        at_hand.ledger.hand_over(fresh(at_hand, at=now, until=None, every_s=before.every_s))
    work.put(Task.TEND, order.path)


def fresh(at_hand: OpenJob, *, at: float, until: float | None, every_s: float | None) -> Handed:
    """A job as it is handed over now."""
    counts = at_hand.ledger.counts(at_hand.job.name)
    failed = counts.get(State.FAILED, 0)
    return Handed(
        job=at_hand.job.name,
        path=str(at_hand.job.path or ""),
        at=at,
        until=until,
        every_s=every_s,
        failed_before=failed,
        finished_before=failed + counts.get(State.DONE, 0),
    )


Slice = Callable[[Workplace, Order, Callable[[], bool]], None]
SLICES: Mapping[Task, Slice] = {
    Task.DISPATCH: dispatch,
    Task.RECONCILE: reconcile,
    Task.FETCH: fetch,
    Task.WRITE: write,
    Task.PLAN: plan,
}


def carry_out(work: Workplace, order: Order, do: Slice, should_end: Callable[[], bool]) -> None:
    """
    Do what an order asks for; where another run holds the job, that run does it.

    Raises:
        BatcherError: It could not be done; the ledger says what is still to do, and it is asked for again.
    """
    try:
        do(work, order, should_end)
    except NotFinished:
        work.note("a run of its own holds the job", {"path": order.path, "task": order.task.value})
    except InputError as error:
        work.refuse(order.path, error)
        raise
    except BatcherError as error:
        if error.exit is Exit.STOPPED:
            work.refuse(order.path, error)
        raise
