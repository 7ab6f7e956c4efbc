"""The values that go into a ledger and come out of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from enum import Enum

from msgspec import Struct, field

from batcher.model import Asset, Attempt, FileState, Length, Source, State, TaskKey
from batcher.units import Rate


class JobRecord(Struct, frozen=True, kw_only=True):
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


class Need(Struct, frozen=True, kw_only=True):
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


class Planned(Struct, frozen=True, kw_only=True):
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


class Blocked(Struct, frozen=True, kw_only=True):
    """
    A task that waits for an earlier step of its row.

    Attributes:
        cells: Header to text, as the plan has left them.
    """

    key: TaskKey
    row_number: int
    input_hash: str
    cells: Mapping[str, str]


class Known(Struct, frozen=True, kw_only=True):
    """
    What the ledger holds of a task.

    Attributes:
        made_hash: The input from which the last attempt was made; empty before there was one.
        made_from: As `Planned.made_from`, for what was made last or is about to be.
        attempts: How many there were.
        task_id: Its number in the ledger.
        row_number, held, not_before: As the last plan has found them.
    """

    state: State
    input_hash: str
    made_hash: str
    made_from: Mapping[str, int] = field(default_factory=dict)
    attempts: int = 0
    task_id: int = 0
    row_number: int = 0
    held: bool = False
    not_before: float = 0.0


Asked = tuple[Planned, Known | None]
"""A task as the sheet asks for it, and what the ledger holds of it; None of a new one."""


class Waiting(Struct, frozen=True, kw_only=True):
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


class Candidate(Struct, frozen=True, kw_only=True):
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


class Prepared(Struct, frozen=True, kw_only=True):
    """A candidate with everything that only the sender of it knows: the final body, its key and its token."""

    body: str
    key: str
    token: str


class Admission(Struct, frozen=True, kw_only=True):
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


class Admitted(Struct, frozen=True, kw_only=True):
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


class News(Struct, frozen=True, kw_only=True):
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
        ended: It is finished, and holds no slot any more; it stays in progress until what it brought is read.
        accepted_at: When it was accepted, unix seconds, where that is told with what came of it; None: at `at`.
    """

    attempt_id: int
    state: State
    source: Source
    cause: str
    at: float
    answered: bool = False
    checked: bool = False
    ended: bool = False
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
    accepted_at: float | None = None


class FileRecord(Struct, frozen=True, kw_only=True):
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


class Standing(Struct, frozen=True, kw_only=True):
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
        is_gone: The sheet does not ask for it any more: it only counts where its row is shown.
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
    is_gone: bool = False
    paid_before: float = 0.0


class Contradiction(Struct, frozen=True, kw_only=True):
    """
    Two things in the ledger that cannot both be true.

    Attributes:
        invariant: `I1` paid once, `I2` nothing forgotten, `I4` done and failed stay.
        row_number: As a spreadsheet shows it.
    """

    invariant: str
    row_number: int
    message: str


class InFlight(Struct, frozen=True, kw_only=True):
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


class Sample(Struct, frozen=True, kw_only=True):
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


class Approval(Struct, frozen=True, kw_only=True):
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


class Handed(Struct, frozen=True, kw_only=True):
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
