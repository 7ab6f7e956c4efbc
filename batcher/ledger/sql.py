"""Everything a ledger does, in SQL that every database behind it understands."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TypeVar

from batcher.errors import LedgerError
from batcher.files import SeenFile
from batcher.ledger import admission, deciding, examining, filing, holding, planning, reading, recording
from batcher.ledger.db import Db, Touched
from batcher.ledger.values import (
    Admission,
    Admitted,
    Approval,
    Asked,
    Blocked,
    Candidate,
    Contradiction,
    FileRecord,
    Handed,
    InFlight,
    JobRecord,
    Known,
    Need,
    News,
    Planned,
    Prepared,
    Sample,
    Standing,
    Waiting,
)
from batcher.model import RANK, Asset, Attempt, State, TaskKey

T = TypeVar("T")

_HOLD = """
INSERT INTO accounts (account, held_until, held_why) VALUES (?, ?, ?)
ON CONFLICT (account) DO UPDATE SET held_until = excluded.held_until, held_why = excluded.held_why
WHERE excluded.held_until > accounts.held_until"""


class SqlLedger(ABC):
    """
    A `Ledger` in an SQL database; how it is opened, written and read stands with each database.

    Attributes:
        name: Where it is, as it may be shown to anybody.
    """

    name: str

    @abstractmethod
    def _write(self, work: Callable[[Db], T], touched: Touched | None = None, *, repeats: bool = False) -> T:
        """
        Carry out one transaction, durable when it returns.

        Args:
            work: Given the database; what it raises undoes all of it.
            touched: What it is about to change.
            repeats: It may be begun again, should the database have undone it for the sake of another one.
        """

    @abstractmethod
    def _reading(self) -> AbstractContextManager[Db]:
        """Read, without a transaction."""

    @abstractmethod
    def locked(self, job: str, *, shared: bool = False) -> AbstractContextManager[None]:
        """As `Ledger.lock`, also in a ledger that has been moved."""

    @abstractmethod
    def numbers_taken(self, db: Db) -> None:
        """Rows have come in with numbers of their own: give out none of them again."""

    @abstractmethod
    def close(self) -> None:
        """See `Ledger.close`."""

    def exclusively(self, work: Callable[[Db], T]) -> T:
        """Carry out one transaction during which nobody else changes anything."""
        return self._write(work, Touched(everything=True))

    def jobs(self) -> Sequence[str]:
        """The labels of all jobs."""
        with self._reading() as db:
            return [job for (job,) in db.execute("SELECT job FROM jobs ORDER BY job")]

    def moved_to(self) -> str:
        """Where it lives now; empty while it is here."""
        with self._reading() as db:
            found = db.execute("SELECT place FROM moved").fetchone()
            return str(found[0]) if found else ""

    def require_here(self) -> None:
        """
        Make sure that the ledger still lives here.

        Raises:
            LedgerError: It has been moved.
        """
        if moved := self.moved_to():
            raise LedgerError(
                f"{self.name}: this ledger has been moved to {moved}; let BATCHER_STATE say so, or the project file"
            )

    @contextmanager
    def lock(self, job: str, *, shared: bool = False) -> Iterator[None]:
        """See `Ledger.lock`: it may have been moved between its opening and now."""
        with self.locked(job, shared=shared):
            self.require_here()
            yield

    def register(self, record: JobRecord) -> None:
        """See `Ledger.register`."""
        self._write(lambda db: planning.register(db, record), Touched(jobs=[record.job]))

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

    def plan(self, job: str, tasks: Iterable[Asked], finish: Callable[[], JobRecord], *, at: float) -> None:
        """See `Ledger.plan`."""
        self._write(lambda db: planning.plan(db, job, tasks, finish, at=at), Touched(jobs=[job]))

    def blocked(self, job: str, row_ids: Collection[str] | None = None) -> Sequence[Blocked]:
        """See `Ledger.blocked`."""
        with self._reading() as db:
            return planning.blocked(db, job, row_ids)

    def unblock(self, tasks: Sequence[Planned], *, at: float) -> None:
        """See `Ledger.unblock`."""

        def work(db: Db) -> None:
            for task in tasks:
                planning.unblock(db, task, at=at)

        self._write(work, Touched(jobs=[task.key.job for task in tasks]), repeats=True)

    def block(self, job: str, row_ids: Collection[str]) -> int:
        """See `Ledger.block`."""
        return self._write(lambda db: planning.block(db, job, row_ids), Touched(jobs=[job]), repeats=True)

    def admit(self, wish: Admission, prepare: Callable[[Candidate], Prepared]) -> Admitted:
        """See `Ledger.admit`."""
        touched = Touched(jobs=[wish.job], beside_others=wish.budget is None, account=wish.account)
        return self._write(lambda db: admission.admit(db, wish, prepare), touched, repeats=True)

    def record(self, news: Sequence[News]) -> Sequence[News]:
        """See `Ledger.record`."""
        if not news:
            return news
        touched = Touched(attempts=[each.attempt_id for each in news])
        return self._write(lambda db: recording.record(db, news), touched, repeats=True)

    def filed(self, files: Sequence[FileRecord]) -> None:
        """See `Ledger.filed`."""

        def work(db: Db) -> None:
            for each in files:
                recording.filed(db, each)

        if files:
            self._write(work, Touched(attempts=[each.attempt_id for each in files]), repeats=True)

    def places(self, account: str) -> Mapping[str, int]:
        """See `Ledger.places`."""
        with self._reading() as db:
            return reading.places(db, account)

    def find(
        self,
        *,
        job: str | None = None,
        account: str | None = None,
        keys: Collection[str] | None = None,
        attempts: Collection[int] | None = None,
    ) -> Sequence[Attempt]:
        """See `Ledger.find`."""
        with self._reading() as db:
            return reading.find(db, job=job, account=account, keys=keys, attempts=attempts)

    def examine(self, job: str) -> Sequence[Contradiction]:
        """See `Ledger.examine`."""
        with self._reading() as db:
            return examining.examine(db, job)

    def claim(self, job: str, account: str, owner: str) -> int:
        """See `Ledger.claim`."""
        return self._write(lambda db: recording.claim(db, job, account, owner), Touched(jobs=[job]), repeats=True)

    def in_flight(self, job: str, account: str) -> Sequence[InFlight]:
        """See `Ledger.in_flight`."""
        with self._reading() as db:
            return reading.in_flight(db, job, account)

    def in_doubt(self, job: str, account: str) -> Sequence[Attempt]:
        """See `Ledger.in_doubt`."""
        with self._reading() as db:
            return reading.in_doubt(db, job, account)

    def alive(self, holder: str, *, at: float, until: float) -> bool:
        """See `Ledger.alive`."""
        return self._write(lambda db: holding.alive(db, holder, at=at, until=until), repeats=True)

    def take_over(self, job: str, account: str, holder: str, *, at: float) -> Sequence[Attempt]:
        """See `Ledger.take_over`."""
        return self._write(
            lambda db: holding.take_over(db, job, account, holder, at=at), Touched(jobs=[job]), repeats=True
        )

    def hand_over(self, handed: Handed) -> None:
        """See `Ledger.hand_over`."""
        self._write(lambda db: holding.hand_over(db, handed), repeats=True)

    def handed(self) -> Sequence[Handed]:
        """See `Ledger.handed`."""
        self.require_here()
        with self._reading() as db:
            return holding.handed(db)

    def unsure(self, job: str) -> Sequence[Attempt]:
        """See `Ledger.unsure`."""
        with self._reading() as db:
            return reading.attempts(db, job, State.UNSURE)

    def hold_off(self, account: str, *, until: float, reason: str) -> None:
        """See `Ledger.hold_off`."""
        self._write(lambda db: db.execute(_HOLD, (account, until, reason)))

    def held_off(self, account: str) -> tuple[float, str]:
        """See `Ledger.held_off`."""
        with self._reading() as db:
            found = db.execute("SELECT held_until, held_why FROM accounts WHERE account = ?", (account,)).fetchone()
            return (found[0], found[1]) if found else (0.0, "")

    def again(self, keys: Collection[TaskKey], *, cause: str, at: float) -> int:
        """See `Ledger.again`."""
        touched = Touched(jobs=[key.job for key in keys])
        return self._write(lambda db: recording.again(db, keys, cause=cause, at=at), touched, repeats=True)

    def known_ids(self, remote_ids: Collection[str]) -> Collection[str]:
        """See `Ledger.known_ids`."""
        with self._reading() as db:
            return reading.known_ids(db, remote_ids)

    def adopt(self, found: Mapping[TaskKey, str], account: str, *, at: float) -> Mapping[TaskKey, int]:
        """See `Ledger.adopt`."""
        touched = Touched(jobs=[key.job for key in found], account=account)
        return self._write(lambda db: recording.adopt(db, found, account, at=at), touched, repeats=True)

    def counts(self, job: str) -> Mapping[State, int]:
        """See `Ledger.counts`."""
        with self._reading() as db:
            return planning.counts(db, job, RANK)

    def held(self, job: str, *, now: float) -> Mapping[State, int]:
        """See `Ledger.held`."""
        with self._reading() as db:
            return planning.held(db, job, RANK, now=now)

    def waiting(self, job: str, *, now: float) -> Waiting:
        """See `Ledger.waiting`."""
        with self._reading() as db:
            return reading.waiting(db, job, now=now)

    def mark(self) -> str:
        """See `Ledger.mark`."""
        with self._reading() as db:
            return reading.mark(db)

    def written(self, job: str, mark: str, *, renew_at: float | None, fingerprint: str = "") -> None:
        """See `Ledger.written`."""

        def work(db: Db) -> None:
            db.execute("UPDATE jobs SET written = ?, renew_at = ? WHERE job = ?", (mark, renew_at, job))
            if fingerprint:
                db.execute("UPDATE jobs SET fingerprint = ? WHERE job = ?", (fingerprint, job))

        self._write(work)

    def spent(self, job: str) -> tuple[float, float]:
        """See `Ledger.spent`."""
        with self._reading() as db:
            return reading.spent(db, job)

    def standings(self, job: str, row_ids: Collection[str] | None = None) -> Sequence[Standing]:
        """See `Ledger.standings`."""
        with self._reading() as db:
            return reading.standings(db, job, row_ids)

    def finished(self, job: str) -> Iterator[Standing]:
        """See `Ledger.finished`."""
        row_number = -1
        while True:
            with self._reading() as db:
                some = reading.finished(db, job, after=row_number)
            if not some:
                return
            yield from some
            row_number = some[-1].row_number

    def render_times(self, account: str, operation: str) -> Sequence[float]:
        """See `Ledger.render_times`."""
        with self._reading() as db:
            return reading.render_times(db, account, operation)

    def wanted(self, job: str, account: str, *, at: float, rows: Collection[str] | None = None) -> Sequence[Need]:
        """See `Ledger.wanted`."""
        with self._reading() as db:
            return filing.wanted(db, job, account, at=at, rows=rows)

    def assets(self, account: str, digests: Collection[str], *, at: float) -> Mapping[str, Asset]:
        """See `Ledger.assets`."""
        with self._reading() as db:
            return filing.assets(db, account, digests, at=at)

    def uploaded(self, account: str, asset: Asset) -> None:
        """See `Ledger.uploaded`."""
        self._write(lambda db: filing.uploaded(db, account, asset), repeats=True)

    def unusable(self, job: str, digest: str, *, reason: str, at: float) -> int:
        """See `Ledger.unusable`."""
        touched = Touched(jobs=[job])
        return self._write(lambda db: filing.unusable(db, job, digest, reason=reason, at=at), touched, repeats=True)

    def forget_assets(self, attempt_id: int) -> None:
        """See `Ledger.forget_assets`."""
        self._write(lambda db: filing.forget_assets(db, attempt_id), repeats=True)

    def files(self, job: str) -> Sequence[SeenFile]:
        """See `Ledger.files`."""
        with self._reading() as db:
            return filing.files(db, job)

    def saw(self, job: str, files: Collection[SeenFile]) -> None:
        """See `Ledger.saw`."""
        self._write(lambda db: filing.saw(db, job, files), Touched(jobs=[job]), repeats=True)

    def sample(self, job: str) -> Sample:
        """See `Ledger.sample`."""
        with self._reading() as db:
            return deciding.sample(db, job)

    def keep_sample(self, job: str, sample: Sample) -> None:
        """See `Ledger.keep_sample`."""
        self._write(lambda db: deciding.keep_sample(db, job, sample), Touched(jobs=[job]), repeats=True)

    def approval(self, job: str) -> Approval | None:
        """See `Ledger.approval`."""
        with self._reading() as db:
            return deciding.approval(db, job)

    def approve(self, job: str, approval: Approval | None) -> None:
        """See `Ledger.approve`."""
        self._write(lambda db: deciding.approve(db, job, approval), Touched(jobs=[job]), repeats=True)
