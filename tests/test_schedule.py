"""Lines for cron and units for systemd: right to the letter, and nothing else in a crontab is touched."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from batcher.catalog.load import FOLDER
from batcher.cli.scheduling import schedule
from batcher.errors import InputError
from batcher.ops.schedule import (
    PASSED,
    Tick,
    check_period,
    cron_line,
    passed_on,
    systemd_units,
    with_block,
    without_block,
)

TICK = Tick(
    program=Path("/opt/batcher/bin/batcher"), job_file=Path("/home/anna/jobs/welcome.yaml"), label="welcome", every_s=900,
    log=Path("/home/anna/.local/state/batcher/logs/cron-welcome.log"), environ={}, agreed=False,
)  # fmt: skip
ANY = st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"], exclude_characters="\\")
OTHERS = "MAILTO=anna@example.com\r\n# mine\n\n5 4 * * 0 echo 'week\x0bly' \\% %in\n"


def command_of(line: str) -> str:
    """What cron hands to the shell."""
    return line.split(" ", 5)[5].replace("\\%", "%")


def test_the_line_says_everything_itself() -> None:
    """Absolute paths, an end before the next tick, a log, and no failure where there is only more to do."""
    assert cron_line(TICK) == (
        "*/15 * * * * /opt/batcher/bin/batcher run /home/anna/jobs/welcome.yaml --for 13m --quiet"
        " >> /home/anna/.local/state/batcher/logs/cron-welcome.log 2>&1 || [ $? -eq 75 ]"
    )


@pytest.mark.parametrize(
    ("every_s", "when", "for_words"),
    [
        (60, "* * * * *", "30s"),
        (120, "*/2 * * * *", "60s"),
        (300, "*/5 * * * *", "4m"),
        (900, "*/15 * * * *", "13m"),
        (3600, "0 * * * *", "54m"),
        (4 * 3600, "0 */4 * * *", "216m"),
        (86400, "0 6 * * *", "1296m"),
    ],
)
def test_a_run_ends_before_the_next_tick(every_s: int, when: str, for_words: str) -> None:
    """The next tick finds the door open."""
    line = cron_line(replace(TICK, every_s=every_s))

    assert line.startswith(f"{when} /")
    assert f" --for {for_words} " in line


@pytest.mark.parametrize(("every_s", "nearest"), [(30, "1m"), (420, "6m"), (5400, "1h"), (7 * 86400, "1d")])
def test_a_period_that_cron_cannot_say_names_the_nearest(every_s: int, nearest: str) -> None:
    """*/7 would leave four minutes at the end of the hour: no surprise of that kind."""
    with pytest.raises(InputError, match=f"nearest it can say is {nearest}$"):
        check_period(every_s)


def test_consent_is_passed_on_only_when_given() -> None:
    """Nobody agrees to money by scheduling."""
    assert "--yes" not in cron_line(TICK)
    assert cron_line(replace(TICK, agreed=True)).count(" --yes ") == 1


@given(name=st.text(st.sampled_from("%'\"$`!&;|<>()*?#~ äß日a") | ANY, min_size=1, max_size=40))
def test_every_path_reaches_the_program_as_it_is(name: str) -> None:
    """Blanks, quotes, umlauts, dollars and per cent signs survive cron and the shell."""
    tick = replace(TICK, job_file=Path(f"/jobs/{name}"), environ={"BATCHER_STATE": f"/state/{name}"})

    line = cron_line(tick)

    assert "%" not in line.replace("\\%", "")
    words = shlex.split(command_of(line))
    assert words[:5] == ["env", f"BATCHER_STATE=/state/{name}", str(TICK.program), "run", str(tick.job_file)]


@pytest.mark.parametrize(
    ("path", "complaint"),
    [
        ("/jobs/a\nb.yaml", "line break"),
        ("/jobs/a\rb.yaml", "line break"),
        ("/jobs/a\\%.yaml", "backslash"),
        ("/" + "ä" * 600, "too long"),
    ],
)
def test_what_cron_cannot_carry_is_refused(path: str, complaint: str) -> None:
    """Better no line than one that does something else."""
    with pytest.raises(InputError, match=complaint):
        cron_line(replace(TICK, job_file=Path(path)))


def test_no_secret_is_passed_on() -> None:
    """The key is no variable that is passed on, and a proxy's password stays where it is."""
    environ = {"HEYGEN_API_KEY": "k", "HTTPS_PROXY": "http://me:secret@proxy", "NO_PROXY": "localhost", "HOME": "/root"}

    assert passed_on(environ, ["HEYGEN_BASE_URL"]) == ({"NO_PROXY": "localhost"}, ["HTTPS_PROXY"])


