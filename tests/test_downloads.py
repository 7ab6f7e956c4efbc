"""Files and links of whole runs, over real HTTP: fetched beside the run, renewed in time, never at the cost of a row."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import socket
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from support import (
    Hurry,
    batcher,
    begin_batcher,
    environment,
    http,
    kill,
    names,
    raw_server,
    run_hurried,
    surroundings,
    write_job,
)

from batcher.downloads import open_downloads
from batcher.ending import Verbs
from batcher.errors import Exit
from batcher.job import load_job
from batcher.opening import opened
from batcher.simulator import Behaviour, Running, start
from batcher.simulator.media import content

DAY = 86400.0
VIDEO = content("abc.mp4") + (8 + 400_000).to_bytes(4, "big") + b"free" + bytes(400_000)


class Site:
    """A folder with a job that wants files, a simulator, and a clock for both."""

    def __init__(self, folder: Path, simulator: Running, job: Path) -> None:
        self.folder, self.simulator, self.job = folder, simulator, job
        self.clock = Hurry(simulator)
        self.env = environment(folder, simulator.url)

    def run(self, **changes: Any) -> Any:
        return run_hurried(self.job, self.simulator, self.clock, **changes)

    def command(self, *arguments: object) -> Any:
        command, *rest = arguments
        return batcher(command, self.job, *rest, env=self.env, cwd=self.folder)

    def results(self) -> list[dict[str, str]]:
        with (self.folder / "out.csv").open(encoding="utf-8-sig", newline="") as file:
            return list(csv.DictReader(file))

    def posts(self) -> int:
        return len(self.simulator.report()["posts_at"])

    def files(self) -> list[str]:
        """Everything below the folder of the files."""
        top = self.folder / "videos"
        return sorted(str(path.relative_to(top)) for path in top.rglob("*") if path.is_file())

    def relink(self, link: str, output: str = "video_url") -> None:
        """From now on the ledger holds this link for every row, as if the API had given it."""
        db = sqlite3.connect(self.folder / "state" / "loopback.db")
        for attempt_id, outputs in db.execute("SELECT attempt_id, outputs FROM attempts").fetchall():
            changed = json.dumps({**json.loads(outputs), output: link})
            db.execute("UPDATE attempts SET outputs = ? WHERE attempt_id = ?", (changed, attempt_id))
        db.commit()
        db.close()

    def bodies(self) -> list[str]:
        """What was sent, in order."""
        db = sqlite3.connect(self.folder / "state" / "loopback.db")
        found = [body for (body,) in db.execute("SELECT body FROM attempts ORDER BY attempt_id")]
        db.close()
        return found


@pytest.fixture
def make_site(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """A job over so many rows, or over these names; `download` is its `results.download`."""
    running: list[Running] = []

    def make(
        rows: int | list[str] = 3,
        *,
        download: Any = "videos/{{ id }}.mp4",
        job: dict[str, Any] | None = None,
        **behaviour: Any,
    ) -> Site:
        running.append(start(Behaviour(**{"render_s": 5.0, "spread": 0.0, "in_flight": 50, **behaviour})))
        people = names(rows) if isinstance(rows, int) else rows
        results = {"download": download} if download else {}
        path = write_job(tmp_path, people, results=results, **(job or {}))
        return Site(tmp_path, running[-1], path)

    yield make
    for each in running:
        each.stop()


# --- fetched beside the run


def test_every_finished_row_has_its_files(make_site: Callable[..., Site]) -> None:
    """Video and captions of each row stand under the names that the job gives them, and the results say where."""
    site = make_site(5, download={"video": "videos/{{ name }}.mp4", "captions": "videos/text/{{ id }}.srt"})
    ending = site.run()

    assert (ending.exit, ending.files.here) == (Exit.DONE, 10)
    assert site.files() == [*(f"Person {n}.mp4" for n in range(1, 6)), *(f"text/r{n}.srt" for n in range(1, 6))]
    for row in site.results():
        assert row["video_file"] == f"videos/{row['name']}.mp4"
        assert (site.folder / row["video_file"]).read_bytes() == content(f"{row['video_id']}.mp4")
        assert (site.folder / row["subtitle_file"]).read_bytes() == content(f"{row['video_id']}.srt")


def test_a_tick_with_all_files_asks_nobody_and_a_deleted_file_is_fetched_again(make_site: Callable[..., Site]) -> None:
    """What the ledger remembers saves the network; what the disk has lost is brought back."""
    site = make_site(2, render_s=0.05)
    assert site.command("run").returncode == 0
    (site.folder / "videos" / "r2.mp4").unlink()
    assert site.command("run").returncode == 0
    assert site.files() == ["r1.mp4", "r2.mp4"]
    assert site.posts() == 2

    site.simulator.stop()
    again = site.command("run")
    assert (again.returncode, "NOTHING TO DO" in again.stdout) == (0, True)


def test_members_of_a_fan_out_have_files_of_their_own(make_site: Callable[..., Site]) -> None:
    """The word of for_each stands in the name."""
    job = {
        "operation": "heygen.translation",
        "for_each": {"language": ["German", "Spanish"]},
        "request": {"video": "https://files.example.com/{{ id }}.mp4", "output_languages": ["{{ language }}"]},
    }
    site = make_site(2, download="videos/{{ language }}/{{ id }}.mp4", job=job)
    text = json.loads(site.job.read_text())
    text["request"] = job["request"]
    site.job.write_text(json.dumps(text))

    assert site.run().exit is Exit.DONE
    assert site.files() == ["German/r1.mp4", "German/r2.mp4", "Spanish/r1.mp4", "Spanish/r2.mp4"]


def test_no_file_is_fetched_when_that_is_not_wanted(make_site: Callable[..., Site]) -> None:
    """`--no-download` leaves them to a later run, and `batcher download` is enough to get them."""
    site = make_site(2, render_s=0.05)
    assert site.command("run", "--no-download").returncode == 0
    assert site.files() == []
    assert site.command("status").returncode == 75

    done = site.command("download")
    assert (done.returncode, "2 fetched" in done.stdout) == (0, True)
    assert [row["video_file"] for row in site.results()] == ["videos/r1.mp4", "videos/r2.mp4"]
    assert site.posts() == 2


def test_a_row_made_again_gets_its_name_back(make_site: Callable[..., Site]) -> None:
    """The newest video has the name, the older one is paid for and stays."""
    site = make_site(1)
    site.run()
    first = (site.folder / "videos" / "r1.mp4").read_bytes()
    assert site.command("retry", "--rows", "2", "--yes").returncode == 0
    site.run()

    assert site.files() == ["r1.before-1.mp4", "r1.mp4"]
    assert (site.folder / "videos" / "r1.before-1.mp4").read_bytes() == first
    assert (site.folder / "videos" / "r1.mp4").read_bytes() == content(f"{site.results()[0]['video_id']}.mp4")


def test_files_of_a_rehearsal_stay_out_of_the_folder(make_site: Callable[..., Site]) -> None:
    """They would count as real ones."""
    site = make_site(1)
    assert site.command("run", "--rehearse", "--yes").returncode == 0

    assert site.files() == []
    assert list((site.folder / "state" / "rehearsal").rglob("r1.mp4"))


# --- names


def test_two_rows_with_one_file_name_are_refused_before_anything_is_paid(make_site: Callable[..., Site]) -> None:
    """Both rows are named, whatever the case of their letters; so is a fan-out without its word."""
    site = make_site(["Anna", "Ben", "ANNA"], download="videos/{{ name }}.mp4")
    for verb in ("check", "run"):
        done = site.command(verb)
        assert done.returncode == 2
        assert 'rows 2 and 4 would have one file, "ANNA.mp4"; put' in done.stderr + done.stdout
    assert site.posts() == 0


def test_a_cell_cannot_lead_a_file_out_of_its_folder(make_site: Callable[..., Site]) -> None:
    """It is made harmless, and told by `check` before it happens."""
    site = make_site(["../../x", "CON"], download="videos/{{ name }}.mp4")
    told = site.command("check")
    assert (told.returncode, 'people.csv row 2  "../../x.mp4" is no safe file name' in told.stdout) == (0, True)

    site.run()
    assert site.files() == ["_CON.mp4", "x.mp4"]
    assert not list(site.folder.parent.glob("x.mp4"))


@pytest.mark.parametrize(
    ("download", "told"),
    [
        ({"vidoe": "v/{{ id }}.mp4"}, "heygen.template has no file 'vidoe'; did you mean 'video'?"),
        ("v/{{ nmae }}.mp4", 'people.csv: no column "nmae"; did you mean "name"?'),
        ("v/{{ nmae or 'x' }}.mp4", 'people.csv: no column "nmae"'),
        ("v/{{ id }}", "must end in the kind of file it is"),
        ("v/{{ id }}/../x.mp4", "'..' can stand only before the first cell"),
        ("v/{{ id.mp4", "without its }}"),
        (
            {"video": "v/{{ id }}.mp4", "captions": "v/{{ id }}.mp4"},
            'two files of row 2 would have one name, "r1.mp4"; tell',
        ),
    ],
)
def test_what_cannot_be_a_file_is_told_with_its_place(make_site: Callable[..., Site], download: Any, told: str) -> None:
    """In the file where it is mended, before anything is sent."""
    done = make_site(1, download=download).command("check", "--offline")
    assert done.returncode == 2
    assert told in done.stderr
    assert re.match(r"(batcher: )?(people\.csv|\S*job\.yaml:\d+:\d+):", done.stderr)


# --- what goes wrong never costs the row


def test_what_is_no_video_is_told_beside_the_row_that_stays_done(make_site: Callable[..., Site]) -> None:
    """Exit 3; the next tick does not ask again, a person's word does."""
    site = make_site(2)
    site.run(fetches=False)
    with raw_server(http(b"<!DOCTYPE html><title>Sign in</title>" + b" " * 600)) as (url, heard):
        site.relink(f"{url}/v.mp4")
        ending = site.run()
        assert (ending.exit, ending.files.lacking, ending.tally.words) == (Exit.SOME_FAILED, 2, {"done": 2})
        row = site.results()[0]
        assert (row["batcher_status"], row["video_file"]) == ("done", "")
        assert "video not fetched: what the link leads to is a web page (HTML)" in row["error"]
        assert "batcher download job.yaml" in row["what_to_do"]

        assert site.run().exit is Exit.SOME_FAILED
        assert len(heard.requests) == 2
        assert site.command("download").returncode == 3
        assert len(heard.requests) == 4
    assert "test-key" not in heard.text


