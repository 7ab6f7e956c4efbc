"""The installed command, as a person and a cron job use it: words, files, exit codes, signals."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import signal
import stat
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support import BATCHER, batcher, begin_batcher, environment, kill, names, open_ledger, write_job

from batcher.cli.commands import _COMMANDS
from batcher.consent import needs_consent
from batcher.errors import Exit
from batcher.job import load_job
from batcher.model import State
from batcher.simulator import Behaviour, Running, start

Make = Callable[..., Running]
Done = subprocess.CompletedProcess[str]


@pytest.fixture
def simulate() -> Iterator[Make]:
    """Starts simulators with quick renders of one length."""
    running: list[Running] = []

    def make(**changes: Any) -> Running:
        running.append(start(Behaviour(**{"render_s": 0.05, "spread": 0.0, "in_flight": 50, **changes})))
        return running[-1]

    yield make
    for each in running:
        each.stop()


class Place:
    """A folder with a job, and the environment in which commands find the simulator."""

    def __init__(self, folder: Path, url: str, count: int | list[str], **job: Any) -> None:
        self.folder = folder
        self.job = write_job(folder, names(count) if isinstance(count, int) else count, **job)
        self.env = environment(folder, url)
        self.begun: list[subprocess.Popen[str]] = []

    def __call__(self, *arguments: object, env: Mapping[str, str] | None = None, **changes: Any) -> Done:
        """Run a command on the job: `place("run", "--quiet")`."""
        command, *rest = arguments
        return batcher(command, self.job, *rest, env=env or self.env, cwd=self.folder, **changes)

    def begin(self, *arguments: object) -> subprocess.Popen[str]:
        """Start a command on the job."""
        command, *rest = arguments
        self.begun.append(begin_batcher(command, self.job, *rest, env=self.env, cwd=self.folder))
        return self.begun[-1]

    def results(self) -> list[dict[str, str]]:
        with (self.folder / "out.csv").open(encoding="utf-8-sig", newline="") as file:
            return list(csv.DictReader(file))

    def words(self) -> Counter[str]:
        return Counter(row["batcher_status"] for row in self.results())


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Callable[..., Place]]:
    """Makes a job of so many rows, or of these names; what it has begun ends with the test."""
    made: list[Place] = []

    def make(simulator: Running | None, count: int | list[str] = 3, **job: Any) -> Place:
        made.append(Place(tmp_path, simulator.url if simulator else "", count, **job))
        return made[-1]

    yield make
    for process in [process for each in made for process in each.begun]:
        if process.poll() is None:
            kill(process)
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


MASKS = (
    (re.compile(r"127\.0\.0\.1:\d+"), "HOST"),
    (re.compile(r"\b[0-9a-f]{32}\b"), "ID"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"), "TIME"),
    (re.compile(r"Expires=\d+&Signature=\w+"), "SIGNED"),
    (re.compile(r"req_[0-9a-f]{8}"), "REQUEST"),
)


def masked(text: str) -> str:
    """What differs from run to run, replaced by its name."""
    for pattern, name in MASKS:
        text = pattern.sub(name, text)
    return text


EXPECTED = """\
\ufeffid,name,batcher_status,video_id,video_url,page_url,thumbnail_url,duration_s,error_code,error,what_to_do,attempts,cost,submitted_at,completed_at,url_expires_at
r1,Zoë Ångström,done,ID,http://HOST/files/ID.mp4?SIGNED,http://HOST/videos/ID,http://HOST/files/ID.png?SIGNED,8.47,,,,1,0.6003,TIME,TIME,TIME
r2,007,done,ID,http://HOST/files/ID.mp4?SIGNED,http://HOST/videos/ID,http://HOST/files/ID.png?SIGNED,7.87,,,,1,0.5336,TIME,TIME,TIME
r3,[fail],failed,ID,,,,,rendering_failed,"Rendering failed, please try again","HeyGen failed to render it; ask for it again (a failed render is not charged, says HeyGen)",1,,TIME,TIME,
r4,[policy],failed,,,,,,content_policy_violation,The content violates our content policy (request REQUEST),the text or picture was refused by HeyGen's content rules; reword it,1,,TIME,TIME,
r5,,invalid,,,,,,,B6: name is empty,"correct the cell, then run again",0,,,,
r6,=1+1,done,ID,http://HOST/files/ID.mp4?SIGNED,http://HOST/videos/ID,http://HOST/files/ID.png?SIGNED,7.93,,,,1,0.5336,TIME,TIME,TIME
"""  # noqa: E501


def test_a_whole_run_from_sheet_to_results(simulate: Make, place: Callable[..., Place]) -> None:
    """One job, every kind of row, the whole file compared."""
    simulator = simulate()
    here = place(simulator, ["Zoë Ångström", "007", "[fail]", "[policy]", "", "=1+1"])
    done = here("run")

    assert done.returncode == Exit.SOME_FAILED, done.stderr
    raw = (here.folder / "out.csv").read_bytes().decode("utf-8")
    assert masked(raw).replace("\r\n", "\n").splitlines() == EXPECTED.splitlines()
    assert "6 rows = 3 done + 2 failed + 1 invalid ✓" in done.stdout
    assert simulator.report()["creations"] == 4


# --- exit codes


def test_everything_done_is_0_and_stays_0(simulate: Make, place: Callable[..., Place]) -> None:
    """The second run has nothing to do, and leaves the results as they are."""
    simulator = simulate()
    here = place(simulator)
    assert here("run").returncode == Exit.DONE
    before = (here.folder / "out.csv").read_bytes()
    again = here("run")

    assert again.returncode == Exit.DONE
    assert "3 rows = 3 done ✓" in again.stdout
    assert (here.folder / "out.csv").read_bytes() == before
    assert len(simulator.report()["posts_at"]) == 3
    assert [here(command).returncode for command in ("check", "status", "results")] == [0, 0, 0]


@pytest.mark.parametrize("command", ["run", "check", "submit", "reconcile", "status", "results", "settle"])
def test_a_wrong_job_is_2_and_sends_nothing(simulate: Make, place: Callable[..., Place], command: str) -> None:
    """The unknown key is named with its line, column and nearest neighbour."""
    simulator = simulate()
    here = place(simulator, titel="x")
    done = here(command)

    assert done.returncode == Exit.EDIT
    assert "job.yaml" in done.stderr
    assert "titel" in done.stderr
    assert "Traceback" not in done.stderr
    assert simulator.report()["requests"] == {}


@pytest.mark.parametrize("command", ["run", "check", "status"])
def test_a_missing_job_file_is_2(tmp_path: Path, command: str) -> None:
    """Named, without a traceback."""
    done = batcher(command, "nowhere.yaml", env=environment(tmp_path), cwd=tmp_path)

    assert done.returncode == Exit.EDIT
    assert "nowhere.yaml" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_misspelt_command_is_2_and_names_the_nearest(tmp_path: Path) -> None:
    """`rnu` is `run`."""
    done = batcher("rnu", env=environment(tmp_path), cwd=tmp_path)
    assert done.returncode == Exit.EDIT
    assert "Did you mean 'run'?" in done.stderr


def test_no_key_is_2_and_says_where_to_put_it(place: Callable[..., Place]) -> None:
    """Before anything is asked of anybody."""
    done = place(None)("run")

    assert done.returncode == Exit.EDIT
    assert "HEYGEN_API_KEY: no key for HeyGen" in done.stderr
    assert "in the environment or in a .env file" in done.stderr
    assert done.stdout == ""


def test_a_foreign_host_is_2_and_the_key_stays(place: Callable[..., Place]) -> None:
    """A job file cannot carry the key away (F8)."""
    here = place(None, account={"base_url": "https://evil.example"})
    done = here("run", env={**here.env, "HEYGEN_API_KEY": "canary-key"})

    assert done.returncode == Exit.EDIT
    assert "BATCHER_ALLOW_HOST" in done.stderr
    assert "canary-key" not in done.stdout + done.stderr


def test_a_foreign_ledger_is_2_and_sends_nothing(simulate: Make, place: Callable[..., Place]) -> None:
    """What cannot be trusted is not written to (L7)."""
    simulator = simulate()
    here = place(simulator)
    (here.folder / "state").mkdir()
    (here.folder / "state" / "loopback.db").write_bytes(b"no ledger at all, and much too long for a header " * 100)
    done = here("run")

    assert done.returncode == Exit.EDIT
    assert "the ledger is damaged" in done.stderr
    assert simulator.report()["posts_at"] == []


def test_results_that_cannot_be_written_are_2_before_anything_is_paid(
    simulate: Make, place: Callable[..., Place]
) -> None:
    """A folder in their place, and a suffix that nobody writes."""
    simulator = simulate()
    here = place(simulator)
    (here.folder / "out.csv").mkdir()
    assert here("run").returncode == Exit.EDIT
    write_job(here.folder, names(3), results={"file": "out.pdf"})
    assert here("run").returncode == Exit.EDIT
    assert simulator.report()["posts_at"] == []


def test_results_lost_in_the_middle_are_told_and_made_up_for(simulate: Make, place: Callable[..., Place]) -> None:
    """The ledger keeps the truth; `batcher results` writes it when the place is there again (S4)."""
    simulator = simulate(answer_s=0.3)
    here = place(simulator, results={"file": "sub/out.csv"})
    running = here.begin("run")
    _wait_for_posts(simulator, 1)
    (here.folder / "sub").rename(here.folder / "away")
    (here.folder / "sub").touch()
    out, err = running.communicate(timeout=60)
    assert running.returncode == Exit.EDIT, out + err
    assert "batcher results job.yaml" in out
    assert "Traceback" not in err

    (here.folder / "sub").unlink()
    assert here("results").returncode == Exit.DONE
    assert (here.folder / "sub" / "out.csv").exists()
    assert simulator.report()["creations"] == 3


def test_no_credit_is_4(simulate: Make, place: Callable[..., Place]) -> None:
    """With what to do; a later run goes on."""
    simulator = simulate(balance=1.0)
    here = place(simulator, 6)
    done = here("run", "--yes")

    assert done.returncode == Exit.STOPPED
    assert "STOPPED" in done.stdout
    assert "top it up" in done.stdout
    simulator.behave(balance=100)
    assert here("run").returncode == Exit.DONE
    assert simulator.report()["creations"] == 6


def test_a_refused_key_is_4(simulate: Make, place: Callable[..., Place]) -> None:
    """And is not shown."""
    here = place(simulate(key="another"))
    done = here("run", env={**here.env, "HEYGEN_API_KEY": "canary-key"})

    assert done.returncode == Exit.STOPPED
    assert "refuses the account" in done.stderr
    assert "canary-key" not in done.stdout + done.stderr


def test_not_finished_is_75(simulate: Make, place: Callable[..., Place]) -> None:
    """Cron calls again; what was sent is in the results already."""
    here = place(simulate(render_s=3600.0), 4, limits={"in_flight": 2})
    done = here("submit")

    assert done.returncode == Exit.NOT_FINISHED
    assert "run the same command again: nothing is sent twice" in done.stdout
    assert here.words() == {"in progress": 2, "waiting": 2}
    assert here("reconcile").returncode == Exit.NOT_FINISHED
    assert here("run", "--for", "1s").returncode == Exit.NOT_FINISHED
    assert here("status").returncode == Exit.NOT_FINISHED


@pytest.mark.parametrize(
    ("cost", "real", "currency", "waiting", "asks"),
    [(25.0, True, "USD", 3, False), (25.01, True, "USD", 3, True), (25.01, False, "USD", 3, False),
     (25.01, True, "USD", 0, False), (0.01, True, "CREDITS", 3, True), (None, True, "USD", 3, True),
     (None, False, "USD", 3, False), (None, True, "USD", 0, False)],
)  # fmt: skip
def test_consent_is_asked_for_above_the_limit(
    tmp_path: Path, cost: float | None, real: bool, currency: str, waiting: int, asks: bool
) -> None:
    """On a real account, for rows that wait, above 25 USD, in another unit, or at a price that nobody knows."""
    job = load_job(write_job(tmp_path, names(3)))
    bound = SimpleNamespace(currency=currency)
    at_hand: Any = SimpleNamespace(is_real=real, is_rehearsal=False, job=job, bound=bound)
    assert needs_consent(at_hand, tasks=waiting, cost=cost) is asks


# --- what stands where


def test_json_stands_alone_on_stdout(simulate: Make, place: Callable[..., Place]) -> None:
    """A program reads one object; words for people go to stderr or nowhere."""
    here = place(simulate(), ["Anna", "[fail]", ""])
    checked = here("check", "--json")
    plan = json.loads(checked.stdout)
    assert (plan["rows"], plan["to_send"], plan["words"]) == (3, 2, {"invalid": 1, "waiting": 2})
    assert plan["problems"][0]["where"].endswith("people.csv!B4")

    for command in ("run", "status"):
        done = here(command, "--json")
        told = json.loads(done.stdout)
        assert told["exit"] == done.returncode == Exit.SOME_FAILED
        assert (told["rows"], told["words"]) == (3, {"done": 1, "failed": 1, "invalid": 1})
        assert told["results"] == str(here.folder / "out.csv")


def test_quiet_says_one_line(simulate: Make, place: Callable[..., Place]) -> None:
    """The identity, and nothing on stderr."""
    done = place(simulate())("run", "--quiet")
    assert (done.stdout, done.stderr) == ("3 rows = 3 done ✓\n", "")


def test_without_a_terminal_there_is_no_bar(simulate: Make, place: Callable[..., Place]) -> None:
    """Plain lines, no escape codes (L14)."""
    done = place(simulate())("run")

    assert "\x1b" not in done.stdout + done.stderr
    assert "\r" not in done.stderr
    assert re.search(r"3 of 3 finished", done.stderr)


def test_the_key_is_nowhere(simulate: Make, place: Callable[..., Place]) -> None:
    """Not in words, files, ledger or logs, in any encoding (I7)."""
    import base64

    key = "sk-canary-4711/+=x"
    here = place(simulate(hostile=frozenset({"html_200", "errors_500"}), seed=2), [*names(8), "[fail]"])
    done = here("run", "--verbose", env={**here.env, "HEYGEN_API_KEY": key})

    found = [(done.stdout + done.stderr).encode(), *(f.read_bytes() for f in here.folder.rglob("*") if f.is_file())]
    for form in (key.encode(), base64.b64encode(key.encode()), b"sk-canary", b"canary-4711"):
        assert not any(form in each for each in found)


def test_files_are_their_owners_alone(simulate: Make, place: Callable[..., Place]) -> None:
    """The ledger and what lies beside it, whatever the umask (S9)."""
    here = place(simulate())
    before = os.umask(0o000)
    try:
        here("run")
    finally:
        os.umask(before)
    state = here.folder / "state"
    wide = [path for path in (state, *state.rglob("*")) if path.stat().st_mode & 0o077]
    assert wide == []


@pytest.mark.parametrize(("mode", "is_told"), [(0o644, True), (0o604, True), (0o640, False), (0o600, False)])
def test_a_key_that_everybody_can_read_is_told_once(
    simulate: Make, place: Callable[..., Place], mode: int, is_told: bool
) -> None:
    """In the `.env` file beside the job, for all files of an inbox together; not where the key comes from elsewhere (S9)."""
    here = place(simulate(), sheet={"file": "inbox/*.csv"}, results={"file": "results/*.csv"})
    (here.folder / "inbox").mkdir()
    for name in ("one.csv", "two.csv"):
        shutil.copy(here.folder / "people.csv", here.folder / "inbox" / name)
    dotenv = here.folder / ".env"
    dotenv.write_text("HEYGEN_API_KEY=test-key\n")
    dotenv.chmod(mode)
    without = {name: value for name, value in here.env.items() if name != "HEYGEN_API_KEY"}

    told, quiet, elsewhere = here("check", env=without), here("check", "--quiet", env=without), here("check")
    assert told.stdout.count("· CHECK: nothing sent") == 2
    said = f"everybody on this machine can read your key: chmod 600 {dotenv}"
    assert told.stderr.count(said) == is_told
    assert said not in quiet.stderr + elsewhere.stderr


def limited(limit: str, here: Place, *arguments: str) -> Done:
    """A command under limits of a shell."""
    command = ["sh", "-c", f'{limit} && exec "$@"', "sh", str(BATCHER), *arguments, str(here.job)]
    return subprocess.run(
        command, env=here.env, cwd=here.folder, capture_output=True, text=True, timeout=60, check=False
    )


def test_too_few_files_are_told_before_anything_is_sent(simulate: Make, place: Callable[..., Place]) -> None:
    """A limit that can be raised is raised without a word (L16)."""
    here = place(simulate(), 40)
    done = limited("ulimit -n 16", here, "run", "--yes")
    assert done.returncode == Exit.EDIT
    assert done.stderr == (
        "batcher: this machine: only 16 files may be open at once here, and 128 may be needed: raise that limit (ulimit -n)\n"
    )
    assert not (here.folder / "state").exists()

    assert limited("ulimit -S -n 16", here, "run", "--yes").returncode == Exit.DONE
    assert here.words() == {"done": 40}


def test_too_little_memory_pays_nothing_twice(simulate: Make, place: Callable[..., Place]) -> None:
    """Where there is little, fewer threads do the work; wherever it ends, it is told in a line and the next run goes on (L16)."""
    simulator = simulate()
    here = place(simulator, 40)
    for megabytes in (60, 80, 100, 120, 160):
        done = limited(f"ulimit -v {megabytes * 1024}", here, "run", "--yes")
        assert "Traceback" not in done.stderr
    assert here("run", "--yes").returncode == Exit.DONE
    assert (here.words(), simulator.report()["creations"]) == ({"done": 40}, 40)


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664])
def test_results_and_page_are_shared_as_the_sheet_is(simulate: Make, place: Callable[..., Place], mode: int) -> None:
    """Colleagues who have the sheet have its results; nobody else does."""
    here = place(simulate(), results={"report": "page.html"})
    (here.folder / "people.csv").chmod(mode)
    here("run")

    assert [stat.S_IMODE((here.folder / name).stat().st_mode) for name in ("out.csv", "page.html")] == [mode, mode]


@pytest.mark.parametrize("command", list(_COMMANDS))
def test_help_reads_like_a_manual_page(tmp_path: Path, command: str) -> None:
    """What it does, every option, and an example."""
    done = batcher(command, "--help", env=environment(tmp_path), cwd=tmp_path)

    assert done.returncode == 0
    assert done.stdout.startswith(f"Usage: batcher {command}")
    assert re.search(rf"Examples?\b.*:\n(?:.*\n)?\s+.*batcher {command}", done.stdout), done.stdout
    options = re.findall(r"^  (?:-\w, )?(--[\w-]+)[^\n]*?(?:  +(\S)|$)", done.stdout, re.MULTILINE)
    assert ("--help", "S") in options


def test_nothing_heavy_is_imported_for_a_version(tmp_path: Path) -> None:
    """It must feel instant."""
    done = batcher("--version", env=environment(tmp_path, PYTHONPROFILEIMPORTTIME="1"), cwd=tmp_path)

    assert re.fullmatch(r"batcher \d+\.\d+.*\n", done.stdout)
    heavy = {"pandas", "requests", "openpyxl", "jinja2", "click", "sqlite3"}
    assert heavy.isdisjoint(line.rpartition("|")[2].strip() for line in done.stderr.splitlines())


def test_every_document_that_needs_no_job_is_printed(tmp_path: Path) -> None:
    """Schema and operations need neither key nor network."""
    env = environment(tmp_path)
    schema = batcher("schema", env=env, cwd=tmp_path)
    assert {"job", "sheet", "results"} <= set(json.loads(schema.stdout)["required"])
    for name in ("heygen.template", "heygen.video", "heygen.translation"):
        told = batcher("operations", name, env=env, cwd=tmp_path)
        assert told.stdout.startswith(f"{name}: ")
    assert {"    video (mp4, webm)", "    end_time must be after start_time"} <= set(told.stdout.splitlines())
    wrong = batcher("operations", "heygen.templat", env=env, cwd=tmp_path)
    assert (wrong.returncode, "heygen.template" in wrong.stderr) == (Exit.EDIT, True)


# --- pipes


def _shell(line: str, here: Place) -> Done:
    return subprocess.run(
        ["bash", "-c", line], env={**here.env, "B": str(BATCHER), "J": str(here.job)}, cwd=here.folder, text=True,
        capture_output=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    "line",
    ['"$B" run "$J" | true; exit ${PIPESTATUS[0]}', '"$B" run "$J" | head -1; exit ${PIPESTATUS[0]}', '"$B" run "$J" >&-',
     '"$B" run "$J" >&- 2>&-', '"$B" run "$J" >/dev/full', '"$B" run "$J" --json >/dev/full'],
)  # fmt: skip
def test_a_reader_who_has_gone_does_not_end_the_work(simulate: Make, place: Callable[..., Place], line: str) -> None:
    """The rows are what counts, not the words about them (L15); 0 only when all of it is done."""
    simulator = simulate()
    here = place(simulator)
    done = _shell(line, here)

    assert "Traceback" not in done.stderr
    if done.returncode == Exit.DONE:
        assert here.words() == {"done": 3}
    assert simulator.report()["creations"] == 3
    assert here("run").returncode == Exit.DONE
    assert simulator.report()["creations"] == 3


# --- signals


def _wait_for_posts(simulator: Running, count: int) -> None:
    while len(simulator.report()["posts_at"]) < count:
        pass


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_polite_stop_is_130_and_the_next_run_goes_on(
    simulate: Make, place: Callable[..., Place], number: int
) -> None:
    """What is in the air comes back first: no row is left in doubt (A36)."""
    simulator = simulate(answer_s=0.05)
    here = place(simulator, 60, limits={"in_flight": 4})
    running = here.begin("run")
    _wait_for_posts(simulator, 6)
    running.send_signal(number)
    out, err = running.communicate(timeout=60)

    assert running.returncode == Exit.INTERRUPTED, out + err
    assert "both are safe" in err
    assert "nothing is sent twice" in out
    ledger = open_ledger(here.folder)
    assert State.SENDING not in {each.state for each in ledger.standings("greetings")}
    ledger.close()
    assert _charged_after_the_end(simulator, here) == _once(60)


def test_a_second_ctrl_c_stops_at_once_and_is_still_safe(simulate: Make, place: Callable[..., Place]) -> None:
    """What was in the air is asked for again by its key."""
    simulator = simulate(answer_s=1.5)
    here = place(simulator, 12)
    running = here.begin("run")
    _wait_for_posts(simulator, 3)
    running.send_signal(signal.SIGINT)
    assert running.stderr is not None
    while "stopping" not in (line := running.stderr.readline()):
        assert line
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=60)

    assert running.returncode == Exit.INTERRUPTED
    assert "Traceback" not in err
    simulator.behave(answer_s=0)
    assert _charged_after_the_end(simulator, here) == _once(12)


@pytest.mark.parametrize("posts", [1, 7, 20])
def test_a_killed_run_resumes_without_paying_twice(simulate: Make, place: Callable[..., Place], posts: int) -> None:
    """kill -9 in the middle; nothing to clean up."""
    simulator = simulate(answer_s=0.02)
    here = place(simulator, 40)
    running = here.begin("run")
    _wait_for_posts(simulator, posts)
    kill(running)

    assert _charged_after_the_end(simulator, here) == _once(40)


def test_killed_over_and_over(simulate: Make, place: Callable[..., Place]) -> None:
    """A supervisor that kills each run after a few more answers."""
    simulator = simulate(answer_s=0.02, hostile=frozenset({"lost_answers"}), seed=4)
    here = place(simulator, 40)
    for _ in range(6):
        before = len(simulator.report()["posts_at"])
        running = here.begin("run", "--quiet")
        while running.poll() is None and len(simulator.report()["posts_at"]) < before + 8:
            pass
        kill(running)

    simulator.behave(hostile=[])
    assert _charged_after_the_end(simulator, here) == _once(40)


def _charged_after_the_end(simulator: Running, here: Place) -> Counter[str]:
    """Run to the end, at which everything is done; how often each row was charged, by the simulator's own log."""
    done = here("run")
    assert done.returncode == Exit.DONE, done.stdout + done.stderr
    charged = Counter(charge["title"] for charge in simulator.charges())
    assert here.words() == {"done": len(charged)}
    return charged


