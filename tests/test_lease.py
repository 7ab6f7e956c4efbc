"""The right to send ends by itself, and is not taken up again."""

from __future__ import annotations

from batcher.lease import LEASE_S, Lease
from batcher.ledger.sqlite import SqliteLedger


class Clock:
    """Shows what it is set to."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def test_a_lease_that_is_kept_goes_on(ledger: SqliteLedger) -> None:
    """A slice that lives renews it in time."""
    clock = Clock()
    lease = Lease(holder="w", ledger=ledger, clock=clock)
    lease.begin()
    for _ in range(20):
        clock.now += LEASE_S / 2
        assert lease.keep()
    assert lease.holds()


def test_who_was_frozen_for_too_long_may_not_send_and_never_again(ledger: SqliteLedger) -> None:
    """Others have taken over by then: what wakes up must notice before its first byte leaves."""
    clock = Clock()
    lease = Lease(holder="w", ledger=ledger, clock=clock)
    lease.begin()
    clock.now += LEASE_S
    assert not lease.holds()
    assert not lease.keep()
    clock.now -= LEASE_S / 2
    assert not lease.holds()


def test_whom_the_ledger_has_given_up_does_not_go_on(ledger: SqliteLedger) -> None:
    """A clock that stood still while the machine slept says nothing of it; the ledger does."""
    clock = Clock()
    lease = Lease(holder="w", ledger=ledger, clock=clock)
    lease.begin()
    ledger.alive("w", at=clock.now, until=clock.now + 0.001)
    clock.now += LEASE_S / 2
    assert not lease.keep()
    assert not lease.holds()


def test_a_lease_survives_a_ledger_that_is_away_for_a_moment(ledger: SqliteLedger) -> None:
    """There is time to try again before it ends, and none after."""
    clock = Clock()
    lease = Lease(holder="w", ledger=ledger, clock=clock)
    lease.begin()
    ledger._db.execute("PRAGMA query_only = ON")
    clock.now += LEASE_S / 2
    assert lease.keep()
    clock.now += LEASE_S / 2
    assert not lease.keep()
