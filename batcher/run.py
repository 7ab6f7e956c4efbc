"""One run: the loop that lets dispatcher and reconciler share the account."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from batcher.chain import release
from batcher.dispatcher import Dispatcher
from batcher.doubts import Doubts
from batcher.errors import Exit, InputError
from batcher.expiry import iso
from batcher.ledger.protocol import Gate, InFlight, News
from batcher.limits import limits_of
from batcher.model import Attempt, State
from batcher.opening import OpenJob, Surroundings
from batcher.plan import Plan
from batcher.reconciler import Reconciler
from batcher.results import Tally, count_rows, write_results
from batcher.senders import Senders
from batcher.stops import FailureWatch

SENDERS = 32
TICK_S = 0.5
"""Longest wait without a look at the clock and at interruptions."""

LONG_WAIT_S = 3600.0
"""With nothing in flight, a longer hold-off ends the run instead of being sat out."""

WRITE_EVERY_S = 30.0
WRITE_SHARE = 10
"""Results are written again after this many times as long as the last writing took."""


class Verbs(Enum):
    """What a run does."""

    BOTH = "run"
    SUBMIT = "submit"
    RECONCILE = "reconcile"


@dataclass(kw_only=True, slots=True)
class Progress:
    """
    Where a run stands.

    Attributes:
        finished: Tasks that came to their end within this run.
        in_flight: Accepted and not finished.
        sweeps: Looks at what is in flight.
    """

    finished: int = 0
    sent: int = 0
    in_flight: int = 0
    sweeps: int = 0
    note: str = ""


@dataclass(kw_only=True, slots=True)
class Ending:
    """
    How a run ended.

    Attributes:
        exit: The exit code that it asks for.
        reason: Why it stopped before everything was done; empty when nothing is left to do.
        cost, expected: What the finished rows of the job have cost, and what those in work are expected to cost.
    """

    exit: Exit
    tally: Tally
    reason: str = ""
    cost: float = 0.0
    expected: float = 0.0
    results_error: str = ""


@dataclass(kw_only=True, slots=True)
class Run:
    """
    One run over one job; the caller holds the job's lock.

    Attributes:
        deadline: When to stop sending and end, unix seconds; None without one.
        interrupted: Asked now and then; True ends the run after what is in the air has come back.
        report: Receives the progress after every pass that changed something.
    """

    opened: OpenJob
    around: Surroundings
    senders: Senders
    verbs: Verbs
    deadline: float | None = None
    interrupted: Callable[[], bool] = lambda: False
    report: Callable[[Progress], None] = lambda _: None
    progress: Progress = field(default_factory=Progress)
    _written_at: float = 0.0
    _write_took: float = 0.0
    _dirty: bool = True

    def go(self) -> Ending:
        """
        Send, look and write until nothing is left to do, or something ends the run.

        Raises:
            LedgerError: The ledger cannot be written; nothing more was sent.
            InputError: The sheet cannot be read any more.
        """
        watch = FailureWatch(self.opened.bound.job.limits.stop_after)
        dispatcher, reconciler = self._dispatcher(watch), self._reconciler(watch)
        release(self.opened.bound, self.opened.ledger, None, at=self.around.clock())
        self._claim()
        self._learn(dispatcher.begin(), dispatcher, reconciler)
        reconciler.begin()
        reason = ""
        try:
            while not reason:
                dispatcher.look()
                if self.verbs is not Verbs.RECONCILE:
                    dispatcher.step()
                if self.verbs is not Verbs.SUBMIT:
                    reconciler.step()
                reason = self._ended(dispatcher, reconciler)
                if not reason:
                    self._pass(dispatcher, reconciler)
            while self.senders.under_way():
                self._pass(dispatcher, reconciler, is_over=True)
        finally:
            self.senders.close()
        return self._ending(dispatcher, reconciler, "" if reason == "finished" else reason)

    def _claim(self) -> None:
        """Know whose account it is; the answer also tells the API's clock, by which keys grow old."""
        account, name = self.opened.account, self.opened.info.name
        owner = f"{name} at {account.host}" if account and name else ""
        elsewhere = self.opened.ledger.claim(self.opened.job.name, self.opened.account_name, owner)
        if elsewhere:
            self.around.tell(
                f"{elsewhere} rows are in work at another account, and stay as they are: run with that account's key to collect them"
            )

    def _dispatcher(self, watch: FailureWatch) -> Dispatcher:
        bound = self.opened.bound
        return Dispatcher(
            bound=bound,
            account=self.opened.account_name,
            client=self.opened.online(),
            ledger=self.opened.ledger,
            senders=self.senders,
            limits=limits_of(bound.job, bound.provider),
            watch=watch,
            doubts=Doubts(bound=bound, rng=self.around.rng),
            clock=self.around.clock,
            tell=self.around.tell,
        )

    def _reconciler(self, watch: FailureWatch) -> Reconciler:
        return Reconciler(
            bound=self.opened.bound,
            account=self.opened.account_name,
            client=self.opened.online(),
            ledger=self.opened.ledger,
            senders=self.senders,
            watch=watch,
            clock=self.around.clock,
            tell=self.around.tell,
        )

    def _pass(self, dispatcher: Dispatcher, reconciler: Reconciler, *, is_over: bool = False) -> None:
        """Wait for something to happen, write down what did, and show it; `is_over`: only what is in the air counts."""
        news: list[News] = []
        wait_s = TICK_S if is_over else self._wait(dispatcher, reconciler)
        for returned in self.senders.collect(wait_s=wait_s):
            owner = dispatcher if returned.owner is dispatcher else reconciler
            news += owner.take(returned)
        self._learn(news, dispatcher, reconciler)
        reconciler.slots_wanted = dispatcher.gate is not Gate.NOTHING_WAITING
        self._write_if_due()

    def _learn(self, news: list[News], dispatcher: Dispatcher, reconciler: Reconciler) -> None:
        """Record news in one transaction, then let both verbs know."""
        for each in self.opened.ledger.record(news):
            if each.state is State.IN_PROGRESS and each.remote_id:
                reconciler.accepted(_flying(dispatcher.accepted.pop(each.attempt_id), each))
                self.progress.sent += 1
            if each.state is State.DONE and (attempt := dispatcher.accepted.pop(each.attempt_id, None)):
                reconciler.made_rows.add(attempt.task.row_id)
            if each.state in (State.DONE, State.FAILED, State.UNSURE):
                self.progress.finished += 1
                dispatcher.woken()
            if each.state is State.WAITING:
                dispatcher.reopen()
        self._release(dispatcher, reconciler)
        if reconciler.stop:
            dispatcher.stop = dispatcher.stop or reconciler.stop
        if news:
            self._dirty = True
        self.progress.in_flight, self.progress.sweeps = reconciler.in_flight, reconciler.sweeps
        self.report(self.progress)

    def _release(self, dispatcher: Dispatcher, reconciler: Reconciler) -> None:
        """Later steps of rows in which something was finished may be sent now."""
        rows = reconciler.made_rows
        if rows and release(self.opened.bound, self.opened.ledger, rows, at=self.around.clock()):
            dispatcher.reopen()
        reconciler.made_rows.clear()

    def _wait(self, dispatcher: Dispatcher, reconciler: Reconciler) -> float:
        now = self.around.clock()
        wakes = [dispatcher.due_at, reconciler.due_at, self.deadline]
        if self.verbs is not Verbs.RECONCILE and not dispatcher.stop and self.senders.free() > 0:
            wakes.append(dispatcher.wake_at)
            if dispatcher.gate is Gate.OPEN and dispatcher.wake_at is None:
                return 0.0
        soonest = min((wake for wake in wakes if wake is not None), default=now + TICK_S)
        return min(TICK_S, max(0.001, soonest - now))

    def _ended(self, dispatcher: Dispatcher, reconciler: Reconciler) -> str:
        """Why the run ends now; empty while it goes on; `finished` when nothing is left to do."""
        now = self.around.clock()
        if self.interrupted():
            return "interrupted"
        if self.deadline is not None and now >= self.deadline:
            return "the time given with --for is up"
        if self.senders.under_way():
            return ""
        if reconciler.stop or (dispatcher.stop and (self.verbs is Verbs.SUBMIT or not reconciler.in_flight)):
            return dispatcher.stop or reconciler.stop
        if self.verbs is Verbs.RECONCILE:
            unseen = dispatcher.batches.unseen or (reconciler.in_flight and reconciler.sweeps == 0)
            return "" if unseen else "finished"
        watching = self.verbs is Verbs.BOTH and reconciler.in_flight > 0
        if watching:
            return ""
        if self.verbs is Verbs.SUBMIT and dispatcher.doubts.due_at is None and dispatcher.batches.due_at is not None:
            if dispatcher.gate is not Gate.OPEN and not dispatcher.batches.unseen:
                return "the ids of some accepted work are still to come: batcher reconcile collects them"
            return ""
        if dispatcher.due_at is not None:
            far = dispatcher.due_at - now > LONG_WAIT_S
            return f"rows whose answer was lost can be looked for from {iso(dispatcher.due_at)} on" if far else ""
        if dispatcher.gate is Gate.NOTHING_WAITING:
            return "finished"
        if dispatcher.gate is Gate.BUDGET:
            dispatcher.stop = f"the budget of {self.opened.job.limits.budget} would be passed; raise it, then run again"
            return dispatcher.stop
        if dispatcher.gate is Gate.SLOTS and self.verbs is Verbs.SUBMIT:
            return "as many are in work as the account allows"
        is_stuck = dispatcher.gate is Gate.SLOTS and dispatcher.wake_at is None
        if is_stuck and self.opened.ledger.unsure(self.opened.job.name):
            return "unsure rows hold the places of the account: decide about them with batcher settle"
        if dispatcher.gate in (Gate.HELD_OFF, Gate.WINDOW) and (dispatcher.wake_at or now) - now > LONG_WAIT_S:
            return f"nothing may be sent before {iso(dispatcher.wake_at)}"
        return ""

    def _write_if_due(self) -> None:
        now = self.around.clock()
        if self._dirty and now - self._written_at >= max(WRITE_EVERY_S, WRITE_SHARE * self._write_took):
            if self._written_at:
                self._write_meanwhile()
            self._written_at = now

    def _write_meanwhile(self) -> None:
        """Results in the middle of a run are a courtesy: that they cannot be written stops nothing."""
        try:
            self._write()
        except (InputError, OSError) as error:
            self.around.tell(f"the results cannot be written now: {error}; the run goes on")

    def _write(self) -> Tally:
        begun, mark = self.around.clock(), self.opened.ledger.mark()
        tally = write_results(self.opened.bound, self.opened.ledger)
        self.opened.ledger.written(self.opened.job.name, mark)
        self._written_at = self.around.clock()
        self._write_took = self._written_at - begun
        self._dirty = False
        return tally

    def _ending(self, dispatcher: Dispatcher, reconciler: Reconciler, reason: str) -> Ending:
        results_error = ""
        try:
            tally = self._write()
        except (InputError, OSError) as error:
            results_error = f"cannot be written: {error}"
            tally = count_rows(self.opened.bound, self.opened.ledger)
        cost, expected = self.opened.ledger.spent(self.opened.bound.job.name)
        stopped = bool(dispatcher.stop or reconciler.stop)
        return Ending(
            exit=exit_code(tally, reason=reason, stopped=stopped, results_error=results_error),
            tally=tally,
            reason=reason or dispatcher.stop or reconciler.stop,
            cost=cost,
            expected=expected,
            results_error=results_error,
        )


