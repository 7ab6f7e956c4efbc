"""Turns waiting tasks into submissions, as far as the account admits."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from batcher import answers
from batcher.api.client import Client, Receipt
from batcher.api.search import search
from batcher.api.wire import WRITE_S
from batcher.bound import BoundJob
from batcher.doubt import Way
from batcher.doubts import Doubt, Doubts, titles_carry_token
from batcher.errors import ApiError, InDoubt, Rejected, StopEverything, Throttled
from batcher.ledger.identity import attempt_key, attempt_token
from batcher.ledger.protocol import Admission, Admitted, Candidate, Gate, Ledger, News, Prepared
from batcher.limits import AccountLimits
from batcher.mapping.finish import Finish
from batcher.mapping.request import to_json
from batcher.model import Attempt, State
from batcher.senders import Returned, Senders
from batcher.stops import FailureWatch

NO_ANSWER_WAIT_S = 5.0
"""How long to hold off when nothing says how long: no connection, or a 429 without Retry-After."""

SLOTS_AGAIN_S = 1.0
"""While all slots are taken, ask again this often: another job of the account may have let one go."""

MAX_ATTEMPTS = 3
"""Attempts at one row without a person's word, where the job lets lost rows be sent again."""

TOLD_WAIT_S = 10.0
"""A hold-off of this length is worth a word."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Errand:
    """
    What a sender was sent for.

    Attributes:
        sends: How often the attempt has been sent in this run.
        is_search: It only looks.
    """

    attempt: Attempt
    sends: int
    is_search: bool = False


@dataclass(kw_only=True, slots=True)
class Dispatcher:
    """
    Sends what the account admits, and decides what each answer means.

    Attributes:
        gate: Why the last wish was not granted in full.
        wake_at: When it is worth asking again, unix seconds; None when something else must happen first.
        stop: Why nothing more may be sent; empty while all is well.
        accepted: Attempts that the API has just taken, for whoever watches them from here on.
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
    gate: Gate = Gate.OPEN
    wake_at: float | None = None
    stop: str = ""
    accepted: dict[int, Attempt] = field(default_factory=dict)
    _finishes: dict[str, Finish] = field(default_factory=dict)
    _closed_doors: int = 0
    _asked_at: float = 0.0

    def begin(self) -> list[News]:
        """Take over what an earlier run has left in *sending*: a look-up or the same key, never a blind send."""
        now = self.clock()
        left = self.ledger.in_doubt(self.bound.job.name, self.account)
        return [
            news for each in left for news in self._doubt(each, sends=0, cause="a run died while sending it", now=now)
        ]

    @property
    def due_at(self) -> float | None:
        """When the next attempt in doubt can be settled; None when none is left to this run."""
        soonest = self.doubts.due_at
        return None if soonest is None else max(soonest, self.wake_at or 0.0)

    def step(self) -> None:
        """Send as much as senders and account admit."""
        now = self.clock()
        if self.stop or (self.wake_at is not None and now < self.wake_at):
            return
        self._search_due(now)
        resend = self.doubts.due(Way.RESEND, now)
        if self.senders.free() <= 0 or not (resend or self._worth_asking(now)):
            return
        admitted = self._ask(resend, now)
        self.gate, self.wake_at = admitted.gate, admitted.until
        for attempt in admitted.attempts:
            known = self.doubts.take(attempt.attempt_id)
            self._send(attempt, sends=known.sends + 1 if known else 1)

    def _worth_asking(self, now: float) -> bool:
        if self.gate in (Gate.SLOTS, Gate.BUDGET):
            return now >= self._asked_at + SLOTS_AGAIN_S
        return self.gate is not Gate.NOTHING_WAITING

    def _ask(self, resend: list[Doubt], now: float) -> Admitted:
        self._asked_at = now
        wish = Admission(
            job=self.bound.job.name,
            account=self.account,
            now=now,
            at_most=self.senders.free(),
            resend=[each.attempt.attempt_id for each in resend],
            windows=self.limits.windows,
            in_flight=self.limits.in_flight,
            budget=self.limits.budget,
            grace_s=WRITE_S,
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

    def _prepare(self, candidate: Candidate) -> Prepared:
        operation = self.bound.operation(candidate.key.step)
        token = attempt_token(candidate.key, body=candidate.body, number=candidate.number)
        key = attempt_key(candidate.key, body=candidate.body, number=candidate.number)
        finish = self._finishes.get(candidate.key.step) or self._finishes.setdefault(
            candidate.key.step, Finish(operation)
        )
        content = finish.body(json.loads(candidate.body), key=key, token=token)
        if operation.title_field and titles_carry_token(operation, self.bound.job):
            title = content.get(operation.title_field, self.bound.job.name)
            content = {**content, operation.title_field: f"{title} [{token}]"}
        return Prepared(body=to_json(content), key=key, token=token)

    def _send(self, attempt: Attempt, *, sends: int) -> None:
        operation = self.bound.operation(attempt.task.step)
        ask = partial(self.client.submit, operation, path=attempt.path, body=attempt.body, key=attempt.key)
        self.senders.send(self, _Errand(attempt=attempt, sends=sends), ask)

    def _search_due(self, now: float) -> None:
        for each in self.doubts.due(Way.SEARCH, now)[: max(0, self.senders.free())]:
            self.doubts.take(each.attempt.attempt_id)
            operation = self.bound.operation(each.attempt.task.step)
            settle, find = operation.settle, operation.repeat.find
            if settle is None or find is None:
                continue
            errand = _Errand(attempt=each.attempt, sends=each.sends, is_search=True)
            self.senders.send(self, errand, partial(search, self.client, settle, find, each.attempt.token))

    def take(self, returned: Returned) -> list[News]:
        """What came of an errand."""
        errand: _Errand = returned.about
        now = self.clock()
        if returned.error is None:
            self._closed_doors = 0
            return self._searched(errand, returned, now) if errand.is_search else [self._taken(errand, returned, now)]
        if not isinstance(returned.error, ApiError):
            raise returned.error
        self._heed(returned.error, now)
        if errand.is_search:
            self.doubts.put(
                Doubt(attempt=errand.attempt, at=now + NO_ANSWER_WAIT_S, way=Way.SEARCH, sends=errand.sends + 1)
            )
            return []
        return self._refused(errand, returned.error, now)

    def _heed(self, error: ApiError, now: float) -> None:
        """What a failure means for the whole account."""
        if isinstance(error, Throttled):
            self._hold_off(error, now)
        if isinstance(error, StopEverything):
            advice = self.bound.provider.errors.advice(error.code)
            self.stop = self.stop or (f"{error.message}: {advice}" if advice else error.message)

    def _taken(self, errand: _Errand, returned: Returned, now: float) -> News:
        receipt: Receipt = returned.value
        attempt, cost = errand.attempt, None
        if receipt.outcome is not None and receipt.outcome.state is State.DONE:
            duration_s = receipt.outcome.outputs.get("duration_s", "")
            cost = self.bound.final_cost(attempt.task.step, attempt.body, duration_s=duration_s)
            self.watch.succeeded()
        self.watch.accepted()
        self.accepted[attempt.attempt_id] = attempt
        return answers.accepted(attempt, receipt, cost=cost, now=now)

    def _searched(self, errand: _Errand, returned: Returned, now: float) -> list[News]:
        self.accepted[errand.attempt.attempt_id] = errand.attempt
        resend = self._resends_lost(errand.attempt)
        return answers.searched(errand.attempt, returned.value, resend_lost=resend, now=now)

    def _refused(self, errand: _Errand, error: ApiError, now: float) -> list[News]:
        attempt = errand.attempt
        if isinstance(error, InDoubt):
            return self._doubt(attempt, sends=errand.sends, cause=error.message, now=now)
        if attempt.sends > 1 and not self.bound.operation(attempt.task.step).repeat.free:
            # what the first send may have made is not undone by a later refusal
            if isinstance(error, Rejected):
                cause = f"sent again, it was refused: {error.message}"
                return answers.unsure(attempt, cause, resend_lost=self._resends_lost(attempt), now=now)
            return self._doubt(attempt, sends=errand.sends, cause=error.message, now=now)
        if isinstance(error, Rejected):
            self.watch.failed(error.code, error.message)
            self.stop = self.stop or self.watch.reason
            return [answers.refused(attempt, error, advice=self.bound.provider.errors.advice(error.code), now=now)]
        return [answers.not_made(attempt, error.message, now=now)]

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
