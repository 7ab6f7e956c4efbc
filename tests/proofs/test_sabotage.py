"""Proofs that cannot fail prove nothing: each is held against a batcher that was broken on purpose."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import batcher.version
from proofs.sabotage import SABOTAGES, Sabotage, sabotaged

HERE = Path(__file__).parent
PACKAGE = Path(batcher.version.__file__).parent


@pytest.mark.parametrize("sabotage", SABOTAGES, ids=lambda sabotage: sabotage.name)
def test_what_is_to_be_broken_is_still_there(sabotage: Sabotage, tmp_path: Path) -> None:
    """Code moves on: a fault that breaks nothing any more would be noticed only when all of them are tried."""
    folder = sabotaged(sabotage, package=PACKAGE, into=tmp_path)
    broken = {each.file for each in sabotage.changes}

    assert broken
    assert all((folder / PACKAGE.name / each).read_bytes() != (PACKAGE / each).read_bytes() for each in broken)


@pytest.mark.skipif(os.environ.get("BATCHER_CHAOS") != "1", reason="only in `make chaos`: BATCHER_CHAOS is not 1")
@pytest.mark.parametrize("sabotage", SABOTAGES, ids=lambda sabotage: sabotage.name)
def test_a_broken_promise_turns_its_proof_red(sabotage: Sabotage, tmp_path: Path) -> None:
    """The same proof that is green on this package fails on the sabotaged copy, and for the right reason."""
    folder = sabotaged(sabotage, package=PACKAGE, into=tmp_path / "sabotaged")
    where, *choice = sabotage.proof.split(" ")

    done = subprocess.run(
        [sys.executable, "-P", "-m", "pytest", "-x", str(HERE / where), *choice],  # -P: the copy, not this folder
        env={**os.environ, "PYTHONPATH": str(folder), "BATCHER_CHAOS": "", **sabotage.variables},
        capture_output=True,
        text=True,
        timeout=500,
        cwd=HERE.parents[1],
    )

    assert done.returncode == 1, f"the proof did not see it:\n{done.stdout[-3000:]}{done.stderr[-1000:]}"
    assert re.search(sabotage.shows, done.stdout), done.stdout[-3000:]
