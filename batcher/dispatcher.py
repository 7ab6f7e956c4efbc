"""Turns waiting tasks into submissions, as far as the account admits."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from batcher.api.client import Client, Receipt
from batcher.api.search import Found, search
from batcher.api.wire import WRITE_S
from batcher.bound import BoundJob
from batcher.doubt import MAX_SENDS, Way, settle_doubt
from batcher.errors import ApiError, InDoubt, Rejected, StopEverything, Throttled
from batcher.ledger.identity import attempt_key, attempt_token
from batcher.ledger.protocol import Admission, Candidate, Gate, Ledger, News, Prepared
from batcher.limits import AccountLimits
from batcher.model import Attempt, Outcome, Source, State
from batcher.senders import Returned, Senders
from batcher.stops import FailureWatch

NO_ANSWER_WAIT_S = 5.0
"""How long to hold off when nothing says how long: no connection, or a 429 without Retry-After."""

SLOTS_AGAIN_S = 1.0
"""While all slots are taken, ask again this often: another job of the account may have let one go."""


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
class _Doubtful:
    """An attempt in *sending* that is not under way."""

    attempt: Attempt
    at: float
    way: Way
    sends: int


@dataclass(kw_only=True, slots=True)
class Dispatcher:
    """
    Sends what the account admits, and decides what each answer means.

    Attributes:
        gate: Why the last wish was not granted in full.
        wake_at: When it is worth asking again, unix seconds; None when something else must happen first.
        stop: Why nothing more may be sent; empty while all is well.
        accepted: Bodies of attempts that the API has just taken, for whoever watches them from here on.
    """

    bound: BoundJob
    account: str
    client: Client
    ledger: Ledger
    senders: Senders
    limits: AccountLimits
    watch: FailureWatch
    clock: Callable[[], float]
    rng: random.Random
    tell: Callable[[str], None]
    gate: Gate = Gate.OPEN
    wake_at: float | None = None
    stop: str = ""
    accepted: dict[int, str] = field(default_factory=dict)
    _doubtful: dict[int, _Doubtful] = field(default_factory=dict)
    _left: int = 0
    _connection_losses: int = 0
    _asked_at: float = 0.0

    def begin(self) -> list[News]:
        """Take over what an earlier run has left in *sending*: a look-up or the same key, never a blind send."""
        now = self.clock()
        left = self.ledger.in_doubt(self.bound.job.name)
        return [
            news
            for each in left
            for news in self._doubt(each, sends=0, now=now, cause="an earlier run died while sending it")
        ]

    @property
    def in_doubt(self) -> int:
        """How many attempts wait to be sent again or searched for, in this run or the next."""
        return len(self._doubtful) + self._left

    @property
    def due_at(self) -> float | None:
        """When the next attempt in doubt is due; None when none is left to this run."""
        return min((each.at for each in self._doubtful.values()), default=None)

    def step(self) -> None:
        """Send as much as senders and account admit."""
        if self.stop:
            return
        now = self.clock()
        self._search_due(now)
        room = self.senders.free()
        resend = [each for each in self._doubtful.values() if each.way is Way.RESEND and each.at <= now]
        if room <= 0 or not (resend or self._worth_asking(now)):
            return
        self._asked_at = now
        wish = Admission(
            job=self.bound.job.name,
            account=self.account,
            operation=self.bound.operation.name,
            now=now,
            at_most=room,
            resend=[each.attempt.attempt_id for each in resend],
            windows=self.limits.windows,
            in_flight=self.limits.in_flight,
            budget=self.limits.budget,
            grace_s=WRITE_S,
        )
        admitted = self.ledger.admit(wish, self._prepare)
        self.gate, self.wake_at = admitted.gate, admitted.until
        for attempt in admitted.attempts:
            known = self._doubtful.pop(attempt.attempt_id, None)
            self._send(attempt, sends=known.sends + 1 if known else 1)
        if admitted.gate is Gate.BUDGET:
            self.stop = f"the budget of {self.bound.job.limits.budget} would be passed"

    def _worth_asking(self, now: float) -> bool:
        if self.wake_at is not None and now < self.wake_at:
            return False
        if self.gate is Gate.SLOTS:
            return now >= self._asked_at + SLOTS_AGAIN_S
        return self.gate is not Gate.NOTHING_WAITING

    def woken(self) -> None:
        """Something finished: a slot may be free."""
        if self.gate is Gate.SLOTS:
            self.reopen()

    def reopen(self) -> None:
        """Ask again: a task waits once more, or a slot is free."""
        if self.gate in (Gate.SLOTS, Gate.NOTHING_WAITING):
            self.gate = Gate.OPEN

    def _prepare(self, candidate: Candidate) -> Prepared:
        operation, job = self.bound.operation, self.bound.job
        token = attempt_token(candidate.key, body=candidate.body, number=candidate.number)
        key = attempt_key(candidate.key, body=candidate.body, number=candidate.number)
        content = json.loads(candidate.body)
        if (
            operation.token_field
            and operation.token_field not in content
            and _may_hold(operation.body, operation.token_field, content)
        ):
            content[operation.token_field] = token
        if operation.title_field and titles_carry_token(self.bound):
            content[operation.title_field] = f"{content.get(operation.title_field, job.name)} [{token}]"
        body = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
        return Prepared(body=body, key=key, token=token)

    def _send(self, attempt: Attempt, *, sends: int) -> None:
        operation = self.bound.operation
        self.senders.send(
            self,
            _Errand(attempt=attempt, sends=sends),
            partial(self.client.submit, operation, path=attempt.path, body=attempt.body, key=attempt.key),
        )

    def take(self, returned: Returned) -> list[News]:
        """What an answer means for its attempt."""
        errand: _Errand = returned.about
        attempt, now = errand.attempt, self.clock()
        error = returned.error
        if errand.is_search:
            return self._searched(errand, returned)
        if error is None:
            self._connection_losses = 0
            return [self._accepted(attempt, returned.value, now)]
        if not isinstance(error, ApiError):
            raise error
        return self._refused(errand, error, now)

    def _refused(self, errand: _Errand, error: ApiError, now: float) -> list[News]:
        attempt, sends = errand.attempt, errand.sends
        if isinstance(error, Rejected):
            self.watch.failed(error.code, error.message)
            self.stop = self.stop or self.watch.reason
            return [self._failed(attempt, error, now)]
        if isinstance(error, InDoubt):
            return self._doubt(attempt, sends=sends, now=now, cause=error.message)
        if isinstance(error, Throttled):
            self._hold_off(error, now)
        if isinstance(error, StopEverything):
            self.stop = self.stop or self._stop_words(error)
        if attempt.sends > 1:
            # what the first send has made is not undone by this refusal
            return self._doubt(attempt, sends=sends, now=now, cause=error.message)
        return [
            News(
                attempt_id=attempt.attempt_id,
                state=State.WAITING,
                source=Source.ANSWER,
                cause=error.message,
                at=now,
                answered=True,
            )
        ]

    def _accepted(self, attempt: Attempt, receipt: Receipt, now: float) -> News:
        outcome = receipt.outcome or Outcome(state=State.IN_PROGRESS)
        self.watch.accepted()
        self.accepted[attempt.attempt_id] = attempt.body
        if outcome.state is State.DONE:
            self.watch.succeeded()
        return News(
            attempt_id=attempt.attempt_id,
            state=outcome.state,
            source=Source.ANSWER,
            cause="accepted",
            at=now,
            answered=True,
            remote_id=receipt.remote_id,
            outputs=outcome.outputs,
            completed_at=now if outcome.state is State.DONE else None,
        )

    def _failed(self, attempt: Attempt, error: ApiError, now: float) -> News:
        detail = f"{error.message} (request {error.request_id})" if error.request_id else error.message
        return News(
            attempt_id=attempt.attempt_id,
            state=State.FAILED,
            source=Source.ANSWER,
            cause=error.message,
            at=now,
            answered=True,
            error_code=error.code,
            error=f"{error.param}: {detail}" if error.param and error.param not in error.message else detail,
            advice=self.bound.provider.errors.advice(error.code),
            completed_at=now,
        )

    def _stop_words(self, error: StopEverything) -> str:
        advice = self.bound.provider.errors.advice(error.code)
        return f"{error.message}: {advice}" if advice else error.message

    def _hold_off(self, error: Throttled, now: float) -> None:
        if error.slots_only:
            self.gate, self.wake_at = Gate.SLOTS, now + (error.wait_s or NO_ANSWER_WAIT_S)
            return
        if error.code == "no_connection":
            self._connection_losses += 1
        wait = error.wait_s if error.wait_s is not None else NO_ANSWER_WAIT_S * 2 ** min(4, self._connection_losses - 1)
        wait = max(wait, 0.2)
        self.ledger.hold_off(self.account, until=now + wait, reason=error.message)
        self.wake_at = now + wait
        if wait >= 10:
            self.tell(f"the account is held off for {wait:.0f} s: {error.message}")

    def _doubt(self, attempt: Attempt, *, sends: int, now: float, cause: str) -> list[News]:
        first = attempt.first_sent_at.timestamp() if attempt.first_sent_at else now
        verdict = settle_doubt(
            self.bound.operation.repeat,
            first_sent_at=first,
            last_sent_at=now if sends else first,
            sends=sends,
            now=now,
            chance=self.rng.random(),
            searchable=self._is_searchable(attempt),
            deadline_s=WRITE_S,
        )
        if verdict.way is Way.ASK:
            return [self._unsure(attempt, cause, now)]
        if verdict.way is Way.RESEND and sends >= MAX_SENDS:
            self._left += 1
        else:
            self._doubtful[attempt.attempt_id] = _Doubtful(attempt=attempt, at=verdict.at, way=verdict.way, sends=sends)
        if not sends:
            return []
        return [
            News(
                attempt_id=attempt.attempt_id,
                state=State.SENDING,
                source=Source.ANSWER,
                cause=cause,
                at=now,
                answered=True,
                error=cause,
            )
        ]

    def _is_searchable(self, attempt: Attempt) -> bool:
        return (
            bool(attempt.token)
            and attempt.token in attempt.body
            and (
                not self.bound.operation.repeat.find
                or not self.bound.operation.repeat.find.query
                or titles_carry_token(self.bound)
            )
        )

    def _unsure(self, attempt: Attempt, cause: str, now: float, *, exhausted: bool = False) -> News:
        made = "probably not made" if exhausted else "maybe made and charged"
        return News(
            attempt_id=attempt.attempt_id,
            state=State.UNSURE,
            source=Source.ANSWER,
            cause=cause,
            at=now,
            answered=True,
            error_code="unsure",
            error=f"the answer was lost ({cause}); {made}, never resent blindly",
            advice="decide with: batcher settle",
        )

    def _search_due(self, now: float) -> None:
        settle, find = self.bound.operation.settle, self.bound.operation.repeat.find
        for each in list(self._doubtful.values()):
            if each.way is not Way.SEARCH or each.at > now or self.senders.free() <= 0 or not settle or not find:
                continue
            del self._doubtful[each.attempt.attempt_id]
            token = each.attempt.token
            errand = _Errand(attempt=each.attempt, sends=each.sends, is_search=True)
            self.senders.send(self, errand, partial(search, self.client, settle, find, token))

    def _searched(self, errand: _Errand, returned: Returned) -> list[News]:
        attempt, now = errand.attempt, self.clock()
        if returned.error is not None:
            if not isinstance(returned.error, ApiError):
                raise returned.error
            self._search_failed(errand, returned.error, now)
            return []
        return [self._found(attempt, returned.value, now)]

    def _search_failed(self, errand: _Errand, error: ApiError, now: float) -> None:
        """Nothing was learned: look again later, in this run or the next."""
        if isinstance(error, Throttled):
            self._hold_off(error, now)
        if isinstance(error, StopEverything):
            self.stop = self.stop or self._stop_words(error)
        if errand.sends >= MAX_SENDS:
            self._left += 1
            return
        self._doubtful[errand.attempt.attempt_id] = _Doubtful(
            attempt=errand.attempt, at=now + NO_ANSWER_WAIT_S, way=Way.SEARCH, sends=errand.sends + 1
        )

    def _found(self, attempt: Attempt, found: Found, now: float) -> News:
        if len(found.remote_ids) == 1:
            self.accepted[attempt.attempt_id] = attempt.body
            return News(
                attempt_id=attempt.attempt_id,
                state=State.IN_PROGRESS,
                source=Source.LIST,
                cause="found again by its token",
                at=now,
                answered=True,
                remote_id=found.remote_ids[0],
            )
        if found.remote_ids:
            return self._unsure(attempt, f"two pieces of work carry its token: {', '.join(found.remote_ids)}", now)
        return self._unsure(attempt, "not found among the account's work", now, exhausted=found.exhausted)


def titles_carry_token(bound: BoundJob) -> bool:
    """Whether a short token is put into every title, so that lost work can be searched for."""
    repeat = bound.operation.repeat
    if bound.job.title_token is not None:
        return bound.job.title_token
    return bool(repeat.find and repeat.find.query and not repeat.key_header and not repeat.free)


def _may_hold(schema: object, field_name: str, content: object) -> bool:
    """Whether the body's schema has the field for this form of the body."""
    from batcher.mapping.types import schemas_at

    return isinstance(schema, dict) and bool(schemas_at(schema, (field_name,), content))
