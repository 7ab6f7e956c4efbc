"""Who may be sent now: hold-offs, rate windows, slots and budget as one decision."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from batcher.ledger.db import Db
from batcher.ledger.moving import move_task
from batcher.ledger.protocol import Admission, Admitted, Candidate, Gate, Prepared
from batcher.model import Attempt, Source, State, TaskKey
from batcher.units import Rate

_HELD = "SELECT held_until, held_why FROM accounts WHERE account = ? AND held_until > ? AND held_until < ?"
# Instants far ahead were written by a clock that was wrong: they count from now on, instead of for as long as it was ahead.
_AHEAD = "UPDATE sends SET at = ? WHERE account = ? AND at > ?"
# A request under way counts as if it reached the server last of all; an answered one from its answer on.
_UNDER_WAY = "SELECT COUNT(*) FROM sends WHERE account = ? AND answered = 0 AND at > ?"
_ANSWERED = "SELECT COUNT(*) FROM sends WHERE account = ? AND answered = 1 AND at > ?"
_NTH_NEWEST = "SELECT at FROM sends WHERE account = ? AND answered = 1 ORDER BY at DESC LIMIT 1 OFFSET ?"
_SLOTS = """
SELECT COUNT(*) FROM attempts a JOIN submissions s USING (submission_id)
WHERE a.account = ? AND a.state IN ('sending', 'in progress', 'unsure') AND COALESCE(a.accepted_at, s.first_sent_at) > ?"""
# Work that was given up or lost may have been charged all the same.
_SPENT = """
SELECT COALESCE(SUM(COALESCE(a.cost, a.estimate, 0)), 0) FROM attempts a JOIN tasks t USING (task_id)
WHERE t.job = ? AND (a.state <> 'failed' OR a.error_code IN ('given_up', 'lost'))"""
_WAITING = """
SELECT task_id, row_id, step, item, row_number, operation, path, body, estimate,
       (SELECT COALESCE(MAX(number), 0) + 1 FROM attempts WHERE attempts.task_id = tasks.task_id)
FROM tasks WHERE job = ? AND state = 'waiting' AND ready = 1 AND gone = 0 ORDER BY row_number, task_id LIMIT ?"""
_SUBMISSION = (
    "INSERT INTO submissions (account, operation, key, first_sent_at) VALUES (?, ?, ?, ?) RETURNING submission_id"
)
_ATTEMPT = """
INSERT INTO attempts (task_id, number, submission_id, account, operation, state, path, body, key, token, estimate)
VALUES (?, ?, ?, ?, ?, 'sending', ?, ?, ?, ?, ?) RETURNING attempt_id"""
_MADE = "UPDATE tasks SET made_hash = input_hash WHERE task_id = ?"
_SEND = "INSERT INTO sends (account, at, submission_id) VALUES (?, ?, ?)"
_AGAIN = """
UPDATE submissions SET sends = sends + 1
WHERE submission_id = (SELECT submission_id FROM attempts WHERE attempt_id = ? AND state = 'sending')"""
_PRUNE = "DELETE FROM sends WHERE account = ? AND at < ?"

LONGEST_HOLD_S = 2 * 86400.0
"""A hold-off that ends later was written by a clock that was wrong: no Retry-After is longer than a day."""

OVERDUE_S = 24 * 3600.0
"""Age from which accepted work no longer holds a slot: the API has surely let go of it."""

KEPT_S = 31 * 86400.0
"""How long the log of sends is kept at least: another job of the account may count over a longer window than this one."""

ATTEMPT = """
SELECT a.attempt_id, t.job, t.row_id, t.step, t.item, t.row_number, a.operation, a.number, a.path, a.body, a.key, a.token,
       a.remote_id, s.first_sent_at, s.sends, a.estimate, a.submission_id
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
    )


