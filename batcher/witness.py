"""The results file as a witness: it may show work that the ledger has forgotten, and that would be paid for again."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from itertools import islice

from batcher.bound import BoundJob
from batcher.errors import InputError, Problem
from batcher.job import Job
from batcher.layout import STATUS
from batcher.ledger.protocol import Ledger
from batcher.results import open_results, results_header
from batcher.sheet import normalise
from batcher.stores import Location, look, on_disk

GROUP = 500
SHOWN = 20


def check_ours(job: Job, *, was_written: bool) -> None:
    """
    Make sure that the results do not replace a file that is not ours.

    Args:
        was_written: The ledger knows that it has written results for this job.

    Raises:
        InputError: A file of that name is there, and no run of this job has written it.
    """
    file = job.results.file
    standing = None if job.is_in_place or was_written else look(file)
    if standing is None or not standing.size:
        return
    if not shows_ours(job, file):
        message = f"'{file.name}' is there already and was not written by batcher; name another file, or move that one"
        raise InputError(job.problem(("results", "file"), message))


def shows_ours(job: Job, place: Location) -> bool:
    """Whether a file that is there has our columns."""
    return look(place) is not None and f"{job.results.prefix}{STATUS}" in results_header(place)


def forgotten(bound: BoundJob, ledger: Ledger, *, elsewhere: Callable[[Collection[str]], Collection[str]]) -> list[int]:
    """
    The lines of the results file that show an id of work which the ledger does not know, in order.

    Work has its id in the ledger before it has it in the results: a ledger that lacks one is older than they are, or
    another one. A sheet that takes its own results is no witness here, as every plan reads its ids; nor is a file that
    is gone or cannot be read.

    Args:
        elsewhere: Which of some ids the person's other ledger knows: that a job was first tried on a simulator, with
            the same results file, is no reason to stop.
    """
    if not bound.trusts_ids or bound.job.is_in_place:
        return []
    left: dict[str, list[int]] = {}
    shown = _ids(bound, bound.job.results.file)
    while some := list(islice(shown, GROUP)):
        known = ledger.known_ids({remote_id for _, remote_id in some})
        for number, remote_id in some:
            if remote_id not in known:
                left.setdefault(remote_id, []).append(number)
    unknown = left.keys() - set(_other_outputs(bound, ledger)) if left else set()
    unknown -= set(elsewhere(unknown)) if unknown else set()
    return sorted({number for remote_id in unknown for number in left[remote_id]})


def refuse_forgotten(bound: BoundJob, lines: Collection[int]) -> None:
    """
    Work that the ledger has forgotten must not be paid again, nor its ids be lost with the results.

    Raises:
        InputError: There are such lines.
    """
    if not lines:
        return
    numbers = f"{', '.join(map(str, sorted(lines)[:SHOWN]))}{' …' if len(lines) > SHOWN else ''}"
    name = bound.job.path.name if bound.job.path else bound.job.name
    file = bound.job.results.file
    message = (
        f"{len(lines)} lines show ids of work that this ledger does not know (lines {numbers}): it is older than these results, "
        "such as a backup that was put back, or another one. Nothing is sent, and the results stay as they are. Put the right "
        f"ledger back, or take the work over at no cost: batcher adopt {name}; batcher verify {name} tells what else is missing. "
        "If these results no longer count, move the file away"
    )
    raise InputError(Problem(where=file.name, message=message))


@contextmanager
def bound_to_results(bound: BoundJob) -> Iterator[BoundJob | None]:
    """
    The job held against its results file instead of its sheet, so that what stands there can be taken over; None when
    there is none beside the sheet. For as long as the block lasts.

    Raises:
        InputError: They no longer fit together.
    """
    if bound.job.is_in_place or look(bound.job.results.file) is None:
        yield None
        return
    with on_disk(bound.job.results.file) as file:
        yield BoundJob(
            bound.job,
            provider=bound.provider,
            operations=[bound.operation(step.name) for step in bound.job.steps],
            sheet=open_results(file),
            choices={},
            items=list(dict.fromkeys(column.item for column in bound.layout.outputs if column.item)),
            clock=bound.clock,
        )


def _ids(bound: BoundJob, results: Location) -> Iterator[tuple[int, str]]:
    """Every id in our columns of a results file with the number of its line, as far as the file can be read."""
    prefix = bound.job.results.prefix
    ours = {
        f"{prefix}{column.name}"
        for column in bound.layout.outputs
        if bound.operation(column.step).id_column == column.output
    }
    if not ours or look(results) is None:
        return
    with on_disk(results) as file, suppress(InputError):
        sheet = open_results(file)
        places = [place for place, text in enumerate(sheet.header) if normalise(text) in ours]
        for row in sheet.rows():
            for place in places:
                if text := row.cells[place].strip().removeprefix("'"):  # CSV: what looks like a formula is escaped
                    yield row.number, text


def _other_outputs(bound: BoundJob, ledger: Ledger) -> Iterator[str]:
    """What the ledger itself would show as ids, where an API calls its work by another name in its answers."""
    for standing in ledger.standings(bound.job.name):
        if standing.key.step in bound.steps:
            yield standing.outputs.get(bound.operation(standing.key.step).id_column, "")
