"""What the results say of one row: its word, its links, its reasons."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from batcher.bound import BoundJob, Identified
from batcher.expiry import iso, link_expiry
from batcher.layout import ERROR, STATUS, OutputColumn
from batcher.ledger.protocol import Standing
from batcher.model import WORST_FIRST, State
from batcher.sheet import clean

SKIPPED = "skipped"
_RANK = {state: rank for rank, state in enumerate(WORST_FIRST)}
_SHOWN = {State.SENDING: State.IN_PROGRESS.value}


def word_of(state: State) -> str:
    """The word that a person sees; *sending* is a moment of *in progress*."""
    return _SHOWN.get(state, state.value)


def row_word(identified: Identified, standings: Sequence[Standing]) -> str:
    """The word of a row: the worst of its tasks'; `waiting` for a row that is new since the plan."""
    if not identified.row_id:
        return SKIPPED
    return word_of(_worst(standings)) if standings else State.WAITING.value


def row_lines(bound: BoundJob, identified: Identified, standings: Sequence[Standing]) -> list[list[str]]:
    """
    The lines of a row: one, or in a long layout one for each member of the fan-out.

    Args:
        standings: Of all its tasks, in any order.
    """
    cells = [identified.row.cells[index] for index in bound.layout.kept]
    if not standings:
        word = "" if identified.row.is_blank else row_word(identified, standings)
        before = ["", word] if bound.layout.item else [word]
        return [[*cells, *before, *[""] * (len(bound.layout.header) - len(cells) - len(before))]]
    order = {name: place for place, name in enumerate(bound.steps)}
    known = [each for each in standings if each.key.step in order]
    ordered = sorted(known or standings, key=lambda each: order.get(each.key.step, 0))
    fanned = [] if bound.layout.is_wide else [each for each in ordered if each.key.step == bound.layout.fanned]
    if not fanned:
        return [[*cells, *_line(bound, ordered, item="")]]
    rest = [each for each in ordered if each.key.step != bound.layout.fanned]
    lines = []
    for one in fanned:
        tasks = sorted([*rest, one], key=lambda each: order.get(each.key.step, 0))
        lines.append([*cells, *_line(bound, tasks, item=one.key.item)])
    return lines


def _line(bound: BoundJob, tasks: Sequence[Standing], *, item: str) -> list[str]:
    """Our columns of one line, in the order of the layout."""
    by_task = {(each.key.step, each.key.item if bound.layout.is_wide else ""): each for each in tasks}
    worst = _worst(tasks)
    reason = next((each for each in tasks if each.state is worst), tasks[-1])
    last = tasks[-1]
    expiries = [moment for each in tasks if (moment := link_expiry(bound.operation(each.key.step), each)) is not None]
    return [
        *([item] if bound.layout.item else []),
        word_of(worst),
        *(clean(_output(bound, by_task.get((column.step, column.item)), column)) for column in bound.layout.outputs),
        clean(reason.error_code),
        clean(_error(bound, reason)),
        clean(_advice(bound, reason)),
        str(sum(each.attempts for each in tasks)),
        _amount(_sum(_cost(each) for each in tasks)),
        iso(min((each.submitted_at for each in tasks if each.submitted_at is not None), default=None)),
        iso(last.completed_at),
        iso(min(expiries, default=None)),
    ]


def _worst(standings: Sequence[Standing]) -> State:
    return min((each.state for each in standings), key=_RANK.__getitem__)


def _output(bound: BoundJob, standing: Standing | None, column: OutputColumn) -> str:
    if standing is None:
        return ""
    if column.output == STATUS:
        return word_of(standing.state)
    if column.output == ERROR:
        return _error(bound, standing)
    if column.output in standing.outputs:
        return standing.outputs[column.output]
    return standing.remote_id if column.output.endswith("_id") else ""


def _error(bound: BoundJob, standing: Standing) -> str:
    if standing.state is State.INVALID:
        return "; ".join(f"{place.rsplit('!', 1)[-1]}: {message}" for place, message in standing.flaws)
    said = "; ".join(each for each in (standing.error, standing.flag) if each)
    step = f"{standing.key.step}: " if standing.key.step and said else ""
    return f"{step}{said}" if len(bound.steps) > 1 else said


def _advice(bound: BoundJob, standing: Standing) -> str:
    advice = standing.advice
    if standing.state is State.INVALID:
        advice = "correct the cell, then run again"
    if standing.state is State.UNSURE:
        advice = f"decide with: batcher settle {bound.job.path.name if bound.job.path else bound.job.name}"
    if standing.changed:
        note = "the row has changed since this was made"
        return f"{advice}; {note}" if advice else note
    return advice


def _cost(standing: Standing) -> float | None:
    if standing.cost is None and standing.state is State.IN_PROGRESS:
        return standing.estimate
    return standing.cost


def _sum(amounts: Iterable[float | None]) -> float | None:
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if known else None


def _amount(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}".rstrip("0").rstrip(".")
