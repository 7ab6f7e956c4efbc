"""Who sends what: workers that are alive, and what the others have left behind."""

from __future__ import annotations

from batcher.ledger.admission import ATTEMPT, attempt_from
from batcher.ledger.db import Db
from batcher.model import Attempt

_ALIVE = """
INSERT INTO holders (holder, alive_until) VALUES (?, ?)
ON CONFLICT (holder) DO UPDATE SET alive_until = excluded.alive_until WHERE holders.alive_until >= ?
RETURNING holder"""
_LEFT = f"""{ATTEMPT} WHERE t.job = ? AND a.account = ? AND a.state = 'sending'
  AND NOT EXISTS (SELECT 1 FROM holders h WHERE h.holder = s.holder AND h.alive_until >= ?)
ORDER BY a.attempt_id"""
_TAKE = "UPDATE submissions SET holder = ? WHERE submission_id = ?"


def alive(db: Db, holder: str, *, at: float, until: float) -> bool:
    """As `Ledger.alive`, inside the caller's transaction."""
    return db.execute(_ALIVE, (holder, until, at)).fetchone() is not None


def take_over(db: Db, job: str, account: str, holder: str, *, at: float) -> list[Attempt]:
    """As `Ledger.take_over`, inside the caller's transaction."""
    found = db.execute(_LEFT, (job, account, at)).fetchall()
    db.executemany(_TAKE, [(holder, row[16]) for row in found])
    return [attempt_from(row) for row in found]
