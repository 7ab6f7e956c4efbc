"""The accepted batches of a run whose items have no ids yet: when to look into each, and when their ids are written down."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct, field
from msgspec.structs import replace

from batcher.ledger.values import News
from batcher.model import Attempt

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 30.0
"""A batch whose items wait for their turn is looked into ever more seldom, up to this."""

IDS_WAIT_S = 1.0
"""The ids of items are written down so long after they have come, or with what becomes of them before."""


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

    An item that is finished by the time its id is known is written once instead of twice, and a long job commits less
    often. A run that dies meanwhile loses none of them: the ledger holds the batch, which shows them again.
    """

    _news: dict[int, News] = field(default_factory=dict)

    def put(self, news: News) -> None:
        """Keep the news that an item has an id."""
        self._news[news.attempt_id] = news

    def with_ids(self, news: Iterable[News]) -> list[News]:
        """News as they are to be written down: what becomes of an item together with its id."""
        return [
            each
            if (accepted := self._news.pop(each.attempt_id, None)) is None
            else replace(each, remote_id=accepted.remote_id, accepted_at=accepted.at)
            for each in news
        ]

    def take_due(self, now: float) -> list[News]:
        """All of them, once the first has waited long enough, or the clock was put back; otherwise none."""
        first = next(iter(self._news.values()), None)
        return [] if first is None or first.at <= now < first.at + IDS_WAIT_S else self.take()

    def take(self) -> list[News]:
        """All of them."""
        taken, self._news = list(self._news.values()), {}
        return taken
