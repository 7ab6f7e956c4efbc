"""Jobs whose sheet, results and files stand in the cloud: whole runs over HTTP, against a stand-in of S3."""

from __future__ import annotations

import csv
import io
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from cloud_standin import SECRET, Bucket, only_to_be_read, store_environment
from proofs.leaks import leaks_below
from support import batcher, begin_batcher, environment, kill, names, surroundings, write_job

from batcher.ending import is_settled, leave_settled
from batcher.errors import Exit, InputError
from batcher.fetch.forward import KEPT_S, clear
from batcher.idle import Kept
from batcher.job import load_job
from batcher.opening import opened
from batcher.simulator import Behaviour, Running, start
from batcher.simulator.media import content


class Site:
    """A job all in one bucket, and the simulator that makes its videos."""

    def __init__(self, folder: Path, bucket: Bucket, simulator: Running, job: Path) -> None:
        self.folder, self.bucket, self.simulator, self.job = folder, bucket, simulator, job
        self.env = environment(folder, simulator.url, **store_environment(bucket.url))

    def command(self, *arguments: str, **env: str) -> Any:
        command, *rest = arguments
        return batcher(command, self.job, *rest, env={**self.env, **env}, cwd=self.folder)

    def rows(self) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(self.bucket.get("out/people.csv").decode("utf-8-sig"))))

    def posts(self) -> int:
        return len(self.simulator.report()["posts_at"])


@pytest.fixture
def make_site(tmp_path: Path, bucket: Bucket) -> Iterator[Callable[..., Site]]:
    """So many rows, or over these names; changes are those of the job."""
    running: list[Running] = []

    def make(rows: int | list[str] = 3, *, behaviour: dict[str, Any] | None = None, **changes: Any) -> Site:
        running.append(start(Behaviour(**{"render_s": 0.2, "spread": 0.0, "in_flight": 50, **(behaviour or {})})))
        people = names(rows) if isinstance(rows, int) else rows
        results = {
            "file": f"{bucket}/out/people.csv",
            "report": f"{bucket}/out/page.html",
            "download": f"{bucket}/videos/{{{{ name }}}}.mp4",
            **changes.pop("results", {}),
        }
        job = write_job(tmp_path, people, sheet={"file": f"{bucket}/in/people.csv"}, results=results, **changes)
        sheet = tmp_path / "people.csv"
        bucket.put("in/people.csv", sheet.read_bytes())
        sheet.unlink()
        return Site(tmp_path, bucket, running[-1], job)

    yield make
    for each in running:
        each.stop()


def test_a_job_can_stand_in_the_cloud_whole(make_site: Callable[..., Site]) -> None:
    """Sheet, results, report and files; nothing of them stays on this machine, and nowhere stands the store's secret."""
    site = make_site(3)
    ran = site.command("run", "--yes")
    rows = site.rows()

    assert ran.returncode == Exit.DONE, ran.stdout + ran.stderr
    assert [row["batcher_status"] for row in rows] == ["done"] * 3
    assert [row["video_file"] for row in rows] == [f"{site.bucket}/videos/Person {n}.mp4" for n in (1, 2, 3)]
    assert set(site.bucket.marks()) == {
        "in/people.csv",
        "out/page.html",
        "out/people.csv",
        *(f"videos/Person {n}.mp4" for n in (1, 2, 3)),
    }
    assert not [path for path in site.folder.rglob("*") if path.suffix in (".mp4", ".html", ".part")]
    assert f"Results  {site.bucket}/out/people.csv" in ran.stdout
    assert SECRET not in ran.stdout + ran.stderr
    assert not list(leaks_below(site.folder, SECRET))
    assert b"I10  holds" in site.command("verify").stdout.encode()


