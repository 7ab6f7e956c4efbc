"""Who may be sent now: windows, slots, hold-offs and budget, also over restarts and over several jobs of an account."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import ACCOUNT, JOB, OPERATION, accept, admit, news, plan, planned, rows, states, task_key

from batcher.ledger.sqlite import SqliteLedger
from batcher.ledger.values import Gate
from batcher.model import State
from batcher.units import Rate, parse_rates

SECOND = Rate(count=2, window_s=1.0)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqliteLedger]:
    opened = SqliteLedger(tmp_path / "ledger.db")
    yield opened
    opened.close()


def test_a_window_lets_through_what_it_says(ledger: SqliteLedger) -> None:
    """Two a second are two, however many ask."""
    plan(ledger, *rows(5))

    first = admit(ledger, 10.0, windows=[SECOND])
    assert (len(first.attempts), first.gate) == (2, Gate.WINDOW)
    assert not admit(ledger, 10.0, windows=[SECOND]).attempts


def test_a_window_is_exact_at_its_border(ledger: SqliteLedger) -> None:
    """Not a moment before it is over since the answer, and not a moment later than that."""
    plan(ledger, *rows(5))
    for attempt in admit(ledger, 10.0, windows=[SECOND]).attempts:
        accept(ledger, attempt, at=10.5)

    held = admit(ledger, 11.4375, windows=[SECOND])
    assert (held.attempts, held.gate, held.until) == ([], Gate.WINDOW, 11.5)
    assert len(admit(ledger, 11.5, windows=[SECOND]).attempts) == 2


def test_the_window_slides(ledger: SqliteLedger) -> None:
    """There is no fixed second after whose end twice as many go out."""
    plan(ledger, *rows(5))
    for at in (10.0, 10.9375):
        (attempt,) = admit(ledger, at, at_most=1, windows=[SECOND]).attempts
        accept(ledger, attempt, at=at)

    assert len(admit(ledger, 11.0, windows=[SECOND]).attempts) == 1
    assert admit(ledger, 11.5, windows=[SECOND]).gate is Gate.WINDOW


def test_several_windows_hold_at_once(ledger: SqliteLedger) -> None:
    """Two a second, and three a minute."""
    plan(ledger, *rows(9))
    windows = parse_rates("2/second, 3/minute")

    sent = []
    for at in (0.0, 1.0, 2.0, 59.0, 60.0, 61.0):
        attempts = admit(ledger, at, windows=windows).attempts
        for attempt in attempts:
            accept(ledger, attempt, at=at)
        sent.append(len(attempts))
    assert sent == [2, 1, 0, 0, 2, 1]


def test_the_fuller_window_says_when_to_ask_again(ledger: SqliteLedger) -> None:
    """Asking at the end of the short window would only be refused by the long one."""
    plan(ledger, *rows(9))
    windows = parse_rates("2/second, 3/minute")
    for at in (0.0, 1.0):
        for attempt in admit(ledger, at, windows=windows).attempts:
            accept(ledger, attempt, at=at)

    assert admit(ledger, 5.0, windows=windows).until == 60.0


def test_a_send_under_way_counts_until_it_is_answered(ledger: SqliteLedger) -> None:
    """It may reach the server only just before its answer: its second has not begun yet."""
    plan(ledger, *rows(5))
    one, other = admit(ledger, 10.0, windows=[SECOND]).attempts

    assert not admit(ledger, 100.0, windows=[SECOND]).attempts
    accept(ledger, one, at=100.0)
    accept(ledger, other, at=100.5)
    assert len(admit(ledger, 101.0, windows=[SECOND]).attempts) == 1


def test_a_send_that_nobody_answered_counts_no_longer_than_it_can_live(ledger: SqliteLedger) -> None:
    """A killed run must not block the window for ever."""
    plan(ledger, *rows(5))
    admit(ledger, 10.0, windows=[SECOND])

    assert not admit(ledger, 130.9, windows=[SECOND], grace_s=120.0).attempts
    assert len(admit(ledger, 131.0, windows=[SECOND], grace_s=120.0).attempts) == 2


def test_a_send_of_a_dead_run_counts_as_arrived_once_it_is_taken_over(ledger: SqliteLedger) -> None:
    """Whoever takes its rows over knows that it sends nothing more: the window is all there is to wait for."""
    plan(ledger, *rows(5))
    sent = admit(ledger, 10.0, windows=[SECOND], grace_s=120.0).attempts

    assert ledger.take_over(JOB, ACCOUNT, "", at=12.0) == sent
    assert not admit(ledger, 12.9, windows=[SECOND], grace_s=120.0).attempts
    assert len(admit(ledger, 13.0, windows=[SECOND], grace_s=120.0).attempts) == 2


def test_what_was_refused_counts_too(ledger: SqliteLedger) -> None:
    """The server counts what it refuses."""
    plan(ledger, *rows(5))
    for attempt in admit(ledger, 10.0, windows=[SECOND]).attempts:
        ledger.record([news(attempt, State.WAITING, 10.0)])

    assert not admit(ledger, 10.9, windows=[SECOND]).attempts


def test_windows_persist_over_reopening(tmp_path: Path) -> None:
    """A run a minute from cron obeys the day's limit (L13)."""
    day = parse_rates("3/day")
    sent = 0
    for minute in range(6):
        ledger = SqliteLedger(tmp_path / "ledger.db")
        plan(ledger, *rows(9))
        for attempt in admit(ledger, 60.0 * minute, at_most=1, windows=day).attempts:
            accept(ledger, attempt, at=60.0 * minute)
            sent += 1
        ledger.close()
    assert sent == 3


