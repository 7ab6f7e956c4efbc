"""A bounded pool of threads that carry requests out; plain values go in and come back through one queue."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from msgspec import Struct

from batcher.errors import Stopped


class Returned(Struct, frozen=True, kw_only=True):
    """
    What came of one errand.

    Attributes:
        owner: Who sent it.
        about: What it was about; the owner's own value.
        value: What the errand returned; None when it failed.
        error: What it raised; None when it did not.
        is_last: Nothing more comes of it.
    """

    owner: object
    about: Any
    value: Any = None
    error: BaseException | None = None
    is_last: bool = True


class Senders(Protocol):
    """Carries out errands; the caller's thread collects what came of them."""

    def free(self) -> int:
        """How many more errands can begin at once."""

    def send(self, owner: object, about: Any, errand: Callable[[], Any]) -> None:
        """Begin an errand; of an iterator each value comes back as soon as it is there, and behind them None."""

    def collect(self, *, wait_s: float) -> list[Returned]:
        """All that has come back; waits up to `wait_s` seconds for the first."""

    def under_way(self) -> int:
        """How many errands have not come back."""

    def close(self) -> None:
        """Begin nothing more."""


class ThreadedSenders:
    """
    Senders on threads.

    Args:
        size: How many errands go on at once.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._work: queue.SimpleQueue[tuple[object, Any, Callable[[], Any]] | None] = queue.SimpleQueue()
        self._back: queue.SimpleQueue[Returned] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._under_way = 0

    def free(self) -> int:
        """See `Senders.free`."""
        return self._size - self._under_way

    def under_way(self) -> int:
        """See `Senders.under_way`."""
        return self._under_way

    def send(self, owner: object, about: Any, errand: Callable[[], Any]) -> None:
        """See `Senders.send`."""
        self._under_way += 1
        if len(self._threads) < min(self._size, self._under_way):
            thread = threading.Thread(target=self._carry, name=f"sender-{len(self._threads)}", daemon=True)
            try:
                thread.start()
                self._threads.append(thread)
            except RuntimeError as error:  # as many as the machine gives must do
                if not self._threads:
                    self._under_way -= 1
                    raise Stopped(
                        "no thread can be started here: free memory, or raise the limit (ulimit -u)"
                    ) from error
                self._size = len(self._threads)
        self._work.put((owner, about, errand))

    def collect(self, *, wait_s: float) -> list[Returned]:
        """See `Senders.collect`."""
        found: list[Returned] = []
        try:
            found.append(self._back.get(timeout=wait_s) if wait_s > 0 else self._back.get_nowait())
            while True:
                found.append(self._back.get_nowait())
        except queue.Empty:
            pass
        self._under_way -= sum(each.is_last for each in found)
        return found

    def close(self) -> None:
        """See `Senders.close`."""
        for _ in self._threads:
            self._work.put(None)

    def _carry(self) -> None:
        while (errand := self._work.get()) is not None:
            owner, about, do = errand
            try:
                value = do()
                if isinstance(value, Iterator):
                    for each in value:
                        self._back.put(Returned(owner=owner, about=about, value=each, is_last=False))
                    value = None
                self._back.put(Returned(owner=owner, about=about, value=value))
            except BaseException as error:  # noqa: BLE001 - carried to the thread that owns the errand
                self._back.put(Returned(owner=owner, about=about, error=error))
