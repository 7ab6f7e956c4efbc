"""Answers that are held back until something has been broken: what is in the air is in the air for as long as needed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from proofs.proxy import Exchange, honest, spoiling
from proofs.scene import Ran, Scene, finish, until
from proofs.standin import StandIn


class Held:
    """
    A simulator whose answers to writes are held back until something has been broken.

    Attributes:
        stand_in: The simulator.
        url: Where batcher is to go.
    """

    def __init__(self, stand_in: StandIn) -> None:
        self.stand_in = stand_in
        self.url = ""
        self._broken = threading.Event()

    def hold_back(self, exchange: Exchange) -> bytes:
        """Everything is done and charged; the answer comes once the test has done its worst."""
        reply = exchange.forward()
        self._broken.wait(30)
        return honest(reply)

    def run(self, scene: Scene, *arguments: str, charges: int, break_it: Callable[[int], object]) -> Ran:
        """A run under which something breaks after so many charges, and before their answers come."""
        process = scene.begin(*arguments)
        until(lambda: len(self.stand_in.charges(scene.name)) == charges, during=process)
        break_it(process.pid)
        self._broken.set()
        return finish(process)


@contextmanager
def holding(stand_in: StandIn) -> Iterator[Held]:
    """Go between batcher and a simulator."""
    held = Held(stand_in)
    with spoiling(stand_in.url, held.hold_back) as proxy:
        held.url = proxy.url
        yield held
