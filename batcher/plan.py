"""Sheet, job and ledger together: what is new, done, changed or invalid, and what it will cost."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from batcher import files
from batcher.bound import BoundJob
from batcher.catalog.model import Operation
from batcher.errors import InputError, Problem
from batcher.files import SeenFile
from batcher.job import Job
from batcher.ledger.protocol import JobRecord, Known, Ledger, Planned
from batcher.model import WORST_FIRST, Row, State
from batcher.sheet import Sheet, doubt_about, normalise
from batcher.version import VERSION

GROUP = 400
SHOWN = 20
"""Examples of each kind that a plan keeps."""

_RANK = {state: rank for rank, state in enumerate(WORST_FIRST)}


@dataclass(kw_only=True, slots=True)
class Plan:
    """
    What a run would do.

    Attributes:
        rows: Rows of the sheet.
        words: Rows by the worst state of their tasks, as they would stand before anything is sent.
        skipped: Blank rows, and rows that `where` leaves out.
        new: Rows that the ledger has never seen.
        to_send: Tasks that are waiting.
        changed: Row numbers whose content is no longer that from which they were made; the first of them.
        changed_count: How many there are.
        problems: The first complaints about invalid rows.
        doubts: The first cells of rows about to be sent that are valid, but most likely not what was meant.
        doubt_count: How many there are.
        cost: Estimated cost of the waiting tasks; None when no price is known.
        seconds_known: Whether the length came from the job rather than from a guess of ours.
        made_seen: Rows of this sheet for which work was ever sent.
        files: The sizes in bytes of the files that waiting tasks need and the account does not hold, by their digests.
        is_remembered: Nothing has changed since an earlier plan, so the sheet was not gone through again: `new`,
            `changed`, `problems` and `doubts` are then empty.
    """

    rows: int = 0
    words: Counter[State] = field(default_factory=Counter)
    skipped: int = 0
    new: int = 0
    to_send: int = 0
    changed: list[int] = field(default_factory=list)
    changed_count: int = 0
    problems: list[Problem] = field(default_factory=list)
    problem_count: int = 0
    doubts: list[Problem] = field(default_factory=list)
    doubt_count: int = 0
    cost: float | None = None
    made_seen: int = 0
    new_ids: list[str] = field(default_factory=list)
    files: dict[str, int] = field(default_factory=dict)
    is_remembered: bool = False

    def count(self, tasks: Sequence[tuple[Planned, Known | None]]) -> None:
        """Take in the tasks of one row."""
        states = []
        problems: list[Problem] = []
        changed = known_before = made = False
        for task, known in tasks:
            state = _state(task, known)
            states.append(state)
            known_before = known_before or known is not None
            if known is not None and known.made_hash:
                made = True
                unsent = known.state in (State.WAITING, State.INVALID)
                changed = changed or (not unsent and known.made_hash != task.input_hash)
            if state is State.WAITING:
                self.to_send += 1
                self.files.update((need.digest, need.size) for need in task.needs)
                if task.estimate is not None:
                    self.cost = (self.cost or 0.0) + task.estimate
            if state is State.INVALID:
                problems += [Problem(where=place, message=message) for place, message in task.flaws]
        self.add_problems(list(dict.fromkeys(problems)))
        self.words[min(states, key=_RANK.__getitem__)] += 1
        self.new += not known_before
        self.made_seen += made
        if not known_before and len(self.new_ids) < SHOWN:
            self.new_ids.append(tasks[0][0].key.row_id)
        if changed:
            self.changed_count += 1
            if len(self.changed) < SHOWN:
                self.changed.append(tasks[0][0].row_number)

    def add_problems(self, problems: Sequence[Problem]) -> None:
        """Take in complaints; the first are kept."""
        self.problem_count += len(problems)
        self.problems += problems[: SHOWN - len(self.problems)]

    def doubt(self, bound: BoundJob, row: Row) -> None:
        """Take in what is doubtful about the cells of a row that is about to be sent."""
        for column in sorted(bound.columns):
            if said := doubt_about(row.cells[column]):
                self.doubt_count += 1
                if len(self.doubts) < SHOWN:
                    self.doubts.append(Problem(where=bound.sheet.where(column, row.number), message=said))


def _state(task: Planned, known: Known | None) -> State:
    if known is None or known.state in (State.WAITING, State.INVALID):
        return State.INVALID if task.flaws else State.WAITING
    return known.state


def fingerprint(job: Job, *, operations: Sequence[Operation], sheet: Sheet, account: str) -> str:
    """Changes whenever planning again could bring anything new: sheet, job, catalogue, program or account."""
    digest = hashlib.blake2b(digest_size=16)
    bodies = [operation.body for operation in operations]
    for part in (sheet.fingerprint, repr(job.document.value), repr(bodies), account, VERSION):
        digest.update(part.encode("utf-8", "surrogatepass") + b"\x1f")
    return digest.hexdigest()


def with_files(mark: str, seen: Collection[SeenFile]) -> str:
    """A fingerprint that also changes when one of the local files does; as it was when there are none."""
    return f"{mark}.{files.mark(seen)}" if seen else mark


def look(bound: BoundJob, ledger: Ledger) -> Plan:
    """
    What a run would do now; changes nothing.

    Raises:
        InputError: The job or the sheet as a whole cannot be used.
    """
    plan = Plan()
    for _ in _stream(bound, ledger, plan):
        pass
    _check_vanished(bound, ledger, plan)
    return plan


def leave_out_held(plan: Plan, ledger: Ledger, *, account: str, at: float) -> None:
    """Of the files that a plan needs, only those are uploaded that the account does not hold."""
    for digest in ledger.assets(account, plan.files, at=at):
        del plan.files[digest]


def make_plan(bound: BoundJob, ledger: Ledger, *, account: str, mark: str, at: float) -> Plan:
    """
    Bring the ledger in line with the sheet, and tell what a run would do now.

    Args:
        mark: The fingerprint under which the plan is remembered.

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
        _check_vanished(bound, ledger, plan)
        return JobRecord(
            job=record.job,
            path=record.path,
            account=account,
            operation=record.operation,
            sheet=record.sheet,
            fingerprint=with_files(mark, seen()),
            rows=plan.rows,
            skipped=plan.skipped,
            planned_at=at,
        )

    ledger.plan(bound.job.name, _stream(bound, ledger, plan), finish, at=at)
    if seen() or ledger.files(bound.job.name):
        ledger.saw(bound.job.name, seen())
    leave_out_held(plan, ledger, account=account, at=at)
    return plan


