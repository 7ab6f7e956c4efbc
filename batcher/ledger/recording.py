"""Writing down what was learned about attempts."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import replace

from batcher.ledger.db import Db
from batcher.ledger.moving import may_move, move_task, note
from batcher.ledger.protocol import News
from batcher.model import Source, State, TaskKey

FINAL = (State.DONE, State.FAILED)

_ATTEMPT = """
SELECT a.task_id, a.state, a.submission_id, a.outputs, t.state,
       a.number = (SELECT MAX(number) FROM attempts WHERE attempts.task_id = a.task_id)
FROM attempts a JOIN tasks t USING (task_id) WHERE a.attempt_id = ?"""
_UPDATE = """
UPDATE attempts SET state = ?, outputs = ?,
    remote_id = CASE WHEN ? <> '' THEN ? ELSE remote_id END,
    word = CASE WHEN ? <> '' THEN ? ELSE word END,
    error_code = ?, error = ?, advice = ?, cost = COALESCE(?, cost), completed_at = COALESCE(?, completed_at), took_s = COALESCE(?, took_s),
    accepted_at = CASE WHEN ? AND accepted_at IS NULL THEN ? ELSE accepted_at END,
    checked_at = CASE WHEN ? THEN ? ELSE checked_at END,
    misses = CASE WHEN ? THEN misses + 1 WHEN ? THEN 0 ELSE misses END
WHERE attempt_id = ?"""
_CHECKED = """
UPDATE attempts SET word = CASE WHEN ? <> '' THEN ? ELSE word END, checked_at = ?, misses = CASE WHEN ? THEN misses + 1 ELSE 0 END
WHERE attempt_id = ?"""
_ANSWERED = (
    "UPDATE sends SET answered = 1, at = CASE WHEN at < ? THEN ? ELSE at END WHERE submission_id = ? AND answered = 0"
)
_GIVEN_UP = "UPDATE attempts SET state = 'failed', error_code = 'given_up', error = ? WHERE attempt_id = ?"
_OWNER = """
INSERT INTO accounts (account, owner) VALUES (?, ?) ON CONFLICT (account) DO UPDATE SET owner = excluded.owner"""
_CLAIM = """
UPDATE attempts SET account = ?
WHERE state IN ('sending', 'in progress', 'unsure') AND task_id IN (SELECT task_id FROM tasks WHERE job = ?)
  AND account IN (SELECT account FROM accounts WHERE owner = ? AND account <> ?)"""
_ELSEWHERE = """
SELECT COUNT(*) FROM attempts a JOIN tasks t USING (task_id)
WHERE t.job = ? AND a.account <> ? AND a.state IN ('sending', 'in progress')"""
# What a task that was made once holds is what it was made from; the next plan brings what its row holds now.
_REPLAN = "UPDATE jobs SET fingerprint = '' WHERE job = ?"
_SAME_ID = """
SELECT t.row_number FROM attempts a JOIN tasks t USING (task_id), (SELECT account, operation FROM attempts WHERE attempt_id = ?) own
WHERE a.remote_id = ? AND a.account = own.account AND a.operation = own.operation AND a.attempt_id <> ?"""
_FORGET = "DELETE FROM attempts WHERE attempt_id = ?"
_UNMADE = """
UPDATE tasks SET made_hash = ''
WHERE task_id = ? AND NOT EXISTS (SELECT 1 FROM attempts WHERE attempts.task_id = tasks.task_id)"""
_CURRENT = "SELECT task_id, state FROM tasks WHERE job = ? AND row_id = ? AND step = ? AND item = ?"


def record(db: Db, news: News) -> News:
    """Write down one piece of news, inside the caller's transaction; returns it as it was written."""
    found = db.execute(_ATTEMPT, (news.attempt_id,)).fetchone()
    if found is None:
        return news
    task_id, submission_id, is_newest = found[0], found[2], bool(found[5])
    before, task_state = State(found[1]), State(found[4])
    if news.answered:
        db.execute(_ANSWERED, (news.at, news.at, submission_id))
    if before is State.IN_PROGRESS and news.state is State.IN_PROGRESS and not news.outputs:
        db.execute(_CHECKED, (news.word, news.word, news.at, news.missing, news.attempt_id))
        return news
    if before in FINAL and news.state is not before:
        cause = f"said {news.word or news.state.value} after it was {before.value}; ignored"
        _note(db, task_id, replace(news, state=before, cause=cause), before=before)
        return news
    if before is not news.state and not may_move(before, news.state):
        raise ValueError(
            f"attempt {news.attempt_id} cannot move from {before.value} to {news.state.value} ({news.cause})"
        )
    if before in (State.SENDING, State.UNSURE) and news.remote_id:
        news = _distinct(db, news)
    if is_newest and task_state is before and before is not news.state:
        move_task(
            db,
            task_id,
            before=task_state,
            after=news.state,
            attempt_id=news.attempt_id,
            at=news.at,
            source=news.source,
            cause=news.cause,
        )
    elif not is_newest:
        _note(db, task_id, news, before=before)
    if news.state is State.WAITING:
        _let_go(db, task_id, news, before=before)
    else:
        _update(db, news, outputs=json.loads(found[3]))
    return news


