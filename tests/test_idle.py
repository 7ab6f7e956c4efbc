"""A tick that finds every file as the last one has left it ends before anything is imported; any change brings a proper look."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from support import JOB, environment, open_ledger, task_key, write_job

from batcher import idle
from batcher.cli.main import main
from batcher.errors import Exit
from batcher.idle import idle_exit
from batcher.ledger.unrecorded import Unrecorded
from batcher.simulator import Running

Make = Callable[..., Running]


@dataclass(frozen=True, kw_only=True)
class Tick:
    """A job whose rows are done, and how cron calls it."""

    folder: Path
    job: Path
    arguments: list[str]

    @property
    def known(self) -> int | None:
        """The exit code of the next tick, where it is known beforehand."""
        return idle_exit(self.arguments, os.environ)


Begin = Callable[..., Tick]


@pytest.fixture
def begin(tmp_path: Path, make_simulator: Make, monkeypatch: pytest.MonkeyPatch) -> Begin:
    """Runs a job to its end, and then once more, as if its files had long stood still."""

    def run_twice(people: Sequence[str] = ("Ann", "Bob"), **job: object) -> Tick:
        simulator = make_simulator(render_s=0.05, spread=0.0)
        path = write_job(tmp_path, people, **job)
        for name, value in environment(tmp_path, simulator.url).items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(idle, "STILL_S", -3600.0)
        tick = Tick(folder=tmp_path, job=path, arguments=["run", str(path), "--quiet", "--yes"])
        main(tick.arguments)
        assert tick.known is None, "the run itself had something to do"
        main(tick.arguments)
        return tick

    return run_twice


def test_nothing_is_imported_for_a_tick_without_work(begin: Begin) -> None:
    """It costs little more than starting Python."""
    tick = begin()
    program = (
        "import sys; before = set(sys.modules)\n"  # how a package is installed decides what Python starts with
        "from batcher.cli.main import main\n"
        f"print(main({tick.arguments!r}), sorted({{'click', 'yaml', 'sqlite3', 'pathlib'}} & set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "0 []\n"


def _touch(name: str) -> Callable[[Tick], object]:
    return lambda tick: (tick.folder / name).touch()


def _retry(tick: Tick) -> None:
    with contextlib.closing(open_ledger(tick.folder)) as ledger:
        ledger.again([task_key("r2")], cause="a person", at=time.time())


CHANGES: dict[str, Callable[[Tick], object]] = {
    "the sheet was saved": _touch("people.csv"),
    "the job was saved": _touch("job.yaml"),
    "the results were saved": _touch("out.csv"),
    "the results are gone": lambda tick: (tick.folder / "out.csv").unlink(),
    "an .env file has appeared": _touch(".env"),
    "a project file has appeared": _touch("batcher.yaml"),
    "a row is to be made again": _retry,
    "another run is at work": _touch("state/loopback.db-wal"),
    "an answer could not be recorded": lambda tick: Unrecorded(tick.folder / "state" / "loopback.db", JOB).keep(["x"]),
    "another key": lambda tick: os.environ.update(HEYGEN_API_KEY="test-key-2"),
    "another folder": lambda tick: os.chdir(tick.folder / "state"),
    "other options": lambda tick: tick.arguments.append("--no-download"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_could_matter_brings_a_proper_look(begin: Begin, monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    """A change that is missed would leave rows unmade for a day."""
    tick = begin()
    assert tick.known == 0
    monkeypatch.setenv("HEYGEN_API_KEY", os.environ["HEYGEN_API_KEY"])  # put back afterwards
    CHANGES[change](tick)
    assert tick.known is None


def test_a_new_version_looks_properly(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may know of something to do that the old one did not."""
    tick = begin()
    monkeypatch.setattr(idle, "VERSION", "99.0")
    assert tick.known is None


def test_a_link_about_to_expire_is_not_slept_through(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ledger knows when the first link is to be renewed; and once a day a tick looks properly in any case."""
    tick = begin()
    with contextlib.closing(open_ledger(tick.folder)) as ledger:
        ledger.written(JOB, ledger.mark(), renew_at=time.time() + 600)
    main(tick.arguments)
    assert tick.known == 0
    now, known = time.time(), {}
    for later in (-100, 500, 700):
        with monkeypatch.context() as patch:
            patch.setattr(time, "time", lambda later=later: now + later)
            known[later] = tick.known
    assert known == {-100: None, 500: 0, 700: None}


def test_a_row_that_waits_for_its_day_keeps_ticks_awake(begin: Begin) -> None:
    """Its day comes without any file being changed."""
    tick = begin(["2020-01-01", "2999-01-01"], sheet={"not_before": "name"})
    assert tick.known is None


def test_a_file_that_has_just_changed_is_not_relied_on(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have been read before it was changed, within what its file system can tell of time."""
    tick = begin()
    (tick.folder / "people.csv").touch()
    monkeypatch.setattr(idle, "STILL_S", 2.0)
    main(tick.arguments)
    assert tick.known is None


def test_rows_that_failed_are_told_by_every_tick(begin: Begin) -> None:
    """The exit code of a quick tick is that of a proper one."""
    tick = begin(["Ann", ""])
    assert tick.known == Exit.SOME_FAILED == main(tick.arguments)


def test_what_was_kept_holds_no_key_and_broken_it_is_not_believed(begin: Begin) -> None:
    """The environment is known by its digest alone."""
    tick = begin()
    (kept,) = (tick.folder / "state" / "idle").iterdir()
    assert "test-key" not in kept.read_text(encoding="utf-8")
    assert kept.stat().st_mode & 0o077 == 0
    for broken in ("", "[]", "{}", '{"who": 1, "at": "x"}'):
        kept.write_text(broken, encoding="utf-8")
        assert tick.known is None