def test_two_jobs_of_one_account_share_a_window(ledger: SqliteLedger) -> None:
    """The limit is the account's (L3)."""
    plan(ledger, *rows(5))
    plan(ledger, *rows(5, job="other"), job="other")

    assert len(admit(ledger, 0.0, at_most=1, windows=[SECOND]).attempts) == 1
    assert len(admit(ledger, 0.0, job="other", windows=[SECOND]).attempts) == 1
    assert not admit(ledger, 0.0, windows=[SECOND]).attempts


def test_another_account_has_a_window_of_its_own(ledger: SqliteLedger) -> None:
    """Two keys are two limits."""
    plan(ledger, *rows(2))
    plan(ledger, *rows(2, job="other"), job="other")
    admit(ledger, 0.0, windows=[SECOND])

    assert len(admit(ledger, 0.0, job="other", account="another", windows=[SECOND]).attempts) == 2


def test_a_job_with_a_short_window_does_not_forget_for_one_with_a_long_one(ledger: SqliteLedger) -> None:
    """The log of sends is the account's: a day's limit of one job outlives the asking of the other."""
    plan(ledger, *rows(9))
    plan(ledger, planned("x", job="other"), job="other")
    day = parse_rates("2/day")
    for attempt in admit(ledger, 0.0, windows=day).attempts:
        accept(ledger, attempt, at=0.0)
    admit(ledger, 20_000.0, job="other", windows=[SECOND])

    assert not admit(ledger, 20_000.0, windows=day).attempts


def test_a_clock_that_was_ahead_blocks_for_one_window_only(ledger: SqliteLedger) -> None:
    """Three days ahead and corrected again: nothing waits for three days (L11)."""
    plan(ledger, *rows(6))
    for attempt in admit(ledger, 3 * 86400.0, windows=[SECOND]).attempts:
        accept(ledger, attempt, at=3 * 86400.0)

    assert not admit(ledger, 0.0, windows=[SECOND]).attempts
    assert len(admit(ledger, 1.0, windows=[SECOND]).attempts) == 2