def test_units_quote_in_systemds_way() -> None:
    """Per cent and dollar are doubled, quotes escaped, and 75 is no failure."""
    tick = replace(TICK, job_file=Path('/jobs/100% "$x" ä.yaml'), environ={"BATCHER_STATE": "/s t/$y"})

    (service_name, service), (timer_name, timer) = systemd_units(tick)

    assert (service_name, timer_name) == ("batcher-welcome.service", "batcher-welcome.timer")
    assert (
        'ExecStart="/opt/batcher/bin/batcher" "run" "/jobs/100%% \\"$$x\\" ä.yaml" "--for" "13m" "--quiet"\n' in service
    )
    assert 'Environment="BATCHER_STATE=/s t/$y"\n' in service
    assert "SuccessExitStatus=3 75\n" in service
    assert "OnCalendar=*:0/15\n" in timer


@given(before=st.text(st.sampled_from(["#", " ", "\n", "\r", "a", "\x0b", "\u2028", "%", "\udcff"])))
def test_a_block_comes_and_goes_without_a_trace(before: str) -> None:
    """The rest of a crontab stays byte for byte; only a missing line end at its end is added."""
    there = with_block(before, TICK.job_file, "* * * * * true")

    assert with_block(there, TICK.job_file, "* * * * * true") == there
    assert without_block(there, TICK.job_file) == before + ("" if not before or before.endswith("\n") else "\n")


@pytest.mark.parametrize("lost", [1, 2])
def test_a_block_without_its_end_is_not_guessed_at(lost: int) -> None:
    """Where the marks do not pair nobody knows what is ours."""
    lines = with_block("", TICK.job_file, "* * * * * true").splitlines(keepends=True)
    broken = "".join(lines[:2] if lost == 1 else lines[1:]) + with_block("", Path("/other.yaml"), "@daily false")

    with pytest.raises(InputError, match="do not pair"):
        without_block(broken, TICK.job_file)


@pytest.fixture
def crontab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program `crontab` that keeps its table in this file, as the real one does in its spool."""
    table, folder = tmp_path / "table", tmp_path / "bin"
    folder.mkdir()
    program = folder / "crontab"
    quoted = shlex.quote(str(table))
    program.write_text(
        f'#!/bin/sh\nif [ "$1" = - ]; then cat > {quoted}.new && mv {quoted}.new {quoted}\n'
        f"elif [ -f {quoted} ]; then cat {quoted}\nelse echo 'no crontab for anna' >&2; exit 1; fi\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return table


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lines of these tests do not depend on the network of the machine."""
    for name in PASSED:
        if name != "BATCHER_STATE":
            monkeypatch.delenv(name, raising=False)


@pytest.fixture
def job(state: Path, write_job: Callable[..., Path], make_sheet: Callable[..., Path]) -> Path:
    """A job that works."""
    make_sheet()
    return write_job()


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(schedule, [str(each) for each in arguments], standalone_mode=False)


