"""Ids of work that stand in our columns of the sheet: what they say was made, whoever has made it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from batcher.bound import BoundJob
from batcher.errors import InputError, Problem
from batcher.ledger.values import Known, Planned
from batcher.model import Row, State, TaskKey

Carriers = Mapping[tuple[str, str], int]
"""Step and item to the column of the sheet that shows the id of their work."""


def carriers(bound: BoundJob) -> Carriers:
    """The columns in which an earlier run of ours has written ids; none in a rehearsal, where they are of no account."""
    layout = bound.layout
    found: dict[tuple[str, str], int] = {}
    for column in layout.outputs if bound.trusts_ids and not layout.item else ():
        if bound.operation(column.step).id_column == column.output and column.name in layout.own:
            found[column.step, column.item] = layout.own[column.name]
    return found


def unmade_ids(columns: Carriers, row: Row, tasks: Sequence[tuple[Planned, Known | None]]) -> dict[TaskKey, str]:
    """The ids that a row shows for those of its tasks that were not sent from here, or are to be sent once more."""
    found: dict[TaskKey, str] = {}
    for task, known in tasks:
        column = columns.get((task.key.step, task.key.item))
        remote_id = row.cells[column].strip() if column is not None else ""
        if remote_id and (known is None or known.state in (State.WAITING, State.INVALID)):
            found[task.key] = remote_id
    return found


def refuse_carried(bound: BoundJob, rows: Sequence[int], count: int) -> None:
    """
    Work that another machine has made, or a ledger that is gone, must not be paid again.

    Args:
        rows: The numbers of the first rows that show ids which the ledger does not know.
        count: How many there are.

    Raises:
        InputError: There are any.
    """
    if not count:
        return
    numbers = f"{', '.join(map(str, rows))}{' …' if count > len(rows) else ''}"
    name = bound.job.path.name if bound.job.path else bound.job.name
    message = (
        f"{count} rows show ids of work that this ledger does not know (rows {numbers}): made on another machine, or before "
        f"this ledger; made anew they would be paid again. Take the work over, at no cost: batcher adopt {name}; or empty "
        f"those cells to have it made anew; or, if it belongs to another job, set results.prefix"
    )
    raise InputError(Problem(where=bound.sheet.name, message=message))
