"""Where the ledger contradicts itself: what cannot be true of a job that was paid once and forgot nothing."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter

from batcher.ledger.db import Db
from batcher.ledger.moving import may_move
from batcher.ledger.values import Contradiction
from batcher.model import Source, State

_FINAL = ("done", "failed")
# A further attempt needs a reason: a person's word, or the job's own about rows whose answer was lost.
_TOO_OFTEN = """
SELECT t.row_number, COUNT(a.attempt_id), 1 + COALESCE(asked.times, 0) AS allowed
FROM tasks t JOIN attempts a ON a.task_id = t.task_id
LEFT JOIN (SELECT task_id, COUNT(*) AS times FROM moves
           WHERE to_state = 'waiting' AND from_state IN ('done', 'failed', 'unsure') GROUP BY task_id) asked
  ON asked.task_id = t.task_id
WHERE t.job = ?
GROUP BY t.task_id, t.row_number, asked.times HAVING COUNT(a.attempt_id) > 1 ORDER BY t.row_number"""
_NEWEST = """
SELECT t.row_number, t.state, a.state, a.remote_id FROM tasks t
LEFT JOIN attempts a ON a.task_id = t.task_id AND a.number = (SELECT MAX(number) FROM attempts WHERE attempts.task_id = t.task_id)
WHERE t.job = ? ORDER BY t.row_number, t.task_id"""
_SAME_ID = """
SELECT t.row_number, a.remote_id FROM attempts a JOIN tasks t ON t.task_id = a.task_id
WHERE t.job = ? AND a.remote_id <> '' AND EXISTS (
    SELECT 1 FROM attempts b WHERE b.remote_id = a.remote_id AND b.account = a.account AND b.operation = a.operation
    AND b.attempt_id <> a.attempt_id)
ORDER BY t.row_number"""
_FLAGGED = """
SELECT t.row_number, CASE WHEN a.flag <> '' THEN a.flag ELSE a.error END FROM attempts a JOIN tasks t ON t.task_id = a.task_id
WHERE t.job = ? AND (a.flag <> '' OR a.error_code = 'duplicate_id') ORDER BY t.row_number"""
_MOVES = """
SELECT t.task_id, t.row_number, t.state, m.attempt_id, m.from_state, m.to_state, m.source
FROM moves m JOIN tasks t ON t.task_id = m.task_id WHERE t.job = ? ORDER BY t.task_id, m.rowid"""


def examine(db: Db, job: str) -> list[Contradiction]:
    """As `Ledger.examine`, for a file whose structure is sound."""
    return [*_paid_once(db, job), *_nothing_forgotten(db, job), *_final_stays(db, job)]


def _paid_once(db: Db, job: str) -> Iterator[Contradiction]:
    for row, count, allowed in db.execute(_TOO_OFTEN, (job,)):
        if count > allowed:
            message = f"sent under {count} keys, and only {allowed} were asked for"
            yield Contradiction(invariant="I1", row_number=row, message=message)


def _nothing_forgotten(db: Db, job: str) -> Iterator[Contradiction]:
    for row, task_state, attempt_state, remote_id in db.execute(_NEWEST, (job,)):
        if wrong := _disagreement(State(task_state), attempt_state, remote_id):
            yield Contradiction(invariant="I2", row_number=row, message=wrong)
    for row, remote_id in db.execute(_SAME_ID, (job,)):
        yield Contradiction(
            invariant="I2", row_number=row, message=f"its id {remote_id} belongs to another row as well"
        )
    for row, message in db.execute(_FLAGGED, (job,)):
        yield Contradiction(invariant="I2", row_number=row, message=message)


def _disagreement(task: State, attempt: str | None, remote_id: str | None) -> str:
    """What is wrong between a task and its newest attempt; empty when nothing is."""
    if task in (State.WAITING, State.INVALID):
        open_one = attempt is not None and attempt not in _FINAL
        return f"{task.value}, but its newest attempt is {attempt}" if open_one else ""
    if attempt is None:
        return f"{task.value}, but it was never sent"
    if attempt != task.value:
        return f"{task.value}, but its newest attempt is {attempt}"
    return "in progress, but without an id" if task is State.IN_PROGRESS and not remote_id else ""


def _final_stays(db: Db, job: str) -> Iterator[Contradiction]:
    for _, group in groupby(db.execute(_MOVES, (job,)), key=itemgetter(0)):
        history = list(group)
        row, now = history[0][1], history[0][2]
        last, newest = "", 0
        for _, _, _, attempt_id, before, after, source in history:
            if (attempt_id or newest) < newest or before == after:
                continue  # news of an older attempt, or a remark: neither moves the task
            newest = attempt_id or newest
            if wrong := _wrong_move(last, before, after, source):
                yield Contradiction(invariant="I4", row_number=row, message=wrong)
            last = after
        if last and last != now:
            yield Contradiction(invariant="I4", row_number=row, message=f"{now}, but its history ends with {last}")


def _wrong_move(last: str, before: str, after: str, source: str) -> str:
    """What is wrong with a move; empty when nothing is."""
    if last and before != last:
        return f"left {before}, but stood in {last}"
    if not may_move(State(before), State(after)):
        return f"went from {before} to {after}, which is no move"
    if before in _FINAL and source != Source.PERSON.value:
        return f"went from {before} to {after} without a person's word"
    return ""