def _once(rows: int) -> dict[str, int]:
    return {f"For r{number}": 1 for number in range(1, rows + 1)}


def test_of_two_runs_at_once_the_second_leaves_with_75(simulate: Make, place: Callable[..., Place]) -> None:
    """Politely, and without sending anything (L1)."""
    simulator = simulate(render_s=3600.0)
    here = place(simulator, 20)
    first = here.begin("run")
    _wait_for_posts(simulator, 1)
    for command in ("run", "submit", "reconcile", "results", "settle"):
        second = here(command)
        assert second.returncode == Exit.NOT_FINISHED, command
        assert "another run of 'greetings' is under way; this one does nothing" in second.stderr
    first.send_signal(signal.SIGTERM)
    out, err = first.communicate(timeout=60)

    assert first.returncode == Exit.INTERRUPTED, out + err
    assert simulator.report()["creations"] == 20


def test_two_jobs_on_one_account_share_its_slots(simulate: Make, tmp_path: Path) -> None:
    """Counted at the server: never more in work than the account may (L3)."""
    simulator = simulate(render_s=0.3, in_flight=4)
    env = environment(tmp_path, simulator.url)
    jobs = [write_job(tmp_path / each, names(12), job=each, limits={"in_flight": 4}) for each in ("one", "two")]
    running = [begin_batcher("run", job, "--quiet", env=env, cwd=tmp_path) for job in jobs]
    said = [each.communicate(timeout=60) for each in running]

    assert [each.returncode for each in running] == [0, 0], said
    report = simulator.report()
    assert report["peak_in_flight"] <= 4
    assert report["refused"] == {}
    assert report["creations"] == 24


