"""Local files in cells, over real HTTP: each content goes to the account once, and no row is paid for twice."""

from __future__ import annotations

import csv
import json
import sqlite3
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support import Hurry, Killed, open_ledger, raw_server, run_hurried, run_job, write_job

from batcher.api.account import open_account
from batcher.api.client import Client
from batcher.catalog.load import provider_of
from batcher.errors import Exit, InputError, StopEverything
from batcher.ledger.sqlite import SqliteLedger
from batcher.model import State
from batcher.simulator import Behaviour, Running, start

PNG, PNG_END = b"\x89PNG\r\n\x1a\n", b"\x00\x00\x00\x00IEND\xaeB`\x82"
UPLOAD = "POST /v3/assets"
REQUEST = {
    "template_id": "tpl_welcome",
    "title": "For {{ id }}",
    "variables": {"first_name": "{{ id }}", "company": None, "logo": {"image": "{{ name? }}"}},
}


def picture(path: Path, text: str = "", *, size: int = 0) -> Path:
    """A PNG as far as anybody looks: its beginning, something of its own, its end; `size` makes it larger."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(PNG + (text or path.name).encode())
        file.truncate(max(size, file.tell()))
        file.seek(0, 2)
        file.write(PNG_END)
    return path


class Site:
    """A folder with a job whose rows name files, a simulator, and a clock for both."""

    def __init__(self, folder: Path, simulator: Running, cells: list[str], job: dict[str, Any]) -> None:
        self.folder, self.simulator = folder, simulator
        self.clock = Hurry(simulator)
        self.job = write_job(folder, cells, request=REQUEST)
        value = {**json.loads(self.job.read_text()), **job}
        self.job.write_text(json.dumps({key: each for key, each in value.items() if each is not None}, indent=1))

    def run(self, **changes: Any) -> Any:
        """Run the job once; returns its ending."""
        return run_hurried(self.job, self.simulator, self.clock, **changes)

    def results(self) -> list[dict[str, str]]:
        """The rows of the results file."""
        with (self.folder / "out.csv").open(encoding="utf-8-sig", newline="") as file:
            return list(csv.DictReader(file))

    def uploads(self, route: str = UPLOAD) -> int:
        """How many files the server has been sent."""
        return int(self.simulator.report()["requests"].get(route, 0))

    def titles(self) -> list[str]:
        """What the server has made and charged."""
        return sorted(charge["title"] for charge in self.simulator.charges())

    def assets(self) -> dict[str, str]:
        """Digest to asset id, as the ledger knows them."""
        db = sqlite3.connect(self.folder / "state" / "loopback.db")
        found = dict(db.execute("SELECT digest, asset_id FROM assets").fetchall())
        db.close()
        return found


@pytest.fixture
def make_site(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """A site over rows that hold these cells; further arguments are the simulator's."""
    running: list[Running] = []

    def make(*cells: str, job: dict[str, Any] | None = None, **behaviour: Any) -> Site:
        running.append(start(Behaviour(**{"render_s": 5.0, "in_flight": 50, **behaviour})))
        return Site(tmp_path, running[-1], list(cells), job or {})

    yield make
    for each in running:
        each.stop()


Make = Callable[..., Site]


def test_a_file_that_many_rows_name_is_uploaded_once(make_site: Make, tmp_path: Path) -> None:
    """By content: two names for the same picture are one upload, and rows without a file need none."""
    picture(tmp_path / "files" / "acme.png", "acme")
    picture(tmp_path / "files" / "twin.png", "acme")
    site = make_site(*["files/acme.png", "files/twin.png", "./files/../files/acme.png", ""] * 6)

    ending = site.run()

    assert (ending.exit, ending.tally.words["done"]) == (Exit.DONE, 24)
    assert site.uploads() == 1
    assert len(set(site.titles())) == len(site.titles()) == 24


