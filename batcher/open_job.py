"""A job that is open: all that a command works on it with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property, partial
from pathlib import Path

from msgspec.structs import replace

from batcher import files
from batcher.api.account import Account
from batcher.api.client import AccountInfo, Client
from batcher.bound import BoundJob
from batcher.catalog.model import Operation, Provider
from batcher.errors import ApiError, Problem, StopEverything, Stopped
from batcher.filenames import check_file_names
from batcher.filing import folders_of
from batcher.gsheets.door import find_door
from batcher.job import Job
from batcher.ledger.place import file_name, ids_known
from batcher.ledger.protocol import Ledger
from batcher.ledger.unrecorded import Unrecorded
from batcher.lists import Lists
from batcher.live import learn_templates, with_template
from batcher.mapping.choice import Choices
from batcher.plan import Plan
from batcher.planner import fingerprint, make_plan, remembered, with_files
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


def ledger_name(account: Account | None) -> str:
    """The file of the ledger, and what the names of all that is kept beside it in the state folder begin with."""
    return file_name(loopback=account is not None and not account.is_real)
