"""The results file as a witness: a ledger that has forgotten work sends nothing, and what was paid for is taken over."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support import batcher, environment, names, surroundings, write_job

from batcher.ending import Verbs
from batcher.errors import Exit, InputError
from batcher.job import load_job
from batcher.opening import opened
from batcher.run import Run
from batcher.senders import ThreadedSenders
from batcher.simulator import Behaviour, Running, start


class Site:
    """A job whose results are a CSV or a workbook, a simulator, and a backup of the ledger from before the last rows."""

    def __init__(self, folder: Path, simulator: Running, *, results: str = "out.csv") -> None:
        self.folder, self.simulator = folder, simulator
        self.job = write_job(folder, names(2), results={"file": results})
        self.results = folder / results
        self.ledger = folder / "state" / "loopback.db"
        self.backup = folder / "backup.db"

    def command(self, name: str, *options: object, job: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Carry out one command; it must not end with a bug."""
        env = environment(self.folder, self.simulator.url)
        done = batcher(name, job or self.job, *options, env=env, cwd=self.folder)
        assert done.returncode != Exit.BUG, done.stderr
        return done

    def grow(self, count: int) -> None:
        """More rows in the sheet."""
        lines = [f"r{number},{name}" for number, name in enumerate(names(count), start=1)]
        (self.folder / "people.csv").write_text("\n".join(["id,name", *lines]) + "\n")

    def put_back_backup(self) -> None:
        """Five rows are made; the ledger knows of two."""
        self.command("run")
        shutil.copy(self.ledger, self.backup)
        self.grow(5)
        self.command("run")
        shutil.copy(self.backup, self.ledger)
        self.grow(6)

    def made(self) -> int:
        """How much work there is at the API."""
        return int(self.simulator.report()["creations"])


@pytest.fixture
def simulator() -> Iterator[Running]:
    running = start(Behaviour(render_s=0.05, spread=0.0, in_flight=50))
    yield running
    running.stop()


@pytest.mark.parametrize("results", ["out.csv", "out.xlsx"])
def test_an_older_ledger_sends_nothing_until_the_work_is_taken_over(
    simulator: Running, tmp_path: Path, results: str
) -> None:
    """A day later no key would save the three rows that it has forgotten; the sixth is new, and is made afterwards."""
    site = Site(tmp_path, simulator, results=results)
    site.put_back_backup()
    simulator.advance(25 * 3600.0)
    before = site.results.read_bytes()

    for name in ("check", "run", "submit", "reconcile", "results"):
        done = site.command(name)
        assert done.returncode == Exit.EDIT, name
        assert f"{results}: 3 lines show ids of work that this ledger does not know (lines 4, 5, 6)" in done.stderr
        assert "batcher adopt job.yaml" in done.stderr
    assert "line 4 of " in site.command("verify").stdout
    assert (site.made(), site.results.read_bytes()) == (5, before)

    adopted = site.command("adopt")
    assert (adopted.returncode, adopted.stdout) == (Exit.DONE, "3 taken over\n")
    ran = site.command("run")
    assert (ran.returncode, site.made()) == (Exit.DONE, 6), ran.stderr
    assert "I2   holds" in site.command("verify").stdout


def test_a_worker_over_an_older_ledger_sends_nothing(simulator: Running, tmp_path: Path) -> None:
    """Workers do not plan: what they are to send was planned before somebody has put the ledger back."""
    site = Site(tmp_path, simulator)
    site.command("run")
    site.grow(5)
    with opened(load_job(site.job), surroundings(tmp_path, simulator.url)) as at_hand:
        assert at_hand.plan(at=0.0).to_send == 3
    shutil.copy(site.ledger, site.backup)
    site.command("run")
    shutil.copy(site.backup, site.ledger)

    around = surroundings(tmp_path, simulator.url)
    with opened(load_job(site.job), around) as at_hand:
        values = {"senders": ThreadedSenders(1), "verbs": Verbs.SUBMIT, "is_slice": True}
        work = Run(opened=at_hand, around=around, **values)
        with pytest.raises(InputError, match="3 lines show ids of work that this ledger does not know"):
            work.go()
    assert site.made() == 5


def test_work_that_the_ledger_has_otherwise_is_named_and_not_overwritten(simulator: Running, tmp_path: Path) -> None:
    """A row that was made again after the backup: it is done in both, and the newer id stands in the results alone."""
    site = Site(tmp_path, simulator)
    site.command("run")
    shutil.copy(site.ledger, site.backup)
    site.command("retry", "--rows", "3", "--yes")
    site.command("run", "--yes")
    assert site.made() == 3
    shutil.copy(site.backup, site.ledger)
    site.grow(3)
    before = site.results.read_bytes()

    adopted = site.command("adopt")
    assert adopted.returncode == Exit.EDIT
    assert "out.csv: lines 3 show work that is not in the ledger now" in adopted.stdout
    assert site.command("run").returncode == Exit.EDIT
    assert (site.made(), site.results.read_bytes()) == (3, before)


def _nothing(_: Site) -> None:
    """The ordinary next run."""


def _deleted(site: Site) -> None:
    site.results.unlink()


def _edited(site: Site) -> None:
    site.results.write_bytes(b"\xff\xfe\x00 not a table")


def _copied(site: Site) -> None:
    value = json.loads(site.job.read_text())
    site.job.unlink()
    site.job.write_text(json.dumps({**value, "job": "another"}))


def _moved(site: Site) -> None:
    old, new = site.folder / "old", site.folder / "state"
    new.rename(old)
    env = environment(site.folder, site.simulator.url)
    assert batcher("ledger", "move", old, new, env=env, cwd=site.folder).returncode == Exit.DONE


def _tried_elsewhere(site: Site) -> None:
    """Made on a simulator, say, and now for real: the other ledger knows the ids."""
    site.ledger.rename(site.ledger.with_name("ledger.db"))


@pytest.mark.parametrize("change", [_nothing, _deleted, _edited, _copied, _moved, _tried_elsewhere])
def test_ordinary_use_is_no_reason_to_stop(simulator: Running, tmp_path: Path, change: Callable[[Site], None]) -> None:
    """Results that are gone, a job under another name, a folder that was moved, a first try on a simulator."""
    site = Site(tmp_path, simulator)
    site.command("run")
    change(site)
    site.grow(3)
    ran = site.command("run")
    assert "does not know" not in ran.stderr, ran.stderr + ran.stdout
    assert site.made() in (3, 5), ran.stderr + ran.stdout


def test_a_rehearsal_is_no_witness(simulator: Running, tmp_path: Path) -> None:
    """What it has made exists nowhere, and its results are its own."""
    site = Site(tmp_path, simulator)
    site.command("run", "--rehearse")
    site.command("run")
    assert site.command("run", "--rehearse").returncode == Exit.DONE
    assert site.made() == 2