def test_a_server_that_is_down_leaves_the_files_to_the_next_run(make_site: Callable[..., Site]) -> None:
    """Tried some times, then 75: run again; nothing is given up yet."""
    site = make_site(1)
    site.run(fetches=False)
    with raw_server(http(b"later", status="503 Service Unavailable")) as (url, heard):
        site.relink(f"{url}/v.mp4")
        ending = site.run()
    assert (ending.exit, ending.files.later, len(heard.requests)) == (Exit.NOT_FINISHED, 1, 4)
    assert "HTTP 503" in site.results()[0]["error"]

    site.relink("https://inner.invalid/v.mp4")
    for _ in range(4):
        ending = site.run()
    assert (ending.exit, ending.files.lacking) == (Exit.SOME_FAILED, 1)


def test_a_file_of_somebody_else_is_never_replaced(make_site: Callable[..., Site]) -> None:
    """It is told; once it is out of the way, the next run brings ours."""
    site = make_site(1)
    mine = site.folder / "videos" / "r1.mp4"
    mine.parent.mkdir()
    mine.write_text("my own")
    assert site.run().exit is Exit.SOME_FAILED
    assert mine.read_text() == "my own"
    assert "a different file stands there already" in site.results()[0]["error"]

    mine.unlink()
    assert site.run().exit is Exit.DONE
    assert site.results()[0]["error"] == ""


