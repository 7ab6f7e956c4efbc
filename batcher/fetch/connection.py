"""Connections that show their other end before a byte is sent; the only module of the room that knows urllib3's."""

from __future__ import annotations

import ssl
import threading
from typing import Any

from batcher.fetch.address import Gate
from batcher.fetch.errors import TryLater
from batcher.fetch.pulse import Pulse

CONNECT_S = 10.0
MOST_KEPT = 6
"""Idle connections to one host: as many as fetch at once, so that none is made anew for each file."""


class Air(threading.local):
    """
    What the connections of a thread must know.

    Attributes:
        pulse: Of the transfer under way; None between two.
        is_fresh: Whether a new connection was made since this was last set to False.
    """

    pulse: Pulse | None = None
    is_fresh = False


def guarded_pools(gate: Gate, air: Air, *, ca_bundle: str, read_s: float) -> Any:
    """
    A pool manager of urllib3 whose every connection passes the gate, and which does nothing by itself.

    No cookies, no `.netrc`, no proxies (through one, the other end could not be seen), no redirects, no retries.

    Args:
        ca_bundle: The certificates to trust, a file.
        read_s: How long a single read may wait.
    """
    import urllib3

    class Plain(urllib3.connection.HTTPConnection):
        def _new_conn(self) -> Any:
            return _connect(gate, air, self, is_encrypted=False)

        def request(self, *args: Any, **kwargs: Any) -> None:
            _check(gate, air, self, is_encrypted=False)
            super().request(*args, **kwargs)

    class Secure(urllib3.connection.HTTPSConnection):
        def _new_conn(self) -> Any:
            return _connect(gate, air, self, is_encrypted=True)

        def request(self, *args: Any, **kwargs: Any) -> None:
            _check(gate, air, self, is_encrypted=True)
            super().request(*args, **kwargs)

    class PlainPool(urllib3.HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(urllib3.HTTPSConnectionPool):
        ConnectionCls = Secure

    timeout = urllib3.Timeout(connect=CONNECT_S, read=read_s)
    context = ssl.create_default_context(cafile=ca_bundle)  # once: reading the bundle takes longer than a greeting
    manager = urllib3.PoolManager(maxsize=MOST_KEPT, retries=False, timeout=timeout, ssl_context=context)
    manager.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}
    return manager


def _connect(gate: Gate, air: Air, connection: Any, *, is_encrypted: bool) -> Any:
    """A connection through the gate: TLS begins only after it, so that not even a greeting goes inside."""
    host = connection.host.strip("[]")
    air.is_fresh = True
    connected = gate.connect(host, connection.port, is_encrypted=is_encrypted, timeout_s=CONNECT_S)
    try:
        for option in connection.socket_options or ():
            connected.setsockopt(*option)
        _hold(air, connected)
    except BaseException:
        connected.close()
        raise
    return connected


def _check(gate: Gate, air: Air, connection: Any, *, is_encrypted: bool) -> None:
    """Judge the other end once more: the request must not depend on how the connection came about."""
    if connection.sock is None:
        connection.connect()
    gate.check(connection.sock, connection.host, is_encrypted=is_encrypted)
    _hold(air, connection.sock)


def _hold(air: Air, connected: Any) -> None:
    if air.pulse is not None:
        air.pulse.holds(connected)
        if air.pulse.failed:
            raise TryLater(air.pulse.failed)
