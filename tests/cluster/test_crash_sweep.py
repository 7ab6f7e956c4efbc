"""Kill a worker before every system call that matters, let another one go on, and hold the ten invariants against it."""

from __future__ import annotations

import os
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from queue import SimpleQueue

import psycopg
import pytest
from proofs import tracing
from proofs.checker import not_found_again, violations
from proofs.launch import WAIT_VARIABLE
from proofs.operations import KEYED, SEARCH_AFTER_S
from proofs.proxy import Cut, Exchange, honest, spoiling
from proofs.scene import Ran, Scene, end_all, finish, kill, until
from proofs.standin import StandIn, standing_in

from cluster.server import Server

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(bool(tracing.why_not()), reason=tracing.why_not() or "can be traced"),
]

LONG = bool(os.environ.get("BATCHER_CHAOS"))
CALLS = ("sendto", "recvfrom", "write", "rename") if LONG else ("sendto", "recvfrom", "rename")
"""What tells the database and the API something, hears of them, writes a log or a file, and swaps the results in."""

SAMPLE = 2
"""Points of each call that are tried when not all of them are."""

AT_ONCE = 2
ROWS = 3
Point = tuple[str, int]

_ENDED = "SELECT ended_at IS NOT NULL FROM batcher_loopback.handed WHERE job = %s"
_LATER = """
UPDATE batcher_loopback.holders SET alive_until = alive_until - {s};
UPDATE batcher_loopback.submissions SET first_sent_at = first_sent_at - {s};
UPDATE batcher_loopback.sends SET at = at - {s};
UPDATE batcher_queue.procrastinate_workers SET last_heartbeat = last_heartbeat - INTERVAL '{s} s'"""


def is_over(scene: Scene) -> bool | None:
    """Whether workers are done with the job; None while nobody has handed it over."""
    with psycopg.connect(scene.address) as db:
        if db.execute("SELECT to_regclass('batcher_loopback.handed')").fetchone() == (None,):
            return None
        found = db.execute(_ENDED, (scene.name,)).fetchone()
    return None if found is None else bool(found[0])


def advance(scene: Scene, seconds: int) -> None:
    """Let all that is written down be so much longer ago: leases end, and a search means something."""
    with psycopg.connect(scene.address) as db:
        db.execute(_LATER.format(s=seconds).encode())


@dataclass(frozen=True, kw_only=True)
class Lane:
    """Where one point after the other is tried: a simulator that no other point uses meanwhile, and a database for each."""

    stand_in: StandIn
    server: Server
    prefix: str
    url: str


@pytest.fixture(autouse=True)
def no_run_is_left() -> Iterator[None]:
    """A proof that fails leaves no run behind."""
    yield
    end_all()


@pytest.fixture
def lanes(postgres_server: Server, schema: str) -> Iterator[SimpleQueue[Lane]]:
    """As many as points are tried at once."""
    with ExitStack() as stack:
        queue: SimpleQueue[Lane] = SimpleQueue()
        for number in range(AT_ONCE):
            stand_in = stack.enter_context(standing_in())
            queue.put(Lane(stand_in=stand_in, server=postgres_server, prefix=f"{schema}_{number}", url=stand_in.url))
        yield queue


@pytest.mark.parametrize("operation", ["heygen.template", "heygen.v2.template"])
def test_no_row_is_paid_twice_or_forgotten_wherever_a_worker_is_killed(
    operation: str, lanes: SimpleQueue[Lane], tmp_path: Path
) -> None:
    """With a key the next worker repeats it; without one it searches, and what it does not find is a person's."""

    deaths: list[Point] = []

    def crash(point: Point) -> list[str]:
        lane = lanes.get()
        try:
            return _crash(point, operation, lane, tmp_path, deaths)
        finally:
            lanes.put(lane)

    points = list(_points(operation, lanes, tmp_path))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        broken = [sentence for sentences in pool.map(crash, points) for sentence in sentences]

    assert len(points) > SAMPLE, f"only {len(points)} points: the trace has missed the worker"
    assert len(deaths) > len(points) / 3, f"of {len(points)} workers only {len(deaths)} were killed"
    assert not broken, "\n".join(broken)


