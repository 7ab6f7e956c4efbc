"""Who may be sent now: hold-offs, rate windows, slots and budget as one decision."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from batcher.ledger.db import Db, change_rows, insert_rows
from batcher.ledger.filing import HAS_ALL, assets_of, only_rows
from batcher.ledger.identity import batch_key
from batcher.ledger.schema import one_of
from batcher.ledger.values import Admission, Admitted, Candidate, Gate, Prepared
from batcher.model import OPEN, Asset, Attempt, State, TaskKey
from batcher.units import Rate

_HELD = "SELECT held_until, held_why FROM accounts WHERE account = ? AND held_until > ? AND held_until < ?"
# Instants far ahead were written by a clock that was wrong: they count from now on, instead of for as long as it was ahead.
_AHEAD = "UPDATE sends SET at = ? WHERE account = ? AND at > ?"
# A request under way counts as if it reached the server last of all; an answered one from its answer on.
_UNDER_WAY = "SELECT COUNT(*) FROM sends WHERE account = ? AND answered = 0 AND at > ?"
_ANSWERED = "SELECT COUNT(*) FROM sends WHERE account = ? AND answered = 1 AND at > ?"
ARRIVED = """
UPDATE sends SET answered = 1, at = CASE WHEN at < ? THEN ? ELSE at END WHERE answered = 0 AND submission_id IN ({ids})"""
"""These requests have reached the server by then: the answer is there, or the process that sent them is gone."""

_NTH_NEWEST = "SELECT at FROM sends WHERE account = ? AND answered = 1 ORDER BY at DESC LIMIT 1 OFFSET ?"
# Quickly counted, and never too few: what holds no slot any more is still among them.
_SLOTS_AT_MOST = f"SELECT COUNT(*) FROM attempts WHERE account = ? AND {one_of(OPEN)}"
_SLOTS = f"""
SELECT COUNT(*) FROM attempts a JOIN submissions s USING (submission_id)
WHERE a.account = ? AND {one_of(OPEN, "a.state")} AND a.ended_at IS NULL
  AND COALESCE(a.accepted_at, s.first_sent_at) > ?
  AND NOT (a.state = 'unsure' AND a.operation IN ({{values}}) AND s.first_sent_at <= ?)"""
# Work that was given up or lost may have been charged all the same.
_SPENT = """
SELECT COALESCE(SUM(COALESCE(a.cost, a.estimate, 0)), 0) FROM attempts a JOIN tasks t USING (task_id)
WHERE t.job = ? AND (a.state <> 'failed' OR a.error_code IN ('given_up', 'lost'))"""
_WAITING = f"""
SELECT task_id, row_id, step, item, row_number, operation, path, body, estimate,
       (SELECT COALESCE(MAX(number), 0) + 1 FROM attempts WHERE attempts.task_id = tasks.task_id)
FROM tasks WHERE job = ? AND state = 'waiting' AND ready = 1 AND gone = 0 AND held = 0 AND not_before <= ? AND {HAS_ALL}
  AND {{only}}
