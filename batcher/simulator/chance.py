"""Chance that repeats: numbers drawn from the seed and from what they are drawn for, and a clock that can be moved."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable
from statistics import NormalDist

_NORMAL = NormalDist()


def digest(seed: int, *names: object) -> bytes:
    """Return 16 bytes that depend on the seed and the names only."""
    text = "/".join(map(str, (seed, *names)))
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def share(seed: int, *names: object) -> float:
    """Return a number strictly between 0 and 1, evenly distributed over different names."""
    return (int.from_bytes(digest(seed, *names)[:6], "big") + 0.5) / 2**48


def render_time(seed: int, number: int, *, median_s: float, spread: float) -> float:
    """Return the render time of the creation with this number, in seconds."""
    if spread <= 0:
        return median_s
    return median_s * math.exp(spread * _NORMAL.inv_cdf(share(seed, "render", number)))


class Clock:
    """
    The simulator's time: Unix seconds that can be moved forward.

    Args:
        now: Where time comes from.
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._ahead_s = 0.0

    def __call__(self) -> float:
        return self._now() + self._ahead_s

    def advance(self, seconds: float) -> None:
        """Let time pass at once; never backwards."""
        self._ahead_s += max(0.0, seconds)
