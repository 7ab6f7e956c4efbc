"""Transfers that stall or drip: time-outs of a socket bound only the wait for the next byte."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator

STALL_BYTES_S = 1024
"""Fewer bytes per second than this over a whole window, and the transfer counts as stalled."""
SLOWEST_BYTES_S = 8192
"""What a transfer must average: its time is its size divided by this, and the grace."""
GRACE_S = 120.0


class Pulse:
    """
    One transfer's pulse.

    Args:
        stall_s: Length of the window in which enough bytes must come.
        now: When it began, on the monotonic clock.

    Attributes:
        failed: Why the transfer was ended from outside; empty while it may go on.
    """

    def __init__(self, *, stall_s: float, now: float) -> None:
        self.failed = ""
        self._stall_s = stall_s
        self._began = self._mark_at = now
        self._came = self._mark_came = 0
        self._size: int | None = None
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()

    def expects(self, size: int | None) -> None:
        """How many bytes will come; None when the server does not say."""
        self._size = size

    def comes(self, count: int) -> None:
        """Bytes have come."""
        self._came += count

    def holds(self, connected: socket.socket) -> None:
        """Remember the connection that the transfer goes over: its own handle on it, since TLS takes the first away."""
        with self._lock:
            self._let_go()
            self._socket = socket.socket(fileno=os.dup(connected.fileno()))

    def judge(self, now: float) -> str:
        """Why the transfer must end at this moment; empty when it is well. Begins a new window when one is full."""
        due = self._came if self._size is None else self._size
        if now - self._began > GRACE_S + due / SLOWEST_BYTES_S:
            return f"too slow: {self._came:,} bytes in {now - self._began:.0f} s"
        if now - self._mark_at >= self._stall_s:
            count, self._mark_at = self._came - self._mark_came, now
            self._mark_came = self._came
            if count < self._stall_s * STALL_BYTES_S:
                return f"stalled: {count:,} bytes in {self._stall_s:g} s"
        return ""

    def strike(self, reason: str) -> None:
        """End the transfer: whoever waits on its connection wakes up."""
        with self._lock:
            self.failed = reason
            if self._socket is not None:
                with contextlib.suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)

    def over(self) -> None:
        """The transfer has come to its end."""
        with self._lock:
            self._let_go()

    def _let_go(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


class Watch:
    """
    One thread, while there are transfers, that strikes those without a pulse.

    Args:
        stall_s: The window of each transfer.
        clock: Monotonic seconds.
    """

    def __init__(self, *, stall_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._stall_s = stall_s
        self._clock = clock
        self._open: set[Pulse] = set()
        self._condition = threading.Condition()
        self._thread: threading.Thread | None = None
        self._halted = ""

    def halt(self, reason: str) -> None:
        """End every transfer, those that are still to begin too."""
        with self._condition:
            self._halted = reason
            for pulse in self._open:
                pulse.strike(reason)

    @contextlib.contextmanager
    def transfer(self) -> Iterator[Pulse]:
        """Watch over a transfer for as long as the block lasts."""
        pulse = Pulse(stall_s=self._stall_s, now=self._clock())
        with self._condition:
            if self._halted:
                pulse.strike(self._halted)
            self._open.add(pulse)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="downloads", daemon=True)
                self._thread.start()
        try:
            yield pulse
        finally:
            with self._condition:
                self._open.discard(pulse)
                self._condition.notify()
            pulse.over()

    def _work(self) -> None:
        with self._condition:
            while self._open:
                now = self._clock()
                for pulse in list(self._open):
                    if reason := pulse.judge(now):
                        self._open.discard(pulse)
                        pulse.strike(reason)
                self._condition.wait(min(1.0, self._stall_s / 4))
            self._thread = None