def test_the_account_gets_the_very_bytes(make_site: Make, tmp_path: Path) -> None:
    """Under the kind that they are of."""
    path = picture(tmp_path / "logo.png", 'a "quoted" \r\n--name')
    site = make_site("logo.png")
    site.run()
    (asset_id,) = site.assets().values()

    with urllib.request.urlopen(f"{site.simulator.url}/uploads/{asset_id}", timeout=10) as answer:
        assert answer.read() == path.read_bytes()
        assert answer.headers["Content-Type"] == "image/png"


def test_a_file_that_the_account_holds_is_not_sent_again(make_site: Make, tmp_path: Path) -> None:
    """Not by a later run over more rows, and not by another job."""
    picture(tmp_path / "logo.png")
    site = make_site("logo.png", render_s=0.05)
    site.run()
    write_job(tmp_path, ["logo.png", "logo.png"], request=REQUEST)
    site.run()
    picture(tmp_path / "other" / "copy.png", "logo.png")
    other = write_job(tmp_path / "other", ["copy.png"], request=REQUEST, job="other", results={"file": "out.csv"})
    (tmp_path / "other" / "state").symlink_to(tmp_path / "state")
    run_job(other, site.simulator.url)

    assert (site.uploads(), len(site.titles())) == (1, 3)


def test_another_account_gets_a_copy_of_its_own(make_site: Make, tmp_path: Path, monkeypatch: Any) -> None:
    """An asset of one account is nothing to another one."""
    picture(tmp_path / "logo.png")
    site = make_site("logo.png", job={"limits": {"budget": "0.01 USD"}})
    assert site.run().exit is Exit.STOPPED
    write_job(tmp_path, ["logo.png"], request=REQUEST, title_token=False)
    import support

    before = support.surroundings

    def with_other_key(*arguments: Any, **changes: Any) -> Any:
        around = before(*arguments, **changes)
        around.environ["HEYGEN_API_KEY"] = "another-key"
        return around

    monkeypatch.setattr(support, "surroundings", with_other_key)

    assert site.run().exit is Exit.DONE
    assert site.uploads() == 2


# --- kills


def test_killed_between_upload_and_recording(make_site: Make, tmp_path: Path) -> None:
    """The worst that happens is a second copy; nothing was paid for yet."""
    picture(tmp_path / "logo.png")
    site = make_site("logo.png", "logo.png", "")
    with pytest.raises(Killed):
        site.run(dies_after=0)
    assert (site.assets(), site.uploads()) == ({}, 1)

    assert site.run().exit is Exit.DONE
    assert site.uploads() == 2
    assert site.titles() == ["For r1", "For r2", "For r3"]


