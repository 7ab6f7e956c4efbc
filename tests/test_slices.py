"""A slice that others have taken over from sends nothing more, and has no say in what becomes of its rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from support import JOB, Clock, names, open_ledger, run_job, write_job

from batcher.dispatcher import Dispatcher
from batcher.ending import Verbs
from batcher.errors import Throttled
from batcher.lease import LEASE_S, Lease
from batcher.model import State
from batcher.senders import ThreadedSenders
from batcher.simulator import Running


class Freezing(ThreadedSenders):
    """Senders of a process that is frozen beyond its lease around every paid request."""

    def __init__(self, clock: Clock, *, before: bool, error: Exception | None = None) -> None:
        super().__init__(4)
        self._clock, self._before, self._error = clock, before, error

    def send(self, owner: object, about: Any, errand: Callable[[], Any]) -> None:
        """See `Senders.send`."""

        def frozen() -> Any:
            if self._before:
                self._clock.advance(LEASE_S)
            value = errand() if self._error is None else None
            if not self._before:
                self._clock.advance(LEASE_S)
            if self._error is not None:
                raise self._error
            return value

        super().send(owner, about, frozen if isinstance(owner, Dispatcher) else errand)


def slice_of(folder: Path, url: str, *, before: bool, error: Exception | None = None) -> State:
    """Let a slice send one row and freeze meanwhile; returns where the row stands in the ledger then."""
    clock, ledger = Clock(), open_ledger(folder)
    lease = Lease(holder="w1", ledger=ledger, clock=clock)
    lease.begin()
    senders = Freezing(clock, before=before, error=error)
    job_file = write_job(folder, names(1))
    run_job(job_file, url, clock=clock, verbs=Verbs.SUBMIT, is_slice=True, lease=lease, senders=senders)
    (found,) = ledger.standings(JOB)
    ledger.close()
    return State(found.state)


def test_what_was_frozen_before_it_was_sent_is_not_sent(simulator: Running, tmp_path: Path) -> None:
    """Another one looks for it by then, and would not find what comes after."""
    assert slice_of(tmp_path, simulator.url, before=True) is State.SENDING
    assert not simulator.report()["charges"]


def test_an_id_that_comes_too_late_is_still_an_id(simulator: Running, tmp_path: Path) -> None:
    """What was made stays true, whoever holds the row."""
    assert slice_of(tmp_path, simulator.url, before=False) is State.IN_PROGRESS
    assert len(simulator.report()["charges"]) == 1


def test_whoever_has_lost_a_row_does_not_free_it_to_be_sent_anew(simulator: Running, tmp_path: Path) -> None:
    """Its own request made nothing; that of whoever has taken over may be on its way under the same key."""
    error = Throttled("too many", code="rate_limit_exceeded", status=429)
    assert slice_of(tmp_path, simulator.url, before=False, error=error) is State.SENDING
