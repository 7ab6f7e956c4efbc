"""Notifications: what is worth a word, and that a word which cannot be said harms nothing."""

from __future__ import annotations

import json
import logging
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from support import batcher, environment, names, write_job

from batcher.errors import Exit
from batcher.ops import notify as notifying
from batcher.ops.notify import Message, Situation, address_problems, announce, notify, what_to_tell
from batcher.simulator import Behaviour, start

MESSAGE = Message(title="welcome: finished", body="3 rows = 3 done ✓", needs_a_person=False)
SECRET = "tok-3n-s3cret"


@dataclass
class Inbox:
    """A service that takes notifications as JSON."""

    port: int = 0
    status: int = 200
    taken: list[dict[str, Any]] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"json://user:{SECRET}@127.0.0.1:{self.port}/{SECRET}"


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    """A service on loopback that answers as told and keeps what it got."""
    found = Inbox()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            found.taken.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(found.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield found
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def situation() -> Callable[..., Situation]:
    """How a job stands at its end, with changes: `situation(exit=Exit.STOPPED, reason="…")`."""
    default = {
        "job": "welcome",
        "exit": Exit.DONE,
        "words": {"done": 3},
        "identity": "3 rows = 3 done ✓",
        "spent": "$2.10",
    }
    return lambda **changes: Situation(**{**default, **changes})


def settings(**values: str) -> Callable[[str], str]:
    return lambda name: values.get(name, "")


@pytest.mark.parametrize("ending", [Exit.NOT_FINISHED, Exit.INTERRUPTED])
def test_a_run_that_will_go_on_tells_nothing(situation: Callable[..., Situation], ending: Exit) -> None:
    """More to do at the next tick is no news."""
    assert what_to_tell(None, situation(exit=ending)) is None


def test_a_finished_run_tells_how_it_stands(situation: Callable[..., Situation]) -> None:
    """One message for the whole sheet, with rows and money."""
    message = what_to_tell(None, situation())

    assert message == Message(title="welcome: finished", body="3 rows = 3 done ✓\nSpent: $2.10", needs_a_person=False)


def test_failed_rows_are_counted_in_the_title(situation: Callable[..., Situation]) -> None:
    """The subject alone says whether to look."""
    message = what_to_tell(None, situation(exit=Exit.SOME_FAILED, words={"done": 1, "failed": 1, "invalid": 1}))

    assert message
    assert message.title == "welcome: finished, 2 rows need you"


def test_a_stopped_run_says_why_and_asks_for_a_person(situation: Callable[..., Situation]) -> None:
    """Credit, sign-in and budget need somebody."""
    message = what_to_tell(None, situation(exit=Exit.STOPPED, reason="the credit is used up"))

    assert message
    assert message.title == "welcome: stopped, needs you"
    assert message.needs_a_person
    assert "Why: the credit is used up" in message.body


def test_ticks_with_nothing_new_tell_nothing(situation: Callable[..., Situation]) -> None:
    """Cron comes every quarter of an hour; the person is told once."""
    assert what_to_tell(situation(), situation(spent="$2.11")) is None


def test_the_same_reason_with_other_figures_is_no_news(situation: Callable[..., Situation]) -> None:
    """A balance that shrinks by cents while the last videos finish is still the same stop."""
    before = situation(exit=Exit.STOPPED, reason="the balance of $2.10 covers 3 rows")
    now = situation(exit=Exit.STOPPED, reason="the balance of $1.40 covers 2 rows", words={"done": 4})

    assert what_to_tell(before, now) is None


@pytest.mark.parametrize(
    "before",
    [
        {"exit": Exit.NOT_FINISHED},
        {"exit": Exit.STOPPED, "reason": "the credit is used up"},
        {"words": {"done": 2}},
        {"is_real": False},
    ],
)
def test_what_has_changed_is_told(situation: Callable[..., Situation], before: dict[str, Any]) -> None:
    """A job that goes on after a stop, or got new rows, is news again."""
    assert what_to_tell(situation(**before), situation()) is not None


def test_a_rehearsal_is_called_one(situation: Callable[..., Situation]) -> None:
    """Nobody takes a rehearsal for the real thing."""
    message = what_to_tell(None, situation(is_real=False))

    assert message
    assert message.title.startswith("REHEARSAL ")


def test_sends_to_every_address_also_from_the_environment(inbox: Inbox) -> None:
    """A variable may hold several addresses."""
    said = notify([inbox.address, "$ALERTS"], MESSAGE, setting=settings(ALERTS=f"{inbox.address} {inbox.address}"))

    assert said == []
    assert [taken["title"] for taken in inbox.taken] == ["welcome: finished"] * 3
    assert inbox.taken[0]["message"] == "3 rows = 3 done ✓"
    assert inbox.taken[0]["type"] == "success"


def test_a_service_that_refuses_is_told_without_its_address(
    inbox: Inbox, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """The person learns which address it was; nobody learns what is in it."""
    inbox.status = 500

    with caplog.at_level(logging.DEBUG):
        said = notify([inbox.address, "${ALERTS}"], MESSAGE, setting=settings(ALERTS=inbox.address))

    assert said == [
        "not notified through json://…: the service could not be reached, or did not take it",
        "not notified through $ALERTS: the service could not be reached, or did not take it",
    ]
    assert SECRET not in "".join([*said, *capfd.readouterr(), caplog.text])


def test_what_is_no_address_is_told_and_the_others_are_sent(inbox: Inbox) -> None:
    """A wrong address, an unset variable and a closed port do not keep the message from the others."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        dead = f"json://127.0.0.1:{closed.getsockname()[1]}"

        said = notify([f"nonsense {SECRET}", "$MISSING", dead, inbox.address], MESSAGE, setting=settings())

    assert said == [
        "not notified through an address without a scheme: it is no address that apprise understands",
        "not notified through $MISSING: it is not set",
        "not notified through json://…: the service could not be reached, or did not take it",
    ]
    assert len(inbox.taken) == 1


def test_a_service_that_never_answers_does_not_hold_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the deadline the run ends without it."""
    monkeypatch.setattr(notifying, "DEADLINE_S", 0.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        said = notify([f"json://127.0.0.1:{silent.getsockname()[1]}/?rto=1"], MESSAGE, setting=settings())

    assert said == ["not notified through json://…: no answer within half a minute"]


def test_addresses_are_checked_before_anything_is_sent() -> None:
    """`check` finds a misspelt service and a missing variable, and shows neither."""
    said = address_problems([f"slakc://{SECRET}", "$MISSING", "json://localhost"], setting=settings())

    assert said == [
        "slakc://… is no address that apprise understands, such as mailto://… or slack://…",
        "$MISSING is not set, in the environment or in a .env file",
    ]


def test_check_tells_of_an_address_that_nobody_has(tmp_path: Path) -> None:
    """Before a night's run has ended unheard."""
    job = write_job(tmp_path, names(1), notify=["slakc://token", "$MISSING"])
    simulator = start(Behaviour())
    done = batcher("check", job, env=environment(tmp_path, simulator.url), cwd=tmp_path)
    simulator.stop()

    assert done.returncode == 0
    assert "slakc://… is no address that apprise understands" in done.stdout
    assert "$MISSING is not set" in done.stdout


def test_the_same_ending_is_announced_once(inbox: Inbox, situation: Callable[..., Situation], tmp_path: Path) -> None:
    """What was told is remembered between runs."""
    for _ in range(3):
        ending = situation(words=Counter(done=3, failed=0))
        assert announce([inbox.address], ending, folder=tmp_path / "told", setting=settings()) == []

    assert len(inbox.taken) == 1


def test_without_addresses_nothing_is_done(situation: Callable[..., Situation], tmp_path: Path) -> None:
    """A job that notifies nobody leaves no trace."""
    assert announce([], situation(), folder=tmp_path / "told", setting=settings()) == []
    assert list(tmp_path.iterdir()) == []


def test_what_nobody_took_is_announced_again(inbox: Inbox, situation: Callable[..., Situation], tmp_path: Path) -> None:
    """A service that was down at the end of the run gets the word at the next tick."""
    inbox.status = 503
    assert announce([inbox.address], situation(), folder=tmp_path, setting=settings()) != []
    inbox.status = 200

    assert announce([inbox.address], situation(), folder=tmp_path, setting=settings()) == []

    assert len(inbox.taken) == 2


def test_a_memory_that_cannot_be_read_or_written_harms_nothing(
    inbox: Inbox, situation: Callable[..., Situation], tmp_path: Path
) -> None:
    """Telling twice is better than not telling, and neither ends the run."""
    announce([inbox.address], situation(), folder=tmp_path, setting=settings())
    next(tmp_path.glob("*.json")).write_text("{half", "utf-8")
    announce([inbox.address], situation(), folder=tmp_path, setting=settings())
    (tmp_path / "file").touch()

    said = announce([inbox.address], situation(), folder=tmp_path / "file", setting=settings())

    assert len(inbox.taken) == 3
    assert said[0].startswith("that this was told cannot be remembered")