def test_a_tick_writes_nothing_and_a_file_that_is_gone_is_fetched_again(make_site: Callable[..., Site]) -> None:
    """What the ledger knows saves the writing; what the store has lost is brought back, and only that."""
    site = make_site(3)
    assert site.command("run", "--yes").returncode == Exit.DONE
    before = site.bucket.marks()
    tick = site.command("run")
    assert "NOTHING TO DO" in tick.stdout
    assert site.bucket.marks() == before

    site.bucket.remove("videos/Person 2.mp4")
    assert site.command("run").returncode == Exit.DONE
    after = site.bucket.marks("videos")
    assert set(after) == {f"videos/Person {n}.mp4" for n in (1, 2, 3)}
    assert after["videos/Person 1.mp4"] == before["videos/Person 1.mp4"]
    assert site.posts() == 3


def test_no_tick_is_slept_through_because_of_files_that_only_the_store_knows(make_site: Callable[..., Site]) -> None:
    """Stamps of this machine's files say nothing about a bucket, be there only the downloads in it."""
    site = make_site(1, results={"file": "out.csv", "report": "page.html"})
    (site.folder / "people.csv").write_bytes(site.bucket.get("in/people.csv"))
    site.job.write_text(site.job.read_text().replace(f"{site.bucket}/in/people.csv", "people.csv"))
    assert site.command("run", "--yes").returncode == Exit.DONE
    around, kept = surroundings(site.folder, site.simulator.url), Kept()
    with opened(load_job(site.job), around) as at_hand:
        assert is_settled(at_hand, at_hand.plan(at=around.clock()), at=around.clock())
        leave_settled(at_hand, around, kept, code=Exit.DONE)
    assert not kept.files


def test_kills_in_the_middle_pay_nothing_twice_and_lose_no_file(make_site: Callable[..., Site]) -> None:
    """Wherever the kill hits: sending, rendering, or a file on its way into the cloud."""
    site = make_site(12, behaviour={"render_s": 0.3}, limits={"in_flight": 4})
    for wanted in (1, 5, 9):
        process = begin_batcher("run", site.job, "--yes", env=site.env, cwd=site.folder)
        _until_files(site, wanted, process)
        kill(process)
    ended = site.command("run", "--yes")

    assert ended.returncode == Exit.DONE, ended.stdout + ended.stderr
    assert len(site.simulator.charges()) == 12
    assert len({row["video_id"] for row in site.rows()}) == 12
    assert set(site.bucket.marks("videos")) == {f"videos/Person {n}.mp4" for n in range(1, 13)}
    assert not list((site.folder / "state" / "downloads").rglob("*.mp4*"))


def _until_files(site: Site, count: int, process: subprocess.Popen[str]) -> None:
    """Wait for so many files in the store, or for the end of the process; a minute at most."""
    end = time.monotonic() + 60
    while len(site.bucket.marks("videos")) < count and process.poll() is None:
        assert time.monotonic() < end
        threading.Event().wait(0.02)


def test_names_out_of_cells_stay_below_their_prefix(make_site: Callable[..., Site]) -> None:
    """As on a disk: a slash in a cell leads nowhere."""
    site = make_site(["../../etc/passwd", "a/b", "Zoë #1?"])
    assert site.command("run", "--yes").returncode == Exit.DONE
    assert sorted(site.bucket.marks("videos")) == ["videos/Zoë #1_.mp4", "videos/a_b.mp4", "videos/etc_passwd.mp4"]


def test_what_somebody_else_has_put_there_is_untouched(make_site: Callable[..., Site]) -> None:
    """The row says so; no file is replaced, though it has the same length."""
    site = make_site(2)
    theirs = bytes(len(content(f"{'0' * 32}.mp4")))
    site.bucket.put("videos/Person 1.mp4", theirs)
    ran = site.command("run", "--yes")

    assert ran.returncode == Exit.SOME_FAILED
    assert len(site.bucket.get("videos/Person 2.mp4")) == len(theirs)
    assert site.bucket.get("videos/Person 1.mp4") == theirs
    assert "a different file stands there already" in site.rows()[0]["what_to_do"] + site.rows()[0]["error"]
    assert site.rows()[1]["video_file"]


def test_a_row_that_is_made_again_sets_the_older_file_aside(make_site: Callable[..., Site]) -> None:
    """Its name is for the newer one."""
    site = make_site(1)
    assert site.command("run", "--yes").returncode == Exit.DONE
    assert site.command("retry", "--rows", "2", "--yes").returncode == Exit.DONE
    assert site.command("run", "--yes").returncode == Exit.DONE
    assert sorted(site.bucket.marks("videos")) == ["videos/Person 1.before-1.mp4", "videos/Person 1.mp4"]


