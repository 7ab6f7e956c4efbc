"""Turns waiting tasks into submissions, as far as the account admits."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from enum import Enum
from functools import partial
from itertools import groupby
from typing import Any

from msgspec import Struct, field
from msgspec.json import decode
from msgspec.structs import replace

from batcher import answers
from batcher.api.batch import BatchSeen, look_into
from batcher.api.client import Client, Receipt
from batcher.api.search import Found, search
from batcher.api.wire import WRITE_S
from batcher.batches import OpenBatch, OpenBatches
from batcher.bound import BoundJob
from batcher.catalog.model import Operation
from batcher.doubt import Way
from batcher.doubts import Doubt, Doubts, repeat_of, titles_carry_token
from batcher.errors import ApiError, InDoubt, LeaseLost, Rejected, StopEverything, Throttled
from batcher.ledger.identity import attempt_names
from batcher.ledger.protocol import Ledger
from batcher.ledger.values import Admission, Admitted, Candidate, Gate, News, Prepared
from batcher.limits import AccountLimits
from batcher.mapping.asset import with_assets
from batcher.mapping.finish import Finish
from batcher.mapping.request import to_json
from batcher.model import Attempt, State
from batcher.senders import Returned, Senders
from batcher.stops import FailureWatch

NO_ANSWER_WAIT_S = 5.0
"""How long to hold off when nothing says how long: no connection, or a 429 without Retry-After."""

SLOTS_AGAIN_S = 1.0
"""While all slots are taken, ask again this often: another job of the account may have let one go."""

REREAD_S = 1.0
"""While attempts are in doubt, look in the ledger this often whether another process has settled them."""

AT_ONCE = 1000
"""Rows of one admission: the API works on the first of them while the next are written down."""

MAX_ATTEMPTS = 3
"""Attempts at one row without a person's word, where the job lets lost rows be sent again."""

TOLD_WAIT_S = 10.0
"""A hold-off of this length is worth a word."""


class _Aim(Enum):
    """What an errand is for."""

    SEND = "send"
    SEARCH = "search"
    LOOK = "look into a batch"


class _Errand(Struct, frozen=True, kw_only=True):
    """
    What a sender was sent for.

    Attributes:
        attempts: Those of one request, in its order; never empty.
        sends: How often they have been sent or searched for in this run.
        batch: The batch that is looked into; None for other errands.
    """

    aim: _Aim
    attempts: tuple[Attempt, ...]
    sends: int = 0
    batch: OpenBatch | None = None


