"""Many workers on one job: every row once, the limits over all of them, whatever dies in between."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from proofs.checker import assert_holds
from proofs.scene import Ran, Scene, end_all, finish, kill, until
from proofs.standin import StandIn, standing_in

from batcher.lease import LEASE_S
from cluster.crew import crew_for
from cluster.server import Server

pytestmark = pytest.mark.cluster

LONG = bool(os.environ.get("BATCHER_CHAOS"))
STOPPED, NOT_FINISHED = 4, 75


@pytest.fixture(autouse=True)
def no_run_is_left() -> Iterator[None]:
    """A proof that fails leaves no run behind."""
    yield
    end_all()


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    """A simulator for this test alone."""
    with standing_in() as running:
        yield running


@pytest.fixture
def address(postgres_server: Server, schema: str) -> str:
    """A database for this test alone."""
    return postgres_server.new_database(schema)


def in_cluster(scene: Scene, *options: str, timeout_s: float = 120) -> Ran:
    """Hand the job over and watch it to its end."""
    return finish(scene.begin("run", "--cluster", "--yes", *options), timeout_s=timeout_s)


def test_workers_do_a_job_as_a_run_would_and_the_next_run_has_nothing_to_do(
    stand_in: StandIn, address: str, tmp_path: Path
) -> None:
    """The same rows, the same words, the same exit code; and the ledger is the same one."""
    scene = Scene(folder=tmp_path, url=stand_in.url, name="shared", count=12, address=address)
    with crew_for(scene, count=2) as crew:
        ran = in_cluster(scene)
        there = json.loads(scene.ask("workers", "--json").stdout)
        ends = crew.dismiss()
    before = scene.before(stand_in)
    again = scene.run()

    assert ran.exit == 0, ran.stderr + crew.said()
    assert "12 rows = 12 done ✓" in ran.stdout
    assert [each["alive"] for each in there] == [True, True]
    assert ends == [0, 0], crew.said()
    assert_holds(scene.evidence(stand_in, again, before=before))


def test_four_workers_keep_the_limits_of_one_account(stand_in: StandIn, address: str, tmp_path: Path) -> None:
    """Counted at the server: no row twice, never more than the rate permits in any second, and little less of it."""
    count = 5000 if LONG else 1000
    limits = {"submissions": "50/second", "in_flight": 200}
    scene = Scene(folder=tmp_path, url=stand_in.url, name="four", count=count, limits=limits, address=address)
    with crew_for(scene, count=4) as crew:
        ran = in_cluster(scene, timeout_s=600)
    instants = sorted(stand_in.report()["posts_at"])
    share = (len(instants) - 50) / (instants[-1] - instants[0]) / 50  # the first window is full as it begins
    print(f"{share:.4f} of the permitted rate, load {os.getloadavg()[0]:.1f}")

    assert ran.exit == 0, ran.stderr + crew.said()
    assert len(instants) == count
    assert not stand_in.report()["duplicates"]
    assert_holds(scene.evidence(stand_in, ran, windows=[(50, 1.0)]))
    assert share >= 0.97 or not LONG  # how quick a machine is that does other things as well is nobody's promise


def no_sign_s(scene: Scene, process: subprocess.Popen[bytes]) -> float:
    """How long ago a worker has given its last sign, as `batcher workers` tells it."""
    there = json.loads(scene.ask("workers", "--json").stdout)
    return max((float(each["seen_s"]) for each in there if each["worker"].endswith(f":{process.pid}")), default=0.0)


def test_workers_that_die_freeze_and_lose_their_database_pay_every_row_once(
    stand_in: StandIn, postgres_server: Server, address: str, tmp_path: Path
) -> None:
    """One is killed every few seconds, one frozen beyond its lease and woken, the database gone twice: who is left goes on."""
    stand_in.behave(answer_s=0.1)
    count = 600 if LONG else 150
    rate = 10 if LONG else 5
    # never the whole window in the air: after a kill, what nobody will answer counts until it can no longer arrive
    limits = {"submissions": f"{rate}/second", "in_flight": rate - 1}
    scene = Scene(folder=tmp_path, url=stand_in.url, name="hard", count=count, limits=limits, address=address)

    def made() -> int:
        return len(stand_in.charges("hard"))

    with crew_for(scene, count=4) as crew:
        watching = scene.begin("run", "--cluster", "--yes")
        until(lambda: made() >= 5, during=watching)
        frozen, killed, left_to_do = crew.hired[3], 0, 0
        os.killpg(frozen.pid, signal.SIGSTOP)
        step = 50 if LONG else 20
        for number, share in enumerate(range(step, count - step, step)):
            until(lambda: made() >= share, timeout_s=400)  # noqa: B023 - used at once
            if number in (1, 3):
                postgres_server.stop()
                postgres_server.start()
            dying = next(each for each in crew.hired if each.poll() is None and each is not frozen)
            kill(dying)  # type: ignore[arg-type]
            killed += 1
            crew.hire()
            if not left_to_do and no_sign_s(scene, frozen) > LEASE_S:
                left_to_do = count - made()
                os.killpg(frozen.pid, signal.SIGCONT)
        finish(watching)
        ran = in_cluster(scene, timeout_s=300)
        ends = crew.dismiss()

    assert ran.exit == 0, ran.stdout + ran.stderr + crew.said()[-5000:]
    assert killed >= 4
    assert left_to_do, "the frozen worker was never woken while there was something to do"
    assert set(ends) <= {0, -signal.SIGKILL}, crew.said()[-5000:]
    assert not stand_in.report()["duplicates"]
    assert_holds(scene.evidence(stand_in, ran, windows=[(rate, 1.0)]))


def test_a_worker_that_drains_does_what_is_there_and_ends(stand_in: StandIn, address: str, tmp_path: Path) -> None:
    """For cron and Kubernetes jobs: nobody stays, and nobody has to."""
    scene = Scene(folder=tmp_path, url=stand_in.url, name="drained", count=6, address=address)
    watching = scene.begin("run", "--cluster", "--yes")
    with crew_for(scene) as crew:
        while watching.poll() is None:
            assert crew.hire("--drain").wait(timeout=60) == 0, crew.said()
    ran = finish(watching)

    assert ran.exit == 0, ran.stderr
    assert_holds(scene.evidence(stand_in, ran))


def test_a_job_that_must_stop_says_so_with_the_exit_code_of_a_run(
    stand_in: StandIn, address: str, tmp_path: Path
) -> None:
    """A budget that is spent stops all slices of the job, and whoever watches is told."""
    limits = {"budget": "2.50 USD"}  # a video is thought to cost 2.00
    scene = Scene(folder=tmp_path, url=stand_in.url, name="dear", count=5, limits=limits, address=address)
    with crew_for(scene, count=2) as crew:
        ran = in_cluster(scene)

    assert ran.exit == STOPPED, ran.stderr + crew.said()
    assert "the budget of" in ran.stdout
    assert 1 <= len(stand_in.charges("dear")) < 5


def test_a_run_of_its_own_and_workers_keep_out_of_each_others_way(
    stand_in: StandIn, address: str, tmp_path: Path
) -> None:
    """A person who starts the same job by hand is told that it is being done, or does it while the workers wait."""
    limits = {"submissions": "5/second", "in_flight": 2}
    scene = Scene(folder=tmp_path, url=stand_in.url, name="both", count=30, limits=limits, address=address)
    with crew_for(scene, count=1) as crew:
        watching = scene.begin("run", "--cluster", "--yes")
        until(lambda: len(stand_in.charges("both")) >= 5, during=watching)
        beside = scene.run()
        ran = finish(watching)

    assert beside.exit in (0, NOT_FINISHED), beside
    assert ran.exit == 0, ran.stderr + crew.said()
    assert_holds(scene.evidence(stand_in, ran, windows=[(5, 1.0)]))