# --- the sheet


def test_offline_the_sheet_is_as_it_was_last_read(make_site: Callable[..., Site]) -> None:
    """And it is copied again only when it has changed."""
    site = make_site(2)
    away = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
    assert "was never read" in site.command("check", "--offline", **away).stderr
    assert site.command("check").returncode == Exit.DONE
    offline = site.command("check", "--offline", **away)
    assert offline.returncode == Exit.DONE, offline.stderr
    assert "as it was read on" in offline.stdout
    copies = list((site.folder / "state" / "sheets").rglob("people.csv"))
    assert site.command("check").returncode == Exit.DONE
    assert list((site.folder / "state" / "sheets").rglob("people.csv")) == copies

    site.bucket.put("in/people.csv", "id,name\nr1,Ann\nr2,Bob\nr3,Cid\n")
    assert "3 rows = 3 waiting" in site.command("check").stdout


def test_a_workbook_in_the_cloud_takes_its_own_results(make_site: Callable[..., Site], bucket: Bucket) -> None:
    """Nothing but our columns changes; and the next tick has nothing to do."""
    site = make_site(1, results={"file": f"{bucket}/in/leads.xlsx"})
    _point_at_workbook(site)
    ran = site.command("run", "--yes")
    assert ran.returncode == Exit.DONE, ran.stdout + ran.stderr

    cells = list(openpyxl.load_workbook(io.BytesIO(bucket.get("in/leads.xlsx"))).active.values)
    assert cells[1][:2] == ("r1", "Ann")
    assert "done" in cells[1]
    before = bucket.marks()
    assert "NOTHING TO DO" in site.command("run").stdout
    assert bucket.marks() == before


def test_what_a_person_saves_in_the_meantime_is_not_written_over(
    make_site: Callable[..., Site], bucket: Bucket
) -> None:
    """The results then stand beside the workbook, with a word; the next run brings them into it."""
    site = make_site(1, results={"file": f"{bucket}/in/leads.xlsx"})
    _point_at_workbook(site)
    with opened(load_job(site.job), surroundings(site.folder, site.simulator.url)) as at_hand:
        at_hand.plan(at=0.0)
        bucket.put("in/leads.xlsx", theirs := _workbook("Anna"))
        written = at_hand.write_results()

    assert bucket.get("in/leads.xlsx") == theirs
    assert str(written.file) == f"{bucket}/in/leads.results.xlsx"
    assert "changed" in written.note
    ran = site.command("run", "--yes")
    assert ran.returncode == Exit.DONE, ran.stdout + ran.stderr
    cells = list(openpyxl.load_workbook(io.BytesIO(bucket.get("in/leads.xlsx"))).active.values)
    assert cells[1][1] == "Anna"
    assert "done" in cells[1]


def _workbook(name: str) -> bytes:
    book, data = openpyxl.Workbook(), io.BytesIO()
    book.active.append(["id", "name"])
    book.active.append(["r1", name])
    book.save(data)
    return data.getvalue()


def _point_at_workbook(site: Site) -> None:
    site.bucket.put("in/leads.xlsx", _workbook("Ann"))
    site.job.write_text(site.job.read_text().replace("in/people.csv", "in/leads.xlsx"))


# --- what goes wrong


def test_a_store_that_is_away_is_one_sentence_and_the_next_run_goes_on(make_site: Callable[..., Site]) -> None:
    """75: nothing was lost, nothing was sent."""
    site = make_site(1)
    ran = site.command("run", "--yes", AWS_ENDPOINT_URL="http://127.0.0.1:9")

    assert ran.returncode == Exit.NOT_FINISHED
    assert ran.stderr == f"{site.bucket}/out/people.csv: the store cannot be reached now; run again later\n" or (
        "the store cannot be reached now; run again later" in ran.stderr and len(ran.stderr.splitlines()) == 1
    )
    assert site.posts() == 0
    assert site.command("run", "--yes").returncode == Exit.DONE


