"""`batcher verify`: what was tampered with, lost or made twice is named, and what is well is said to be."""

from __future__ import annotations

import json
import sqlite3
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from support import batcher, environment, names, run_job, surroundings, write_job

from batcher.job import load_job
from batcher.opening import opened
from batcher.ops.verify import Verdict, verify
from batcher.simulator import Behaviour, Running, start


class Site:
    """A job of three rows that is done, and everything around it."""

    def __init__(self, folder: Path, simulator: Running) -> None:
        self.folder, self.simulator = folder, simulator
        self.job = write_job(folder, names(3), limits={"submissions": "100/second"})
        self.results = folder / "out.csv"
        self.run()

    def run(self) -> None:
        run_job(self.job, self.simulator.url)

    def write(self) -> None:
        """The results as the ledger has them now."""
        env = environment(self.folder, self.simulator.url)
        assert batcher("results", self.job, env=env, cwd=self.folder).returncode == 3

    def judged(self, *, offline: bool = False) -> dict[str, Verdict]:
        """Every verdict by its name."""
        around = surroundings(self.folder, self.simulator.url)
        with opened(load_job(self.job), around, offline=offline) as at_hand:
            return {each.name: each for each in verify(at_hand)}

    def broken(self) -> dict[str, list[str]]:
        """What does not hold, and what is said of it."""
        return {name: list(each.found) for name, each in self.judged().items() if each.holds is False}

    def attempt_body(self) -> str:
        """What was sent for the first row."""
        with closing(sqlite3.connect(self.folder / "state" / "loopback.db")) as db:
            return str(db.execute("SELECT body FROM attempts").fetchone()[0])

    def sql(self, statement: str) -> None:
        """Change the ledger behind everybody's back."""
        with closing(sqlite3.connect(self.folder / "state" / "loopback.db")) as db, db:
            db.execute(statement)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    simulator = start(Behaviour(render_s=0.05, spread=0.0, in_flight=50))
    yield Site(tmp_path, simulator)
    simulator.stop()


def test_every_promise_holds_after_a_run(site: Site) -> None:
    """Ten invariants and the API, and nothing that was looked at is changed."""
    before = site.results.read_bytes(), len(site.simulator.report()["posts_at"])
    judged = site.judged()

    assert list(judged) == [*(f"I{number}" for number in range(1, 11)), "API"]
    assert {name: (each.holds, list(each.found)) for name, each in judged.items()} == dict.fromkeys(judged, (True, []))
    assert (site.results.read_bytes(), len(site.simulator.report()["posts_at"])) == before


def test_offline_judges_all_but_the_api(site: Site) -> None:
    """What was not asked is not said to hold."""
    site.simulator.stop()
    assert [name for name, each in site.judged(offline=True).items() if each.holds is not True] == ["API"]


def edit(site: Site, old: str, new: str) -> None:
    text = site.results.read_text(encoding="utf-8-sig")
    assert old in text
    site.results.write_text(text.replace(old, new, 1), encoding="utf-8-sig", newline="")


def cut(site: Site) -> None:
    lines = site.results.read_bytes().splitlines(keepends=True)
    site.results.write_bytes(b"".join(lines[:3]))


def log_the_key(site: Site) -> None:
    (site.folder / "state" / "logs").mkdir()
    (site.folder / "state" / "logs" / "holds-the-key.txt").write_text("key: test-key")


def pack_the_key(site: Site) -> None:
    (site.folder / "state" / "logs").mkdir()
    with zipfile.ZipFile(site.folder / "state" / "logs" / "holds-the-key.txt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/sharedStrings.xml", b"<t>test-key</t>" * 100)


def narrow(site: Site) -> None:
    site.sql("UPDATE submissions SET first_sent_at = 4e9")
    write_job(site.folder, names(3), limits={"submissions": "2/second"})


def forget_a_reason(site: Site) -> None:
    """A row has failed, and nobody has written down why; the results show just that."""
    site.sql("UPDATE attempts SET state = 'failed', error = '', advice = '' WHERE task_id = 3")
    site.sql("UPDATE tasks SET state = 'failed' WHERE task_id = 3")
    site.write()


def improve(site: Site) -> None:
    """The ledger has learned something that the results do not show: a run with nothing to do would write it."""
    site.sql("UPDATE attempts SET flag = 'look at it' WHERE task_id = 2")


_SECOND = """
INSERT INTO attempts (task_id, number, submission_id, account, operation, state, path, body, key, token)
SELECT task_id, 2, submission_id, account, operation, 'done', path, body, 'b1-x', 'x' FROM attempts WHERE task_id = 1"""
_PUSHED = "UPDATE tasks SET state = 'waiting' WHERE task_id = 2"
_VANISHED = "DELETE FROM attempts WHERE task_id = 3"
_OTHER_ID = "UPDATE attempts SET remote_id = 'v_none' WHERE task_id = 1"
_ONE_ID = "UPDATE attempts SET remote_id = (SELECT remote_id FROM attempts WHERE task_id = 1)"