def test_a_shared_ledger_is_passed_on(job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tick that looked elsewhere would pay for everything again."""
    pytest.importorskip("psycopg")
    monkeypatch.setenv("BATCHER_STATE", "postgresql://batcher@db.example.com/batcher")

    assert "BATCHER_STATE=postgresql://batcher@db.example.com/batcher" in call(job).output


def test_a_password_never_stands_in_a_crontab(job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is the tick sent to another ledger for it: the person is told where the password belongs."""
    pytest.importorskip("psycopg")
    monkeypatch.setenv("BATCHER_STATE", "postgresql://batcher:s3cret@db.example.com/batcher")
    refused = call(job)

    assert "put it into ~/.pgpass" in str(refused.exception)
    assert "s3cret" not in f"{refused.output}{refused.exception}"


def test_shows_the_line_and_where_the_key_belongs(job: Path, state: Path) -> None:
    """The line alone is on stdout; what else to do is said beside it, and no key is in either."""
    result = call(job, "--every", "15m")

    program = Path(sys.executable).with_name("batcher")
    assert result.stdout == (
        f"*/15 * * * * env BATCHER_STATE={state} {program} run {job} --for 13m --quiet"
        f" >> {state}/logs/cron-greetings.log 2>&1 || [ $? -eq 75 ]\n"
    )
    assert f"HEYGEN_API_KEY=… into {job.parent}/.env (chmod 600), never into the crontab" in result.stderr
    assert "without --yes" in result.stderr
    assert (state / "logs").is_dir()


def test_with_a_key_beside_the_job_there_is_nothing_more_to_say(job: Path) -> None:
    """No warning that does not apply."""
    (job.parent / ".env").write_text("HEYGEN_API_KEY=secret-key\n")

    result = call(job, "--yes")

    assert "HEYGEN_API_KEY" not in result.output
    assert "--yes" in result.stdout


def test_installs_replaces_and_removes_its_own_line_only(job: Path, crontab: Path) -> None:
    """What was there is told, and every other byte stays."""
    crontab.write_bytes(OTHERS.encode())

    assert "installed */15" in call(job, "--install").stdout
    again = call(job, "--install", "--every", "1h")
    assert "replaced  */15" in again.stdout
    assert "installed 0 * * * *" in again.stdout
    assert "4 other lines" in again.stdout
    assert crontab.read_bytes().startswith(OTHERS.encode())
    assert crontab.read_text().count("batcher run") == 1
    assert "unchanged 0 *" in call(job, "--install", "--every", "1h").stdout

    assert "removed   0 * * * *" in call(job, "--remove").stdout
    assert crontab.read_bytes() == OTHERS.encode()
    assert "not there" in call(job, "--remove").stdout


def test_removing_works_when_the_job_is_gone(job: Path, crontab: Path) -> None:
    """A deleted job file must not keep its line alive."""
    call(job, "--install")
    job.unlink()

    assert "removed" in call(job, "--remove").stdout
    assert crontab.read_text() == ""


def test_a_wrong_job_is_not_scheduled(job: Path, crontab: Path) -> None:
    """What cannot run now would fail every quarter of an hour."""
    job.write_text("job: x\n")

    result = call(job, "--install")

    assert isinstance(result.exception, InputError)
    assert not crontab.exists()


def test_a_host_that_is_not_allowed_yet_is_told_and_not_installed(
    job: Path, crontab: Path, write_job: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line can be looked at anywhere; what is installed would fail every quarter of an hour without the permission."""
    text = (FOLDER / "useapi.yaml").read_text("utf-8").replace("useapi", "mine").replace("USEAPI", "MINE")
    job.with_name("mine.yaml").write_text(text, "utf-8")
    own = write_job(catalog="./mine.yaml", operation="mine.tts", request={"text": "Hi", "voice_id": "v"})

    shown = call(own)
    assert "* * * *" in shown.stdout
    assert "set BATCHER_ALLOW_HOST=" in shown.stderr
    assert "BATCHER_ALLOW_HOST" in str(call(own, "--install").exception)
    assert not crontab.exists()

    monkeypatch.setenv("BATCHER_ALLOW_HOST", "api.mine.net")
    allowed = call(own)
    assert "BATCHER_ALLOW_HOST=api.mine.net" in allowed.stdout
    assert "BATCHER_ALLOW_HOST" not in allowed.stderr


def test_two_jobs_of_one_name_are_not_scheduled(job: Path, crontab: Path) -> None:
    """They would be one job to the ledger."""
    twin = job.with_name("twin.yaml")
    twin.write_text(job.read_text("utf-8"), "utf-8")

    result = call(job, twin, "--install")

    assert "jobs need names of their own" in str(result.exception)


def test_without_cron_it_says_so(job: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without cron gets the other way named."""
    monkeypatch.setenv("PATH", str(tmp_path))

    assert "use --systemd" in str(call(job, "--install").exception)


def test_a_crontab_that_refuses_is_left_alone(job: Path, crontab: Path, tmp_path: Path) -> None:
    """cron.allow and broken tables are the system's word; it is passed on."""
    (tmp_path / "bin" / "crontab").write_text("#!/bin/sh\necho 'you are not allowed to use this program' >&2; exit 1\n")

    assert "refused: you are not allowed" in str(call(job, "--install").exception)


def test_prints_units_for_systemd(job: Path) -> None:
    """Service, timer, and the command that starts them."""
    out = call(job, "--systemd").stdout

    assert "# ~/.config/systemd/user/batcher-greetings.service\n[Unit]" in out
    assert "enable --now" in out