@settings(max_examples=80, deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.integers(0, 40), st.integers(1, 6), st.integers(0, 12), st.integers(0, 12)), max_size=40
    ),
    rates=st.lists(st.tuples(st.integers(1, 5), st.integers(1, 50)), min_size=1, max_size=3),
)
def test_no_window_is_ever_exceeded(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, int, int, int]], rates: list[tuple[int, int]]
) -> None:
    """However asking, arriving and answering interleave: counted at the server, over every window (P6, I6)."""
    ledger = SqliteLedger(tmp_path_factory.mktemp("l") / "ledger.db")
    plan(ledger, *rows(250))
    windows = [Rate(count=count, window_s=float(window)) for count, window in rates]
    now, arrivals, air = 0.0, [], []
    for wait, wanted, answer_in, late in steps:
        now += wait / 4
        for due, attempt in sorted((each for each in air if each[0] <= now), key=lambda each: each[0]):
            accept(ledger, attempt, at=due)
            air.remove((due, attempt))
        for attempt in admit(ledger, now, at_most=wanted, windows=windows).attempts:
            air.append((now + answer_in / 4, attempt))
            arrivals.append(now + min(late, answer_in) / 4)
    ledger.close()
    for rate in windows:
        for instant in arrivals:
            assert sum(instant - rate.window_s < other <= instant for other in arrivals) <= rate.count


# --- slots


def test_slots_are_what_is_sending_in_progress_or_unsure(ledger: SqliteLedger) -> None:
    """Each of them may hold a place at the API."""
    plan(ledger, *rows(9))
    one, two, three = admit(ledger, at_most=3, in_flight=3).attempts
    accept(ledger, two)
    ledger.record([news(three, State.UNSURE)])
    held = admit(ledger, in_flight=3)
    assert (list(held.attempts), held.gate) == ([], Gate.SLOTS)

    ledger.record([news(one, State.WAITING)])
    assert len(admit(ledger, in_flight=3).attempts) == 1


def test_unsure_work_of_one_answer_holds_its_slot_only_while_it_may_be_under_way(ledger: SqliteLedger) -> None:
    """A lost answer of text to speech is unsure for a person; at the API nothing of it goes on."""
    plan(ledger, *rows(4))
    lost = admit(ledger, at_most=2, in_flight=2).attempts
    ledger.record([news(each, State.UNSURE) for each in lost])
    later = 1000.0

    assert admit(ledger, later, in_flight=2).gate is Gate.SLOTS
    assert admit(ledger, 60.0, in_flight=2, at_once=[OPERATION]).gate is Gate.SLOTS
    assert len(admit(ledger, later, in_flight=2, at_once=[OPERATION]).attempts) == 2


@pytest.mark.parametrize("end", [State.DONE, State.FAILED])
def test_what_has_ended_frees_its_slot(ledger: SqliteLedger, end: State) -> None:
    """As soon as it is known."""
    plan(ledger, *rows(3))
    (one,) = admit(ledger, in_flight=1).attempts
    accept(ledger, one)
    ledger.record([news(one, end)])

    assert len(admit(ledger, in_flight=1).attempts) == 1


def test_what_is_seen_finished_frees_its_slot_before_its_links_are_read(ledger: SqliteLedger) -> None:
    """It stays in progress, and is done like any other once they are."""
    plan(ledger, *rows(3))
    (one,) = admit(ledger, in_flight=1).attempts
    accept(ledger, one)
    ledger.record([news(one, State.IN_PROGRESS, checked=True)])
    assert not admit(ledger, in_flight=1).attempts

    ledger.record([news(one, State.IN_PROGRESS, checked=True, ended=True)])
    assert len(admit(ledger, in_flight=1).attempts) == 1
    assert states(ledger)["r1"] is State.IN_PROGRESS

    ledger.record([news(one, State.DONE)])
    assert states(ledger)["r1"] is State.DONE


def test_slots_are_the_accounts(ledger: SqliteLedger) -> None:
    """Two jobs on one account never have more in work than the account may."""
    plan(ledger, *rows(9))
    plan(ledger, *rows(9, job="other"), job="other")

    assert len(admit(ledger, at_most=2, in_flight=3).attempts) == 2
    assert len(admit(ledger, job="other", in_flight=3).attempts) == 1
    assert admit(ledger, in_flight=3).gate is Gate.SLOTS


