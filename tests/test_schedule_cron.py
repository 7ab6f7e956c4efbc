"""A tick as cron starts it: another shell, another folder, hardly any environment."""

from __future__ import annotations

import csv
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pytest
from click.testing import CliRunner

from batcher.cli.scheduling import schedule
from batcher.ledger.lock import job_lock
from batcher.sheet import write_xlsx
from batcher.simulator import Running

IN_EARNEST = bool(os.environ.get("BATCHER_CHAOS"))
FOLDER = "Über uns 100% & 'mehr' $HOME"


@pytest.fixture
def job(signed_in: Running, tmp_path: Path, write_job: Callable[..., Path], make_sheet: Callable[..., Path]) -> Path:
    """A job in a folder with an awkward name, its key beside it in `.env`."""
    (tmp_path / FOLDER).mkdir()
    make_sheet(name=f"{FOLDER}/people.csv")
    (tmp_path / FOLDER / ".env").write_text("HEYGEN_API_KEY=test-key\n")
    request = {"template_id": "tpl_welcome", "variables": {"first_name": "{{ name }}", "company": None, "logo": None}}
    return write_job(file=f"{FOLDER}/job.yaml", request=request)


@pytest.fixture
def inbox(job: Path, write_job: Callable[..., Path]) -> Path:
    """A job over an inbox of workbooks in that folder."""
    (job.parent / "inbox").mkdir()
    request = {"template_id": "tpl_welcome", "variables": {"first_name": "{{ name }}", "company": None, "logo": None}}
    sheet, results = {"file": "inbox/*.xlsx"}, {"file": "outbox/*.xlsx"}
    made: Path = write_job(file=f"{FOLDER}/inbox.yaml", sheet=sheet, results=results, request=request)
    return made


def drop(inbox: Path, name: str) -> None:
    """Put a workbook of one row into the inbox."""
    write_xlsx(inbox.parent / "inbox" / name, ["id", "name"], [["r1", "Ann"]], ours_from=2)


def made(inbox: Path) -> list[str]:
    """The words of the results that lie in the outbox."""
    (results,) = (inbox.parent / "outbox").iterdir()
    header, *rows = openpyxl.load_workbook(results).active.iter_rows(values_only=True)
    return [row[header.index("batcher_status")] for row in rows]


def tick(job: Path, home: Path) -> subprocess.CompletedProcess[str]:
    """Run the shown line as cron would: `%` unescaped, /bin/sh, four variables, the home folder."""
    line = CliRunner().invoke(schedule, [str(job), "--yes"], standalone_mode=False).stdout.rstrip("\n")
    assert "%" not in line.replace("\\%", "")  # cron would end the command there
    command = line.split(" ", 5)[5].replace("\\%", "%")
    environ = ["env", "-i", f"HOME={home}", "LOGNAME=anna", "SHELL=/bin/sh", "PATH=/usr/bin:/bin"]
    return subprocess.run(
        [*environ, "/bin/sh", "-c", command], cwd=home, capture_output=True, text=True, timeout=60, check=False
    )


def words(job: Path) -> list[str]:
    with (job.parent / "results.csv").open(encoding="utf-8-sig", newline="") as file:
        return [row["batcher_status"] for row in csv.DictReader(file)]


def test_the_shown_line_does_the_job_in_crons_environment(job: Path, state: Path, tmp_path: Path) -> None:
    """Nothing that the terminal had is missing: the paths, the state, the address, and the key from `.env`."""
    done = tick(job, tmp_path)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert words(job) == ["done"]
    assert (state / "logs" / "cron-greetings.log").read_text("utf-8") == "1 rows = 1 done ✓\n"


def test_a_tick_with_nothing_to_do_sends_nothing(job: Path, signed_in: Running, tmp_path: Path) -> None:
    """The second tick finds everything done."""
    tick(job, tmp_path)

    assert tick(job, tmp_path).returncode == 0
    assert len(signed_in.charges()) == 1


def test_a_tick_over_an_empty_inbox_says_nothing(
    job: Path, state: Path, tmp_path: Path, write_job: Callable[..., Path]
) -> None:
    """The log stays empty until somebody drops a file."""
    (job.parent / "inbox").mkdir()
    inbox = write_job(file=f"{FOLDER}/inbox.yaml", sheet={"file": "inbox/*.csv"}, results={"file": "outbox/*.csv"})

    done = tick(inbox, tmp_path)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (state / "logs" / "cron-greetings.log").read_text("utf-8") == ""
    assert not (state / "loopback.db").exists()


