"""Pages of lists as answers, honest or not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from msgspec import Struct

from batcher.simulator import chance
from batcher.simulator.shelf import BadToken, Page
from batcher.simulator.wire import Answer, Call, Json, invalid
from batcher.simulator.world import World

T = TypeVar("T")


class Shown(Struct, Generic[T], frozen=True, kw_only=True):
    """
    A page as it is shown.

    Attributes:
        items: What is on it.
        has_more: What it says about a next page.
        next_token: Where that begins.
    """

    items: list[T]
    has_more: bool
    next_token: str | None

    def answer(self, shape: Callable[[T], Json]) -> Answer:
        """Return the answer in the envelope of version 3."""
        items = [shape(item) for item in self.items]
        return Answer(body={"data": items, "has_more": self.has_more, "next_token": self.next_token})


def page_of(
    world: World,
    call: Call,
    turn: Callable[[int, str], Page[T]],
    *,
    default: int = 10,
    most: int = 100,
) -> Shown[T]:
    """
    Return the page that the query asks for, spoilt where a hostile mode says so.

    Args:
        world: Whose hostile modes count.
        call: Its query holds `limit` and `token`.
        turn: Returns the page for a limit and a token.
        default: Items on a page when the query does not say.
        most: Items on a page at most.
    """
    token = call.query.get("token", "")
    try:
        page = turn(call.limit(default=default, most=most), token)
    except BadToken as error:
        raise invalid("Invalid pagination token", param="token") from error
    items, has_more, next_token = page.items, page.has_more, page.next_token
    roll = chance.share(world.behaviour.seed, "page", sum(world.tally.requests.values()))
    if world.has("missing_pages"):
        items = _spoilt(items, world.behaviour.seed, int(roll * 1e9))
        world.tally.faults["missing_pages"] += 1
    if world.has("token_loop") and not page.has_more:
        has_more, next_token = True, (token or None) if roll < 0.5 else None
        world.tally.faults["token_loop"] += 1
    return Shown(items=items, has_more=has_more, next_token=next_token)


def _spoilt(items: list[T], seed: int, page: int) -> list[T]:
    """Return the items in another order, without about a fifth of them, another fifth twice."""
    kept: list[T] = []
    for index in sorted(range(len(items)), key=lambda index: chance.share(seed, page, index, "order")):
        fate = chance.share(seed, page, index, "fate")
        kept += [items[index]] * (0 if fate < 0.2 else 2 if fate < 0.4 else 1)
    return kept
