"""Names where ids are meant: a language, voice or avatar as a person calls it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """A valid value and what people call it; for plain lists both are the same."""

    id: str
    name: str


class Choices:
    """
    The valid values of a field.

    Args:
        kind: What they are, in the plural, for messages: `languages`.
        members: All of them.
    """

    def __init__(self, kind: str, members: Iterable[Choice]) -> None:
        self.kind = kind
        self._ids: dict[str, str] = {}
        self._names: dict[str, list[str]] = {}
        self._spelling: dict[str, str] = {}
        for member in members:
            self._ids[member.id.casefold()] = member.id
            self._names.setdefault(member.name.strip().casefold(), []).append(member.id)
            self._spelling[member.name.strip().casefold()] = member.name

    def resolve(self, text: str) -> str:
        """
        The id that is meant by an id or a name; upper and lower case do not matter.

        Raises:
            ValueError: It is none of them, or a name that several share; the message names the nearest.
        """
        wanted = text.strip().casefold()
        if wanted in self._ids:
            return self._ids[wanted]
        ids = list(dict.fromkeys(self._names.get(wanted, ())))
        if len(ids) == 1:
            return ids[0]
        singular = self.kind.removesuffix("s")
        if ids:
            raise ValueError(f"several {self.kind} are called '{text}': write the id, one of {', '.join(ids[:5])}")
        near = self._near(wanted)
        hint = (
            f"; did you mean {' or '.join(repr(name) for name in near)}?"
            if near
            else f"; see `batcher list {self.kind}`"
        )
        raise ValueError(f"unknown {singular} '{text}'{hint}")

    def _near(self, wanted: str) -> list[str]:
        starts = [name for name in self._spelling if wanted and (name.startswith(wanted) or wanted.startswith(name))]
        close = difflib.get_close_matches(wanted, self._spelling, n=3, cutoff=0.6)
        return [self._spelling[name] for name in dict.fromkeys([*starts[:3], *close])][:3]
