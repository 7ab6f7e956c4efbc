"""Rows under different ids that ask for exactly the same: each would be made, and paid for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from batcher.ledger.values import Planned

REMEMBERED = 100_000
"""So many rows are remembered; what comes after them is compared with these."""


@dataclass(kw_only=True, slots=True)
class Twins:
    """Remembers what rows have asked for."""

    _seen: dict[int, int] = field(default_factory=dict)

    def earlier(self, tasks: Sequence[Planned]) -> int | None:
        """
        Take in the tasks of a row; none of one that is invalid.

        Returns:
            The number of the first row that asks for the same; None when there is none.
        """
        if not tasks or any(task.flaws for task in tasks):
            return None
        asked = hash(tuple((task.key.step, task.key.item, task.input_hash) for task in tasks))
        if asked not in self._seen and len(self._seen) >= REMEMBERED:
            return None
        number = tasks[0].row_number
        found = self._seen.setdefault(asked, number)
        return found if found != number else None
