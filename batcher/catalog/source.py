"""Where an API tells something: its lists and their pages, single look-ups, valid values, the account."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from msgspec import Struct, field

from batcher.catalog.pick import Pick


class Paging(str, Enum):
    """How a list is asked for its next page."""

    TOKEN = "token"  # noqa: S105 - a way to turn pages
    """With a text that the page before has given."""
    OFFSET = "offset"
    """With the number of items before it."""
    PAGE = "page"
    """With its number."""


class Pages(Struct, frozen=True, kw_only=True):
    """
    How a list is read page by page.

    Attributes:
        kind: What the parameter `place` holds.
        place: The parameter that says where a page begins.
        most: Items on a page.
        size: The parameter for that number; empty when it cannot be chosen.
        next: TOKEN: where the next page's token stands.
        more: Whether another page follows; None when the list does not say.
        total: OFFSET: how many items there are in all.
        last: PAGE: the number of the last page.
        first: PAGE: the number of the first page.
    """

    kind: Paging
    place: str
    most: int
    size: str = ""
    next: Pick | None = None
    more: Pick | None = None
    total: Pick | None = None
    last: Pick | None = None
    first: int = 1


class ChoiceList(Struct, frozen=True, kw_only=True):
    """
    Where the valid values of a field come from.

    Attributes:
        id: None when the items are the values themselves.
        also: Further paths with lists of the same form.
        codes: What else the values are called, such as `es-ES`, to the names under which they may be listed.
    """

    path: str
    items: Pick
    id: Pick | None = None
    name: Pick | None = None
    pages: Pages | None = None
    also: tuple[str, ...] = ()
    codes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


class AccountCall(Struct, frozen=True, kw_only=True):
    """Who the key belongs to, how its work is paid for, and what is left."""

    path: str
    name: Pick | None = None
    plan: Pick | None = None
    balance: Pick | None = None
    unit: Pick | None = None


class FollowUp(Struct, frozen=True, kw_only=True):
    """
    A second look-up, where the first one only names the place of the links.

    Attributes:
        when: True of the first item when it is worth asking.
        id: The id in the first item that goes into `path`.
        into: The key under which what is found is put into the first item.
    """

    when: Pick
    id: Pick
    path: str
    item: Pick
    into: str


class SingleSource(Struct, frozen=True, kw_only=True):
    """One request for one piece of work; `{id}` in the path is its id."""

    path: str
    item: Pick
    then: FollowUp | None = None


class ListSource(Struct, frozen=True, kw_only=True):
    """
    Pages of all the account's work, newest first, with state and links.

    Attributes:
        ready: True of an item that is finished and whose links stand elsewhere; None when items are complete.
        created: When an item was made, unix seconds or an ISO date; None where items do not say.
    """

    path: str
    items: Pick
    id: Pick
    pages: Pages | None = None
    ready: Pick | None = None
    created: Pick | None = None


class BulkSource(Struct, frozen=True, kw_only=True):
    """
    The states of up to `most` ids in one request.

    Attributes:
        ready: True of an item that is finished and whose links stand elsewhere; None when items are complete.
    """

    path: str
    ids: str
    most: int
    items: Pick
    id: Pick
    ready: Pick | None = None


class BatchItems(Struct, frozen=True, kw_only=True):
    """
    What has become of each item of a batch; `{id}` in the path is the batch's id.

    Attributes:
        items: Where they stand, in whatever order.
        index: Which of the bodies an item is, counted from 0.
        id: The item's own id; nothing there as long as it has none.
        total: How many items there are in all; None where the API does not say.
    """

    path: str
    items: Pick
    index: Pick
    id: Pick
    total: Pick | None = None
