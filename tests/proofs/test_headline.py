"""The numbers that stand in the README are what is measured, and each has the command that measures it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from proofs.headline import NUMBERS, CannotMeasure, measured

README = Path(__file__).parents[2] / "README.md"


@pytest.mark.parametrize("name", NUMBERS)
def test_every_number_stands_in_the_readme_with_its_command(name: str) -> None:
    """A number without a command is a claim."""
    assert f"`make proof OF={name}`" in README.read_text(encoding="utf-8")


@pytest.mark.skipif(os.environ.get("BATCHER_CHAOS") != "1", reason="only in `make chaos`: other proofs cover the same")
@pytest.mark.parametrize("name", NUMBERS)
def test_every_number_is_zero(name: str, tmp_path: Path) -> None:
    """Measured with real processes against the simulator's own books."""
    try:
        number = measured(name, tmp_path)
    except CannotMeasure as why:
        pytest.skip(str(why))
    assert number.bad == 0, number.what
