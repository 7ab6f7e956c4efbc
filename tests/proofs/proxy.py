"""A proxy between batcher and the API that spoils answers, and remembers what it did."""

from __future__ import annotations

import http.client
import random
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

_CHUNK = 65536


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One request, as it came: its first line and headers as they are, and its body."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """What the API answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Cut(Exception):
    """The connection ends here; `reset` with a RST, otherwise with a FIN."""

    def __init__(self, *, reset: bool) -> None:
        super().__init__("reset" if reset else "closed")
        self.reset = reset


Fault = Callable[["Exchange"], bytes]
"""Returns the bytes that go back instead of an honest answer, or raises `Cut`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Exchange:
    """
    One request on its way, in the hands of a fault.

    Attributes:
        forward: Lets the API do what is asked, and returns its reply: from here on it may have been charged.
        trickle: Sends some bytes at once, ahead of those that the fault returns.
        rng: Chance, seeded.
    """

    request: Request
    forward: Callable[[], Reply]
    trickle: Callable[[bytes], None]
    rng: random.Random


@dataclass(kw_only=True)
class Proxy:
    """
    A running proxy.

    Attributes:
        url: Where it listens.
        struck: How often each method met the fault.
    """

    upstream: str
    fault: Fault
    share: float
    seed: int
    methods: frozenset[str]
    at_most: int
    url: str = ""
    struck: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._rng = random.Random(self.seed)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()

    def close(self) -> None:
        """Listen no more."""
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError, http.client.HTTPException):
            while (request := _read_request(connection)) is not None:
                try:
                    connection.sendall(self._answer(request, connection))
                except Cut as cut:
                    if cut.reset:
                        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    return

    def _answer(self, request: Request, connection: socket.socket) -> bytes:
        exchange = Exchange(
            request=request,
            forward=lambda: self._forward(request),
            trickle=connection.sendall,
            rng=self._rng,
        )
        return self.fault(exchange) if self._strikes(request) else honest(exchange.forward())

    def _strikes(self, request: Request) -> bool:
        with self._lock:
            if request.method not in self.methods or sum(self.struck.values()) >= self.at_most:
                return False
            if self._rng.random() >= self.share:
                return False
            self.struck[request.method] += 1
            return True

    def _forward(self, request: Request) -> Reply:
        address = urlsplit(self.upstream)
        upstream = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
        try:
            kept = {n: v for n, v in request.headers.items() if n not in ("host", "connection", "accept-encoding")}
            upstream.request(request.method, request.path, body=request.body or None, headers=kept)
            answer = upstream.getresponse()
            headers = {name.lower(): value for name, value in answer.getheaders()}
            return Reply(status=answer.status, headers=headers, body=answer.read())
        finally:
            upstream.close()


@contextmanager
def spoiling(
    upstream: str,
    fault: Fault,
    *,
    share: float = 1.0,
    seed: int = 0,
    methods: frozenset[str] = frozenset({"POST"}),
    at_most: int = 1_000_000,
) -> Iterator[Proxy]:
    """
    Run a proxy.

    Args:
        upstream: The API's address.
        fault: What happens to a request that is struck.
        share: Of the requests, from 0 to 1.
        methods: Which requests can be struck.
        at_most: How many are struck in all, so that every proof comes to its end.
    """
    proxy = Proxy(upstream=upstream, fault=fault, share=share, seed=seed, methods=methods, at_most=at_most)
    try:
        yield proxy
    finally:
        proxy.close()


def _read_request(connection: socket.socket) -> Request | None:
    """The next request of a connection; None when there is none any more."""
    raw = b""
    while b"\r\n\r\n" not in raw:
        more = connection.recv(_CHUNK)
        if not more:
            return None
        raw += more
    head, body = raw.split(b"\r\n\r\n", maxsplit=1)
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, value in (line.split(":", maxsplit=1) for line in lines)}
    while len(body) < int(headers.get("content-length", "0")):
        more = connection.recv(_CHUNK)
        if not more:
            return None
        body += more
    method, path, _ = first.split(" ")
    return Request(method=method, path=path, headers=headers, body=body)


def head(status: int, length: int, **headers: str) -> bytes:
    """The lines before a body."""
    given = {"Content-Type": "application/json", "Content-Length": str(length), **headers}
    lines = [f"HTTP/1.1 {status} Whatever", *(f"{name.replace('_', '-')}: {value}" for name, value in given.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def honest(reply: Reply) -> bytes:
    """A reply as it is."""
    passed = {name: value for name, value in reply.headers.items() if name in ("retry-after", "x-request-id", "date")}
    media = reply.headers.get("content-type", "application/json")
    return head(reply.status, len(reply.body), **{"Content-Type": media, **passed}) + reply.body
