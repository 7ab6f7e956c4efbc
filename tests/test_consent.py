"""Nothing dear is sent without a person's word, and a word given beforehand covers exactly what was seen."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import batcher, environment, names, write_job

from batcher.errors import Exit
from batcher.simulator import Running


class Place:
    """A job that asks for consent on the simulator too: four rows of 10 seconds, above one dollar."""

    def __init__(self, folder: Path, simulator: Running) -> None:
        self.folder, self.simulator = folder, simulator
        self.env = environment(folder, simulator.url)
        self.write()

    def write(self, count: int = 4, **changes: Any) -> None:
        self.job = write_job(self.folder, names(count), limits={"confirm_above": "1 USD"}, **changes)

    def __call__(self, command: str, *arguments: str, **changes: Any) -> Any:
        return batcher(command, self.job, *arguments, env=self.env, cwd=self.folder, **changes)

    @property
    def made(self) -> int:
        return int(self.simulator.report()["creations"])


@pytest.fixture
def place(tmp_path: Path, make_simulator: Callable[..., Running]) -> Place:
    return Place(tmp_path, make_simulator())


def test_without_a_terminal_and_a_word_nothing_is_sent(place: Place) -> None:
    """One sentence says what it may cost and what to do."""
    done = place("run")

    assert (done.returncode, place.made) == (Exit.STOPPED, 0)
    (said,) = done.stderr.splitlines()
    assert "sending 4 to the REHEARSAL account may cost ≈ $2.67, more than $1.00, and nobody has approved it" in said
    assert "`batcher approve job.yaml`" in said
    assert place("submit").returncode == Exit.STOPPED


def test_what_was_approved_runs_without_asking(place: Place) -> None:
    """Also tick by tick: what was made counts as a part of it."""
    approved = place("approve", "--yes")
    assert approved.returncode == Exit.DONE
    assert "4 to send for up to $2.67" in approved.stdout
    assert place.made == 0

    assert place("submit", "--quiet").returncode in (Exit.DONE, Exit.NOT_FINISHED)
    assert place("run", "--quiet").returncode == Exit.DONE
    assert place.made == 4


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"request": {"title": "Another"}}, "the job file has changed since it was approved"),
        ({"count": 5}, "4 were approved, and it would be 5"),
        ({"estimate": "20 seconds"}, "the job file has changed since it was approved"),
    ],
)
def test_an_approval_covers_nothing_but_what_was_seen(place: Place, change: dict[str, Any], why: str) -> None:
    """An edited job and further rows need a new word."""
    place("approve", "--yes")
    place.write(**change)
    done = place("run")

    assert (done.returncode, place.made) == (Exit.STOPPED, 0)
    assert why in done.stderr


def test_rows_that_come_after_the_approved_ones_were_made_need_a_new_word(place: Place) -> None:
    """Four were approved and made: the fifth is not the first of four others."""
    place("approve", "--yes")
    place("run", "--quiet")
    place.write(count=6)
    done = place("run")

    assert (done.returncode, place.made) == (Exit.STOPPED, 4)
    assert "4 were approved, and it would be 6" in done.stderr


def test_a_higher_price_needs_a_new_word(place: Place) -> None:
    """A sample that came out longer than it was guessed makes the rest dearer than what was agreed to."""
    place.write(estimate="1 second")
    place.job.write_text(place.job.read_text().replace('"1 USD"', '"0.01 USD"'), encoding="utf-8")
    place("approve", "--yes")
    assert place("run", "--sample", "1", "--quiet").returncode == Exit.DONE
    done = place("run")

    assert (done.returncode, place.made) == (Exit.STOPPED, 1)
    assert "$0.27 were approved, and it would be $" in done.stderr


def test_a_withdrawn_approval_is_none(place: Place) -> None:
    """And withdrawing twice is no mistake."""
    place("approve", "--yes")
    assert "withdrawn" in place("approve", "--withdraw").stdout
    assert "nothing was approved" in place("approve", "--withdraw").stdout
    assert (place("run").returncode, place.made) == (Exit.STOPPED, 0)


def test_approving_asks_and_a_no_keeps_nothing(place: Place) -> None:
    """The plan stands before the question."""
    refused = place("approve", stdin=None, input="n\n")
    assert refused.returncode == Exit.STOPPED
    assert "10 s each (your guess): 40 s in all" in refused.stdout
    assert refused.stdout.index("Cost     ≈ $2.67") < refused.stdout.index("Approve 4 to send for up to $2.67?")
    assert place("run").returncode == Exit.STOPPED

    assert place("approve", stdin=None, input="y\n").returncode == Exit.DONE
    assert place("run", "--quiet").returncode == Exit.DONE


def test_a_small_sample_is_below_the_limit_and_check_advises_it(place: Place) -> None:
    """The rest is asked about once it is known what it costs."""
    assert "Next     batcher run" in (told := place("check").stdout)
    assert "--sample 3      (≈ $2.00)" in told
    assert place("run", "--sample", "1").returncode == Exit.DONE
    assert place.made == 1


def test_a_rehearsal_is_never_asked_about(place: Place) -> None:
    """It costs nothing and keeps nothing."""
    assert place("run", "--rehearse", "--quiet").returncode == Exit.DONE


def test_comments_and_spaces_of_a_job_are_free(place: Place) -> None:
    """Only what the file says was approved."""
    place("approve", "--yes")
    place.job.write_text("# a word\n" + json.dumps(json.loads(place.job.read_text())), encoding="utf-8")
    assert place("run", "--quiet").returncode == Exit.DONE
