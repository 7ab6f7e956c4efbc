"""The account as it stands: work in its slots, work that waits, money, and what is known about the rest."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from heapq import heappop, heappush

from msgspec import Struct
from msgspec.structs import replace

from batcher.simulator import chance
from batcher.simulator.behaviour import Behaviour, parsed_rate
from batcher.simulator.grant import Grant
from batcher.simulator.media import Links
from batcher.simulator.shelf import Shelf
from batcher.simulator.stock import Stock
from batcher.simulator.tally import Tally
from batcher.simulator.wire import Refused
from batcher.simulator.work import Kind, Order, Phase, Work

_SLOTTED = frozenset({Kind.VIDEO, Kind.TRANSLATION, Kind.LIPSYNC, Kind.BACKGROUND})
_ODD_WORDS = ("running", "succeeded", "", "rendering", "waiting", "in_queue")
_HIDDEN_LOOKS = 2
_LINKLESS_LOOKS = 3


class Sight(Struct, frozen=True, kw_only=True):
    """
    What one look at a piece of work shows.

    Attributes:
        phase: Where it seems to stand.
        word: An undocumented word instead of the phase's; None for the usual one.
        has_link: Its links are shown.
        hidden: The look says that the id does not exist.
    """

    phase: Phase
    word: str | None = None
    has_link: bool = False
    hidden: bool = False


class Batch(Struct, kw_only=True, eq=False):
    """
    Work that was asked for in one request.

    Attributes:
        batch_id: Its id.
        title: As it was sent.
        created_at: Unix seconds.
        items: By index: the work, or why it was not made.
    """

    batch_id: str
    title: str | None
    created_at: float
    items: list[Work | Refused]


class World:
    """
    Everything that changes.

    There are no timers: what has ended since the last request is worked out when the next one comes.

    Args:
        behaviour: How to behave; may be replaced at any time.
        now: Where time comes from.
    """

    def __init__(self, behaviour: Behaviour, *, now: Callable[[], float] | None = None) -> None:
        self.behaviour = behaviour
        self.clock = chance.Clock(now) if now else chance.Clock()
        self.wallet = behaviour.balance
        self.stock = Stock()
        self.tally = Tally()
        self.events: Shelf[Work] = Shelf()
        self.batches: dict[str, Batch] = {}
        self.access_tokens: dict[str, float] = {}
        self.grants: dict[str, Grant] = {}
        self.sessions: dict[str, Work] = {}
        self.background_requests: dict[str, Work] = {}
        self.spoken: dict[str, Work] = {}
        self.tokens_made = 0
        self.shelves: dict[Kind, Shelf[Work]] = {kind: Shelf() for kind in Kind}
        self._known: dict[Kind, dict[str, Work]] = {kind: {} for kind in Kind}
        self._busy: list[tuple[float, int, Work]] = []
        self._queue: deque[Work] = deque()
        self._made = 0
        self._uploads = 0
        self.behave(behaviour)

    def behave(self, behaviour: Behaviour) -> None:
        """Behave differently from now on; a storm begins anew, work in its slots keeps its render time."""
        self.behaviour = behaviour
        self.rate = parsed_rate(behaviour.rate)
        self.links = Links(chance.digest(behaviour.seed, "links"), life_s=behaviour.link_life_s, clock=self.clock)
        self.storm_left = behaviour.storm if "storms_429" in behaviour.hostile else 0

    @property
    def busy(self) -> Sequence[Work]:
        """The work that holds a slot now."""
        self.settle()
        return [work for _, _, work in self._busy]

    def has(self, mode: str) -> bool:
        """Return whether a hostile mode is on."""
        return mode in self.behaviour.hostile

    def new_id(self, *names: object) -> str:
        """Return the id that the seed gives to a thing of this name."""
        return chance.digest(self.behaviour.seed, *names).hex()

    def next_upload_id(self) -> str:
        """Return the id of the next asset or batch."""
        self._uploads += 1
        return self.new_id("upload", self._uploads)

    def create(self, orders: Sequence[Order], *, key: str, queues: bool = False) -> list[Work]:
        """
        Start work at once, all of it or nothing.

        Args:
            orders: What to make.
            key: The idempotency key that came with it.
            queues: What finds no slot waits instead of being refused, as in version 2.

        Raises:
            Refused: 429 when no slot is free, 402 when the wallet does not hold the price.
        """
        self.settle()
        slotted = sum(order.kind in _SLOTTED for order in orders)
        if not queues:
            self._require_slots(slotted)
        self._require_credit(sum(order.amount for order in orders))
        made = [self._accept(order, key=key) for order in orders]
        for work in made:
            self._list(work)
        self.settle()
        return made

    def create_batch(self, orders: Sequence[Order | Refused], *, title: str | None, key: str) -> Batch:
        """Accept work that waits for its slots; what cannot be made stands in the batch as a failed item."""
        self.settle()
        batch = Batch(batch_id=self.next_upload_id(), title=title, created_at=self.clock(), items=[])
        self.batches[batch.batch_id] = batch
        for index, order in enumerate(orders):
            batch.items.append(self._batch_item(order, batch_id=batch.batch_id, index=index, key=key))
        self.settle()
        return batch

    def find(self, kind: Kind, work_id: str) -> Work | None:
        """Return the work with this id, even when a look at it would not show it."""
        self.settle()
        return self._known[kind].get(work_id)

    def remove(self, work: Work) -> None:
        """Delete finished or unfinished work from sight; a slot that it holds stays taken until its time."""
        self._known[work.order.kind].pop(work.work_id, None)
        for kind, place in work.places:
            self.shelves[kind].remove(place)
        work.places.clear()

    def look(self, work: Work) -> Sight:
        """Look at work: what it shows may depend on how often somebody looked."""
        now = self.clock()
        phase = work.phase(now)
        work.looks += 1
        if self.has("not_found") and work.looks <= _HIDDEN_LOOKS:
            return Sight(phase=phase, hidden=True)
        if not phase.is_final:
            odd = _ODD_WORDS[(work.number + work.looks) % len(_ODD_WORDS)] if self.has("unknown_words") else None
            return Sight(phase=phase, word=odd)
        work.final_looks += 1
        if self.has("regress") and work.final_looks == 2:
            return Sight(phase=Phase.PROCESSING)
        linked = phase is Phase.COMPLETED and not (self.has("late_links") and work.final_looks <= _LINKLESS_LOOKS)
        if work.noticed_at is None and (linked or phase is Phase.FAILED):
            work.noticed_at = now
            self.tally.noticed_late_s.append(round(now - work.ends_at, 6))
        return Sight(phase=phase, has_link=linked)

    def settle(self) -> None:
        """Let everything happen that was due by now: ends, and starts of what waited."""
        now = self.clock()
        while self._busy and self._busy[0][0] <= now:
            ended_at, _, work = heappop(self._busy)
            self._end(work)
            if self._queue and len(self._busy) < self.behaviour.in_flight:
                self._begin(self._queue.popleft(), at=ended_at)
        while self._queue and len(self._busy) < self.behaviour.in_flight:
            self._begin(self._queue.popleft(), at=now)

    def _require_slots(self, wanted: int) -> None:
        """Raise 429 unless so many slots are free; of more than there are in all, the rest may wait."""
        free = self.behaviour.in_flight - len(self._busy)
        if min(wanted, self.behaviour.in_flight) <= free:
            return
        wait_s = self._busy[0][0] - self.clock() if self._busy else 1.0
        raise Refused(
            429,
            "rate_limit_exceeded",
            f"Concurrency limit reached: {self.behaviour.in_flight} videos are in progress",
            retry_after_s=max(1, math.ceil(min(wait_s, 60.0))),
        )

    def _require_credit(self, amount: float) -> None:
        if amount > self.wallet + 1e-9:
            raise Refused(402, "insufficient_credit", "Insufficient credit. Please top up your API wallet.")

    def _batch_item(self, order: Order | Refused, *, batch_id: str, index: int, key: str) -> Work | Refused:
        """Return the accepted item, or why it is not."""
        if isinstance(order, Refused):
            return order
        try:
            self._require_credit(order.amount)
        except Refused as refusal:
            return refusal
        return self._accept(order, key=key, batch_id=batch_id, index=index)

    def _accept(self, order: Order, *, key: str, batch_id: str | None = None, index: int | None = None) -> Work:
        """Take the price and put the work where it waits for its slot, or where it needs none."""
        self._made += 1
        behaviour = self.behaviour
        if order.title is not None and self.has("cut_titles"):
            order = replace(order, title=order.title.strip()[:24])
        base_s = chance.render_time(behaviour.seed, self._made, median_s=behaviour.render_s, spread=behaviour.spread)
        work = Work(
            work_id=self.new_id(order.kind.value, self._made),
            number=self._made,
            order=order,
            created_at=self.clock(),
            render_s=base_s * order.slowness,
            batch_id=batch_id,
            item_index=index,
        )
        self.wallet -= order.amount
        self._known[order.kind][work.work_id] = work
        self.tally.charge(work, key=key)
        if order.kind in _SLOTTED:
            self._queue.append(work)
        else:
            work.starts_at = work.created_at
        return work

    def _list(self, work: Work) -> None:
        """Show the work in the list of its kind; translated videos stand among the videos too."""
        if work.places:
            return
        order = work.order
        labels = [f"folder {order.folder_id}"] if order.folder_id else []
        for kind in (order.kind, Kind.VIDEO) if order.kind is Kind.TRANSLATION else (order.kind,):
            work.places.append((kind, self.shelves[kind].put(work, title=order.title or "", labels=labels)))

    def _begin(self, work: Work, *, at: float) -> None:
        """Give the work a slot; the members of a batch are listed from now on."""
        work.starts_at = at
        self._list(work)
        heappush(self._busy, (work.ends_at, work.number, work))
        self.tally.peak_in_flight = max(self.tally.peak_in_flight, len(self._busy))

    def _end(self, work: Work) -> None:
        """Free the slot, give the price of a failure back, and tell it to the webhook history."""
        self.tally.occupied_s += work.render_s
        self.tally.ended_at.append(work.ends_at)
        if work.order.failure is not None:
            self.wallet += work.order.amount
        if told := event_type(work):
            self.events.put(work, labels=[f"type {told}", f"entity {work.work_id}"])


def event_type(work: Work) -> str:
    """Return the type of the webhook event of the end of a piece of work; empty for kinds that have none."""
    families = {Kind.VIDEO: "avatar_video", Kind.TRANSLATION: "video_translate"}
    family = families.get(work.order.kind)
    return f"{family}.{'fail' if work.order.failure else 'success'}" if family else ""
