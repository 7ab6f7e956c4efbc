"""How far two clocks are apart."""

from __future__ import annotations

from collections.abc import Callable

from batcher.clocks import READINGS, difference_s


def held_up(delays_s: list[float], *, ahead_s: float) -> tuple[Callable[[], float], Callable[[], float]]:
    """Two clocks over one time that passes before the other one answers, once for each reading."""
    now, left = [1000.0], list(delays_s)

    def theirs() -> float:
        there = now[0] + ahead_s
        now[0] += left.pop()
        return there

    return theirs, lambda: now[0]


def test_a_reading_that_was_held_up_does_not_count() -> None:
    """A machine with more to do is wrong by half of what it was kept from looking."""
    delays_s = [0.25] * READINGS
    delays_s[READINGS // 2] = 0.0

    assert difference_s(*held_up(delays_s, ahead_s=2.5)) == 2.5


def test_the_quickest_reading_is_wrong_by_half_its_time_at_most() -> None:
    """Where each takes its time, that is all that can be known."""
    assert difference_s(*held_up([0.25] * READINGS, ahead_s=2.5)) == 2.5 - 0.125
