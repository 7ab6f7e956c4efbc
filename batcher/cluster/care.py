"""Who sees what is to be done: all jobs now and then, one job closely, and its end."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from batcher.chain import release
from batcher.cluster.queue import Order, Task
from batcher.cluster.workplace import Workplace, ledgers
from batcher.ending import Ending, exit_code, is_written, unwritten
from batcher.errors import Exit, InputError
from batcher.lease import LEASE_S
from batcher.ledger.values import Handed
from batcher.model import FileState, State
from batcher.open_job import OpenJob
from batcher.ops.telling import report_run, tell_ending
from batcher.results import count_rows
from batcher.stops import too_many
from batcher.wanted import NO_FILES, Shelf, count_files, wanted_files
from batcher.writing import WRITE_EVERY_S

DISPATCHERS = 4
"""Slices of one job that send at once."""

ROWS_EACH = 50
"""Rows for which a further slice is worth its while."""

FETCHERS = 4
"""Shares that the files of a job are fetched in."""

TEND_S = 1.0
TEND_SHARE = 10
"""A job is tended again after this many times as long as tending it has just taken."""


class Need(Struct, frozen=True, kw_only=True):
    """
    What one job needs now.

    Attributes:
        to_send: Tasks that wait and may be sent.
        in_doubt: Tasks in *sending*.
        in_flight: Tasks that are accepted and not finished.
        untried: Files that nobody has tried to fetch yet.
        stop: Why nothing more is to be sent; empty while it may be.
    """

    to_send: int
    in_doubt: int
    in_flight: int
    untried: int
    stop: str

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to do that workers could do."""
        may_send = self.to_send and not self.stop
        return not (may_send or self.in_doubt or self.in_flight or self.untried)


def care(work: Workplace) -> None:
    """See that every job that needs something is tended, planned anew or has its links renewed."""
    now = work.around.clock()
    for ledger in ledgers(work.around):
        for handed in ledger.handed():
            if handed.ended_at is None:
                work.put(Task.TEND, handed.path)
                continue
            if handed.every_s is not None and now >= handed.at + handed.every_s:
                work.put(Task.PLAN, handed.path)
            record = ledger.job(handed.job)
            if record is not None and record.renew_at is not None and record.renew_at <= now:
                work.put(Task.RECONCILE, handed.path)


def tend(work: Workplace, order: Order, should_end: Callable[[], bool]) -> None:  # noqa: ARG001 - as all tasks
    """See what one job needs now, and ask for it."""
    begun = work.around.clock()
    with work.at(order.path) as (at_hand, handed):
        if handed is None or handed.ended_at is not None:
            return
        handed = _stopped(at_hand, handed)
        need = _need(at_hand, handed, at=begun)
        if need.is_over:
            work.put(Task.FINISH, order.path)
            return
        _ask(work, at_hand, need)
        took_s = work.around.clock() - begun
    work.put(Task.TEND, order.path, in_s=max(TEND_S, TEND_SHARE * took_s))


def _stopped(at_hand: OpenJob, handed: Handed) -> Handed:
    """The job, stopped where too much of it has failed since it was handed over; no slice alone sees enough of it."""
    counts = at_hand.ledger.counts(at_hand.job.name)
    failed = counts.get(State.FAILED, 0)
    reason = handed.stop or too_many(
        at_hand.job.limits.stop_after,
        failed=failed - handed.failed_before,
        finished=failed + counts.get(State.DONE, 0) - handed.finished_before,
    )
    if reason and not handed.stop:
        handed = replace(handed, stop=reason, stop_exit=4)
        at_hand.ledger.hand_over(handed)
    return handed


def _need(at_hand: OpenJob, handed: Handed, *, at: float) -> Need:
    job, account, ledger = at_hand.job.name, at_hand.account_name, at_hand.ledger
    if len(at_hand.job.steps) > 1 and not ledger.waiting(job, now=at).now and ledger.blocked(job):
        release(
            at_hand.bind(checked=True), ledger, None, at=at
        )  # whoever finished the earlier step may have died since
    is_late = handed.until is not None and at >= handed.until
    return Need(
        to_send=ledger.waiting(job, now=at).now,
        in_doubt=_in_doubt(at_hand, ends=is_late or bool(handed.stop), at=at),
        in_flight=0 if is_late else len(ledger.in_flight(job, account)),
        untried=0 if is_late else _untried(at_hand, handed),
        stop=handed.stop or ("the time given with --for is up" if is_late else ""),
    )


