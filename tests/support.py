"""What the tests of the money half share: small makers of ledger values, raw servers on loopback, runs and commands."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from batcher.ledger.identity import attempt_names
from batcher.ledger.protocol import Ledger
from batcher.ledger.values import Admission, Admitted, Asked, Candidate, JobRecord, News, Planned, Prepared
from batcher.model import Attempt, Source, State, TaskKey
from batcher.senders import Returned, ThreadedSenders

JOB = "greetings"
ACCOUNT = "account-1"
OPERATION = "heygen.template"


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> float:
        """Move it, also backwards; returns the new time."""
        self.now += seconds
        return self.now


# --- ledger values


def task_key(row_id: str = "r1", **changes: str) -> TaskKey:
    """The key of a row's only task."""
    return TaskKey(**{"job": JOB, "row_id": row_id, **changes})


def planned(row_id: str = "r1", **changes: Any) -> Planned:
    """One task as a sheet asks for it; `item`, `step` and `job` go into its key, everything else is a field."""
    names = {name: changes.pop(name) for name in ("job", "step", "item") if name in changes}
    number = int("".join(filter(str.isdigit, row_id)) or 0) + 1
    values = {
        "row_number": number,
        "operation": OPERATION,
        "input_hash": f"in-{row_id}",
        "path": "/v3/x",
        "body": f'{{"row":"{row_id}"}}',
    }
    return Planned(key=task_key(row_id, **names), **{**values, **changes})


def job_record(**changes: Any) -> JobRecord:
    """What the ledger is told about a job."""
    values = {"job": JOB, "path": "", "account": ACCOUNT, "operation": OPERATION, "sheet": "/sheets/people.csv"}
    return JobRecord(**{**values, **changes})


def plan(ledger: Ledger, *tasks: Planned, job: str = JOB, at: float = 0.0, **changes: Any) -> None:
    """Register a job and bring its tasks in; `changes` go into its record."""
    record = job_record(job=job, **{"rows": len(tasks), "planned_at": at, **changes})
    ledger.register(record)
    ledger.plan(job, asked(ledger, *tasks), lambda: record, at=at)


def asked(ledger: Ledger, *tasks: Planned) -> Iterator[Asked]:
    """Tasks as a plan brings them: each with what the ledger holds of it."""
    for task in tasks:
        yield task, ledger.known(task.key.job, [task.key.row_id]).get(task.key)


def rows(count: int, **changes: Any) -> list[Planned]:
    """That many different tasks, r1 first."""
    return [planned(f"r{number}", **changes) for number in range(1, count + 1)]


def prepare(candidate: Candidate) -> Prepared:
    """As the dispatcher prepares, without a token in the body."""
    key, token = attempt_names(candidate.key, body=candidate.body, number=candidate.number)
    return Prepared(body=candidate.body, key=key, token=token)


def wish(now: float = 0.0, **changes: Any) -> Admission:
    """A wish for ten, without any limit."""
    return Admission(**{"job": JOB, "account": ACCOUNT, "now": now, "at_most": 10, **changes})


def admit(ledger: Ledger, now: float = 0.0, **changes: Any) -> Admitted:
    """Ask for ten, or as `changes` say."""
    return ledger.admit(wish(now, **changes), prepare)


def news(attempt: Attempt | int, state: State, at: float = 0.0, **changes: Any) -> News:
    """Something that was learned about an attempt, as an answer tells it."""
    attempt_id = attempt if isinstance(attempt, int) else attempt.attempt_id
    values = {"source": Source.ANSWER, "cause": state.value, "answered": True}
    return News(attempt_id=attempt_id, state=state, at=at, **{**values, **changes})


def accept(ledger: Ledger, attempt: Attempt, at: float = 0.0, remote_id: str = "") -> None:
    """The API took it."""
    ledger.record([news(attempt, State.IN_PROGRESS, at, remote_id=remote_id or f"v-{attempt.attempt_id}")])


def states(ledger: Ledger, job: str = JOB) -> dict[str, State]:
    """Row id (and item) to state."""
    return {str(each.key): each.state for each in ledger.standings(job)}


# --- a server that says anything


@dataclass
class Heard:
    """What a raw server was told, one entry per connection that spoke."""

    requests: list[bytes] = field(default_factory=list)

    @property
    def text(self) -> str:
        """Everything, to search for what must not be there."""
        return b"\n".join(self.requests).decode("latin-1")


