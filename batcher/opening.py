"""From a job to everything that a command needs to work on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from msgspec.structs import replace

from batcher.api.account import Account, open_account
from batcher.api.client import Client
from batcher.catalog.model import Operation, Provider
from batcher.errors import InputError, Problem
from batcher.finding import find_operations, open_job_sheet
from batcher.gsheets.door import find_door
from batcher.idle import STATE_VARIABLE
from batcher.job import WORKBOOKS, Job
from batcher.ledger.disk import SAFE_PLACE, risk_of
from batcher.ledger.place import has_ledger, is_address, open_anyway, open_ledger
from batcher.open_job import OpenJob
from batcher.project import find_project
from batcher.rehearsal import Lender, Things, simulator, stage
from batcher.sheet import Sheet
from batcher.stores import CloudPath, require
from batcher.surroundings import Surroundings


@contextmanager
def opened(
    job: Job, around: Surroundings, *, offline: bool = False, rehearse: bool = False, sheet: Sheet | None = None
) -> Iterator[OpenJob]:
    """
    Open a job.

    Args:
        job: The job.
        around: What comes from outside.
        offline: Use no network; an account without a credential is then no error.
        rehearse: Against a simulator of its own, with its own ledger and results, both new each time.
        sheet: The sheet, when it is not a file.

    Raises:
        InputError: The operation, the account or the sheet cannot be used, or the job belongs to another ledger.
        LedgerError: The ledger cannot be used.
    """
    _require_own_ledger(job, around)
    provider, operations = find_operations(job, environ=around.environ, offline=offline)
    with ExitStack() as stack:
        environ, state, place = around.environ, around.state, around.place
        notes: list[str] = []
        if rehearse:
            real = job
            job, state = stack.enter_context(stage(job, state))
            place = str(state)
            sheet = sheet or _sheet(job, around, offline=offline)
            things = _lent(real, provider, operations, sheet, around, notes)
            address = stack.enter_context(simulator(things))
            environ = {**environ, provider.base_url_variable: address, provider.key_variable: "rehearsal"}
        account = _account(job, provider, environ, around, offline=offline)
        if account and account.exposed:
            around.warn(f"everybody on this machine can read your key: chmod 600 {account.exposed}")
        client = Client(account, clock=around.clock) if account and not offline else None
        if client:
            stack.callback(client.close)
        if not is_address(place) and (risk := risk_of(Path(place))):
            around.warn(f"{risk}; {SAFE_PLACE}")
        ledger = open_ledger(place, loopback=account is not None and not account.is_real)
        stack.callback(ledger.close)
        if not rehearse and ledger.job(job.name) is None:
            _require_nothing_left_behind(job, around, loopback=account is not None and not account.is_real)
        yield OpenJob(
            job,
            provider=provider,
            operations=operations,
            account=account,
            client=client,
            ledger=ledger,
            sheet=sheet or _sheet(job, around, offline=offline),
            state=state,
            around=around,
            is_rehearsal=rehearse,
            notes=notes,
        )


def _lent(
    job: Job,
    provider: Provider,
    operations: Sequence[Operation],
    sheet: Sheet,
    around: Surroundings,
    notes: list[str],
) -> Things:
    """What the real account has of what the job names, as far as it can be looked at."""
    account, reason = None, ""
    try:
        account = _account(job, provider, around.environ, around, offline=False)
    except InputError as error:
        reason = str(error.problems[0])
    lender = Lender(
        job=job,
        provider=provider,
        operations=operations,
        account=account,
        reason=reason,
        sheet=sheet,
        state=around.state,
        clock=around.clock,
        notes=notes,
    )
    return lender.things()


def _require_own_ledger(job: Job, around: Surroundings) -> None:
    """A worker takes jobs of any folder: one whose project has another ledger would be paid for again in this one."""
    if job.path is None or around.environ.get(STATE_VARIABLE):
        return
    project = find_project(job.path, folder=around.folder)
    if project is not None and project.state != around.place:
        message = "the ledger of this job is another one than this command works with; call it in the job's folder"
        raise InputError(Problem(where=str(project.path), message=message))


def _require_nothing_left_behind(job: Job, around: Surroundings, *, loopback: bool) -> None:
    """A project file that is new must not let everything be paid for again that stands in the user's own ledger."""
    usual = replace(around, project=None).place
    if around.project is None or around.place == usual or not has_ledger(usual, loopback=loopback):
        return
    ledger = open_anyway(usual, loopback=loopback)
    try:
        record = None if ledger.moved_to() else ledger.job(job.name)
    finally:
        ledger.close()
    if record is not None and record.path == str(job.path):
        message = (
            f"the rows of this job stand in the ledger at {usual}, and would be made again in this one: move that with "
            f"batcher ledger move {usual} {around.place}, or take `state` out"
        )
        raise InputError(Problem(where=str(around.project.path), message=message))


def _sheet(job: Job, around: Surroundings, *, offline: bool) -> Sheet:
    if isinstance(job.sheet.file, CloudPath):
        from batcher.remote import open_cloud_sheet

        return open_cloud_sheet(job, job.sheet.file, state=around.state, offline=offline)
    if job.sheet.link is None:
        return open_job_sheet(job)
    from batcher.gsheets.reading import open_google_sheet

    return open_google_sheet(job, job.sheet.link, find_door(around.environ), state=around.state, offline=offline)


def _account(
    job: Job, provider: Provider, environ: Mapping[str, str], around: Surroundings, *, offline: bool
) -> Account | None:
    folders = [job.path.parent, job.path.parent.parent] if job.path else []
    try:
        return open_account(
            provider,
            base_url=job.base_url,
            environ=environ,
            folders=[*folders, around.folder],
            state=around.state,
            clock=around.clock,
            offline=offline,
        )
    except InputError as error:
        if offline and error.problems[0].where == provider.key_variable:
            return None
        raise


def check_account(job: Job, around: Surroundings) -> None:
    """
    Make sure that the operations and the account of a job can be used, whatever its sheet.

    Raises:
        InputError: They cannot.
    """
    provider, _ = find_operations(job, environ=around.environ)
    _account(job, provider, around.environ, around, offline=False)


def check_results_file(job: Job, *, offline: bool = False) -> None:
    """
    Make sure, before anything is paid for, that the results can be written.

    Args:
        offline: Use no network: what is in the cloud is not looked at.

    Raises:
        InputError: They cannot.
    """
    file = job.results.file
    if file == job.sheet.file and not job.is_in_place:
        message = (
            f"the results would replace the sheet itself, which only a workbook ({', '.join(WORKBOOKS)}) can take; "
            "give results.file another name"
        )
        raise InputError(job.problem(("results", "file"), message))
    if not job.is_in_place and file.suffix.lower() not in (".csv", ".tsv", ".xlsx"):
        raise InputError(job.problem(("results", "file"), f"'{file.name}' is none of .csv, .tsv, .xlsx"))
    if isinstance(file, Path) or not offline:
        require(file)
