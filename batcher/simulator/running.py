"""Starts and stops a simulator: in the foreground for the command line, in a thread for tests and rehearsals."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import threading
import urllib.request
from collections.abc import Callable
from types import TracebackType
from typing import Self

from batcher.simulator.behaviour import Behaviour
from batcher.simulator.lending import Things
from batcher.simulator.wire import Json

Ready = Callable[[str], None]

_TO_ITSELF = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""No proxy of the environment: the address is on this machine."""


def serve(
    behaviour: Behaviour,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    ready: Ready | None = None,
    stop: threading.Event | None = None,
) -> None:
    """
    Run a simulator until it is told to stop.

    Args:
        behaviour: How it behaves.
        host: A loopback address; anything else raises ValueError, because whoever can reach it can use it.
        port: 0 takes a free one.
        ready: Called with the address, such as `http://127.0.0.1:40123`, once it answers.
        stop: Ends it when set; None runs until the process is interrupted.

    Raises:
        OSError: The port is taken.
    """
    _require_loopback(host)

    async def until_stopped() -> None:
        stopping = asyncio.Event()
        running = asyncio.ensure_future(_run(behaviour, host=host, port=port, ready=ready, stopping=stopping))
        while not running.done() and not (stop is not None and stop.is_set()):
            await asyncio.wait([running], timeout=0.1)
        stopping.set()
        await running

    asyncio.run(until_stopped())


class Running:
    """
    A simulator in a thread of its own; as a context manager it stops at the end.

    Attributes:
        url: Its address, without a slash at the end.
    """

    def __init__(self, behaviour: Behaviour, *, host: str = "127.0.0.1", port: int = 0) -> None:
        _require_loopback(host)
        self.url = ""
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self._failure: BaseException | None = None
        self._answering = threading.Event()
        self._thread = threading.Thread(target=self._work, args=(behaviour, host, port), name="simulator", daemon=True)
        self._thread.start()
        self._answering.wait()
        failure: BaseException | None = self._failure
        if failure is not None:
            self._thread.join()
            raise failure

    def stop(self) -> None:
        """End it and wait until its port is free; harmless when it has ended already."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join()

    def report(self) -> dict[str, Json]:
        """Return what it saw from its side: see `GET /_simulator/report`."""
        return self._ask("report")

    def charges(self) -> list[dict[str, Json]]:
        """Return one entry per piece of work that was made, in their order."""
        charges: list[dict[str, Json]] = self.report()["charges"]
        return charges

    def advance(self, seconds: float) -> None:
        """Let time pass at once."""
        self._ask("advance", {"seconds": seconds})

    def behave(self, **changes: Json) -> None:
        """Change fields of its `Behaviour`, but for seed and key; `balance` fills the wallet."""
        if "hostile" in changes:
            changes["hostile"] = sorted(changes["hostile"])
        self._ask("behaviour", changes)

    def lend(self, things: Things) -> None:
        """Have it know voices, avatars, languages and templates of another account: see `Things`."""
        self._ask("stock", things)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _ask(self, name: str, body: Json = None) -> dict[str, Json]:
        """Return what its own door answers."""
        content = None if body is None else json.dumps(body).encode()
        with _TO_ITSELF.open(f"{self.url}/_simulator/{name}", data=content, timeout=30) as answer:
            told: dict[str, Json] = json.load(answer)
        return told

    def _ready(self, url: str) -> None:
        self.url = url
        self._answering.set()

    def _work(self, behaviour: Behaviour, host: str, port: int) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(
                _run(behaviour, host=host, port=port, ready=self._ready, stopping=self._stopping)
            )
        except (OSError, ValueError) as error:
            self._failure = error
        finally:
            self._loop.close()
            self._answering.set()


def start(behaviour: Behaviour | None = None, *, host: str = "127.0.0.1", port: int = 0) -> Running:
    """
    Start a simulator in a daemon thread and return when it answers.

    Raises:
        OSError: The port is taken.
        ValueError: The host is not a loopback address.
    """
    return Running(behaviour or Behaviour(), host=host, port=port)


def _require_loopback(host: str) -> None:
    """Raise ValueError for an address that other machines could reach."""
    if host == "localhost":
        return
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise ValueError(f"the simulator listens on loopback addresses only, not on {host!r}")


async def _run(behaviour: Behaviour, *, host: str, port: int, ready: Ready | None, stopping: asyncio.Event) -> None:
    """Answer until `stopping` is set."""
    # aiohttp takes a while to import: only when it is used.
    from batcher.simulator.server import answering

    async with answering(behaviour, host=host, port=port) as url:
        if ready is not None:
            ready(url)
        await stopping.wait()
