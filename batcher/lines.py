"""What the results say of one row: its word, its links, its reasons."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from batcher.bound import BoundJob
from batcher.expiry import iso
from batcher.layout import ERROR, STATUS, OutputColumn
from batcher.ledger.values import FileRecord, Standing
from batcher.lineage import hindrance, outdated
from batcher.marks import Identified, Mark, shown_day
from batcher.model import FINAL, HELD, RANK, UNSENT, FileState, Row, State, TaskKey
from batcher.sheet import clean, normalise
from batcher.sheet.address import column_index

SKIPPED = "skipped"
_CELL = re.compile(r"!([A-Z]{1,3})\d+\Z")
_SHOWN = {state: State.IN_PROGRESS.value if state is State.SENDING else state.value for state in State}
_PRICED = (State.IN_PROGRESS, State.DONE)
_IS = {State.FAILED: "which failed", State.INVALID: "which is invalid", State.UNSURE: "which is unsure"}
_WORDS = {SKIPPED, HELD, *(each.value for each in (*State, *Mark))}
"""All that may stand in a status cell, but for `held until …`."""


def word_of(state: State) -> str:
    """The word that a person sees; *sending* is a moment of *in progress*."""
    return _SHOWN[state]


def row_word(bound: BoundJob, identified: Identified, standings: Sequence[Standing]) -> str:
    """The word of a row: the worst of its tasks'; `waiting` for a row that is new since the plan."""
    if not identified.row_id:
        return SKIPPED
    worst = _worst(standings) if standings else State.WAITING
    return HELD if worst in UNSENT and identified.is_held(bound.clock()) else word_of(worst)


def tasks_asked_again(bound: BoundJob, identified: Identified, standings: Sequence[Standing]) -> list[TaskKey]:
    """
    The tasks that the word `again` beside a row asks for: those that failed, or all of them where none did.

    The word counts once. What stands beside it in our other columns must be the row as it is now: once the word was
    obeyed there is a further attempt, so that neither the same cell after a crash nor an old copy of the file asks again.

    Args:
        standings: Of all tasks of the row.
    """
    shown = bound.marks.stamp(identified.row) if identified.mark is Mark.AGAIN else None
    if shown is None or not standings or [*map(_digits, shown)] != [*map(_digits, _stamp(_ordered(bound, standings)))]:
        return []
    failed = [each.key for each in standings if each.state is State.FAILED]
    is_over = all(each.state in FINAL for each in standings)
    return failed or ([each.key for each in standings] if is_over else [])


def is_misread(bound: BoundJob, row: Row) -> bool:
    """Whether the status cell holds neither a word of ours nor one that means anything: a slip of a person's, most likely."""
    word = bound.marks.word(row)
    return bool(word) and word not in _WORDS and not word.startswith(f"{HELD} until ")


def _digits(text: str) -> str:
    """What is left of a number or an instant when a spreadsheet has written it in its own way."""
    return "".join(filter(str.isdigit, text.removesuffix(".0")))


def _stamp(tasks: Sequence[Standing]) -> tuple[str, str, str]:
    """The cells of `STAMP`: attempts ever made, when the first was sent, when the last was finished."""
    if len(tasks) == 1:
        return str(tasks[0].attempts), iso(tasks[0].submitted_at), iso(tasks[0].completed_at)
    sent = [each.submitted_at for each in tasks if each.submitted_at is not None]
    return str(sum([each.attempts for each in tasks])), iso(min(sent, default=None)), iso(tasks[-1].completed_at)


def _ordered(bound: BoundJob, standings: Sequence[Standing]) -> list[Standing]:
    """The tasks of a row in the order of their steps, those of steps that the job no longer has left out."""
    if len(standings) == 1:
        return [*standings]
    order = {name: place for place, name in enumerate(bound.steps)}
    known = [each for each in standings if each.key.step in order]
    return sorted(known or standings, key=lambda each: order.get(each.key.step, 0))


def _status(bound: BoundJob, identified: Identified, tasks: Sequence[Standing], all_tasks: Sequence[Standing]) -> str:
    """
    What stands in the status cell: the word of these tasks, or the person's own word while it still has to count.

    In the sheet's own workbook the cell is read again: `held` goes on holding, and `held until` asks nothing.
    """
    worst = _worst(tasks) if tasks else State.WAITING
    if identified.mark is Mark.HOLD and worst in UNSENT:
        return HELD
    if identified.mark is Mark.HOLD and any(each.state in UNSENT for each in tasks):
        return Mark.HOLD.value
    if worst in UNSENT and identified.not_before > bound.clock():
        return f"{HELD} until {shown_day(identified.not_before)}"
    if worst is State.WAITING and identified.mark is Mark.SAMPLE:
        return Mark.SAMPLE.value
    return Mark.AGAIN.value if tasks_asked_again(bound, identified, all_tasks) else word_of(worst)


