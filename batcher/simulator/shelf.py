"""Lists as the API shows them: newest first, in pages, found by title or label without walking over everything."""

from __future__ import annotations

import base64
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Generic, TypeVar

from msgspec import Struct

T = TypeVar("T")


class BadToken(Exception):
    """A page token that no list has given out."""


class Page(Struct, Generic[T], frozen=True, kw_only=True):
    """
    One page of a list.

    Attributes:
        items: Newest first.
        next_token: Where the next page begins; None on the last.
    """

    items: list[T]
    next_token: str | None

    @property
    def has_more(self) -> bool:
        """True when another page follows."""
        return self.next_token is not None


class Shelf(Generic[T]):
    """
    Things in the order in which they were put there.

    A token names a place, not a page number: what is added later does not shift the pages of a list that is being
    read. Labels (a folder, an event type) are found through an index, titles through one of their groups of three
    letters, which is made when somebody asks.
    """

    def __init__(self) -> None:
        self._items: list[T | None] = []
        self._titles: list[str] = []
        self._labels: list[frozenset[str]] = []
        self._labelled: dict[str, list[int]] = defaultdict(list)
        self._trigrams: dict[str, list[int]] = defaultdict(list)
        self._in_trigrams = 0

    def put(self, item: T, *, title: str = "", labels: Sequence[str] = ()) -> int:
        """Add the newest item and return its place."""
        place = len(self._items)
        self._items.append(item)
        self._titles.append(title.casefold())
        self._labels.append(frozenset(labels))
        for label in labels:
            self._labelled[label].append(place)
        return place

    def remove(self, place: int) -> None:
        """Take an item away; the places of all others stay."""
        self._items[place] = None

    def page(self, *, limit: int, token: str = "", title: str = "", label: str = "") -> Page[T]:
        """
        Return the page that begins at a token.

        Args:
            limit: Most items on it.
            token: `next_token` of the page before; empty for the first.
            title: Only items whose title contains this, whatever the case.
            label: Only items with this label.

        Raises:
            BadToken: The token is not one of ours.
        """
        found: list[T] = []
        for place in self._places(_place(token, len(self._items)), title=title.casefold(), label=label):
            item = self._items[place]
            if item is None:
                continue
            if len(found) == limit:
                return Page(items=found, next_token=_token(place))
            found.append(item)
        return Page(items=found, next_token=None)

    def _places(self, newest: int, *, title: str, label: str) -> Iterator[int]:
        """Yield places from `newest` downwards that carry the label and the title."""
        if title:
            self._index_titles()
        indexes = [self._labelled.get(label, [])] if label else []
        indexes += [self._trigrams.get(title[i : i + 3], []) for i in range(len(title) - 2)]
        candidates: Sequence[int] = min(indexes, key=len) if indexes else range(len(self._items))
        for index in range(bisect_right(candidates, newest) - 1, -1, -1):
            place = candidates[index]
            if title in self._titles[place] and (not label or label in self._labels[place]):
                yield place

    def _index_titles(self) -> None:
        """Take in the titles of what has come since the last time."""
        for place in range(self._in_trigrams, len(self._titles)):
            title = self._titles[place]
            for trigram in {title[i : i + 3] for i in range(len(title) - 2)}:
                self._trigrams[trigram].append(place)
        self._in_trigrams = len(self._titles)


def _token(place: int) -> str:
    return base64.urlsafe_b64encode(f"at:{place}".encode()).decode().rstrip("=")


def _place(token: str, size: int) -> int:
    """Return the place that a token names; the newest for an empty one."""
    if not token:
        return size - 1
    try:
        name, _, number = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode().partition(":")
        if name != "at":
            raise BadToken(token)
        return int(number)
    except ValueError as error:
        raise BadToken(token) from error
