"""What may be done about an attempt whose answer was lost."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.catalog.model import Find, Repeat
from batcher.catalog.pick import Pick
from batcher.doubt import LONGEST_WAIT_S, Verdict, Way, settle_doubt

HOUR = 3600.0
KEY = Repeat(key_header="Idempotency-Key", key_hours=24)
FIND = Repeat(find=Find(field=Pick("title"), query={"title": "{token}"}))
BOTH = Repeat(key_header="Idempotency-Key", key_hours=24, find=FIND.find)
FREE = Repeat(free=True)
NEVER = Repeat()


def settle(repeat: Repeat, **changes: Any) -> Verdict:
    """An attempt sent once, at 1000, whose answer was lost at 1010."""
    values = {"first_sent_at": 1000.0, "last_sent_at": 1000.0, "sends": 1, "now": 1010.0, "chance": 0.5}
    return settle_doubt(
        repeat, **{"server_now": values["now"], **values, "searchable": True, "deadline_s": 120.0, **changes}
    )


def test_with_a_key_the_same_is_sent_again() -> None:
    """The provider answers the same key with the same piece of work."""
    assert settle(KEY) == Verdict(way=Way.RESEND, at=1011.0)


@pytest.mark.parametrize(
    ("age_h", "way"), [(0, Way.RESEND), (22.99, Way.RESEND), (23, Way.SEARCH), (24, Way.SEARCH), (100, Way.SEARCH)]
)
def test_a_key_is_trusted_for_23_of_its_24_hours(age_h: float, way: Way) -> None:
    """One hour is left for clocks that differ and requests that take their time (A15)."""
    assert settle(BOTH, first_sent_at=0.0, now=age_h * HOUR).way is way


def test_an_old_key_without_a_search_asks_a_person() -> None:
    """Sending it would be a new purchase."""
    assert settle(KEY, first_sent_at=0.0, now=23 * HOUR) == Verdict(way=Way.ASK, at=23 * HOUR)


def test_age_counts_from_the_first_send() -> None:
    """Each resend within the day does not give the key another day."""
    late = settle(BOTH, first_sent_at=0.0, last_sent_at=23 * HOUR - 1, sends=5, now=23 * HOUR)
    assert late.way is Way.SEARCH


def test_a_clock_before_the_first_send_searches_first() -> None:
    """It cannot tell how old the key is (L11)."""
    assert settle(BOTH, first_sent_at=10_000.0, last_sent_at=10_000.0, now=2_800.0).way is Way.SEARCH
    assert settle(KEY, first_sent_at=10_000.0, last_sent_at=10_000.0, now=2_800.0).way is Way.ASK


def test_a_clock_that_jumped_back_does_not_wait_for_its_return() -> None:
    """Two hours back, and the search still comes within a write's deadline from now."""
    verdict = settle(BOTH, first_sent_at=10_000.0, last_sent_at=10_000.0, now=2_800.0)
    assert verdict.at == 2_800.0 + 120.0


def test_without_a_key_it_is_searched_after_the_deadline_of_the_write() -> None:
    """Before that, absence from a list proves nothing: the request may still be on its way."""
    assert settle(FIND) == Verdict(way=Way.SEARCH, at=1120.0)
    assert settle(FIND, now=2000.0) == Verdict(way=Way.SEARCH, at=2000.0)


def test_what_cannot_be_searched_for_is_a_persons_matter() -> None:
    """The token never went out, or there is no list."""
    assert settle(FIND, searchable=False).way is Way.ASK
    assert settle(NEVER).way is Way.ASK


def test_what_is_free_is_repeated_at_any_age() -> None:
    """There is nothing to pay twice."""
    assert settle(FREE, now=1000 * HOUR).way is Way.RESEND
    assert settle(FREE, first_sent_at=10_000.0, now=0.0).way is Way.RESEND


def test_what_an_earlier_run_left_is_sent_again_at_once() -> None:
    """It has waited long enough."""
    assert settle(KEY, sends=0) == Verdict(way=Way.RESEND, at=1010.0)


@pytest.mark.parametrize(("sends", "wait"), [(1, 1), (2, 2), (3, 4), (4, 8), (6, 32), (7, 60), (8, 60), (50, 60)])
def test_waits_double_up_to_a_minute(sends: int, wait: float) -> None:
    """A server in trouble is not helped by haste."""
    assert settle(KEY, sends=sends).at - 1010.0 == wait


@given(chance=st.floats(0, 1), sends=st.integers(1, 60))
def test_chance_spreads_every_wait_by_a_quarter(chance: float, sends: int) -> None:
    """Many attempts in doubt do not come back in one moment."""
    wait = settle(KEY, chance=chance, sends=sends).at - 1010.0
    middle = settle(KEY, sends=sends).at - 1010.0
    assert 0.75 * middle - 1e-6 <= wait <= 1.25 * min(LONGEST_WAIT_S, middle) + 1e-6


@given(
    repeat=st.sampled_from([KEY, FIND, BOTH, NEVER]),
    first=st.floats(0, 1e6),
    now=st.floats(0, 1e6),
    sends=st.integers(0, 20),
    searchable=st.booleans(),
)
def test_nothing_paid_is_sent_again_without_a_young_key(
    repeat: Repeat, first: float, now: float, sends: int, searchable: bool
) -> None:
    """The one rule that money hangs on, whatever the clocks say."""
    verdict = settle(repeat, first_sent_at=first, last_sent_at=first, sends=sends, now=now, searchable=searchable)

    if verdict.way is Way.RESEND:
        assert repeat.key_header
        assert 0 <= now - first < 23 * HOUR
    assert verdict.at >= now
    assert verdict.at <= now + 120.0
