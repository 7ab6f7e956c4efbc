"""Small servers that answer as other APIs do, and runs of whole jobs against them."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from batcher.ending import Ending, Verbs
from batcher.job import load_job
from batcher.ledger.values import Standing
from batcher.opening import opened
from batcher.run import Run
from batcher.senders import Returned, ThreadedSenders
from batcher.surroundings import Surroundings


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One request as a server has seen it; a body that is not JSON stays bytes."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any = None


Answerer = Callable[[Asked], tuple[int, Any]]


@dataclass(kw_only=True)
class JsonServer:
    """A server on loopback; `asked` is everything it was asked for."""

    url: str
    asked: list[Asked] = field(default_factory=list)

    def posts(self) -> list[Asked]:
        """The writes among the requests."""
        return [each for each in self.asked if each.method == "POST"]


@contextmanager
def json_server(answer: Answerer) -> Iterator[JsonServer]:
    """Answer requests with what `answer` returns: a status and a JSON value."""
    seen = JsonServer(url="")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.reply()

        def do_POST(self) -> None:
            self.reply()

        def reply(self) -> None:
            parts = urlsplit(self.path)
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            is_json = self.headers.get("Content-Type", "application/json") == "application/json"
            asked = Asked(
                method=self.command,
                path=parts.path,
                query={name: values[0] for name, values in parse_qs(parts.query).items()},
                headers={name.lower(): text for name, text in self.headers.items()},
                body=(json.loads(raw) if is_json else raw) if raw else None,
            )
            seen.asked.append(asked)
            status, value = answer(asked)
            content = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    seen.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass(frozen=True, kw_only=True)
class Ran:
    """How a job ended, and where its tasks stand."""

    ending: Ending
    standings: list[Standing]
    columns: list[str]
    notes: tuple[str, ...]

    @property
    def outputs(self) -> list[Mapping[str, str]]:
        """What each task brought, in the order of the sheet."""
        return [each.outputs for each in self.standings]


HURRY = 100
"""How many seconds pass for a run in one of ours: waits between looks and before searches are long for a test."""


def hurried() -> Callable[[], float]:
    """A clock that begins now and hurries."""
    begun = time.time()
    return lambda: begun + (time.time() - begun) * HURRY


class HurriedSenders(ThreadedSenders):
    """Whoever waits for them waits by the clock that hurries: a pause of theirs is no longer than it is there."""

    def collect(self, *, wait_s: float) -> list[Returned]:
        """See `Senders.collect`."""
        return super().collect(wait_s=wait_s / HURRY)


def run_job(path: Path, *, state: Path, environ: Mapping[str, str]) -> Ran:
    """Run a job to its end, as `batcher run` does."""
    around = Surroundings(
        environ={"BATCHER_STATE": str(state), **environ}, folder=path.parent, rng=random.Random(7), clock=hurried()
    )
    job = load_job(path)
    with opened(job, around) as at_hand:
        at_hand.plan(at=around.clock())
        ending = Run(opened=at_hand, around=around, senders=HurriedSenders(8), verbs=Verbs.BOTH).go()
        standings = list(at_hand.ledger.standings(job.name))
        return Ran(
            ending=ending, standings=standings, columns=list(at_hand.bound.layout.header), notes=tuple(at_hand.notes)
        )