def _distinct(db: Db, news: News) -> News:
    """An id that another attempt already has cannot be ours: which of the two rows the work belongs to is unknown."""
    other = db.execute(_SAME_ID, (news.attempt_id, news.remote_id, news.attempt_id)).fetchone()
    if other is None:
        return news
    message = f"the API gave it the id {news.remote_id}, which row {other[0]} has already; maybe made and charged"
    return replace(
        news, state=State.UNSURE, remote_id="", outputs={}, cause=message, error_code="duplicate_id", error=message,
        advice="decide with: batcher settle", cost=None, completed_at=None,
    )  # fmt: skip


def _note(db: Db, task_id: int, news: News, *, before: State) -> None:
    note(
        db,
        task_id,
        before=before,
        after=news.state,
        attempt_id=news.attempt_id,
        at=news.at,
        source=news.source,
        cause=news.cause,
    )


def _let_go(db: Db, task_id: int, news: News, *, before: State) -> None:
    """The task waits again: what becomes of the attempt depends on whether it may have been made."""
    if before is State.UNSURE:
        db.execute(_GIVEN_UP, (news.cause, news.attempt_id))  # kept: the next attempt gets another key
        return
    db.execute(_FORGET, (news.attempt_id,))  # proven not made: as if it had never been tried
    db.execute(_UNMADE, (task_id,))


def _update(db: Db, news: News, *, outputs: dict[str, str]) -> None:
    merged = json.dumps({**outputs, **news.outputs}, ensure_ascii=False)
    accepted = news.state in (State.IN_PROGRESS, *FINAL)
    db.execute(
        _UPDATE,
        (
            news.state.value,
            merged,
            news.remote_id,
            news.remote_id,
            news.word,
            news.word,
            news.error_code,
            news.error,
            news.advice,
            news.cost,
            news.completed_at if news.state in FINAL else None,
            news.took_s,
            accepted,
            news.at,
            news.checked,
            news.at,
            news.missing,
            news.checked,
            news.attempt_id,
        ),
    )


def claim(db: Db, job: str, account: str, owner: str) -> int:
    """As `Ledger.claim`, inside the caller's transaction."""
    if owner:
        db.execute(_OWNER, (account, owner))
        db.execute(_CLAIM, (account, job, owner, account))
    count: int = db.execute(_ELSEWHERE, (job, account)).fetchone()[0]
    return count


def again(db: Db, keys: Collection[TaskKey], *, cause: str, at: float) -> int:
    """As `Ledger.again`, inside the caller's transaction."""
    moved = 0
    for key in keys:
        found = db.execute(_CURRENT, (key.job, key.row_id, key.step, key.item)).fetchone()
        if found is None or State(found[1]) not in FINAL:
            continue
        before = State(found[1])
        move_task(
            db, found[0], before=before, after=State.WAITING, attempt_id=None, at=at, source=Source.PERSON, cause=cause
        )
        db.execute(_REPLAN, (key.job,))
        moved += 1
    return moved
