"""What the API itself says about what people will fill in: a template's variables, lists of names."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field

from batcher.api.client import Client
from batcher.catalog.extend import extension_path, live_entries
from batcher.catalog.model import Operation
from batcher.catalog.pick import as_text
from batcher.errors import ApiError, InputError, NotFinished, Problem, Rejected, StopEverything, Stopped
from batcher.lists import Lists
from batcher.mapping.choice import Choices
from batcher.model import Json
from batcher.starter.flat import Fixed
from batcher.starter.sketch import Entry


class Live(Struct, kw_only=True):
    """
    The API, as far as it may be asked.

    Attributes:
        lists: The lists of names of the account; without a client when the network must not be used.
    """

    lists: Lists
    _found: dict[str, Choices | None] = field(default_factory=dict)

    @property
    def client(self) -> Client | None:
        """None when the network must not be used."""
        return self.lists.client

    @property
    def notes(self) -> list[str]:
        """What could not be asked, for the person."""
        return self.lists.notes

    def choices(self, kind: str, *, is_open: bool = False) -> Choices | None:
        """
        A list of names; None when it is not to be had.

        Raises:
            Stopped: The key is not accepted.
        """
        if kind not in self._found:
            self._found[kind] = self.lists.choices(kind, is_open=is_open)
        return self._found[kind]

    def resolved(self, operation: Operation, fixed: Fixed) -> dict[str, str]:
        """
        What is fixed, with the ids of a template and the like in place of their names.

        Raises:
            InputError: Nothing of that name is there.
        """
        found = dict(fixed)
        for name, text in fixed.items():
            kind = operation.choices.get(name)
            known = self.choices(kind, is_open=name in operation.path_fields) if kind and self.client else None
            if known is not None:
                try:
                    found[name] = known.resolve(text)
                except ValueError as error:
                    raise InputError(Problem(where=name, message=str(error))) from error
        return found

    def entries(self, operation: Operation, fixed: Fixed) -> dict[str, Entry]:
        """
        What the template has; empty when that is not known.

        Raises:
            InputError: There is no such template, or nothing in it to fill in.
            NotFinished: The API cannot be reached now.
            Stopped: The key is not accepted.
        """
        path = extension_path(operation, dict(fixed))
        if not path:
            return {}
        if self.client is None:
            self.notes.append("offline: the template's variables are not known")
            return {}
        try:
            answer = self.client.read(path)
        except Rejected as error:
            message = error.message + self._near(operation)
            raise InputError(Problem(where="--template-id", message=message)) from error
        except StopEverything as error:
            raise Stopped(f"the API refuses the account: {error.message}") from error
        except ApiError as error:
            message = f"the template could not be asked for: {error.message}; run again, or make it with --offline"
            raise NotFinished(message) from error
        shown = _examples(operation, answer)
        kinds = live_entries(operation, answer)
        if not kinds:
            raise InputError(Problem(where="--template-id", message="the template has no variables to fill in"))
        return {name: Entry(type=kind, example=shown.get(name, "")) for name, kind in kinds.items()}

    def _near(self, operation: Operation) -> str:
        """The templates that there are, for a message; empty when that is not known."""
        return listed(self.choices(operation.choices.get(operation.path_fields[0], ""), is_open=True))

    def names(self, operation: Operation, fixed: Fixed) -> dict[str, str]:
        """What people call the ids among what is fixed, by their places; what is not known is left out."""
        found = {}
        for place, kind in operation.choices.items():
            known = self._found.get(kind) if place in fixed else None
            for member in known.members if known else ():
                if member.id == fixed[place] != member.name:
                    found[place] = member.name
        return found


def listed(known: Choices | None) -> str:
    """The first members of a list, to be put behind a message."""
    if known is None or not known.members:
        return ""
    return "; there are " + ", ".join(f"{each.id} ({each.name})" for each in known.members[:10])


def _examples(operation: Operation, answer: Json) -> Mapping[str, str]:
    """What the template itself shows for each entry."""
    extends = operation.extends
    found = extends.entries.find(answer) if extends else None
    if extends is None or extends.example is None:
        return {}
    if isinstance(found, dict):
        return {str(name): as_text(extends.example.find(item)) for name, item in found.items()}
    named = extends.name
    items = found if isinstance(found, list) and named else []
    return {as_text(named.find(item)): as_text(extends.example.find(item)) for item in items} if named else {}
