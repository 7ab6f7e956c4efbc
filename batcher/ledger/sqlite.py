"""The ledger as one SQLite file."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

from batcher.errors import LedgerError
from batcher.ledger.db import Db, Touched
from batcher.ledger.lock import job_lock, making_lock
from batcher.ledger.reserve import Reserve
from batcher.ledger.schema import APPLICATION_ID, MIGRATIONS, SCHEMA_VERSION, TABLES, statements
from batcher.ledger.sql import SqlLedger, T
from batcher.ledger.values import Admission, Admitted, Candidate, Contradiction, News, Prepared

BUSY_S = 60

PAGE_BYTES = 8192
"""Of a new ledger: an attempt and its task are more than a kilobyte each, and twice the usual size halves what a commit costs."""


_STATEMENTS = 1024
"""Texts of statements that are kept prepared."""

_CHANGE = re.compile(r"\bINSERT(?= INTO )|\bUPDATE(?= \w+ SET )")


class _Connection(sqlite3.Connection):
    """A `Db`: whoever writes is alone, so that nothing needs to be claimed row by row."""

    claiming: ClassVar[str] = ""
    clocks_apart_s: ClassVar[float] = 0.0

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        """See `Db.execute`."""
        return super().execute(_undoing_all(sql), parameters)

    def stream(self, sql: str, /) -> Iterator[Any]:
        """See `Db.stream`: SQLite never brings more than one row at a time."""
        return self.execute(sql)


class SqliteLedger(SqlLedger):
    """
    A `Ledger` in one file, readable by its owner alone.

    Write-ahead log with `synchronous=FULL`: with NORMAL a power cut was measured to forget paid work. Every write
    begins with `BEGIN IMMEDIATE`, so that two processes queue instead of failing half-way.

    A few megabytes beside it are reserved before the first request is admitted: on a full disk they are let go, so that
    the answers in the air can still be written down.

    Args:
        path: The file; its folder is made when it is not there.

    Raises:
        LedgerError: It is damaged, not a ledger, or of a newer version.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._reserve = Reserve(path)
        self.name = str(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            log = path.with_name(f"{path.name}-wal")
            was_left_open = log.exists() and log.stat().st_size > 0
            self._db: _Connection = sqlite3.connect(
                path, isolation_level=None, timeout=BUSY_S, cached_statements=_STATEMENTS, factory=_Connection
            )
        except sqlite3.Error as error:
            raise self._trouble(error) from error
        except OSError as error:
            raise LedgerError(f"{path}: the ledger cannot be opened: {error.strerror}") from error
        try:
            self._file = self._identity()
            self._open()
            if was_left_open:
                self._check()
        except sqlite3.Error as error:
            self._db.close()
            raise self._trouble(error) from error
        except LedgerError:
            self._db.close()
            raise

    def _open(self) -> None:
        db = self._db
        # in this order: another process that makes the ledger meanwhile writes tables and id at once
        tables = db.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]
        found = db.execute("PRAGMA application_id").fetchone()[0]
        if found != APPLICATION_ID and tables:
            raise LedgerError(
                f"{self._path}: this is a database, but not a ledger of batcher; point BATCHER_STATE elsewhere"
            )
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            raise LedgerError(
                f"{self._path}: written by a newer batcher (version {version}); upgrade batcher on this machine"
            )
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA foreign_keys = ON")
        if version == 0:
            with making_lock(self._path.parent):
                db.execute(f"PRAGMA page_size = {PAGE_BYTES}")
                db.execute("PRAGMA journal_mode = WAL")
                self._create()
            return
        db.execute("PRAGMA journal_mode = WAL")
        if version < SCHEMA_VERSION:
            self._migrate()

    def _check(self) -> None:
        """Look at the structure of the whole file: after an unclean end it may be torn where no query looks today."""
        found = self._db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise self._trouble(sqlite3.DatabaseError(f"malformed: {found}"))

    def _create(self) -> None:
        with self._writing() as db:
            if db.execute("PRAGMA user_version").fetchone()[0]:
                return  # another process was quicker
            for statement in statements(TABLES):
                db.execute(statement)
            db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def _migrate(self) -> None:
        """Bring the ledger of an older batcher up to date, all of it or nothing."""
        with self._writing() as db:
            for version in range(db.execute("PRAGMA user_version").fetchone()[0], SCHEMA_VERSION):
                for statement in MIGRATIONS[version]:
                    db.execute(statement)
            db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def _identity(self) -> tuple[int, int] | None:
        """Which file stands at the ledger's path; None when there is none."""
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def _trouble(self, error: sqlite3.Error) -> LedgerError:
        text = str(error)
        if "malformed" in text or "not a database" in text:
            return LedgerError(
                f"{self._path}: the ledger is damaged ({text}); nothing is sent. Restore it from a backup"
            )
        return LedgerError(f"{self._path}: the ledger cannot be used: {text}")

    def _write(self, work: Callable[[Db], T], touched: Touched | None = None, *, repeats: bool = False) -> T:  # noqa: ARG002
        """See `SqlLedger._write`: there is one writer at a time, whatever is touched."""
        with self._writing() as db:
            return work(db)

    @contextmanager
    def _writing(self) -> Iterator[_Connection]:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                if self._identity() != self._file:  # SQLite would go on writing into a file that has no name any more
                    raise LedgerError(f"{self._path}: the ledger has been moved or deleted while batcher was using it")
            except BaseException:
                if self._db.in_transaction:  # a full disk has undone it already
                    self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise self._trouble(error) from error

    @contextmanager
    def _reading(self) -> Iterator[_Connection]:
        """See `SqlLedger._reading`."""
        try:
            yield self._db
        except sqlite3.Error as error:
            raise self._trouble(error) from error

    def admit(self, wish: Admission, prepare: Callable[[Candidate], Prepared]) -> Admitted:
        """See `Ledger.admit`."""
        self._reserve.hold()
        return super().admit(wish, prepare)

    def record(self, news: Sequence[News]) -> Sequence[News]:
        """See `Ledger.record`."""
        try:
            return super().record(news)
        except LedgerError as error:
            if _lacks_room(error) and self._reserve.release():
                return super().record(news)
            raise

    def examine(self, job: str) -> Sequence[Contradiction]:
        """See `Ledger.examine`; every page of the file is read."""
        with self._reading() as db:
            found = db.execute("PRAGMA integrity_check(1)").fetchone()[0]
            if found != "ok":
                raise self._trouble(sqlite3.DatabaseError(f"malformed: {found}"))
        return super().examine(job)

    def locked(self, job: str, *, shared: bool = False) -> AbstractContextManager[None]:
        """See `SqlLedger.locked`: a file beside the ledger, which the kernel lets go of when the process dies."""
        return job_lock(self._path.parent / "locks", job, shared=shared)

    def numbers_taken(self, db: Db) -> None:
        """See `SqlLedger.numbers_taken`: SQLite looks for the highest one itself."""

    def close(self) -> None:
        """See `Ledger.close`."""
        self._db.close()


@lru_cache(maxsize=_STATEMENTS)
def _undoing_all(sql: str) -> str:
    """
    A statement that undoes the whole transaction where it fails, as ours would be undone anyway.

    One that might have to be undone alone makes SQLite write down every page before it changes it: half of all that a
    run writes to the disk.
    """
    return sql if "ON CONFLICT" in sql else _CHANGE.sub(r"\g<0> OR ROLLBACK", sql)


def _lacks_room(error: LedgerError) -> bool:
    """Whether a write failed for want of room; some file systems and quotas say so only as an I/O error."""
    code = getattr(error.__cause__, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
