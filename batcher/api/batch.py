"""A look into a batch: what has become of each of its items."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from batcher.api.client import Client, usable_id, with_id
from batcher.catalog.model import Batch, Settle
from batcher.catalog.outcome import read_outcome
from batcher.model import Outcome


class Item(Struct, frozen=True, kw_only=True):
    """
    One item of a batch.

    Attributes:
        remote_id: Its own id; empty as long as it has none.
        outcome: What is said about one without an id; None beside an id, by which more is to be learned.
    """

    remote_id: str
    outcome: Outcome | None


class BatchSeen(Struct, frozen=True, kw_only=True):
    """
    What a look into a batch has brought.

    Attributes:
        items: By index; what the answer leaves out, or shows under something that is no index, is not in it.
        twice: Indexes under which the answer shows different items: nobody knows which one is ours.
        total: How many items the API counts; None where it does not say.
    """

    items: Mapping[int, Item]
    twice: frozenset[int] = frozenset()
    total: int | None = None


def look_into(client: Client, batch: Batch, settle: Settle, batch_id: str) -> BatchSeen:
    """
    Look once into a batch.

    Raises:
        ApiError: Any but InDoubt.
    """
    answer = client.read(with_id(batch.items.path, batch_id))
    found = batch.items.items.find(answer)
    items: dict[int, Item] = {}
    twice: set[int] = set()
    for each in found if isinstance(found, list) else ():
        index = batch.items.index.find(each)
        if type(index) is not int:
            continue
        remote_id = usable_id(batch.items.id.find(each))
        item = Item(remote_id=remote_id, outcome=None if remote_id else read_outcome(settle, each))
        if items.setdefault(index, item).remote_id != item.remote_id:
            twice.add(index)
    total = batch.items.total.find(answer) if batch.items.total else None
    return BatchSeen(items=items, twice=frozenset(twice), total=total if type(total) is int else None)
