"""A whole bad day: ten thousand rows, an API that fails in every way it knows, and kill -9 every few seconds."""

from __future__ import annotations

import os
import random
from pathlib import Path
from time import monotonic, sleep

import pytest

from proofs.checker import assert_holds
from proofs.scene import Scene, finish, kill
from proofs.standin import StandIn
from proofs.watcher import watching

pytestmark = pytest.mark.skipif(
    os.environ.get("BATCHER_CHAOS") != "1", reason="only in `make chaos`: BATCHER_CHAOS is not 1"
)

ROWS = int(os.environ.get("BATCHER_CHAOS_ROWS", "10000"))
DAY_S = 300.0
"""For so long runs are killed; after that the weather is fair, and the work must come to its end."""

KILL_AFTER_S = (2.0, 12.0)
WEATHER = [
    ["errors_500"],
    ["lost_answers"],
    ["half_answers", "html_200"],
    ["storms_429", "late_links"],
    ["regress", "unknown_words", "not_found"],
    ["missing_pages", "token_loop"],
    [],
]
LIMIT = (200, 1.0)


def test_a_bad_day_costs_no_row_twice_and_loses_none(stand_in: StandIn, tmp_path: Path) -> None:
    """Storms, cuts, 500s and kills for minutes: in the end every row is done, each paid once."""
    rng = random.Random(19)
    stand_in.behave(in_flight=500, render_s=1.0, spread=0.5, storm=300)
    limits = {"in_flight": 500, "submissions": f"{LIMIT[0]}/second", "stop_after": "100% failed"}
    scene = Scene(folder=tmp_path, url=stand_in.url, name="day", count=ROWS, limits=limits)
    evening = monotonic() + DAY_S

    with watching(scene.results, records=ROWS + 1) as complaints:
        killed = _day(scene, stand_in, rng, evening)
        stand_in.behave(hostile=["v2=alive"])
        ran = scene.run(timeout_s=280)
        if ran.exit == 75:
            ran = scene.run(timeout_s=280)

    assert killed >= 3, "hardly anything was killed"
    assert ran.exit == 0, ran.stdout[-2000:] + ran.stderr[-2000:]
    assert not stand_in.report()["duplicates"]
    assert_holds(scene.evidence(stand_in, ran, windows=[LIMIT], watched=complaints))
    before = scene.before(stand_in)
    assert_holds(scene.evidence(stand_in, scene.run(), before=before), about="an idle run")


def _day(scene: Scene, stand_in: StandIn, rng: random.Random, evening: float) -> int:
    """Run, kill and change the weather until the evening, or until nothing is left to do; returns the kills."""
    killed = 0
    while monotonic() < evening:
        stand_in.behave(hostile=["v2=alive", *rng.choice(WEATHER)])
        process = scene.begin("run", "--quiet")
        end = monotonic() + rng.uniform(*KILL_AFTER_S)
        while process.poll() is None and monotonic() < end:
            sleep(0.1)
        was_running = process.poll() is None
        kill(process)
        if was_running:
            killed += 1
        ran = finish(process)
        assert ran.exit in (-9, 0, 3, 4, 75), ran.stdout + ran.stderr
        if ran.exit in (0, 3):
            break
    return killed
