"""What workers do beside sending: fetch files together, look at sheets again, and show themselves to who watches them."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from proofs.checker import assert_holds
from proofs.leaks import seen_in
from proofs.proxy import Cut, Exchange, spoiling
from proofs.scene import KEY, Scene, end_all, finish, kill, until
from proofs.standin import StandIn, standing_in

from cluster.crew import Crew, crew_for
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


def events(crew: Crew, name: str) -> list[dict[str, object]]:
    """What all workers have said about one thing."""
    found = [json.loads(line) for line in crew.said().splitlines() if line.startswith("{")]
    return [each for each in found if each["event"] == name]


def test_files_are_fetched_by_several_workers(stand_in: StandIn, address: str, tmp_path: Path) -> None:
    """Each has a share of the rows; together they bring every file once, and the job ends when the last is there."""
    results = {"file": "results.csv", "download": "videos/{{ id }}.mp4"}
    scene = Scene(
        folder=tmp_path, url=stand_in.url, name="files", count=24, address=address, extra={"results": results}
    )
    with crew_for(scene, count=2) as crew:
        ran = finish(scene.begin("run", "--cluster", "--yes"))

    assert ran.exit == 0, ran.stderr + crew.said()
    assert sorted(path.stem for path in (tmp_path / "videos").glob("*.mp4")) == list(scene.rows)
    assert len([each for each in events(crew, "task over") if each["task"] == "fetch"]) >= 4
    assert_holds(scene.evidence(stand_in, ran))


def test_a_sheet_that_is_looked_at_again_has_its_new_rows_made(stand_in: StandIn, address: str, tmp_path: Path) -> None:
    """A cluster needs no crontab: what has come into the sheet since is done without anybody asking."""
    scene = Scene(folder=tmp_path, url=stand_in.url, name="again", count=3, address=address)
    with crew_for(scene, count=1) as crew:
        first = finish(scene.begin("run", "--cluster", "--yes", "--every", "2s"))
        with scene.sheet.open("a", encoding="utf-8") as sheet:
            sheet.write("again-r00004,Anna,https://files.example.com/v.mp4\r\n")
        until(lambda: scene.results.read_text(encoding="utf-8").count("done") == 4, timeout_s=60)

    assert first.exit == 0, first.stderr + crew.said()
    assert len(stand_in.charges("again")) == 4


def test_the_log_of_workers_tells_of_every_row_its_job_its_attempt_and_what_became_of_it(
    stand_in: StandIn, address: str, tmp_path: Path
) -> None:
    """In JSON, a line for each event, whoever of them it happened to; the key stands in none of them."""
    results = {"file": "results.csv", "download": "videos/{{ id }}.mp4"}
    scene = Scene(folder=tmp_path, url=stand_in.url, name="log", count=9, address=address, extra={"results": results})
    with crew_for(scene, count=2) as crew:
        ran = finish(scene.begin("run", "--cluster", "--yes"))
        crew.dismiss()

    assert ran.exit == 0, ran.stderr + crew.said()
    assert all(isinstance(json.loads(line), dict) for line in crew.said().splitlines())
    sent = {(each["job"], each["row"]): each["attempt"] for each in events(crew, "row sending")}
    assert sorted(sent) == [("log", row) for row in scene.rows]
    for event in ("row in progress", "row done", "row file"):
        assert {(each["job"], each["row"]): each["attempt"] for each in events(crew, event)} == sent, event
    assert all(each["remote_id"] and each["cause"] == "accepted" for each in events(crew, "row in progress"))
    assert not seen_in(crew.said().encode(), KEY)


def test_whoever_asks_sees_what_each_worker_holds_also_one_that_is_dead(
    stand_in: StandIn, address: str, tmp_path: Path
) -> None:
    """The rows whose answers are still to come, by name."""
    over = threading.Event()

    def without_answer(_: Exchange) -> bytes:
        over.wait(120)
        raise Cut(reset=True)

    def held() -> list[tuple[str, int]]:
        return [(each["worker"], each["holds"]) for each in json.loads(scene.ask("workers", "--json").stdout)]

    with spoiling(stand_in.url, without_answer) as proxy:
        scene = Scene(folder=tmp_path, url=proxy.url, name="held", count=3, address=address)
        with crew_for(scene, count=1) as crew:
            watching = scene.begin("run", "--cluster", "--yes")
            until(lambda: [count for _, count in held()] == [3], during=watching, timeout_s=90)
            shown = scene.ask("workers").stdout
            kill(crew.hired[0])  # type: ignore[arg-type]
            crew.hired[0].wait(timeout=30)
            (name, count) = held()[0]
        over.set()

    assert ", 3 rows on their way" in shown
    assert name.endswith(f":{crew.hired[0].pid}")
    assert count == 3


def test_a_worker_shows_what_it_does_and_that_it_is_well(
    stand_in: StandIn, postgres_server: Server, address: str, tmp_path: Path
) -> None:
    """For Prometheus and for probes; without its database it is not well, and says so."""
    scene = Scene(folder=tmp_path, url=stand_in.url, name="watched", count=5, address=address)
    with crew_for(scene) as crew:
        crew.hire("--metrics", "0")
        until(lambda: bool(events(crew, "metrics")))
        url = str(events(crew, "metrics")[0]["address"])
        assert finish(scene.begin("run", "--cluster", "--yes")).exit == 0, crew.said()
        shown, well = asked(url, "/metrics"), asked(url, "/healthz")
        postgres_server.stop()
        try:
            until(lambda: asked(url, "/healthz")[0] == 503)
        finally:
            postgres_server.start()
        until(lambda: asked(url, "/healthz")[0] == 200)

    assert 'batcher_rows_accepted_total{job="watched"} 5.0' in shown[1]
    assert 'batcher_tasks_total{outcome="done",task="dispatch"}' in shown[1]
    assert well == (200, "ok\n")


def asked(url: str, page: str) -> tuple[int, str]:
    """What a page says."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{url}{page}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
