"""Steps of a row in their order: a later one is made ready when the earlier ones are done."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from batcher.bound import BoundJob
from batcher.ledger.protocol import Blocked, Ledger, Planned, Standing
from batcher.model import State


def release(bound: BoundJob, ledger: Ledger, row_ids: Collection[str] | None, *, at: float) -> int:
    """
    Make ready what no longer has to wait.

    Args:
        row_ids: The rows in which a step has been finished; all rows when None.
        at: Unix seconds.

    Returns:
        How many tasks are ready now; one that cannot be sent with what was made before becomes invalid.
    """
    if len(bound.steps) < 2:
        return 0
    blocked = ledger.blocked(bound.job.name, row_ids)
    if not blocked:
        return 0
    by_row: dict[str, list[Standing]] = {}
    for standing in ledger.standings(bound.job.name, {each.key.row_id for each in blocked}):
        by_row.setdefault(standing.key.row_id, []).append(standing)
    order = {name: place for place, name in enumerate(bound.steps)}
    released = [task for each in blocked if (task := _released(bound, each, by_row.get(each.key.row_id, []), order))]
    if released:
        ledger.unblock(released, at=at)
    return len(released)


def _released(bound: BoundJob, blocked: Blocked, standings: list[Standing], order: Mapping[str, int]) -> Planned | None:
    """The task as it can be sent; None while an earlier step of its row is not done."""
    own = order[blocked.key.step]
    earlier = [each for each in standings if order.get(each.key.step, own) < own]
    if any(each.state is not State.DONE for each in earlier):
        return None
    outputs = {each.key.step: {**_ids(bound, each), **each.outputs} for each in earlier}
    return bound.release(blocked, outputs)


def _ids(bound: BoundJob, standing: Standing) -> dict[str, str]:
    """The id of the work, under the names of outputs that are ids and that the outcome itself did not tell."""
    names = bound.operation(standing.key.step).output_names
    return {name: standing.remote_id for name in names if name.endswith("_id") and standing.remote_id}