def admit(db: Db, wish: Admission, prepare: Callable[[Candidate], Prepared]) -> Admitted:
    """As `Ledger.admit`, inside the caller's transaction."""
    held = db.execute(_HELD, (wish.account, wish.now, wish.now + LONGEST_HOLD_S)).fetchone()
    if held:
        return Admitted(attempts=(), gate=Gate.HELD_OFF, until=held[0])
    room, until = _room_in_windows(db, wish)
    at_most = min(wish.at_most, room)
    gate = Gate.WINDOW if room < wish.at_most else Gate.OPEN
    resent = [_resend(db, wish, attempt_id) for attempt_id in wish.resend[:at_most]]
    attempts = [attempt for attempt in resent if attempt is not None]
    left = at_most - len(attempts)
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
    under_way = db.execute(_UNDER_WAY, (wish.account, wish.now - rate.window_s - wish.grace_s)).fetchone()[0]
    answered = db.execute(_ANSWERED, (wish.account, wish.now - rate.window_s)).fetchone()[0]
    free = max(0, rate.count - under_way - answered)
    if under_way >= rate.count:
        return 0, None
    # the next place opens when the oldest of the newest (count - under way) leaves the window
    oldest = db.execute(_NTH_NEWEST, (wish.account, max(0, rate.count - under_way - 1))).fetchone()
    return free, oldest[0] + rate.window_s if oldest else None


def _resend(db: Db, wish: Admission, attempt_id: int) -> Attempt | None:
    db.execute(_AGAIN, (attempt_id,))
    found = db.execute(f"{ATTEMPT} WHERE a.attempt_id = ? AND a.state = 'sending'", (attempt_id,)).fetchone()
    if found is None:
        return None
    db.execute(_SEND, (wish.account, wish.now, found[16]))
    return attempt_from(found)


def _fresh(
    db: Db, wish: Admission, at_most: int, prepare: Callable[[Candidate], Prepared]
) -> tuple[list[Attempt], Gate]:
    gate = Gate.OPEN
    if wish.in_flight is not None:
        taken = db.execute(_SLOTS, (wish.account, wish.now - OVERDUE_S)).fetchone()[0]
        if wish.in_flight - taken < at_most:
            at_most, gate = max(0, wish.in_flight - taken), Gate.SLOTS
    rows = db.execute(_WAITING + db.claiming, (wish.job, at_most + 1)).fetchall()
    if len(rows) <= at_most:
        gate = Gate.NOTHING_WAITING
    elif gate is Gate.SLOTS and at_most == 0:
        return [], gate
    left = None if wish.budget is None else wish.budget - db.execute(_SPENT, (wish.job,)).fetchone()[0]
    attempts: list[Attempt] = []
    for row in rows[:at_most]:
        cost = row[8] or 0.0
        if left is not None and cost > left + 1e-9:
            return attempts, Gate.BUDGET
        left = None if left is None else left - cost
        attempts.append(_begin(db, wish, row, prepare))
    return attempts, gate


def _begin(db: Db, wish: Admission, row: Sequence[object], prepare: Callable[[Candidate], Prepared]) -> Attempt:
    task_id, row_id, step, item, row_number, operation, path, body, estimate, number = row
    key = TaskKey(job=wish.job, row_id=str(row_id), step=str(step), item=str(item))
    candidate = Candidate(task_id=int(str(task_id)), key=key, number=int(str(number)), path=str(path), body=str(body))
    ready = prepare(candidate)
    submission_id = db.execute(_SUBMISSION, (wish.account, operation, ready.key, wish.now)).fetchone()[0]
    values = (candidate.task_id, candidate.number, submission_id, wish.account, operation)
    attempt_id: int = db.execute(
        _ATTEMPT, (*values, candidate.path, ready.body, ready.key, ready.token, estimate)
    ).fetchone()[0]
    db.execute(_MADE, (candidate.task_id,))
    db.execute(_SEND, (wish.account, wish.now, submission_id))
    move_task(
        db,
        candidate.task_id,
        before=State.WAITING,
        after=State.SENDING,
        attempt_id=attempt_id,
        at=wish.now,
        source=Source.PLAN,
        cause="admitted",
    )
    return Attempt(
        attempt_id=attempt_id,
        task=key,
        row_number=int(str(row_number)),
        operation=str(operation),
        number=candidate.number,
        path=candidate.path,
        body=ready.body,
        key=ready.key,
        token=ready.token,
        first_sent_at=datetime.fromtimestamp(wish.now, UTC),
        sends=1,
        estimate=None if estimate is None else float(str(estimate)),
    )
