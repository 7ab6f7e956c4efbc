"""How the plan of a job comes about: sheet, job and ledger are held against each other."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import islice
from types import MappingProxyType

from batcher import files
from batcher.bound import BoundJob
from batcher.carried import Carriers, carriers, refuse_carried, unmade_ids
from batcher.catalog.model import Provider
from batcher.errors import InputError, Problem
from batcher.files import SeenFile
from batcher.job import Job
from batcher.ledger.protocol import Ledger
from batcher.ledger.values import Asked, JobRecord, Known, Planned, Standing
from batcher.lineage import stale
from batcher.lines import is_misread, tasks_asked_again
from batcher.listening import Listener
from batcher.marks import Identified, Mark
from batcher.model import FINAL, Length, State, TaskKey
from batcher.outlook import standing_of, state_of
from batcher.plan import Plan
from batcher.sheet import Sheet, normalise
from batcher.twins import Twins
from batcher.version import VERSION

GROUP = 400
_NO_TASKS: Mapping[TaskKey, str] = MappingProxyType({})
_PlannedRow = tuple[Identified, Sequence[Asked]]


def fingerprint(job: Job, *, provider: Provider, sheet: Sheet, account: str, lengths: Mapping[str, Length]) -> str:
    """Changes whenever planning again could bring anything new: sheet, job, catalogue, program, account or samples."""
    digest = hashlib.blake2b(digest_size=16)
    for part in (sheet.fingerprint, repr(job.document.value), provider.digest, account, VERSION, repr(lengths)):
        digest.update(part.encode("utf-8", "surrogatepass") + b"\x1f")
    return digest.hexdigest()


def with_files(mark: str, seen: Collection[SeenFile]) -> str:
    """A fingerprint that also changes when one of the local files does; as it was when there are none."""
    return f"{mark}.{files.mark(seen)}" if seen else mark


def look(bound: BoundJob, ledger: Ledger, *, listener: Listener | None = None) -> Plan:
    """
    What a run would do now; changes nothing.

    Args:
        listener: Hears how rows will sound; the plan then tells what it has found.

    Raises:
        InputError: The job or the sheet as a whole cannot be used.
    """
    plan = Plan()
    for _ in _stream(bound, ledger, plan, listener=listener, with_bodies=False):
        pass
    if listener is not None:
        odd, count = listener.problems()
        plan.doubts, plan.doubt_count = [*odd, *plan.doubts], plan.doubt_count + count
        plan.spoken = listener.examples()
    refuse_carried(bound, plan.carried, plan.carried_count)
    _refuse_restepped(bound, plan)
    _check_vanished(bound, ledger, plan)
    return plan


def leave_out_held(plan: Plan, ledger: Ledger, *, account: str, at: float) -> None:
    """Of the files that a plan needs, only those are uploaded that the account does not hold."""
    for digest in ledger.assets(account, plan.files, at=at):
        del plan.files[digest]


def make_plan(
    bound: BoundJob, ledger: Ledger, *, account: str, mark: str, at: float, refuses_carried: bool = True
) -> Plan:
    """
    Bring the ledger in line with the sheet, and tell what a run would do now.

    Args:
        mark: The fingerprint under which the plan is remembered, unless it asks for something that is still to be
            obeyed; empty: it is not.
        refuses_carried: Work that the sheet shows and the ledger does not know is a reason to stop.

    Raises:
        InputError: As `look`; the ledger is then as it was.
    """
    plan = Plan()
    record = JobRecord(
        job=bound.job.name,
        path=str(bound.job.path or ""),
        account=account,
        operation=bound.title,
        sheet=str(bound.job.sheet.file),
    )
    ledger.register(record)

    def seen() -> Collection[SeenFile]:
        return bound.local_files.seen if bound.local_files else ()

    def finish() -> JobRecord:
        if plan.rows == 0:
            raise InputError(Problem(where=bound.sheet.name, message="there are no rows below the header"))
        if refuses_carried:
            refuse_carried(bound, plan.carried, plan.carried_count)
        _refuse_restepped(bound, plan)
        _check_vanished(bound, ledger, plan)
        return JobRecord(
            job=record.job,
            path=record.path,
            account=account,
            operation=record.operation,
            sheet=record.sheet,
            fingerprint=with_files(mark, seen()) if mark and not plan.again else "",
            rows=plan.rows,
            skipped=plan.skipped,
            planned_at=at,
        )

    ledger.plan(bound.job.name, _stream(bound, ledger, plan, with_bodies=True), finish, at=at)
    if seen() or ledger.files(bound.job.name):
        ledger.saw(bound.job.name, seen())
    leave_out_held(plan, ledger, account=account, at=at)
    return plan


def remembered(record: JobRecord, ledger: Ledger, *, at: float) -> Plan:
    """The plan of a sheet, job and files that have not changed since the last one, from the ledger alone."""
    waiting = ledger.waiting(record.job, now=at)
    held = ledger.held(record.job, now=at)
    return Plan(
        rows=record.rows,
        skipped=record.skipped,
        words=Counter(ledger.counts(record.job)) - Counter(held),
        held=sum(held.values()),
        to_send=waiting.now,
        later=waiting.later,
        cost=waiting.cost,
        files={need.digest: need.size for need in ledger.wanted(record.job, record.account, at=at)},
        is_remembered=True,
    )


def _stream(
    bound: BoundJob, ledger: Ledger, plan: Plan, *, with_bodies: bool, listener: Listener | None = None
) -> Iterator[Asked]:
    """Every task of the sheet, counted into the plan on the way; the ledger is asked in groups of rows."""
    rows, columns, sources, twins = bound.rows(), carriers(bound), bound.sources, Twins()
    while some := list(islice(rows, GROUP)):
        plan.rows += len(some)
        wanted = with_bodies or (listener is not None and listener.listens)
        taken = [each for each in some if each.row_id]
        plan.skipped += len(some) - len(taken)
        known = ledger.known(bound.job.name, [each.row_id for each in taken])
        asking = _standings(bound, ledger, [each.row_id for each in taken if each.mark is Mark.AGAIN])
        by_row = [(each, bound.tasks(each, with_bodies=wanted, known=known)) for each in taken]
        if known:
            pairs = [(each, [(task, known.get(task.key)) for task in tasks]) for each, tasks in by_row]
        else:
            pairs = [(each, [(task, None) for task in tasks]) for each, tasks in by_row]
        if columns:
            _count_carried(ledger, columns, pairs, plan)
        made_otherwise = {key.row_id for key, each in known.items() if each.made_hash and key.step not in bound.steps}
        now = bound.clock()
        for (identified, tasks), (_, planned) in zip(pairs, by_row, strict=True):
            if tasks and identified.row_id in made_otherwise and not any(each for _, each in tasks):
                plan.count_restepped(identified.row.number)
            again = _again(bound, identified, tasks, asking.get(identified.row_id, ())) if known else _NO_TASKS
            is_held = identified.is_held(now)
            waits = plan.count(tasks, sources, again=again, is_held=is_held)
            plan.count_marks(identified, tasks)
            if bound.marks.own and is_misread(bound, identified.row):
                plan.count_misread(identified.row.number)
            twin = twins.doubt(bound.sheet, planned) if bound.has_ids else None
            if waits:
                plan.doubt(bound, identified.row, twin)
            if listener is not None and listener.listens:
                waiting = [
                    task for task, each in tasks if state_of(task, each, is_again=task.key in again) is State.WAITING
                ]
                listener.hear(identified.row, [] if is_held else waiting)
            yield from tasks


def _standings(bound: BoundJob, ledger: Ledger, row_ids: Collection[str]) -> dict[str, list[Standing]]:
    found: dict[str, list[Standing]] = {}
    for standing in ledger.standings(bound.job.name, row_ids) if row_ids else ():
        found.setdefault(standing.key.row_id, []).append(standing)
    return found


def _again(
    bound: BoundJob,
    identified: Identified,
    tasks: Sequence[tuple[Planned, Known | None]],
    standings: Sequence[Standing],
) -> Mapping[TaskKey, str]:
    """
    The tasks of a row that are to be made again, each with the reason.

    One that is done is left as it is while its row cannot become a request: its video would be lost to view.
    """
    asked = set(tasks_asked_again(bound, identified, standings))
    older: Collection[TaskKey] = ()
    if bound.job.resubmit_changed:
        older = stale(bound.sources, [standing_of(*each) for each in tasks])
    if not asked and not older:
        return _NO_TASKS
    again: dict[TaskKey, str] = {}
    for task, known in tasks:
        if known is None or (task.flaws and known.state is State.DONE):
            continue
        if task.key in asked:
            again[task.key] = "`again` in the status column"
        elif task.key in older and known.state in FINAL and not task.flaws:
            again[task.key] = "its row has changed (on_change: resubmit)"
    return again


def _count_carried(ledger: Ledger, columns: Carriers, rows: Sequence[_PlannedRow], plan: Plan) -> None:
    """Find the rows about to be sent that show an id of work that this ledger has never heard of."""
    carried = {each.row.number: ids for each, tasks in rows if (ids := unmade_ids(columns, each.row, tasks).values())}
    known = ledger.known_ids({remote_id for ids in carried.values() for remote_id in ids}) if carried else ()
    for number, ids in carried.items():
        if any(remote_id not in known for remote_id in ids):
            plan.count_carried(number)


def _refuse_restepped(bound: BoundJob, plan: Plan) -> None:
    """Steps under other names are other tasks to the ledger: all that was made would be paid again."""
    if not plan.restepped_count:
        return
    numbers = f"{', '.join(map(str, plan.restepped))}{' …' if plan.restepped_count > len(plan.restepped) else ''}"
    message = (
        f"{plan.restepped_count} rows (rows {numbers}) were already made, by steps that the job no longer has: under the names "
        "that its steps have now they would be paid again. Give the steps their old names back (a job without `steps` has one "
        "without a name), or give the job a new label to make the rows anew"
    )
    raise InputError(bound.job.problem(("steps",), message))


def _check_vanished(bound: BoundJob, ledger: Ledger, plan: Plan) -> None:
    """
    Known ids that vanish while new ones appear are most likely the same rows under other names, about to be paid again.

    With `row_id: content` the person has said that this is wanted.
    """
    vanished = ledger.rows_made(bound.job.name) - plan.made_seen
    if vanished <= 0 or not plan.new or not bound.has_ids:
        return
    gone = _made_and_gone(bound, ledger)
    if not gone:
        return  # they are still there, and only left out by `where`
    message = (
        f"{len(gone)} rows that were already made are no longer in the sheet ({', '.join(gone[:5])} …) while {plan.new} new ones "
        f"appear ({', '.join(plan.new_ids[:5])} …); if their ids were renamed they would be paid again. Put the old ids back, "
        f"or give the {'file another name' if bound.job.sheet.is_dropped else 'job a new label'} to make them all anew"
    )
    raise InputError(Problem(where=f"{bound.sheet.name}, column {bound.job.sheet.row_id}", message=message))


def _made_and_gone(bound: BoundJob, ledger: Ledger) -> list[str]:
    """The ids of rows that were ever sent and stand nowhere in the sheet any more, in their old order."""
    column = bound.sheet.column(bound.job.sheet.row_id)
    here = {normalise(row.cells[column]) for row in bound.sheet.rows()} if column is not None else set()
    missing = [row_id for row_id in ledger.row_ids(bound.job.name) if row_id not in here]
    made = {key.row_id for key, known in ledger.known(bound.job.name, missing).items() if known.made_hash}
    return [row_id for row_id in missing if row_id in made]
