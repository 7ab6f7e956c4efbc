"""The marked key goes through workers that do well and badly; afterwards no table, log or file of theirs holds it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from proofs.faults import html_page
from proofs.leaks import leaks_below, leaks_in_database, seen_in
from proofs.proxy import spoiling
from proofs.scene import KEY, MARK, Scene, end_all, finish, until
from proofs.standin import StandIn, standing_in

from cluster.crew import crew_for
from cluster.server import Server

pytestmark = pytest.mark.cluster


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


def test_the_key_is_in_no_table_of_the_ledger_or_of_the_queue(
    stand_in: StandIn, postgres_server: Server, address: str, tmp_path: Path
) -> None:
    """While tasks wait and afterwards, with a job that goes well, one whose key is refused and one that is lied to."""
    limits = {"submissions": "10/second", "in_flight": 5}
    well = Scene(folder=tmp_path / "well", url=stand_in.url, name="well", count=30, limits=limits, address=address)
    with crew_for(well, count=2) as crew, spoiling(stand_in.url, html_page) as proxy:
        lied_to = Scene(folder=tmp_path / "lied", url=proxy.url, name="lied", address=address)
        running = [scene.begin("run", "--cluster", "--yes", "--for", "6s") for scene in (well, lied_to)]
        until(lambda: len(stand_in.charges("well")) >= 10, during=running[0])
        meanwhile = list(leaks_in_database(address, KEY))
        with psycopg.connect(address, autocommit=True) as db:  # a fault of ours: what is raised has met our variables
            db.execute("UPDATE batcher_loopback.attempts SET outputs = 'no JSON' WHERE state = 'in progress'")
        runs = [finish(process) for process in running]
        stand_in.behave(balance=0.0)
        poor = Scene(folder=tmp_path / "poor", url=stand_in.url, name="poor", address=address)
        runs += [finish(poor.begin("run", "--cluster", "--yes"))]
        crew.dismiss()

    assert (runs[0].exit, runs[2].exit) == (1, 4), crew.said()
    assert '"event": "fault"' in crew.said()
    assert list(tmp_path.rglob("fault-*.txt"))
    assert not meanwhile
    assert not list(leaks_in_database(address, KEY))
    assert not list(leaks_below(tmp_path, KEY))
    for said in (crew.said(), *(ran.stdout + ran.stderr for ran in runs)):
        assert not seen_in(said.encode(), KEY)
    assert not seen_in((postgres_server.folder / "log").read_bytes(), KEY)


def test_the_search_of_the_tables_finds_what_is_there(stand_in: StandIn, address: str, tmp_path: Path) -> None:
    """A marked cell stands in tasks and attempts, and the path of the job in the queue while a task waits."""
    scene = Scene(folder=tmp_path, url=stand_in.url, name="found", address=address)
    watching = scene.begin("run", "--cluster", "--yes")
    until(lambda: any("procrastinate_jobs" in each for each in leaks_in_database(address, str(scene.job_file))))
    with crew_for(scene, count=1) as crew:
        assert finish(watching).exit == 0, crew.said()

    leaks = "\n".join(leaks_in_database(address, MARK))
    assert "batcher_loopback.tasks" in leaks
    assert "batcher_loopback.attempts" in leaks
