"""Two and twenty at once: one run per job, one limit per account, whoever starts them and however often they die."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from proofs.checker import assert_holds
from proofs.faults import lost_after_charge
from proofs.operations import each_of
from proofs.proxy import spoiling
from proofs.scene import Scene, finish, kill, until
from proofs.standin import StandIn
from proofs.watcher import watching

AT_ONCE = 20
LIMIT = (10, 1.0)
NOT_FINISHED = 75


@pytest.mark.parametrize("operation", each_of("heygen.template", "heygen.v2.template"))
def test_of_twenty_runs_at_once_one_works_and_the_others_leave(
    operation: str, stand_in: StandIn, tmp_path: Path
) -> None:
    """A cron that overlaps itself, and a person beside it: every row is paid once, the others say so and leave."""
    stand_in.behave(answer_s=1.5)  # answers are slow until two runs have met
    scene = Scene(folder=tmp_path, url=stand_in.url, name="twenty", operation=operation, count=12)

    with watching(scene.results, records=scene.count + 1) as complaints:
        begun = [scene.begin("run", "--quiet") for _ in range(AT_ONCE)]
        until(lambda: any(process.poll() is not None for process in begun))
        stand_in.behave(answer_s=0.0)
        ends = [finish(process, timeout_s=30) for process in begun]

    exits = [ran.exit for ran in ends]
    assert exits.count(NOT_FINISHED) >= 1, f"no two runs ever met: {exits}"
    assert all("another run of" in ran.stderr for ran in ends if ran.exit == NOT_FINISHED), "not kept out by the lock"
    assert exits.count(0) >= 1, exits
    assert set(exits) <= {0, NOT_FINISHED}, exits
    assert_holds(scene.evidence(stand_in, scene.run(), watched=complaints))
    assert not stand_in.report()["duplicates"]


def test_two_jobs_share_the_limit_of_their_account_also_over_a_kill(stand_in: StandIn, tmp_path: Path) -> None:
    """The account's window is counted at the server, over both jobs and over a run that died and began again."""
    limits = {"submissions": f"{LIMIT[0]}/second"}
    state = tmp_path / "state"
    spring, autumn = (
        Scene(folder=tmp_path / name, url=stand_in.url, name=name, count=25, limits=limits, state_folder=state)
        for name in ("spring", "autumn")
    )

    dying, other = spring.begin(), autumn.begin()
    until(lambda: len(stand_in.charges("spring")) >= 8, during=dying)
    kill(dying)
    finish(dying)
    again, rest = spring.run(), finish(other)

    assert (again.exit, rest.exit) == (0, 0), again.stderr + rest.stderr
    assert_holds(spring.evidence(stand_in, again, windows=[LIMIT]))
    assert_holds(autumn.evidence(stand_in, rest, windows=[LIMIT]))


def test_runs_of_a_moment_each_keep_the_limit_together(stand_in: StandIn, tmp_path: Path) -> None:
    """A cron that starts every moment must not begin with a full bucket each time: the window outlives the process."""
    scene = Scene(
        folder=tmp_path, url=stand_in.url, name="ticks", count=30, limits={"submissions": f"{LIMIT[0]}/second"}
    )

    runs = [scene.run("submit", "--for", "0.3s") for _ in range(12)]
    last = scene.run()

    assert last.exit == 0, last.stderr
    assert all(run.exit in (0, NOT_FINISHED) for run in runs), [run.exit for run in runs]
    assert_holds(scene.evidence(stand_in, last, windows=[LIMIT]))


def test_a_run_that_is_stopped_and_woken_goes_on_as_if_nothing_had_been(stand_in: StandIn, tmp_path: Path) -> None:
    """A laptop that sleeps: its lock holds, its answers are lost meanwhile, an hour goes by at the API; nothing is twice (L12)."""
    with spoiling(stand_in.url, lost_after_charge, at_most=4) as proxy:
        scene = Scene(folder=tmp_path, url=proxy.url, name="asleep", count=4)
        process = scene.begin()
        until(lambda: len(stand_in.charges("asleep")) >= 1, during=process)
        os.kill(process.pid, signal.SIGSTOP)

        beside = scene.run()
        stand_in.advance(3600)
        os.kill(process.pid, signal.SIGCONT)
        ran = finish(process)

    assert beside.exit == NOT_FINISHED, "the sleeping run holds the job"
    assert ran.exit == 0, ran.stderr
    assert_holds(scene.evidence(stand_in, ran))
    assert not stand_in.report()["duplicates"]
