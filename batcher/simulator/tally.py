"""What the simulator counts from its side, so that a test can compare it with what a client believes."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from batcher.simulator.wire import Json
from batcher.simulator.work import Work


class Tally:
    """
    Counts of everything that happened.

    Attributes:
        charges: The work of every creation with its idempotency key, in order.
        requests: How often each route was asked.
        refused: How often each error status was answered.
        faults: How often each hostile mode struck.
        posts_at: Unix seconds of the arrival of each POST.
        noticed_late_s: Seconds from the end of each piece of work to the first look that showed it.
        replays: How often an idempotency key brought an earlier answer.
        peak_in_flight: Most slots taken at once.
        occupied_s: Slot seconds of work that has ended.
        ended_at: Unix seconds of the end of each piece of work, in the order of the ends.
        credentials_on_links: How often a link was fetched with an API key or token in its headers: a leak.
    """

    def __init__(self) -> None:
        self.charges: list[tuple[Work, str]] = []
        self.requests: Counter[str] = Counter()
        self.refused: Counter[int] = Counter()
        self.faults: Counter[str] = Counter()
        self.posts_at: list[float] = []
        self.noticed_late_s: list[float] = []
        self.replays = 0
        self.peak_in_flight = 0
        self.occupied_s = 0.0
        self.ended_at: list[float] = []
        self.credentials_on_links = 0

    def charge(self, work: Work, *, key: str) -> None:
        """Count one creation."""
        self.charges.append((work, key))

    def report(self, *, now: float, busy: Iterable[Work], wallet: float) -> Mapping[str, Json]:
        """Return all counts as JSON."""
        charges = [_charged(work, key=key) for work, key in self.charges]
        alike: dict[tuple[str, str, str], list[str]] = defaultdict(list)
        for each in charges:
            alike[each["kind"], each["title"] or "", each["body_sha256"]].append(each["id"])
        return {
            "creations": len(charges),
            "charges": charges,
            "duplicates": [
                {"kind": kind, "title": title, "body_sha256": digest, "ids": ids}
                for (kind, title, digest), ids in alike.items()
                if len(ids) > 1
            ],
            "requests": self.requests,
            "posts_at": self.posts_at,
            "max_posts_in_second": most_in_window(self.posts_at, window_s=1.0),
            "refused": self.refused,
            "faults": self.faults,
            "replays": self.replays,
            "peak_in_flight": self.peak_in_flight,
            "occupancy": self.occupied_s + sum(max(0.0, now - work.starts_at) for work in busy),
            "ended_at": self.ended_at,
            "noticed_late_s": self.noticed_late_s,
            "credentials_on_links": self.credentials_on_links,
            "balance": wallet,
            "now": now,
        }


def most_in_window(instants: list[float], *, window_s: float) -> int:
    """Return how many of the instants, in ascending order, fall into the fullest window `[t, t + window)`."""
    most = first = 0
    for last, instant in enumerate(instants):
        while instant - instants[first] >= window_s:
            first += 1
        most = max(most, last - first + 1)
    return most


def _charged(work: Work, *, key: str) -> dict[str, Any]:
    """Return what is told of a creation."""
    order = work.order
    return {
        "id": work.work_id,
        "kind": order.kind.value,
        "at": work.created_at,
        "key": key,
        "callback_id": order.callback_id,
        "title": order.title,
        "amount": order.amount,
        "body_sha256": _digest(order.body),
        "batch_id": work.batch_id,
        "item_index": work.item_index,
    }


def _digest(body: Json) -> str:
    """Return the hash of a request without its callback_id, which differs between two tries at the same thing."""
    bare = {name: value for name, value in body.items() if name != "callback_id"} if isinstance(body, dict) else body
    return hashlib.sha256(json.dumps(bare, sort_keys=True).encode()).hexdigest()
