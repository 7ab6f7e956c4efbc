"""Signing in through the browser: the flow, the kept tokens, their renewal, and that it is the same account as before."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from batcher.api.login import login_file
from batcher.catalog.load import FOLDER, load_provider
from batcher.errors import Exit
from batcher.simulator import Running

HEYGEN = load_provider(FOLDER / "heygen.yaml")
BATCHER = [sys.executable, "-c", "from batcher.cli.main import entry; import sys; sys.exit(entry())"]

_FOLLOW = "urllib.request.urlopen(address).read()"
_DENY = "visit(error='access_denied', state=query['state'])"
_FORGE = "visit(code='stolen', state='another')"
_BROWSER = """
import sys, urllib.error, urllib.parse, urllib.request
address = sys.argv[1]
query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(address).query))
def visit(**fields):
    try:
        urllib.request.urlopen(query["redirect_uri"] + "?" + urllib.parse.urlencode(fields)).read()
    except urllib.error.HTTPError:
        pass
"""


@pytest.fixture
def home(make_simulator: Any, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Running:
    """A simulator that accepts one key and whoever is signed in; nobody is."""
    running: Running = make_simulator(key="right-key")
    monkeypatch.setenv("HEYGEN_BASE_URL", running.url)
    monkeypatch.setenv("HEYGEN_CLIENT_ID", "test-program")
    monkeypatch.chdir(tmp_path)
    return running


def batcher(*args: str, does: str = _FOLLOW, **environ: str) -> subprocess.CompletedProcess[str]:
    """The command, with a small program as its browser."""
    browser = Path("browser.py")
    browser.write_text(_BROWSER + does)
    environ = {**os.environ, "BROWSER": f"{sys.executable} {browser.absolute()} %s", **environ}
    return subprocess.run([*BATCHER, *args], env=environ, capture_output=True, text=True, timeout=60, check=False)


def kept(home: Running, state: Path) -> Path:
    return login_file(state, HEYGEN, home.url)


def change(file: Path, **changes: Any) -> dict[str, Any]:
    """Change a kept sign-in; returns it as it is then."""
    value = {**json.loads(file.read_text()), **changes}
    file.write_text(json.dumps(value))
    return value


@pytest.fixture
def job(make_sheet: Any, write_job: Any, make_row: Any) -> Path:
    make_sheet(*(make_row(id=f"r{number}") for number in range(12)))
    return Path(write_job())


def test_a_person_signs_in_and_the_job_runs(home: Running, state: Path, job: Path) -> None:
    """No key anywhere; the tokens are the user's alone and shown nowhere."""
    said = batcher("login")
    assert said.returncode == Exit.DONE, said.stderr
    assert "signed in as rehearsal@example.com" in said.stdout
    assert "billed to the web plan" in said.stdout
    file = kept(home, state)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    run = batcher("run", str(job))
    assert run.returncode == Exit.DONE, run.stderr
    tokens = json.loads(file.read_text())
    shown = said.stdout + said.stderr + run.stdout + run.stderr + Path("results.csv").read_text(encoding="utf-8-sig")
    assert tokens["access"] not in shown
    assert tokens["refresh"] not in shown
    assert tokens["access"].encode() not in b"".join(each.read_bytes() for each in state.glob("*.db*"))


def test_a_token_that_ends_in_the_middle_is_renewed_once(home: Running, state: Path, job: Path) -> None:
    """Sixteen senders meet the 401; a refresh token is good for one renewal only, so a second one would end the sign-in."""
    batcher("login")
    before = json.loads(kept(home, state).read_text())
    home.advance(3601)
    run = batcher("run", str(job))
    assert run.returncode == Exit.DONE, run.stderr
    assert len(home.charges()) == 12
    assert json.loads(kept(home, state).read_text())["access"] != before["access"]


def test_two_processes_renew_once(home: Running, state: Path) -> None:
    """The second waits for the first, and finds its tokens in the file."""
    batcher("login")
    change(kept(home, state), expires_at=0)
    both = [
        subprocess.Popen([*BATCHER, "list", "voices"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)
    ]
    assert [(each.communicate(timeout=60)[1], each.returncode) for each in both] == [(b"", 0), (b"", 0)]


def test_a_sign_in_that_has_ended_stops_the_run_and_says_what_to_do(home: Running, state: Path, job: Path) -> None:
    """All rows wait; nothing was sent."""
    batcher("login")
    change(kept(home, state), refresh="used-up", expires_at=0)
    run = batcher("run", str(job))
    assert run.returncode == Exit.STOPPED
    assert "batcher login" in run.stderr
    assert home.charges() == []


def test_who_signs_in_again_is_the_same_account(home: Running, state: Path, job: Path) -> None:
    """What one's key has begun, one's sign-in collects, and the other way round: nothing is sent twice."""
    home.behave(render_s=3600)
    assert batcher("submit", str(job), HEYGEN_API_KEY="right-key").returncode == Exit.NOT_FINISHED
    batcher("login")
    home.advance(7200)
    home.behave(render_s=0.05)
    batcher("login")
    run = batcher("run", str(job))
    assert run.returncode == Exit.DONE, run.stderr
    assert len(home.charges()) == 12


@pytest.mark.parametrize(
    ("does", "sentence"), [(_DENY, "the sign-in was refused: access_denied"), (_FORGE, "nobody signed in")]
)
def test_only_the_right_visit_signs_in(home: Running, state: Path, does: str, sentence: str) -> None:
    """A person may say no; and any page can send a browser to a loopback address."""
    said = batcher("login", "--wait", "2s", does=does)
    assert said.returncode == Exit.STOPPED
    assert sentence in said.stderr
    assert not kept(home, state).exists()


def test_a_key_goes_before_a_sign_in(home: Running, job: Path) -> None:
    """And login says so, lest one wonders whose money it is."""
    said = batcher("login", HEYGEN_API_KEY="wrong-key")
    assert "HEYGEN_API_KEY is set, and goes before" in said.stdout
    assert batcher("run", str(job), HEYGEN_API_KEY="wrong-key").returncode == Exit.STOPPED


def test_logout_forgets_the_tokens_here_and_there(home: Running, state: Path) -> None:
    """Neither of them works any more."""
    batcher("login")
    tokens = json.loads(kept(home, state).read_text())
    assert "signed out" in batcher("logout").stdout
    assert not kept(home, state).exists()
    kept(home, state).write_text(json.dumps(tokens))
    assert batcher("list", "voices").returncode == Exit.STOPPED
    assert "nobody was signed in" not in batcher("logout").stdout


def test_doctor_says_by_what_one_is_signed_in(home: Running) -> None:
    """And what that means for the bill."""
    batcher("login")
    said = batcher("doctor").stdout
    assert "signed in as rehearsal@example.com: work is billed to the web plan" in said


@pytest.mark.parametrize(
    ("args", "sentence"),
    [(("--provider", "shotstack"), "knows no sign-in, only keys"), (("--client-id", ""), "--client-id: needed")],
)
def test_what_is_missing_is_told(home: Running, args: tuple[str, ...], sentence: str) -> None:
    """Before a browser opens."""
    said = batcher("login", *args, HEYGEN_CLIENT_ID="")
    assert (said.returncode, sentence in said.stderr) == (Exit.EDIT, True)


def test_a_kept_sign_in_that_cannot_be_read_is_told(home: Running, state: Path) -> None:
    """A torn file is no key, and no traceback."""
    batcher("login")
    kept(home, state).write_text("{")
    said = batcher("doctor")
    assert "sign in again with: batcher login" in said.stdout + said.stderr