def test_an_expired_link_is_asked_for_again_and_fetched(make_site: Callable[..., Site]) -> None:
    """Weeks later the id still leads to the file: told by the link itself, or by the server that refuses it."""
    site = make_site(3)
    site.run(fetches=False)
    site.clock.advance(8 * DAY)
    site.relink(f"{site.simulator.url}/files/gone.mp4")  # carries no time of its own: the server says 403
    assert site.run().exit is Exit.DONE
    assert site.files() == ["r1.mp4", "r2.mp4", "r3.mp4"]
    assert site.posts() == 3


# --- kills and interruptions


class Slow:
    """Sends half of the video and waits; asked for the rest, it sends that."""

    def __init__(self) -> None:
        self.half_sent = threading.Event()

    def __call__(self, connection: socket.socket, request: bytes, over: threading.Event) -> None:
        half, tag = len(VIDEO) // 2, 'ETag: "v1"'
        wanted = next((line for line in request.split(b"\r\n") if line.lower().startswith(b"range:")), b"")
        if wanted:
            first = int(wanted.split(b"=")[1].rstrip(b"-"))
            span = f"Content-Range: bytes {first}-{len(VIDEO) - 1}/{len(VIDEO)}"
            connection.sendall(http(VIDEO[first:], status="206 Partial Content", headers=[span, tag]))
            return
        connection.sendall(http(VIDEO[:half], headers=[tag], length=len(VIDEO)))
        self.half_sent.set()
        over.wait(30)


