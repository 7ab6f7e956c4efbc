"""From a job to everything that a command needs to work on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property, partial
from pathlib import Path

from msgspec.structs import replace

from batcher import files
from batcher.api.account import Account, open_account
from batcher.api.client import AccountInfo, Client
from batcher.bound import BoundJob
from batcher.catalog.model import Operation, Provider
from batcher.errors import ApiError, InputError, Problem, StopEverything, Stopped
from batcher.filenames import check_file_names
from batcher.filing import folders_of
from batcher.finding import find_operations, open_job_sheet
from batcher.gsheets.door import find_door
from batcher.idle import STATE_VARIABLE
from batcher.job import WORKBOOKS, Job
from batcher.ledger.disk import SAFE_PLACE, risk_of
from batcher.ledger.place import file_name, has_ledger, ids_known, is_address, open_anyway, open_ledger
from batcher.ledger.protocol import Ledger
from batcher.ledger.unrecorded import Unrecorded
from batcher.lists import Lists
from batcher.live import learn_templates, with_template
from batcher.mapping.choice import Choices
from batcher.plan import Plan, fingerprint, make_plan, remembered, with_files
from batcher.project import find_project
from batcher.rehearsal import Lender, Things, simulator, stage
from batcher.results import Written, write_results
from batcher.sheet import Sheet
from batcher.stores import CloudPath, require
from batcher.surroundings import Surroundings
from batcher.witness import check_ours, forgotten, refuse_forgotten


class OpenJob:
    """
    A job with its account, its ledger and its sheet. The API is asked only for what a command looks at.

    Attributes:
        client: None when the network must not be used.
        account: None when there is no credential and none is needed.
        state: The folder of its lock, and of its ledger where that is a file.
        is_rehearsal: On a simulator of its own, of which nothing is kept.
        notes: What a person should know: how the sheet was read, what could not be checked.
        file_names: Names of files that had to be made harmless; the first of them, once they are known.
        lists: The lists of valid values of the account.
    """

    def __init__(
        self,
        job: Job,
        *,
        provider: Provider,
        operations: Sequence[Operation],
        account: Account | None,
        client: Client | None,
        ledger: Ledger,
        sheet: Sheet,
        state: Path,
        around: Surroundings,
        is_rehearsal: bool = False,
        notes: Sequence[str] = (),
    ) -> None:
        self.job = job
        self.provider = provider
        self.operations = operations
        self.account = account
        self.client = client
        self.ledger = ledger
        self.sheet = sheet
        self.state = state
        self.is_rehearsal = is_rehearsal
        self.notes = [*sheet.notes, *notes]
        self.file_names: list[Problem] = []
        self._around = around
        self.lists = Lists(account=account, client=client, state=state, clock=around.clock, notes=self.notes)
        self._sheet_fingerprint = sheet.fingerprint
        self._bound: BoundJob | None = None
        self._is_witnessed = False

    @property
    def account_name(self) -> str:
        """How the ledger knows the account."""
        return self.account.name if self.account else ""

    @property
    def unrecorded(self) -> Unrecorded:
        """Where answers are kept that the ledger cannot take."""
        return Unrecorded(self.state / ledger_name(self.account), self.job.name)

    @contextmanager
    def held(self, tell: Callable[[str], None], *, shared: bool = False) -> Iterator[None]:
        """
        Hold the job's lock; what an earlier run could not record is given to the ledger before anything else happens.

        Args:
            tell: Receives sentences for the person.
            shared: Beside others who share it, as workers do.

        Raises:
            NotFinished: Another process holds it.
            LedgerError: The ledger cannot take it.
        """
        with self.ledger.lock(self.job.name, shared=shared):
            if count := self.unrecorded.read_back(self.ledger):
                tell(f"recovered {count} {'id' if count == 1 else 'ids'} that an earlier run could not record")
            yield

    @property
    def is_real(self) -> bool:
        """Whether work would cost money."""
        return self.account is None or self.account.is_real

    @property
    def fingerprint(self) -> str:
        """Changes whenever planning again could bring anything new."""
        sheet = replace(self.sheet, fingerprint=self._sheet_fingerprint)
        known = self.ledger.sample(self.job.name).lengths
        return fingerprint(self.job, provider=self.provider, sheet=sheet, account=self.account_name, lengths=known)

    @property
    def sheet_fingerprint(self) -> str:
        """Of the sheet's file as it was last read, or written by us."""
        return self._sheet_fingerprint

    @cached_property
    def info(self) -> AccountInfo:
        """
        Whose account it is and what is left in it; empty offline.

        Raises:
            Stopped: The key is not accepted.
        """
        if self.client is None:
            return AccountInfo()
        try:
            return self.client.account_info()
        except StopEverything as error:
            raise Stopped(f"the API refuses the account: {error.message}") from error
        except ApiError as error:
            self.notes.append(f"the account could not be asked for its balance: {error.message}")
            return AccountInfo()

    @property
    def bound(self) -> BoundJob:
        """The job held against operations and sheet, as `bind` has left it; without any look at the API before that."""
        return self._bound or self.bind(checked=False)

    def bind(self, *, checked: bool) -> BoundJob:
        """
        Hold the job against its operations and its sheet.

        Args:
            checked: Ask the API for what is valid: languages, voices, the template's variables. Needed to plan.

        Raises:
            InputError: They do not fit together; all that was found.
        """
        operations = list(self.operations)
        choices: dict[str, Choices] = {}
        if checked:
            _ = self.info  # a key that is not accepted is told before anything else
            choices = self.lists.used(self.job.steps, operations)
            pairs = zip(self.job.steps, operations, strict=True)
            operations = [
                with_template(step, each, client=self.client, choices=choices, notes=self.notes) for step, each in pairs
            ]
        self._bound = BoundJob(
            self.job,
            provider=self.provider,
            operations=operations,
            sheet=self.sheet,
            choices=choices,
            items=self.ledger.items(self.job.name),
            seen=self.ledger.files(self.job.name),
            lengths=self.ledger.sample(self.job.name).lengths,
            clock=self._around.clock,
            trusts_ids=not self.is_rehearsal,
        )
        if checked:
            learn_templates(self._bound, client=self.client, notes=self.notes)
        return self._bound

    def plan(self, *, at: float) -> Plan:
        """
        Bring the ledger in line with the sheet, if anything has changed since it was, and tell what a run would do.

        Raises:
            InputError: The job or the sheet as a whole cannot be used.
        """
        mark = self.fingerprint
        record = self.ledger.job(self.job.name)
        as_planned = with_files(mark, files.now(self.ledger.files(self.job.name)))
        if record is not None and record.fingerprint == as_planned and record.path == str(self.job.path or ""):
            waiting = self.ledger.waiting(self.job.name, now=at)
            if len(self.job.steps) > 1 and waiting.now + waiting.later:
                self.bind(checked=True)  # later steps are still to be made from their cells, names looked up
            plan = remembered(record, self.ledger, at=at)
        else:
            bound = self.bind(checked=True)
            self.file_names = check_file_names(bound)
            plan = make_plan(bound, self.ledger, account=self.account_name, mark=mark, at=at)
        if plan.to_come or plan.again:
            self.refuse_forgotten()
        return plan

    def plan_for_adoption(self, *, at: float) -> None:
        """
        Bring in the tasks whose work stands in the sheet already, without stopping because of it.

        The plan is not remembered: what is not taken over stops the next one.

        Raises:
            InputError: The job or the sheet as a whole cannot be used.
        """
        bound = self.bind(checked=True)
        make_plan(bound, self.ledger, account=self.account_name, mark="", at=at, refuses_carried=False)

    def obey(self, plan: Plan, *, at: float) -> Plan:
        """
        Let what the plan asks to be made again wait to be sent, and plan anew; the price has been agreed to.

        Until this has returned nothing of it can be sent; after a crash in the middle the next run plans first.
        """
        if not plan.again:
            return plan
        for cause in dict.fromkeys(plan.again.values()):
            keys = [key for key, why in plan.again.items() if why == cause]
            self.ledger.again(keys, cause=cause, at=at)
        return make_plan(self.bound, self.ledger, account=self.account_name, mark=self.fingerprint, at=at)

    def write_results(self) -> Written:
        """
        Write the results where the job wants them; remember which state they show, and when their links are to be renewed.

        A workbook that takes its own results is changed by that: it goes on counting as planned, so that the next tick
        has nothing to do.

        Raises:
            InputError, OSError: As `batcher.results.write_results`.
        """
        mark = self.ledger.mark()
        self.refuse_forgotten()
        if not self.job.is_in_place:
            tally = write_results(self.bound, self.ledger)
            self.ledger.written(self.job.name, mark, renew_at=tally.renew_at)
            return Written(tally=tally, file=self.job.results.file)
        written = self._write_in_place()
        if written.fingerprint:
            record, before = self.ledger.job(self.job.name), self.fingerprint
            self._sheet_fingerprint = written.fingerprint
            # what a plan has seen of local files stands behind the dot
            planned, dot, local = (record.fingerprint if record else "").partition(".")
            now = f"{self.fingerprint}{dot}{local}" if planned == before else ""
            self.ledger.written(self.job.name, mark, renew_at=written.tally.renew_at, fingerprint=now)
        elif written.is_final:
            self.ledger.written(self.job.name, mark, renew_at=written.tally.renew_at)
        return written

    def _write_in_place(self) -> Written:
        link = self.job.sheet.link
        if link is None:
            from batcher.inplace import write_in_place

            return write_in_place(self.bound, self.ledger, fingerprint=self._sheet_fingerprint)
        from batcher.gsheets.writing import write_into_google

        door, is_offline = find_door(self._around.environ), self.client is None
        return write_into_google(self.bound, self.ledger, link, door, state=self._around.state, offline=is_offline)

    def check_results_file(self) -> None:
        """
        Make sure that the results do not replace a file that is not ours, and that report and files have a bucket.

        Raises:
            InputError: A file of that name is there, and no run of this job has written it; or a store refuses.
        """
        record = self.ledger.job(self.job.name)
        report = self.job.results.report
        for place in (*([report] if report else []), *folders_of(self.job)):
            if isinstance(place, CloudPath):
                require(place)
        check_ours(self.job, was_written=bool(record and record.written))

    def forgotten(self) -> list[int]:
        """The lines of the results that show work which the ledger does not know: it is not the one that belongs here."""
        elsewhere = partial(ids_known, self._around.place, loopback=self.is_real)  # a first try on a simulator
        return forgotten(self.bound, self.ledger, elsewhere=elsewhere)

    def refuse_forgotten(self) -> None:
        """
        Make sure that the results show no work that the ledger has forgotten; once is enough, what we write is known.

        Raises:
            InputError: They do.
        """
        if not self._is_witnessed:
            refuse_forgotten(self.bound, self.forgotten())
        self._is_witnessed = True

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


def ledger_name(account: Account | None) -> str:
    """The file of the ledger, and what the names of all that is kept beside it in the state folder begin with."""
    return file_name(loopback=account is not None and not account.is_real)


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