ORDER BY row_number, task_id LIMIT ?"""
_SUBMISSIONS = """
INSERT INTO submissions (account, operation, key, first_sent_at, size, holder) VALUES {rows} RETURNING submission_id, key"""
_ATTEMPTS = """
INSERT INTO attempts (task_id, number, submission_id, account, operation, state, path, body, key, token, estimate, place)
VALUES {rows} RETURNING attempt_id, task_id"""
_SENDING = "UPDATE tasks SET state = 'sending', made_hash = input_hash WHERE task_id IN ({ids})"
_ADMITTED = """
INSERT INTO moves (task_id, attempt_id, at, from_state, to_state, source, cause)
SELECT task_id, attempt_id, CAST(? AS DOUBLE PRECISION), 'waiting', 'sending', 'plan', 'admitted' FROM attempts
WHERE attempt_id IN ({ids}) ORDER BY attempt_id"""
_HAS_BECOME = "SELECT 1 FROM submissions WHERE key = ? AND batch_id <> '' LIMIT 1"
_SENDS = "INSERT INTO sends (account, at, submission_id) VALUES {rows}"
_SUBMISSION_OF = "SELECT submission_id, place, attempt_id FROM attempts WHERE attempt_id = ? AND state = 'sending'"
_AGAIN = "UPDATE submissions SET sends = sends + 1 WHERE submission_id = ?"
_PRUNE = "DELETE FROM sends WHERE account = ? AND at < ?"

LONGEST_HOLD_S = 2 * 86400.0
"""A hold-off that ends later was written by a clock that was wrong: no Retry-After is longer than a day."""

OVERDUE_S = 24 * 3600.0
"""Age from which accepted work no longer holds a slot: the API has surely let go of it."""

KEPT_S = 31 * 86400.0
"""How long the log of sends is kept at least: another job of the account may count over a longer window than this one."""

MOST_RESENT = 1000
"""Attempts in doubt that one admission looks at; the rest comes with the next."""

ATTEMPT = """
SELECT a.attempt_id, t.job, t.row_id, t.step, t.item, t.row_number, a.operation, a.number, a.path, a.body, a.key, a.token,
       a.remote_id, s.first_sent_at, s.sends, a.estimate, a.submission_id, a.place, s.batch_id, s.size
FROM attempts a JOIN tasks t USING (task_id) JOIN submissions s USING (submission_id)"""


def attempt_from(row: Sequence[object]) -> Attempt:
    """An attempt from a row of `ATTEMPT`."""
    values: Sequence[object] = row
    return Attempt(
        attempt_id=int(str(values[0])),
        task=TaskKey(job=str(values[1]), row_id=str(values[2]), step=str(values[3]), item=str(values[4])),
        row_number=int(str(values[5])),
        operation=str(values[6]),
        number=int(str(values[7])),
        path=str(values[8]),
        body=str(values[9]),
        key=str(values[10]),
        token=str(values[11]),
        remote_id=str(values[12]),
        first_sent_at=datetime.fromtimestamp(float(str(values[13])), UTC),
        sends=int(str(values[14])),
        estimate=None if values[15] is None else float(str(values[15])),
        submission_id=int(str(values[16])),
        place=None if values[17] is None else int(str(values[17])),
        batch_id=str(values[18]),
        size=int(str(values[19])),
    )


def admit(db: Db, wish: Admission, prepare: Callable[[Candidate], Prepared]) -> Admitted:
    """As `Ledger.admit`, inside the caller's transaction."""
    held = db.execute(_HELD, (wish.account, wish.now, wish.now + LONGEST_HOLD_S)).fetchone()
    if held:
        return Admitted(attempts=(), gate=Gate.HELD_OFF, until=held[0])
    room, until = _room_in_windows(db, wish)
    at_most = min(wish.at_most, room)
    gate = Gate.WINDOW if room < wish.at_most else Gate.OPEN
    attempts, requests = _resend(db, wish, at_most)
    left = at_most - requests
    if left > 0:
        fresh, fresh_gate = _fresh(db, wish, left, prepare)
        attempts += fresh
        gate = fresh_gate if fresh_gate is not Gate.OPEN else gate
    return Admitted(attempts=attempts, gate=gate, until=until if gate is Gate.WINDOW else None)


def _room_in_windows(db: Db, wish: Admission) -> tuple[int, float | None]:
    """How many requests every window has room for, and when there will be room again."""
    room, until = 1_000_000, None
    if wish.windows:
        longest = max(KEPT_S, *(rate.window_s for rate in wish.windows))
        db.execute(_PRUNE, (wish.account, wish.now - longest - 2 * wish.grace_s))
        db.execute(_AHEAD, (wish.now, wish.account, wish.now + wish.grace_s))
    for rate in wish.windows:
        free, when = _room(db, wish, rate)
        if free < room:
            room, until = free, when
    return room, until