def test_results_over_the_sheet_are_refused_before_anything_is_sent(
    simulate: Make, place: Callable[..., Place]
) -> None:
    """The only copy of a person's sheet is not ours to replace (S6)."""
    simulator = simulate()
    here = place(simulator, 2, results={"file": "people.csv"})
    before = (here.folder / "people.csv").read_bytes()
    done = here("run")

    assert done.returncode == Exit.EDIT
    assert "the results would replace the sheet itself" in done.stderr
    assert (here.folder / "people.csv").read_bytes() == before
    assert simulator.report()["creations"] == 0


# --- settle


def _make_unsure(simulator: Running, here: Place) -> None:
    """One id for two rows: the second one is a person's matter."""
    simulator.behave(hostile=["duplicate_id"])
    assert here("run").returncode == Exit.SOME_FAILED
    simulator.behave(hostile=[])
    assert here.words() == {"done": 1, "unsure": 1}


def test_settle_lists_and_changes_nothing_without_a_word(simulate: Make, place: Callable[..., Place]) -> None:
    """Without a terminal nobody can be asked."""
    simulator = simulate()
    here = place(
        simulator, 2, limits={"submissions": "1/second"}
    )  # one after the other: the second gets the first one's id
    _make_unsure(simulator, here)
    done = here("settle")

    assert done.returncode == Exit.SOME_FAILED
    assert "(r2): sent" in done.stdout or "(r1): sent" in done.stdout
    assert (
        "1 unsure: each may have been made and charged; sending all of them again costs up to ≈ $0.67 more"
        in done.stdout
    )
    assert here.words() == {"done": 1, "unsure": 1}


