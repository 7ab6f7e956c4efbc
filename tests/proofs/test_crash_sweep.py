"""Kill a run before every system call that matters, start it twice more, and hold the ten invariants against it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path
from queue import SimpleQueue

import pytest

from proofs import clock, tracing
from proofs.checker import not_found_again, violations
from proofs.operations import SEARCH_AFTER_S
from proofs.plots import FURTHER, Plot, each_plot
from proofs.scene import Ran, Scene
from proofs.standin import StandIn, standing_in
from proofs.tracing import LEDGER, SENDING, Call

pytestmark = pytest.mark.skipif(bool(tracing.why_not()), reason=tracing.why_not() or "can be traced")

CALLS = (
    "pwrite64",
    "pwritev",
    "fdatasync",
    "fsync",
    "ftruncate",
    "fallocate",
    "sendto",
    "sendmsg",
    "recvfrom",
    "connect",
    "write",
    "rename",
    "renameat",
    "renameat2",
    "link",
    "unlink",
    "unlinkat",
    "mkdir",
    "flock",
    "openat",
    "close",
)
"""What touches ledger, network or files on the way from the opening of the ledger to the end."""

ON_THE_WIRE = frozenset({"sendto", "sendmsg", "recvfrom", "connect"})
"""Never left out once the sending has begun: between them money is spent."""

SAMPLE = {LEDGER: {"pwrite64": 3, "fdatasync": 2}, SENDING: {"pwrite64": 5, "fdatasync": 4}}
"""Points of a call that are tried when not all of them are; of every other call one."""

LONG_SAMPLE = 25
"""So many of each call for the plots that only `make chaos` knows: what they share with the others is tried there."""

AT_ONCE = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """The so manieth of a call, counted from a moment on; strace kills before it."""

    since: str
    call: str
    number: int

    def __str__(self) -> str:
        return f"{self.call} number {self.number} since {self.since}"


@pytest.fixture
def stand_ins() -> Iterator[SimpleQueue[StandIn]]:
    """As many simulators as points are tried at once: each counts the POSTs of one point only."""
    with ExitStack() as stack:
        queue: SimpleQueue[StandIn] = SimpleQueue()
        for _ in range(AT_ONCE):
            queue.put(stack.enter_context(standing_in()))
        yield queue


@pytest.mark.parametrize("plot", each_plot())
def test_no_row_is_paid_twice_or_forgotten_wherever_a_run_is_killed(
    plot: Plot, stand_ins: SimpleQueue[StandIn], tmp_path: Path, thorough: bool
) -> None:
    """Whatever the last system call was, the next run settles every row, and the one after has nothing to do."""
    if plot in FURTHER and not thorough:
        pytest.skip("only in `make chaos`: BATCHER_CHAOS is not 1")

    def crash(point: Point) -> list[str]:
        stand_in = stand_ins.get()
        try:
            return _crash(point, plot, stand_in, tmp_path)
        finally:
            stand_ins.put(stand_in)

    points = [point for since in plot.moments for point in _points(since, plot, stand_ins, tmp_path, thorough=thorough)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = list(pool.map(crash, points))

    broken = [sentence for sentences in found for sentence in sentences]
    assert len(points) > 30, f"only {len(points)} points: the trace has missed the run"
    assert not broken, "\n".join(broken)


def _points(
    since: str, plot: Plot, stand_ins: SimpleQueue[StandIn], tmp_path: Path, *, thorough: bool
) -> Iterator[Point]:
    """Where to kill: the calls of an undisturbed run from a moment on, all of them or an even sample of each kind."""
    stand_in = stand_ins.get()
    stand_ins.put(stand_in)
    scene = plot.scene(f"census-{plot.moments.index(since)}", stand_in, tmp_path)
    log = tmp_path / f"{scene.name}.trace"
    tracing.traced(scene, ["-e", f"trace={tracing.known(CALLS)}"], log=log, since=since)
    calls = tracing.read_calls(log)
    if since == LEDGER:  # what comes after that is counted since the sending
        calls = list(takewhile(_not_yet_sending(), calls))
    elif since == SENDING and plot not in FURTHER:
        _require_that_the_sending_is_seen(calls)
    by_name: dict[str, list[int]] = {}
    for call, number in tracing.numbered(calls):
        if f"{scene.folder}/" in call.arguments or "<socket:" in call.arguments:
            by_name.setdefault(call.name, []).append(number)
    for name, numbers in by_name.items():
        step = -(-len(numbers) // _at_most(name, since, plot, thorough=thorough))
        yield from (Point(since=since, call=name, number=number) for number in numbers[step // 2 :: step])


def _at_most(name: str, since: str, plot: Plot, *, thorough: bool) -> int:
    """How many points of a call are tried."""
    if since != LEDGER and name in ON_THE_WIRE:
        return 1_000_000
    if plot in FURTHER and since != LEDGER:
        return LONG_SAMPLE
    return 1_000_000 if thorough and plot not in FURTHER else SAMPLE.get(since, {}).get(name, 1)


def _not_yet_sending() -> Callable[[Call], bool]:
    connections = 0

    def holds(call: Call) -> bool:
        nonlocal connections
        connections += call.name == "connect"
        return connections < 2

    return holds


def _require_that_the_sending_is_seen(calls: Sequence[Call]) -> None:
    """The first POST, in as many pieces as it leaves in, and what comes back are points of their own."""
    reachable = [call for call, _ in tracing.numbered(calls)]
    post = next(call for call in calls if call.name.startswith("send") and '"POST ' in call.arguments)
    own = [
        call for call in calls if call.thread == post.thread and call.begun >= post.begun and call.name in ON_THE_WIRE
    ]
    answer = next(index for index, call in enumerate(own) if call.name == "recvfrom")
    assert all(call in reachable for call in own[: answer + 1]), "another thread's calls hide those of the sender"


def _crash(point: Point, plot: Plot, stand_in: StandIn, tmp_path: Path) -> list[str]:
    """Kill one run at one point, run twice more, and tell what is broken."""
    scene = plot.scene(f"{point.call}-{point.number}-{plot.moments.index(point.since)}", stand_in, tmp_path)
    inject = [
        "-e",
        f"trace={tracing.known([point.call])}",
        "-e",
        f"inject={tracing.known([point.call])}:signal=SIGKILL:when={point.number}",
    ]
    killed = tracing.traced(scene, inject, log=tmp_path / f"{scene.name}.trace", since=point.since)
    broken = violations(scene.evidence(stand_in, killed))
    try:
        broken += _restart(replace(scene, limits={}), plot, stand_in)
    except AssertionError as hung:
        broken.append(str(hung))
    return [f"killed before {point}: {sentence}" for sentence in broken]


def _restart(scene: Scene, plot: Plot, stand_in: StandIn) -> list[str]:
    """Run twice over what a kill has left; the second run has nothing to do."""
    first = scene.run(timeout_s=30, **_later(plot, 1))
    before = scene.before(stand_in)
    second = scene.run(timeout_s=30, **_later(plot, 2))
    evidence = scene.evidence(stand_in, second, before=before)
    return [*violations(evidence), *not_found_again(evidence), *_unsettled(plot, first, second), *plot.judge(evidence)]


def _unsettled(plot: Plot, *runs: Ran) -> Iterator[str]:
    """With a key every row becomes a video; without one a row that was never made may be left to a person."""
    for ran in runs:
        if ran.exit != 0 and (plot.is_keyed or ran.exit != 3):
            yield f"a later run ended with {ran.exit}: {ran.stdout}{ran.stderr}"


def _later(plot: Plot, hours: int) -> dict[str, str]:
    """Runs over an operation without a key come later: before that, a search would prove nothing."""
    return {} if plot.is_keyed else dict(clock.shifted(hours * SEARCH_AFTER_S))
