"""What a ledger promises."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from batcher.files import SeenFile
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
from batcher.model import Asset, Attempt, State, TaskKey


class Ledger(Protocol):
    """
    The durable memory of jobs, tasks and accounts.

    Every method is one transaction: when it returns, what it did survives a power cut; when it raises, nothing
    happened. Instants are unix seconds and come from the caller.

    Raises:
        LedgerError: From every method: it cannot be read or written.
    """

    def register(self, record: JobRecord) -> None:
        """
        Make the job known, or renew what is known of it.

        Raises:
            InputError: Another job file that still exists uses the same label.
        """

    def job(self, job: str) -> JobRecord | None:
        """What is known of a job; None when nothing is."""

    def lock(self, job: str, *, shared: bool = False) -> AbstractContextManager[None]:
        """
        Hold the job: one run of it at a time, over all who use this ledger; a holder that dies lets go of it.

        Args:
            job: Its label.
            shared: Beside others who share it, as workers do; only a run of its own is kept out.

        Raises:
            NotFinished: Another run holds it.
            LedgerError: The ledger has been moved since it was opened.
        """

    def known(self, job: str, row_ids: Collection[str]) -> Mapping[TaskKey, Known]:
        """The tasks of some rows; rows that the ledger has never seen are not in it."""

    def items(self, job: str) -> Sequence[str]:
        """The members of the fan-out that a job has tasks for, in the order in which they first came."""

    def row_ids(self, job: str) -> Sequence[str]:
        """All row ids of a job that are not gone, in the order of the sheet."""

    def rows_made(self, job: str) -> int:
        """How many rows of a job were ever sent, those that are gone from the sheet left out."""

    def plan(self, job: str, tasks: Iterable[Asked], finish: Callable[[], JobRecord], *, at: float) -> None:
        """
        Bring the ledger in line with the sheet: new tasks come in, unsent ones take their newest content.

        A task that was ever sent keeps its state; that its row has changed since is kept beside it. Tasks that `tasks`
        does not bring are marked as gone, and never sent. What `tasks` or `finish` raise undoes all of it.

        Args:
            job: Whose tasks they are.
            tasks: Read once, in the order of the sheet; each with what `known` tells of it when it is asked meanwhile.
            finish: Called after the last task; its counts and fingerprint hold from now on.
        """

    def blocked(self, job: str, row_ids: Collection[str] | None = None) -> Sequence[Blocked]:
        """The tasks of these rows that wait for an earlier step; of all rows when None."""

    def unblock(self, tasks: Sequence[Planned], *, at: float) -> None:
        """Give blocked tasks what will be sent, or, where they have flaws, make them invalid."""

    def block(self, job: str, row_ids: Collection[str]) -> int:
        """Later steps of these rows that are not sent yet wait for the earlier ones again; returns how many do."""

    def admit(self, wish: Admission, prepare: Callable[[Candidate], Prepared]) -> Admitted:
        """
        Move waiting tasks to *sending*, as many as the account admits, and write down that they are being sent.

        Hold-offs, rate windows, slots and budget are one decision in one transaction; windows count requests, slots and
        budget count tasks. What was seen to have ended holds no slot, though it is in progress until its links are read.
        What is returned must be sent at once: from here on each of them may have been charged. Tasks that go together in
        one request are attempts of one submission, whose key is made from theirs. A task that needs a file which the
        account does not hold stays where it is.

        Args:
            wish: Who asks, for how much, under which limits.
            prepare: Makes the final body, key and token of a task; pure.
        """

    def record(self, news: Sequence[News]) -> Sequence[News]:
        """
        Write down what was learned, all of it in one transaction.

        Returns:
            The news as they were written; outputs that were known are no news of work in progress. An id that the
            ledger already holds for another attempt is no acceptance: the API has mixed two rows up, the attempt is
            unsure, and the other one is flagged.

        States that are final stay: a worse word for a finished attempt is noted as a move from and to the same state,
        and so is fresh news of one (renewed links). News of an older attempt is kept on that attempt and does not move
        the task. A doubt about an attempt that another process has settled meanwhile is noted, and changes nothing.
        """

    def filed(self, files: Sequence[FileRecord]) -> None:
        """
        Write down what has become of files, each noted as a move of its task from and to the same state.

        A task has one record for each output: the newer one replaces the older, also that of an earlier attempt.
        """

    def claim(self, job: str, account: str, owner: str) -> int:
        """
        Open work of a job that another key of the same owner has made becomes this account's.

        Args:
            owner: Whose account it is, as the API says; empty when it does not say.

        Returns:
            How much open work of the job belongs to other accounts, and cannot be looked after with this one.
        """

    def in_flight(self, job: str, account: str) -> Sequence[InFlight]:
        """All accepted work of a job at an account without an outcome, oldest first."""

    def in_doubt(self, job: str, account: str) -> Sequence[Attempt]:
        """All attempts of a job at an account in *sending*, oldest first; those of a batch in its order."""

    def alive(self, holder: str, *, at: float, until: float) -> bool:
        """
        Believe a worker to be alive until then; with an `until` that is not after `at` it goes, and leaves what it held.

        Returns:
            False when it was not believed to be any more: what it held may be another's by now. It must let go of it,
            and go on under a new name.
        """

    def take_over(self, job: str, account: str, holder: str, *, at: float) -> Sequence[Attempt]:
        """
        The attempts of a job at an account in *sending* whose holder is not alive at `at`, oldest first.

        From now on they are `holder`'s. Each may have been made: it is looked for, never sent blindly. For the rate its
        request counts as one that has reached the server now: whoever sent it sends nothing more.
        """

    def unsure(self, job: str) -> Sequence[Attempt]:
        """All attempts of a job whose fate a person must decide."""

    def places(self, account: str) -> Mapping[str, int]:
        """How many attempts of each job are in work or unsure, and so may hold places of an account."""

    def find(
        self,
        *,
        job: str | None = None,
        account: str | None = None,
        keys: Collection[str] | None = None,
        attempts: Collection[int] | None = None,
    ) -> Sequence[Attempt]:
        """
        Attempts in any state, oldest first; None means all.

        Args:
            job: Those of this job.
            account: Those of this account.
            keys: Those that were sent under one of these keys.
            attempts: Those with these numbers.
        """

    def examine(self, job: str) -> Sequence[Contradiction]:
        """Everything in which the ledger, of which every page is read, contradicts itself about a job."""

    def hold_off(self, account: str, *, until: float, reason: str) -> None:
        """No request of the account before `until`; a later end that is already known stays."""

    def held_off(self, account: str) -> tuple[float, str]:
        """Until when the account is held off, and why; (0, "") when it is not."""

    def again(self, keys: Collection[TaskKey], *, cause: str, at: float) -> int:
        """
        Done and failed tasks become waiting ones, on a person's word; returns how many did. Later steps of their rows
        that are not sent yet wait for the earlier ones again.

        The job must be planned again before anything is admitted: until then a task holds what it was last made from.
        """

    def known_ids(self, remote_ids: Collection[str]) -> Collection[str]:
        """Those of some ids that any attempt of any job has."""

    def adopt(self, found: Mapping[TaskKey, str], account: str, *, at: float) -> Mapping[TaskKey, int]:
        """
        Work that was made elsewhere becomes an attempt of its task, accepted now, *in progress* until its outcome is
        recorded; only for tasks that are waiting or invalid.

        Args:
            found: The task of each piece of work, to its id at the API.
            account: Whose work it is.

        Returns:
            The attempt of each task; none for a task in another state.
        """

    def counts(self, job: str) -> Mapping[State, int]:
        """Rows by their word, the worst of their tasks' states; rows that are gone from the sheet left out."""

    def held(self, job: str, *, now: float) -> Mapping[State, int]:
        """How many of the rows that `counts` tells as waiting or invalid are held back, by a person or until their day."""

    def waiting(self, job: str, *, now: float) -> Waiting:
        """What waits to be sent and is not held."""

    def mark(self) -> str:
        """Names the state of the ledger: while it stays the same, nothing has moved."""

    def written(self, job: str, mark: str, *, renew_at: float | None, fingerprint: str = "") -> None:
        """
        The results file of a job shows the state that `mark` names; its first link should be renewed at `renew_at`.

        Args:
            fingerprint: That of sheet, job and catalogue from now on, where the writing itself has changed the sheet.
        """

    def spent(self, job: str) -> tuple[float, float]:
        """What the finished rows of a job have cost, and what those in work are expected to cost."""

    def standings(self, job: str, row_ids: Collection[str] | None = None) -> Sequence[Standing]:
        """Where the tasks of these rows stand; of all rows when None, in the order of the sheet."""

    def finished(self, job: str) -> Iterator[Standing]:
        """
        Where the tasks that are done stand, in the order of the sheet; of rows that are gone none.

        They are read a few at a time, so that a million of them take no more memory than a thousand, and not in one
        transaction: one that is recorded meanwhile may come or not.
        """

    def render_times(self, account: str, operation: str) -> Sequence[float]:
        """How long the newest pieces of work took, in seconds, newest first, at most a hundred."""

    def wanted(self, job: str, account: str, *, at: float, rows: Collection[str] | None = None) -> Sequence[Need]:
        """
        The files that waiting tasks of a job need and the account does not hold, each content once, in row order.

        Args:
            rows: The ids of the only rows that count; None for all of them.
        """

    def assets(self, account: str, digests: Collection[str], *, at: float) -> Mapping[str, Asset]:
        """Those of these files that the account holds, by their digests."""

    def uploaded(self, account: str, asset: Asset) -> None:
        """The account holds a file; what was known of the same content is replaced."""

    def unusable(self, job: str, digest: str, *, reason: str, at: float) -> int:
        """Waiting tasks of a job that need a file become invalid, with the place where it is named; how many did."""

    def forget_assets(self, attempt_id: int) -> None:
        """The account no longer holds what an attempt needs: it is uploaded anew for whatever is sent next."""

    def files(self, job: str) -> Sequence[SeenFile]:
        """The local files that the last plan of a job has looked at."""

    def saw(self, job: str, files: Collection[SeenFile]) -> None:
        """These are the files that a plan of the job has looked at, and no others."""

    def sample(self, job: str) -> Sample:
        """The sample rows of a job; an empty one before there were any."""

    def keep_sample(self, job: str, sample: Sample) -> None:
        """These are the sample rows of a job, and what they have shown; replaces what was kept."""

    def approval(self, job: str) -> Approval | None:
        """What a person has agreed to, with what has become of it since; None when nobody has, or it was withdrawn."""

    def approve(self, job: str, approval: Approval | None) -> None:
        """A person agrees, in place of what was agreed before; None withdraws it."""

    def hand_over(self, handed: Handed) -> None:
        """Workers look after a job, from now on or as is said here; what was said of it before is replaced."""

    def handed(self) -> Sequence[Handed]:
        """
        All jobs that were ever handed over to workers, in the order of their labels.

        Raises:
            LedgerError: The ledger has been moved since it was opened; whoever watches a job would wait for ever.
        """

    def close(self) -> None:
        """Let go of the file."""
