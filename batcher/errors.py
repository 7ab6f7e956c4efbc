"""
What can go wrong, as a tree whose branches are chosen by what the caller does next.

    BatcherError
    ├── InputError           the user must edit something: exit 2
    ├── LedgerError          the ledger cannot be trusted or written: exit 2
    │   ├── LedgerUnreachable    it cannot be reached now: exit 75
    │   └── NotRecorded      answers to paid requests are kept beside it: exit 74
    ├── Stopped              a person must decide or pay: exit 4
    ├── NotFinished          run again later: exit 75
    ├── Fault                our own fault: exit 1
    ├── LeaseLost            a worker gave no sign for too long, others have its work: exit 75
    └── ApiError             one request did not bring what was asked for
        ├── Rejected         this request will never work
        ├── Throttled        wait; nothing was made
        ├── TryAgain         the same again is safe
        ├── InDoubt          may have been made: never blindly again
        └── StopEverything   no request of this account will work now
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import TypeVar

from msgspec import Struct

T = TypeVar("T")


class Exit(int, Enum):
    """What the command's exit code tells a script or a cron job."""

    DONE = 0
    """Everything is done."""
    BUG = 1
    """Our own fault."""
    EDIT = 2
    """The user must edit something; nothing was sent."""
    SOME_FAILED = 3
    """Nothing is left to do, but some rows failed, are invalid or unsure, or a file could not be fetched."""
    STOPPED = 4
    """Sign-in, credit, quota, budget, approval or the failure threshold."""
    NOT_RECORDED = 74
    """Answers could not be written down: their ids are kept beside the ledger, and the next run reads them back."""
    NOT_FINISHED = 75
    """Not finished yet, or another run holds the job: run again."""
    INTERRUPTED = 130
    """Interrupted; safe to run again."""


class Problem(Struct, frozen=True, kw_only=True):
    """
    Something a person must mend, and where.

    Attributes:
        where: The place in the user's own words: `customers.csv!C17`, `welcome.yaml:7:5`, `customers.csv`.

        message: What is wrong, what was expected, what to do; one line, no secrets.
    """

    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.where else self.message


class BatcherError(Exception):
    """The root: everything batcher expects to go wrong."""

    exit = Exit.BUG


class InputError(BatcherError):
    """
    The job, the sheet or the surroundings must be mended before anything is sent.

    Args:
        problems: All that was found, in the order in which a person would mend it; never empty.
    """

    exit = Exit.EDIT

    def __init__(self, *problems: Problem) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems: Sequence[Problem] = problems


def kept(problems: list[Problem], build: Callable[[], T]) -> T | None:
    """What `build` gives; its problems are kept, so that all are told together."""
    try:
        return build()
    except InputError as error:
        problems += error.problems
        return None


class LedgerError(BatcherError):
    """The ledger is damaged, foreign, newer than this program, or cannot be written."""

    exit = Exit.EDIT


class LedgerUnreachable(LedgerError):
    """There is no connection to the ledger's database; what is recorded there is safe, and the same again goes on."""

    exit = Exit.NOT_FINISHED


class NotRecorded(LedgerError):
    """The ledger could not take the answers to requests that were already sent; their ids are kept beside it."""

    exit = Exit.NOT_RECORDED


class Stopped(BatcherError):
    """The run may not go on without a person: credit, quota, budget, approval, too many failures."""

    exit = Exit.STOPPED


class NotFinished(BatcherError):
    """There is more to do, later: another run holds the job, or the account is held off for long."""

    exit = Exit.NOT_FINISHED


class Fault(BatcherError):
    """Something that nobody has foreseen; what is recorded is safe, and the traceback is kept."""

    exit = Exit.BUG


class LeaseLost(BatcherError):
    """Nothing was sent: the worker gave no sign for too long, and what it held is another's by now."""

    exit = Exit.NOT_FINISHED


class ApiError(BatcherError):
    """
    A request did not bring what was asked for.

    Args:
        message: What happened, for the person; cleaned of control characters, no secrets.
        code: The API's own code, or ours for what has none (`timeout`, `http_502`).
        status: The HTTP status; None when there was no answer.
        request_id: What the provider's support asks for; empty when there was none.
        param: The field of the body that the API complains about; empty when it named none.
    """

    exit = Exit.NOT_FINISHED

    def __init__(
        self, message: str, *, code: str, status: int | None = None, request_id: str = "", param: str = ""
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.status = status
        self.request_id = request_id
        self.param = param


class Rejected(ApiError):
    """The request will never be accepted as it stands."""

    exit = Exit.EDIT


class Throttled(ApiError):
    """
    Nothing was made; the account must wait.

    Attributes:
        wait_s: Seconds to hold off, as the server said; None when it did not say.
        slots_only: True when only the number at once is too high, False when all requests must wait.
    """

    wait_s: float | None = None
    slots_only: bool = False


class TryAgain(ApiError):
    """The same request may be sent again without any danger."""


class InDoubt(ApiError):
    """The work may have been made and charged: look before sending again."""


class StopEverything(ApiError):
    """No request of this account will work until a person acts."""

    exit = Exit.STOPPED