@pytest.mark.parametrize("state", [State.IN_PROGRESS, State.UNSURE, State.SENDING])
def test_overdue_work_holds_no_slot(ledger: SqliteLedger, state: State) -> None:
    """The API has let go of it after a day, whether it was accepted or its answer was lost."""
    plan(ledger, *rows(3))
    (attempt,) = admit(ledger, 0.0, in_flight=1).attempts
    ledger.record([news(attempt, state, 0.0, remote_id="v1" if state is State.IN_PROGRESS else "")])

    assert not admit(ledger, 86399.0, in_flight=1).attempts
    assert len(admit(ledger, 86400.0, in_flight=1).attempts) == 1


def test_without_a_cap_there_are_no_slots(ledger: SqliteLedger) -> None:
    """An operation that is finished with its answer takes none."""
    plan(ledger, *rows(30))

    assert len(admit(ledger, at_most=30, in_flight=None).attempts) == 30


# --- hold-offs


def test_a_hold_off_stops_everything_until_its_end(ledger: SqliteLedger) -> None:
    """New sends, resends, and other jobs of the account."""
    plan(ledger, *rows(3))
    plan(ledger, *rows(3, job="other"), job="other")
    (attempt,) = admit(ledger, 0.0, at_most=1).attempts
    ledger.hold_off(ACCOUNT, until=60.0, reason="429")

    held = admit(ledger, 59.9, resend=[attempt.attempt_id])
    assert (list(held.attempts), held.gate, held.until) == ([], Gate.HELD_OFF, 60.0)
    assert admit(ledger, 59.9, job="other").gate is Gate.HELD_OFF
    assert len(admit(ledger, 60.0, resend=[attempt.attempt_id]).attempts) == 3


def test_a_hold_off_is_the_accounts(ledger: SqliteLedger) -> None:
    """Another key goes on."""
    plan(ledger, *rows(1))
    ledger.hold_off("another", until=60.0, reason="429")

    assert len(admit(ledger, 0.0).attempts) == 1


# --- budget


def test_the_budget_is_never_passed(ledger: SqliteLedger) -> None:
    """Three at 3 are within 10, a fourth is not."""
    plan(ledger, *rows(9, estimate=3.0))

    first = admit(ledger, budget=10.0)
    assert (len(first.attempts), first.gate) == (3, Gate.BUDGET)
    assert not admit(ledger, budget=10.0).attempts


def test_the_budget_may_be_used_up_to_the_last_cent(ledger: SqliteLedger) -> None:
    """Ten times 0.1 are 1, whatever binary fractions say."""
    plan(ledger, *rows(11, estimate=0.1))

    assert len(admit(ledger, at_most=11, budget=1.0).attempts) == 10


def test_the_budget_counts_true_costs_where_they_are_known(ledger: SqliteLedger) -> None:
    """A shorter video than guessed leaves room for more; a failed one costs nothing."""
    plan(ledger, *rows(9, estimate=5.0))
    one, other = admit(ledger, budget=10.0).attempts
    ledger.record([news(one, State.DONE, cost=2.0), news(other, State.FAILED)])

    assert len(admit(ledger, budget=10.0).attempts) == 1


def test_the_budget_counts_what_may_have_been_charged(ledger: SqliteLedger) -> None:
    """Unsure, sent again on a person's word, or lost at the API: all of it may be on the bill."""
    plan(ledger, *rows(9, estimate=5.0))
    one, other = admit(ledger, budget=10.0).attempts
    ledger.record([news(one, State.UNSURE)])
    assert not admit(ledger, budget=10.0).attempts

    ledger.record([news(one, State.WAITING)])
    accept(ledger, other)
    ledger.record([news(other, State.FAILED, error_code="lost")])
    assert not admit(ledger, budget=10.0).attempts


