"""Writing down what was learned about attempts."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from msgspec.json import Encoder, decode
from msgspec.structs import replace

from batcher.ledger.admission import ARRIVED
from batcher.ledger.db import Db, among, change_rows, insert_rows
from batcher.ledger.moving import Move, may_move, move_task, note, require_allowed, set_states
from batcher.ledger.planning import BY_WORD, block
from batcher.ledger.schema import one_of
from batcher.ledger.values import FileRecord, News
from batcher.model import FINAL, OPEN, Source, State, TaskKey

_JSON = Encoder()
_SENT = (State.SENDING, State.UNSURE)
_KNOWS_LESS = (State.SENDING, State.UNSURE, State.WAITING)
"""What a process says that has not heard of an attempt's acceptance."""

_ATTEMPTS = """
SELECT a.attempt_id, a.task_id, a.state, a.submission_id, a.outputs, t.state,
       a.number = (SELECT MAX(number) FROM attempts WHERE attempts.task_id = a.task_id), a.account, a.operation, t.row_number
FROM attempts a JOIN tasks t USING (task_id) WHERE a.attempt_id IN ({values})"""
# Many rows at once, since each statement lets the threads that send in between; casts tell PostgreSQL what a NULL is.
_UPDATE = """
WITH told (attempt_id, state, outputs, remote_id, word, error_code, error, advice, cost, completed_at, took_s, accepted_at, checked_at,
           misses) AS (VALUES {rows})
UPDATE attempts SET {remote_id} state = told.state, outputs = told.outputs,
    word = CASE WHEN told.word <> '' THEN told.word ELSE attempts.word END,
    error_code = told.error_code, error = told.error, advice = told.advice,
    cost = COALESCE(CAST(told.cost AS DOUBLE PRECISION), attempts.cost),
    completed_at = COALESCE(CAST(told.completed_at AS DOUBLE PRECISION), attempts.completed_at),
    took_s = COALESCE(CAST(told.took_s AS DOUBLE PRECISION), attempts.took_s),
    accepted_at = COALESCE(attempts.accepted_at, CAST(told.accepted_at AS DOUBLE PRECISION)),
    checked_at = COALESCE(CAST(told.checked_at AS DOUBLE PRECISION), attempts.checked_at),
    misses = CASE told.misses WHEN 'one more' THEN attempts.misses + 1 WHEN 'none' THEN 0 ELSE attempts.misses END
FROM told WHERE attempts.attempt_id = told.attempt_id"""
# What names an id writes its index anew, also where it is the same one: of most work it is known before it ends.
_WITH_ID = _UPDATE.replace("{remote_id}", "remote_id = told.remote_id,")
_WITHOUT_ID = _UPDATE.replace("{remote_id}", "")
_REMOTE_ID = 3
# That all is well is most of what is ever recorded before an end; a third of the values takes half of the time.
_ACCEPTED = """
WITH told (attempt_id, remote_id, word, at) AS (VALUES {rows})
UPDATE attempts SET state = 'in progress', error_code = '', error = '', advice = '',
    remote_id = CASE WHEN told.remote_id <> '' THEN told.remote_id ELSE attempts.remote_id END,
    word = CASE WHEN told.word <> '' THEN told.word ELSE attempts.word END,
    accepted_at = COALESCE(attempts.accepted_at, CAST(told.at AS DOUBLE PRECISION))
FROM told WHERE attempts.attempt_id = told.attempt_id"""
_CHECKED = """
UPDATE attempts SET word = CASE WHEN ? <> '' THEN ? ELSE word END, checked_at = ?, misses = CASE WHEN ? THEN misses + 1 ELSE 0 END,
    ended_at = CASE WHEN ? THEN COALESCE(ended_at, ?) ELSE ended_at END
WHERE attempt_id IN ({ids})"""
_GIVEN_UP = "UPDATE attempts SET state = 'failed', error_code = 'given_up', error = ? WHERE attempt_id = ?"
_OWNER = """
INSERT INTO accounts (account, owner) VALUES (?, ?) ON CONFLICT (account) DO UPDATE SET owner = excluded.owner"""
_CLAIM = f"""
UPDATE attempts SET account = ?
WHERE {one_of(OPEN)} AND task_id IN (SELECT task_id FROM tasks WHERE job = ?)
  AND account IN (SELECT account FROM accounts WHERE owner = ? AND account <> ?)"""
