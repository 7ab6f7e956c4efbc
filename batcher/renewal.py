"""Links that stop working are asked for again, before anybody needs them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from msgspec import Struct, field

from batcher.api.client import Client
from batcher.api.sweep import Sweep, fresh
from batcher.bound import BoundJob
from batcher.catalog.model import Settle
from batcher.expiry import is_renewable, renew_at
from batcher.ledger.protocol import Ledger
from batcher.ledger.values import News, Standing
from batcher.model import Outcome, Source, State
from batcher.senders import Returned, Senders

AT_ONCE = 2000
"""Pieces of work that one errand asks for: their list is read once, from the newest on."""

LOOK_EVERY_S = 60.0
"""How often a run looks whether a link is about to stop working."""


class Renewal(Struct, kw_only=True):
    """
    Renews the links of one run.

    Attributes:
        changed_rows: Rows whose links were renewed, or whose later steps wait for that, since somebody last asked.
        count: How many tasks have new links.
    """

    bound: BoundJob
    client: Client
    ledger: Ledger
    senders: Senders
    clock: Callable[[], float]
    changed_rows: set[str] = field(default_factory=set)
    count: int = 0
    _waiting: list[list[Standing]] = field(default_factory=list)
    _asked: set[tuple[int, float | None]] = field(default_factory=set)
    _look_at: float = 0.0
    _is_under_way: bool = False

    @property
    def is_busy(self) -> bool:
        """Whether links are still to come."""
        return self._is_under_way or bool(self._waiting)

    def begin(self) -> None:
        """Look at all links; later steps that would send one that is about to stop working wait for it."""
        now = self.clock()
        self._look_at = now + LOOK_EVERY_S
        record = self.ledger.job(self.bound.job.name)
        is_known = record is not None and record.written and len(self.bound.steps) < 2
        if record is not None and is_known and (record.renew_at is None or record.renew_at > now):
            return  # since then nothing but fresh links has come
        rows: set[str] = set()
        due: list[Standing] = []
        for each in dying_links(self.bound, self.ledger, now):
            if self._key(each) in self._asked:
                continue
            self._asked.add(self._key(each))
            rows.add(each.key.row_id)
            if _is_renewable(self.bound, each):
                due.append(_without_links(each))
        if len(self.bound.steps) > 1 and rows:
            self.ledger.block(self.bound.job.name, rows)
            self.changed_rows |= rows
        self._waiting += batches(self.bound, due)

    def _key(self, standing: Standing) -> tuple[int, float | None]:
        return standing.attempt_id, standing.links_at

    def step(self) -> None:
        """Ask for links when some are due."""
        if self.clock() >= self._look_at:
            self.begin()
        if self._is_under_way or not self._waiting or self.senders.free() <= 0:
            return
        some = self._waiting.pop(0)
        settle = self.bound.operation(some[0].key.step).settle
        if settle is not None:
            self._is_under_way = True
            self.senders.send(self, some, partial(ask, self.client, settle, some))

    def take(self, returned: Returned) -> list[News]:
        """What was learned; the caller records it."""
        self._is_under_way = False
        if returned.error is not None:
            raise returned.error
        news = news_of(returned.about, returned.value, at=self.clock())
        ids = {each.attempt_id for each in news}
        self.changed_rows |= {each.key.row_id for each in returned.about if each.attempt_id in ids}
        self.count += len(news)
        return news


def dying_links(bound: BoundJob, ledger: Ledger, now: float) -> Iterator[Standing]:
    """The finished tasks whose links are about to stop working."""
    has_links = any(step.operation.link_columns for step in bound.steps.values()) and ledger.rows_made(bound.job.name)
    for each in ledger.finished(bound.job.name) if has_links else ():
        step = bound.steps.get(each.key.step)
        moment = renew_at(step.operation, each) if step is not None else None
        if moment is not None and moment <= now:
            yield each


def _without_links(standing: Standing) -> Standing:
    """All that asking for new links needs; of a million rows the old ones alone would fill the memory."""
    return Standing(
        key=standing.key,
        row_number=standing.row_number,
        state=standing.state,
        remote_id=standing.remote_id,
        error_code=standing.error_code,
        error=standing.error,
        advice=standing.advice,
        completed_at=standing.completed_at,
        links_at=standing.links_at,
        attempt_id=standing.attempt_id,
    )


def _is_renewable(bound: BoundJob, standing: Standing) -> bool:
    step = bound.steps.get(standing.key.step)
    return step is not None and is_renewable(step.operation, standing)


def batches(bound: BoundJob, standings: Sequence[Standing]) -> list[list[Standing]]:
    """Tasks as they are asked for together: of one operation, newest first, since that is the order of lists."""
    newest = sorted(standings, key=lambda each: -(each.completed_at or 0))
    found = []
    for step in bound.steps:
        own = [each for each in newest if each.key.step == step]
        found += [own[start : start + AT_ONCE] for start in range(0, len(own), AT_ONCE)]
    return found


def ask(client: Client, settle: Settle, standings: Sequence[Standing]) -> Sweep:
    """Ask the API for the newest answers about finished tasks; carried out by a sender."""
    return fresh(client, settle, [each.remote_id for each in standings])


def news_of(standings: Sequence[Standing], seen: Sweep, *, at: float) -> list[News]:
    """The links that a look has brought; what is seen unfinished or failed says nothing against a finished task."""
    found = []
    for each in standings:
        outcome, _ = seen.outcomes.get(each.remote_id, (None, None))
        if outcome is not None and outcome.state is State.DONE:
            found.append(renewed(each, outcome, at=at))
    return found


def renewed(standing: Standing, outcome: Outcome, *, at: float) -> News:
    """News that a finished task has new links; everything else about it stays."""
    return News(
        attempt_id=standing.attempt_id,
        state=State.DONE,
        source=Source.POLL,
        cause="links renewed",
        at=at,
        checked=True,
        outputs=outcome.outputs,
        error_code=standing.error_code,
        error=standing.error,
        advice=standing.advice,
    )


def renew_all(
    bound: BoundJob, ledger: Ledger, client: Client, *, at: float, tell: Callable[[str], None]
) -> tuple[int, int]:
    """
    Ask for the links of all finished rows again.

    Returns:
        How many tasks have new links, and how many have none.
    """
    due = [_without_links(each) for each in ledger.finished(bound.job.name) if _is_renewable(bound, each)]
    count = 0
    for some in batches(bound, due):
        settle = bound.operation(some[0].key.step).settle
        if settle is None:
            continue
        seen = ask(client, settle, some)
        count += len(ledger.record(news_of(some, seen, at=at)))
        if seen.error is not None:
            tell(f"the links could not all be renewed: {seen.error.message}")
            break
    return count, len(due) - count
