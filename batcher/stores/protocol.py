"""What every store does, be it a folder or a service of objects."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol, TypeVar

from msgspec import Struct

P = TypeVar("P", contravariant=True)
NOTHING = ""
"""The mark of what is not there."""


class Stored(Struct, frozen=True, kw_only=True):
    """
    A file that stands in a store.

    Attributes:
        size: In bytes.
        mark: Another one after every writing: what the store calls this very content.
    """

    size: int
    mark: str


class Store(Protocol[P]):
    """
    A store: a file is there whole or not at all, for everybody, at every moment.

    One contract suite runs against all of them.
    """

    def look(self, place: P) -> Stored | None:
        """
        What stands at a place; None when it is nothing, or a folder.

        Raises:
            StoreError: It cannot be asked, or does not allow it.
        """

    def bring(self, place: P, file: Path) -> Stored:
        """
        Copy what stands at a place into a file of this machine, all of it of one moment.

        Raises:
            StoreError: It is not there, has changed on the way twice, or cannot be read.
        """

    def begin(self, place: P) -> AbstractContextManager[Path]:
        """A new, empty file of this machine from which `put` works best; gone after the block."""

    def put(self, file: Path, place: P, *, expects: str | None) -> None:
        """
        Make a file of this machine what stands at a place; the file may be used up by that.

        Args:
            expects: The mark of what is to be replaced, `NOTHING` for a place that is to be free, None for whatever
                stands there. Where it does not hold, nothing is changed, unless the same content stands there already.

        Raises:
            Taken: Something stands there, where nothing should.
            Changed: Something else stands there.
            StoreError: It cannot be written, or has not arrived whole.
        """

    def rename(self, place: P, to: P) -> None:
        """
        Give what stands at a place another name, in the same store.

        Raises:
            StoreError: It cannot be done; what stood there still does.
        """

    def sizes(self, folder: P) -> Mapping[str, int]:
        """
        Everything below a folder, by its way down with slashes, with its size; empty when there is no such folder.

        Raises:
            StoreError: It cannot be asked.
        """

    def require(self, place: P) -> None:
        """
        Make sure, as far as can be seen without writing, that files can be put to a place; makes folders.

        Raises:
            StoreError: They cannot.
        """
