"""The one function that moves a task, and writes down that it did."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from batcher.ledger.db import Db, change_rows, insert_rows
from batcher.model import MOVES, Source, State

_MOVE = "UPDATE tasks SET state = ? WHERE task_id IN ({ids})"
_NOTE = "INSERT INTO moves (task_id, attempt_id, at, from_state, to_state, source, cause) VALUES {rows}"


class Move(Struct, frozen=True, kw_only=True):
    """One line of the history: from the same state to the same is a note, of an anomaly or of an older attempt."""

    task_id: int
    before: State
    after: State
    attempt_id: int | None
    at: float
    source: Source
    cause: str


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
    move = Move(task_id=task_id, before=before, after=after, attempt_id=attempt_id, at=at, source=source, cause=cause)
    require_allowed(move)
    set_states(db, [move])
    note(db, [move])


def require_allowed(move: Move) -> None:
    """
    Let only those moves pass that the table holds.

    Raises:
        ValueError: It is not one of them: a bug of the caller.
    """
    if not may_move(move.before, move.after):
        raise ValueError(
            f"task {move.task_id} cannot move from {move.before.value} to {move.after.value} ({move.cause})"
        )


def set_states(db: Db, moves: Sequence[Move]) -> None:
    """Give tasks their new states; who does this also writes the moves down."""
    found: dict[State, list[int]] = {}
    for move in moves:
        found.setdefault(move.after, []).append(move.task_id)
    for state, task_ids in found.items():
        change_rows(db, _MOVE, (state.value,), task_ids)


def note(db: Db, moves: Sequence[Move]) -> None:
    """Write moves into the history, in their order."""
    rows = [
        (
            each.task_id,
            each.attempt_id,
            each.at,
            each.before._value_,  # `value` is a function in Python
            each.after._value_,
            each.source._value_,
            each.cause[:300],
        )
        for each in moves
    ]
    insert_rows(db, _NOTE, rows)
