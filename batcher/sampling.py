"""A few rows first: which they are, and what they tell about the rest."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from statistics import fmean

from msgspec import Struct
from msgspec.structs import replace

from batcher.api.client import AccountInfo
from batcher.bound import BoundJob
from batcher.errors import ApiError
from batcher.ledger.values import Sample, Standing
from batcher.limits import limits_of
from batcher.lines import word_of
from batcher.listening import Listener
from batcher.model import RANK, Length, State, TaskKey
from batcher.open_job import OpenJob
from batcher.planner import look
from batcher.results import Tally

MOST = 100
"""More rows are no sample."""

_OPEN = (State.SENDING, State.IN_PROGRESS)


class Chosen(Struct, frozen=True, kw_only=True):
    """
    The sample rows of a run.

    Attributes:
        row_ids: All of them, also those that an earlier run has made.
        row_numbers: As a spreadsheet shows them, in the order of the sheet.
        is_made: Nothing of them is left to do.
        to_come: How many of their tasks wait, later steps among them.
        cost: What these are expected to cost; None where no price is known.
        made_before: The ids of those of which something was done before this run.
    """

    row_ids: tuple[str, ...]
    row_numbers: Sequence[int]
    is_made: bool
    to_come: int
    cost: float | None
    made_before: frozenset[str]


def choose_sample(at_hand: OpenJob, count: int, *, again: Collection[TaskKey]) -> Chosen:
    """
    The rows to make first, written down before any of them is sent: asked again, they are the same.

    Those that a person has marked come first, then the longest, the shortest and the oddest. The job must have been
    planned, and be held.

    Args:
        again: The finished tasks that are about to be made again.

    Raises:
        InputError: The sheet cannot be read any more.
    """
    ledger, name = at_hand.ledger, at_hand.job.name
    kept = ledger.sample(name)
    here = {each.key.row_id for each in ledger.standings(name, kept.row_ids)}
    row_ids = [row_id for row_id in kept.row_ids if row_id in here]
    if len(row_ids) < count:
        bound = at_hand.bind(checked=True)
        listener = Listener(bound=bound)
        plan = look(bound, ledger, listener=listener)
        row_ids += listener.risky(count - len(row_ids), among=plan.samples, without=row_ids)
    if tuple(row_ids) != kept.row_ids:
        ledger.keep_sample(name, replace(kept, row_ids=tuple(row_ids)))
    standings = ledger.standings(name, row_ids)
    waiting = [each for each in standings if each.state is State.WAITING or each.key in again]
    done = [each for each in standings if each.state is State.DONE and each.key not in again]
    costs = [each.estimate for each in waiting if each.estimate is not None]
    return Chosen(
        row_ids=tuple(row_ids),
        row_numbers=sorted({each.row_number for each in standings}),
        is_made=not waiting and not any(each.state in _OPEN for each in standings),
        to_come=len(waiting),
        cost=sum(costs) if costs else None,
        made_before=frozenset(each.key.row_id for each in done),
    )


def sample_tally(at_hand: OpenJob, chosen: Chosen) -> Tally:
    """The sample rows by their words."""
    worst: dict[str, State] = {}
    for each in at_hand.ledger.standings(at_hand.job.name, chosen.row_ids):
        before = worst.get(each.key.row_id, each.state)
        worst[each.key.row_id] = min(before, each.state, key=RANK.__getitem__)
    return Tally(rows=len(worst), words=Counter(word_of(state) for state in worst.values()))


def measure_sample(at_hand: OpenJob, chosen: Chosen, *, before: AccountInfo) -> Sample:
    """
    What the sample rows have shown, kept for every later plan of the job.

    Args:
        before: The account before anything was sent; the balance is asked for once more.
    """
    done = [each for each in at_hand.ledger.standings(at_hand.job.name, chosen.row_ids) if each.state is State.DONE]
    fresh = [each for each in done if each.key.row_id not in chosen.made_before]
    kept = at_hand.ledger.sample(at_hand.job.name)
    found = replace(kept, lengths=_lengths(at_hand.bound, done) or kept.lengths)
    if fresh:
        charged = _charged(at_hand, before)
        found = replace(found, priced=sum(each.cost or 0.0 for each in fresh), charged=charged)
    if found != kept:
        at_hand.ledger.keep_sample(at_hand.job.name, found)
    return found


def _charged(at_hand: OpenJob, before: AccountInfo) -> float | None:
    """By how much the balance has fallen; None where it cannot be told, or has been filled up meanwhile."""
    try:
        after = at_hand.online().account_info()
    except ApiError:
        return None
    if before.balance is None or after.balance is None or before.unit != after.unit:
        return None
    fallen = before.balance - after.balance
    return fallen if fallen >= 0 and after.unit == at_hand.bound.currency else None


def _lengths(bound: BoundJob, done: Sequence[Standing]) -> Mapping[str, Length]:
    """How long the work came out, by step; steps without a length are left out."""
    characters = _characters(bound, {each.key.row_id for each in done})
    found: dict[str, Length] = {}
    for step in bound.steps:
        pairs = [
            (seconds, characters.get((each.key.row_id, step), 0))
            for each in done
            if each.key.step == step and (seconds := _seconds(each)) is not None
        ]
        if pairs:
            counted = [count for _, count in pairs]
            mean = fmean(counted) if all(counted) else 0.0
            found[step] = Length(rows=len(pairs), seconds=fmean(seconds for seconds, _ in pairs), characters=mean)
    return found


def _characters(bound: BoundJob, row_ids: set[str]) -> dict[tuple[str, str], int]:
    """How long the texts of rows are from which a length is guessed, by row and step."""
    return {
        (task.key.row_id, task.key.step): bound.steps[task.key.step].price.characters(json.loads(task.body))
        for identified in bound.rows()
        if identified.row_id in row_ids
        for task in bound.tasks(identified)
        if task.body
    }


def _seconds(standing: Standing) -> float | None:
    try:
        seconds = float(standing.outputs.get("duration_s", ""))
    except ValueError:
        return None
    return seconds if 0 < seconds < math.inf else None


def usual_time(at_hand: OpenJob, tasks: int) -> float | None:
    """How long so many tasks will take, in seconds: by what the account has shown, else by the catalogue's guess."""
    bound = at_hand.bound
    limits = limits_of(bound.job, bound.provider)
    each: list[float] = []
    for step in bound.steps.values():
        if step.operation.settle:
            seen = at_hand.ledger.render_times(at_hand.account_name, step.operation.name)
            each.append(fmean(seen) if seen else step.operation.settle.usual_s)
    if not each or not limits.in_flight:
        return None
    return max(sum(each), tasks / limits.in_flight * max(each))