def test_killed_between_recording_and_sending(make_site: Make, tmp_path: Path, monkeypatch: Any) -> None:
    """What was recorded is there for the next run, and is not sent again."""
    picture(tmp_path / "logo.png")
    site = make_site("logo.png", "logo.png")
    admit = SqliteLedger.admit

    def dies(ledger: SqliteLedger, *arguments: Any) -> Any:
        if site.assets():
            raise Killed
        return admit(ledger, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(SqliteLedger, "admit", dies)
        with pytest.raises(Killed):
            site.run()
    assert site.titles() == []

    assert site.run().exit is Exit.DONE
    assert (site.uploads(), site.titles()) == (1, ["For r1", "For r2"])


@pytest.mark.parametrize("dies_after", [1, 2, 3, 5])
def test_killed_anywhere_after_that(make_site: Make, tmp_path: Path, dies_after: int) -> None:
    """Rows with files are as safe as all others."""
    for number in range(4):
        picture(tmp_path / f"{number}.png")
    site = make_site(*[f"{number}.png" for number in range(4)])
    with pytest.raises(Killed):
        site.run(dies_after=dies_after)

    assert site.run().exit is Exit.DONE
    assert site.titles() == [f"For r{number}" for number in range(1, 5)]


# --- what goes wrong on the way


@pytest.mark.parametrize("mode", ["lost_answers", "half_answers", "errors_500", "storms_429", "html_200", "no_id"])
def test_uploads_survive(make_site: Make, tmp_path: Path, mode: str) -> None:
    """Every row is sent once, whatever becomes of the answers to its file."""
    for number in range(8):
        picture(tmp_path / f"{number}.png")
    site = make_site(*[f"{number}.png" for number in range(8)], hostile=frozenset({mode}), storm=5)

    site.run()
    site.simulator.behave(hostile=[])
    words = site.run().tally.words

    assert not (words["waiting"] or words["invalid"] or words["failed"]), words
    assert len(set(site.titles())) == len(site.titles())


def test_an_api_that_takes_no_file_holds_up_only_the_rows_that_need_it(make_site: Make, tmp_path: Path) -> None:
    """The run ends by itself, and the rows wait for another one."""
    picture(tmp_path / "logo.png")
    site = make_site("logo.png", "")
    site.simulator.behave(hostile=["storms_429"], storm=1_000_000)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("batcher.run.LONG_WAIT_S", 0.0)
        ending = site.run()
    site.simulator.behave(hostile=[])

    assert ending.exit is Exit.NOT_FINISHED
    assert site.run().exit is Exit.DONE


def test_a_refused_file_makes_only_its_rows_invalid(make_site: Make, tmp_path: Path) -> None:
    """With the API's reason at the cell; a voice is cloned from the file that is taken."""
    (tmp_path / "odd.mp3").write_bytes(b"\xff\xf3\x40\xc4" + bytes(400))
    (tmp_path / "fine.mp3").write_bytes(b"\xff\xfb\x90\xc4" + bytes(413))
    request = {"voice_name": "{{ id }}", "audio": "{{ name }}"}
    site = make_site("odd.mp3", "fine.mp3", "odd.mp3", job={"operation": "heygen.voice_clone", "request": request})

    ending = site.run()

    assert ending.exit is Exit.SOME_FAILED
    assert [row["batcher_status"] for row in site.results()] == ["invalid", "done", "invalid"]
    assert site.results()[2]["error"] == "B4: odd.mp3 was refused when it was uploaded: Unsupported file type"


def test_an_asset_that_is_gone_is_uploaded_anew(make_site: Make, tmp_path: Path) -> None:
    """Somebody has cleaned up at the API: the row says so, and the next attempt brings the file again."""
    picture(tmp_path / "logo.png")
    site = make_site("logo.png")
    site.run()
    (asset_id,) = site.assets().values()
    url = f"{site.simulator.url}/v3/assets/{asset_id}"
    urllib.request.urlopen(urllib.request.Request(url, method="DELETE", headers={"X-Api-Key": "k"}), timeout=10).close()
    write_job(tmp_path, ["logo.png", "logo.png"], request=REQUEST)
    assert site.run().exit is Exit.SOME_FAILED
    assert site.results()[1]["error_code"] == "asset_not_found"

    ledger = open_ledger(tmp_path)
    failed = [each.key for each in ledger.standings("greetings") if each.state is State.FAILED]
    ledger.again(failed, cause="retry", at=site.clock())
    ledger.close()

    assert site.run().exit is Exit.DONE
    assert site.uploads() == 2


def test_a_file_that_changes_after_the_plan_is_not_sent(make_site: Make, tmp_path: Path, monkeypatch: Any) -> None:
    """The plan said something else: its row waits, and the next run makes it from what the file holds now."""
    logo = picture(tmp_path / "logo.png", "before")
    site = make_site("logo.png", "")
    monkeypatch.setattr("batcher.run.Run._claim", lambda self: picture(logo, "after"))
    ending = site.run()

    assert ending.exit is Exit.NOT_FINISHED
    assert "has changed since the plan" in ending.reason
    assert site.titles() == ["For r2"]
    monkeypatch.undo()
    assert site.run().exit is Exit.DONE


# --- files that are not sent


def test_what_cannot_be_sent_is_told_at_its_cell(make_site: Make, tmp_path: Path) -> None:
    """All others go on, and nothing of it reaches the API."""
    (tmp_path / "secret.png").unlink(missing_ok=True)
    outside = picture(tmp_path.parent / f"{tmp_path.name}-outside.png")
    files = tmp_path / "files"
    picture(files / "acme.png")
    (files / "paper.png").write_bytes(b"%PDF-1.7\n" + bytes(100))
    (files / "empty.png").touch()
    (files / "cut.png").write_bytes(PNG + bytes(500))
    (files / "text.png").write_text("hello")
    (files / "sound.mp3").write_bytes(b"ID3" + bytes(400))
    (files / "link.png").symlink_to(outside)
    site = make_site(
        "files/acme.png",
        "files/acne.png",
        "files/paper.png",
        "files/empty.png",
        "files/cut.png",
        "files/text.png",
        "files/sound.mp3",
        f"../{outside.name}",
        str(outside),
        "files/link.png",
        "/etc/passwd/",
        "files/",
        "\\\\server\\share\\x.png",
        "notes.docx",
    )

    site.run()

    rows = site.results()
    assert rows[0]["batcher_status"] == "done"
    assert {row["batcher_status"] for row in rows[1:]} == {"invalid"}
    assert [row["error"].split(": ", 1)[0] for row in rows[1:]] == [f"B{number}" for number in range(3, 16)]
    said = [row["error"] for row in rows]
    assert "did you mean 'acme.png'?" in said[1]
    assert "'files/paper.png' is PDF inside; taken here: PNG or JPEG" in said[2]
    assert "is empty (0 bytes)" in said[3]
    assert "has no end" in said[4]
    assert "is no picture" in said[5]
    assert "is MP3 inside" in said[6]
    assert all("lies outside the sheet's folder" in each for each in said[7:11])
    assert "is a folder" in said[11]
    assert "is on another machine" in said[12]
    assert "no such file: 'notes.docx'" in said[13]
    assert site.uploads() == 1


def test_folders_that_the_job_lists_may_be_named(make_site: Make, tmp_path: Path) -> None:
    """The person who wrote the job decides, not the sheet."""
    media = tmp_path.parent / f"{tmp_path.name}-media"
    picture(media / "acme.png")
    site = make_site(f"../{media.name}/acme.png", job={"files": [f"../{media.name}"]})

    assert site.run().exit is Exit.DONE


def test_a_text_of_the_job_may_name_a_folder_that_cells_do_not_leave(make_site: Make, tmp_path: Path) -> None:
    """`../media/{{ id }}.png` is the job's word for ../media, and a cell cannot climb out of it."""
    media = tmp_path.parent / f"{tmp_path.name}-media"
    picture(media / "acme.png")
    picture(tmp_path.parent / f"{tmp_path.name}-other.png")
    variables = {**REQUEST["variables"], "logo": {"image": f"../{media.name}/{{{{ name }}}}.png"}}  # type: ignore[dict-item]
    site = make_site("acme", f"../{tmp_path.name}-other", job={"request": {**REQUEST, "variables": variables}})

    site.run()

    assert [row["batcher_status"] for row in site.results()] == ["done", "invalid"]


def test_a_file_that_the_job_names_and_is_missing_stops_the_job(make_site: Make) -> None:
    """With its line: no row can mend it."""
    variables = {**REQUEST["variables"], "logo": {"image": "logos/none.png"}}  # type: ignore[dict-item]
    site = make_site("a", job={"request": {**REQUEST, "variables": variables}})

    with pytest.raises(InputError, match=r"job\.yaml:\d+:\d+: .*no such file: 'logos/none\.png'"):
        site.run()


# --- rows and their files in time


def test_a_file_that_is_put_there_later_mends_its_row(make_site: Make, tmp_path: Path) -> None:
    """Although nothing in the sheet has changed."""
    site = make_site("logo.png")
    assert site.run().exit is Exit.SOME_FAILED
    picture(tmp_path / "logo.png")

    assert site.run().exit is Exit.DONE


def test_a_row_whose_file_holds_something_else_has_changed(make_site: Make, tmp_path: Path) -> None:
    """It is told and not made again; a file that was only touched is the same."""
    picture(tmp_path / "a.png", "before")
    site = make_site("a.png", "")
    site.run()
    picture(tmp_path / "a.png", "before")
    site.run()
    assert not any(row["what_to_do"] for row in site.results())

    picture(tmp_path / "a.png", "after")
    site.run()

    assert [row["what_to_do"] for row in site.results()] == ["the row has changed since this was made", ""]
    assert len(site.titles()) == 2


def test_a_file_that_was_cleared_away_changes_nothing(make_site: Make, tmp_path: Path) -> None:
    """What was made from it stays made; only a new row would miss it."""
    logo = picture(tmp_path / "logo.png")
    site = make_site("logo.png")
    site.run()
    logo.unlink()

    assert (site.run().exit, site.run().exit) == (Exit.DONE, Exit.DONE)
    assert site.results()[0]["what_to_do"] == ""


def test_nobody_waits_for_an_upload_when_the_run_is_over(make_site: Make, tmp_path: Path) -> None:
    """It can be sent again free of charge; a paid request is waited for."""
    picture(tmp_path / "logo.png")
    with raw_server(lambda talk, request, over: over.wait()) as (url, heard):
        site = make_site("logo.png")
        with pytest.MonkeyPatch.context() as patch:
            store = Client.store
            elsewhere = Client(
                open_account(provider_of("heygen.template"), base_url=url, environ={}, folders=[], state=tmp_path)
            )  # type: ignore[arg-type]
            patch.setattr(Client, "store", lambda client, *args, **rest: store(elsewhere, *args, **rest))
            ending = run_job(site.job, site.simulator.url, interrupted=lambda: bool(heard.requests))

    assert ending.exit is Exit.INTERRUPTED
    assert site.run().exit is Exit.DONE


# --- other ways to send


@pytest.mark.parametrize(
    "url", ["http://store.example/x", "https://127.0.0.1/x", "https://me@store.example/x", "store"]
)
def test_a_large_file_goes_to_no_unsafe_address(url: str, tmp_path: Path) -> None:
    """Whatever the answer of the announcement says."""
    provider = provider_of("heygen.template")
    environ = {"HEYGEN_API_KEY": "secret"}
    client = Client(open_account(provider, base_url="", environ=environ, folders=[], state=tmp_path))  # type: ignore[arg-type]
    with picture(tmp_path / "a.png").open("rb") as file, pytest.raises(StopEverything, match="no safe address"):
        client.put_elsewhere(url, file, headers={}, deadline_s=5)
    client.close()


def test_a_large_file_goes_straight_to_the_store(make_site: Make, tmp_path: Path) -> None:
    """Above 32 MB: announced, put without our key, completed."""
    picture(tmp_path / "large.png", size=33 * 1024 * 1024)
    site = make_site("large.png")

    assert site.run().exit is Exit.DONE
    report = site.simulator.report()
    assert report["requests"]["PUT /uploads/{asset_id}"] == report["requests"]["POST /v3/assets/direct-uploads"] == 1
    assert report["credentials_on_links"] == site.uploads() == 0


def test_v2_takes_the_bare_bytes(make_site: Make, tmp_path: Path) -> None:
    """A form would be refused there."""
    picture(tmp_path / "logo.png")
    site = make_site("logo.png", job={"operation": "heygen.v2.template"}, hostile=frozenset({"v2=alive"}))

    assert site.run().exit is Exit.DONE
    assert site.uploads("POST /v1/asset") == 1


def test_a_later_step_has_its_files_too(make_site: Make, tmp_path: Path) -> None:
    """Its text comes from the step before, its logo from a cell."""
    picture(tmp_path / "logo.png")
    video = {**REQUEST, "variables": {**REQUEST["variables"], "company": "{{ speech.duration_s }}"}}  # type: ignore[dict-item]
    steps = {
        "speech": {"operation": "heygen.speech", "request": {"text": "Hello {{ id }}", "voice_id": "Anna"}},
        "video": {"operation": "heygen.template", "request": video},
    }
    job = {"operation": None, "request": None, "estimate": None, "steps": steps}
    site = make_site("logo.png", "logo.png", job=job)

    assert site.run().exit is Exit.DONE
    assert site.uploads() == 1
