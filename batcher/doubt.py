"""What may be done about an attempt whose answer was lost: decisions, no effects."""

from __future__ import annotations

from enum import Enum

from msgspec import Struct

from batcher.catalog.model import Repeat

SAFETY_S = 3600.0
"""A key is trusted until this long before the provider forgets it: 23 of HeyGen's 24 hours."""

FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 60.0
MAX_SENDS = 8
"""Sends of one attempt within one run; after that it is left to the next run."""


class Way(str, Enum):
    """How an attempt in doubt is settled."""

    RESEND = "resend"
    """The stored body again, with the same key, or because repeating is free."""
    SEARCH = "search"
    """Look for our token in the list of all work."""
    ASK = "ask"
    """Nothing can be known: a person decides."""


class Verdict(Struct, frozen=True, kw_only=True):
    """
    What happens to an attempt in doubt.

    Attributes:
        at: Not before this instant, unix seconds.
    """

    way: Way
    at: float


def settle_doubt(
    repeat: Repeat,
    *,
    first_sent_at: float,
    last_sent_at: float,
    sends: int,
    now: float,
    server_now: float,
    chance: float,
    searchable: bool,
    deadline_s: float,
) -> Verdict:
    """
    The next step for an attempt that may have been made.

    Args:
        repeat: What the catalogue allows.
        first_sent_at, last_sent_at: Unix seconds.
        sends: How often it has been sent in this run.
        now: Unix seconds. A clock that stands before `first_sent_at` cannot tell the age of a key: then a search goes
            first.
        server_now: The same by the API's clock: a key is as old as the older of the two says.
        chance: From 0 to 1, spreads the waits.
        searchable: Whether our token went out with it, somewhere where a search can see it.
        deadline_s: How long a write may take: before that, absence from a list proves nothing.
    """
    age = max(now, server_now) - first_sent_at
    if repeat.free or (repeat.has_key and now >= first_sent_at and age < repeat.key_hours * 3600 - SAFETY_S):
        wait = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** max(0, sends - 1)) * (0.75 + chance / 2)
        return Verdict(way=Way.RESEND, at=now if sends == 0 else now + wait)
    if repeat.find and searchable:
        # an instant ahead of our clock says that the clock has jumped back: no write lives longer than its deadline
        return Verdict(way=Way.SEARCH, at=min(max(now, last_sent_at + deadline_s), now + deadline_s))
    return Verdict(way=Way.ASK, at=now)