def test_a_missing_bucket_and_missing_credentials_are_told_before_anything_is_paid(
    make_site: Callable[..., Site],
) -> None:
    """2: a person must mend it."""
    site = make_site(1, results={"download": "s3://no-such-bucket-here/{{ name }}.mp4"})
    ran = site.command("run", "--yes")
    assert (ran.returncode, "there is no bucket no-such-bucket-here" in ran.stderr) == (Exit.EDIT, True)
    ran = site.command("run", "--yes", AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="")
    assert (ran.returncode, "accepts no sign-in" in ran.stderr) == (Exit.EDIT, True)
    assert site.posts() == 0


def test_a_store_that_refuses_files_takes_nothing_from_finished_rows(make_site: Callable[..., Site]) -> None:
    """The rows are done and stay so; the files come as soon as the store takes them, without another payment."""
    site = make_site(2, results={"file": "out.csv", "report": "page.html"})
    (site.folder / "people.csv").write_bytes(site.bucket.get("in/people.csv"))
    site.job.write_text(site.job.read_text().replace(f"{site.bucket}/in/people.csv", "people.csv"))
    with only_to_be_read() as url:
        ran = site.command("run", "--yes", AWS_ENDPOINT_URL=url)
    lines = (site.folder / "out.csv").read_text(encoding="utf-8-sig").splitlines()
    words = [row["batcher_status"] for row in csv.DictReader(lines)]

    assert (ran.returncode, words) == (Exit.NOT_FINISHED, ["done", "done"]), ran.stdout + ran.stderr
    assert "the store does not allow it" in ran.stderr + ran.stdout
    assert site.command("run", "--yes").returncode == Exit.DONE
    assert len(site.bucket.marks("videos")) == 2
    assert site.posts() == 2


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sheet": {"file": "s3://inbox/*.csv"}}, r"sheet\.file: an inbox can only be a folder of this machine"),
        ({"sheet": {"file": "s3://key:word@b/x.csv"}}, r"sheet\.file: this is no address of a file in the cloud"),
        ({"sheet": {"file": "ftp://host/x.csv"}}, r"sheet\.file: ftp:// is not known here"),
        ({"results": {"file": "s3://bucket"}}, r"results\.file: s3://bucket is a whole bucket"),
        ({"files": ["s3://bucket/pictures"]}, r"files\.0: this can only be on this machine"),
        ({"catalog": "s3://bucket/own.yaml"}, r"catalog: this can only be on this machine"),
    ],
)
def test_an_address_that_cannot_be_is_told_at_its_place(tmp_path: Path, changes: Any, said: str) -> None:
    """Before anything is opened."""
    with pytest.raises(InputError, match=said) as refused:
        load_job(write_job(tmp_path, ["Ann"], **changes))
    assert "word" not in str(refused.value)


@pytest.mark.parametrize("template", ["s3://{{ name }}/a.mp4", "s3://bucket.mp4", "s3://bucket/../{{ name }}.mp4"])
def test_a_cell_names_no_bucket_and_no_way_up(make_site: Callable[..., Site], template: str) -> None:
    """A sheet may come from somebody else."""
    site = make_site(1, results={"download": template})
    ran = site.command("run", "--yes")
    assert (ran.returncode, "results.download" in ran.stderr) == (Exit.EDIT, True), ran.stderr
    assert site.posts() == 0


def test_what_broke_off_long_ago_is_cleared_away(tmp_path: Path) -> None:
    """Its link has expired; what broke off just now is gone on with."""
    for age, name in ((0.0, "young"), (2 * KEPT_S, "old")):
        part = tmp_path / name / "a.mp4.part"
        part.parent.mkdir()
        part.write_bytes(b"half")
        for path in (part, part.parent):
            os.utime(path, (time.time() - age, time.time() - age))
    clear(tmp_path, now=time.time())
    assert [path.name for path in tmp_path.rglob("*.part")] == ["a.mp4.part"]
    assert (tmp_path / "young" / "a.mp4.part").exists()
