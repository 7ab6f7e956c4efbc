"""Rows under different ids that ask for exactly the same: each would be made, and paid for."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct, field

from batcher.errors import Problem
from batcher.ledger.values import Planned
from batcher.sheet import Sheet

REMEMBERED = 100_000
"""So many rows are remembered; what comes after them is compared with these."""


class Twins(Struct, kw_only=True):
    """Remembers what rows have asked for."""

    _seen: dict[int, int] = field(default_factory=dict)

    def doubt(self, sheet: Sheet, tasks: Sequence[Planned]) -> Problem | None:
        """Take in the tasks of a row; returns what is doubtful about it when an earlier one has asked for the same."""
        parts: list[str] = []
        for task in tasks:
            if task.flaws:
                return None
            parts += (task.key.step, task.key.item, task.input_hash)
        if not parts:
            return None
        asked = hash(tuple(parts))
        number = tasks[0].row_number
        if asked not in self._seen and len(self._seen) >= REMEMBERED:
            return None
        earlier = self._seen.setdefault(asked, number)
        if earlier == number:
            return None
        where = f"{sheet.tab or sheet.name} row {number}"
        return Problem(
            where=where, message=f"asks for exactly the same as row {earlier}: made, and paid for, once more"
        )