_ELSEWHERE = """
SELECT COUNT(*) FROM attempts a JOIN tasks t USING (task_id)
WHERE t.job = ? AND a.account <> ? AND a.state IN ('sending', 'in progress')"""
# What a task that was made once holds is what it was made from; the next plan brings what its row holds now.
_REPLAN = "UPDATE jobs SET fingerprint = '' WHERE job = ?"
# A later step must wait for its earlier ones anew, with what the plan brings: an input that no row has makes sure of it.
_ANEW = "UPDATE tasks SET input_hash = '' WHERE task_id = ?"
_HOLDERS = """
SELECT a.remote_id, a.account, a.operation, a.attempt_id, t.row_number FROM attempts a JOIN tasks t USING (task_id)
WHERE a.remote_id IN ({values}) AND a.remote_id <> ''"""
_BATCH = "UPDATE submissions SET batch_id = ? WHERE submission_id = ?"
_FLAG = "UPDATE attempts SET flag = ? WHERE attempt_id = ?"
_FORGET = "DELETE FROM attempts WHERE attempt_id = ?"
_UNMADE = """
UPDATE tasks SET made_hash = ''
WHERE task_id = ? AND NOT EXISTS (SELECT 1 FROM attempts WHERE attempts.task_id = tasks.task_id)"""
_ADOPTABLE = """
SELECT task_id, state, operation, path, body, estimate,
       (SELECT COALESCE(MAX(number), 0) + 1 FROM attempts WHERE attempts.task_id = tasks.task_id)
FROM tasks WHERE job = ? AND row_id = ? AND step = ? AND item = ?"""
# No key and no entry in the log of what was sent: this machine has sent nothing.
_MADE_ELSEWHERE = "INSERT INTO submissions (account, operation, key, first_sent_at, sends) VALUES (?, ?, '', ?, 0) RETURNING submission_id"
_ADOPTED = """
INSERT INTO attempts (task_id, number, submission_id, account, operation, state, path, body, key, token, remote_id, estimate, accepted_at)
VALUES (?, ?, ?, ?, ?, 'in progress', ?, ?, '', '', ?, ?, ?) RETURNING attempt_id"""
_MADE = "UPDATE tasks SET made_hash = input_hash, ready = 1 WHERE task_id = ?"
_FILE_OF = "SELECT t.task_id, t.state FROM attempts a JOIN tasks t USING (task_id) WHERE a.attempt_id = ?"
_FILED = """
INSERT INTO files (task_id, output, attempt_id, state, path, bytes, at, tries, reason) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (task_id, output) DO UPDATE SET attempt_id = excluded.attempt_id, state = excluded.state, path = excluded.path,
    bytes = excluded.bytes, at = excluded.at, tries = excluded.tries, reason = excluded.reason"""
_CURRENT = "SELECT task_id, state FROM tasks WHERE job = ? AND row_id = ? AND step = ? AND item = ?"


def record(db: Db, news: Sequence[News]) -> list[News]:
    """As `Ledger.record`, inside the caller's transaction."""
    written: list[News] = []
    group: list[News] = []
    seen: set[int] = set()
    for each in news:
        if each.attempt_id in seen:  # what comes second builds upon what the first has changed
            written += _record_group(db, group)
            group, seen = [], set()
        group.append(each)
        seen.add(each.attempt_id)
    return written + _record_group(db, group)


def _record_group(db: Db, news: Sequence[News]) -> list[News]:
    """Write down news of different attempts."""
    known = {row[0]: _Held._make(row[1:]) for row in among(db, _ATTEMPTS, [each.attempt_id for each in news])}
    holders = _Holders(db, [each.remote_id for each in news if each.remote_id])
    page = _Page()
    written = [
        page.take(each, held, holders) if (held := known.get(each.attempt_id)) is not None else each for each in news
    ]
    page.write(db)
    if holders.flags:
        db.executemany(_FLAG, holders.flags)
    return written


class _Held(NamedTuple):
    """What the ledger holds of an attempt before the news."""

    task_id: int
    state: str
    submission_id: int
    outputs: str
    task_state: str
    is_newest: bool
    account: str
    operation: str
    row_number: int