def row_lines(
    bound: BoundJob, identified: Identified, standings: Sequence[Standing], ends: Mapping[int, float]
) -> list[list[str]]:
    """
    The lines of a row: one, or in a long layout one for each member of the fan-out.

    Args:
        standings: Of all its tasks, in any order.
        ends: By attempt, when its links stop working, unix seconds; those of which that is not known are not in it.
    """
    cells = [identified.row.cells[index] for index in bound.layout.kept]
    if not standings:
        word = "" if identified.is_blank else _word_without_tasks(bound, identified)
        before = ["", word] if bound.layout.item else [word]
        return [[*cells, *before, *[""] * (len(bound.layout.header) - len(cells) - len(before))]]
    ordered = _ordered(bound, standings)
    fanned = [] if bound.layout.is_wide else [each for each in ordered if each.key.step == bound.layout.fanned]
    if not fanned:
        status = _status(bound, identified, ordered, standings)
        return [[*cells, *_line(bound, ordered, ends, item="", status=status, paid=ordered)]]
    rest = [each for each in ordered if each.key.step != bound.layout.fanned]
    lines = []
    for place, one in enumerate(fanned):
        tasks = _ordered(bound, [*rest, one])
        status = _status(bound, identified, tasks, standings)
        paid = tasks if place == 0 else [one]  # what all lines share is paid once, and counted once
        lines.append([*cells, *_line(bound, tasks, ends, item=one.key.item, status=status, paid=paid)])
    return lines


def why_invalid(bound: BoundJob, standing: Standing) -> str:
    """Why a task is invalid, in words that need no cell beside them: each reason names its column."""
    said = []
    for place, message in standing.flaws:
        cell = _CELL.search(place)
        column = column_index(cell[1]) if cell else len(bound.sheet.header)
        name = normalise(bound.sheet.header[column]) if column < len(bound.sheet.header) else ""
        said.append(message if not name or message.startswith(name) else f"{name}: {message}")
    return "; ".join(said)


def _word_without_tasks(bound: BoundJob, identified: Identified) -> str:
    return _status(bound, identified, (), ()) if identified.row_id else SKIPPED


def _line(
    bound: BoundJob,
    tasks: Sequence[Standing],
    ends: Mapping[int, float],
    *,
    item: str,
    status: str,
    paid: Sequence[Standing],
) -> list[str]:
    """
    Our columns of one line, in the order of the layout.

    Args:
        ends: As for `row_lines`.
        paid: Those of the tasks whose cost is told here.
    """
    by_task = {(each.key.step, each.key.item if bound.layout.is_wide else ""): each for each in tasks}
    reason = _telling(bound, tasks)
    attempts, submitted_at, completed_at = _stamp(tasks)
    known = [ends[each.attempt_id] for each in tasks if each.attempt_id in ends]
    error = advice = ""
    if len(tasks) > 1 or not _is_well(bound, reason):
        error = _error(bound, reason, tasks)
        advice = "; ".join(filter(None, [_advice(bound, reason), *_notes(bound, tasks)]))
    told = [_output(bound, by_task.get((each.step, each.item)), each, tasks) for each in bound.layout.outputs]
    told += [reason.error_code, error, advice]
    return [
        *([item] if bound.layout.item else []),
        status,
        *(told if "".join(told).isprintable() else map(clean, told)),
        attempts,
        _amount(_sum([_cost(each) for each in paid])),
        submitted_at,
        completed_at,
        iso(min(known, default=None)),
    ]


def _is_well(bound: BoundJob, standing: Standing) -> bool:
    """Whether nothing can be said of a task but what it has brought: that is so of most by far."""
    is_plain = not (standing.error or standing.flag or standing.advice or standing.changed or standing.made_from)
    return standing.state is State.DONE and is_plain and not bound.downloads


def _telling(bound: BoundJob, tasks: Sequence[Standing]) -> Standing:
    """The task whose reasons a line gives: one of the worst, among these one that lacks a file."""
    if len(tasks) == 1:
        return tasks[0]
    worst = _worst(tasks)
    reason = next((each for each in tasks if each.state is worst), tasks[-1])
    return next((each for each in tasks if each.state is worst and _lacking(bound, each)), reason)


def _worst(standings: Sequence[Standing]) -> State:
    if len(standings) == 1:
        return standings[0].state
    return min((each.state for each in standings), key=RANK.__getitem__)


def _output(bound: BoundJob, standing: Standing | None, column: OutputColumn, tasks: Sequence[Standing]) -> str:
    if standing is None:
        return ""
    output = column.output
    if output == STATUS:
        return word_of(standing.state)
    if output == ERROR:
        return _error(bound, standing, tasks)
    if (text := standing.outputs.get(output)) is not None:
        return text
    if output.endswith("_file"):
        file = _file(standing, f"{output.removesuffix('_file')}_url")
        return file.path if file and file.state is FileState.HERE else ""
    return standing.remote_id if output.endswith("_id") else ""


def _file(standing: Standing, output: str) -> FileRecord | None:
    """What has become of a task's file; an older attempt's says nothing about this one's."""
    found = standing.files.get(output)
    return found if found and found.attempt_id == standing.attempt_id else None


