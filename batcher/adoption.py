"""Work that the sheet or the results show and the ledger does not know is taken over: looked at, written down, never made again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from msgspec import Struct, field

from batcher.api.client import Client
from batcher.api.sweep import sweep, whole
from batcher.bound import BoundJob
from batcher.carried import carriers, unmade_ids
from batcher.errors import ApiError
from batcher.ledger.protocol import Ledger
from batcher.ledger.values import News
from batcher.model import Outcome, Source, State, TaskKey

GROUP = 400
AT_ONCE = 100
"""Ids of one sweep: what a page of a list, or a bulk status, holds."""


class Adoption(Struct, kw_only=True):
    """
    What came of it.

    Attributes:
        adopted: How many pieces of work are in the ledger now.
        missing: Row numbers whose id the API does not know; they stay as they are.
        shared: Row numbers whose id stands beside several tasks, so that whose work it is cannot be told.
        error: Why the API could not be asked about the rest; None when it could.
    """

    adopted: int = 0
    missing: list[int] = field(default_factory=list)
    shared: list[int] = field(default_factory=list)
    error: ApiError | None = None


def adopt(places: Sequence[BoundJob], ledger: Ledger, client: Client, *, account: str, at: float) -> Adoption:
    """
    Take over the work whose ids stand in our columns, once the API has confirmed that it has it.

    The job must have been planned, so that there are tasks to take it over for.

    Args:
        places: The job held against its sheet, and against whatever else may show such ids.
        account: Whose work it is.
    """
    done = Adoption()
    for bound in places:
        _adopt_shown(bound, ledger, client, account=account, at=at, done=done)
    return done


def _adopt_shown(bound: BoundJob, ledger: Ledger, client: Client, *, account: str, at: float, done: Adoption) -> None:
    """Take over what stands in one place."""
    found, rows = _carried(bound, ledger, done)
    by_step: dict[str, dict[TaskKey, str]] = {}
    for key, remote_id in found.items():
        by_step.setdefault(key.step, {})[key] = remote_id
    for step, ids in by_step.items():
        _adopt_step(bound, ledger, client, ids, step=step, rows=rows, account=account, at=at, done=done)


def _carried(bound: BoundJob, ledger: Ledger, done: Adoption) -> tuple[dict[TaskKey, str], dict[TaskKey, int]]:
    """The ids that the sheet shows and no ledger entry has, each of one task, and the number of each task's row."""
    shown: dict[str, list[TaskKey]] = {}
    rows: dict[TaskKey, int] = {}
    for number, ids in _shown(bound, ledger):
        for key, remote_id in ids.items():
            shown.setdefault(remote_id, []).append(key)
            rows[key] = number
    known = ledger.known_ids(shown)
    found: dict[TaskKey, str] = {}
    for remote_id, keys in shown.items():
        if remote_id in known:
            continue
        if len(keys) > 1:
            done.shared += [rows[key] for key in keys]
        else:
            found[keys[0]] = remote_id
    return found, rows


def _shown(bound: BoundJob, ledger: Ledger) -> Iterator[tuple[int, Mapping[TaskKey, str]]]:
    rows, columns = bound.rows(), carriers(bound)
    while some := list(islice(rows, GROUP)):
        by_row = [(identified, bound.tasks(identified)) for identified in some if identified.row_id]
        known = ledger.known(bound.job.name, [identified.row_id for identified, _ in by_row])
        for identified, tasks in by_row:
            yield identified.row.number, unmade_ids(columns, identified.row, [(t, known.get(t.key)) for t in tasks])


def _adopt_step(
    bound: BoundJob,
    ledger: Ledger,
    client: Client,
    ids: Mapping[TaskKey, str],
    *,
    step: str,
    rows: Mapping[TaskKey, int],
    account: str,
    at: float,
    done: Adoption,
) -> None:
    """Look at the work of one step until every id was seen, and take over what is there."""
    settle = bound.operation(step).settle
    left = dict(ids) if settle else {}
    while settle and left and done.error is None:
        some = dict(islice(left.items(), AT_ONCE))
        seen = whole(sweep(client, settle, tuple(some.values())))
        done.error = seen.error
        outcomes = {key: seen.outcomes[each][0] for key, each in some.items() if each in seen.outcomes}
        done.missing += [rows[key] for key, outcome in outcomes.items() if outcome.missing]
        there = {key: some[key] for key, outcome in outcomes.items() if not outcome.missing}
        attempts = ledger.adopt(there, account, at=at)
        ledger.record([_news(attempt_id, outcomes[key], at) for key, attempt_id in attempts.items()])
        done.adopted += len(attempts)
        left = {key: each for key, each in left.items() if key not in outcomes}


def _news(attempt_id: int, outcome: Outcome, at: float) -> News:
    return News(
        attempt_id=attempt_id,
        state=outcome.state,
        source=Source.LIST,
        cause=outcome.word or outcome.state.value,
        at=at,
        checked=True,
        word=outcome.word,
        outputs=outcome.outputs,
        error_code=outcome.error_code,
        error=outcome.error,
        completed_at=None if outcome.state is State.IN_PROGRESS else outcome.completed_at or at,
    )