class _Holders:
    """Whose the ids are that the news brings: an id that another attempt has cannot be ours."""

    def __init__(self, db: Db, remote_ids: Sequence[str]) -> None:
        self._found: dict[tuple[str, str, str], dict[int, int]] = {}
        self.flags: list[tuple[str, int]] = []
        for remote_id, account, operation, attempt_id, row_number in among(db, _HOLDERS, remote_ids):
            self._found.setdefault((remote_id, account, operation), {})[attempt_id] = row_number

    def distinct(self, news: News, held: _Held) -> News:
        """The news; without its id, and unsure, when it is not known which of two rows the work belongs to."""
        holders = self._found.setdefault((news.remote_id, held.account, held.operation), {})
        other = next((each for each in holders.items() if each[0] != news.attempt_id), None) if holders else None
        if other is None:
            holders[news.attempt_id] = held.row_number
            return news
        whom = f"row {held.row_number} as well: look whose work it is before you use it"
        self.flags.append((f"the API gave its id {news.remote_id} to {whom}", other[0]))
        message = f"the API gave it the id {news.remote_id}, which row {other[1]} has already; maybe made and charged"
        return replace(
            news, state=State.UNSURE, remote_id="", outputs={}, cause=message, error_code="duplicate_id", error=message,
            advice="decide with: batcher settle", cost=None, completed_at=None, took_s=None, accepted_at=None, word="",
        )  # fmt: skip


class _Page:
    """What a group of news writes, collected so that each kind of statement is said once."""

    def __init__(self) -> None:
        self._answered: dict[int, float] = {}
        self._batches: list[tuple[Any, ...]] = []
        self._checked: dict[tuple[Any, ...], list[int]] = {}
        self._accepted: list[tuple[Any, ...]] = []
        self._updates: list[tuple[Any, ...]] = []
        self._given_up: list[tuple[Any, ...]] = []
        self._forgotten: list[tuple[int, int]] = []
        self._moves: list[Move] = []
        self._history: list[Move] = []

    def take(self, news: News, held: _Held, holders: _Holders) -> News:
        """One piece of news; returns it as it will be written."""
        before, task_state = BY_WORD[held.state], BY_WORD[held.task_state]
        if news.answered:
            self._answered[held.submission_id] = news.at
        if news.batch_id:
            self._batches.append((news.batch_id, held.submission_id))
        if before is news.state is State.IN_PROGRESS and not _adds(news, held.outputs):
            alike = (news.word, news.word, news.at, news.missing, news.ended, news.at)
            self._checked.setdefault(alike, []).append(news.attempt_id)
            return replace(news, outputs={}) if news.outputs else news
        if before in FINAL and news.state is not before:
            cause = f"said {news.word or news.state.value} after it was {before.value}; ignored"
            self._history.append(_move(held.task_id, replace(news, state=before, cause=cause), before=before))
            return news
        if before is not news.state and not may_move(before, news.state):
            if news.state in _KNOWS_LESS:
                cause = f"{news.cause}; ignored, another process has settled it"
                self._history.append(_move(held.task_id, replace(news, state=before, cause=cause), before=before))
                return replace(news, state=before)
            raise ValueError(
                f"attempt {news.attempt_id} cannot move from {before.value} to {news.state.value} ({news.cause})"
            )
        if before in _SENT and news.state is State.IN_PROGRESS and not news.remote_id:
            raise ValueError(f"attempt {news.attempt_id} cannot be in progress without an id: nobody could look for it")
        if before in _SENT and news.remote_id:
            news = holders.distinct(news, held)
        move = _move(held.task_id, news, before=before)
        if held.is_newest and task_state is before and before is not news.state:
            require_allowed(move)
            self._moves.append(move)
            self._history.append(move)
        elif not held.is_newest or before in FINAL:
            self._history.append(move)
        if _is_acceptance(news):
            self._accepted.append((news.attempt_id, news.remote_id, news.word, news.at))
        elif news.state is not State.WAITING:
            self._updates.append(_updated(news, outputs=held.outputs))
        elif before is State.UNSURE:
            self._given_up.append((news.cause, news.attempt_id))  # kept: the next attempt gets another key
        else:
            self._forgotten.append((news.attempt_id, held.task_id))  # proven not made: as if it had never been tried
        return news

    def write(self, db: Db) -> None:
        """Carry it out."""
        if self._answered:  # those that came back together count from when the last of them did
            at = max(self._answered.values())
            change_rows(db, ARRIVED, (at, at), list(self._answered))
        for alike, attempt_ids in self._checked.items():
            change_rows(db, _CHECKED, alike, attempt_ids)
        insert_rows(db, _ACCEPTED, self._accepted)
        insert_rows(db, _WITH_ID, [each for each in self._updates if each[_REMOTE_ID]])
        insert_rows(db, _WITHOUT_ID, [each for each in self._updates if not each[_REMOTE_ID]])
        statements: dict[str, list[tuple[Any, ...]]] = {
            _BATCH: self._batches,
            _GIVEN_UP: self._given_up,
            _FORGET: [(attempt_id,) for attempt_id, _ in self._forgotten],
            _UNMADE: [(task_id,) for _, task_id in self._forgotten],
        }
        for statement, rows in statements.items():
            if rows:
                db.executemany(statement, rows)
        set_states(db, self._moves)
        note(db, self._history)


