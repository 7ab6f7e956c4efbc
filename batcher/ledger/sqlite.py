"""The ledger as one SQLite file."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from batcher.errors import LedgerError
from batcher.files import SeenFile
from batcher.ledger import admission, examining, filing, planning, reading, recording
from batcher.ledger.protocol import (
    Admission,
    Admitted,
    Blocked,
    Candidate,
    Contradiction,
    FileRecord,
    InFlight,
    JobRecord,
    Known,
    Need,
    News,
    Planned,
    Prepared,
    Standing,
)
from batcher.ledger.reserve import Reserve
from batcher.ledger.schema import APPLICATION_ID, MIGRATIONS, SCHEMA_VERSION, TABLES
from batcher.model import WORST_FIRST, Asset, Attempt, State, TaskKey

BUSY_S = 60
_RANK = {state: rank for rank, state in enumerate(WORST_FIRST)}
_HOLD = """
INSERT INTO accounts (account, held_until, held_why) VALUES (?, ?, ?)
ON CONFLICT (account) DO UPDATE SET held_until = excluded.held_until, held_why = excluded.held_why
WHERE excluded.held_until > accounts.held_until"""


class SqliteLedger:
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
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            log = path.with_name(f"{path.name}-wal")
            was_left_open = log.exists() and log.stat().st_size > 0
            self._db = sqlite3.connect(path, isolation_level=None, timeout=BUSY_S, cached_statements=256)
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
        found = db.execute("PRAGMA application_id").fetchone()[0]
        tables = db.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]
        if found != APPLICATION_ID and tables:
            raise LedgerError(
                f"{self._path}: this is a database, but not a ledger of batcher; point BATCHER_STATE elsewhere"
            )
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            raise LedgerError(
                f"{self._path}: written by a newer batcher (version {version}); upgrade batcher on this machine"
            )
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA foreign_keys = ON")
        if version == 0:
            self._create()
        elif version < SCHEMA_VERSION:
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
            for statement in TABLES.split(";\n"):
                if statement.strip():
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

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
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
    def _reading(self) -> Iterator[sqlite3.Connection]:
        try:
            yield self._db
        except sqlite3.Error as error:
            raise self._trouble(error) from error

    def register(self, record: JobRecord) -> None:
        """See `Ledger.register`."""
        with self._writing() as db:
            planning.register(db, record)

    def job(self, job: str) -> JobRecord | None:
        """See `Ledger.job`."""
        with self._reading() as db:
            return planning.read_job(db, job)

    def known(self, job: str, row_ids: Collection[str]) -> Mapping[TaskKey, Known]:
        """See `Ledger.known`."""
        with self._reading() as db:
            return planning.known(db, job, row_ids)

    def items(self, job: str) -> Sequence[str]:
        """See `Ledger.items`."""
        with self._reading() as db:
            return planning.items(db, job)

    def row_ids(self, job: str) -> Sequence[str]:
        """See `Ledger.row_ids`."""
        with self._reading() as db:
            return planning.row_ids(db, job)

    def rows_made(self, job: str) -> int:
        """See `Ledger.rows_made`."""
        with self._reading() as db:
            return planning.rows_made(db, job)

    def plan(self, job: str, tasks: Iterable[Planned], finish: Callable[[], JobRecord], *, at: float) -> None:
        """See `Ledger.plan`."""
        with self._writing() as db:
            planning.plan(db, job, tasks, finish, at=at)

    def blocked(self, job: str, row_ids: Collection[str] | None = None) -> Sequence[Blocked]:
        """See `Ledger.blocked`."""
        with self._reading() as db:
            return planning.blocked(db, job, row_ids)

    def unblock(self, tasks: Sequence[Planned], *, at: float) -> None:
        """See `Ledger.unblock`."""
        with self._writing() as db:
            for task in tasks:
                planning.unblock(db, task, at=at)

    def block(self, job: str, row_ids: Collection[str]) -> int:
        """See `Ledger.block`."""
        with self._writing() as db:
            return planning.block(db, job, row_ids)

    def admit(self, wish: Admission, prepare: Callable[[Candidate], Prepared]) -> Admitted:
        """See `Ledger.admit`."""
        self._reserve.hold()
        with self._writing() as db:
            return admission.admit(db, wish, prepare)

    def record(self, news: Sequence[News]) -> Sequence[News]:
        """See `Ledger.record`."""
        if not news:
            return news
        try:
            return self._record(news)
        except LedgerError as error:
            if _lacks_room(error) and self._reserve.release():
                return self._record(news)
            raise

    def _record(self, news: Sequence[News]) -> list[News]:
        with self._writing() as db:
            return [recording.record(db, each) for each in news]

    def filed(self, files: Sequence[FileRecord]) -> None:
        """See `Ledger.filed`."""
        if files:
            with self._writing() as db:
                for each in files:
                    recording.filed(db, each)

    def find(
        self, *, job: str | None = None, account: str | None = None, keys: Collection[str] | None = None
    ) -> Sequence[Attempt]:
        """See `Ledger.find`."""
        with self._reading() as db:
            return reading.find(db, job=job, account=account, keys=keys)

    def examine(self, job: str) -> Sequence[Contradiction]:
        """See `Ledger.examine`; every page of the file is read."""
        with self._reading() as db:
            found = db.execute("PRAGMA integrity_check(1)").fetchone()[0]
            if found != "ok":
                raise self._trouble(sqlite3.DatabaseError(f"malformed: {found}"))
            return examining.examine(db, job)

    def claim(self, job: str, account: str, owner: str) -> int:
        """See `Ledger.claim`."""
        with self._writing() as db:
            return recording.claim(db, job, account, owner)

    def in_flight(self, job: str, account: str) -> Sequence[InFlight]:
        """See `Ledger.in_flight`."""
        with self._reading() as db:
            return reading.in_flight(db, job, account)

    def in_doubt(self, job: str, account: str) -> Sequence[Attempt]:
        """See `Ledger.in_doubt`."""
        with self._reading() as db:
            return reading.in_doubt(db, job, account)

    def unsure(self, job: str) -> Sequence[Attempt]:
        """See `Ledger.unsure`."""
        with self._reading() as db:
            return reading.attempts(db, job, State.UNSURE)

    def hold_off(self, account: str, *, until: float, reason: str) -> None:
        """See `Ledger.hold_off`."""
        with self._writing() as db:
            db.execute(_HOLD, (account, until, reason))

    def held_off(self, account: str) -> tuple[float, str]:
        """See `Ledger.held_off`."""
        with self._reading() as db:
            found = db.execute("SELECT held_until, held_why FROM accounts WHERE account = ?", (account,)).fetchone()
            return (found[0], found[1]) if found else (0.0, "")

    def again(self, keys: Collection[TaskKey], *, cause: str, at: float) -> int:
        """See `Ledger.again`."""
        with self._writing() as db:
            return recording.again(db, keys, cause=cause, at=at)

    def known_ids(self, remote_ids: Collection[str]) -> Collection[str]:
        """See `Ledger.known_ids`."""
        with self._reading() as db:
            return reading.known_ids(db, remote_ids)

    def adopt(self, found: Mapping[TaskKey, str], account: str, *, at: float) -> Mapping[TaskKey, int]:
        """See `Ledger.adopt`."""
        with self._writing() as db:
            return recording.adopt(db, found, account, at=at)

    def counts(self, job: str) -> Mapping[State, int]:
        """See `Ledger.counts`."""
        with self._reading() as db:
            return planning.counts(db, job, _RANK)

    def held(self, job: str, *, now: float) -> Mapping[State, int]:
        """See `Ledger.held`."""
        with self._reading() as db:
            return planning.held(db, job, _RANK, now=now)

    def waiting(self, job: str, *, now: float) -> tuple[int, float | None]:
        """See `Ledger.waiting`."""
        with self._reading() as db:
            return reading.waiting(db, job, now=now)

    def mark(self) -> str:
        """See `Ledger.mark`."""
        with self._reading() as db:
            return reading.mark(db)

    def written(self, job: str, mark: str, *, renew_at: float | None, fingerprint: str = "") -> None:
        """See `Ledger.written`."""
        with self._writing() as db:
            db.execute("UPDATE jobs SET written = ?, renew_at = ? WHERE job = ?", (mark, renew_at, job))
            if fingerprint:
                db.execute("UPDATE jobs SET fingerprint = ? WHERE job = ?", (fingerprint, job))

    def spent(self, job: str) -> tuple[float, float]:
        """See `Ledger.spent`."""
        with self._reading() as db:
            return reading.spent(db, job)

    def standings(self, job: str, row_ids: Collection[str] | None = None) -> Sequence[Standing]:
        """See `Ledger.standings`."""
        with self._reading() as db:
            return reading.standings(db, job, row_ids)

    def render_times(self, account: str, operation: str) -> Sequence[float]:
        """See `Ledger.render_times`."""
        with self._reading() as db:
            return reading.render_times(db, account, operation)

    def wanted(self, job: str, account: str, *, at: float) -> Sequence[Need]:
        """See `Ledger.wanted`."""
        with self._reading() as db:
            return filing.wanted(db, job, account, at=at)

    def assets(self, account: str, digests: Collection[str], *, at: float) -> Mapping[str, Asset]:
        """See `Ledger.assets`."""
        with self._reading() as db:
            return filing.assets(db, account, digests, at=at)

    def uploaded(self, account: str, asset: Asset) -> None:
        """See `Ledger.uploaded`."""
        with self._writing() as db:
            filing.uploaded(db, account, asset)

    def unusable(self, job: str, digest: str, *, reason: str, at: float) -> int:
        """See `Ledger.unusable`."""
        with self._writing() as db:
            return filing.unusable(db, job, digest, reason=reason, at=at)

    def forget_assets(self, attempt_id: int) -> None:
        """See `Ledger.forget_assets`."""
        with self._writing() as db:
            filing.forget_assets(db, attempt_id)

    def files(self, job: str) -> Sequence[SeenFile]:
        """See `Ledger.files`."""
        with self._reading() as db:
            return filing.files(db, job)

    def saw(self, job: str, files: Collection[SeenFile]) -> None:
        """See `Ledger.saw`."""
        with self._writing() as db:
            filing.saw(db, job, files)

    def close(self) -> None:
        """See `Ledger.close`."""
        self._db.close()


def _lacks_room(error: LedgerError) -> bool:
    """Whether a write failed for want of room; some file systems and quotas say so only as an I/O error."""
    code = getattr(error.__cause__, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
