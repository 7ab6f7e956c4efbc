"""The accepted batches of a run whose items have no ids yet: when to look into each."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct, field

from batcher.model import Attempt

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 30.0
"""A batch whose items wait for their turn is looked into ever more seldom, up to this."""


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
