"""The one function that moves a task, and writes down that it did."""

from __future__ import annotations

from batcher.ledger.db import Db
from batcher.model import MOVES, Source, State

_MOVE = "UPDATE tasks SET state = ? WHERE task_id = ?"
_NOTE = "INSERT INTO moves (task_id, attempt_id, at, from_state, to_state, source, cause) VALUES (?, ?, ?, ?, ?, ?, ?)"


def may_move(before: State, after: State) -> bool:
    """Whether the table of moves allows it."""
    return after in MOVES[before]


def move_task(
    db: Db,
    task_id: int,
    *,
    before: State,
    after: State,
    attempt_id: int | None,
    at: float,
    source: Source,
    cause: str,
) -> None:
    """
    Move a task and record it.

    Raises:
        ValueError: The table of moves does not allow it: a bug of the caller.
    """
    if not may_move(before, after):
        raise ValueError(f"task {task_id} cannot move from {before.value} to {after.value} ({cause})")
    db.execute(_MOVE, (after.value, task_id))
    note(db, task_id, before=before, after=after, attempt_id=attempt_id, at=at, source=source, cause=cause)


def note(
    db: Db,
    task_id: int,
    *,
    before: State,
    after: State,
    attempt_id: int | None,
    at: float,
    source: Source,
    cause: str,
) -> None:
    """Write into the history without moving: an anomaly, or news of an older attempt."""
    db.execute(_NOTE, (task_id, attempt_id, at, before.value, after.value, source.value, cause[:300]))
