"""What is asked of a run, whether there is anything to do, and how it ended: all that a tick without work needs to know."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum

from msgspec import Struct

from batcher.api.login import login_file
from batcher.catalog.load import FOLDER
from batcher.errors import Exit, InputError
from batcher.filing import folders_of
from batcher.idle import Kept
from batcher.ledger.place import is_address
from batcher.model import State
from batcher.open_job import OpenJob
from batcher.plan import Plan
from batcher.project import PROJECT_FILE
from batcher.results import Tally
from batcher.stores import CloudPath, Location, StoreAway, located, look
from batcher.surroundings import Surroundings
from batcher.wanted import NO_FILES, FileTally, Shelf, wanted_files

_FOREVER = 1e15
"""Unix seconds that no row waits for."""


class Verbs(Enum):
    """What a run does."""

    BOTH = "run"
    SUBMIT = "submit"
    RECONCILE = "reconcile"


class Ending(Struct, kw_only=True):
    """
    How a run ended.

    Attributes:
        exit: The exit code that it asks for.
        reason: Why it stopped before everything was done; empty when nothing is left to do.
        cost, expected: What the finished rows of the job have cost, and what those in work are expected to cost.
        results_file: Where the results stand; None where nothing was written.
        results_note: Why that is not the file that the job names; empty when it is.
        files: The files of the job; none where it asks for none.
        again_at: When a slice is worth going on with, unix seconds; None when that is not a matter of time.
    """

    exit: Exit
    tally: Tally
    reason: str = ""
    cost: float = 0.0
    expected: float = 0.0
    results_error: str = ""
    results_file: Location | None = None
    results_note: str = ""
    files: FileTally = NO_FILES
    again_at: float | None = None


def unwritten(error: InputError | OSError) -> Exit:
    """What it asks for that the results could not be written."""
    return Exit.NOT_FINISHED if isinstance(error, StoreAway) else Exit.EDIT


def is_settled(opened: OpenJob, plan: Plan, *, at: float, fetches: bool = True) -> bool:
    """
    Whether sending and looking could bring nothing new: nothing has changed since the plan, nothing is open, every file
    is in its place, and no link is about to stop working.
    """
    record = opened.ledger.job(opened.job.name)
    open_rows = plan.words[State.WAITING] + plan.words[State.SENDING] + plan.words[State.IN_PROGRESS]
    return (
        plan.is_remembered
        and not open_rows
        and not opened.ledger.in_doubt(opened.job.name, opened.account_name)
        and not opened.ledger.in_flight(opened.job.name, opened.account_name)
        and record is not None
        and (record.renew_at is None or record.renew_at > at)
        and (not fetches or _has_files(opened))
    )


def leave_settled(opened: OpenJob, around: Surroundings, kept: Kept, *, code: Exit) -> None:
    """
    Let the next tick know that there is nothing to do, where only a change of files, or the day of `renew_at`, could give
    a settled job something: no row waits for its own day, and all that was learned is written.
    """
    job, record = opened.job, opened.ledger.job(opened.job.name)
    places = (job.sheet.file, job.results.file, *folders_of(job))
    is_elsewhere = any(isinstance(place, CloudPath) for place in places) or is_address(around.place)
    is_told_by_files = not (job.sheet.link or job.sheet.is_dropped or is_elsewhere)
    if not is_told_by_files or record is None or not is_written(opened):
        return
    waiting = opened.ledger.waiting(job.name, now=_FOREVER)
    if not waiting.now and not waiting.later:
        kept.all_is_well(map(str, _files_that_decide(opened, around)), code=int(code), until=record.renew_at)


def _files_that_decide(opened: OpenJob, around: Surroundings) -> Iterator[Location | str]:
    """Every file whose change could give a settled job something to do, those that are not there included."""
    job, ledger = opened.job, opened.unrecorded.ledger
    folder = job.path.resolve().parent if job.path else job.folder
    yield from (ledger, f"{ledger}-wal", opened.unrecorded.path, job.sheet.file, job.results.file)
    yield from (path for path in (job.path, job.catalog, *FOLDER.glob("*.yaml")) if path)
    yield from (each / ".env" for each in (job.folder, job.folder.parent, around.folder))
    yield from (each / PROJECT_FILE for each in (folder, folder.parent))
    if opened.account is not None:
        yield login_file(around.state, opened.provider, opened.account.base_url)
    yield from (each.path for each in opened.ledger.files(job.name))
    for standing in opened.ledger.standings(job.name) if job.results.downloads else ():
        yield from (located(job.results.file.parent, each.path) for each in standing.files.values())


def is_written(opened: OpenJob) -> bool:
    """Whether the results file is there and shows everything that the ledger knows."""
    record = opened.ledger.job(opened.job.name)
    job = opened.job
    if record is None or record.written != opened.ledger.mark():
        return False
    return (job.sheet.link is not None and job.is_in_place) or look(job.results.file) is not None


def _has_files(opened: OpenJob) -> bool:
    standings = opened.ledger.standings(opened.job.name) if opened.job.results.downloads else ()
    if not standings:
        return True
    shelf = Shelf(opened.bound)
    return all(shelf.is_settled(standing, place) for standing, place in wanted_files(opened.bound, standings))


def exit_code(
    tally: Tally,
    *,
    reason: str = "",
    stopped: bool = False,
    results: Exit = Exit.DONE,
    files: FileTally = NO_FILES,
) -> Exit:
    """
    The first that holds of: edit something, interrupted, stopped, not finished, some failed, done.

    Args:
        results: What their writing asks for: EDIT where a person must mend something, NOT_FINISHED where it is tried
            again later.
    """
    words = tally.words
    if results is Exit.EDIT:
        return Exit.EDIT
    if reason == "interrupted":
        return Exit.INTERRUPTED
    if stopped:
        return Exit.STOPPED
    if words["waiting"] or words["in progress"] or files.later or results is Exit.NOT_FINISHED:
        return Exit.NOT_FINISHED
    if words["failed"] or words["invalid"] or words["unsure"] or files.lacking:
        return Exit.SOME_FAILED
    return Exit.DONE
