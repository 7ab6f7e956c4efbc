"""Answers that are lost, late, cut or nonsense: every row is settled in the end, and none is paid twice."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from proofs import clock
from proofs.checker import not_found_again, violations
from proofs.faults import FAULTS, moved
from proofs.operations import KEYED, SEARCH_AFTER_S, each_of
from proofs.proxy import Proxy, spoiling
from proofs.scene import Ran, Scene, finish
from proofs.standin import StandIn, standing_in

ROWS = 5
RUNS = 8
STRIKES_PER_ROW = 2
"""A bound on the number of faults: batcher waits real seconds after each, ever longer ones."""

Case = tuple[str, float, int]


@pytest.mark.parametrize("operation", each_of("heygen.template", "heygen.translation", "heygen.v2.template"))
def test_every_fault_of_the_wire_is_survived_without_a_second_payment(
    operation: str, tmp_path: Path, thorough: bool
) -> None:
    """Each kind of fault, seldom and often, on writes and on everything: settled after a few runs, nothing twice."""
    shares, seeds = ((0.3, 0.7), range(2)) if thorough else ((0.4,), range(1))
    cases = [(name, share, seed) for name in FAULTS for share in shares for seed in seeds]

    with ThreadPoolExecutor(len(FAULTS)) as pool:  # most of the time all of them wait
        found = list(pool.map(lambda case: _survive(case, operation, tmp_path), cases))

    broken = [sentence for sentences in found for sentence in sentences]
    assert not broken, "\n".join(broken)


def test_a_redirect_is_never_followed(stand_in: StandIn, tmp_path: Path) -> None:
    """It would hand the key to another host and ask a second time: the run stops, and nothing is marked as failed."""
    with spoiling(stand_in.url, moved) as proxy:
        scene = Scene(folder=tmp_path, url=proxy.url, name="moved")
        ran = scene.run()

    assert ran.exit == 4, ran.stdout + ran.stderr
    assert not violations(scene.evidence(stand_in, ran))
    assert not stand_in.charges("moved")
    assert all(row["batcher_status"] == "waiting" for row in scene.evidence(stand_in, ran).rows)


def _survive(case: Case, operation: str, tmp_path: Path) -> list[str]:
    """Run under one fault until all is settled, and tell what is broken."""
    fault, share, seed = case
    with _spoilt(case) as (stand_in, proxy):
        scene = Scene(
            folder=tmp_path / f"{fault}-{share}-{seed}".replace(" ", "-"),
            url=proxy.url,
            name="wire",
            operation=operation,
            count=ROWS,
            limits={"stop_after": "100% failed"},
        )
        try:
            ran = _until_settled(scene, operation)
            evidence = scene.evidence(stand_in, ran)
            broken = [*violations(evidence), *not_found_again(evidence), *_unsettled(ran, operation, stand_in)]
        except AssertionError as hung:
            broken = [str(hung)]
        if not proxy.struck:
            broken.append("the fault never struck: nothing was proven")
    return [f"{fault}, {share:.0%} of requests, seed {seed}: {sentence}" for sentence in broken]


@contextmanager
def _spoilt(case: Case) -> Iterator[tuple[StandIn, Proxy]]:
    fault, share, seed = case
    methods = frozenset({"POST"}) if seed % 2 == 0 else frozenset({"POST", "GET"})
    with (
        standing_in() as stand_in,
        spoiling(
            stand_in.url, FAULTS[fault], share=share, seed=seed, methods=methods, at_most=STRIKES_PER_ROW * ROWS
        ) as proxy,
    ):
        yield stand_in, proxy


def _until_settled(scene: Scene, operation: str) -> Ran:
    """Run again and again, as cron would, until nothing is left to do."""
    for number in range(1, RUNS + 1):
        later = {} if operation in KEYED else dict(clock.shifted(number * SEARCH_AFTER_S))
        ran = finish(scene.begin("run", "--for", "15s", **later))
        if ran.exit not in (75, 4):
            break
    return ran


def _unsettled(ran: Ran, operation: str, stand_in: StandIn) -> Iterator[str]:
    if ran.exit != 0 and (operation in KEYED or ran.exit != 3):
        yield f"after {RUNS} runs it ended with {ran.exit}: {ran.stdout}{ran.stderr}"
    if stand_in.report()["duplicates"]:
        yield f"duplicates at the server: {stand_in.report()['duplicates']}"
