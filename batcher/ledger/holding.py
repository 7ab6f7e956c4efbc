"""Who does what: jobs that workers look after, workers that are alive, and what the others have left behind."""

from __future__ import annotations

from batcher.ledger.admission import ARRIVED, ATTEMPT, attempt_from
from batcher.ledger.db import Db, change_rows
from batcher.ledger.values import Handed
from batcher.model import Attempt

_ALIVE = """
INSERT INTO holders (holder, alive_until) VALUES (?, ?)
ON CONFLICT (holder) DO UPDATE SET alive_until = excluded.alive_until WHERE holders.alive_until >= ?
RETURNING holder"""
# Of workers that have died nobody asks after a day: nothing that they could still send is that old.
_GONE = "DELETE FROM holders WHERE holder = ? OR alive_until < ?"
_REMEMBERED_S = 86400.0
_LEFT = f"""{ATTEMPT} WHERE t.job = ? AND a.account = ? AND a.state = 'sending'
  AND NOT EXISTS (SELECT 1 FROM holders h WHERE h.holder = s.holder AND h.alive_until >= ?)
ORDER BY a.attempt_id"""
_TAKE = "UPDATE submissions SET holder = ? WHERE submission_id = ?"
_COLUMNS = Handed.__struct_fields__
_HANDED = f"SELECT {', '.join(_COLUMNS)} FROM handed ORDER BY job"
_HAND_OVER = f"""
INSERT INTO handed ({", ".join(_COLUMNS)}) VALUES ({", ".join("?" * len(_COLUMNS))})
ON CONFLICT (job) DO UPDATE SET {", ".join(f"{name} = excluded.{name}" for name in _COLUMNS[1:])}"""


def hand_over(db: Db, handed: Handed) -> None:
    """As `Ledger.hand_over`, inside the caller's transaction."""
    db.execute(_HAND_OVER, tuple(getattr(handed, name) for name in _COLUMNS))


def handed(db: Db) -> list[Handed]:
    """As `Ledger.handed`."""
    return [Handed(**dict(zip(_COLUMNS, row, strict=True))) for row in db.execute(_HANDED)]


def alive(db: Db, holder: str, *, at: float, until: float) -> bool:
    """As `Ledger.alive`, inside the caller's transaction."""
    if until <= at:
        db.execute(_GONE, (holder, at - _REMEMBERED_S))
        return True
    return db.execute(_ALIVE, (holder, until, at)).fetchone() is not None


def take_over(db: Db, job: str, account: str, holder: str, *, at: float) -> list[Attempt]:
    """As `Ledger.take_over`, inside the caller's transaction."""
    found = db.execute(_LEFT, (job, account, at)).fetchall()
    db.executemany(_TAKE, [(holder, row[16]) for row in found])
    change_rows(db, ARRIVED, (at, at), [int(row[16]) for row in found])
    return [attempt_from(row) for row in found]
