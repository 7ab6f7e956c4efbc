"""Bringing the ledger in line with the sheet."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any

from batcher.errors import InputError, LedgerError, Problem
from batcher.ledger.db import Db
from batcher.ledger.filing import set_needs
from batcher.ledger.moving import move_task
from batcher.ledger.values import Asked, Blocked, JobRecord, Known, Planned
from batcher.model import UNSENT, Source, State, TaskKey

BY_WORD = {state.value: state for state in State}
NO_SOURCES: Mapping[str, int] = MappingProxyType({})
"""Shared by all tasks that were made from no earlier step."""


GROUP = 500
"""Rows per look-up: below SQLite's oldest limit of 999 parameters."""

_JOB = "SELECT job, path, account, operation, sheet, fingerprint, row_count, skipped, planned_at, written, renew_at FROM jobs WHERE job = ?"
_REGISTER = """
INSERT INTO jobs (job, path, account, operation, sheet) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (job) DO UPDATE SET path = excluded.path, account = excluded.account, operation = excluded.operation, sheet = excluded.sheet"""
_PLANNED = "UPDATE jobs SET fingerprint = ?, row_count = ?, skipped = ?, planned_at = ? WHERE job = ?"
_KNOWN = (
    "SELECT row_id, step, item, state, input_hash, made_hash, task_id, row_number, held, not_before, made_from, "
    "CASE WHEN step = '' THEN 0 ELSE (SELECT COALESCE(MAX(number), 0) FROM attempts WHERE attempts.task_id = tasks.task_id) END "
    "FROM tasks WHERE job = ? AND row_id IN ({marks})"
)
_NEW = """
INSERT INTO tasks (job, row_id, step, item, row_number, operation, state, input_hash, path, body, flaws, estimate, ready, cells,
                   made_from, held, not_before)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""
_RENEW = """
UPDATE tasks SET row_number = ?, operation = ?, input_hash = ?, path = ?, body = ?, flaws = ?, estimate = ?, ready = ?, cells = ?,
                 made_from = ?, held = ?, not_before = ?
WHERE task_id = ?"""
_BLOCKED = """
SELECT row_id, step, item, row_number, input_hash, cells FROM tasks
WHERE job = ? AND ready = 0 AND state = 'waiting' AND gone = 0"""
_UNBLOCK = """
UPDATE tasks SET path = ?, body = ?, flaws = ?, estimate = ?, made_from = ?, ready = ?
WHERE job = ? AND row_id = ? AND step = ? AND item = ? AND ready = 0 AND state = 'waiting' RETURNING task_id"""
_BLOCK = """
UPDATE tasks SET ready = 0
WHERE job = ? AND row_id = ? AND state = 'waiting' AND ready = 1 AND cells <> '' RETURNING task_id"""
_SAME = "UPDATE tasks SET row_number = ?, input_hash = ?, held = ?, not_before = ? WHERE task_id = ?"
_BEGIN = """
CREATE TEMPORARY TABLE IF NOT EXISTS seen (task_id BIGINT PRIMARY KEY);
DELETE FROM seen;"""
_SEE = "INSERT INTO seen (task_id) VALUES (?) ON CONFLICT DO NOTHING"
_LAST = "SELECT COALESCE(MAX(task_id), 0) FROM tasks"
_GONE = """
UPDATE tasks SET gone = 1 WHERE job = ? AND gone = 0 AND task_id <= ?
  AND NOT EXISTS (SELECT 1 FROM seen WHERE seen.task_id = tasks.task_id)"""
_BACK = "UPDATE tasks SET gone = 0 WHERE job = ? AND gone = 1 AND task_id IN (SELECT task_id FROM seen)"


def read_job(db: Db, job: str) -> JobRecord | None:
    """What is known of a job."""
    found = db.execute(_JOB, (job,)).fetchone()
    if found is None:
        return None
    return JobRecord(
        job=found[0],
        path=found[1],
        account=found[2],
        operation=found[3],
        sheet=found[4],
        fingerprint=found[5],
        rows=found[6],
        skipped=found[7],
        planned_at=found[8],
        written=found[9],
        renew_at=found[10],
    )


def register(db: Db, record: JobRecord) -> None:
    """As `Ledger.register`."""
    if moved := db.execute("SELECT place FROM moved").fetchone():
        raise LedgerError(f"the ledger has been moved to {moved[0]}")
    before = read_job(db, record.job)
    if before and before.path != record.path and before.path and Path(before.path).exists():
        message = (
            f"the label '{record.job}' already belongs to {before.path}, which still exists; "
            "give this job another label (`job:`), or remove the old file if you have moved it"
        )
        raise InputError(Problem(where=record.path or record.job, message=message))
    db.execute(_REGISTER, (record.job, record.path, record.account, record.operation, record.sheet))


def plan(db: Db, job: str, tasks: Iterable[Asked], finish: Callable[[], JobRecord], *, at: float) -> None:
    """As `Ledger.plan`, inside the caller's transaction."""
    for statement in _BEGIN.strip().split(";")[:-1]:
        db.execute(statement)
    last = db.execute(_LAST).fetchone()[0]
    iterator = iter(tasks)
    while some := list(islice(iterator, GROUP)):
        _plan_group(db, some, at=at)
    record = finish()
    db.execute(_GONE, (job, last))
    db.execute(_BACK, (job,))
    db.execute(_PLANNED, (record.fingerprint, record.rows, record.skipped, record.planned_at, job))


