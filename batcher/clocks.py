"""How far two clocks are apart."""

from __future__ import annotations

from collections.abc import Callable

READINGS = 8
"""One that was held up between two looks tells little; of so many, one hardly ever fails to go through at once."""


def difference_s(theirs: Callable[[], float], ours: Callable[[], float]) -> float:
    """By how many seconds their clock is ahead of ours: to half of the time that the quickest of several readings took."""
    readings = [_reading(theirs, ours) for _ in range(READINGS)]
    return min(readings)[1]


def _reading(theirs: Callable[[], float], ours: Callable[[], float]) -> tuple[float, float]:
    """How long it took, and what it said."""
    before = ours()
    there = theirs()
    after = ours()
    return after - before, there - (before + after) / 2
