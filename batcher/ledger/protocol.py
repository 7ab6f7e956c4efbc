"""What a ledger promises, and the values that go in and out of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from batcher.files import SeenFile
from batcher.model import Asset, Attempt, FileState, Length, Source, State, TaskKey
from batcher.units import Rate


@dataclass(frozen=True, kw_only=True, slots=True)
class JobRecord:
    """
    What the ledger knows of a job as a whole.

    Attributes:
        path: The job file, absolute; empty for a job made in Python.
        account: The account's name in the ledger.
        sheet: The sheet's path, absolute.
        fingerprint: Of sheet, job and catalogue at the last plan: while it stays, planning can be skipped.
        rows, skipped: Counted by the last plan.
        planned_at: Unix seconds; None before the first plan.
        written: The mark of the ledger's state that the results file shows; empty before there is one.
        renew_at: When the first of its links should be renewed, unix seconds; None while there is none that can be.
    """

    job: str
    path: str
    account: str
    operation: str
    sheet: str
    fingerprint: str = ""
    rows: int = 0
    skipped: int = 0
    planned_at: float | None = None
    written: str = ""
    renew_at: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Need:
    """
    A file that must be at the account before a task is sent.

    Attributes:
        digest: SHA-256 of its content, in hexadecimal.
        path: Where it lies, absolute.
        size: In bytes.
        place: Where it is named: a cell, or a line of the job.
    """

    digest: str
    path: str
    size: int
    place: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Planned:
    """
    One task as the sheet asks for it now.

    Attributes:
        operation: Name of the operation in the catalogue.
        path, body: What would be sent; empty when the row is invalid, or not ready.
        ready: False while an earlier step of the row must be done first.
        cells: Header to text, of all cells it needs to be made from later; empty when it is ready.
        flaws: Why the row is invalid, as (place, message); empty when it is not.
        estimate: What it will cost; None when that is not known.
        needs: The files that must be at the account before it is sent.
        held: A person keeps its row back: it is never sent while this is so.
        not_before: It is never sent before, unix seconds; 0 when nothing is said.
        made_from: The earlier steps whose outputs are in its body, each with the number of the attempt that they are
            of; 0 for a step that the row does not have.
    """

    key: TaskKey
    row_number: int
    operation: str
    input_hash: str
    path: str = ""
    body: str = ""
    ready: bool = True
    cells: Mapping[str, str] = field(default_factory=dict)
    flaws: tuple[tuple[str, str], ...] = ()
    estimate: float | None = None
    needs: tuple[Need, ...] = ()
    held: bool = False
    not_before: float = 0.0
    made_from: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Blocked:
    """
    A task that waits for an earlier step of its row.

    Attributes:
        cells: Header to text, as the plan has left them.
    """

    key: TaskKey
    row_number: int
    input_hash: str
    cells: Mapping[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """
    What the ledger holds of a task.

    Attributes:
        made_hash: The input from which the last attempt was made; empty before there was one.
        made_from: As `Planned.made_from`, for what was made last or is about to be.
        attempts: How many there were.
    """

    state: State
    input_hash: str
    made_hash: str
    made_from: Mapping[str, int] = field(default_factory=dict)
    attempts: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Waiting:
    """
    What of a job waits to be sent.

    Attributes:
        now: Tasks that wait for nothing else.
        later: Later steps that wait for the earlier ones of their rows. Where one of those has failed, is invalid or
            unsure, they wait for a person, and are counted nowhere here.
        cost: What all of them are expected to cost; None where no price is known.
    """

    now: int
    later: int
    cost: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """
    A waiting task about to become an attempt.

    Attributes:
        assets: The files that it needs, as the account holds them, by their digests.
    """

    task_id: int
    key: TaskKey
    number: int
    path: str
    body: str
    assets: Mapping[str, Asset] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """A candidate with everything that only the sender of it knows: the final body, its key and its token."""

    body: str
    key: str
    token: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Admission:
    """
    A wish to send, and the limits under which it may be granted.

    Attributes:
        at_most: How many requests there are free senders for.
        resend: Attempts in *sending* that are due to be sent again: they go first, and hold their slots already. One of
            a batch brings the whole batch, once.
        batch: Name of an operation to how many of its tasks one request may carry; those of others go alone.
        windows: Rates that hold for the whole account.
        in_flight: How many of the account may be in work at once; None without a cap.
        budget: What the job may spend in all, in the unit of the estimates; None without one.
        grace_s: How long after its sending an unanswered request may still reach the server.
        at_once: Names of operations whose answer is the outcome: what of them is unsure holds a slot only for `grace_s`.
        holder: The worker that will send; empty for a run that holds the job's lock.
        rows: The ids of the only rows of which new attempts are wanted; None for all of them.
    """

    job: str
    account: str
    now: float
    at_most: int
    resend: Sequence[int] = ()
    batch: Mapping[str, int] = field(default_factory=dict)
    windows: Sequence[Rate] = ()
    in_flight: int | None = None
    budget: float | None = None
    grace_s: float = 120.0
    at_once: Collection[str] = ()
    holder: str = ""
    rows: Collection[str] | None = None


class Gate(str, Enum):
    """Why no more was admitted."""

    OPEN = "open"
    NOTHING_WAITING = "nothing waiting"
    HELD_OFF = "held off"
    WINDOW = "window"
    SLOTS = "slots"
    BUDGET = "budget"


@dataclass(frozen=True, kw_only=True, slots=True)
class Admitted:
    """
    What may be sent now.

    Attributes:
        attempts: Those of one submission stand together, in the order in which it carries them.
        gate: Why there is not more.
        until: When it is worth asking again, unix seconds; None when something else must happen first.
    """

    attempts: Sequence[Attempt]
    gate: Gate
    until: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class News:
    """
    Something that was learned about an attempt.

    Attributes:
        state: Where the attempt stands now; the same state again only refreshes its details.
        answered: A request for it came to its end, so it no longer counts as under way.
        batch_id: The API's id of the batch that its submission has become; empty when that is not what was learned.
        outputs: Column to text; merged over what is known.
        missing: The API did not know the id: counted.
        took_s: How long it was in the making, in seconds; None where that is not known well.
        checked: The API was asked for its state (also when nothing had changed).
    """

    attempt_id: int
    state: State
    source: Source
    cause: str
    at: float
    answered: bool = False
    checked: bool = False
    missing: bool = False
    batch_id: str = ""
    remote_id: str = ""
    word: str = ""
    outputs: Mapping[str, str] = field(default_factory=dict)
    error_code: str = ""
    error: str = ""
    advice: str = ""
    cost: float | None = None
    completed_at: float | None = None
    took_s: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class FileRecord:
    """
    What has become of one file of a finished attempt.

    Attributes:
        output: The link that it is fetched from, by the name of its output: `video_url`.
        path: Where it stands or belongs, relative to the folder of the results file.
        bytes: Its size; 0 while it is not there.
        at: When this was learned, unix seconds.
        tries: How often it was tried in vain.
        reason: Why it is not there, or what a person should know of it; mostly empty where it is.
    """

    attempt_id: int
    output: str
    state: FileState
    path: str
    bytes: int = 0
    at: float
    tries: int = 0
    reason: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """
    Everything the results need to know of one task.

    Attributes:
        attempt_id: The newest attempt; 0 before there is one, and while the task waits.
        attempts: How many there were.
        submitted_at, completed_at: Unix seconds; None when it has not come to that.
        links_at: When the links were read, unix seconds.
        files: Output to what has become of its file, of whichever attempt it was.
        flag: What a person should know of it, whatever its state; empty when there is nothing.
        made_from: As `Planned.made_from`, for what was made last or is about to be.
        paid_before: What its earlier attempts have cost, those that were done.
    """

    key: TaskKey
    row_number: int
    state: State
    flaws: Sequence[tuple[str, str]] = ()
    changed: bool = False
    attempts: int = 0
    remote_id: str = ""
    word: str = ""
    outputs: Mapping[str, str] = field(default_factory=dict)
    error_code: str = ""
    error: str = ""
    advice: str = ""
    cost: float | None = None
    estimate: float | None = None
    submitted_at: float | None = None
    completed_at: float | None = None
    links_at: float | None = None
    attempt_id: int = 0
    files: Mapping[str, FileRecord] = field(default_factory=dict)
    flag: str = ""
    made_from: Mapping[str, int] = field(default_factory=dict)
    paid_before: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Contradiction:
    """
    Two things in the ledger that cannot both be true.

    Attributes:
        invariant: `I1` paid once, `I2` nothing forgotten, `I4` done and failed stay.
        row_number: As a spreadsheet shows it.
    """

    invariant: str
    row_number: int
    message: str


@dataclass(frozen=True, kw_only=True, slots=True)
class InFlight:
    """
    An accepted piece of work whose outcome is not known yet.

    Attributes:
        key: Whose it is.
        operation: Name of the operation in the catalogue.
        accepted_at: When the API took it, unix seconds.
        body: What was sent; the price depends on it.
    """

    attempt_id: int
    key: TaskKey
    operation: str
    remote_id: str
    accepted_at: float
    body: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """
    The sample rows of a job, and what they have shown.

    Attributes:
        row_ids: In the order in which they were chosen; empty before there were any.
        lengths: By step; empty before one of them was measured.
        priced: What they cost by the price table, all together.
        charged: By how much the balance fell while they were made; None where that cannot be told.
    """

    row_ids: tuple[str, ...] = ()
    lengths: Mapping[str, Length] = field(default_factory=dict)
    priced: float = 0.0
    charged: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Approval:
    """
    What a person has agreed to for a job, so that runs without a terminal may go on.

    Attributes:
        account: The account's name in the ledger.
        digest: Of the job file's content.
        tasks: How many may be sent from then on.
        cost: What they may cost together; None where no price was known.
        by: Who agreed, as the machine knows them.
        at: When, unix seconds.
        sent, spent: What was begun since, and what that has cost or is expected to; known by the ledger alone.
    """

    account: str
    digest: str
    tasks: int
    cost: float | None
    currency: str
    by: str
    at: float
    sent: int = 0
    spent: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Handed:
    """
    A job that workers look after.

    Attributes:
        path: Of the job file, the same on every machine.
        at: When it was handed over, unix seconds.
        until: When sending is to end, unix seconds; None without a deadline.
        every_s: After how many seconds its sheet is looked at again; None when only a person does that.
        failed_before, finished_before: Rows that were failed, and finished, when it was handed over.
        stop: Why nothing more is sent; empty while it may be.
        stop_exit: The exit code that this asks for: 4 where a person must act, 75 where it is only a matter of time.
        ended_at: When it came to its end, unix seconds; None while it is worked on.
        exit, reason: How it ended.
    """

    job: str
    path: str
    at: float
    until: float | None = None
    every_s: float | None = None
    failed_before: int = 0
    finished_before: int = 0
    stop: str = ""
    stop_exit: int = 0
    ended_at: float | None = None
    exit: int = 0
    reason: str = ""


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
        """

    def known(self, job: str, row_ids: Collection[str]) -> Mapping[TaskKey, Known]:
        """The tasks of some rows; rows that the ledger has never seen are not in it."""

    def items(self, job: str) -> Sequence[str]:
        """The members of the fan-out that a job has tasks for, in the order in which they first came."""

    def row_ids(self, job: str) -> Sequence[str]:
        """All row ids of a job that are not gone, in the order of the sheet."""

    def rows_made(self, job: str) -> int:
        """How many rows of a job were ever sent, those that are gone from the sheet left out."""

    def plan(self, job: str, tasks: Iterable[Planned], finish: Callable[[], JobRecord], *, at: float) -> None:
        """
        Bring the ledger in line with the sheet: new tasks come in, unsent ones take their newest content.

        A task that was ever sent keeps its state; that its row has changed since is kept beside it. Tasks that `tasks`
        does not bring are marked as gone, and never sent. What `tasks` or `finish` raise undoes all of it.

        Args:
            job: Whose tasks they are.
            tasks: Read once, in the order of the sheet.
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
        budget count tasks. What is returned must be sent at once: from here on each of them may have been charged.
        Tasks that go together in one request are attempts of one submission, whose key is made from theirs. A task that
        needs a file which the account does not hold stays where it is.

        Args:
            wish: Who asks, for how much, under which limits.
            prepare: Makes the final body, key and token of a task; pure.
        """

    def record(self, news: Sequence[News]) -> Sequence[News]:
        """
        Write down what was learned, all of it in one transaction.

        Returns:
            The news as they were written. An id that the ledger already holds for another attempt is no acceptance: the
            API has mixed two rows up, the attempt is unsure, and the other one is flagged.

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

        From now on they are `holder`'s. Each may have been made: it is looked for, never sent blindly.
        """

    def unsure(self, job: str) -> Sequence[Attempt]:
        """All attempts of a job whose fate a person must decide."""

    def find(
        self, *, job: str | None = None, account: str | None = None, keys: Collection[str] | None = None
    ) -> Sequence[Attempt]:
        """Attempts in any state, oldest first: those of a job, of an account, sent under these keys; None means all."""

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
        """All jobs that were ever handed over to workers, in the order of their labels."""

    def close(self) -> None:
        """Let go of the file."""