@pytest.mark.parametrize("way", [signal.SIGKILL, signal.SIGINT], ids=["kill -9", "Ctrl-C"])
def test_a_run_that_dies_while_fetching_is_gone_on_with(make_site: Callable[..., Site], way: signal.Signals) -> None:
    """The row stays paid once, what has come is kept, and the next run asks for the rest alone (C2, C5)."""
    site, slow = make_site(1), Slow()
    site.run(fetches=False)
    with raw_server(slow) as (url, heard):
        site.relink(f"{url}/v.mp4")
        process = begin_batcher("run", site.job, env=site.env, cwd=site.folder)
        assert slow.half_sent.wait(30)
        part = site.folder / "videos" / "r1.mp4.part"
        _until(lambda: part.exists() and part.stat().st_size == len(VIDEO) // 2)
        if way is signal.SIGKILL:
            kill(process)
        else:
            process.send_signal(way)
            process.communicate(timeout=30)
            assert process.returncode == 130
        assert site.files() == ["r1.mp4.part", "r1.mp4.part.json"]

        assert site.run().exit is Exit.DONE
    assert f"bytes={len(VIDEO) // 2}-" in heard.text
    assert (site.folder / "videos" / "r1.mp4").read_bytes() == VIDEO
    assert site.files() == ["r1.mp4"]
    assert site.posts() == 1


def test_files_that_cannot_be_written_down_hide_no_other_end(make_site: Callable[..., Site]) -> None:
    """The ledger is gone while files are fetched: what the run has to say of its answers is said, not that once more."""
    site = make_site(2)
    site.run(fetches=False)
    around = surroundings(site.folder, site.simulator.url)
    with opened(load_job(site.job), around) as at_hand:
        downloads = open_downloads(at_hand, around)
        downloads.begin()
        downloads.step()
        _until(lambda: downloads.pool._back.qsize() == 2)
        ledger = site.folder / "state" / "loopback.db"
        ledger.rename(ledger.with_suffix(".away"))
        downloads.close()
        ledger.with_suffix(".away").rename(ledger)

    assert site.run().exit is Exit.DONE
    assert site.files() == ["r1.mp4", "r2.mp4"]


def _until(holds: Callable[[], bool]) -> None:
    """Wait for what other threads bring about; only a fault makes this long."""
    end = monotonic() + 30
    while not holds():
        assert monotonic() < end, "never"
        os.sched_yield()


# --- links


def test_links_about_to_expire_are_renewed_by_the_next_tick(make_site: Callable[..., Site]) -> None:
    """In time no request is made; on the last day one list brings them all, and `url_expires_at` is true again."""
    site = make_site(4, download=None)
    site.run()
    before = [row["url_expires_at"] for row in site.results()]
    site.clock.advance(5 * DAY)
    site.run()
    assert [row["url_expires_at"] for row in site.results()] == before

    site.clock.advance(1.5 * DAY)
    site.run()
    after = site.results()
    assert all(row["url_expires_at"] > old for row, old in zip(after, before, strict=True))
    assert all(f"Expires={_unix(row['url_expires_at'])}" in row["video_url"] for row in after)
    assert {row["batcher_status"] for row in after} == {"done"}
    assert site.posts() == 4


def _unix(text: str) -> int:
    from datetime import datetime

    return int(datetime.fromisoformat(text).timestamp())


def test_a_person_can_have_all_links_renewed(make_site: Callable[..., Site]) -> None:
    """`batcher results --refresh`, at any time."""
    site = make_site(3, download=None)
    site.run()
    before = site.results()[0]["video_url"]
    site.simulator.advance(3600)
    done = site.command("results", "--refresh")

    assert (done.returncode, "3 rows renewed" in done.stdout) == (0, True)
    assert site.results()[0]["video_url"] != before
    assert site.command("run").stdout.startswith("greetings · NOTHING TO DO")


CHAIN = {
    "steps": {
        "made": {
            "operation": "heygen.template",
            "request": {
                "template_id": "tpl_welcome",
                "variables": {"first_name": "{{ name }}", "company": None, "logo": None},
            },
        },
        "dubbed": {
            "operation": "heygen.translation",
            "request": {"video": "{{ made.video_url }}", "output_languages": ["German"]},
        },
    }
}


def chain(site: Site, steps: dict[str, Any]) -> None:
    """Make the site's job one of several steps."""
    job = json.loads(site.job.read_text())
    for key in ("operation", "request", "estimate"):
        job.pop(key, None)
    site.job.write_text(json.dumps({**job, "steps": steps}, indent=1))


def test_a_later_step_never_sends_a_link_that_has_expired(make_site: Callable[..., Site]) -> None:
    """It is renewed before it is sent, though the body was made long before."""
    site = make_site(2, download=None)
    chain(site, CHAIN["steps"])
    site.run(verbs=Verbs.SUBMIT)
    site.clock.advance(60)
    site.run(verbs=Verbs.RECONCILE)
    site.clock.advance(8 * DAY)
    ending = site.run()

    assert ending.exit is Exit.DONE
    sent = [json.loads(body)["video"]["url"] for body in site.bodies() if "video" in json.loads(body)]
    assert len(sent) == 2
    assert all(int(link.split("Expires=")[1].split("&")[0]) > site.clock() for link in sent)


def test_a_dead_link_that_cannot_be_renewed_holds_its_row(make_site: Callable[..., Site]) -> None:
    """A spoken text cannot be asked for again: better told than sent, and a word makes it anew."""
    site = make_site(1, download=None)
    speech = {"operation": "heygen.speech", "request": {"text": "Hello {{ name }}", "voice_id": "Anna"}}
    video = {
        "operation": "heygen.translation",
        "request": {"video": "{{ speech.audio_url }}", "output_languages": ["German"]},
    }
    chain(site, {"speech": speech, "video": video})
    site.run(verbs=Verbs.SUBMIT, interrupted=lambda: bool(site.bodies()))
    site.clock.advance(8 * DAY)
    ending = site.run()
    assert (ending.exit, ending.tally.words) == (Exit.SOME_FAILED, {"invalid": 1})
    assert "the link that speech has made stopped working" in site.results()[0]["error"]
    assert len(site.bodies()) == 1

    assert site.command("retry", "--rows", "2", "--yes").returncode == 0
    assert site.run().exit is Exit.DONE
    assert len(site.bodies()) == 3
