"""What the proofs share: a simulator in its own process, and how thorough this run is."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from proofs.scene import end_all
from proofs.standin import StandIn, standing_in

CHAOS = os.environ.get("BATCHER_CHAOS") == "1"


@pytest.fixture(autouse=True)
def no_run_is_left() -> Iterator[None]:
    """A proof that fails leaves no run behind."""
    yield
    end_all()


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    """A simulator for this test alone."""
    with standing_in() as running:
        yield running


@pytest.fixture(scope="session")
def thorough() -> bool:
    """Whether every point is tried (BATCHER_CHAOS=1, `make chaos`) or an even sample of them."""
    return CHAOS
