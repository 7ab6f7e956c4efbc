"""When a run must stop by itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.job import StopAfter
from batcher.stops import SAME_IN_A_ROW, FailureWatch


def watch(threshold: StopAfter | None = None, events: str = "") -> FailureWatch:
    """A watch that has seen `.` done, `+` accepted, and letters: failures whose code is the letter."""
    seen = FailureWatch(threshold or StopAfter(count=1000))
    for event in events:
        if event == ".":
            seen.succeeded()
        elif event == "+":
            seen.accepted()
        else:
            seen.failed(event, f"because {event}")
    return seen


def test_a_run_without_failures_goes_on() -> None:
    """However long."""
    assert watch(StopAfter(), "." * 1000).reason == ""


def test_the_same_error_five_times_in_a_row_stops() -> None:
    """The template was changed: the rest would fail the same way (A21)."""
    assert watch(events="aaaa").reason == ""
    assert watch(events="aaaaa").reason == f"the same error {SAME_IN_A_ROW} times in a row: because a"


@pytest.mark.parametrize("events", ["aaaabaaaa", "aaaa.aaaa", "aaaa+aaaa", "abababababab"])
def test_anything_else_between_them_begins_a_new_count(events: str) -> None:
    """Another error, a row that works, a row that is taken: then it is about those rows."""
    assert watch(events=events).reason == ""


def test_what_was_counted_as_ended_is_not_counted_again() -> None:
    """Its links come later; that it works still says that the failures around it are no row."""
    seen = watch(StopAfter(), "." * 15 + "aaaa")
    seen.succeeded(is_new=False)
    seen.failed("a", "because a")
    assert seen.reason == "5 of 20 rows failed (stop_after: 20% failed)"


def test_a_share_counts_only_after_the_first_twenty() -> None:
    """One failure among the first three rows is no pattern."""
    assert watch(StopAfter(), "ab.cd.ab.cd.ab.cd").reason == ""
    assert watch(StopAfter(), "abc" + "." * 16).reason == ""


def test_a_share_stops_when_it_is_reached() -> None:
    """Four of twenty are 20 %."""
    assert watch(StopAfter(), "abca" + "." * 15).reason == ""
    assert watch(StopAfter(), "abca" + "." * 15 + "b").reason == "5 of 20 rows failed (stop_after: 20% failed)"
    assert watch(StopAfter(), "." * 16 + "abca").reason == "4 of 20 rows failed (stop_after: 20% failed)"


def test_a_count_stops_at_once() -> None:
    """A number needs no first twenty."""
    assert watch(StopAfter(count=3), "ab").reason == ""
    assert watch(StopAfter(count=3), "abc").reason == "3 of 3 rows failed (stop_after: 3 failed)"


def test_the_first_reason_stays() -> None:
    """What is told is why it stopped, not what came back afterwards."""
    seen = watch(events="aaaaa")
    seen.failed("b", "because b")
    seen.succeeded()
    assert seen.reason == "the same error 5 times in a row: because a"


@given(events=st.text(alphabet="ab.+", max_size=80), percent=st.integers(1, 100))
def test_it_stops_exactly_when_one_of_the_rules_holds(events: str, percent: int) -> None:
    """Held against the rules, written down a second time."""
    share = percent / 100
    run = finished = failed = 0
    last, expected = "", False
    for event in events:
        run = run + 1 if event == last and event in "ab" else int(event in "ab")
        last = event
        finished += event != "+"
        failed += event in "ab"
        limit = event in "ab" and finished >= 20 and failed >= share * finished
        expected = expected or run >= SAME_IN_A_ROW or limit
    assert bool(watch(StopAfter(share=share), events).reason) is expected