def _in_doubt(at_hand: OpenJob, *, ends: bool, at: float) -> int:
    """Attempts in *sending*; where the job ends, only those whose answer slices may still be waiting for."""
    found = at_hand.ledger.in_doubt(at_hand.job.name, at_hand.account_name)
    recent = [each for each in found if each.first_sent_at and at - each.first_sent_at.timestamp() < 2 * LEASE_S]
    return len(recent if ends else found)


def _untried(at_hand: OpenJob, handed: Handed) -> int:
    """How many files nobody has tried to fetch since the job was handed over."""
    if not at_hand.job.results.downloads:
        return 0
    shelf, count = Shelf(at_hand.bound), 0
    for standing, place in wanted_files(at_hand.bound, at_hand.ledger.standings(at_hand.job.name)):
        record = standing.files.get(place.output)
        in_vain = record is not None and record.state is FileState.LATER and record.at >= handed.at
        count += not in_vain and not shelf.is_settled(standing, place)
    return count


def _ask(work: Workplace, at_hand: OpenJob, need: Need) -> None:
    path = str(at_hand.job.path)
    if (need.to_send or need.in_doubt) and not need.stop:
        uploads = at_hand.ledger.wanted(at_hand.job.name, at_hand.account_name, at=work.around.clock())
        parts = 1 if uploads else min(DISPATCHERS, 1 + need.to_send // ROWS_EACH)  # a file is uploaded by one of them
        for part in range(parts):
            work.put(Task.DISPATCH, path, part=part, parts=parts)
    if need.in_flight:
        work.put(Task.RECONCILE, path)
    if need.untried:
        for part in range(FETCHERS):
            work.put(Task.FETCH, path, part=part, parts=FETCHERS)
    if not is_written(at_hand):
        work.put(Task.WRITE, path, in_s=WRITE_EVERY_S)


def finish(work: Workplace, order: Order, should_end: Callable[[], bool]) -> None:  # noqa: ARG001 - as all tasks
    """Write the results for the last time, tell those who are to be told, and let the job rest."""
    with work.at(order.path) as (at_hand, handed):
        now = work.around.clock()
        if handed is None or handed.ended_at is not None or not _need(at_hand, handed, at=now).is_over:
            return
        ending = ending_of(at_hand, handed, at=now)
        try:
            report_run(at_hand, ending, at=now)
        except InputError as error:
            work.note("the report cannot be written", {"path": order.path, "error": str(error)})
        at_hand.ledger.hand_over(replace(handed, ended_at=now, exit=int(ending.exit), reason=ending.reason))
        tell_ending(at_hand, ending, work.around)


def ending_of(at_hand: OpenJob, handed: Handed, *, at: float, writes: bool = True) -> Ending:
    """
    How a job has ended.

    Args:
        writes: Whether its results are still to be written.
    """
    written, results_error, results = None, "", Exit.DONE
    try:
        written = at_hand.write_results() if writes else None
    except (InputError, OSError) as error:
        results_error, results = f"cannot be written: {error}", unwritten(error)
    tally = written.tally if written else count_rows(at_hand.bound, at_hand.ledger)
    cost, expected = at_hand.ledger.spent(at_hand.job.name)
    files = count_files(at_hand.bound, at_hand.ledger) if at_hand.job.results.downloads else NO_FILES
    is_late = handed.until is not None and at >= handed.until and bool(tally.words["waiting"])
    reason = handed.stop or ("the time given with --for is up" if is_late else "")
    code = exit_code(tally, reason=reason, stopped=handed.stop_exit == 4, results=results, files=files)
    return Ending(
        exit=code,
        tally=tally,
        reason=reason,
        cost=cost,
        expected=expected,
        results_error=results_error,
        results_file=written.file if written else None,
        results_note=written.note if written else "",
        files=files,
    )
