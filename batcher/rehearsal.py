"""A rehearsal: a simulator that also has what the job names of the real account, and a place of its own for results."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from msgspec import Struct, field
from msgspec.structs import replace

from batcher.api.account import Account
from batcher.api.client import Client
from batcher.bound import BoundJob
from batcher.catalog.extend import extension_path
from batcher.catalog.model import Operation, Provider
from batcher.errors import ApiError, InputError, Problem, Rejected, Stopped
from batcher.job import Job
from batcher.ledger.lock import job_lock
from batcher.lists import Lists, kinds_used
from batcher.live import LOOKED_UP, template_paths
from batcher.mapping.choice import Choices
from batcher.model import Json
from batcher.sheet import Sheet

Things = Mapping[str, Mapping[str, Any]]
"""What a simulator is lent, as `batcher.simulator.lending` takes it."""


@contextmanager
def stage(job: Job, state: Path) -> Iterator[tuple[Job, Path]]:
    """
    The job with results of its own, and an empty folder for its ledger.

    The lock is taken before what an earlier rehearsal has left is removed.

    Raises:
        NotFinished: Another rehearsal of the job is under way.
    """
    folder = state / "rehearsal" / job.name
    with job_lock(state / "rehearsal" / "locks", job.name):
        shutil.rmtree(folder, ignore_errors=True)
        file = job.results.file
        suffix = ".xlsx" if job.is_in_place else file.suffix
        downloads = tuple(
            replace(each, folder=folder / "files" / (each.name or "main")) for each in job.results.downloads
        )
        results = replace(job.results, file=file.with_name(f"{file.stem}.rehearsal{suffix}"), downloads=downloads)
        yield replace(job, results=results, base_url=""), folder


@contextmanager
def simulator(things: Things) -> Iterator[str]:
    """The address of a simulator that also has these things."""
    from batcher.simulator import Behaviour, start

    with start(Behaviour(render_s=1.0, hostile=frozenset({"v2=alive"}))) as running:
        if things:
            running.lend(things)
        yield running.url


class Lender(Struct, frozen=True, kw_only=True):
    """
    Looks at what the real account has of what a job names; nothing is sent to it.

    Attributes:
        account: None without a credential that can be used.
        reason: Why there is none.
        state: The user's state folder, where lists are kept for a while.
        notes: Receives what was looked at, and what could not be.
    """

    job: Job
    provider: Provider
    operations: Sequence[Operation]
    account: Account | None
    reason: str
    sheet: Sheet
    state: Path
    clock: Callable[[], float]
    notes: list[str] = field(default_factory=list)

    def things(self) -> Things:
        """
        What the simulator shall have besides its own; nothing when the account cannot be asked.

        Raises:
            InputError: The simulator cannot stand in for the provider.
        """
        if not self.provider.is_simulated:
            message = (
                f"the simulator does not stand in for {self.provider.title}; `batcher check` costs nothing as well"
            )
            raise InputError(Problem(where="--rehearse", message=message))
        pairs = list(zip(self.job.steps, self.operations, strict=True))
        if not any(operation.extends or kinds_used(step, operation) for step, operation in pairs):
            return {}
        if self.account is None:
            self.notes.append(f"only the simulator's own templates, voices and avatars are known ({self.reason})")
            return {}
        client = Client(self.account, clock=self.clock)
        try:
            return self._asked(client, self.account)
        except Stopped as error:
            self.notes.append(f"only the simulator's own templates, voices and avatars are known ({error})")
            return {}
        finally:
            client.close()

    def _asked(self, client: Client, account: Account) -> Things:
        lists = Lists(account=account, client=client, state=self.state, clock=self.clock)
        choices = lists.used(self.job.steps, self.operations)
        found: dict[str, dict[str, Any]] = {
            kind: {member.id: member.name for member in known.members}
            for kind, known in choices.items()
            if kind != "templates"
        }
        found["templates"] = dict(self._templates(client, choices, host=account.host))
        self.notes.extend(each for each in lists.notes if " as of " not in each)
        counts = [_counted(len(members), kind.replace("_", " ")) for kind, members in found.items() if members]
        if counts:
            self.notes.append(f"{account.host} was only looked at: {', '.join(counts)}")
        return {kind: members for kind, members in found.items() if members}

    def _templates(self, client: Client, choices: Mapping[str, Choices], *, host: str) -> Iterator[tuple[str, Json]]:
        """The templates that the job and its rows name, by their ids."""
        for path in self._paths(choices):
            template_id = unquote(path.rsplit("/", 1)[-1])
            try:
                answer = client.read(path)
            except Rejected:
                self.notes.append(f"{host} has no template {template_id}")
            except ApiError as error:
                self.notes.append(f"the template {template_id} could not be looked at: {error.message}")
            else:
                yield template_id, answer.get("data") if isinstance(answer, dict) else None

    def _paths(self, choices: Mapping[str, Choices]) -> list[str]:
        def resolve(kind: str, text: str) -> str:
            return choices[kind].resolve(text) if kind in choices else text

        try:
            pairs = zip(self.job.steps, self.operations, strict=True)
            fixed = [extension_path(operation, step.request, resolve=resolve) for step, operation in pairs]
            bound = BoundJob(
                self.job, provider=self.provider, operations=self.operations, sheet=self.sheet, choices=choices
            )
            per_row = [path for step in bound.steps.values() for path in template_paths(bound, step)]
        except (ValueError, InputError):
            return []  # the rehearsal itself says what is wrong with the job
        return [*dict.fromkeys(path for path in fixed if path), *per_row[:LOOKED_UP]]


def _counted(count: int, kind: str) -> str:
    return f"{count:,} {kind.removesuffix('s') if count == 1 else kind}"
