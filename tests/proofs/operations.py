"""Which operations are proven: those of `scene.REQUESTS` that this version of batcher has."""

from __future__ import annotations

import subprocess
import sys
from functools import cache

import pytest

from proofs import clock
from proofs.scene import REQUESTS
from proofs.standin import LAUNCH, environment

KEYED = frozenset({"heygen.template", "heygen.translation"})
"""Operations whose submissions carry an idempotency key; the others are found again by a token in their title."""

SEARCH_AFTER_S = 600
"""How much later a run comes to an operation without a key: a search means something only after the write deadline."""


@cache
def listed() -> frozenset[str]:
    """The first words of what `batcher operations` lists."""
    command = [sys.executable, str(LAUNCH), "operations"]
    said = subprocess.run(command, capture_output=True, text=True, env=environment(), timeout=60, check=True).stdout
    return frozenset(line.split()[0] for line in said.splitlines() if line.strip())


def each_of(*names: str) -> list[object]:
    """Parameters for a test that is done once with each operation; what cannot be done is skipped with its reason."""
    return [pytest.param(name, marks=pytest.mark.skipif(bool(why := _why_not(name)), reason=why)) for name in names]


def _why_not(name: str) -> str:
    if name not in REQUESTS or name not in listed():
        return f"this version has no operation {name}"
    return "" if name in KEYED else clock.why_not()