def _flying(attempt: Attempt, news: News) -> InFlight:
    return InFlight(
        attempt_id=attempt.attempt_id,
        key=attempt.task,
        operation=attempt.operation,
        remote_id=news.remote_id,
        accepted_at=news.at,
        body=attempt.body,
    )


def is_settled(opened: OpenJob, plan: Plan) -> bool:
    """Whether a run could bring nothing new: nothing has changed, nothing is open, and the results file shows it all."""
    open_rows = plan.words[State.WAITING] + plan.words[State.SENDING] + plan.words[State.IN_PROGRESS]
    record = opened.ledger.job(opened.job.name)
    return (
        plan.is_remembered
        and not open_rows
        and not opened.ledger.in_doubt(opened.job.name, opened.account_name)
        and not opened.ledger.in_flight(opened.job.name, opened.account_name)
        and record is not None
        and record.written == opened.ledger.mark()
        and opened.job.results.file.exists()
    )


def exit_code(tally: Tally, *, reason: str = "", stopped: bool = False, results_error: str = "") -> Exit:
    """The first that holds of: edit something, interrupted, stopped, not finished, some failed, done."""
    words = tally.words
    if results_error:
        return Exit.EDIT
    if reason == "interrupted":
        return Exit.INTERRUPTED
    if stopped:
        return Exit.STOPPED
    if words["waiting"] or words["in progress"]:
        return Exit.NOT_FINISHED
    if words["failed"] or words["invalid"] or words["unsure"]:
        return Exit.SOME_FAILED
    return Exit.DONE