def _room(db: Db, wish: Admission, rate: Rate) -> tuple[int, float | None]:
    # an answer that another has written down may have come later than that by our clock
    window_s = rate.window_s + db.clocks_apart_s
    under_way = db.execute(_UNDER_WAY, (wish.account, wish.now - window_s - wish.grace_s)).fetchone()[0]
    answered = db.execute(_ANSWERED, (wish.account, wish.now - window_s)).fetchone()[0]
    free = max(0, rate.count - under_way - answered)
    if under_way >= rate.count:
        return 0, None
    # the next place opens when the oldest of the newest (count - under way) leaves the window
    oldest = db.execute(_NTH_NEWEST, (wish.account, max(0, rate.count - under_way - 1))).fetchone()
    return free, oldest[0] + window_s if oldest else None


def _resend(db: Db, wish: Admission, at_most: int) -> tuple[list[Attempt], int]:
    """The attempts of the submissions that go again, each submission once, and how many these are."""
    found = [db.execute(_SUBMISSION_OF, (attempt_id,)).fetchone() for attempt_id in wish.resend[:MOST_RESENT]]
    submissions: dict[int, Any] = {}
    for row in found:
        if row:
            submissions.setdefault(row[0], row)
    attempts: list[Attempt] = []
    chosen = list(submissions.values())[:at_most]
    for submission_id, place, attempt_id in chosen:
        db.execute(_AGAIN, (submission_id,))
        insert_rows(db, _SENDS, [(wish.account, wish.now, submission_id)])
        own = "a.attempt_id = ?" if place is None else "a.submission_id = ? AND a.place IS NOT NULL ORDER BY a.place"
        value = attempt_id if place is None else submission_id
        attempts += [attempt_from(row) for row in db.execute(f"{ATTEMPT} WHERE {own}", (value,))]
    return attempts, len(chosen)


def _fresh(
    db: Db, wish: Admission, at_most: int, prepare: Callable[[Candidate], Prepared]
) -> tuple[list[Attempt], Gate]:
    gate = Gate.OPEN
    tasks = at_most * max(wish.batch.values(), default=1)
    if wish.in_flight is not None:
        taken = _slots_taken(db, wish, at_least=wish.in_flight - tasks)
        if wish.in_flight - taken < tasks:
            tasks, gate = max(0, wish.in_flight - taken), Gate.SLOTS
    only, row_ids = only_rows(wish.rows)
    values = (wish.job, wish.now, wish.account, wish.now, *row_ids, tasks + 1)
    rows = db.execute(_WAITING.format(only=only) + db.claiming, values).fetchall()
    if len(rows) <= tasks:
        gate = Gate.NOTHING_WAITING
    elif gate is Gate.SLOTS and tasks == 0:
        return [], gate
    affordable = _affordable(db, wish, rows[:tasks])
    groups = _groups(wish, affordable, at_most)
    if sum(map(len, groups)) < len(affordable):
        gate = Gate.OPEN  # every sender has something to carry
    elif len(affordable) < len(rows[:tasks]):
        gate = Gate.BUDGET
    return _begin(db, wish, groups, prepare), gate


def _slots_taken(db: Db, wish: Admission, *, at_least: int) -> int:
    """How many slots are taken; where even all that could be are no more than `at_least`, no closer look is needed."""
    at_most: int = db.execute(_SLOTS_AT_MOST, (wish.account,)).fetchone()[0]
    if at_most <= at_least:
        return at_most
    at_once = tuple(wish.at_once) or ("",)
    values = (wish.account, wish.now - OVERDUE_S, *at_once, wish.now - wish.grace_s)
    taken: int = db.execute(_SLOTS.format(values=", ".join("?" * len(at_once))), values).fetchone()[0]
    return taken


def _affordable(db: Db, wish: Admission, rows: list[Any]) -> list[Any]:
    """The first of the tasks that the budget still covers."""
    if wish.budget is None:
        return rows
    left = wish.budget - db.execute(_SPENT, (wish.job,)).fetchone()[0]
    for count, row in enumerate(rows):
        left -= row[8] or 0.0
        if left < -1e-9:
            return rows[:count]
    return rows


