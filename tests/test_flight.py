"""What is in flight of one operation."""

from __future__ import annotations

from support import task_key

from batcher.catalog.load import provider_of
from batcher.flight import Flight
from batcher.ledger.values import InFlight

_FOUND = provider_of("heygen.video").operations["heygen.video"].settle


def make_flight(*accepted_at: float, times: tuple[float, ...] = ()) -> Flight:
    """Work that was accepted at these instants, under the ids v0, v1 and so on."""
    assert _FOUND is not None
    flight = Flight(settle=_FOUND, times=list(times))
    for number, at in enumerate(accepted_at):
        flight.add(
            InFlight(
                attempt_id=number,
                key=task_key(f"r{number}"),
                operation="heygen.video",
                remote_id=f"v{number}",
                accepted_at=at,
                body="{}",
            )
        )
    return flight


def test_only_what_may_have_ended_is_worth_a_question() -> None:
    """Renders took 10 s at least: what was accepted 8 s ago may be finished, what came later is not."""
    flight = make_flight(0.0, 2.0, 3.0, times=(10.0, 12.0))
    assert flight.ripe(10.0) == ["v0", "v1"]


def test_without_experience_everything_may_have_ended() -> None:
    """A first render can be quick."""
    assert make_flight(0.0, 9.9).ripe(10.0) == ["v0", "v1"]


def test_an_end_teaches_how_long_renders_take() -> None:
    """Its links may be read much later; the pace of looks does not wait for them."""
    flight = make_flight(0.0, 1.0, times=(10.0,))
    flight.unfinished.add("v0")
    flight.end("v0", at=7.0)
    flight.end("v0", at=9.0)

    assert flight.times == [7.0, 10.0]
    assert [flight.noticed(each, 20.0) for each in flight] == [7.0, None]
    assert [each.remote_id for each in flight] == ["v0", "v1"]


def test_an_end_that_may_be_old_teaches_nothing() -> None:
    """Work of an earlier run may have ended hours before anybody looked: that says nothing about renders."""
    flight = make_flight(0.0, times=(10.0,))

    assert flight.end("v0", at=9000.0)
    assert (flight.times, [flight.noticed(each, 9000.0) for each in flight]) == ([10.0], [None])


def test_links_are_wanted_once_they_have_waited_or_nothing_else_is_to_come() -> None:
    """Until then one request may bring more of them."""
    flight = make_flight(0.0, 1.0, times=(100.0, 100.0, 100.0))
    assert not flight.wants_links(1000.0, slots_wanted=True)
    flight.end("v1", at=10.0)
    assert not flight.wants_links(59.0, slots_wanted=True)
    assert flight.wants_links(66.0, slots_wanted=True)
    flight.end("v0", at=20.0)
    assert flight.wants_links(20.0, slots_wanted=True)


def test_links_that_did_not_come_wait_once_more() -> None:
    """What is still at work is looked at meanwhile."""
    flight = make_flight(0.0, 1.0, 2.0)
    flight.awaited = frozenset({""})
    flight.end("v0", at=10.0)
    flight.asked_at = 41.0

    assert not flight.wants_links(70.0, slots_wanted=True)
    assert not flight.wants_links(70.0, slots_wanted=False)
    assert flight.wants_links(71.0, slots_wanted=True)
    flight.end("v1", at=42.0)
    assert flight.wants_links(43.0, slots_wanted=False)


def test_links_that_a_later_step_waits_for_are_wanted_at_once() -> None:
    """Unless other rows fill the slots meanwhile."""
    flight = make_flight(0.0, 1.0)
    flight.awaited = frozenset({""})
    flight.end("v0", at=10.0)
    assert flight.wants_links(11.0, slots_wanted=False)
    assert not flight.wants_links(11.0, slots_wanted=True)


def test_depth_is_counted_from_the_newest() -> None:
    """A hundred newer pieces of ours push one to the second page, whether they are finished or not."""
    flight = make_flight(*map(float, range(101)))
    assert flight.pages(["v1"], per_page=100) == 1
    assert flight.pages(["v0", "v100"], per_page=100) == 2
    for number in range(1, 101):
        flight.remove(f"v{number}", at=200.0)
    assert flight.pages(["v0"], per_page=100) == 2
    assert len(flight) == 1


def test_what_was_never_looked_at_before_tells_no_render_time() -> None:
    """While all senders are busy no look is taken: what is finished by the first one may have been so for long."""
    flight = make_flight(0.0, 5.0)
    flight.unfinished = {"v0", "v1"}
    flight.looked_at = 3.0

    assert [flight.noticed(each, 20.0) for each in flight] == [20.0, None]
    flight.end("v1", at=20.0)
    assert flight.times == []
