"""Names where ids are meant: a language, voice or avatar as a person calls it."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping

from msgspec import Struct


class Choice(Struct, frozen=True, kw_only=True):
    """A valid value and what people call it; for plain lists both are the same."""

    id: str
    name: str


class Choices:
    """
    The valid values of a field.

    Args:
        kind: What they are, in the plural, for messages: `languages`.
        members: All of them.
        codes: What else they are called, in lower case, to the names under which they may be listed.
        is_open: A text that is none of them may be an id all the same: it is looked up on its own.
        listing: The command that shows them all; that for HeyGen's when empty.
        renew: Where `members` are of some minutes ago, what they are now: asked once, before a text is called unknown.
    """

    def __init__(
        self,
        kind: str,
        members: Iterable[Choice],
        *,
        codes: Mapping[str, tuple[str, ...]] | None = None,
        is_open: bool = False,
        listing: str = "",
        renew: Callable[[], Iterable[Choice]] | None = None,
    ) -> None:
        self.kind = kind.replace("_", " ")
        self.is_open = is_open
        self.listing = listing or f"batcher list {kind}"
        self.codes = codes or {}
        self.renew = renew
        self._learn(members)

    def _learn(self, members: Iterable[Choice]) -> None:
        self.members = tuple(members)
        self._ids: dict[str, str] = {}
        self._names: dict[str, list[str]] = {}
        self._spelling: dict[str, str] = {}
        self._labels: dict[str, str] = {}
        for member in self.members:
            self._ids[member.id.casefold()] = member.id
            self._names.setdefault(member.name.strip().casefold(), []).append(member.id)
            self._spelling[member.name.strip().casefold()] = member.name
            self._labels[_both(member).casefold()] = member.id

    @property
    def labels(self) -> tuple[str, ...]:
        """What people pick from, in alphabetical order: names, and `name (id)` where a name alone would not do."""
        names = {member: " ".join(member.name.split()) for member in self.members}
        found = [name if self._means(name, member.id) else _both(member) for member, name in names.items()]
        return tuple(sorted(dict.fromkeys(found), key=str.casefold))

    def _means(self, name: str, member_id: str) -> bool:
        wanted = name.casefold()
        return bool(name) and self._ids.get(wanted, member_id) == member_id and self._names.get(wanted) == [member_id]

    def resolve(self, text: str) -> str:
        """
        The id that is meant by an id, a name, both (`Maria (voice_7)`) or a code such as `es-ES`; upper and lower case
        do not matter.

        Raises:
            ValueError: It is none of them, or a name that several share; the message names the nearest.
        """
        wanted = text.strip().casefold()
        if wanted in self._ids:
            return self._ids[wanted]
        if wanted in self._labels and wanted not in self._names:
            return self._labels[wanted]
        coded = next((name for name in self._coded(wanted) if name.casefold() in self._names), "")
        named = self._names.get(wanted) or self._names.get(coded.casefold()) or []
        ids = list(dict.fromkeys(named))
        if len(ids) == 1:
            return ids[0]
        singular = self.kind.removesuffix("s")
        if ids:
            raise ValueError(f"several {self.kind} are called '{text}': write the id, one of {', '.join(ids[:5])}")
        if self.renew is not None:
            renew, self.renew = self.renew, None
            self._learn(tuple(renew()) or self.members)
            return self.resolve(text)
        if self.is_open:
            return text.strip()
        raise ValueError(f"unknown {singular} '{text}'{self.hint(text)}")

    def hint(self, text: str) -> str:
        """What may have been meant by a text that is none of them, to stand behind a complaint."""
        near = self._near(text.strip().casefold())
        if near:
            return f"; did you mean {' or '.join(repr(name) for name in near)}?"
        return f"; see `{self.listing}`"

    def _coded(self, wanted: str) -> tuple[str, ...]:
        """The names that a code may stand for; `es_ES` is read as `es-ES`."""
        return self.codes.get(wanted.replace("_", "-"), ())

    def _near(self, wanted: str) -> list[str]:
        language = wanted.replace("_", "-").split("-")[0]
        related = [names for code, names in self.codes.items() if code.split("-")[0] == language]
        listed = dict.fromkeys(name for names in related for name in names if name.casefold() in self._names)
        if listed:
            return list(listed)[:3]
        starts = [name for name in self._spelling if wanted and (name.startswith(wanted) or wanted.startswith(name))]
        close = difflib.get_close_matches(wanted, self._spelling, n=3, cutoff=0.6)
        return [self._spelling[name] for name in dict.fromkeys([*starts[:3], *close])][:3]


def _both(member: Choice) -> str:
    """Name and id; the id alone for what has no name of its own."""
    name = " ".join(member.name.split())
    return f"{name} ({member.id})" if name and name != member.id else member.id
