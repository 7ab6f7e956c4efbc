"""When to look at what is in flight."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.job import Poll
from batcher.pacing import LOOKS_AT_LEISURE, LOOKS_AT_MANY, LOOKS_PER_RENDER, MANY, links_wait, next_look, ready_age
from batcher.units import Rate

WIDEST = 60.0 / LOOKS_PER_RENDER
POLL = Poll(at_most_every_s=2.0, budget=Rate(count=60, window_s=60))


def look(poll: Poll = POLL, **changes: Any) -> float:
    """Something of 60 s usual length in flight for 10 s, nothing finished yet."""
    values = {"times": (), "usual_s": 60.0, "ages_s": [10.0], "last_requests": 1, "begun_s": 0.0}
    return next_look(poll, **{**values, **changes})


def test_known_render_times_set_the_pace() -> None:
    """Evenly spaced looks keep a slot idle for half a pause in each render."""
    assert look(times=[90.0, 60.0, 120.0], ages_s=[3.0, 100.0]) == 90.0 / LOOKS_PER_RENDER


def test_many_are_looked_at_more_often() -> None:
    """One request is about a hundred of them, and each that is noticed late keeps a slot idle."""
    assert look(times=[90.0], ages_s=[100.0] * (MANY + 1)) == 90.0 / LOOKS_AT_MANY < 90.0 / LOOKS_PER_RENDER


def test_nobody_hurries_when_no_row_waits_for_a_slot() -> None:
    """A finished piece that is noticed late then keeps nothing from being sent."""
    calm = look(times=[90.0, 60.0, 120.0], ages_s=[3.0, 100.0], slots_wanted=False)
    assert calm == 90.0 / LOOKS_AT_LEISURE > 90.0 / LOOKS_PER_RENDER


def test_nothing_is_looked_at_before_it_can_be_ready() -> None:
    """The shortest render seen so far was 100 s: at 10 s there is nothing to see for 70 s."""
    assert look(times=[100.0, 200.0], ages_s=[3.0, 10.0], usual_s=300.0) == 70.0


def test_a_single_quick_render_hurries_nobody() -> None:
    """Looks begin before one in twenty is finished, not before the quickest of a hundred is."""
    assert ready_age([1.0, *[100.0] * 99]) == 80.0
    assert ready_age([1.0, *[100.0] * 9]) == 0.8
    assert ready_age([]) == 0.0


def test_links_are_read_together() -> None:
    """They wait for half a usual render, in which half of what is in flight comes to its end, or for half a minute."""
    assert links_wait([400.0, 300.0, 200.0]) == 150.0
    assert links_wait([4.0]) == links_wait([]) == 30.0


def test_where_only_links_are_to_come_nobody_waits_for_renders() -> None:
    """Everything has ended: the next look is as soon as it may be, and later where no links come."""
    quiet = [0.0, 8.0, 20.0, 86_400.0]
    waits = [look(times=[100.0], ages_s=[], quiet_s=each) for each in quiet]
    assert waits == [2.0, 2.0, 5.0, 60.0 / LOOKS_AT_LEISURE]


def test_slow_experience_does_not_postpone_beyond_the_usual() -> None:
    """Today's renders may be quicker than yesterday's."""
    assert look(times=[1000.0, 2000.0], usual_s=150.0, ages_s=[3.0, 10.0]) == 140.0


def test_without_experience_looks_get_wider_with_age() -> None:
    """Short ones at first, never wider than the catalogue's guess asks for."""
    ages = [0.0, 12.0, 14.0, 16.0, 100.0, 10_000.0]
    assert [look(ages_s=[0.0, age]) for age in ages] == [2.0, 3.0, 3.5, 4.0, WIDEST, WIDEST]


def test_the_jobs_own_floor_holds() -> None:
    """`at_most_every` is a promise."""
    assert look(Poll(at_most_every_s=30.0), times=[3.0], ages_s=[3.0, 100.0]) == 30.0


def test_the_floor_counts_from_where_the_last_look_began() -> None:
    """A long look is not paid for twice: it is at most so often that one begins."""
    waits = [look(times=[3.0], ages_s=[], begun_s=took) for took in (0.0, 1.5, 60.0)]
    assert waits == [2.0, 0.5, 0.0]


@pytest.mark.parametrize(("requests", "wait"), [(0, WIDEST), (1, WIDEST), (6, 6.0), (100, 100.0)])
def test_a_long_sweep_is_paid_for_by_a_longer_pause(requests: int, wait: float) -> None:
    """Sixty a minute stay sixty a minute, also with 10,000 in flight (B10)."""
    assert look(last_requests=requests, ages_s=[100.0]) == wait


@given(
    times=st.lists(st.floats(0.01, 1e5), max_size=20),
    usual=st.floats(1, 5000),
    ages=st.lists(st.floats(0, 1e5), max_size=20),
    requests=st.integers(0, 1000),
)
def test_the_budget_is_never_passed_and_the_wait_is_bounded(
    times: list[float], usual: float, ages: list[float], requests: int
) -> None:
    """Never faster than told, never later than a render or what the budget asks for."""
    wait = look(times=times, usual_s=usual, ages_s=ages, last_requests=requests)

    assert wait >= POLL.at_most_every_s
    assert wait >= max(1, requests) * POLL.budget.window_s / POLL.budget.count
    assert wait <= max(POLL.at_most_every_s, requests, max(times, default=usual), 1.0) + 1e-6