def _move(task_id: int, news: News, *, before: State) -> Move:
    return Move(
        task_id=task_id,
        before=before,
        after=news.state,
        attempt_id=news.attempt_id,
        at=news.at,
        source=news.source,
        cause=news.cause,
    )


def _adds(news: News, outputs: str) -> bool:
    """Whether it brings outputs that are not known already."""
    return bool(news.outputs) and not news.outputs.items() <= decode(outputs).items()


def _is_acceptance(news: News) -> bool:
    """Whether nothing else was learned than that it is in progress, and its id."""
    if news.state is not State.IN_PROGRESS or news.checked or news.outputs:
        return False
    return not (news.error_code or news.error or news.advice) and news.cost is None and news.took_s is None


def _updated(news: News, *, outputs: str) -> tuple[Any, ...]:
    """The values of `_UPDATE`; the one at `_REMOTE_ID` is the id."""
    merged = {**decode(outputs), **news.outputs} if outputs != "{}" else news.outputs
    is_final = news.state in FINAL
    accepted_at = news.at if is_final or news.state is State.IN_PROGRESS else None
    return (
        news.attempt_id,
        news.state.value,
        _JSON.encode(merged).decode() if merged else "{}",
        news.remote_id,
        news.word,
        news.error_code,
        news.error,
        news.advice,
        news.cost,
        news.completed_at if is_final else None,
        news.took_s,
        accepted_at if news.accepted_at is None else news.accepted_at,
        news.at if news.checked else None,
        "one more" if news.missing else "none" if news.checked else "",
    )


def filed(db: Db, file: FileRecord) -> None:
    """As `Ledger.filed`, for one file, inside the caller's transaction."""
    found = db.execute(_FILE_OF, (file.attempt_id,)).fetchone()
    if found is None:
        return
    values = (file.state.value, file.path, file.bytes, file.at, file.tries, file.reason)
    db.execute(_FILED, (found[0], file.output, file.attempt_id, *values))
    state = State(found[1])
    cause = f"file of {file.output}: {file.state.value}"
    move = Move(
        task_id=found[0],
        before=state,
        after=state,
        attempt_id=file.attempt_id,
        at=file.at,
        source=Source.ANSWER,
        cause=cause,
    )
    note(db, [move])


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
        db.execute(_ANEW, (found[0],))
        db.execute(_REPLAN, (key.job,))
        moved += 1
    for job in {key.job for key in keys}:
        block(db, job, {key.row_id for key in keys if key.job == job})
    return moved


def adopt(db: Db, found: Mapping[TaskKey, str], account: str, *, at: float) -> dict[TaskKey, int]:
    """As `Ledger.adopt`, inside the caller's transaction."""
    adopted: dict[TaskKey, int] = {}
    for key, remote_id in found.items():
        task = db.execute(_ADOPTABLE, (key.job, key.row_id, key.step, key.item)).fetchone()
        if task is None or State(task[1]) not in (State.WAITING, State.INVALID):
            continue
        task_id, state, operation, path, body, estimate, number = task
        submission_id = db.execute(_MADE_ELSEWHERE, (account, operation, at)).fetchone()[0]
        values = (task_id, number, submission_id, account, operation, path, body or "{}", remote_id, estimate, at)
        attempt_id = int(db.execute(_ADOPTED, values).fetchone()[0])
        db.execute(_MADE, (task_id,))
        for before, after in _way_to_progress(State(state)):
            move_task(
                db,
                task_id,
                before=before,
                after=after,
                attempt_id=attempt_id,
                at=at,
                source=Source.PERSON,
                cause="adopted",
            )
        adopted[key] = attempt_id
    return adopted


def _way_to_progress(state: State) -> list[tuple[State, State]]:
    """The moves that lead a task from where it stands to *in progress*."""
    way = [State.INVALID, State.WAITING, State.SENDING, State.IN_PROGRESS]
    way = way[way.index(state) :]
    return list(pairwise(way))