def known(db: Db, job: str, row_ids: Collection[str]) -> dict[TaskKey, Known]:
    """As `Ledger.known`."""
    found: dict[TaskKey, Known] = {}
    ids = iter(dict.fromkeys(row_ids))
    while some := list(islice(ids, GROUP)):
        query = _KNOWN.format(marks=", ".join("?" * len(some)))
        for row_id, step, item, state, input_hash, made_hash, task_id, *place, sources, attempts in db.execute(
            query, (job, *some)
        ):
            row_number, held, not_before = place
            found[TaskKey(job=job, row_id=row_id, step=step, item=item)] = Known(
                state=BY_WORD[state],
                input_hash=input_hash,
                made_hash=made_hash,
                made_from=json.loads(sources) if sources else NO_SOURCES,
                attempts=attempts,
                task_id=task_id,
                row_number=row_number,
                held=held == 1,
                not_before=not_before,
            )
    return found


def _plan_group(db: Db, tasks: Sequence[Asked], *, at: float) -> None:
    writes: dict[str, list[tuple[object, ...]]] = {_NEW: [], _SEE: [], _SAME: [], _RENEW: []}
    for task, known in tasks:
        if known is None:
            state = State.INVALID if task.flaws else State.WAITING
            writes[_NEW].append((*_identity(task), task.row_number, task.operation, state.value, *_content(task)))
        else:
            writes[_SEE].append((known.task_id,))
            _renew(db, task, writes, known=known, at=at)
    for statement, values in writes.items():
        if values:
            db.executemany(statement, values)
    for task, known in tasks:
        if task.needs and known is None:
            set_needs(db, task)


def _renew(db: Db, task: Planned, writes: dict[str, list[tuple[object, ...]]], *, known: Known, at: float) -> None:
    is_sent = known.state not in UNSENT
    # what an earlier step has made of a blocked task since is kept
    is_blocked = not task.ready and not task.flaws and known.state is State.WAITING
    if is_sent or (is_blocked and known.input_hash == task.input_hash):
        # only where its row stands, what it holds and whether it is held: what would be sent stays
        now = (task.row_number, task.input_hash, task.held, task.not_before)
        if now != (known.row_number, known.input_hash, known.held, known.not_before):
            writes[_SAME].append((task.row_number, task.input_hash, int(task.held), task.not_before, known.task_id))
        return
    writes[_RENEW].append((task.row_number, task.operation, *_content(task), known.task_id))
    set_needs(db, task, known.task_id)
    after = State.INVALID if task.flaws else State.WAITING
    if after is not known.state:
        cause = task.flaws[0][1] if task.flaws else "the row has been mended"
        move_task(
            db,
            known.task_id,
            before=known.state,
            after=after,
            attempt_id=None,
            at=at,
            source=Source.PLAN,
            cause=cause,
        )


def _identity(task: Planned) -> tuple[str, str, str, str]:
    return task.key.job, task.key.row_id, task.key.step, task.key.item


def _content(task: Planned) -> tuple[object, ...]:
    cells = json.dumps(task.cells, ensure_ascii=False) if task.cells or not task.ready else ""
    rest = _made_from(task), int(task.held), task.not_before
    return task.input_hash, task.path, task.body, _flaws(task), task.estimate, int(task.ready), cells, *rest


def blocked(db: Db, job: str, row_ids: Collection[str] | None) -> list[Blocked]:
    """As `Ledger.blocked`."""
    if row_ids is None:
        return [_blocked(job, row) for row in db.execute(_BLOCKED, (job,))]
    found: list[Blocked] = []
    ids = iter(dict.fromkeys(row_ids))
    while some := list(islice(ids, GROUP)):
        query = f"{_BLOCKED} AND row_id IN ({', '.join('?' * len(some))})"
        found += [_blocked(job, row) for row in db.execute(query, (job, *some))]
    return found