class Dispatcher(Struct, kw_only=True):
    """
    Sends what the account admits, and decides what each answer means.

    Attributes:
        gate: Why the last wish was not granted in full.
        is_short: Rows wait for places, or for money that cheaper outcomes than expected would leave.
        was_short: They have waited for it before in this run, and soon will again.
        wake_at: When it is worth asking again, unix seconds; None when something else must happen first.
        stop: Why nothing more may be sent; empty while all is well.
        accepted: Attempts that the API has just taken, for whoever watches them from here on.
        batches: Accepted batches whose items have no ids yet.
        holder: The worker that sends; empty for a run that holds the job's lock.
        rows: The ids of the only rows of which anything new is sent; None for all of them.
        sending: Receives the attempts of every request as it goes out.
        may_send: Asked by a sender right before the first byte leaves; False once others may have taken over what this worker holds.
    """

    bound: BoundJob
    account: str
    client: Client
    ledger: Ledger
    senders: Senders
    limits: AccountLimits
    watch: FailureWatch
    doubts: Doubts
    clock: Callable[[], float]
    tell: Callable[[str], None]
    rows: Collection[str] | None = None
    gate: Gate = Gate.OPEN
    is_short: bool = False
    was_short: bool = False
    wake_at: float | None = None
    stop: str = ""
    accepted: dict[int, Attempt] = field(default_factory=dict)
    holder: str = ""
    sending: Callable[[Sequence[Attempt]], None] = lambda _: None
    may_send: Callable[[], bool] = lambda: True
    batches: OpenBatches = field(default_factory=OpenBatches)
    _one_by_one: int = 0
    _finishes: dict[str, Finish] = field(default_factory=dict)
    _closed_doors: int = 0
    _asked_at: float = 0.0
    _reread_at: float = 0.0
    _settled_elsewhere: bool = False

    def begin(self) -> list[News]:
        """Take over what an earlier run has left in *sending*: a look-up or the same key, never a blind send."""
        now = self.clock()
        left = self.ledger.take_over(self.bound.job.name, self.account, self.holder, at=now)
        self.batches.put([each for each in left if each.batch_id], at=now)
        lost = [each for each in left if not each.batch_id]
        return [
            news for each in lost for news in self._doubt(each, sends=0, cause="a run died while sending it", now=now)
        ]

    @property
    def due_at(self) -> float | None:
        """When the next attempt in doubt can be settled, or batch looked into; None when none is left to this run."""
        soonest = min((at for at in (self.doubts.due_at, self.batches.due_at) if at is not None), default=None)
        return None if soonest is None else max(soonest, self.wake_at or 0.0)

    @property
    def look_at(self) -> float | None:
        """When the next batch can be looked into; None when there is none."""
        return None if self.batches.due_at is None else max(self.batches.due_at, self.wake_at or 0.0)

    def look(self) -> None:
        """Look into accepted batches for the ids of their items; sends nothing that costs."""
        now = self.clock()
        if self.wake_at is not None and now < self.wake_at:
            return
        for batch in self.batches.take_due(now, self.senders.free()):
            operation = self._operation(batch.attempts[0])
            if operation.batch is None or operation.settle is None:
                continue  # the catalogue has lost its batches since: the attempts stay as they are
            ask = partial(look_into, self.client, operation.batch, operation.settle, batch.batch_id)
            self.senders.send(self, _Errand(aim=_Aim.LOOK, attempts=batch.attempts, batch=batch), ask)

    def take_settled(self) -> bool:
        """Whether another process has settled an attempt in doubt since this was last asked."""
        settled, self._settled_elsewhere = self._settled_elsewhere, False
        return settled

    def _forget_settled(self, now: float) -> None:
        """What another process has settled is not waited for, searched or sent again."""
        if not self.doubts.attempt_ids or now < self._reread_at:
            return
        self._reread_at = now + REREAD_S
        open_ones = {each.attempt_id for each in self.ledger.in_doubt(self.bound.job.name, self.account)}
        for attempt_id in self.doubts.attempt_ids - open_ones:
            self.doubts.take(attempt_id)
            self._settled_elsewhere = True
            self.reopen()

    def step(self) -> None:
        """Send as much as senders and account admit."""
        now = self.clock()
        self._forget_settled(now)
        if self.stop or (self.wake_at is not None and now < self.wake_at):
            return
        self._search_due(now)
        resend = self.doubts.due(Way.RESEND, now)
        if self.senders.free() <= 0 or not (resend or self._worth_asking(now)):
            return
        admitted = self._ask(resend, now)
        self.gate, self.wake_at = admitted.gate, admitted.until
        self.is_short = self.gate in (Gate.SLOTS, Gate.BUDGET)
        self.was_short = self.was_short or self.is_short
        for _, together in groupby(admitted.attempts, key=lambda attempt: attempt.submission_id):
            attempts = tuple(together)
            known = [each for each in map(self.doubts.take, (each.attempt_id for each in attempts)) if each]
            self._one_by_one = max(0, self._one_by_one - (0 if known else len(attempts)))
            self._send(attempts, sends=max((each.sends for each in known), default=0) + 1)

    def _worth_asking(self, now: float) -> bool:
        if self.gate in (Gate.SLOTS, Gate.BUDGET):
            return now >= self._asked_at + SLOTS_AGAIN_S
        return self.gate is not Gate.NOTHING_WAITING

    def _ask(self, resend: list[Doubt], now: float) -> Admitted:
        self._asked_at = now
        sizes = {} if self._one_by_one else self._batch_sizes
        wish = Admission(
            job=self.bound.job.name,
            account=self.account,
            now=now,
            at_most=min(self.senders.free(), self._one_by_one or max(1, AT_ONCE // max(sizes.values(), default=1))),
            batch=sizes,
            resend=[each.attempt.attempt_id for each in resend],
            windows=self.limits.windows,
            in_flight=self.limits.in_flight,
            budget=self.limits.budget,
            grace_s=WRITE_S,
            at_once=[each.name for each in self.bound.provider.operations.values() if each.settle is None],
            holder=self.holder,
            rows=self.rows,
        )
        return self.ledger.admit(wish, self._prepare)

    def woken(self) -> None:
        """Something finished: a slot may be free, or it was cheaper than expected."""
        if self.gate in (Gate.SLOTS, Gate.BUDGET):
            self.wake_at = None
            self.reopen()

    def reopen(self) -> None:
        """Ask again: a task waits once more, or a slot is free."""
        if self.gate in (Gate.SLOTS, Gate.BUDGET, Gate.NOTHING_WAITING):
            self.gate = Gate.OPEN

    @property
    def _batch_sizes(self) -> dict[str, int]:
        """How many of each operation one request may carry."""
        wanted = self.bound.job.limits.batch
        operations = [step.operation for step in self.bound.steps.values()]
        return {each.name: min(wanted, each.batch.most) for each in operations if each.batch and wanted > 1}

    def _operation(self, attempt: Attempt) -> Operation:
        return self.bound.operation_of(attempt.task.step, attempt.operation)

    def _prepare(self, candidate: Candidate) -> Prepared:
        key, token = attempt_names(candidate.key, body=candidate.body, number=candidate.number)
        asked = decode(candidate.body)
        content = with_assets(asked, candidate.assets) if candidate.assets else asked
        content = self._finish(candidate.key.step).body(content, key=key, token=token)
        return Prepared(body=to_json(content), key=key, token=token)

    def _finish(self, step: str) -> Finish:
        finish = self._finishes.get(step)
        if finish is None:
            operation, job = self.bound.operation(step), self.bound.job
            title = job.name if titles_carry_token(operation, job) else None
            finish = self._finishes[step] = Finish(operation, title=title)
        return finish

    def _send(self, attempts: tuple[Attempt, ...], *, sends: int) -> None:
        first, bodies = attempts[0], [attempt.body for attempt in attempts]
        operation = self._operation(first)
        ask: Callable[..., object]
        if first.place is not None and operation.batch is not None:
            batch, retired = operation.batch, operation.retired
            ask = partial(self.client.submit_batch, batch, bodies=bodies, key=first.key, retired=retired)
        else:
            ask = partial(self.client.submit, operation, path=first.path, body=first.body, key=first.key)
        errand = _Errand(aim=_Aim.SEND, attempts=attempts, sends=sends)
        self.sending(attempts)
        self.senders.send(self, errand, partial(ask, before=partial(_require_held, self.may_send)))

    def _search_due(self, now: float) -> None:
        for each in self.doubts.due(Way.SEARCH, now)[: max(0, self.senders.free())]:
            self.doubts.take(each.attempt.attempt_id)
            operation = self._operation(each.attempt)
            settle, find = operation.settle, repeat_of(operation, each.attempt).find
            if settle is None or find is None:
                continue
            errand = _Errand(aim=_Aim.SEARCH, attempts=(each.attempt,), sends=each.sends)
            self.senders.send(self, errand, partial(search, self.client, settle, find, each.attempt.token))

    def take(self, returned: Returned) -> list[News]:
        """What came of an errand."""
        errand: _Errand = returned.about
        now = self.clock()
        if returned.error is None:
            self._closed_doors = 0
            return self._brought(errand, returned.value, now)
        if isinstance(returned.error, LeaseLost):
            return []  # it is another's by now, which looks for it before anything is sent
        if not isinstance(returned.error, ApiError):
            raise returned.error
        self._heed(returned.error, now)
        if errand.aim is _Aim.SEARCH:
            wait = now + NO_ANSWER_WAIT_S
            self.doubts.put(Doubt(attempt=errand.attempts[0], at=wait, way=Way.SEARCH, sends=errand.sends + 1))
            return []
        if errand.batch is not None:
            return self._not_looked_into(errand.batch, returned.error, now)
        if isinstance(returned.error, Rejected) and len(errand.attempts) > 1 and errand.attempts[0].sends == 1:
            # one bad body refuses all of them, and nothing says whose it was: each gets an answer of its own
            self._one_by_one += len(errand.attempts)
            cause = f"a batch with it was refused: {returned.error.message}"
            return [answers.not_made(each, cause, now=now) for each in errand.attempts]
        return [news for each in errand.attempts for news in self._refused(each, errand, returned.error, now)]

    def _brought(self, errand: _Errand, value: Any, now: float) -> list[News]:
        """What a successful errand means."""
        attempt = errand.attempts[0]
        if errand.aim is _Aim.SEARCH:
            return self._searched(attempt, value, now)
        if errand.batch is not None:
            return self._looked_into(errand.batch, value, now)
        if attempt.place is None:
            return [self._taken(attempt, value, now)]
        if self.batches.owners.get(value, attempt.submission_id) != attempt.submission_id:
            cause = f"the API gave it the batch {value}, which other rows have already"
            unsure = [answers.unsure(each, cause, resend_lost=False, now=now) for each in errand.attempts]
            return [news for each in unsure for news in each]
        self.batches.put([replace(each, batch_id=value) for each in errand.attempts], at=now)
        self.accepted[attempt.attempt_id] = attempt
        self.watch.accepted()
        return answers.batch_accepted(errand.attempts, value, now=now)

    def _looked_into(self, batch: OpenBatch, seen: BatchSeen, now: float) -> list[News]:
        read = answers.items_read(batch.attempts, seen, self.bound.provider.errors, now=now)
        late = [each for each in read.left if self._is_overdue(each, now)]
        self.batches.put_back(batch, [each for each in read.left if each not in late], now=now)
        read.news += answers.without_id(late, f"accepted in batch {batch.batch_id}, which shows none for it", now=now)
        self.accepted.update((each.attempt_id, each) for each in read.made)
        if read.made:
            self.watch.accepted()
        for error in read.failures:
            self._heed(error, now)
            if isinstance(error, Rejected):
                self._failed(error)
        return read.news

    def _not_looked_into(self, batch: OpenBatch, error: ApiError, now: float) -> list[News]:
        """A batch that the API does not show is asked for again, until nothing can be learned from it any more."""
        if isinstance(error, Rejected) and self._is_overdue(batch.attempts[0], now):
            self.batches.put_back(batch, (), now=now)
            cause = f"accepted in batch {batch.batch_id}, which the API no longer shows"
            return answers.without_id(batch.attempts, cause, now=now)
        self.batches.put_back(batch, batch.attempts, now=now)
        return []

    def _is_overdue(self, attempt: Attempt, now: float) -> bool:
        """Whether it was sent so long ago that a batch has surely begun it, if it ever will."""
        settle, first = self._operation(attempt).settle, attempt.first_sent_at
        return settle is not None and first is not None and now - first.timestamp() > settle.overdue_h * 3600

    def _heed(self, error: ApiError, now: float) -> None:
        """What a failure means for the whole account."""
        if isinstance(error, Throttled):
            self._hold_off(error, now)
        if isinstance(error, StopEverything):
            advice = self.bound.provider.errors.advice(error.code)
            self.stop = self.stop or (f"{error.message}: {advice}" if advice else error.message)

    def _taken(self, attempt: Attempt, receipt: Receipt, now: float) -> News:
        cost = None
        if receipt.outcome is not None and receipt.outcome.state is State.DONE:
            duration_s = receipt.outcome.outputs.get("duration_s", "")
            cost = self.bound.final_cost(attempt.task.step, attempt.operation, attempt.body, duration_s=duration_s)
            self.watch.succeeded()
        self.watch.accepted()
        self.accepted[attempt.attempt_id] = attempt
        return answers.accepted(attempt, receipt, cost=cost, now=now)

    def _searched(self, attempt: Attempt, found: Found, now: float) -> list[News]:
        self.accepted[attempt.attempt_id] = attempt
        if attempt.place is not None and not found.remote_ids:
            # items of a batch are listed as their turn comes: that they are not there yet proves nothing
            found = replace(found, exhausted=False)
        return answers.searched(attempt, found, resend_lost=self._resends_lost(attempt), now=now)

    def _refused(self, attempt: Attempt, errand: _Errand, error: ApiError, now: float) -> list[News]:
        assets = self.bound.provider.assets
        if assets is not None and error.code in assets.gone:
            self.ledger.forget_assets(attempt.attempt_id)
        if isinstance(error, InDoubt):
            return self._doubt(attempt, sends=errand.sends, cause=error.message, now=now)
        if attempt.sends > 1 and not repeat_of(self._operation(attempt), attempt).free:
            # what the first send may have made is not undone by a later refusal
            if isinstance(error, Rejected):
                cause = f"sent again, it was refused: {error.message}"
                return answers.unsure(attempt, cause, resend_lost=self._resends_lost(attempt), now=now)
            return self._doubt(attempt, sends=errand.sends, cause=error.message, now=now)
        if isinstance(error, Rejected):
            self._failed(error)
            return [answers.refused(attempt, error, advice=self.bound.provider.errors.advice(error.code), now=now)]
        return [answers.not_made(attempt, error.message, now=now)]

    def _failed(self, error: Rejected) -> None:
        self.watch.failed(error.code, error.message)
        self.stop = self.stop or self.watch.reason

    def _doubt(self, attempt: Attempt, *, sends: int, cause: str, now: float) -> list[News]:
        if not self.doubts.add(attempt, sends=sends, now=now, server_now=now + self.client.server_ahead_s):
            return answers.unsure(attempt, cause, resend_lost=self._resends_lost(attempt), now=now)
        return [answers.still_in_doubt(attempt, cause, now=now)] if sends else []

    def _resends_lost(self, attempt: Attempt) -> bool:
        """Whether the job has decided beforehand that such a row is sent again; never more than twice."""
        below = self.bound.job.resend_below
        is_cheap = below is not None and attempt.estimate is not None and attempt.estimate <= below.amount
        return attempt.number < MAX_ATTEMPTS and (self.bound.job.resend_lost or is_cheap)

    def _hold_off(self, error: Throttled, now: float) -> None:
        if error.slots_only:
            self.is_short = self.was_short = True
            self.gate, self.wake_at = Gate.SLOTS, now + (error.wait_s or NO_ANSWER_WAIT_S)
            return
        if self.wake_at is not None and now < self.wake_at and error.wait_s is None:
            return  # one of several that met the same closed door
        if error.wait_s is None:
            self._closed_doors += 1
            wait = NO_ANSWER_WAIT_S * 2 ** min(4, self._closed_doors - 1)
        else:
            wait = max(error.wait_s, 0.2)
        self.ledger.hold_off(self.account, until=now + wait, reason=error.message)
        self.wake_at = now + wait
        if wait >= TOLD_WAIT_S:
            self.tell(f"the account is held off for {wait:.0f} s: {error.message}")


def _require_held(may_send: Callable[[], bool]) -> None:
    """
    Let only what is still ours be sent; asked by a sender whose connection stands, before the first byte leaves.

    Raises:
        LeaseLost: It may be another's.
    """
    if not may_send():
        raise LeaseLost("not sent: others may have taken over")
