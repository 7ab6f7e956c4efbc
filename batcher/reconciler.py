"""Turns accepted submissions into outcomes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from batcher.api.client import Client
from batcher.api.sweep import Sweep, sweep
from batcher.bound import BoundJob
from batcher.errors import ApiError, StopEverything, Throttled
from batcher.ledger.protocol import InFlight, Ledger, News
from batcher.model import Outcome, Source, State
from batcher.pacing import next_look
from batcher.senders import Returned, Senders
from batcher.stops import FailureWatch

RETRY_S = 5.0


@dataclass(kw_only=True, slots=True)
class Reconciler:
    """
    Looks at what is in flight, as seldom as it may.

    Attributes:
        due_at: When the next look is due, unix seconds; None while nothing is in flight or a look is under way.
        sweeps: How many looks have come back.
        stop: Why nothing more may be sent, when a look has told so.
    """

    bound: BoundJob
    account: str
    client: Client
    ledger: Ledger
    senders: Senders
    watch: FailureWatch
    clock: Callable[[], float]
    tell: Callable[[str], None]
    due_at: float | None = None
    sweeps: int = 0
    stop: str = ""
    _flying: dict[str, InFlight] = field(default_factory=dict)
    _under_way: bool = False
    _times: list[float] = field(default_factory=list)
    _last_requests: int = 1
    _failures: int = 0

    def begin(self) -> None:
        """Take over what is in flight from earlier runs: it is looked at straight away."""
        for each in self.ledger.in_flight(self.bound.job.name):
            self._flying[each.remote_id] = each
        self._times = list(self.ledger.render_times(self.account, self.bound.operation.name))
        self.due_at = self.clock() if self._flying else None

    @property
    def in_flight(self) -> int:
        """How many pieces of work are accepted and not finished."""
        return len(self._flying)

    def accepted(self, flying: InFlight) -> None:
        """A submission was accepted just now."""
        self._flying[flying.remote_id] = flying
        if self.due_at is None and not self._under_way:
            self._plan_next()

    def step(self) -> None:
        """Begin a look when one is due."""
        now = self.clock()
        held, _ = self.ledger.held_off(self.account) if self.due_at is not None and now >= self.due_at else (0.0, "")
        settle = self.bound.operation.settle
        if self.due_at is None or now < self.due_at or self._under_way or not self._flying or settle is None:
            return
        if held > now:
            self.due_at = held
            return
        if self.senders.free() <= 0:
            return
        self._under_way, self.due_at = True, None
        self.senders.send(self, tuple(self._flying), partial(sweep, self.client, settle, tuple(self._flying)))

    def take(self, returned: Returned) -> list[News]:
        """What a look has brought."""
        self._under_way = False
        if returned.error is not None:
            raise returned.error
        seen: Sweep = returned.value
        self.sweeps += 1
        self._last_requests = seen.requests
        now = self.clock()
        news = []
        for remote_id, (outcome, source) in seen.outcomes.items():
            flying = self._flying.get(remote_id)
            if flying is None:
                continue
            news.append(self._news(flying, outcome, source, now))
            if news[-1].state is not State.IN_PROGRESS:
                del self._flying[remote_id]
                self._finished(flying, news[-1])
        if seen.error is not None:
            self._trouble(seen.error, now)
        else:
            self._failures = 0
            self._plan_next()
        return news

    def _finished(self, flying: InFlight, news: News) -> None:
        if news.state is State.FAILED:
            self.watch.failed(news.error_code, news.error)
            self.stop = self.stop or self.watch.reason
            return
        self.watch.succeeded()
        if news.completed_at is not None and news.completed_at >= flying.accepted_at:
            self._times = [news.completed_at - flying.accepted_at, *self._times[:99]]

    def _trouble(self, error: ApiError, now: float) -> None:
        """A look that failed has learned nothing; the next one comes later."""
        self._failures += 1
        wait = min(300.0, RETRY_S * 2 ** (self._failures - 1))
        if isinstance(error, StopEverything):
            self.stop = self.stop or f"{error.message}: {self.bound.provider.errors.advice(error.code)}".rstrip(": ")
        if isinstance(error, Throttled) and error.wait_s is not None:
            self.ledger.hold_off(self.account, until=now + error.wait_s, reason=error.message)
            wait = error.wait_s
        self.due_at = now + wait
        if self._failures in (3, 10):
            self.tell(f"cannot look at what is in flight: {error.message}; trying again")

    def _plan_next(self) -> None:
        settle = self.bound.operation.settle
        if not self._flying or settle is None:
            self.due_at = None
            return
        now = self.clock()
        ages = [now - each.accepted_at for each in self._flying.values()]
        wait = next_look(
            self.bound.job.poll,
            times=self._times,
            usual_s=settle.usual_s,
            oldest_age_s=max(ages),
            youngest_age_s=max(0.0, min(ages)),
            last_requests=self._last_requests,
        )
        self.due_at = now + wait

    def _news(self, flying: InFlight, outcome: Outcome, source: Source, now: float) -> News:
        settle, advice = self.bound.operation.settle, ""
        state, code, error = outcome.state, outcome.error_code, outcome.error
        overdue_s = settle.overdue_h * 3600 if settle else 86400.0
        if outcome.missing and now - flying.accepted_at > overdue_s:
            state, code = State.FAILED, "lost"
            error = f"accepted as {flying.remote_id}, but the API no longer knows it"
            advice = "ask the provider's support with this id before asking for it again: it may have been charged"
        if state is State.FAILED:
            advice = advice or self.bound.provider.errors.advice(code)
        if outcome.stops:
            self.stop = self.stop or f"{error}: {advice}".rstrip(": ")
        completed = self._completed_at(outcome, now) if state is not State.IN_PROGRESS else None
        cost = (
            self.bound.final_cost(flying.body, duration_s=outcome.outputs.get("duration_s", ""))
            if state is State.DONE
            else None
        )
        return News(
            attempt_id=flying.attempt_id,
            state=state,
            source=source,
            cause=outcome.word or state.value,
            at=now,
            checked=True,
            missing=outcome.missing,
            word=outcome.word,
            outputs=outcome.outputs,
            error_code=code,
            error=error,
            advice=advice,
            cost=cost,
            completed_at=completed,
        )

    def _completed_at(self, outcome: Outcome, now: float) -> float:
        return outcome.completed_at if outcome.completed_at is not None and outcome.completed_at <= now else now
