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

import pytest
from click.testing import CliRunner

from batcher.cli.scheduling import schedule
from batcher.ledger.lock import job_lock
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


@pytest.mark.skipif(not IN_EARNEST, reason="waits for the next full minute: BATCHER_CHAOS=1")
def test_a_real_cron_runs_the_installed_line(job: Path, tmp_path: Path) -> None:
    """Debian's cron, on a spool of its own that nothing outside this test can see."""
    if not _can_have_a_cron_of_its_own():
        pytest.skip("needs Debian's cron, root, and mount namespaces (unshare)")
    spool, empty, results = tmp_path / "spool", tmp_path / "empty", job.parent / "results.csv"
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
        for _ in $(seq 150); do grep -q done {shlex.quote(str(results))} 2> /dev/null && break; sleep 0.5; done
        kill $cron
    """

    done = subprocess.run(
        ["unshare", "-m", "/bin/sh", "-c", script], capture_output=True, text=True, timeout=150, check=False
    )

    assert "# mine\n# >>> batcher" in done.stdout, done.stderr
    assert words(job) == ["done"]
