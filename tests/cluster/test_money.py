"""Every row done once and paid once, with the ledger in PostgreSQL: the same judge as for the file, over real processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from proofs.checker import assert_holds
from proofs.scene import Scene, end_all, finish, kill, until
from proofs.standin import StandIn, standing_in
from proofs.watcher import watching

from cluster.server import Server

pytestmark = pytest.mark.cluster

LIMIT = (10, 1.0)
NOT_RECORDED, NOT_FINISHED = 74, 75


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


def test_a_run_does_every_row_and_the_next_one_has_nothing_to_do(
    stand_in: StandIn, address: str, tmp_path: Path
) -> None:
    """Nothing is different for the person but where the ledger is."""
    scene = Scene(folder=tmp_path, url=stand_in.url, name="shared", count=8, address=address)
    first = scene.run()
    before = scene.before(stand_in)
    second = scene.run()

    assert (first.exit, second.exit) == (0, 0), first.stderr + second.stderr
    assert_holds(scene.evidence(stand_in, second, before=before))
    assert not list(tmp_path.rglob("*.db"))


def test_of_twelve_machines_at_once_one_works_and_the_others_leave(
    stand_in: StandIn, address: str, tmp_path: Path
) -> None:
    """Each has a state folder of its own: only the database tells them of each other."""
    stand_in.behave(answer_s=1.5)  # answers are slow until two runs have met
    scene = Scene(folder=tmp_path, url=stand_in.url, name="twelve", count=12, address=address)

    with watching(scene.results, records=scene.count + 1) as complaints:
        begun = [scene.begin("run", "--quiet", XDG_STATE_HOME=str(tmp_path / f"m{number}")) for number in range(12)]
        until(lambda: any(process.poll() is not None for process in begun))
        stand_in.behave(answer_s=0.0)
        exits = [finish(process, timeout_s=60).exit for process in begun]

    assert exits.count(NOT_FINISHED) >= 1, f"no two runs ever met: {exits}"
    assert set(exits) == {0, NOT_FINISHED}, exits
    assert_holds(scene.evidence(stand_in, scene.run(), watched=complaints))
    assert not stand_in.report()["duplicates"]


def test_two_jobs_on_two_machines_share_the_limit_also_over_a_kill(
    stand_in: StandIn, address: str, tmp_path: Path
) -> None:
    """The account's window is counted at the server, over both and over a run that died and began again."""
    # never the whole window in the air: after a kill, what nobody will answer counts until it can no longer arrive
    limits = {"submissions": f"{LIMIT[0]}/second", "in_flight": 4}
    spring, autumn = (
        Scene(folder=tmp_path / name, url=stand_in.url, name=name, count=25, limits=limits, address=address)
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


def test_runs_that_are_killed_again_and_again_pay_every_row_once(
    stand_in: StandIn, address: str, tmp_path: Path
) -> None:
    """What a killed run has left in doubt is sent again with the same key, never under a new one."""
    stand_in.behave(answer_s=0.1)
    scene = Scene(
        folder=tmp_path,
        url=stand_in.url,
        name="killed",
        count=40,
        limits={"submissions": "20/second", "in_flight": 3},
        address=address,
    )
    for charged in (1, 9, 18, 27):
        dying = scene.begin()
        until(lambda: len(stand_in.charges("killed")) >= charged, during=dying)  # noqa: B023 - used at once
        kill(dying)
        assert_holds(scene.evidence(stand_in, finish(dying)), about=f"a kill after {charged} charges")
    last = scene.run()

    assert last.exit == 0, last.stderr
    assert_holds(scene.evidence(stand_in, last, windows=[(20, 1.0)]))


def test_a_run_survives_a_restart_of_the_database_by_being_run_again(
    stand_in: StandIn, postgres_server: Server, address: str, tmp_path: Path
) -> None:
    """It says so with 74 or 75: answers that were in the air are kept here, and the next run goes on with them."""
    scene = Scene(
        folder=tmp_path,
        url=stand_in.url,
        name="restart",
        count=30,
        limits={"submissions": "10/second", "in_flight": 2},
        address=address,
    )
    running = scene.begin()
    until(lambda: len(stand_in.charges("restart")) >= 8, during=running)
    postgres_server.stop()
    try:
        broken = finish(running)
    finally:
        postgres_server.start()
    again = scene.run()

    assert broken.exit in (NOT_RECORDED, NOT_FINISHED), broken
    assert "the connection is lost" in broken.stderr
    assert again.exit == 0, again.stderr
    assert_holds(scene.evidence(stand_in, again, windows=[(10, 1.0)]))