TAMPERED: dict[str, tuple[Callable[[Site], None] | str, str, str]] = {
    "second attempt": (_SECOND, "I1", "row 2: sent under 2 keys, and only 1 were asked for"),
    "made twice": (_OTHER_ID, "I1", "row 2: made as v_none and as "),
    "vanished": (_VANISHED, "I2", "row 4: done, but it was never sent"),
    "one id": (_ONE_ID, "I2", "row 3: its id"),
    "a cell of the sheet": (
        lambda site: edit(site, "Person 2", "No"),
        "I3",
        "line 3: its cells are not those of the sheet",
    ),
    "a row is gone": (cut, "I3", "line 4: is missing"),
    "pushed back": (_PUSHED, "I4", "row 3: waiting, but its history ends with done"),
    "other results": (improve, "I5", "a run now would write other results"),
    "results that are gone": (lambda site: site.results.unlink(), "I5", "a run now would write other results"),
    "sent too fast": (narrow, "I6", "3 requests within 0.00 s, and 2 in 1 s are allowed"),
    "the key in a log": (log_the_key, "I7", "holds-the-key.txt shows the key"),
    "no reason": (forget_a_reason, "I8", "line 4: failed, and its error is empty"),
    "no advice": (forget_a_reason, "I8", "line 4: failed, and its what_to_do is empty"),
    "the key in a workbook": (pack_the_key, "I7", "holds-the-key.txt shows the key"),
    "no results": (lambda site: site.results.write_bytes(b"\xff\xfe\x00"), "I9", "out.csv"),
    "a word": (lambda site: edit(site, "done", "no"), "I10", "line 2: batcher_status is 'no', the ledger has 'done'"),
    "another id": (_OTHER_ID, "API", "row 2: v_none does not exist there"),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_what_is_not_as_it_should_be_is_named_with_its_row(site: Site, name: str) -> None:
    """Each promise can be seen to be broken."""
    tamper, invariant, said = TAMPERED[name]
    site.sql(tamper) if isinstance(tamper, str) else tamper(site)

    assert said in "\n".join(site.broken()[invariant])


def test_what_is_damaged_ends_no_search_for_the_key(site: Site) -> None:
    """A workbook that cannot be unpacked is told as a file that is not whole, not as a fault of batcher."""
    pack_the_key(site)
    packed = site.folder / "state" / "logs" / "holds-the-key.txt"
    content = bytearray(packed.read_bytes())
    content[60:64] = bytes(4)
    packed.write_bytes(content)

    assert site.judged()["I7"].holds


def test_rows_that_went_together_are_one_request(tmp_path: Path) -> None:
    """Six rows in one batch keep a limit of two requests a second."""
    job = write_job(tmp_path, names(6), operation="heygen.translation", limits={"batch": 6, "submissions": "2/second"})
    request = {
        "video": "https://files.example.com/v.mp4",
        "output_languages": ["German"],
        "title": "{{ id }} {{ name }}",
    }
    job.write_text(json.dumps({**json.loads(job.read_text()), "request": request}))
    simulator = start(Behaviour(render_s=0.05, spread=0.0, in_flight=50))
    run_job(job, simulator.url)
    with opened(load_job(job), surroundings(tmp_path, simulator.url)) as at_hand:
        broken = [each for each in verify(at_hand) if each.holds is False]
    posts = len(simulator.report()["posts_at"])
    simulator.stop()

    assert (posts, broken) == (1, [])


def test_work_that_nobody_knows_is_named(site: Site) -> None:
    """Made by hand it is a remark; with a token of ours it is a payment that was forgotten."""
    _make(site, "By hand")
    judged = site.judged()["I2"]
    assert judged.holds
    assert "(By hand) was made meanwhile, and not by this ledger" in judged.found[0]

    _make(site, "For r9 [babcdefghijk]")
    (said,) = site.broken()["I2"][:1]
    assert "carries the token babcdefghijk of a batcher, and this ledger does not know it" in said


def _make(site: Site, title: str) -> None:
    """Ask for work as batcher does, but past it."""
    variables = json.loads(site.attempt_body())["variables"]
    request = urllib.request.Request(
        f"{site.simulator.url}/v3/templates/tpl_welcome",
        data=json.dumps({"title": title, "variables": variables}).encode(),
        headers={"X-Api-Key": "test-key", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10):
        pass


def test_the_command_says_it_line_by_line_and_by_its_exit_code(site: Site) -> None:
    """0 when all holds, 3 when something does not, 2 when the ledger is damaged."""
    env = environment(site.folder, site.simulator.url)
    well = batcher("verify", site.job, env=env, cwd=site.folder)
    edit(site, "done", "failed")
    edited = batcher("verify", site.job, "--offline", env=env, cwd=site.folder)
    path = site.folder / "state" / "loopback.db"
    path.write_bytes(path.read_bytes()[:9000])
    damaged = batcher("verify", site.job, env=env, cwd=site.folder)

    assert (well.returncode, edited.returncode, damaged.returncode) == (0, 3, 2), well.stdout + well.stderr
    assert "I1   holds          no row is paid twice" in well.stdout
    assert "I10  DOES NOT HOLD" in edited.stdout
    assert "API  not decided" in edited.stdout
    assert "the ledger is damaged" in damaged.stderr