def _groups(wish: Admission, rows: list[Any], at_most: int) -> list[list[Any]]:
    """The tasks of each request, in the order of the sheet: those of one operation together as far as one may carry."""
    groups: list[list[Any]] = []
    unfilled: dict[str, list[Any]] = {}
    for row in rows:
        operation = row[5]
        group = unfilled.get(operation)
        if group is None:
            if len(groups) == at_most:
                break
            group = []
            groups.append(group)
        group.append(row)
        unfilled[operation] = group
        if len(group) >= wish.batch.get(operation, 1):
            del unfilled[operation]
    return groups


def _begin(db: Db, wish: Admission, groups: list[list[Any]], prepare: Callable[[Candidate], Prepared]) -> list[Attempt]:
    """Write down that the tasks of each group are being sent together."""
    if not groups:
        return []
    begun: list[tuple[str, list[_Begun]]] = []
    held = assets_of(db, [row[0] for rows in groups for row in rows], wish.account)
    for rows in groups:
        made = [_Begun(row, wish.job, held.get(row[0], {}), prepare) for row in rows]
        key = made[0].ready.key if len(made) == 1 else _key_of_batch(db, [each.ready.key for each in made])
        begun.append((key, made))
    values = [(wish.account, made[0].operation, key, wish.now, len(made), wish.holder) for key, made in begun]
    submissions = {key: submission_id for submission_id, key in insert_rows(db, _SUBMISSIONS, values)}
    rows = [
        each.row(wish.account, submissions[key], key, place, len(made))
        for key, made in begun
        for place, each in enumerate(made)
    ]
    attempts = {task_id: attempt_id for attempt_id, task_id in insert_rows(db, _ATTEMPTS, rows)}
    change_rows(db, _SENDING, (), list(attempts))
    insert_rows(db, _SENDS, [(wish.account, wish.now, submission_id) for submission_id in submissions.values()])
    change_rows(db, _ADMITTED, (wish.now,), list(attempts.values()))
    return [
        each.attempt(attempts[each.candidate.task_id], submissions[key], key, place, len(made), wish.now)
        for key, made in begun
        for place, each in enumerate(made)
    ]


def _key_of_batch(db: Db, keys: Sequence[str]) -> str:
    """The first key of these attempts under which the API has made no batch yet; what was refused may ask again under its own."""
    tried = (batch_key(keys, times=times) for times in itertools.count())
    return next(key for key in tried if db.execute(_HAS_BECOME, (key,)).fetchone() is None)


class _Begun:
    """A waiting task on its way to an attempt."""

    def __init__(
        self, row: Any, job: str, assets: Mapping[str, Asset], prepare: Callable[[Candidate], Prepared]
    ) -> None:
        task_id, row_id, step, item, self.row_number, self.operation, path, body, self.estimate, number = row
        key = TaskKey(job=job, row_id=row_id, step=step, item=item)
        self.candidate = Candidate(task_id=task_id, key=key, number=number, path=path, body=body, assets=assets)
        self.ready = prepare(self.candidate)

    def row(self, account: str, submission_id: int, key: str, place: int, size: int) -> tuple[Any, ...]:
        """As the table holds it."""
        own, ready = self.candidate, self.ready
        start = (own.task_id, own.number, submission_id, account, self.operation, State.SENDING.value, own.path)
        return (*start, ready.body, key, ready.token, self.estimate, place if size > 1 else None)

    def attempt(self, attempt_id: int, submission_id: int, key: str, place: int, size: int, now: float) -> Attempt:
        """As it is sent."""
        return Attempt(
            attempt_id=attempt_id,
            task=self.candidate.key,
            row_number=self.row_number,
            operation=self.operation,
            number=self.candidate.number,
            path=self.candidate.path,
            body=self.ready.body,
            key=key,
            token=self.ready.token,
            first_sent_at=datetime.fromtimestamp(now, UTC),
            sends=1,
            estimate=self.estimate,
            submission_id=submission_id,
            place=place if size > 1 else None,
            size=size,
        )