def test_the_budget_is_the_jobs(ledger: SqliteLedger) -> None:
    """What another job spends is another budget's matter."""
    plan(ledger, *rows(2, estimate=5.0))
    plan(ledger, *rows(2, job="other", estimate=5.0), job="other")
    admit(ledger, budget=10.0)

    assert len(admit(ledger, job="other", budget=10.0).attempts) == 2


def test_rows_of_unknown_price_pass(ledger: SqliteLedger) -> None:
    """What cannot be estimated cannot be held against a budget."""
    plan(ledger, *rows(2))

    assert len(admit(ledger, budget=0.5).attempts) == 2


# --- resends


def test_resends_go_first(ledger: SqliteLedger) -> None:
    """What may have been paid already is settled before anything new is bought."""
    plan(ledger, *rows(5))
    one, two = admit(ledger, at_most=2).attempts

    again = admit(ledger, 1.0, at_most=3, resend=[one.attempt_id, two.attempt_id]).attempts
    assert [each.task.row_id for each in again] == ["r1", "r2", "r3"]


def test_a_resend_is_the_stored_attempt_counted_once_more(ledger: SqliteLedger) -> None:
    """The same body, key and first time; how often it was sent is known to whoever reads the answer."""
    plan(ledger, *rows(1))
    (first,) = admit(ledger, 100.0).attempts
    plan(ledger, planned("r1", body="changed since"))

    for sends in (2, 3):
        (again,) = admit(ledger, 100.0 + sends, resend=[first.attempt_id]).attempts
        assert again.sends == sends
        assert (again.body, again.key, again.first_sent_at) == (first.body, first.key, first.first_sent_at)


def test_a_resend_needs_no_new_slot_and_no_budget(ledger: SqliteLedger) -> None:
    """It holds its own already, and was counted when it was first sent."""
    plan(ledger, *rows(5, estimate=4.0))
    (one,) = admit(ledger, in_flight=1, budget=4.0).attempts

    assert len(admit(ledger, 1.0, in_flight=1, budget=4.0, resend=[one.attempt_id]).attempts) == 1


def test_a_resend_counts_in_the_windows(ledger: SqliteLedger) -> None:
    """To the server it is a request like any other."""
    plan(ledger, *rows(5))
    one, other = admit(ledger, 0.0, windows=[SECOND]).attempts
    doubtful = [one.attempt_id, other.attempt_id]
    ledger.record([news(each, State.SENDING, 0.0) for each in (one, other)])

    assert not admit(ledger, 0.5, windows=[SECOND], resend=doubtful).attempts
    assert len(admit(ledger, 1.0, windows=[SECOND], resend=doubtful).attempts) == 2
    assert not admit(ledger, 1.5, windows=[SECOND]).attempts


@pytest.mark.parametrize("state", [State.IN_PROGRESS, State.DONE, State.FAILED, State.UNSURE, State.WAITING])
def test_only_what_is_sending_is_sent_again(ledger: SqliteLedger, state: State) -> None:
    """Whatever has become of it in the meantime, it is no longer ours to send."""
    plan(ledger, *rows(1))
    (attempt,) = admit(ledger).attempts
    ledger.record([news(attempt, state, remote_id="v1" if state is State.IN_PROGRESS else "")])

    resent = admit(ledger, 1.0, resend=[attempt.attempt_id, 4711]).attempts
    assert [each.attempt_id for each in resent if state is not State.WAITING] == []


def test_the_counted_sends_are_seen_after_a_restart(tmp_path: Path) -> None:
    """A refusal of the second send, a day later, must not undo what the first one may have made."""
    ledger = SqliteLedger(tmp_path / "ledger.db")
    plan(ledger, *rows(1))
    (attempt,) = admit(ledger, 0.0).attempts
    ledger.close()

    ledger = SqliteLedger(tmp_path / "ledger.db")
    (again,) = admit(ledger, 5.0, resend=[attempt.attempt_id]).attempts
    assert again.sends == 2
    assert states(ledger) == {"r1": State.SENDING}
    assert ledger.known("greetings", ["r1"])[task_key()].made_hash != ""
    ledger.close()
