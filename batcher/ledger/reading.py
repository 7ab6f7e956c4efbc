"""What the ledger tells of attempts, rows and accounts."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from itertools import islice
from types import MappingProxyType
from typing import Any

from msgspec.json import decode

from batcher.ledger.admission import ATTEMPT, attempt_from
from batcher.ledger.db import Db
from batcher.ledger.planning import BY_WORD, NO_SOURCES
from batcher.ledger.schema import one_of
from batcher.ledger.values import FileRecord, InFlight, Standing, Waiting
from batcher.model import OPEN, UNSENT, Attempt, FileState, State, TaskKey

_IN_FLIGHT = """
SELECT a.attempt_id, a.remote_id, a.accepted_at, a.body, a.operation, t.row_id, t.step, t.item
FROM attempts a JOIN tasks t USING (task_id)
WHERE a.state = 'in progress' AND t.job = ? AND a.account = ? ORDER BY a.accepted_at, a.attempt_id"""
_SPENT = f"""
SELECT COALESCE(SUM(CASE WHEN a.state = 'done' THEN COALESCE(a.cost, a.estimate, 0) END), 0),
       COALESCE(SUM(CASE WHEN {one_of(OPEN, "a.state")} THEN COALESCE(a.estimate, 0) END), 0)
FROM attempts a JOIN tasks t USING (task_id) WHERE t.job = ?"""
_STANDINGS = """
SELECT t.row_id, t.step, t.item, t.row_number, t.state, t.flaws, t.made_hash <> '' AND t.made_hash <> t.input_hash, t.estimate,
       a.number, a.remote_id, a.word, a.outputs, a.error_code, a.error, a.advice, a.cost, s.first_sent_at, a.completed_at,
       a.checked_at, a.attempt_id, a.flag, t.made_from, t.gone,
       CASE WHEN a.number > 1 OR t.state IN ('waiting', 'invalid') THEN
           (SELECT SUM(COALESCE(b.cost, b.estimate, 0)) FROM attempts b
            WHERE b.task_id = t.task_id AND b.state = 'done' AND (b.number < a.number OR t.state IN ('waiting', 'invalid')))
       END
