"""What is in flight of one operation: how old it is, what may be finished, and how deep it stands in a list."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence

from msgspec import Struct, field

from batcher.catalog.model import Settle
from batcher.ledger.values import InFlight
from batcher.pacing import links_wait, ready_age

REMEMBERED = 100
"""So many render times are kept, the newest."""


class Ended(Struct, frozen=True, kw_only=True):
    """A piece of work that was seen to have ended, whose links are still to be read; `at` is when, unix seconds."""

    flying: InFlight
    at: float


class Flight(Struct, kw_only=True):
    """
    All work of one operation that is accepted and not finished.

    Attributes:
        settle: How its outcome is learned.
        times: How long the newest pieces took, in seconds, newest first.
        rendering: What is not known to have ended, by remote id, in the order in which it was accepted.
        ended: What has let go of its slot, by remote id, in the order in which that was noticed.
        unfinished: The ids that this run has seen at work, or has sent itself.
        awaited: The steps whose outputs later steps of their rows wait for.
        asked_at: When links were last asked for, unix seconds; 0 before that.
        moved_at: When something was last seen to end, or its links came, unix seconds; 0 before that.
        looked_at: When the last look began that has come back, unix seconds; 0 before the first.
    """

    settle: Settle
    times: list[float] = field(default_factory=list)
    rendering: dict[str, InFlight] = field(default_factory=dict)
    ended: dict[str, Ended] = field(default_factory=dict)
    unfinished: set[str] = field(default_factory=set)
    awaited: frozenset[str] = frozenset()
    asked_at: float = 0.0
    moved_at: float = 0.0
    looked_at: float = 0.0
    _places: dict[str, int] = field(default_factory=dict)
    _accepted: int = 0

    def __len__(self) -> int:
        return len(self.rendering) + len(self.ended)

    def __iter__(self) -> Iterator[InFlight]:
        yield from (each.flying for each in self.ended.values())
        yield from self.rendering.values()

    def find(self, remote_id: str) -> InFlight | None:
        """What is known by an id; None where nothing is, or no longer."""
        found = self.ended.get(remote_id)
        return found.flying if found else self.rendering.get(remote_id)

    def add(self, flying: InFlight) -> None:
        """It was accepted after all that is here."""
        self._accepted += 1
        self._places[flying.remote_id] = self._accepted
        self.rendering[flying.remote_id] = flying

    def end(self, remote_id: str, *, at: float) -> bool:
        """
        It was seen to have ended; returns whether that is news.

        That tells how long it took, unless it may have come long before anybody looked.
        """
        flying = self.rendering.pop(remote_id, None)
        if flying is not None:
            self.ended[remote_id] = Ended(flying=flying, at=at)
            self.moved_at = at
            if self._was_at_work(flying):
                self.took(at - flying.accepted_at)
        return flying is not None

    def remove(self, remote_id: str, *, at: float) -> bool:
        """All is known of it; returns whether that it has ended is news."""
        self.moved_at = at
        self.ended.pop(remote_id, None)
        self._places.pop(remote_id, None)
        self.unfinished.discard(remote_id)
        return self.rendering.pop(remote_id, None) is not None

    def took(self, seconds: float) -> None:
        """A piece was finished after so many seconds."""
        self.times = [seconds, *self.times[: REMEMBERED - 1]]

    def noticed(self, flying: InFlight, now: float) -> float | None:
        """When its end was noticed: now or earlier; None where it may have come long before anybody looked."""
        if not self._was_at_work(flying):
            return None
        ended = self.ended.get(flying.remote_id)
        return ended.at if ended else now

    def _was_at_work(self, flying: InFlight) -> bool:
        """Whether an earlier look has found it at work, or would have: what was never looked at may have ended at once."""
        return flying.remote_id in self.unfinished and flying.accepted_at <= self.looked_at

    def ripe(self, now: float) -> list[str]:
        """What may have ended by now, oldest first."""
        youngest = now - ready_age(self.times)
        return [each for each, flying in self.rendering.items() if flying.accepted_at <= youngest]

    def wants_links(self, now: float, *, slots_wanted: bool) -> bool:
        """
        Whether the links of what has ended are to be read: nothing else is to come, or they have waited long enough.

        Where slots stay empty because later steps wait for just these links, they wait for nothing. Links that were
        asked for and did not come wait once more: what is still at work is looked at in between.
        """
        if not self.ended or not self.rendering:
            return bool(self.ended)
        oldest = next(iter(self.ended.values()))
        if now - max(oldest.at, self.asked_at) >= links_wait(self.times):
            return True
        return not slots_wanted and any(
            each.at > self.asked_at and each.flying.key.step in self.awaited for each in self.ended.values()
        )

    def pages(self, ids: Collection[str], *, per_page: int) -> int:
        """How many pages of a list, newest work first, reach down to all of these; the account's other work not counted."""
        oldest = min((self._places.get(each, 0) for each in ids), default=self._accepted)
        return math.ceil((self._accepted + 1 - oldest) / per_page)

    def ages(self, now: float) -> Sequence[float]:
        """How long ago each piece was accepted that is not known to have ended."""
        return [now - flying.accepted_at for flying in self.rendering.values()]
