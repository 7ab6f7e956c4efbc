"""Clocks that jump: nothing is resent because of them, and nothing waits for ever."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from proofs import clock
from proofs.checker import assert_holds
from proofs.faults import never_answered
from proofs.operations import SEARCH_AFTER_S, each_of
from proofs.proxy import spoiling
from proofs.scene import Scene, finish, kill, until
from proofs.standin import StandIn

pytestmark = pytest.mark.skipif(bool(clock.why_not()), reason=clock.why_not() or "the clock can be moved")

HOUR_S = 3600.0
DAY_S = 24 * HOUR_S
ROWS = 3
BRIEFLY = "2s"
SOON_S = 20
"""A run that takes longer after a jump waits for a clock, not for the API."""


@pytest.mark.parametrize("jump_s", [-2 * HOUR_S, 3 * DAY_S], ids=["two hours back", "three days on"])
@pytest.mark.parametrize("operation", each_of("heygen.template", "heygen.v2.template"))
def test_a_jump_in_the_middle_of_a_run_changes_nothing(
    operation: str, jump_s: float, stand_in: StandIn, tmp_path: Path
) -> None:
    """The laptop was asleep, or somebody set the clock: the run goes on, every row once, and soon comes to its end."""
    stand_in.behave(in_flight=3, render_s=0.5)
    shift = tmp_path / "shift"
    clock.jump(shift, 0)
    limits = {"in_flight": 3, "submissions": "4/second"}
    scene = Scene(folder=tmp_path / "job", url=stand_in.url, name="jump", operation=operation, count=12, limits=limits)

    process = scene.begin(**clock.jumping(shift))
    until(lambda: len(stand_in.charges("jump")) >= 4, during=process)
    clock.jump(shift, jump_s)
    ran = finish(process, timeout_s=SOON_S)

    assert ran.exit == 0, ran.stdout + ran.stderr
    assert_holds(scene.evidence(stand_in, ran))


@pytest.mark.parametrize("jump_s", [-2 * HOUR_S, 23.5 * HOUR_S, 3 * DAY_S], ids=["-2 h", "+23.5 h", "+3 d"])
@pytest.mark.parametrize("operation", each_of("heygen.template", "heygen.translation", "heygen.v2.template"))
def test_a_key_whose_age_is_not_surely_below_a_day_is_never_sent_again(
    operation: str, jump_s: float, stand_in: StandIn, tmp_path: Path
) -> None:
    """Killed after the charge, started again under another clock: looked for or left to a person, never resent."""
    with _killed_with_lost_answers(operation, stand_in, tmp_path, pass_s=max(0.0, jump_s)) as scene:
        posts = len(stand_in.report()["posts_at"])

        ran = scene.run("run", "--for", BRIEFLY, timeout_s=SOON_S, **clock.shifted(jump_s))

        assert len(stand_in.report()["posts_at"]) == posts, f"sent again: {ran.stdout}"
        assert ran.exit in (0, 3, 75), ran.stdout + ran.stderr
        assert_holds(scene.evidence(stand_in, ran))
        settled = scene.run(timeout_s=SOON_S, **clock.shifted(max(0, jump_s) + SEARCH_AFTER_S))
        assert settled.exit in (0, 3), settled.stdout + settled.stderr
        assert_holds(scene.evidence(stand_in, settled))


def test_the_age_of_a_key_goes_by_the_servers_clock_too(stand_in: StandIn, tmp_path: Path) -> None:
    """Our clock stood still for three days: the API has forgotten the key, and its Date header tells so."""
    with _killed_with_lost_answers("heygen.template", stand_in, tmp_path, pass_s=3 * DAY_S) as scene:
        ran = scene.run("run", "--for", BRIEFLY, timeout_s=SOON_S)

        assert_holds(scene.evidence(stand_in, ran))


def test_a_key_that_is_younger_than_a_day_brings_the_work_back(stand_in: StandIn, tmp_path: Path) -> None:
    """The other side of the same rule: after twenty-two hours the same key still is the cheapest way to be sure."""
    with _killed_with_lost_answers("heygen.template", stand_in, tmp_path, pass_s=22 * HOUR_S) as scene:
        ran = scene.run(timeout_s=SOON_S, **clock.shifted(22 * HOUR_S))

        assert ran.exit == 0, ran.stdout + ran.stderr
        assert stand_in.report()["replays"] == scene.count
        assert_holds(scene.evidence(stand_in, ran))


def test_lost_work_is_searched_for_as_it_was_sent(stand_in: StandIn, tmp_path: Path) -> None:
    """A batch without a key carries tokens in its titles: they are looked for also by a job that makes no batches any more."""
    with _killed_with_lost_answers("heygen.video", stand_in, tmp_path, pass_s=0, limits={"batch": ROWS}) as scene:
        ran = replace(scene, limits={}).run(timeout_s=SOON_S, **clock.shifted(SEARCH_AFTER_S))

        assert ran.exit == 0, ran.stdout + ran.stderr
        assert_holds(scene.evidence(stand_in, ran))


def test_what_carried_no_token_is_not_said_to_be_missing(stand_in: StandIn, tmp_path: Path) -> None:
    """A search that could not have found it proves nothing, even if the job would send tokens by now."""
    without = {"extra": {"title_token": False}, "limits": {"batch": ROWS}}
    with _killed_with_lost_answers("heygen.video", stand_in, tmp_path, pass_s=0, **without) as scene:
        ran = replace(scene, extra={}).run(timeout_s=SOON_S, **clock.shifted(SEARCH_AFTER_S))

        assert ran.exit == 3, ran.stdout + ran.stderr
        assert "not found among" not in ran.stdout
        assert_holds(scene.evidence(stand_in, ran))


@contextmanager
def _killed_with_lost_answers(
    operation: str, stand_in: StandIn, tmp_path: Path, *, pass_s: float, **changes: Any
) -> Iterator[Scene]:
    """A run that died after all of its rows were charged and before any answer came; then time passes at the API."""
    with spoiling(stand_in.url, never_answered, at_most=ROWS) as proxy:
        scene = Scene(folder=tmp_path / "job", url=proxy.url, name="old", operation=operation, count=ROWS, **changes)
        process = scene.begin()
        until(lambda: len(stand_in.charges("old")) == ROWS, during=process)
        kill(process)
        finish(process)
        stand_in.advance(pass_s)
        yield scene