FROM tasks t
LEFT JOIN attempts a ON a.task_id = t.task_id AND a.number = (SELECT MAX(number) FROM attempts WHERE attempts.task_id = t.task_id)
LEFT JOIN submissions s USING (submission_id)
WHERE t.job = ? {rows} ORDER BY t.row_number, t.task_id"""
_DONE_ROWS = "AND t.state = 'done' AND t.gone = 0 AND t.row_number > ?"
_SOME_ROWS = f"""
SELECT MAX(row_number) FROM (SELECT t.row_number FROM tasks t WHERE t.job = ? {_DONE_ROWS} ORDER BY t.row_number LIMIT 500) AS next_rows"""
_FILES = """
SELECT t.row_id, t.step, t.item, f.attempt_id, f.output, f.state, f.path, f.bytes, f.at, f.tries, f.reason
FROM files f JOIN tasks t USING (task_id) WHERE t.job = ? {rows}"""
# What is no longer in the sheet and was never made; what was made stays visible beside its row.
_LEFT_OUT = "t.gone = 1 AND t.state IN ('waiting', 'invalid')"
# A later step of a row in which another one needs a person is not about to be sent.
_WAITING = """
SELECT COALESCE(SUM(ready), 0), COALESCE(SUM(1 - ready), 0), SUM(estimate) FROM tasks t
WHERE job = ? AND state = 'waiting' AND gone = 0 AND held = 0 AND not_before <= ? AND (ready = 1 OR NOT EXISTS (
    SELECT 1 FROM tasks o WHERE o.job = t.job AND o.row_id = t.row_id AND o.step <> t.step AND o.gone = 0
      AND o.state IN ('failed', 'invalid', 'unsure')))"""
_PLACES = f"""
SELECT t.job, COUNT(*) FROM attempts a JOIN tasks t USING (task_id)
WHERE a.account = ? AND {one_of(OPEN, "a.state")} GROUP BY t.job ORDER BY t.job"""
_TIMES = """
SELECT took_s FROM attempts WHERE account = ? AND operation = ? AND took_s IS NOT NULL ORDER BY completed_at DESC LIMIT 100"""


def places(db: Db, account: str) -> dict[str, int]:
    """As `Ledger.places`."""
    return dict(db.execute(_PLACES, (account,)).fetchall())


def in_flight(db: Db, job: str, account: str) -> list[InFlight]:
    """As `Ledger.in_flight`."""
    return [
        InFlight(
            attempt_id=row[0],
            key=TaskKey(job=job, row_id=row[5], step=row[6], item=row[7]),
            operation=row[4],
            remote_id=row[1],
            accepted_at=row[2],
            body=row[3],
        )
        for row in db.execute(_IN_FLIGHT, (job, account))
    ]


def in_doubt(db: Db, job: str, account: str) -> list[Attempt]:
    """As `Ledger.in_doubt`."""
    query = f"{ATTEMPT} WHERE t.job = ? AND a.account = ? AND a.state = 'sending' ORDER BY a.submission_id, a.place, a.attempt_id"
    return [attempt_from(row) for row in db.execute(query, (job, account))]


def attempts(db: Db, job: str, state: State) -> list[Attempt]:
    """The attempts of a job that are in one state, oldest first."""
    query = f"{ATTEMPT} WHERE t.job = ? AND a.state = ? ORDER BY a.attempt_id"
    return [attempt_from(row) for row in db.execute(query, (job, state.value))]


def find(
    db: Db,
    *,
    job: str | None,
    account: str | None,
    keys: Collection[str] | None,
    attempts: Collection[int] | None,
) -> list[Attempt]:
    """As `Ledger.find`."""
    narrow = "WHERE (CAST(? AS TEXT) IS NULL OR t.job = ?) AND (CAST(? AS TEXT) IS NULL OR a.account = ?)"
    values = (job, job, account, account)
    if keys is None and attempts is None:
        return [attempt_from(row) for row in db.execute(f"{ATTEMPT} {narrow} ORDER BY a.attempt_id", values)]
    column = "a.key" if attempts is None else "a.attempt_id"
    found: list[Attempt] = []
    left = iter(dict.fromkeys((keys or ()) if attempts is None else attempts))
    while some := list(islice(left, 500)):
        query = f"{ATTEMPT} {narrow} AND {column} IN ({', '.join('?' * len(some))}) ORDER BY a.attempt_id"
        found += [attempt_from(row) for row in db.execute(query, (*values, *some))]
    return sorted((each for each in found if keys is None or each.key in keys), key=lambda each: each.attempt_id)


def waiting(db: Db, job: str, *, now: float) -> Waiting:
    """As `Ledger.waiting`."""
    ready, later, cost = db.execute(_WAITING, (job, now)).fetchone()
    return Waiting(now=int(ready), later=int(later), cost=None if cost is None else float(cost))


def mark(db: Db) -> str:
    """As `Ledger.mark`: the newest move names the state."""
    return str(db.execute("SELECT COALESCE(MAX(rowid), 0) FROM moves").fetchone()[0])


def spent(db: Db, job: str) -> tuple[float, float]:
    """As `Ledger.spent`."""
    done, expected = db.execute(_SPENT, (job,)).fetchone()
    return float(done), float(expected)


def standings(db: Db, job: str, row_ids: Collection[str] | None) -> list[Standing]:
    """As `Ledger.standings`."""
    if row_ids is None:
        files = _files(db, job)
        rows = db.execute(_STANDINGS.format(rows="AND t.gone = 0"), (job,))
        return [_standing(job, row, files) for row in rows]
    found: list[Standing] = []
    ids = iter(dict.fromkeys(row_ids))
    while some := list(islice(ids, 500)):
        marks = ", ".join("?" * len(some))
        query = _STANDINGS.format(rows=f"AND t.row_id IN ({marks}) AND NOT ({_LEFT_OUT})")
        files = _files(db, job, f"AND t.row_id IN ({marks})", some)
        found += [_standing(job, row, files) for row in db.execute(query, (job, *some))]
    return found


def finished(db: Db, job: str, *, after: int) -> list[Standing]:
    """Where the tasks that are done stand in the next few rows behind a row number; none when there are no more."""
    last = db.execute(_SOME_ROWS, (job, after)).fetchone()[0]
    if last is None:
        return []
    rows, between = f"{_DONE_ROWS} AND t.row_number <= ?", (after, last)
    files = _files(db, job, rows, between)
    return [_standing(job, row, files) for row in db.execute(_STANDINGS.format(rows=rows), (job, *between))]


_NO_FILES: Mapping[str, FileRecord] = MappingProxyType({})

Files = dict[tuple[str, str, str], dict[str, FileRecord]]
"""What has become of the files of tasks: by row id, step and item, then by output."""


def _files(db: Db, job: str, rows: str = "", values: Sequence[str | int] = ()) -> Files:
    found: Files = {}
    for row_id, step, item, attempt_id, output, state, path, size, at, tries, reason in db.execute(
        _FILES.format(rows=rows), (job, *values)
    ):
        record = FileRecord(
            attempt_id=attempt_id,
            output=output,
            state=FileState(state),
            path=path,
            bytes=size,
            at=at,
            tries=tries,
            reason=reason,
        )
        found.setdefault((row_id, step, item), {})[output] = record
    return found


def _standing(job: str, row: Sequence[Any], files: Files) -> Standing:
    (
        row_id, step, item, row_number, state, flaws, changed, estimate,
        number, remote_id, word, outputs, error_code, error, advice, cost, submitted_at, completed_at,
        checked_at, attempt_id, flag, sources, gone, paid_before,
    ) = row  # fmt: skip
    current = BY_WORD[state]
    if number is None or current in UNSENT:
        return Standing(
            key=TaskKey(job=job, row_id=row_id, step=step, item=item),
            row_number=row_number,
            state=current,
            flaws=tuple((place, message) for place, message in json.loads(flaws)) if flaws else (),
            attempts=number or 0,
            estimate=estimate,
            made_from=json.loads(sources) if sources else NO_SOURCES,
            is_gone=gone == 1,
            paid_before=paid_before or 0.0,
        )
    return Standing(
        key=TaskKey(job=job, row_id=row_id, step=step, item=item),
        row_number=row_number,
        state=current,
        changed=changed == 1,
        attempts=number,
        remote_id=remote_id,
        word=word,
        outputs=decode(outputs),
        error_code=error_code,
        error=error,
        advice=advice,
        cost=cost,
        estimate=estimate,
        submitted_at=submitted_at,
        completed_at=completed_at,
        links_at=checked_at,
        attempt_id=attempt_id,
        files=files.get((row_id, step, item), _NO_FILES) if files else _NO_FILES,
        flag=flag,
        made_from=json.loads(sources) if sources else NO_SOURCES,
        is_gone=gone == 1,
        paid_before=paid_before or 0.0,
    )


def render_times(db: Db, account: str, operation: str) -> list[float]:
    """As `Ledger.render_times`."""
    return [row[0] for row in db.execute(_TIMES, (account, operation))]


def known_ids(db: Db, remote_ids: Collection[str]) -> set[str]:
    """As `Ledger.known_ids`."""
    found: set[str] = set()
    ids = iter(dict.fromkeys(each for each in remote_ids if each))
    while some := list(islice(ids, 500)):
        query = f"SELECT remote_id FROM attempts WHERE remote_id IN ({', '.join('?' * len(some))}) AND remote_id <> ''"
        found.update(row[0] for row in db.execute(query, some))
    return found
