"""A key is the row, its content and nothing else: even a ledger that was lost with its results does not pay twice within a day."""

from __future__ import annotations

import shutil
from pathlib import Path

from proofs.checker import assert_holds
from proofs.scene import MARK, Scene
from proofs.standin import StandIn


def test_a_lost_ledger_costs_nothing_within_a_day(stand_in: StandIn, tmp_path: Path) -> None:
    """The same rows get the same keys from nothing but the sheet, and the API answers with what it has made."""
    scene = Scene(folder=tmp_path, url=stand_in.url, name="lost")
    assert scene.run().exit == 0

    shutil.rmtree(scene.state)
    scene.results.unlink()
    ran = scene.run()

    assert ran.exit == 0, ran.stderr
    assert stand_in.report()["replays"] == scene.count
    assert_holds(scene.evidence(stand_in, ran))


def test_an_edited_row_never_gets_the_video_of_its_old_text(stand_in: StandIn, tmp_path: Path) -> None:
    """HeyGen replays a key even if the body changed: without the content in the key, Anna's video would greet Ben."""
    scene = Scene(folder=tmp_path, url=stand_in.url, name="edited", count=1)
    assert scene.run().exit == 0

    shutil.rmtree(scene.state)
    scene.results.unlink()
    scene.sheet.write_text(scene.sheet.read_text(encoding="utf-8").replace(MARK, "Ben"), encoding="utf-8")
    ran = scene.run()

    made = {charge["body_sha256"] for charge in stand_in.charges("edited")}
    assert len(made) == 2, "the edited text was never made"
    assert_holds(scene.evidence(stand_in, ran, forced=dict.fromkeys(scene.rows, 2)))
