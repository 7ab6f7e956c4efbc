"""A few rows first: which they are, that no others are sent, and that what they show is used from then on."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import OPERATION, batcher, begin_batcher, environment, kill, write_job

from batcher.errors import Exit
from batcher.simulator import Running

NAMES = ["Anna", "Bartholomäus Maximilian", "Bo", "{{ name }}", "Carl", "Dora"]
LONGEST, SHORTEST, ODDEST = "r2", "r3", "r4"


@pytest.fixture
def place(tmp_path: Path, make_simulator: Callable[..., Running]) -> Place:
    """A job of six rows, and a simulator in a world of its own."""
    return Place(tmp_path, make_simulator())


class Place:
    """A job and the simulator that it is made on."""

    def __init__(self, folder: Path, simulator: Running) -> None:
        self.folder, self.simulator = folder, simulator
        self.job = write_job(folder, NAMES, estimate="60 seconds")
        self.env = environment(folder, simulator.url)

    def __call__(self, command: str, *arguments: str) -> Any:
        return batcher(command, self.job, *arguments, env=self.env, cwd=self.folder)

    @property
    def made(self) -> int:
        return int(self.simulator.report()["creations"])

    def done(self) -> set[str]:
        with (self.folder / "out.csv").open(encoding="utf-8-sig", newline="") as file:
            return {row["id"] for row in csv.DictReader(file) if row["batcher_status"] == "done"}


def test_a_sample_makes_the_riskiest_rows_and_no_others(place: Place) -> None:
    """The longest, the shortest and the oddest; the run has done what it was asked for, so it ends with 0."""
    done = place("run", "--sample", "3")

    assert done.returncode == Exit.DONE, done.stderr
    assert place.done() == {LONGEST, SHORTEST, ODDEST}
    assert place.made == 3
    assert "Sample   only rows 3, 4, 5 now" in done.stdout


def test_the_same_sample_again_makes_nothing_and_a_larger_one_only_the_difference(place: Place) -> None:
    """Three are three, however often they are asked for."""
    place("run", "--sample", "3")
    again = place("run", "--sample", "3")

    assert (again.returncode, place.made) == (Exit.DONE, 3)
    assert "SAMPLE IS MADE: rows 3, 4, 5; nothing more is sent" in again.stdout
    assert place("run", "--sample", "4").returncode == Exit.DONE
    assert place.made == 4
    assert place("run").returncode == Exit.DONE
    assert place.made == len(NAMES)


def test_what_the_sample_took_and_cost_forecasts_the_rest(place: Place) -> None:
    """Length, price and balance are measured; check goes by them, and no longer by the guess of the job."""
    before = json.loads(place("check", "--json").stdout)["cost"]
    told = place("run", "--sample", "3").stdout
    after = place("check")

    assert "(your guess was 60 s)" in told
    assert "the balance fell by $" in told
    assert "Rest     ≈ $" in told
    assert "each as 3 sample rows came out" in after.stdout
    assert "(your guess)" not in after.stdout
    assert json.loads(place("check", "--json").stdout)["cost"] < before / 4


def test_the_forecast_is_told_to_programs_too(place: Place) -> None:
    """The same numbers with --json, when the sample is made and when it is asked for again."""
    told = json.loads(place("run", "--sample", "3", "--json").stdout)["sample"]
    again = json.loads(place("run", "--sample", "3", "--json").stdout)["sample"]

    assert len(told["rows"]) == 3
    assert told["rest"]["to_send"] == 3
    assert told["rest"]["cost"] == json.loads(place("check", "--json").stdout)["cost"]
    assert min(told["charged"], told["rest"]["cost_as_charged"], told["rest"]["seconds"]) > 0
    assert again == told


def test_rows_that_say_sample_come_first(place: Place) -> None:
    """A person knows best; what they have not marked fills up the number."""
    sheet = "id,name,batcher_status\n" + "".join(
        f"r{number},{name},{'Sample' if name == 'Dora' else ''}\n" for number, name in enumerate(NAMES, start=1)
    )
    (place.folder / "people.csv").write_text(sheet, encoding="utf-8")
    place("run", "--sample", "2")

    assert place.done() == {"r6", LONGEST}


def test_a_sample_that_fails_ends_with_3_and_is_not_made_again(place: Place) -> None:
    """What is wrong with it is told; another try needs a person's word."""
    names = ["[fail]", "Anna"]
    place.job = write_job(place.folder, names)
    assert place("run", "--sample", "1").returncode == Exit.SOME_FAILED
    made = place.made
    assert place("run", "--sample", "1").returncode == Exit.SOME_FAILED
    assert place.made == made


def test_a_sample_that_was_killed_is_gone_on_with(place: Place) -> None:
    """Its rows are written down before the first of them is sent: asked for again, they are the same three."""
    place.simulator.behave(answer_s=0.3)
    running = begin_batcher("run", place.job, "--sample", "3", env=place.env, cwd=place.folder)
    while not place.made:
        assert running.poll() is None
    kill(running)
    place.simulator.behave(answer_s=0.0)

    assert place("run", "--sample", "3").returncode == Exit.DONE
    assert place.done() == {LONGEST, SHORTEST, ODDEST}
    assert place.made == 3


def test_a_sample_of_a_chain_makes_all_steps_of_its_rows(place: Place) -> None:
    """Rows are chosen, not tasks."""
    greet = {"operation": OPERATION, "request": {"template_id": "tpl_welcome", "variables": {
        "first_name": "{{ name }}", "company": None, "logo": None}}}  # fmt: skip
    follow = {**greet, "request": {**greet["request"], "title": "{{ greet.video_id }}"}}  # type: ignore[dict-item]
    value = json.loads(place.job.read_text(encoding="utf-8"))
    value = {key: each for key, each in value.items() if key not in ("operation", "request", "estimate")}
    place.job.write_text(json.dumps({**value, "steps": {"greet": greet, "follow": follow}}), encoding="utf-8")
    done = place("run", "--sample", "1")

    assert done.returncode == Exit.DONE, done.stderr
    assert place.made == 2
    assert place.done() == {LONGEST}


def test_only_a_few_rows_can_be_a_sample(place: Place) -> None:
    """None and a thousand are misunderstandings."""
    codes = Counter(place("run", "--sample", count).returncode for count in ("0", "1000", "some"))
    assert codes == {Exit.EDIT: 3}
    assert place.made == 0
