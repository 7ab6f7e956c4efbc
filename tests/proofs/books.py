"""What the ledger, the sheet and the results say, read without any code of batcher's: the checker trusts nobody."""

from __future__ import annotations

import csv
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import openpyxl

_TASKS = """
SELECT TRIM(t.row_id || ' ' || t.step), t.state, COALESCE(a.remote_id, ''), COALESCE(a.token, ''), COALESCE(a.key, '')
FROM tasks t LEFT JOIN attempts a ON a.task_id = t.task_id
    AND a.number = (SELECT MAX(number) FROM attempts WHERE attempts.task_id = t.task_id)
WHERE t.job = ? AND t.gone = 0 ORDER BY t.row_number, t.task_id"""
_MOVES = """
SELECT TRIM(t.row_id || ' ' || t.step), m.from_state, m.to_state, m.source FROM moves m JOIN tasks t USING (task_id)
WHERE t.job = ? ORDER BY m.rowid"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """
    One task in the ledger, with the newest of its attempts; texts are empty before the first one.

    Attributes:
        row_id: With the step behind it in a chain: titles are made so too.
    """

    row_id: str
    state: str
    remote_id: str
    token: str
    key: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Moved:
    """One line of the ledger's history."""

    row_id: str
    before: str
    after: str
    source: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Books:
    """
    Everything the ledger holds of a job.

    Attributes:
        damage: What SQLite's own integrity check complains about; empty when the file is whole.
    """

    entries: Sequence[Entry]
    moves: Sequence[Moved]
    damage: str


def read_books(state: Path, job: str) -> Books:
    """Read the ledger of a state folder; one that was never made is empty."""
    path = state / "loopback.db"
    if not path.exists():
        return Books(entries=(), moves=(), damage="")
    with open_copy(path) as db:
        said = "; ".join(str(row[0]) for row in db.execute("PRAGMA integrity_check"))
        if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'tasks'").fetchone():
            return Books(entries=(), moves=(), damage="" if said == "ok" else said)
        entries = [
            Entry(row_id=row_id, state=state, remote_id=remote_id, token=token, key=key)
            for row_id, state, remote_id, token, key in db.execute(_TASKS, (job,))
        ]
        moves = [
            Moved(row_id=row_id, before=before, after=after, source=source)
            for row_id, before, after, source in db.execute(_MOVES, (job,))
        ]
    return Books(entries=entries, moves=moves, damage="" if said == "ok" else said)


def read_shared_books(address: str, job: str) -> Books:
    """Read a ledger in PostgreSQL, which looks after its own files."""
    import psycopg

    with psycopg.connect(address) as db:
        db.execute("SET search_path = batcher_loopback")
        entries = db.execute(_TASKS.replace("?", "%s").encode(), (job,)).fetchall()
        moves = db.execute(_MOVES.replace("?", "%s").encode(), (job,)).fetchall()
    return Books(
        entries=[
            Entry(row_id=row_id, state=state, remote_id=remote_id, token=token, key=key)
            for row_id, state, remote_id, token, key in entries
        ],
        moves=[
            Moved(row_id=row_id, before=before, after=after, source=source) for row_id, before, after, source in moves
        ],
        damage="",
    )


@contextmanager
def open_copy(path: Path) -> Iterator[sqlite3.Connection]:
    """
    Open a copy of a database with what belongs to it: recovery after a kill writes, and evidence is not written to.
    """
    with tempfile.TemporaryDirectory() as folder:
        for suffix in ("", "-wal", "-journal"):
            beside = path.with_name(path.name + suffix)
            if beside.exists():
                shutil.copy(beside, folder)
        with closing(sqlite3.connect(Path(folder) / path.name)) as db:
            yield db


def read_table(path: Path) -> list[list[str]]:
    """
    All records of a CSV file or of the first tab of a workbook, the header first.

    Raises:
        csv.Error, UnicodeDecodeError, zipfile.BadZipFile, KeyError: It is not a whole file.
    """
    if path.suffix == ".xlsx":
        tab = openpyxl.load_workbook(path).worksheets[0]
        return [["" if cell is None else str(cell) for cell in row] for row in tab.iter_rows(values_only=True)]
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.reader(file, strict=True))
