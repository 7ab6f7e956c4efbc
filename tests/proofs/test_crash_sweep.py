"""Kill a run before every system call that matters, start it twice more, and hold the ten invariants against it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue

import pytest

from proofs import clock, tracing
from proofs.checker import not_found_again, violations
from proofs.operations import KEYED, SEARCH_AFTER_S, each_of
from proofs.scene import Ran, Scene
from proofs.standin import StandIn, standing_in

pytestmark = pytest.mark.skipif(bool(tracing.why_not()), reason=tracing.why_not() or "can be traced")

CALLS = (
    "pwrite64",
    "fdatasync",
    "sendto",
    "recvfrom",
    "write",
    "connect",
    "fsync",
    "rename",
    "unlink",
    "close",
    "openat",
)
"""What touches ledger, network or results on the way from the opening of the ledger to the end."""

SAMPLE = 10
"""Points of each call that are tried when not all of them are."""

AT_ONCE = 3

ROWS = 3

LIMITS = {"heygen.translation": {"in_flight": ROWS, "batch": ROWS}}
"""Translations go together in one request; of all others one row goes after the other."""

Point = tuple[str, int]


@pytest.fixture
def stand_ins() -> Iterator[SimpleQueue[StandIn]]:
    """As many simulators as points are tried at once: each counts the POSTs of one point only."""
    with ExitStack() as stack:
        queue: SimpleQueue[StandIn] = SimpleQueue()
        for _ in range(AT_ONCE):
            queue.put(stack.enter_context(standing_in()))
        yield queue


@pytest.mark.parametrize("operation", each_of("heygen.template", "heygen.v2.template", "heygen.translation"))
def test_no_row_is_paid_twice_or_forgotten_wherever_a_run_is_killed(
    operation: str, stand_ins: SimpleQueue[StandIn], tmp_path: Path, thorough: bool
) -> None:
    """Whatever the last system call was, the next run settles every row, and the one after has nothing to do."""

    def crash(point: Point) -> list[str]:
        stand_in = stand_ins.get()
        try:
            return _crash(point, operation, stand_in, tmp_path)
        finally:
            stand_ins.put(stand_in)

    points = list(_points(operation, stand_ins, tmp_path, thorough=thorough))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = list(pool.map(crash, points))

    broken = [sentence for sentences in found for sentence in sentences]
    assert len(points) > 40, f"only {len(points)} points: the trace has missed the run"
    assert not broken, "\n".join(broken)


def _points(operation: str, stand_ins: SimpleQueue[StandIn], tmp_path: Path, *, thorough: bool) -> Iterator[Point]:
    """Where to kill: every call of an undisturbed run, or an even sample of each kind."""
    stand_in = stand_ins.get()
    stand_ins.put(stand_in)
    scene = _scene("census", operation, stand_in, tmp_path)
    log = tmp_path / "census.trace"
    tracing.traced(scene, ["-e", f"trace={tracing.known(CALLS)}"], log=log)
    for name, count in tracing.count_calls(log).items():
        step = 1 if thorough else -(-count // SAMPLE)
        yield from ((name, number) for number in range(1, count + 1, step))


def _crash(point: Point, operation: str, stand_in: StandIn, tmp_path: Path) -> list[str]:
    """Kill one run at one point, run twice more, and tell what is broken."""
    call, number = point
    scene = _scene(f"{call}-{number}", operation, stand_in, tmp_path)
    inject = [
        "-e",
        f"trace={tracing.known([call])}",
        "-e",
        f"inject={tracing.known([call])}:signal=SIGKILL:when={number}",
    ]
    killed = tracing.traced(scene, inject, log=tmp_path / f"{scene.name}.trace")
    broken = violations(scene.evidence(stand_in, killed))
    try:
        broken += _restart(replace(scene, limits={}), operation, stand_in)
    except AssertionError as hung:
        broken.append(str(hung))
    return [f"killed before {call} number {number}: {sentence}" for sentence in broken]


def _restart(scene: Scene, operation: str, stand_in: StandIn) -> list[str]:
    """Run twice over what a kill has left; the second run has nothing to do."""
    first = scene.run(timeout_s=30, **_later(operation, 1))
    before = scene.before(stand_in)
    second = scene.run(timeout_s=30, **_later(operation, 2))
    evidence = scene.evidence(stand_in, second, before=before)
    return [*violations(evidence), *not_found_again(evidence), *_unsettled(operation, first, second)]


def _unsettled(operation: str, *runs: Ran) -> Iterator[str]:
    """With a key every row becomes a video; without one a row that was never made may be left to a person."""
    for ran in runs:
        if ran.exit != 0 and (operation in KEYED or ran.exit != 3):
            yield f"a later run ended with {ran.exit}: {ran.stdout}{ran.stderr}"


def _scene(name: str, operation: str, stand_in: StandIn, tmp_path: Path) -> Scene:
    """A job that takes one row after the other, so that every row's calls stand at a number of their own, or a batch."""
    limits = LIMITS.get(operation, {"in_flight": 1})
    return Scene(folder=tmp_path / name, url=stand_in.url, name=name, operation=operation, limits=limits, count=ROWS)


def _later(operation: str, hours: int) -> dict[str, str]:
    """Runs over an operation without a key come later: before that, a search would prove nothing."""
    return {} if operation in KEYED else dict(clock.shifted(hours * SEARCH_AFTER_S))
