"""The accepted batches of a run whose items have no ids yet: when to look into each, and when their ids are written down."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct, field
from msgspec.structs import replace

from batcher.ledger.values import News
from batcher.model import FINAL, Attempt

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 30.0
"""A batch whose items wait for their turn is looked into ever more seldom, up to this."""

IDS_WAIT_S = 1.0
"""The ids of items wait at most so long to be written down, for what becomes of the items."""


class OpenBatch(Struct, frozen=True, kw_only=True):
    """
    An accepted batch.

    Attributes:
        attempts: Those that have no id yet, in its order; never empty.
        at: When to look into it, unix seconds.
        looks: How often this run has looked into it.
    """

    attempts: tuple[Attempt, ...]
    at: float
    looks: int = 0

    @property
    def batch_id(self) -> str:
        """The API's id of it."""
        return self.attempts[0].batch_id


class OpenBatches(Struct, kw_only=True):
    """
    Keeps accepted batches until they are looked into.

    Attributes:
        unseen: How many this run has not looked into yet.
        owners: The id of each batch that this run knows to the submission that it belongs to.
    """

    unseen: int = 0
    owners: dict[str, int] = field(default_factory=dict)
    _open: list[OpenBatch] = field(default_factory=list)

    def put(self, attempts: Iterable[Attempt], *, at: float) -> None:
        """Take in attempts of any accepted batches."""
        together: dict[str, list[Attempt]] = {}
        for attempt in attempts:
            together.setdefault(attempt.batch_id, []).append(attempt)
        for each in together.values():
            self._open.append(OpenBatch(attempts=tuple(each), at=at))
            self.owners.setdefault(each[0].batch_id, each[0].submission_id)
            self.unseen += 1

    def put_back(self, batch: OpenBatch, left: Iterable[Attempt], *, now: float) -> None:
        """Take back, after a look, what still has no id."""
        self.unseen -= batch.looks == 0
        attempts = tuple(left)
        if attempts:
            wait = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2**batch.looks)
            self._open.append(OpenBatch(attempts=attempts, at=now + wait, looks=batch.looks + 1))

    def take_due(self, now: float, at_most: int) -> list[OpenBatch]:
        """Take out those that are due."""
        due = [each for each in self._open if each.at <= now][: max(0, at_most)]
        self._open = [each for each in self._open if each not in due]
        return due

    @property
    def due_at(self) -> float | None:
        """When the next one is due; None when there is none."""
        return min((each.at for each in self._open), default=None)


class ItemIds(Struct, kw_only=True):
    """
    Ids of batch items that are not written down yet.

    An item that is finished by the time its id is known is written once instead of twice, and its history then leaves
    out that it was in progress. A run that dies meanwhile loses no id: the ledger holds the batch, and the API shows its
    items again.

    Attributes:
        attempts: Whose ids they are.
        news: The news that brought them, by attempt, in the order in which they came.
    """

    attempts: dict[int, Attempt] = field(default_factory=dict)
    news: dict[int, News] = field(default_factory=dict)

    def put(self, attempt: Attempt, news: News) -> None:
        """Keep the news that an item has an id."""
        self.attempts[attempt.attempt_id], self.news[attempt.attempt_id] = attempt, news

    def with_ids(self, news: Iterable[News], now: float, *, is_over: bool = False) -> list[News]:
        """
        News as they are to be written down, and before them the ids that have waited long enough.

        Nothing of it counts as written before `written` is called.

        Args:
            is_over: No id waits any longer.
        """
        told, before = list[News](), dict[int, News]()
        for each in news:
            accepted = self.news.get(each.attempt_id)
            if accepted is None:
                told.append(each)
            elif each.state in FINAL:
                told.append(replace(each, remote_id=accepted.remote_id, accepted_at=accepted.at))
            else:
                before[each.attempt_id] = accepted
                told.append(replace(each, remote_id=accepted.remote_id))
        if is_over or self._are_due(now):
            finished = {each.attempt_id for each in told if each.accepted_at is not None}
            before = {attempt_id: each for attempt_id, each in self.news.items() if attempt_id not in finished}
        return [*before.values(), *told]

    def _are_due(self, now: float) -> bool:
        first = next(iter(self.news.values()), None)
        # where the clock was put back nobody knows how long they have waited
        return first is not None and not first.at <= now < first.at + IDS_WAIT_S

    def written(self, news: Iterable[News]) -> None:
        """These news stand in the ledger."""
        for each in news:
            if self.news.pop(each.attempt_id, None) is not None:
                del self.attempts[each.attempt_id]