def _lacking(bound: BoundJob, standing: Standing) -> list[FileRecord]:
    """The files of a task that could not be fetched."""
    if not bound.downloads:
        return []
    places = [place for place in bound.downloads if place.step == standing.key.step]
    known = [_file(standing, place.output) for place in places] if standing.state is State.DONE else []
    return [file for file in known if file is not None and file.state is not FileState.HERE]


def _error(bound: BoundJob, standing: Standing, tasks: Sequence[Standing]) -> str:
    said = [_made_error(bound, standing), _waiting_for(bound, standing, tasks)]
    said += [f"{file.output.removesuffix('_url')} not fetched: {file.reason}" for file in _lacking(bound, standing)]
    return "; ".join(filter(None, said))


def _made_error(bound: BoundJob, standing: Standing) -> str:
    if standing.state is State.INVALID:
        return "; ".join(f"{place.rsplit('!', 1)[-1]}: {message}" for place, message in standing.flaws)
    overdue = _is_overdue(bound, standing) and f"overdue: sent {iso(standing.submitted_at)}, still '{standing.word}'"
    said = "; ".join(each for each in (standing.error, overdue, standing.flag) if each)
    step = f"{standing.key.step}: " if standing.key.step and said else ""
    return f"{step}{said}" if len(bound.steps) > 1 else said


def _is_overdue(bound: BoundJob, standing: Standing) -> bool:
    """Whether work had come to no end long after it should have, when the API was last asked: not by the clock of now."""
    if standing.state is not State.IN_PROGRESS or standing.links_at is None or standing.submitted_at is None:
        return False
    step = bound.steps.get(standing.key.step)
    settle = step.operation.settle if step else None
    return settle is not None and standing.links_at - standing.submitted_at > settle.overdue_h * 3600


def _waiting_for(bound: BoundJob, standing: Standing, tasks: Sequence[Standing]) -> str:
    """Which step holds a task up, and why; for the one that does so, which later ones wait."""
    if standing.state is State.WAITING:
        other = hindrance(bound.sources, standing, tasks)
        if other is None:
            return ""
        reason = _made_error(bound, other).removeprefix(f"{other.key.step}: ")
        return f"waits for step {other.key.step}, {_IS[other.state]}" + (f": {reason}" if reason else "")
    waiting = [each for each in tasks if each.state is State.WAITING]
    held_up = dict.fromkeys(each.key.step for each in waiting if hindrance(bound.sources, each, tasks) is standing)
    return f"waiting for it: {', '.join(held_up)}" if held_up else ""


def _advice(bound: BoundJob, standing: Standing) -> str:
    """What to do, for whoever reads the line: in the sheet itself that is the person who fills it in."""
    if bound.job.is_in_place:
        return sheet_advice(bound, standing)
    advice = standing.advice
    if standing.state is State.INVALID:
        advice = "correct the cell, then run again"
    if _is_overdue(bound, standing):
        advice = "every run looks again and collects it however late; the provider's support may know more"
    if standing.state is State.UNSURE:
        advice = f"decide with: batcher settle {_job_name(bound)}"
    if _lacking(bound, standing) and not advice:
        advice = f"the row is done; for its file: batcher download {_job_name(bound)}"
    return advice


def sheet_advice(bound: BoundJob, standing: Standing) -> str:
    """What to do, for the person who fills in the sheet and knows nothing else; empty when there is nothing to do."""
    if standing.state is State.INVALID:
        return "correct the cell and save"
    if standing.state is State.UNSURE:
        return f"ask the person who looks after this; do not write {Mark.AGAIN.value}"
    if _lacking(bound, standing):
        return standing.advice or "the video is made; ask the person who looks after this for its file"
    if standing.state is not State.FAILED:
        return standing.advice
    if standing.error_code == "lost":
        return f"ask the person who looks after this before you write {Mark.AGAIN.value}: it may have been charged"
    how = f'write "{Mark.AGAIN.value}" in {bound.job.results.prefix}{STATUS} and save'
    if not bound.job.is_in_place:
        return standing.advice or "mend the cause, then ask for the row again"
    return f"{standing.advice} ({how})" if standing.advice else f"mend the cause, then {how}"


def _notes(bound: BoundJob, tasks: Sequence[Standing]) -> list[str]:
    """How what was made differs from what the row would be made from now."""
    notes = ["the row has changed since this was made"] if any(each.changed for each in tasks) else []
    older = {key.step: step for key, step in outdated(bound.sources, tasks).items()}
    return notes + [f"{step} was made from an earlier version of step {source}" for step, source in older.items()]


def _job_name(bound: BoundJob) -> str:
    return bound.job.path.name if bound.job.path else bound.job.name


def _cost(standing: Standing) -> float | None:
    """What a task has cost with all its attempts; what is expected for one that is in work or told no cost."""
    now = standing.estimate if standing.cost is None and standing.state in _PRICED else standing.cost
    return now if not standing.paid_before else standing.paid_before + (now or 0.0)


def _sum(amounts: Iterable[float | None]) -> float | None:
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if known else None


@lru_cache(maxsize=1024)
def _amount(value: float | None) -> str:
    """As it stands in a cell; most rows of a sheet have cost one of a few amounts."""
    return "" if value is None else f"{value:.4f}".rstrip("0").rstrip(".")
