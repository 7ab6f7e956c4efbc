"""One run: the loop that lets dispatcher and reconciler share the account."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NoReturn

from batcher.answers import flying
from batcher.batches import ItemIds
from batcher.chain import release
from batcher.dispatcher import SLOTS_AGAIN_S, Dispatcher
from batcher.doubts import Doubts
from batcher.downloads import Downloads, open_downloads
from batcher.ending import Ending, Verbs, exit_code, unwritten
from batcher.errors import Exit, InputError, LedgerError
from batcher.expiry import iso
from batcher.journal import Journal
from batcher.lease import Lease
from batcher.ledger.values import Gate, News
from batcher.limits import limits_of
from batcher.model import State
from batcher.open_job import OpenJob
from batcher.progress import Progress
from batcher.reconciler import Reconciler
from batcher.renewal import Renewal
from batcher.rescue import Rescue
from batcher.results import Tally, count_rows
from batcher.senders import Senders
from batcher.stops import FailureWatch
from batcher.surroundings import Surroundings
from batcher.uploads import Uploads
from batcher.wanted import NO_FILES, count_files
from batcher.writing import Writing

SENDERS = 32
TICK_S = 0.5
"""Longest wait without a look at the clock and at interruptions."""

LONG_WAIT_S = 3600.0
"""With nothing in flight, a longer hold-off ends the run instead of being sat out."""

_OVER = (State.DONE, State.FAILED, State.UNSURE)
SLOTS_TAKEN = "as many are in work as the account allows"


@dataclass(kw_only=True, slots=True)
class Run:
    """
    One run over one job; the caller holds the job's lock.

    Attributes:
        is_slice: Others work on the job beside it, and write its results.
        trusts_ledger: This process has held the results of the job against its ledger before.
        lease: Under which a slice sends; None where nobody else sends for the job.
        fetches: Whether the files of finished rows are fetched, where the job asks for them.
        deadline: When to stop sending and end, unix seconds; None without one.
        rows: The ids of the only rows of which anything new is sent; None for all of them.
        interrupted: Asked now and then; True ends the run after what is in the air has come back.
        report: Receives the progress after every pass that changed something.
        journal: Told what becomes of single rows; None where nobody keeps a log of it.
    """

    opened: OpenJob
    around: Surroundings
    senders: Senders
    verbs: Verbs
    fetches: bool = True
    is_slice: bool = False
    trusts_ledger: bool = False
    lease: Lease | None = None
    deadline: float | None = None
    rows: Collection[str] | None = None
    interrupted: Callable[[], bool] = lambda: False
    report: Callable[[Progress], None] = lambda _: None
    journal: Journal | None = None
    progress: Progress = field(default_factory=Progress)
    _rescue: Rescue = field(init=False)
    _uploads: Uploads = field(init=False)
    _writing: Writing = field(init=False)
    _ids: ItemIds = field(default_factory=ItemIds)
    _others_told: bool = False
    _downloads: Downloads | None = None
    _renewal: Renewal | None = None

    def __post_init__(self) -> None:
        self._rescue = Rescue(unrecorded=self.opened.unrecorded, tell=self.around.tell)
        self._writing = Writing(
            opened=self.opened, clock=self.around.clock, tell=self.around.tell, meanwhile=not self.is_slice
        )
        self._uploads = Uploads(
            bound=self.opened.bound,
            account=self.opened.account_name,
            client=self.opened.online(),
            ledger=self.opened.ledger,
            senders=self.senders,
            clock=self.around.clock,
            tell=self.around.tell,
            rows=self.rows,
        )

    def go(self) -> Ending:
        """
        Send, look and write until nothing is left to do, or something ends the run.

        Raises:
            LedgerError: The ledger cannot be written; nothing more was sent, and the answers in the air are recorded.
            NotRecorded: As above, but some answers could not be: they are kept beside the ledger.
            InputError: The sheet cannot be read any more, or the results show work that the ledger has forgotten.
        """
        if self.verbs is not Verbs.RECONCILE and not self.trusts_ledger:
            self.opened.refuse_forgotten()  # a worker sends what was planned before the ledger was put back
        watch = FailureWatch(self.opened.bound.job.limits.stop_after)
        dispatcher, reconciler = self._dispatcher(watch), self._reconciler(watch)
        renewal, downloads = self._begin_links()
        release(self.opened.bound, self.opened.ledger, None, at=self.around.clock())
        self._claim()
        self._learn(dispatcher.begin(), dispatcher, reconciler)
        reconciler.begin()
        self._uploads.look()
        reason = ""
        try:
            while not reason:
                renewal.step()
                self._follow_links(renewal, dispatcher)
                dispatcher.look()
                if self.verbs is not Verbs.SUBMIT:
                    reconciler.step(is_sending=self._is_sending(dispatcher))
                if self.verbs is not Verbs.RECONCILE:
                    if not dispatcher.stop:
                        self._uploads.step()
                    dispatcher.step()
                if dispatcher.take_settled():
                    reconciler.begin()
                reason = self._ended(dispatcher, reconciler)
                if not reason:
                    self._pass(dispatcher, reconciler)
            while self.senders.under_way() > self._uploads.under_way:
                self._pass(dispatcher, reconciler, is_over=True)
            self._learn([], dispatcher, reconciler, is_over=True)
            reason = self._fetch_rest(downloads, reason, dispatcher=dispatcher, reconciler=reconciler)
        except LedgerError as error:
            self._rescue_answers(dispatcher, reconciler, error)
        finally:
            self.senders.close()
            if downloads is not None:
                downloads.close()
        return self._ending(dispatcher, reconciler, "" if reason == "finished" else reason)

    def _begin_links(self) -> tuple[Renewal, Downloads | None]:
        """Links that are about to stop working are renewed, and what is missing of files is fetched beside the rest."""
        opened, clock = self.opened, self.around.clock
        self._renewal = Renewal(
            bound=opened.bound, client=opened.online(), ledger=opened.ledger, senders=self.senders, clock=clock
        )
        self._renewal.begin()
        if self.fetches and self.verbs is not Verbs.SUBMIT and opened.bound.downloads:
            self._downloads = open_downloads(opened, self.around)
            self._downloads.begin()
        return self._renewal, self._downloads

    def _fetch_rest(
        self, downloads: Downloads | None, reason: str, *, dispatcher: Dispatcher, reconciler: Reconciler
    ) -> str:
        """The end waits for the files; an interruption or the deadline does not, what is unfinished is gone on with."""
        if downloads is None:
            return reason
        while downloads.is_busy:
            cut = self._cut()
            if cut:
                downloads.end(cut)
                return cut
            is_idle = not downloads.pool.under_way()
            self._take_files(downloads, wait_s=0.0 if is_idle else TICK_S)
            if is_idle and not downloads.pool.under_way():  # what is left is to be tried again later
                self._collect(dispatcher, reconciler, wait_s=TICK_S)
            self._writing.if_due()
        downloads.end("the run is over")
        return reason

    def _cut(self) -> str:
        """Why the run ends at once, whatever is left; empty while it may go on."""
        if self.interrupted():
            return "interrupted"
        if self.deadline is not None and self.around.clock() >= self.deadline:
            return "the time given with --for is up"
        if self.lease is not None and not self.lease.keep():
            return "it gave no sign for too long: others have taken over"
        return ""

    def _take_files(self, downloads: Downloads, *, wait_s: float) -> None:
        downloads.step()
        downloads.collect(wait_s=wait_s)
        self._writing.is_stale |= downloads.is_dirty
        downloads.is_dirty = False
        if (downloads.fetched, downloads.left) != (self.progress.fetched, self.progress.files_left):
            self.progress.fetched, self.progress.files_left = downloads.fetched, downloads.left
            self.report(self.progress)

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
            rows=self.rows,
            holder=self.lease.holder if self.lease else "",
            sending=self.journal.sending if self.journal else lambda _: None,
            may_send=self.lease.holds if self.lease else lambda: True,
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
        wait_s = TICK_S if is_over else self._wait(dispatcher, reconciler)
        self._collect(dispatcher, reconciler, wait_s=wait_s)
        reconciler.slots_wanted = dispatcher.is_short
        if self._downloads is not None:
            self._take_files(self._downloads, wait_s=0.0)
        self._writing.if_due()

    def _collect(self, dispatcher: Dispatcher, reconciler: Reconciler, *, wait_s: float) -> None:
        """Write down what has come back; a ledger that fails over one answer does not take the others along."""
        news: list[News] = []
        trouble: LedgerError | None = None
        for returned in self.senders.collect(wait_s=wait_s):
            try:
                if self._renewal is not None and returned.owner is self._renewal:
                    self._writing.is_stale |= bool(self.opened.ledger.record(self._renewal.take(returned)))
                    continue
                owner = next(each for each in (dispatcher, self._uploads, reconciler) if each is returned.owner)
                news += owner.take(returned)
            except LedgerError as error:
                trouble = error
        if (
            self.lease is not None and not self.lease.keep()
        ):  # what was made stays true; what is to become of the rest is for others to say
            news = [each for each in news if each.remote_id or each.batch_id or each.state is State.DONE]
        self._learn(news, dispatcher, reconciler)
        if trouble is not None:
            raise trouble

    def _rescue_answers(self, dispatcher: Dispatcher, reconciler: Reconciler, error: LedgerError) -> NoReturn:
        """The ledger cannot be written: nothing more is sent, but what is in the air may still bring ids."""
        while self.senders.under_way() > self._uploads.under_way:
            with suppress(LedgerError):
                self._collect(dispatcher, reconciler, wait_s=TICK_S)
        with suppress(LedgerError):
            self._learn([], dispatcher, reconciler, is_over=True)
        self._rescue.keep([*self._ids.news.values()], self._ids.attempts)
        self._rescue.give_up(error)

    def _follow_links(self, renewal: Renewal, dispatcher: Dispatcher) -> None:
        """Where links have come later steps may send them, and files be fetched from them."""
        rows = set(renewal.changed_rows)
        if not rows:
            return
        renewal.changed_rows.clear()
        if release(self.opened.bound, self.opened.ledger, rows, at=self.around.clock()):
            dispatcher.reopen()
        if self._downloads is not None:
            self._downloads.finished(rows)

    def _learn(
        self, news: list[News], dispatcher: Dispatcher, reconciler: Reconciler, *, is_over: bool = False
    ) -> None:
        """Record news in one transaction, then let both verbs know; `is_over`: no id waits for more."""
        brought = news
        try:
            rest = self._put_off(brought, dispatcher, reconciler)
            # should two have one id, it belongs to whoever had it first: that one is written down first
            is_over = is_over or any(map(_has_id, rest))
            news = self._ids.with_ids(rest, self.around.clock(), is_over=is_over)
            if self.journal is not None:
                self.journal.meet(news)
            recorded = self.opened.ledger.record(news)
        except LedgerError:
            self._rescue.keep(brought, dispatcher.accepted)
            raise
        self._ids.written(news)
        if self.journal is not None:
            self.journal.learned(recorded)
        for told, each in zip(news, recorded, strict=True):
            if told.remote_id and not each.remote_id:
                reconciler.forget(told)
            if each.state in _OVER:
                if each.state is State.DONE and (attempt := dispatcher.accepted.pop(each.attempt_id, None)):
                    reconciler.made_rows.add(attempt.task.row_id)
                self.progress.finished += 1
                dispatcher.woken()
            elif each.ended:
                dispatcher.woken()
            elif each.attempt_id in dispatcher.accepted and _has_id(each):
                self._accepted(each, dispatcher, reconciler)
            elif each.state is State.WAITING:
                dispatcher.reopen()
        self._release(dispatcher, reconciler)
        if self._uploads.arrived:
            self._uploads.arrived, self._writing.is_stale = False, True
            dispatcher.reopen()
        dispatcher.stop = dispatcher.stop or reconciler.stop or self._uploads.stop
        self._writing.is_stale |= any(map(_is_shown, recorded))
        self.progress.in_flight, self.progress.sweeps = reconciler.in_flight, reconciler.sweeps
        self.report(self.progress)

    def _put_off(self, news: list[News], dispatcher: Dispatcher, reconciler: Reconciler) -> list[News]:
        """Keep back the ids of batch items, which are watched from here on; returns what is written down now."""
        rest = []
        for each in news:
            attempt = dispatcher.accepted.get(each.attempt_id)
            if attempt is None or not attempt.batch_id or not _has_id(each):
                rest.append(each)
            elif reconciler.watches(attempt.operation, each.remote_id):
                rest.append(each)  # another one has this id as well: it is for the ledger to say whose it is
            else:
                self._ids.put(attempt, each)
                self._accepted(each, dispatcher, reconciler)
        return rest

    def _accepted(self, news: News, dispatcher: Dispatcher, reconciler: Reconciler) -> None:
        reconciler.accepted(flying(dispatcher.accepted.pop(news.attempt_id), news))
        self.progress.sent += 1

    def _release(self, dispatcher: Dispatcher, reconciler: Reconciler) -> None:
        """Later steps of rows in which something was finished may be sent now."""
        rows = reconciler.made_rows
        if rows and release(self.opened.bound, self.opened.ledger, rows, at=self.around.clock()):
            dispatcher.reopen()
            self._uploads.look()
        if rows and self._downloads is not None:
            self._downloads.finished(rows)
        reconciler.made_rows.clear()

    def _is_sending(self, dispatcher: Dispatcher) -> bool:
        """Whether ids are still to come, while no row waits for a slot or for an earlier step: no look is needed yet."""
        if self.verbs is Verbs.RECONCILE or dispatcher.stop or dispatcher.wake_at is not None:
            return False
        if dispatcher.gate is Gate.NOTHING_WAITING and not any(self.opened.bound.sources.values()):
            return self.senders.under_way() > 0
        return dispatcher.gate is Gate.OPEN and not dispatcher.was_short

    def _wait(self, dispatcher: Dispatcher, reconciler: Reconciler) -> float:
        now, wakes = self.around.clock(), [self.deadline]
        if self.senders.free() > 0:  # while all are busy nothing can begin, however long it is due
            may_send = self.verbs is not Verbs.RECONCILE and not dispatcher.stop
            if may_send and dispatcher.gate is Gate.OPEN and dispatcher.wake_at is None:
                return 0.0
            wakes.append(dispatcher.due_at if may_send else dispatcher.look_at)
            if self.verbs is not Verbs.SUBMIT and not self._is_sending(dispatcher):
                wakes.append(reconciler.due_at)
            if may_send:
                wakes += [dispatcher.wake_at, self._uploads.due_at]
        soonest = min((wake for wake in wakes if wake is not None), default=now + TICK_S)
        return min(TICK_S, max(0.001, soonest - now))

    def _ended(self, dispatcher: Dispatcher, reconciler: Reconciler) -> str:
        """Why the run ends now; empty while it goes on; `finished` when nothing is left to do."""
        now = self.around.clock()
        if cut := self._cut():
            return cut
        if self.senders.under_way() or (self._renewal is not None and self._renewal.is_busy):
            return ""
        if reconciler.stop or (dispatcher.stop and (self.verbs is Verbs.SUBMIT or not reconciler.is_awaited)):
            return dispatcher.stop or reconciler.stop
        if self.verbs is Verbs.RECONCILE:
            unseen = dispatcher.batches.unseen or (reconciler.in_flight and reconciler.sweeps == 0)
            return "" if unseen else "finished"
        if self.verbs is Verbs.BOTH and reconciler.is_awaited:
            return ""
        if self.verbs is Verbs.SUBMIT and dispatcher.doubts.due_at is None and dispatcher.batches.due_at is not None:
            if dispatcher.gate is not Gate.OPEN and not dispatcher.batches.unseen:
                return "the ids of some accepted work are still to come: batcher reconcile collects them"
            return ""
        if dispatcher.due_at is not None:
            far = dispatcher.due_at - now > LONG_WAIT_S
            return f"rows whose answer was lost can be looked for from {iso(dispatcher.due_at)} on" if far else ""
        if (due_at := self._uploads.due_at) is not None:
            return f"files can be uploaded from {iso(due_at)} on" if due_at - now > LONG_WAIT_S else ""
        if dispatcher.gate is Gate.NOTHING_WAITING:
            return self._uploads.later or (reconciler.overdue if self.verbs is Verbs.BOTH else "") or "finished"
        if dispatcher.gate is Gate.BUDGET:
            dispatcher.stop = f"the budget of {self.opened.job.limits.budget} would be passed; raise it, then run again"
            return dispatcher.stop
        if dispatcher.gate is Gate.SLOTS and self.verbs is Verbs.SUBMIT:
            return SLOTS_TAKEN
        is_stuck = dispatcher.gate is Gate.SLOTS and dispatcher.wake_at is None
        if is_stuck and self.opened.ledger.unsure(self.opened.job.name):
            return "unsure rows hold the places of the account: decide about them with batcher settle"
        if is_stuck:
            self._tell_who_is_before()
        if dispatcher.gate in (Gate.HELD_OFF, Gate.WINDOW) and (dispatcher.wake_at or now) - now > LONG_WAIT_S:
            return f"nothing may be sent before {iso(dispatcher.wake_at)}"
        return ""

    def _tell_who_is_before(self) -> None:
        """Say once which other jobs hold the places of the account: they may wait for a run of theirs, or for a word."""
        if self._others_told:
            return
        self._others_told = True
        places = self.opened.ledger.places(self.opened.account_name)
        others = [f"{job} ({count})" for job, count in places.items() if job != self.opened.job.name]
        if others:
            self.around.tell(
                f"waits for places of the account, which other jobs hold: {', '.join(others)}. "
                "They come free as batcher run or batcher settle brings those rows to an end"
            )

    def _again_at(self, dispatcher: Dispatcher, reconciler: Reconciler) -> float | None:
        if self.verbs is Verbs.RECONCILE:
            wakes = [reconciler.due_at, dispatcher.batches.due_at]
        else:
            now = self.around.clock()
            soon = {Gate.OPEN: now, Gate.WINDOW: now, Gate.SLOTS: now + SLOTS_AGAIN_S}.get(dispatcher.gate)
            wakes = [dispatcher.due_at, dispatcher.wake_at or soon, self._uploads.due_at]
        return min((each for each in wakes if each is not None), default=None)

    def _ending(self, dispatcher: Dispatcher, reconciler: Reconciler, reason: str) -> Ending:
        if self.is_slice:
            is_stopped = dispatcher.stop or reconciler.stop
            return Ending(
                exit=Exit.STOPPED if is_stopped else Exit.NOT_FINISHED,
                tally=Tally(rows=0),
                reason=is_stopped or reason,
                again_at=self._again_at(dispatcher, reconciler),
            )
        results_error, results, written = "", Exit.DONE, None
        try:
            written = self._writing.now()
        except (InputError, OSError) as error:
            results_error, results = f"cannot be written: {error}", unwritten(error)
        tally = written.tally if written else count_rows(self.opened.bound, self.opened.ledger)
        cost, expected = self.opened.ledger.spent(self.opened.bound.job.name)
        stopped = bool(dispatcher.stop or reconciler.stop)
        files = count_files(self.opened.bound, self.opened.ledger) if self._downloads is not None else NO_FILES
        disk = self._downloads.disk_trouble if self._downloads is not None else ""
        return Ending(
            exit=exit_code(tally, reason=reason, stopped=stopped, results=results, files=files),
            tally=tally,
            files=files,
            reason=reason or dispatcher.stop or reconciler.stop or disk,
            cost=cost,
            expected=expected,
            results_error=results_error,
            results_file=written.file if written else None,
            results_note=written.note if written else "",
        )


def _has_id(news: News) -> bool:
    """Whether it says that work has been accepted, and under which id."""
    return news.state is State.IN_PROGRESS and news.remote_id != ""


def _is_shown(news: News) -> bool:
    """Whether the results tell of it: that work is still under way, or lacks only its links, they show already."""
    return news.state is not State.IN_PROGRESS or bool(news.remote_id or news.outputs or news.error)
