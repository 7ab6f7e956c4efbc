"""Files that tasks need, and the ones that accounts hold."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from itertools import islice

from batcher.files import SeenFile
from batcher.ledger.db import Db, among
from batcher.ledger.moving import move_task
from batcher.ledger.values import Need, Planned
from batcher.model import Asset, Source, State

GROUP = 500
"""Files per look-up: below SQLite's oldest limit of 999 parameters."""

_HELD = """
SELECT 1 FROM assets a WHERE a.account = ? AND a.digest = n.digest AND (a.expires_at IS NULL OR a.expires_at > ?)"""
HAS_ALL = f"NOT EXISTS (SELECT 1 FROM needs n WHERE n.task_id = tasks.task_id AND NOT EXISTS ({_HELD}))"
"""Whether the account holds every file that a row of `tasks` needs; its values are the account and the time."""

_WANTED = f"""
SELECT n.digest, MIN(n.path), MIN(n.size), MIN(n.place) FROM needs n JOIN tasks t ON t.task_id = n.task_id
WHERE t.job = ? AND t.state = 'waiting' AND t.gone = 0 AND t.held = 0 AND t.not_before <= ? AND NOT EXISTS ({_HELD})
  AND {{only}}
GROUP BY n.digest ORDER BY MIN(t.row_number), n.digest"""
_ASSETS = """
SELECT digest, asset_id, url, expires_at FROM assets
WHERE account = ? AND (expires_at IS NULL OR expires_at > ?) AND digest IN ({marks})"""
# Whatever its age: admission has just found it young enough.
_OF_TASKS = """
SELECT n.task_id, a.account, a.digest, a.asset_id, a.url, a.expires_at FROM needs n JOIN assets a ON a.digest = n.digest
WHERE n.task_id IN ({values})"""
_UPLOADED = """
INSERT INTO assets (account, digest, asset_id, url, expires_at) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (account, digest) DO UPDATE SET asset_id = excluded.asset_id, url = excluded.url, expires_at = excluded.expires_at"""
_NEEDERS = """
SELECT t.task_id, n.place FROM needs n JOIN tasks t ON t.task_id = n.task_id
WHERE n.digest = ? AND t.job = ? AND t.state = 'waiting' AND t.gone = 0"""
_FLAWED = "UPDATE tasks SET flaws = ? WHERE task_id = ?"
_FORGET = """
DELETE FROM assets
WHERE account = (SELECT account FROM attempts WHERE attempt_id = ?)
  AND digest IN (SELECT n.digest FROM needs n JOIN attempts a ON a.task_id = n.task_id WHERE a.attempt_id = ?)"""
_TASK = "SELECT task_id FROM tasks WHERE job = ? AND row_id = ? AND step = ? AND item = ?"
_NO_NEEDS = "DELETE FROM needs WHERE task_id = ?"
_NEED = "INSERT INTO needs (task_id, digest, path, size, place) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"


def set_needs(db: Db, task: Planned, task_id: int | None = None) -> None:
    """What a task needs from now on; None for a new task, which needed nothing before."""
    if task_id is not None:
        db.execute(_NO_NEEDS, (task_id,))
    if not task.needs:
        return
    key = task.key
    found = task_id or db.execute(_TASK, (key.job, key.row_id, key.step, key.item)).fetchone()[0]
    db.executemany(_NEED, [(found, need.digest, need.path, need.size, need.place) for need in task.needs])


def only_rows(rows: Collection[str] | None) -> tuple[str, Sequence[str]]:
    """A condition on `row_id` that only these rows meet, with its values; all rows meet it when None."""
    if not rows:
        return ("1 = 1" if rows is None else "1 = 0"), ()
    return f"row_id IN ({', '.join('?' * len(rows))})", tuple(rows)


def wanted(db: Db, job: str, account: str, *, at: float, rows: Collection[str] | None) -> list[Need]:
    """As `Ledger.wanted`."""
    only, row_ids = only_rows(rows)
    found = db.execute(_WANTED.format(only=only), (job, at, account, at, *row_ids))
    return [Need(digest=digest, path=path, size=size, place=place) for digest, path, size, place in found]


def assets(db: Db, account: str, digests: Collection[str], *, at: float) -> dict[str, Asset]:
    """As `Ledger.assets`."""
    found: dict[str, Asset] = {}
    rest = iter(dict.fromkeys(digests))
    while some := list(islice(rest, GROUP)):
        query = _ASSETS.format(marks=", ".join("?" * len(some)))
        found |= _by_digest(db.execute(query, (account, at, *some)))
    return found


def assets_of(db: Db, task_ids: Sequence[int], account: str) -> dict[int, dict[str, Asset]]:
    """What the account holds of the files that tasks need, by task and digest; tasks that need none are not in it."""
    rows: dict[int, list[tuple[str, str, str, float | None]]] = {}
    for task_id, holder, *asset in among(db, _OF_TASKS, task_ids):
        if holder == account:
            rows.setdefault(task_id, []).append((asset[0], asset[1], asset[2], asset[3]))
    return {task_id: _by_digest(found) for task_id, found in rows.items()}


def _by_digest(rows: Iterable[tuple[str, str, str, float | None]]) -> dict[str, Asset]:
    return {
        digest: Asset(digest=digest, asset_id=asset_id, url=url, expires_at=expires_at)
        for digest, asset_id, url, expires_at in rows
    }


def uploaded(db: Db, account: str, asset: Asset) -> None:
    """As `Ledger.uploaded`, inside the caller's transaction."""
    db.execute(_UPLOADED, (account, asset.digest, asset.asset_id, asset.url, asset.expires_at))


def unusable(db: Db, job: str, digest: str, *, reason: str, at: float) -> int:
    """As `Ledger.unusable`, inside the caller's transaction."""
    found = db.execute(_NEEDERS, (digest, job)).fetchall()
    for task_id, place in found:
        db.execute(_FLAWED, (json.dumps([(place, reason)], ensure_ascii=False), task_id))
        move_task(
            db,
            task_id,
            before=State.WAITING,
            after=State.INVALID,
            attempt_id=None,
            at=at,
            source=Source.ANSWER,
            cause=reason,
        )
    return len(found)


def forget_assets(db: Db, attempt_id: int) -> None:
    """As `Ledger.forget_assets`, inside the caller's transaction."""
    db.execute(_FORGET, (attempt_id, attempt_id))


def files(db: Db, job: str) -> list[SeenFile]:
    """As `Ledger.files`."""
    rows = db.execute("SELECT path, size, mtime_ns, digest FROM local_files WHERE job = ? ORDER BY path", (job,))
    return [SeenFile(path=path, size=size, mtime_ns=mtime_ns, digest=digest) for path, size, mtime_ns, digest in rows]


def saw(db: Db, job: str, seen: Collection[SeenFile]) -> None:
    """As `Ledger.saw`, inside the caller's transaction."""
    db.execute("DELETE FROM local_files WHERE job = ?", (job,))
    values = [(job, each.path, each.size, each.mtime_ns, each.digest) for each in seen]
    db.executemany("INSERT INTO local_files (job, path, size, mtime_ns, digest) VALUES (?, ?, ?, ?, ?)", values)
