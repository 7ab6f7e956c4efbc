"""Where a task would stand before anything is sent, by its row and by what the ledger holds of it."""

from __future__ import annotations

from batcher.ledger.values import Known, Planned, Standing
from batcher.model import UNSENT, State

_WAITING, _INVALID = UNSENT  # asked of every row: looking a member up in its class takes longer than the question


def state_of(task: Planned, known: Known | None, *, is_again: bool = False) -> State:
    """
    Where it would stand.

    Args:
        known: What the ledger holds of it; None for a new one.
        is_again: It was made, and is to be made again.
    """
    if known is None or is_again or known.state in UNSENT:
        return _INVALID if task.flaws else _WAITING
    return known.state


def is_changed(task: Planned, known: Known | None) -> bool:
    """Whether a task that was made holds something else now."""
    if known is None or not known.made_hash or known.state in UNSENT:
        return False
    return known.made_hash != task.input_hash


def standing_of(task: Planned, known: Known | None, *, is_again: bool = False) -> Standing:
    """The same as the ledger tells it of tasks that it knows; arguments as for `state_of`."""
    return Standing(
        key=task.key,
        row_number=task.row_number,
        state=state_of(task, known, is_again=is_again),
        changed=not is_again and is_changed(task, known),
        attempts=known.attempts if known else 0,
        made_from=known.made_from if known else {},
    )