def _blocked(job: str, row: Sequence[Any]) -> Blocked:
    row_id, step, item, row_number, input_hash, cells = row
    key = TaskKey(job=job, row_id=row_id, step=step, item=item)
    return Blocked(key=key, row_number=row_number, input_hash=input_hash, cells=json.loads(cells or "{}"))


def unblock(db: Db, task: Planned, *, at: float) -> None:
    """Make one blocked task ready, or invalid, inside the caller's transaction."""
    values = (task.path, task.body, _flaws(task), task.estimate, _made_from(task), int(not task.flaws))
    found = db.execute(_UNBLOCK, (*values, *_identity(task))).fetchone()
    if found:
        set_needs(db, task, found[0])
    if found and task.flaws:
        move_task(
            db,
            found[0],
            before=State.WAITING,
            after=State.INVALID,
            attempt_id=None,
            at=at,
            source=Source.PLAN,
            cause=task.flaws[0][1],
        )


def block(db: Db, job: str, row_ids: Collection[str]) -> int:
    """As `Ledger.block`, inside the caller's transaction: only what once had to wait has kept its cells."""
    return sum(len(db.execute(_BLOCK, (job, row_id)).fetchall()) for row_id in row_ids)


def _made_from(task: Planned) -> str:
    return json.dumps(task.made_from, ensure_ascii=False) if task.made_from else ""


def _flaws(task: Planned) -> str:
    return json.dumps(task.flaws, ensure_ascii=False) if task.flaws else ""


def items(db: Db, job: str) -> list[str]:
    """As `Ledger.items`."""
    query = """
    SELECT item FROM tasks WHERE job = ? AND item <> '' AND (gone = 0 OR made_hash <> '')
    GROUP BY item ORDER BY MIN(row_number), MIN(task_id)"""
    return [row[0] for row in db.execute(query, (job,))]


def row_ids(db: Db, job: str) -> list[str]:
    """All row ids of a job that are not gone, in the order of the sheet."""
    query = "SELECT row_id FROM tasks WHERE job = ? AND gone = 0 GROUP BY row_id ORDER BY MIN(row_number), MIN(task_id)"
    return [row[0] for row in db.execute(query, (job,))]


def rows_made(db: Db, job: str) -> int:
    """How many rows of a job were ever sent, those that are gone left out."""
    query = "SELECT COUNT(DISTINCT row_id) FROM tasks WHERE job = ? AND gone = 0 AND made_hash <> ''"
    count: int = db.execute(query, (job,)).fetchone()[0]
    return count


def counts(db: Db, job: str, order: Mapping[State, int]) -> dict[State, int]:
    """Rows by the worst state of their tasks, worst first in `order`."""
    cases = " ".join(f"WHEN '{state.value}' THEN {rank}" for state, rank in order.items())
    worst = f"SELECT MIN(CASE state {cases} END) AS worst FROM tasks WHERE job = ? AND gone = 0 GROUP BY row_id"
    query = f"SELECT worst, COUNT(*) FROM ({worst}) AS rows_by_word GROUP BY worst"
    by_rank = {rank: state for state, rank in order.items()}
    return {by_rank[rank]: count for rank, count in db.execute(query, (job,))}


def held(db: Db, job: str, order: Mapping[State, int], *, now: float) -> dict[State, int]:
    """As `Ledger.held`; worst first in `order`."""
    cases = " ".join(f"WHEN '{state.value}' THEN {rank}" for state, rank in order.items())
    is_held = "MAX(CASE WHEN held = 1 OR not_before > ? THEN 1 ELSE 0 END) AS held"
    # a row can be held only as long as something of it is not sent: of most large sheets few are looked at
    unsent = " UNION ALL ".join(
        f"SELECT row_id FROM tasks WHERE job = ? AND state = '{state.value}' AND gone = 0" for state in UNSENT
    )
    rows = (
        f"SELECT MIN(CASE state {cases} END) AS worst, {is_held} FROM tasks "
        f"WHERE job = ? AND gone = 0 AND row_id IN ({unsent}) GROUP BY row_id"
    )
    query = f"SELECT worst, COUNT(*) FROM ({rows}) AS by_row WHERE held = 1 GROUP BY worst"
    by_rank = {order[state]: state for state in UNSENT}
    return {
        by_rank[rank]: count for rank, count in db.execute(query, (now, job, *[job] * len(UNSENT))) if rank in by_rank
    }
