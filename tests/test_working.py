"""Workers are asked for where there can be none: said in one line, before anything is touched."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest
from sheets_standin import LINK
from support import Clock, surroundings

from batcher.cli.main import main
from batcher.cluster.care import care
from batcher.cluster.handing import watch
from batcher.cluster.metrics import LOOKED_S, Metrics
from batcher.cluster.queue import Order, Queue, Task
from batcher.cluster.slices import SLICES, carry_out
from batcher.cluster.workplace import Workplace, ledgers
from batcher.errors import Exit, InputError
from batcher.job import load_job
from batcher.ledger.values import Handed
from batcher.opening import opened
from batcher.progress import Progress
from batcher.simulator import Running


@pytest.mark.parametrize("command", [("worker", "--drain"), ("workers",)])
def test_workers_need_a_shared_ledger(
    command: tuple[str, ...], state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file on this machine is nobody else's."""
    assert main(list(command)) == 2
    assert "workers share a ledger in PostgreSQL: set BATCHER_STATE=postgresql://" in capsys.readouterr().err


def test_a_job_is_not_handed_over_without_a_shared_ledger(
    state: Path, make_sheet: Callable[..., Path], write_job: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing has been planned or sent then."""
    make_sheet()

    assert main(["run", str(write_job()), "--cluster"]) == 2
    assert "workers share a ledger in PostgreSQL" in capsys.readouterr().err
    assert not list(state.rglob("*.db"))


@pytest.mark.parametrize("options", [("--every", "1h"), ("--cluster", "--rehearse"), ("--cluster", "--no-download")])
def test_what_does_not_go_together_is_refused(
    options: tuple[str, ...], state: Path, write_job: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Before the job is looked at."""
    assert main(["run", str(write_job()), *options]) == 2
    assert "--cluster" in capsys.readouterr().err


def test_a_google_sheet_does_not_take_the_results_of_workers(
    state: Path, write_job: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """What was last written into it is remembered by one machine: the others would take it for a person's words."""
    job = write_job(sheet={"file": LINK}, results={"file": LINK})

    assert main(["run", str(job), "--cluster"]) == 2
    assert "a Google Sheet cannot take the results of several machines" in capsys.readouterr().err


@pytest.mark.parametrize(("is_shared", "code"), [(True, Exit.DONE), (False, Exit.EDIT)])
def test_results_on_a_disk_that_is_not_shared_are_missed(
    is_shared: bool,
    code: Exit,
    simulator: Running,
    make_sheet: Callable[..., Path],
    write_job: Callable[..., Path],
    tmp_path: Path,
) -> None:
    """Whoever has handed the job over would otherwise look for them in vain."""
    make_sheet()
    job, around = load_job(write_job()), surroundings(tmp_path, simulator.url)
    with opened(job, around) as at_hand:
        at_hand.plan(at=around.clock())
        handed = Handed(job=job.name, path=str(job.path), at=1.0, failed_before=0, finished_before=0, ended_at=2.0)
        at_hand.ledger.hand_over(handed)
        if is_shared:
            at_hand.write_results()
        ending = watch(at_hand, clock=around.clock, interrupted=lambda: False, report=lambda _: None)

    assert ending.exit is code
    assert ("does not share that folder" in ending.results_error) is not is_shared


class _NoQueue:
    """A queue into which nothing may be put."""

    def put(self, order: Order, *, in_s: float = 0.0) -> None:
        """Refuses."""
        raise AssertionError(order, in_s)


@pytest.mark.parametrize("broken", ["people.csv", "job.yaml"])
def test_a_sheet_that_cannot_be_looked_at_is_looked_at_again_when_it_is_time(
    broken: str, simulator: Running, make_sheet: Callable[..., Path], write_job: Callable[..., Path], tmp_path: Path
) -> None:
    """Not every few seconds, by all workers; and what is wrong with it is kept."""
    make_sheet()
    job, clock = load_job(write_job()), Clock()
    around = surroundings(tmp_path, simulator.url, clock=clock)
    path = str(job.path)
    with opened(job, around) as at_hand:
        at_hand.plan(at=clock())
        begun = Handed(job=job.name, path=path, at=clock(), every_s=60.0, ended_at=clock())
        at_hand.ledger.hand_over(begun)
    clock.advance(60)
    (tmp_path / broken).unlink()
    work = Workplace(around=around, queue=cast(Queue, _NoQueue()), note=lambda _event, _about: None, name="m:1")

    with pytest.raises(InputError, match=broken):
        carry_out(work, Order(task=Task.PLAN, path=path), SLICES[Task.PLAN], lambda: False)

    (handed,) = (found for ledger in ledgers(around) for found in ledger.handed())
    assert (handed.at, handed.ended_at, handed.exit, handed.every_s) == (clock(), clock(), 2, 60.0)
    assert broken in handed.reason
    care(work)  # it is not its time yet: puts nothing


def test_rows_that_others_have_finished_since_are_not_shown_as_in_flight() -> None:
    """A worker's last look is no news when it was long ago."""
    clock = Clock()
    metrics = Metrics(clock=clock)
    metrics.progress("spring", Progress(in_flight=4))
    assert b'batcher_rows_in_flight{job="spring"} 4.0' in metrics.shown()

    clock.advance(LOOKED_S + 1)

    assert b"batcher_rows_in_flight{" not in metrics.shown()
