"""A place in a catalogue file: what stands there, and how to complain about it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, TypeVar

from batcher.catalog.pick import Pick
from batcher.document import Document, KeyPath
from batcher.errors import InputError, Problem
from batcher.schema import unknown_key

T = TypeVar("T")


class At:
    """
    A place in a document that fits its schema.

    Args:
        document: The whole file.
        path: Where in it.
    """

    def __init__(self, document: Document, path: KeyPath = ()) -> None:
        self._document = document
        self._path = path

    @property
    def value(self) -> Any:
        """What stands here; None when nothing does."""
        return self.get()

    def at(self, *path: str | int) -> At:
        """A place further in."""
        return At(self._document, (*self._path, *path))

    def inner(self, *path: str | int) -> At | None:
        """A place further in; None when nothing stands there."""
        return self.at(*path) if self.get(*path) is not None else None

    def get(self, *path: str | int) -> Any:
        """What stands further in; None when nothing does."""
        value = self._document.value
        for part in (*self._path, *path):
            if isinstance(value, dict):
                value = value.get(part)
            elif isinstance(value, list) and isinstance(part, int):
                value = value[part]
            else:
                return None
        return value

    def pick(self, *path: str | int) -> Pick:
        """
        The expression that stands there.

        Raises:
            InputError: It is not JMESPath.
        """
        try:
            return Pick(self.get(*path))
        except ValueError as error:
            raise self.wrong(str(error), *path) from error

    def maybe(self, *path: str | int) -> Pick | None:
        """As `pick`; None when nothing stands there."""
        return self.pick(*path) if self.get(*path) is not None else None

    def parsed(self, *path: str | int, parse: Callable[[str], T]) -> T | None:
        """A text as what it means; None when nothing stands there."""
        text = self.get(*path)
        if text is None:
            return None
        try:
            return parse(text)
        except ValueError as error:
            raise self.wrong(str(error), *path) from error

    def must_lead_to(self, *path: str | int, known: Collection[str]) -> None:
        """
        Make sure that a name that stands there, if one does, is known.

        Raises:
            InputError: It is not; the message names the nearest.
        """
        name = self.get(*path)
        if name is not None and name not in known:
            raise self.wrong(unknown_key(name, known).replace("unknown key", "unknown name", 1), *path)

    def problem(self, message: str, *path: str | int) -> Problem:
        """A complaint about a place."""
        return self._document.problem((*self._path, *path), message)

    def wrong(self, message: str, *path: str | int) -> InputError:
        """The error to raise about a place."""
        return InputError(self.problem(message, *path))
