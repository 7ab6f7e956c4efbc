"""The power goes in the middle of a run: what was paid for is remembered, and the files are whole."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from proofs.checker import assert_holds
from proofs.power_cut.mounting import mounted, why_not
from proofs.scene import Scene, finish, kill, until
from proofs.standin import StandIn

pytestmark = [
    pytest.mark.skipif(os.environ.get("BATCHER_CHAOS") != "1", reason="only in `make chaos`: BATCHER_CHAOS is not 1"),
    pytest.mark.skipif(bool(why_not()), reason=why_not() or "can be mounted"),
]

ROWS = 40


@pytest.mark.parametrize("charges", [1, 3, 8, 15, 25, 39])
def test_no_charge_is_forgotten_when_the_power_goes(charges: int, stand_in: StandIn, tmp_path: Path) -> None:
    """With `synchronous=NORMAL` 453 of 453 charges were forgotten at such a cut; here every one is remembered."""
    with mounted(tmp_path / "disk") as disk:
        limits = {"submissions": "30/second"}
        scene = Scene(folder=disk.folder / "job", url=stand_in.url, name="cut", count=ROWS, limits=limits)
        process = scene.begin()
        until(lambda: len(stand_in.charges("cut")) >= charges, during=process)

        kill(process)
        dead = finish(process)
        _sheet_again(scene, disk.cut)

        assert_holds(scene.evidence(stand_in, dead), about="the cut")
        ran = scene.run()
        before = scene.before(stand_in)
        assert ran.exit == 0, ran.stderr
        assert_holds(scene.evidence(stand_in, scene.run(), before=before), about="the runs that followed")


def test_results_are_the_old_ones_or_the_new_ones(stand_in: StandIn, tmp_path: Path) -> None:
    """A rename without a sync leaves an empty file behind; these are whole after a cut at the worst of moments."""
    with mounted(tmp_path / "disk") as disk:
        scene = Scene(folder=disk.folder / "job", url=stand_in.url, name="whole")
        ran = scene.run()

        _sheet_again(scene, disk.cut)

        assert_holds(scene.evidence(stand_in, ran))
        assert scene.results.stat().st_size > 0


def _sheet_again(scene: Scene, cut: Callable[[], None]) -> None:
    """Cut the power; sheet and job, which nobody synced, are put back as a person would from elsewhere."""
    sheet, job = scene.sheet.read_bytes(), scene.job_file.read_bytes()
    cut()
    scene.sheet.write_bytes(sheet)
    scene.job_file.write_bytes(job)