def test_a_run_says_which_job_holds_the_places_of_the_account(simulate: Make, place: Callable[..., Place]) -> None:
    """An unsure row of another job takes a slot until a person decides about it."""
    simulator = simulate()
    here = place(simulator, 2, limits={"submissions": "1/second"})
    _make_unsure(simulator, here)
    other = write_job(here.folder / "other", names(1), job="other", limits={"in_flight": 1})
    run = begin_batcher("run", other, env=here.env, cwd=here.folder)
    assert run.stderr is not None
    said = next(line for line in run.stderr if "waits for places of the account" in line)

    assert "which other jobs hold: greetings (1)" in said
    assert here("settle", "--as", "drop").returncode in (Exit.DONE, Exit.SOME_FAILED)
    assert (run.communicate(timeout=60), run.returncode)[1] == Exit.DONE


@pytest.mark.parametrize(
    ("arguments", "words", "creations"),
    [(("--as", "drop"), {"done": 1, "failed": 1}, 2), (("--as", "resend", "--yes"), {"done": 2}, 3),
     (("--made-as", ""), {"done": 2}, 2)],
)  # fmt: skip
def test_settle_carries_out_a_persons_word(
    simulate: Make, place: Callable[..., Place], arguments: tuple[str, ...], words: dict[str, int], creations: int
) -> None:
    """Dropped, sent again as a new attempt, or found in the dashboard."""
    simulator = simulate()
    here = place(
        simulator, 2, limits={"submissions": "1/second"}
    )  # one after the other: the second gets the first one's id
    _make_unsure(simulator, here)
    known = {row["video_id"] for row in here.results()}
    mine = next(charge["id"] for charge in simulator.charges() if charge["id"] not in known)
    options = [
        mine if each == "" else each
        for each in arguments
        if each != "--yes" or "--yes" in here("settle", "--help").stdout
    ]
    settled = here("settle", *options)
    assert "Traceback" not in settled.stderr
    assert settled.returncode in (Exit.DONE, Exit.SOME_FAILED), settled.stderr
    here("run")

    assert here.words() == words
    assert simulator.report()["creations"] == creations
    made = {charge["id"]: charge["title"] for charge in simulator.charges()}
    assert all(made[row["video_id"]] == f"For {row['id']}" for row in here.results() if row["batcher_status"] == "done")


# --- rehearse, simulator


def test_a_rehearsal_costs_nothing_and_leaves_the_real_results_alone(place: Callable[..., Place]) -> None:
    """No key, no network but loopback, a ledger of its own."""
    here = place(None)
    done = here("run", "--rehearse")

    assert done.returncode == Exit.DONE, done.stderr
    assert "REHEARSAL" in done.stdout
    assert not (here.folder / "out.csv").exists()
    assert (here.folder / "out.rehearsal.csv").exists()
    assert not (here.folder / "state" / "loopback.db").exists()
    assert not (here.folder / "state" / "ledger.db").exists()


def test_the_simulator_says_where_it_is_and_ends_politely(tmp_path: Path) -> None:
    """As `make demo` uses it."""
    running = begin_batcher("simulator", "--port", "0", env=environment(tmp_path), cwd=tmp_path)
    assert running.stdout is not None
    line = running.stdout.readline()
    assert re.fullmatch(r"simulator on http://127\.0\.0\.1:\d+ \(Ctrl-C ends it\)\n", line)
    here = Place(tmp_path, line.split()[2], 2)
    assert here("submit").returncode in (Exit.DONE, Exit.NOT_FINISHED)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=60)

    assert running.returncode == 0
    assert err == ""