def test_a_tick_takes_what_lies_in_the_inbox(inbox: Path, signed_in: Running, state: Path, tmp_path: Path) -> None:
    """A dropped workbook is made by one tick; the next has nothing to do and adds no word to the log."""
    drop(inbox, "march.xlsx")
    first, log = tick(inbox, tmp_path), state / "logs" / "cron-greetings.log"
    said = log.read_text("utf-8")
    second = tick(inbox, tmp_path)

    assert (first.returncode, first.stdout, first.stderr, second.returncode) == (0, "", "", 0)
    assert made(inbox) == ["done"]
    assert (inbox.parent / "done" / "march.xlsx").exists()
    assert "1 rows = 1 done ✓" in said
    assert log.read_text("utf-8") == said
    assert len(signed_in.charges()) == 1


def test_a_tick_that_overlaps_another_run_is_no_failure(job: Path, state: Path, tmp_path: Path) -> None:
    """It leaves at once, and cron hears nothing of it."""
    with job_lock(state / "locks", "greetings"):
        done = tick(job, tmp_path)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not (job.parent / "results.csv").exists()


def _can_have_a_cron_of_its_own() -> bool:
    return (
        shutil.which("cron") is not None
        and os.geteuid() == 0
        and subprocess.run(["unshare", "-m", "true"], check=False).returncode == 0
    )


def under_a_real_cron(job: Path, folder: Path, *, until: str) -> str:
    """
    Install the job's line into a spool that nothing outside can see, and let Debian's cron work until a command succeeds.

    Returns:
        The crontab as it was installed.
    """
    if not _can_have_a_cron_of_its_own():
        pytest.skip("needs Debian's cron, root, and mount namespaces (unshare)")
    spool, empty = folder / "spool", folder / "empty"
    spool.mkdir(mode=0o730)
    shutil.chown(spool, group="crontab")
    empty.mkdir()
    install = "from batcher.cli.scheduling import schedule; schedule()"
    script = f"""
        mount --bind {spool} /var/spool/cron/crontabs && mount --bind {empty} /etc/cron.d && mount --bind /dev/null /etc/crontab || exit 90
        mount -t tmpfs tmpfs /run || exit 91
        echo '# mine' | crontab -
        {sys.executable} -c '{install}' {shlex.quote(str(job))} --every 1m --yes --install || exit 92
        crontab -l
        cron -f & cron=$!
        for _ in $(seq 150); do {until} && break; sleep 0.5; done
        kill $cron
    """
    done = subprocess.run(
        ["unshare", "-m", "/bin/sh", "-c", script], capture_output=True, text=True, timeout=150, check=False
    )
    assert done.returncode in (0, 143), done.stderr
    return done.stdout


@pytest.mark.skipif(not IN_EARNEST, reason="waits for the next full minute: BATCHER_CHAOS=1")
def test_a_real_cron_runs_the_installed_line(job: Path, tmp_path: Path) -> None:
    """Debian's cron, on a spool of its own that nothing outside this test can see."""
    results = shlex.quote(str(job.parent / "results.csv"))
    crontab = under_a_real_cron(job, tmp_path, until=f"grep -q done {results} 2> /dev/null")

    assert "# mine\n# >>> batcher" in crontab
    assert words(job) == ["done"]


@pytest.mark.skipif(not IN_EARNEST, reason="waits for the next full minute: BATCHER_CHAOS=1")
def test_a_real_cron_takes_what_lies_in_the_inbox(inbox: Path, signed_in: Running, tmp_path: Path) -> None:
    """A workbook that somebody has dropped is made, its results lie in the outbox, and it has moved to `done`."""
    drop(inbox, "march.xlsx")
    under_a_real_cron(inbox, tmp_path, until=f"test -e {shlex.quote(str(inbox.parent / 'done' / 'march.xlsx'))}")

    assert made(inbox) == ["done"]
    assert not (inbox.parent / "inbox" / "march.xlsx").exists()
    assert len(signed_in.charges()) == 1