def remembered(record: JobRecord, ledger: Ledger, *, at: float) -> Plan:
    """The plan of a sheet, job and files that have not changed since the last one, from the ledger alone."""
    to_send, cost = ledger.waiting(record.job)
    return Plan(
        rows=record.rows,
        skipped=record.skipped,
        words=Counter(ledger.counts(record.job)),
        to_send=to_send,
        cost=cost,
        files={need.digest: need.size for need in ledger.wanted(record.job, record.account, at=at)},
        is_remembered=True,
    )


def _stream(bound: BoundJob, ledger: Ledger, plan: Plan) -> Iterator[Planned]:
    """Every task of the sheet, counted into the plan on the way; the ledger is asked in groups of rows."""
    rows = bound.rows()
    while some := list(islice(rows, GROUP)):
        plan.rows += len(some)
        by_row = [bound.tasks(identified) for identified in some if identified.row_id]
        plan.skipped += len(some) - len(by_row)
        known = ledger.known(bound.job.name, [tasks[0].key.row_id for tasks in by_row])
        for identified, tasks in zip((each for each in some if each.row_id), by_row, strict=True):
            if any(_state(task, known.get(task.key)) is State.WAITING for task in tasks):
                plan.doubt(bound, identified.row)
            plan.count([(task, known.get(task.key)) for task in tasks])
            yield from tasks


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
        f"or give the job a new label to make them all anew"
    )
    raise InputError(Problem(where=f"{bound.sheet.name}, column {bound.job.sheet.row_id}", message=message))


def _made_and_gone(bound: BoundJob, ledger: Ledger) -> list[str]:
    """The ids of rows that were ever sent and stand nowhere in the sheet any more, in their old order."""
    column = bound.sheet.column(bound.job.sheet.row_id)
    here = {normalise(row.cells[column]) for row in bound.sheet.rows()} if column is not None else set()
    missing = [row_id for row_id in ledger.row_ids(bound.job.name) if row_id not in here]
    made = {key.row_id for key, known in ledger.known(bound.job.name, missing).items() if known.made_hash}
    return [row_id for row_id in missing if row_id in made]
