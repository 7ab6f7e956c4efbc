"""A bound on a whole exchange: time-outs of a socket only bound the wait for the next byte."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

_air = threading.local()

TOGETHER = 65536
"""Up to so many bytes a body is sent in one piece with the head of its request."""


class Deadline:
    """
    The end of one exchange.

    Attributes:
        passed: The time was up before the exchange was over; its socket has been shut down.
        begun: The first byte of the request may have left.
        before: Called when the connection stands and nothing has left yet; what it raises sends nothing.
    """

    def __init__(self, watchdog: Watchdog, at: float, *, before: Callable[[], None] | None = None) -> None:
        self.at = at
        self.before = before
        self.passed = False
        self.begun = False
        self._watchdog = watchdog
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()

    def holds(self, connected: socket.socket | None) -> None:
        """Remember the socket that the exchange goes over."""
        with self._lock:
            self._socket = connected

    @contextlib.contextmanager
    def connecting(self) -> Iterator[None]:
        """While the block runs, what `agrees_over` was given is struck as well."""
        try:
            yield
        finally:
            with self._lock:
                if self._socket is not None:
                    self._socket.close()
                self._socket = None

    def agrees_over(self, connected: socket.socket) -> None:
        """TLS or a proxy is agreed on over a socket; TLS takes it over, so a handle of our own is kept until then."""
        self.holds(socket.socket(fileno=os.dup(connected.fileno())))
        if self.passed:
            self.strike()

    def strike(self) -> None:
        """The time is up: whoever waits on the socket wakes up with an error."""
        self.passed = True
        with self._lock:
            if self._socket is not None:
                with contextlib.suppress(OSError):
                    # not the TLS socket's own shutdown, which pulls its state away under the thread that reads
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def over(self) -> None:
        """The exchange has come to its end."""
        self._watchdog.forget(self)


class Watchdog:
    """One thread that strikes every exchange whose time is up."""

    def __init__(self) -> None:
        self._open: set[Deadline] = set()
        self._condition = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False

    def watch(self, seconds: float, *, before: Callable[[], None] | None = None) -> Deadline:
        """Begin an exchange in the calling thread; `before` as in `Deadline`."""
        deadline = Deadline(self, time.monotonic() + seconds, before=before)
        _air.deadline = deadline
        with self._condition:
            self._open.add(deadline)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="deadlines", daemon=True)
                self._thread.start()
        return deadline

    def forget(self, deadline: Deadline) -> None:
        """The exchange is over."""
        with self._condition:
            self._open.discard(deadline)

    def close(self) -> None:
        """Let the thread end."""
        with self._condition:
            self._closed = True
            self._condition.notify()

    def _work(self) -> None:
        with self._condition:
            while not self._closed:
                now = time.monotonic()
                for deadline in [each for each in self._open if each.at <= now]:
                    self._open.discard(deadline)
                    deadline.strike()
                soonest = min((each.at for each in self._open), default=now + 1)
                # a new exchange is never shorter than a second, so a look every second at most is soon enough
                self._condition.wait(max(0.05, min(1.0, soonest - now)))


def watched_adapter() -> Any:
    """An adapter of requests whose connections, those over a proxy too, show their socket to the deadline of the calling thread."""
    return _watched()(max_retries=0)


@cache
def _watched() -> Any:
    """The class of such adapters, made when requests is there."""
    import requests.adapters
    import urllib3

    class Watched(urllib3.connection.HTTPConnection):
        def connect(self) -> None:
            _connect(super().connect)

        def _new_conn(self) -> Any:
            return _connected(super()._new_conn())

        def request(self, *args: Any, **kwargs: Any) -> None:
            _request(self, super().request, args, kwargs)

        def send(self, data: Any) -> None:
            _send(self, super().send, data)

    class Plain(Watched):
        pass

    class Secure(Watched, urllib3.connection.HTTPSConnection):
        pass

    class PlainPool(urllib3.HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(urllib3.HTTPSConnectionPool):
        ConnectionCls = Secure

    pools = {"http": PlainPool, "https": SecurePool}

    class Adapter(requests.adapters.HTTPAdapter):
        def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
            super().init_poolmanager(*args, **kwargs)
            self.poolmanager.pool_classes_by_scheme = pools

        def proxy_manager_for(self, proxy: Any, **kwargs: Any) -> Any:
            if proxy.lower().startswith("socks"):  # its connections are of another kind, which nothing watches
                raise requests.exceptions.InvalidSchema("SOCKS")
            manager = super().proxy_manager_for(proxy, **kwargs)
            manager.pool_classes_by_scheme = pools
            return manager

    return Adapter


def _connect(connect: Any) -> None:
    deadline: Deadline | None = getattr(_air, "deadline", None)
    with deadline.connecting() if deadline is not None else contextlib.nullcontext():
        connect()


def _connected(connected: socket.socket) -> socket.socket:
    deadline: Deadline | None = getattr(_air, "deadline", None)
    if deadline is not None:
        deadline.agrees_over(connected)
    return connected


def _request(connection: Any, send: Any, args: Any, kwargs: Any) -> None:
    if connection.sock is None:
        connection.connect()
    deadline: Deadline | None = getattr(_air, "deadline", None)
    if deadline is not None:
        deadline.holds(connection.sock)
        if deadline.passed:
            raise TimeoutError("the time was up before the request was sent")
        if deadline.before is not None:
            deadline.before()
        deadline.begun = True
    connection.head = b""
    try:
        send(*args, **kwargs)
        if connection.head:  # there was no body
            connection.send(b"")
    finally:
        connection.head = None


def _send(connection: Any, send: Any, data: Any) -> None:
    """The head of a request waits for its body: in one piece they cost one call instead of two."""
    head: bytes | None = getattr(connection, "head", None)
    if head == b"" and isinstance(data, bytes):
        connection.head = data
        return
    if head and isinstance(data, bytes) and len(data) <= TOGETHER:
        data = head + data
    elif head:
        send(head)
    connection.head = None
    send(data)
