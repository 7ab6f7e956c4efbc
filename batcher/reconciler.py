"""Turns accepted submissions into outcomes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial

from msgspec import Struct, field

from batcher.api.client import Client
from batcher.api.sweep import Sweep, glance, sweep
from batcher.bound import BoundJob
from batcher.errors import ApiError, StopEverything, Throttled
from batcher.flight import Flight
from batcher.ledger.protocol import Ledger
from batcher.ledger.values import InFlight, News
from batcher.model import Outcome, Source, State
from batcher.pacing import least_wait, next_look
from batcher.senders import Returned, Senders
from batcher.stops import FailureWatch

Look = Callable[[], Iterator[Sweep]]

RETRY_S = 5.0

SENDING_S = 30.0
"""While ids are still to come and no slot waits for a look, looks are no closer than results are written."""


class Reconciler(Struct, kw_only=True):
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
    _flights: dict[str, Flight] = field(default_factory=dict)
    _under_way: bool = False
    _last_requests: int = 1
    _begun_at: float = 0.0
    _seen_so_far: Sweep = field(default_factory=Sweep)
    _failures: int = 0
    _has_failures: bool = False

    def begin(self) -> None:
        """Take over what is in flight from earlier runs and other processes; the first look is due as soon as one is needed."""
        self._begun_at = self._begun_at or self.clock()
        for each in self.ledger.in_flight(self.bound.job.name, self.account):
            if self._flight(each).find(each.remote_id) is None:
                self._flight(each).add(each)
        if self._under_way or not self.in_flight:
            return
        if self.sweeps == 0:
            self.due_at = self.clock()
        elif self.due_at is None:
            self._plan_next()

    def _flight(self, flying: InFlight) -> Flight:
        """Where it belongs: with the work of its operation, which need not be one that the job asks for today."""
        flight = self._flights.get(flying.operation)
        if flight is None:
            settle = self.bound.operation_of(flying.key.step, flying.operation).settle
            if settle is None:
                raise ValueError(f"{flying.operation} has its outcome in the answer, and is never in flight")
            times = list(self.ledger.render_times(self.account, flying.operation))
            awaited = frozenset().union(*self.bound.sources.values())
            flight = self._flights[flying.operation] = Flight(settle=settle, times=times, awaited=awaited)
        return flight

    def _flying(self) -> Iterator[InFlight]:
        for flight in self._flights.values():
            yield from flight

    @property
    def in_flight(self) -> int:
        """How many pieces of work are accepted and not finished."""
        return sum(map(len, self._flights.values()))

    @property
    def is_awaited(self) -> bool:
        """Whether a run waits for what is in flight: what is overdue is looked at once by each run, and left to the next."""
        now = self.clock()
        not_seen = self.sweeps == 0 and self.in_flight > 0
        return not_seen or any(not self._is_overdue(flying, now) for flying in self._flying())

    @property
    def overdue(self) -> str:
        """What is said of work that should long have been finished; empty when there is none."""
        now = self.clock()
        count = sum(self._is_overdue(flying, now) for flying in self._flying())
        if not count:
            return ""
        return f"{count} overdue: accepted long ago and still not finished; every run looks again, the provider's support may know more"

    def _is_overdue(self, flying: InFlight, now: float) -> bool:
        return now - flying.accepted_at > self._flight(flying).settle.overdue_h * 3600

    def accepted(self, flying: InFlight) -> None:
        """A submission was accepted just now."""
        flight = self._flight(flying)
        flight.add(flying)
        flight.unfinished.add(flying.remote_id)
        if self.due_at is None and not self._under_way:
            self._plan_next()

    def watches(self, operation: str, remote_id: str) -> bool:
        """Whether work of the operation is in flight under this id."""
        flight = self._flights.get(operation)
        return flight is not None and flight.find(remote_id) is not None

    def forget(self, news: News) -> None:
        """The id in the news has turned out to be another attempt's: it is not watched as theirs any longer."""
        for flight in self._flights.values():
            flying = flight.find(news.remote_id)
            if flying is not None and flying.attempt_id == news.attempt_id:
                flight.remove(news.remote_id, at=self.clock())

    def step(self, *, is_sending: bool = False) -> None:
        """Begin a look when one is due; `is_sending`: more is about to be accepted, and nothing waits for a look."""
        now = self.clock()
        if self.due_at is None or now < self.due_at or self._under_way or not self.in_flight:
            return
        if is_sending and now < self._begun_at + SENDING_S:
            return
        held, _ = self.ledger.held_off(self.account)
        if held > now:
            self.due_at = held
            return
        if self.senders.free() <= 0:
            return
        flights = {name: flight for name, flight in self._flights.items() if flight}
        looks = {name: self._look(flight, now) for name, flight in flights.items()}
        self._under_way, self.due_at, self._begun_at = True, None, now
        self.senders.send(self, tuple(looks), partial(look_at_all, looks))

    def _look(self, flight: Flight, now: float) -> Look:
        """
        The cheapest look at the work of one operation.

        The first of a run goes to the end, and may be its only one; so does one after failures, to learn their reasons.
        Later a glance tells which of those that may have ended have; their links are read from the lists together, when
        they have waited for it or nothing else is to come. Where a list shows all of that with as few requests as a
        glance, it is read at once.
        """
        settle, bulk, everything = flight.settle, flight.settle.bulk, [*flight.ended, *flight.rendering]
        if bulk is None or bulk.ready is None or self.sweeps == 0 or self._has_failures:
            return partial(sweep, self.client, settle, everything)
        ripe = flight.ripe(now)
        if settle.list is not None:
            wanted = [*flight.ended, *ripe]
            per_page = settle.list.pages.most if settle.list.pages else bulk.most
            if flight.pages(wanted, per_page=per_page) <= math.ceil(len(ripe) / bulk.most):
                return partial(sweep, self.client, settle, wanted, also=everything)
        if flight.wants_links(now, slots_wanted=self.slots_wanted):
            flight.asked_at = now
            return partial(sweep, self.client, settle, list(flight.ended), also=everything)
        return partial(glance, self.client, settle, ripe)

    def take(self, returned: Returned) -> list[News]:
        """What a look has brought so far."""
        now = self.clock()
        if not returned.is_last:
            operation, part = returned.value
            self._seen_so_far.add(part)
            return self._seen(self._flights[operation], part, now)
        self._under_way = False
        if returned.error is not None:
            raise returned.error
        for operation in returned.about:
            self._flights[operation].looked_at = self._begun_at
        seen, self._seen_so_far = self._seen_so_far, Sweep()
        self._looked(seen, now)
        return []

    def _seen(self, flight: Flight, part: Sweep, now: float) -> list[News]:
        news = []
        for remote_id, (outcome, source) in part.outcomes.items():
            flying = flight.find(remote_id)
            if flying is None:
                continue
            news.append(self._news(flying, outcome, source, now, noticed_at=flight.noticed(flying, now)))
            if outcome.ended:
                if flight.end(remote_id, at=now):
                    self.watch.succeeded()
            elif news[-1].state is State.IN_PROGRESS:
                if not outcome.missing:
                    flight.unfinished.add(remote_id)
            else:
                is_new = flight.remove(remote_id, at=now)
                self._finished(flying, news[-1], is_new=is_new)
                if is_new and news[-1].took_s is not None:
                    flight.took(news[-1].took_s)
        return news

    def _looked(self, seen: Sweep, now: float) -> None:
        """A look has come to its end: when is the next one?"""
        self.sweeps += 1
        self._last_requests = seen.requests
        self._has_failures = seen.has_failures
        if seen.error is not None:
            if any(outcome.ended or outcome.state is not State.IN_PROGRESS for outcome, _ in seen.outcomes.values()):
                self._failures = 0
            self._trouble(seen.error, now)
        else:
            self._failures = 0
            self._plan_next()

    def _finished(self, flying: InFlight, news: News, *, is_new: bool) -> None:
        """`is_new`: nobody had noticed its end before."""
        if news.state is State.FAILED:
            self.watch.failed(news.error_code, news.error)
            self.stop = self.stop or self.watch.reason
            return
        self.watch.succeeded(is_new=is_new)
        self.made_rows.add(flying.key.row_id)

    def _trouble(self, error: ApiError, now: float) -> None:
        """A look has failed; the next one comes ever later while they bring nothing."""
        self._failures += 1
        wait = min(300.0, RETRY_S * 2 ** (self._failures - 1))
        if isinstance(error, StopEverything):
            self.stop = self.stop or f"{error.message}: {self.bound.provider.errors.advice(error.code)}".rstrip(": ")
        if isinstance(error, Throttled) and error.wait_s is not None:
            self.ledger.hold_off(self.account, until=now + error.wait_s, reason=error.message)
            wait = error.wait_s
        self.due_at = now + max(wait, least_wait(self.bound.job.poll, requests=self._last_requests))
        if self._failures in (3, 10):
            self.tell(f"cannot look at what is in flight: {error.message}; trying again")

    def _plan_next(self) -> None:
        """The next look is as soon as the most urgent operation wants one."""
        now = self.clock()
        waits = [
            next_look(
                self.bound.job.poll,
                times=flight.times,
                usual_s=flight.settle.usual_s,
                ages_s=flight.ages(now),
                last_requests=self._last_requests,
                begun_s=now - self._begun_at,
                quiet_s=now - flight.moved_at,
                slots_wanted=self.slots_wanted,
            )
            for flight in self._flights.values()
            if flight
        ]
        self.due_at = now + min(waits) if waits else None

    def _news(
        self, flying: InFlight, outcome: Outcome, source: Source, now: float, *, noticed_at: float | None
    ) -> News:
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
        completed_at, took_s = when(flying, outcome, noticed_at=noticed_at, now=now)
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
            completed_at=None if state is State.IN_PROGRESS else completed_at,
            took_s=took_s if state is State.DONE else None,
        )


def when(flying: InFlight, outcome: Outcome, *, noticed_at: float | None, now: float) -> tuple[float, float | None]:
    """
    When the work came to its end, and how many seconds it took: as the API says, or by our own looks.

    What was collected long after a run had died, and nobody has noticed the end of, says nothing about renders.
    """
    latest = now if noticed_at is None else noticed_at
    told = outcome.completed_at
    if told is not None and flying.accepted_at <= told <= latest:
        return told, told - flying.accepted_at
    took_s = None if noticed_at is None else noticed_at - flying.accepted_at
    return told if told is not None and told <= latest else latest, took_s


def look_at_all(looks: Mapping[str, Look]) -> Iterator[tuple[str, Sweep]]:
    """Look at the work of several operations, one after the other, part by part; carried out by a sender."""
    for operation, look in looks.items():
        for part in look():
            yield operation, part
