"""The lists of valid values of an account: asked page by page, and kept for a while."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from msgspec import Struct, field

from batcher.api.account import Account
from batcher.api.client import Client
from batcher.catalog.model import Operation
from batcher.errors import ApiError, InputError, StopEverything, Stopped
from batcher.job import Step
from batcher.mapping.choice import Choice, Choices
from batcher.mapping.tree import uses
from batcher.stores import replacing

KEPT_S = 600.0
"""So long a list counts as it was read: one of voices has some twenty pages, and a job may be looked at every minute."""


class Lists(Struct, kw_only=True):
    """
    The lists of one account.

    What is kept only saves requests: a name that a kept list does not have is looked for in a new one before it is
    called unknown, and a file that cannot be read or written is as good as none.

    Attributes:
        client: None offline.
        state: The folder of the user under which lists are kept.
        clock: Unix seconds.
        notes: Receives what could not be asked, and of when a list is that was not asked for now.
        is_fresh: Ask for all of them, whatever is kept.
    """

    account: Account | None
    client: Client | None
    state: Path
    clock: Callable[[], float]
    notes: list[str] = field(default_factory=list)
    is_fresh: bool = False

    def choices(self, kind: str, *, is_open: bool = False) -> Choices | None:
        """
        A list by its name in the catalogue; None when it is not to be had, which is noted.

        Args:
            is_open: See `Choices`.

        Raises:
            Stopped: The key is not accepted.
        """
        if self.account is None or self.client is None:
            self.notes.append(f"{kind.replace('_', ' ')} are not checked offline")
            return None
        kept = None if self.is_fresh else self._kept(kind)
        if kept is None:
            members = self._asked(kind)
            return None if members is None else Choices(kind, members, is_open=is_open)
        as_of, members = kept
        note = f"{kind.replace('_', ' ')} as of {datetime.fromtimestamp(as_of).astimezone():%H:%M}"
        self.notes.append(note)
        return Choices(kind, members, is_open=is_open, renew=lambda: self._renewed(kind, note))

    def used(self, steps: Sequence[Step], operations: Sequence[Operation]) -> dict[str, Choices]:
        """
        The lists that the requests of a job need, by their names; what cannot be read is noted and left out.

        Raises:
            Stopped: The key is not accepted.
        """
        found: dict[str, Choices] = {}
        for step, operation in zip(steps, operations, strict=True):
            for kind, is_open in kinds_used(step, operation).items():
                members = None if kind in found else self.choices(kind, is_open=is_open)
                if members is not None:
                    found[kind] = members
        return found

    def read(self, kind: str) -> Sequence[Choice]:
        """
        A list as the API has it now; kept from then on.

        Raises:
            ApiError: Any but InDoubt.
        """
        if self.account is None or self.client is None:
            raise ValueError("opened offline")
        found = self.client.choices(self.account.provider.choices[kind])
        members = [Choice(id=each, name=name) for each, name in found]
        self._keep(kind, members)
        return members

    def _asked(self, kind: str) -> Sequence[Choice] | None:
        try:
            return self.read(kind)
        except StopEverything as error:
            raise Stopped(f"the API refuses the account: {error.message}") from error
        except ApiError as error:
            self.notes.append(f"{kind.replace('_', ' ')} could not be checked: {error.message}")
            return None

    def _renewed(self, kind: str, note: str) -> Sequence[Choice]:
        """The list of now; nothing when it is not to be had."""
        members = self._asked(kind)
        if members is None:
            return ()
        with suppress(ValueError):
            self.notes.remove(note)
        return members

    def _kept(self, kind: str) -> tuple[float, Sequence[Choice]] | None:
        """When a list was read, and what it said; None when that is too long ago or its description is another one."""
        try:
            kept = json.loads(self._file(kind).read_text(encoding="utf-8"))
            members = [Choice(id=str(each), name=str(name)) for each, name in kept["members"]]
            as_of, catalog = float(kept["as_of"]), kept["catalog"]
        except (OSError, ValueError, TypeError, KeyError):
            return None
        is_of_use = self.account is not None and catalog == self.account.provider.digest
        return (as_of, members) if is_of_use and 0 <= self.clock() - as_of < KEPT_S else None

    def _keep(self, kind: str, members: Sequence[Choice]) -> None:
        digest = self.account.provider.digest if self.account else ""
        kept = {"as_of": self.clock(), "catalog": digest, "members": [[each.id, each.name] for each in members]}
        file = self._file(kind)
        with suppress(OSError, InputError):
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with replacing(file) as new:
                new.write_text(json.dumps(kept), encoding="utf-8")

    def _file(self, kind: str) -> Path:
        name = f"{self.account.name if self.account else ''}\x1f{kind}"
        return self.state / "lists" / f"{hashlib.blake2b(name.encode(), digest_size=8).hexdigest()}.json"


def kinds_used(step: Step, operation: Operation) -> dict[str, bool]:
    """
    The names of the lists that a request needs, each with whether other values than those listed may be valid.

    A template is looked up by itself, and a list that leaves it out proves nothing.
    """
    used = [(pattern, kind) for pattern, kind in operation.choices.items() if uses(step.request, pattern)]
    return {kind: pattern in operation.path_fields and bool(operation.extends) for pattern, kind in reversed(used)}