def http(
    body: bytes = b"{}", *, status: str = "200 OK", headers: Sequence[str] = (), length: int | None = None
) -> bytes:
    """The bytes of an answer; `length` overrules the Content-Length, negative leaves it out."""
    lines = [f"HTTP/1.1 {status}", "Content-Type: application/json", "Connection: close", *headers]
    if length is None or length >= 0:
        lines.append(f"Content-Length: {len(body) if length is None else length}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def read_request(connection: socket.socket) -> bytes:
    """One whole request; empty when the client has gone."""
    data = b""
    while b"\r\n\r\n" not in data:
        if not (chunk := connection.recv(65536)):
            return data
        data += chunk
    head, _, body = data.partition(b"\r\n\r\n")
    length = next((int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0)
    while len(body) < length:
        if not (chunk := connection.recv(65536)):
            break
        body += chunk
    return head + b"\r\n\r\n" + body


Speak = Callable[[socket.socket, bytes, threading.Event], None]
"""Gets the connection, the request, and an event that is set when the test is over."""


@contextlib.contextmanager
def raw_server(speak: bytes | Speak, *, tls: Any = None, listens: bool = True) -> Iterator[tuple[str, Heard]]:
    """
    A server on loopback that reads one request per connection, says what it is told, and hangs up.

    Args:
        speak: The bytes of every answer, or a function that sends them.
        tls: An `ssl.SSLContext` of a server; None speaks plain HTTP.
        listens: False speaks without waiting for a request.

    Yields:
        Its base address, and what it has heard.
    """
    heard, over = Heard(), threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            talk = tls.wrap_socket(connection, server_side=True) if tls else connection
            with contextlib.suppress(OSError), talk:
                request = read_request(talk) if listens else b""
                if listens and not request:
                    return
                heard.requests.append(request)
                if isinstance(speak, bytes):
                    talk.sendall(speak)
                else:
                    speak(talk, request, over)
                talk.shutdown(socket.SHUT_WR)
                talk.settimeout(2)
                while talk.recv(65536):
                    pass

    def work() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=work, daemon=True).start()
    try:
        scheme = "https" if tls else "http"
        yield f"{scheme}://127.0.0.1:{listener.getsockname()[1]}", heard
    finally:
        over.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


# --- jobs, runs and commands

HEADER = ("id", "name")
BATCHER = Path(sys.executable).parent / "batcher"


def write_job(folder: Path, names: Sequence[str], **changes: Any) -> Path:
    """
    A template job over a sheet with one row per name; returns the job file.

    A mapping among `changes` is laid over the default's own, everything else replaces it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lines = [",".join(HEADER), *(f"r{number},{name}" for number, name in enumerate(names, start=1))]
    (folder / "people.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    job: dict[str, Any] = {
        "job": JOB,
        "operation": OPERATION,
        "sheet": {"file": "people.csv", "row_id": "id"},
        "estimate": "10 seconds",
        "request": {
            "template_id": "tpl_welcome",
            "title": "For {{ id }}",
            "variables": {"first_name": "{{ name }}", "company": None, "logo": None},
        },
        "limits": {"in_flight": 50},
        "poll": {"at_most_every": "0.05s", "budget": "1000/second"},
        "results": {"file": "out.csv"},
    }
    for name, change in changes.items():
        job[name] = {**job.get(name, {}), **change} if isinstance(change, Mapping) else change
    path = folder / "job.yaml"
    path.write_text(json.dumps(job, indent=1, ensure_ascii=False), encoding="utf-8")
    return path


def names(count: int) -> list[str]:
    """That many different names."""
    return [f"Person {number}" for number in range(1, count + 1)]


def run_job(
    job_file: Path, url: str, *, clock: Callable[[], float] | None = None, seed: int = 0, **changes: Any
) -> Any:
    """
    One run within this process: real ledger, real wire, threads; returns its `Ending`.

    Args:
        url: Of the simulator.
        changes: Fields of `Run`; `verbs` among them.
    """
    from batcher.ending import Verbs
    from batcher.job import load_job
    from batcher.opening import opened
    from batcher.run import Run

    around = surroundings(job_file.parent, url, seed=seed, **({"clock": clock} if clock else {}))
    job = load_job(job_file)
    with opened(job, around) as at_hand, at_hand.held(around.tell):
        at_hand.obey(at_hand.plan(at=around.clock()), at=around.clock())
        values = {"verbs": Verbs.BOTH, "senders": ThreadedSenders(8), **changes}
        return Run(opened=at_hand, around=around, **values).go()


def surroundings(folder: Path, url: str, *, seed: int = 0, **changes: Any) -> Any:
    """What a run takes from outside, with its state under `folder`."""
    from batcher.opening import Surroundings

    environ = {"HEYGEN_BASE_URL": url, "HEYGEN_API_KEY": "test-key", "BATCHER_STATE": str(folder / "state")}
    return Surroundings(environ=environ, folder=folder, rng=random.Random(seed), **changes)


def open_ledger(folder: Path) -> Any:
    """The ledger that runs in this folder use."""
    from batcher.ledger.sqlite import SqliteLedger

    return SqliteLedger(folder / "state" / "loopback.db")


def environment(folder: Path, url: str = "", **changes: str) -> dict[str, str]:
    """The environment of a command: nothing of the person who runs the tests but the path."""
    values = {"PATH": os.environ.get("PATH", ""), "HOME": str(folder), "BATCHER_STATE": str(folder / "state")}
    if url:
        values |= {"HEYGEN_BASE_URL": url, "HEYGEN_API_KEY": "test-key"}
    return {**values, **changes}


def batcher(*arguments: object, env: Mapping[str, str], cwd: Path, **changes: Any) -> subprocess.CompletedProcess[str]:
    """Run the installed command to its end."""
    values = {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True, "timeout": 60, **changes}
    return subprocess.run([BATCHER, *map(str, arguments)], env=dict(env), cwd=cwd, check=False, **values)


def begin_batcher(*arguments: object, env: Mapping[str, str], cwd: Path) -> subprocess.Popen[str]:
    """Start the installed command; the caller ends it."""
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [BATCHER, *map(str, arguments)],
        env=dict(env),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=pipe,
        stderr=pipe,
        text=True,
    )


def kill(process: subprocess.Popen[str]) -> None:
    """Kill -9, and wait until it is gone."""
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)


# --- time that does not pass


class Hurry:
    """
    Our clock and a simulator's, moved together: waiting costs nothing.

    Args:
        simulator: Its clock is moved along with ours.
    """

    def __init__(self, simulator: Any) -> None:
        self._simulator = simulator
        self._ahead_s = 0.0
        self._behind_s = 0.0

    def __call__(self) -> float:
        return time.time() + self._ahead_s

    def advance(self, seconds: float) -> None:
        """Let time pass on both sides."""
        self.pass_by(seconds)
        self.tell()

    def pass_by(self, seconds: float) -> None:
        """Let time pass here; the simulator is told of it later, since to tell it each time takes longer than all the rest."""
        self._ahead_s += seconds
        self._behind_s += seconds

    def tell(self) -> None:
        """Have the simulator know what time it is, before it is asked for anything."""
        if self._behind_s:
            behind_s, self._behind_s = self._behind_s, 0.0
            self._simulator.advance(behind_s)


class Killed(BaseException):
    """The process is gone: nothing catches this."""


class HurriedSenders(ThreadedSenders):
    """
    Real threads and requests, but while nothing is under way time is moved instead of waited for.

    Args:
        clock: The time to move.
        dies_after: How many answers are received before the process is killed; None lives.
    """

    def __init__(self, clock: Hurry, *, size: int = 8, dies_after: int | None = None) -> None:
        super().__init__(size)
        self._clock = clock
        self._lives = dies_after
        self._idle = 0

    def send(self, owner: object, about: Any, errand: Callable[[], Any]) -> None:
        """See `Senders.send`."""
        self._clock.tell()
        super().send(owner, about, errand)

    def close(self) -> None:
        """See `Senders.close`."""
        self._clock.tell()
        super().close()

    def collect(self, *, wait_s: float) -> list[Returned]:
        """See `Senders.collect`."""
        if not self.under_way():
            # the loop never waits longer than a tick: the longer nothing happens, the more ticks go by at once
            self._idle += 1
            self._clock.pass_by(wait_s * min(100, max(1, self._idle - 5)))
            return []
        self._idle = 0
        found = super().collect(wait_s=max(wait_s, 0.05))
        if self._lives is not None:
            self._lives -= len(found)
            if self._lives < 0:
                while self.under_way():
                    super().collect(wait_s=1.0)  # the server finishes what it has begun; nobody listens any more
                raise Killed
        return found


def run_hurried(job_file: Path, simulator: Any, clock: Hurry, *, dies_after: int | None = None, **changes: Any) -> Any:
    """One run of a job whose waits cost nothing; returns its `Ending`."""
    senders = HurriedSenders(clock, dies_after=dies_after)
    return run_job(job_file, simulator.url, clock=clock, senders=senders, **changes)
