"""The nouns that every room shares: states, tasks, attempts, answers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from typing import Any

from msgspec import Struct, field

Json = Any
"""A value that JSON can carry."""


class State(str, Enum):
    """Where a task stands."""

    INVALID = "invalid"
    """The row cannot become a request; its cells say why."""
    WAITING = "waiting"
    """Ready to be sent, or waiting for an earlier step."""
    SENDING = "sending"
    """Written down as being sent: from here on it may have been charged."""
    IN_PROGRESS = "in progress"
    """The API has accepted it and given it an id."""
    UNSURE = "unsure"
    """May have been charged, cannot be found: a person decides."""
    DONE = "done"
    """The outcome is there."""
    FAILED = "failed"
    """The API has refused it or failed to make it."""


MOVES: Mapping[State, frozenset[State]] = {
    State.INVALID: frozenset({State.WAITING}),
    State.WAITING: frozenset({State.INVALID, State.SENDING}),
    State.SENDING: frozenset({State.WAITING, State.IN_PROGRESS, State.UNSURE, State.DONE, State.FAILED}),
    State.IN_PROGRESS: frozenset({State.DONE, State.FAILED}),
    State.UNSURE: frozenset({State.WAITING, State.IN_PROGRESS, State.DONE, State.FAILED}),
    State.DONE: frozenset({State.WAITING}),
    State.FAILED: frozenset({State.WAITING}),
}
"""Every move there is. From done and failed it leads to waiting only as a new attempt, on a person's word."""

UNSENT = (State.WAITING, State.INVALID)
"""What nobody has asked an API for yet, and a person can still keep back."""

OPEN = (State.SENDING, State.IN_PROGRESS, State.UNSURE)
"""What may have been charged, and has come to no end: it holds a place at the account."""

FINAL = (State.DONE, State.FAILED)
"""What has come to its end: only a person's word leads on from there."""

WORST_FIRST = (
    State.UNSURE,
    State.FAILED,
    State.INVALID,
    State.SENDING,
    State.IN_PROGRESS,
    State.WAITING,
    State.DONE,
)
"""The order in which the tasks of one row decide the row's word."""

RANK: Mapping[State, int] = {state: rank for rank, state in enumerate(WORST_FIRST)}
"""The same, to compare by."""

HELD = "held"
"""The word of a row that waits and is kept back, by a person or until its day: a mark, not a state."""


class Source(str, Enum):
    """Who brought the news that moved a task."""

    PLAN = "plan"
    ANSWER = "answer"
    POLL = "poll"
    LIST = "list"
    PERSON = "person"


class FileState(str, Enum):
    """What has become of a file that is wanted of finished work."""

    HERE = "here"
    """It is whole and in its place; whether it still is, the disk knows."""
    LATER = "later"
    """It could not be fetched so far; another try may bring it."""
    REFUSED = "refused"
    """It is not what was wanted, or was tried often enough: only a person's word has it tried again."""
    OCCUPIED = "occupied"
    """A different file stands in its place."""


class Row(Struct, frozen=True, kw_only=True):
    """
    One line of the sheet.

    Attributes:
        number: As a spreadsheet shows it: the header of a plain file is 1, the first row 2. With line breaks inside
            quoted cells this is the number of the record, which is what a spreadsheet shows too.
        cells: The texts, exactly as they stand, one per column of the sheet's header.
        flaws: Index of a cell to what is wrong with it (an error value, a formula without a value, lost digits): it
            counts only when the job uses the cell.
    """

    number: int
    cells: tuple[str, ...]
    flaws: Mapping[int, str] = field(default_factory=dict)

    @property
    def is_blank(self) -> bool:
        """True when no cell holds anything but white space."""
        return not "".join(self.cells).strip()


class TaskKey(Struct, frozen=True, kw_only=True):
    """
    Who a task is.

    Attributes:
        job: The label of the job.
        row_id: What identifies the row between runs.
        step: Name of the step of a chain; empty for a job of one operation.
        item: Member of a fan-out, such as a language; empty without one.
    """

    job: str
    row_id: str
    step: str = ""
    item: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.row_id, self.step, self.item) if part)


class Outcome(Struct, frozen=True, kw_only=True):
    """
    What an answer says about one piece of work.

    Attributes:
        state: IN_PROGRESS, DONE or FAILED.
        word: The API's own word for the state, shown raw when it is not one we know.
        outputs: Column to text, as the catalogue names them; only what the answer held.
        error_code: The API's code of a failure; empty without one.
        error: Its words for the person; empty without one. May stand beside DONE.
        stops: The failure is one after which no row of the account can work (credit used up).
        missing: The API does not know the id (any more): no outcome, but worth counting.
        completed_at: When the API says it was finished, unix seconds; None where it does not.
        ended: It is finished, but what it brought stands elsewhere: IN_PROGRESS until that is read.
    """

    state: State
    word: str = ""
    outputs: Mapping[str, str] = field(default_factory=dict)
    error_code: str = ""
    error: str = ""
    stops: bool = False
    missing: bool = False
    completed_at: float | None = None
    ended: bool = False


class Length(Struct, frozen=True, kw_only=True):
    """
    How long the work of one step came out.

    Attributes:
        rows: How many rows that was seen of; at least one.
        seconds: Their mean.
        characters: Of the text from which a length is guessed, the mean; 0 where there is none.
    """

    rows: int
    seconds: float
    characters: float = 0.0


class Asset(Struct, frozen=True, kw_only=True):
    """
    A file that an account holds.

    Attributes:
        digest: SHA-256 of its content, in hexadecimal.
        asset_id: The API's name for it.
        url: Its address at the API; empty where there is none.
        expires_at: Unix seconds from which on it may be gone; None where the API states no end.
    """

    digest: str
    asset_id: str
    url: str = ""
    expires_at: float | None = None


class Attempt(Struct, frozen=True, kw_only=True):
    """
    One try at a task that may cost money.

    Attributes:
        attempt_id: Its number in the ledger.
        task: Whose attempt it is.
        row_number: Where its row stood when it was planned.
        operation: Name of the operation in the catalogue.
        number: 1 for the first try.
        path: The path to send to, without the base address.
        body: JSON text, exactly as it is sent: resends use it unchanged.
        key: The idempotency key of the request that carries it; the same over every resend.
        token: A short text that can be searched for at the API.
        remote_id: The API's id; empty until there is one.
        first_sent_at: When the first byte may have left; None before.
        sends: How often it has been sent.
        estimate: What it will cost, in the unit of the operation's price; None where that is not known.
        submission_id: The number of the request that carries it.
        place: Its index in the batch that carries it; None when it is sent alone.
        size: How many that request carries.
        batch_id: The API's id of that batch; empty until there is one.
    """

    attempt_id: int
    task: TaskKey
    row_number: int
    operation: str
    number: int
    path: str
    body: str
    key: str
    token: str
    remote_id: str = ""
    first_sent_at: datetime | None = None
    sends: int = 0
    estimate: float | None = None
    submission_id: int = 0
    place: int | None = None
    size: int = 1
    batch_id: str = ""