def _points(operation: str, lanes: SimpleQueue[Lane], tmp_path: Path) -> Iterator[Point]:
    """Where to kill: every call of the busiest thread of an undisturbed worker, or an even sample of each kind."""
    lane = lanes.get()
    lanes.put(lane)
    log = tmp_path / "census.trace"
    scene = _handed_over("census", operation, lane, tmp_path)
    _traced(scene, ["-e", f"trace={tracing.known(CALLS)}"], log=log)
    counts = Counter(call.name for call, _ in tracing.numbered(tracing.read_calls(log)))
    for name, count in counts.items():
        some = range(1, count + 1) if LONG else {1 + count * each // (SAMPLE + 1) for each in range(1, SAMPLE + 1)}
        yield from ((name, number) for number in sorted(some))


def _crash(point: Point, operation: str, lane: Lane, tmp_path: Path, deaths: list[Point]) -> list[str]:
    """
    Kill one worker at one point, let another one finish, run once more, and tell what is broken.

    No two workers do the same calls in the same threads: one that does not come so far ends by itself.
    """
    call, number = point
    scene = _handed_over(f"{call}-{number}", operation, lane, tmp_path)
    inject = [
        "-e",
        f"trace={tracing.known([call])}",
        "-e",
        f"inject={tracing.known([call])}:signal=SIGKILL:when={number}",
    ]
    killed = _traced(scene, inject, log=tmp_path / f"{scene.name}.trace")
    deaths += [point] if killed.exit < 0 else []
    return [f"killed before {call} number {number}: {each}" for each in _broken(scene, operation, lane, killed)]


def _broken(scene: Scene, operation: str, lane: Lane, killed: Ran) -> list[str]:
    """Let another worker finish what a dead one has left, run twice more, and tell what does not hold."""
    found = violations(
        scene.evidence(lane.stand_in, replace(killed, exit=-1))
    )  # how a worker ends says nothing of jobs
    try:
        advance(scene, SEARCH_AFTER_S)
        scene = replace(scene, limits={})  # what is unsure holds a place
        _rescue(scene)
        first = scene.run()
        before = scene.before(lane.stand_in)
        second = scene.run()
    except AssertionError as hung:
        return [*found, str(hung)]
    evidence = scene.evidence(lane.stand_in, second, before=before)
    found += [*violations(evidence), *not_found_again(evidence)]
    for ran in (first, second):
        if ran.exit != 0 and (operation in KEYED or ran.exit != 3):
            found.append(f"a later run ended with {ran.exit}: {ran.stdout}{ran.stderr}")
    return found


class Moment(Enum):
    """When a worker dies over one of its paid requests."""

    SENT = "its request is on the way, and never arrives"
    CHARGED = "the work is made, and the answer on its way"
    ANSWERED = "the answer has come, and is not written down"


@dataclass
class Deadly:
    """What a proxy does to the worker that sends through it, at one of its paid requests."""

    moment: Moment
    number: int
    worker: subprocess.Popen[str] | None = None
    count: int = 0

    def __call__(self, exchange: Exchange) -> bytes:
        self.count += 1
        if self.count != self.number or self.worker is None:
            return honest(exchange.forward())
        if self.moment is not Moment.SENT:
            answer = honest(exchange.forward())
        if self.moment is Moment.ANSWERED:
            exchange.trickle(answer)
        kill(self.worker)
        raise Cut(reset=True)


@pytest.mark.parametrize("operation", ["heygen.template", "heygen.v2.template"])
@pytest.mark.parametrize("moment", list(Moment), ids=lambda moment: moment.name.lower())
def test_a_row_whose_worker_dies_over_its_paid_request_is_paid_once(
    moment: Moment, operation: str, lanes: SimpleQueue[Lane], tmp_path: Path
) -> None:
    """Where the money is: a request of which nobody lives to hear."""
    for number in range(1, ROWS + 1) if LONG else (2,):
        lane, deadly = lanes.get(), Deadly(moment=moment, number=number)
        with spoiling(lane.stand_in.url, deadly) as proxy:
            name = f"{moment.name.lower()}-{number}"
            scene = _handed_over(name, operation, replace(lane, url=proxy.url), tmp_path)
            deadly.worker = scene.begin_alone("worker")
            killed = finish(deadly.worker)
            broken = _broken(scene, operation, lane, killed)
        lanes.put(lane)

        assert killed.exit == -signal.SIGKILL
        assert not broken, "\n".join(broken)


def _handed_over(name: str, operation: str, lane: Lane, tmp_path: Path) -> Scene:
    """A job that workers are to do, one row after the other, and that nobody watches."""
    scene = Scene(
        folder=tmp_path / name,
        url=lane.url,
        name=name,
        operation=operation,
        limits={"in_flight": 1},
        count=ROWS,
        address=lane.server.new_database(f"{lane.prefix}_{name.replace('-', '_')}"),
    )
    handing = scene.begin("run", "--cluster", "--yes")
    until(lambda: is_over(scene) is not None, during=handing)
    kill(handing)
    finish(handing)
    return scene


def _traced(scene: Scene, options: list[str], *, log: Path) -> Ran:
    """One worker, traced from its first request on, until it dies or the job is over."""
    process = scene.begin_alone("worker", **{WAIT_VARIABLE: tracing.WORKING})

    def end() -> None:
        until(lambda: process.returncode is not None or bool(is_over(scene)), timeout_s=90)
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)

    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(end)
        ran = tracing.follow(process, options, log=log)
        ended.result()
    return ran


def _rescue(scene: Scene) -> None:
    """Another worker does what is left."""
    rescuer = scene.begin_alone("worker")
    try:
        until(lambda: bool(is_over(scene)), timeout_s=60)
    finally:
        rescuer.send_signal(signal.SIGTERM)
        ended = finish(rescuer, timeout_s=60)
        assert ended.exit in (0, -signal.SIGTERM), ended
