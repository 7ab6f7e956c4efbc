"""Turns accepted submissions into outcomes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from batcher.api.client import Client
from batcher.api.sweep import Sweep, glance, sweep
from batcher.bound import BoundJob
from batcher.catalog.model import Settle
from batcher.errors import ApiError, StopEverything, Throttled
from batcher.ledger.protocol import Ledger
from batcher.ledger.values import InFlight, News
from batcher.model import Outcome, Source, State
from batcher.pacing import READY_FROM, next_look
from batcher.senders import Returned, Senders
from batcher.stops import FailureWatch

RETRY_S = 5.0
MANY = 300
"""More than so many in flight stand deep in a list, most of it finished long ago or too young: a glance is cheaper."""

ENDED_AT_MOST = 0.5
"""Once the links of so large a share of what is in flight are to be read, the lists are read."""

THOROUGH_EVERY = 4
"""One look in so many goes to the end: the oldest pieces stand deep in a list, and are few."""


@dataclass(kw_only=True, slots=True)
class Reconciler:
    """
    Looks at what is in flight, as seldom as it may.

    Attributes:
        due_at: When the next look is due, unix seconds; None while nothing is in flight or a look is under way.
        sweeps: How many looks have come back.
        stop: Why nothing more may be sent, when a look has told so.
        slots_wanted: Whether rows wait for a place that a finished piece lets go of.
        made_rows: Rows in which a task was done since somebody last asked: a later step may be ready.
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
    made_rows: set[str] = field(default_factory=set)
    slots_wanted: bool = False
    _flying: dict[tuple[str, str], InFlight] = field(default_factory=dict)
    _under_way: bool = False
    _times: dict[str, list[float]] = field(default_factory=dict)
    _last_requests: int = 1
    _failures: int = 0
    _unfinished: set[int] = field(default_factory=set)
    _has_failures: bool = False
    _listed: int = 0
    _ended: set[tuple[str, str]] = field(default_factory=set)

    def begin(self) -> None:
        """Take over what is in flight from earlier runs and other processes: it is looked at straight away."""
        for each in self.ledger.in_flight(self.bound.job.name, self.account):
            self._flying[each.operation, each.remote_id] = each
        for operation in self._operations():
            self._times[operation] = list(self.ledger.render_times(self.account, operation))
        self.due_at = self.clock() if self._flying and not self._under_way else None

    def _operations(self) -> dict[str, Settle]:
        """The operations whose outcome takes its time: of the job, and as which it has sent what is still in flight."""
        operations = {step.operation.name: step.operation for step in self.bound.steps.values()}
        for each in self._flying.values():
            if each.operation not in operations:
                operations[each.operation] = self.bound.operation_of(each.key.step, each.operation)
        return {name: each.settle for name, each in operations.items() if each.settle is not None}

    @property
    def in_flight(self) -> int:
        """How many pieces of work are accepted and not finished."""
        return len(self._flying)

    @property
    def is_awaited(self) -> bool:
        """Whether a run waits for what is in flight: what is overdue is looked at once by each run, and left to the next."""
        now = self.clock()
        not_seen = self.sweeps == 0 and bool(self._flying)
        return not_seen or any(not self._is_overdue(flying, now) for flying in self._flying.values())

    @property
    def overdue(self) -> str:
        """What is said of work that should long have been finished; empty when there is none."""
        now = self.clock()
        count = sum(self._is_overdue(flying, now) for flying in self._flying.values())
        if not count:
            return ""
        return f"{count} overdue: accepted long ago and still not finished; every run looks again, the provider's support may know more"

    def _is_overdue(self, flying: InFlight, now: float) -> bool:
        settle = self.bound.operation_of(flying.key.step, flying.operation).settle
        return settle is not None and now - flying.accepted_at > settle.overdue_h * 3600

    def accepted(self, flying: InFlight) -> None:
        """A submission was accepted just now."""
        self._flying[flying.operation, flying.remote_id] = flying
        if self.due_at is None and not self._under_way:
            self._plan_next()

    def step(self) -> None:
        """Begin a look when one is due."""
        now = self.clock()
        if self.due_at is None or now < self.due_at or self._under_way or not self._flying:
            return
        held, _ = self.ledger.held_off(self.account)
        if held > now:
            self.due_at = held
            return
        if self.senders.free() <= 0:
            return
        settles = self._operations()
        looks = [self._look(operation, settle, now) for operation, settle in settles.items()]
        self._under_way, self.due_at = True, None
        self.senders.send(self, tuple(settles), partial(look_at_all, looks))

    def _look(self, operation: str, settle: Settle, now: float) -> Callable[[], Sweep]:
        """
        The cheapest look at the work of one operation.

        The first of a run reads the lists, and may be its only one. Later, where rows wait for slots and many are in
        flight, a glance tells which of those that may be finished are. The lists are read once there are enough of them
        whose links are to come, and at once for what has failed.
        """
        flying = {remote_id: each for (name, remote_id), each in self._flying.items() if name == operation}
        ended = {remote_id for name, remote_id in self._ended if name == operation}
        times, is_quick = self._times.get(operation), settle.bulk is not None and settle.bulk.ready is not None
        is_quick = is_quick and self.sweeps > 0 and self.slots_wanted and not self._has_failures
        if times and is_quick and len(flying) - len(ended) > MANY:
            youngest = now - READY_FROM * min(times)
            may_be = [each for each, its in flying.items() if its.accepted_at <= youngest and each not in ended]
            if may_be and len(ended) <= ENDED_AT_MOST * len(flying):
                return partial(glance, self.client, settle, may_be)
        thorough = self._listed % THOROUGH_EVERY == 0 or not self.slots_wanted
        self._listed += 1
        return partial(sweep, self.client, settle, tuple(flying), thorough=thorough)

    def take(self, returned: Returned) -> list[News]:
        """What a look has brought."""
        self._under_way = False
        if returned.error is not None:
            raise returned.error
        self.sweeps += 1
        now = self.clock()
        news: list[News] = []
        looks: list[Sweep] = returned.value
        for operation, seen in zip(returned.about, looks, strict=True):
            news += self._seen(operation, seen, now)
        self._last_requests = sum(seen.requests for seen in looks)
        self._has_failures = any(seen.has_failures for seen in looks)
        error = next((seen.error for seen in looks if seen.error is not None), None)
        if error is not None:
            self._trouble(error, now)
        else:
            self._failures = 0
            self._plan_next()
        return news

    def _seen(self, operation: str, seen: Sweep, now: float) -> list[News]:
        news = []
        for remote_id, (outcome, source) in seen.outcomes.items():
            flying = self._flying.get((operation, remote_id))
            if flying is None:
                continue
            news.append(self._news(flying, outcome, source, now))
            if outcome.ended:
                self._ended.add((operation, remote_id))
            elif news[-1].state is State.IN_PROGRESS:
                self._unfinished.add(flying.attempt_id)
            else:
                del self._flying[operation, remote_id]
                self._ended.discard((operation, remote_id))
                self._finished(flying, news[-1])
        return news

    def _finished(self, flying: InFlight, news: News) -> None:
        if news.state is State.FAILED:
            self.watch.failed(news.error_code, news.error)
            self.stop = self.stop or self.watch.reason
            return
        self.watch.succeeded()
        self.made_rows.add(flying.key.row_id)
        if news.took_s is not None:
            times = self._times.setdefault(flying.operation, [])
            self._times[flying.operation] = [news.took_s, *times[:99]]

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
        """The next look is as soon as the most urgent operation wants one."""
        now = self.clock()
        ages: dict[str, list[float]] = {}
        for flying in self._flying.values():
            ages.setdefault(flying.operation, []).append(now - flying.accepted_at)
        settles = self._operations()
        waits = [
            next_look(
                self.bound.job.poll,
                times=self._times.get(operation, ()),
                usual_s=settles[operation].usual_s,
                oldest_age_s=max(each),
                youngest_age_s=max(0.0, min(each)),
                last_requests=self._last_requests,
                slots_wanted=self.slots_wanted,
            )
            for operation, each in ages.items()
        ]
        self.due_at = now + min(waits) if waits else None

    def _news(self, flying: InFlight, outcome: Outcome, source: Source, now: float) -> News:
        advice = ""
        state, code, error = outcome.state, outcome.error_code, outcome.error
        if outcome.missing and self._is_overdue(flying, now):
            state, code = State.FAILED, "lost"
            error = f"accepted as {flying.remote_id}, but the API no longer knows it"
            advice = "ask the provider's support with this id before asking for it again: it may have been charged"
        if state is State.FAILED:
            advice = advice or self.bound.provider.errors.advice(code)
        if outcome.stops:
            self.stop = self.stop or f"{error}: {advice}".rstrip(": ")
        completed = self._completed_at(outcome, now) if state is not State.IN_PROGRESS else None
        cost = None
        if state is State.DONE:
            duration_s = outcome.outputs.get("duration_s", "")
            cost = self.bound.final_cost(flying.key.step, flying.operation, flying.body, duration_s=duration_s)
        return News(
            attempt_id=flying.attempt_id,
            state=state,
            source=source,
            cause=outcome.word or state.value,
            at=now,
            checked=True,
            ended=outcome.ended,
            missing=outcome.missing,
            word=outcome.word,
            outputs=outcome.outputs,
            error_code=code,
            error=error,
            advice=advice,
            cost=cost,
            completed_at=completed,
            took_s=self._took(flying, outcome, now) if state is State.DONE else None,
        )

    def _took(self, flying: InFlight, outcome: Outcome, now: float) -> float | None:
        """
        How long the work took: as the API says, or by our own looks when one of this run has seen it unfinished.

        What was collected long after a run had died says nothing about renders.
        """
        if outcome.completed_at is not None and flying.accepted_at <= outcome.completed_at <= now:
            return outcome.completed_at - flying.accepted_at
        return now - flying.accepted_at if flying.attempt_id in self._unfinished else None

    def _completed_at(self, outcome: Outcome, now: float) -> float:
        return outcome.completed_at if outcome.completed_at is not None and outcome.completed_at <= now else now


def look_at_all(looks: Sequence[Callable[[], Sweep]]) -> list[Sweep]:
    """Look at the work of several operations, one after the other; carried out by a sender."""
    return [look() for look in looks]
