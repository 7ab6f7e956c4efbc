"""From a job to everything that a command needs to work on it."""

from __future__ import annotations

import os
import random
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from batcher.api.account import Account, open_account
from batcher.api.client import AccountInfo, Client
from batcher.bound import BoundJob, find_operation, open_job_sheet
from batcher.catalog.model import Operation, Provider
from batcher.errors import ApiError, InputError, Problem, StopEverything, Stopped
from batcher.job import Job
from batcher.ledger.protocol import Ledger
from batcher.ledger.sqlite import SqliteLedger
from batcher.mapping.choice import Choice, Choices
from batcher.mapping.tree import matches
from batcher.model import Json
from batcher.sheet import Sheet

STATE_VARIABLE = "BATCHER_STATE"


@dataclass(frozen=True, kw_only=True, slots=True)
class Surroundings:
    """
    What a command takes from outside.

    Attributes:
        clock: Unix seconds.
        tell: Receives sentences for the person.
    """

    environ: Mapping[str, str]
    folder: Path
    clock: Callable[[], float] = time.time
    rng: random.Random = random.Random()
    tell: Callable[[str], None] = lambda _: None

    @property
    def state(self) -> Path:
        """The user's state folder: ledger, locks, logs."""
        if told := self.environ.get(STATE_VARIABLE):
            return Path(told).expanduser().absolute()
        base = self.environ.get("XDG_STATE_HOME") or Path(self.environ.get("HOME") or Path.home()) / ".local" / "state"
        return Path(base) / "batcher"


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenJob:
    """
    A job with its account, its ledger and its sheet.

    Attributes:
        client: None when the network must not be used.
        account: None when there is no credential and none is needed.
        info: Whose account it is; empty where the API was not asked.
        notes: What a person should know: how the sheet was read, what could not be checked.
        state: The folder of its ledger and lock.
    """

    bound: BoundJob
    ledger: Ledger
    account: Account | None
    client: Client | None
    info: AccountInfo
    notes: tuple[str, ...]
    state: Path

    @property
    def account_name(self) -> str:
        """How the ledger knows the account."""
        return self.account.name if self.account else ""

    @property
    def is_real(self) -> bool:
        """Whether work would cost money."""
        return self.account is None or self.account.is_real

    def online(self) -> Client:
        """
        The client.

        Raises:
            ValueError: The job was opened offline.
        """
        if self.client is None:
            raise ValueError("opened offline")
        return self.client


@contextmanager
def opened(
    job: Job,
    around: Surroundings,
    *,
    offline: bool = False,
    rehearse: bool = False,
    sheet: Sheet | None = None,
    ask: bool = True,
) -> Iterator[OpenJob]:
    """
    Open a job.

    Args:
        job: The job.
        around: What comes from outside.
        offline: Use no network; an account without a credential is then no error.
        rehearse: Against a simulator of its own, with its own ledger and results, both new each time.
        sheet: The sheet, when it is not a file.
        ask: Whether the account is asked whose it is and what is left in it.

    Raises:
        InputError: Job, sheet, operation and account do not fit together; all that was found.
        LedgerError: The ledger cannot be used.
        Stopped: The key is not accepted.
    """
    provider, operation = find_operation(job)
    with ExitStack() as stack:
        environ, state = around.environ, around.state
        if rehearse:
            job, state = _rehearsal(job, state)
            environ = {
                **environ,
                provider.base_url_variable: stack.enter_context(_simulator()),
                provider.key_variable: "rehearsal",
            }
        account = _account(job, provider, environ, around, offline=offline)
        client = Client(account, clock=around.clock) if account and not offline else None
        if client:
            stack.callback(client.close)
        sheet = sheet or open_job_sheet(job)
        notes = list(sheet.notes)
        info = _info(client, notes) if ask else AccountInfo()
        choices = _choices(job, provider, operation, client, notes)
        bound = BoundJob(job, provider=provider, operation=operation, sheet=sheet, choices=choices)
        ledger = SqliteLedger(state / "ledger.db")
        stack.callback(ledger.close)
        yield OpenJob(
            bound=bound, ledger=ledger, account=account, client=client, info=info, notes=tuple(notes), state=state
        )


def _rehearsal(job: Job, state: Path) -> tuple[Job, Path]:
    folder = state / "rehearsal" / job.name
    shutil.rmtree(folder, ignore_errors=True)
    file = job.results.file
    results = replace(job.results, file=file.with_name(f"{file.stem}.rehearsal{file.suffix}"))
    return replace(job, results=results, base_url=""), folder


@contextmanager
def _simulator() -> Iterator[str]:
    from batcher.simulator import Behaviour, start

    with start(Behaviour(render_s=1.0)) as running:
        yield running.url


def _account(
    job: Job, provider: Provider, environ: Mapping[str, str], around: Surroundings, *, offline: bool
) -> Account | None:
    folders = [job.path.parent, job.path.parent.parent] if job.path else []
    try:
        return open_account(provider, base_url=job.base_url, environ=environ, folders=[*folders, around.folder])
    except InputError as error:
        if offline and error.problems[0].where == provider.key_variable:
            return None
        raise


def _info(client: Client | None, notes: list[str]) -> AccountInfo:
    if client is None:
        return AccountInfo()
    try:
        return client.account_info()
    except StopEverything as error:
        raise Stopped(f"the API refuses the account: {error.message}") from error
    except ApiError as error:
        notes.append(f"the account could not be asked for its balance: {error.message}")
        return AccountInfo()


def _choices(
    job: Job, provider: Provider, operation: Operation, client: Client | None, notes: list[str]
) -> dict[str, Choices]:
    """The lists of valid values that the request needs; what cannot be read is told and not checked."""
    found: dict[str, Choices] = {}
    for pattern, kind in operation.choices.items():
        if kind in found or not _uses(job.request, pattern):
            continue
        if client is None:
            notes.append(f"{kind} are not checked offline")
            continue
        try:
            members = [Choice(id=each, name=name) for each, name in client.choices(provider.choices[kind])]
        except ApiError as error:
            notes.append(f"{kind} could not be checked: {error.message}")
            continue
        found[kind] = Choices(kind, members)
    return found


def _uses(request: Mapping[str, Json], pattern: str) -> bool:
    """Whether a request has a value at a path pattern."""

    def paths(value: Json, path: tuple[str | int, ...]) -> Iterator[tuple[str | int, ...]]:
        if isinstance(value, dict):
            for key, each in value.items():
                yield from paths(each, (*path, key))
        elif isinstance(value, list):
            for index, each in enumerate(value):
                yield from paths(each, (*path, index))
        else:
            yield path

    return any(matches(pattern, path) for path in paths(request, ()))


def check_results_file(job: Job) -> None:
    """
    Make sure, before anything is paid for, that the results can be written.

    Raises:
        InputError: They cannot.
    """
    file = job.results.file
    if file == job.sheet.file:
        message = "the results would replace the sheet itself; give results.file another name"
        raise InputError(job.problem(("results", "file"), message))
    if file.suffix.lower() not in (".csv", ".tsv", ".xlsx"):
        raise InputError(job.problem(("results", "file"), f"'{file.name}' is none of .csv, .tsv, .xlsx"))
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            Problem(where=str(file.parent), message=f"the folder cannot be made: {error.strerror}")
        ) from error
    if not os.access(file.parent, os.W_OK) or file.is_dir():
        raise InputError(Problem(where=str(file), message="the results cannot be written there"))
