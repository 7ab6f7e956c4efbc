"""What the results say of one row: its word, its links, its reasons."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from batcher.bound import BoundJob, Identified
from batcher.expiry import iso, link_expiry
from batcher.layout import ERROR, STATUS, OutputColumn
from batcher.ledger.protocol import FileRecord, Standing
from batcher.model import WORST_FIRST, FileState, State
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
    reason = next((each for each in tasks if each.state is worst and _lacking(bound, each)), reason)
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
    if column.output.endswith("_file") and column.output not in standing.outputs:
        file = _file(standing, f"{column.output.removesuffix('_file')}_url")
        return file.path if file and file.state is FileState.HERE else ""
    if column.output in standing.outputs:
        return standing.outputs[column.output]
    return standing.remote_id if column.output.endswith("_id") else ""


def _file(standing: Standing, output: str) -> FileRecord | None:
    """What has become of a task's file; an older attempt's says nothing about this one's."""
    found = standing.files.get(output)
    return found if found and found.attempt_id == standing.attempt_id else None


def _lacking(bound: BoundJob, standing: Standing) -> list[FileRecord]:
    """The files of a task that could not be fetched."""
    places = [place for place in bound.downloads if place.step == standing.key.step]
    known = [_file(standing, place.output) for place in places] if standing.state is State.DONE else []
    return [file for file in known if file is not None and file.state is not FileState.HERE]


def _error(bound: BoundJob, standing: Standing) -> str:
    said = [_made_error(bound, standing)]
    said += [f"{file.output.removesuffix('_url')} not fetched: {file.reason}" for file in _lacking(bound, standing)]
    return "; ".join(filter(None, said))


def _made_error(bound: BoundJob, standing: Standing) -> str:
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
        advice = f"decide with: batcher settle {_job_name(bound)}"
    if _lacking(bound, standing) and not advice:
        advice = f"the row is done; for its file: batcher download {_job_name(bound)}"
    if standing.changed:
        note = "the row has changed since this was made"
        return f"{advice}; {note}" if advice else note
    return advice


def _job_name(bound: BoundJob) -> str:
    return bound.job.path.name if bound.job.path else bound.job.name


def _cost(standing: Standing) -> float | None:
    if standing.cost is None and standing.state is State.IN_PROGRESS:
        return standing.estimate
    return standing.cost


def _sum(amounts: Iterable[float | None]) -> float | None:
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if known else None


def _amount(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}".rstrip("0").rstrip(".")
