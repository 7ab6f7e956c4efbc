"""Steps of a row in their order: a later one is made ready when the earlier ones are done."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from batcher.bound import BoundJob
from batcher.expiry import is_renewable, iso, link_expiry, renew_at
from batcher.ledger.protocol import Ledger
from batcher.ledger.values import Blocked, Planned, Standing
from batcher.mapping.request import to_json
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
    released = [
        task for each in blocked if (task := _released(bound, each, by_row.get(each.key.row_id, []), order, at=at))
    ]
    if released:
        ledger.unblock(released, at=at)
    return len(released)


def _released(
    bound: BoundJob, blocked: Blocked, standings: list[Standing], order: Mapping[str, int], *, at: float
) -> Planned | None:
    """The task as it can be sent; None while an earlier step of its row is not done, or its link is being renewed."""
    own = order[blocked.key.step]
    earlier = [each for each in standings if order.get(each.key.step, own) < own]
    if any(each.state is not State.DONE for each in earlier):
        return None
    for each in earlier:
        operation, moment = bound.operation(each.key.step), renew_at(bound.operation(each.key.step), each)
        if moment is None or at < moment or not _uses_link(bound, blocked.key.step, each.key.step):
            continue
        if is_renewable(operation, each):
            return None
        expiry = link_expiry(operation, each)
        if expiry is not None and expiry <= at:
            return _expired(bound, blocked, each, expiry)
    outputs = {each.key.step: {**_ids(bound, each), **each.outputs} for each in earlier}
    return bound.release(blocked, outputs, attempts={each.key.step: each.attempts for each in earlier})


def _uses_link(bound: BoundJob, step: str, earlier: str) -> bool:
    """Whether a step sends a link that an earlier one has made."""
    request = to_json(bound.steps[step].step.request)
    return any(f"{earlier}.{name}" in request for name in bound.operation(earlier).link_columns)


def _expired(bound: BoundJob, blocked: Blocked, earlier: Standing, expiry: float) -> Planned:
    """A task that could only send a dead link: it would fail there, and perhaps be charged."""
    message = (
        f"the link that {earlier.key.step} has made stopped working on {iso(expiry)} and cannot be asked for again; "
        f"make that anew with: batcher retry --rows {blocked.row_number}"
    )
    place = f"{bound.sheet.tab or bound.sheet.name} row {blocked.row_number}"
    return Planned(
        key=blocked.key,
        row_number=blocked.row_number,
        operation=bound.operation(blocked.key.step).name,
        input_hash=blocked.input_hash,
        flaws=((place, message),),
    )


def _ids(bound: BoundJob, standing: Standing) -> dict[str, str]:
    """The id of the work, under the names of outputs that are ids and that the outcome itself did not tell."""
    names = bound.operation(standing.key.step).output_names
    return {name: standing.remote_id for name in names if name.endswith("_id") and standing.remote_id}
