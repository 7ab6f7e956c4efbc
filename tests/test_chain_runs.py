"""Chains and fan-outs over real HTTP: remade steps, cells that change between runs, money, failures and kills."""

from __future__ import annotations

import csv
import json
import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import Hurry, Killed, batcher, environment, open_ledger, run_hurried, run_job

from batcher.model import State, TaskKey
from batcher.simulator import Behaviour, Running, start

TEMPLATE = {
    "operation": "heygen.template",
    "estimate": "10 seconds",
    "request": {
        "template_id": "tpl_welcome",
        "title": "{{ id }}",
        "variables": {"first_name": "{{ name }}", "company": None, "logo": None},
    },
}
TRANSLATION = {
    "operation": "heygen.translation",
    "estimate": "10 seconds",
    "for_each": {"language": {"column": "languages"}},
    "request": {
        "video": "{{ video.video_url }}",
        "output_languages": ["{{ language }}"],
        "title": "{{ id }} {{ language }} {{ note? }}",
    },
}
CAPTIONED = {
    "operation": "heygen.translation",
    "estimate": "10 seconds",
    "request": {"video": "{{ video.video_url }}", "output_languages": ["Polish"], "title": "{{ id }} Polish"},
}
QUICK = {"at_most_every": "0.05s", "budget": "1000/second"}
ROW = {"id": "r1", "name": "Anna", "languages": "German; French", "note": ""}

Write = Callable[..., Path]


@pytest.fixture
def chain_job(write_job: Write) -> Callable[..., Path]:
    """Writes a job of a video and its translations; `changes` go to the job."""

    def write(**changes: Any) -> Path:
        steps = {"video": TEMPLATE, "translation": TRANSLATION}
        return write_job(**{"operation": None, "request": None, "steps": steps, "poll": QUICK, **changes})

    return write


def lines(job: Path) -> list[dict[str, str]]:
    """The lines of the results, by column."""
    with (job.parent / "results.csv").open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def bodies(job: Path, step: str) -> list[dict[str, Any]]:
    """What was sent for a step, in the order of its attempts."""
    with closing(sqlite3.connect(job.parent / "state" / "loopback.db")) as db:
        query = "SELECT a.body FROM attempts a JOIN tasks t USING (task_id) WHERE t.step = ? ORDER BY a.attempt_id"
        return [json.loads(body) for (body,) in db.execute(query, (step,))]


def attempts(job: Path) -> dict[str, int]:
    """How often each task was sent."""
    with closing(open_ledger(job.parent)) as ledger:
        return {str(each.key): each.attempts for each in ledger.standings("greetings")}


def command(job: Path, simulator: Running, *words: str) -> str:
    """What a command says, in the environment of the runs."""
    return batcher(*words, env=environment(job.parent, simulator.url), cwd=job.parent).stdout


def test_a_changed_step_is_remade_with_all_that_was_made_from_it(
    simulator: Running, chain_job: Write, make_sheet: Write
) -> None:
    """On request, with the price told; a run alone sends nothing, and never half of a row."""
    job = chain_job()
    make_sheet(ROW)
    run_job(job, simulator.url)
    make_sheet({**ROW, "name": "Berta"})
    run_job(job, simulator.url)
    assert set(attempts(job).values()) == {1}
    assert "the row has changed since this was made" in lines(job)[0]["what_to_do"]

    said = command(job, simulator, "retry", "job.yaml", "--changed", "--yes")
    assert said.startswith("3 will be made again by the next run, ≈ $")
    assert run_job(job, simulator.url).tally.words == {"done": 1}
    assert attempts(job) == {"r1/video": 2, "r1/translation/German": 2, "r1/translation/French": 2}
    first, *_, last = (body["video"]["url"] for body in bodies(job, "translation"))
    assert first != last
    assert {line["what_to_do"] for line in lines(job)} == {""}


def test_on_change_resubmit_remakes_what_was_made_from_a_changed_step(
    simulator: Running, chain_job: Write, make_sheet: Write
) -> None:
    """The job has said so beforehand: the later steps are part of it, and of its price."""
    job = chain_job(on_change="resubmit")
    make_sheet(ROW)
    run_job(job, simulator.url)
    make_sheet({**ROW, "name": "Berta"})
    assert json.loads(command(job, simulator, "check", "job.yaml", "--json"))["later_steps"] == 2

    run_job(job, simulator.url)
    assert set(attempts(job).values()) == {2}


def test_what_was_made_from_an_earlier_version_is_marked_and_remade_on_request(
    simulator: Running, chain_job: Write, make_sheet: Write
) -> None:
    """Here only the first step was asked for again: the others still show the old one."""
    job = chain_job()
    make_sheet(ROW)
    run_job(job, simulator.url)
    with closing(open_ledger(job.parent)) as ledger:
        ledger.again([TaskKey(job="greetings", row_id="r1", step="video")], cause="test", at=1.0)
    run_job(job, simulator.url)

    assert attempts(job) == {"r1/video": 2, "r1/translation/German": 1, "r1/translation/French": 1}
    note = "translation was made from an earlier version of step video"
    assert [line["what_to_do"] for line in lines(job)] == [note, note]
    make_sheet(ROW, {**ROW, "id": "r2", "languages": "German"})
    assert json.loads(command(job, simulator, "check", "job.yaml", "--json"))["changed"] == 1

    command(job, simulator, "retry", "job.yaml", "--changed", "--yes")
    run_job(job, simulator.url)
    assert attempts(job)["r1/video"] == 2
    assert attempts(job)["r1/translation/German"] == 2
    assert {line["what_to_do"] for line in lines(job)} == {""}


def test_what_waits_for_a_step_that_is_remade_is_not_sent_with_its_old_output(
    simulator: Running, chain_job: Write, make_sheet: Write
) -> None:
    """Ready to be sent, but not sent yet: it waits once more."""
    job = chain_job(limits={"budget": "0.68 USD"})
    make_sheet({**ROW, "languages": "German"})
    run_job(job, simulator.url)
    with closing(open_ledger(job.parent)) as ledger:
        standings = {each.key.step: each for each in ledger.standings("greetings")}
        assert (standings["video"].state, standings["translation"].state) == (State.DONE, State.WAITING)
        ledger.again([standings["video"].key], cause="test", at=1.0)
    job = chain_job()
    run_job(job, simulator.url)

    with closing(open_ledger(job.parent)) as ledger:
        made = {each.key.step: each for each in ledger.standings("greetings")}
    assert made["video"].attempts == 2
    assert bodies(job, "translation")[0]["video"]["url"] == made["video"].outputs["video_url"]


def test_the_cost_column_adds_up_to_what_was_spent(simulator: Running, chain_job: Write, make_sheet: Write) -> None:
    """What the lines of a row share is told once; what was made twice is told twice."""
    job = chain_job()
    make_sheet(ROW, {**ROW, "id": "r2", "languages": "German"})
    run_job(job, simulator.url)
    command(job, simulator, "retry", "job.yaml", "--rows", "2", "--yes")
    run_job(job, simulator.url)

    with closing(open_ledger(job.parent)) as ledger:
        spent, _ = ledger.spent("greetings")
    assert len(lines(job)) == 3
    assert sum(float(line["cost"]) for line in lines(job)) == pytest.approx(spent, abs=1e-3)


def test_the_plan_tells_later_steps_apart_and_leaves_out_those_behind_a_failure(
    simulator: Running, chain_job: Write, make_sheet: Write
) -> None:
    """Its price is for all that is to come, and for nothing that waits for a person."""
    job = chain_job(results={"file": "results.csv", "fan_out": "wide"})
    make_sheet(ROW, {**ROW, "id": "r2", "name": "Bob [fail]"})
    assert "for 2 to send now and 4 later steps;" in command(job, simulator, "check", "job.yaml")

    assert run_job(job, simulator.url).tally.words == {"done": 1, "failed": 1}
    assert "nothing to send" in command(job, simulator, "check", "job.yaml")
    plan = json.loads(command(job, simulator, "check", "job.yaml", "--json"))
    assert (plan["to_send"], plan["later_steps"], plan["cost"]) == (0, 0, None)
    bad = lines(job)[1]
    assert bad["batcher_status_German"] == "waiting"
    assert bad["error_German"].startswith("waits for step video, which failed: ")
    assert bad["error"].startswith("video: ")
    assert bad["error"].endswith("; waiting for it: translation")


def test_a_row_whose_first_step_is_invalid_is_not_priced(
    simulator: Running, chain_job: Write, make_sheet: Write
) -> None:
    """None of it can be sent."""
    job = chain_job(results={"file": "results.csv", "fan_out": "wide"})
    make_sheet(ROW, {**ROW, "id": "r2", "name": ""})
    plan = json.loads(command(job, simulator, "check", "job.yaml", "--json"))
    assert (plan["to_send"], plan["later_steps"]) == (1, 2)

    run_job(job, simulator.url)
    assert lines(job)[1]["error_French"].startswith("waits for step video, which is invalid: ")


def test_a_budget_counts_every_step(simulator: Running, chain_job: Write, make_sheet: Write) -> None:
    """It stops between the steps of a row as well; once it is raised, the row goes on where it stopped."""
    make_sheet(ROW)
    ending = run_job(chain_job(limits={"budget": "0.68 USD"}), simulator.url)
    assert (int(ending.exit), ending.tally.words) == (4, {"waiting": 1})
    assert simulator.report()["creations"] == 1

    job = chain_job(limits={"budget": "50 USD"})
    assert run_job(job, simulator.url).tally.words == {"done": 1}
    assert set(attempts(job).values()) == {1}


def test_a_step_comes_in_and_drops_out_with_its_cell(simulator: Running, write_job: Write, make_sheet: Write) -> None:
    """What was made stays and is shown; what is wanted no more is not sent; nothing is paid twice."""
    steps = {"video": TEMPLATE, "polish": {**CAPTIONED, "when": "note == 'abroad'"}}
    job = write_job(operation=None, request=None, steps=steps, poll=QUICK)
    made = []
    for note in ("", "abroad", "", "abroad"):
        make_sheet({**ROW, "note": note})
        assert run_job(job, simulator.url).tally.words == {"done": 1}
        made.append(simulator.report()["creations"])
    assert made == [1, 2, 2, 2]
    assert lines(job)[0]["video_url"]


def test_members_come_and_go_and_the_columns_stay(simulator: Running, chain_job: Write, make_sheet: Write) -> None:
    """In another order, one more, one less: each language is paid once, and stays where it was."""
    job = chain_job(results={"file": "results.csv", "fan_out": "wide"})
    headers = []
    for cell in ("German; French", "French; German", "Polish; French; German", "Polish"):
        make_sheet({**ROW, "languages": cell})
        run_job(job, simulator.url)
        headers.append([name for name in lines(job)[0] if name.startswith("video_url_")])
    assert headers[0] == headers[1] == ["video_url_German", "video_url_French"]
    assert headers[2] == headers[3] == [*headers[0], "video_url_Polish"]
    assert simulator.report()["creations"] == 4
    assert all(lines(job)[0][name] for name in headers[3])


def _charged(running: Running) -> Counter[str]:
    return Counter(str(each["title"]) for each in running.charges())


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 10_000),
    deaths=st.lists(st.integers(0, 9), min_size=1, max_size=4),
    fails=st.lists(st.sampled_from(["", "", "[fail]"]), min_size=3, max_size=3),
    hostile=st.sampled_from([frozenset(), frozenset({"errors_500"}), frozenset({"lost_answers"})]),
)
def test_no_step_is_paid_twice_whatever_dies(
    seed: int, deaths: list[int], fails: list[str], hostile: frozenset[str]
) -> None:
    """Killed at any answer, again and again, with lost answers and failing steps: one charge for each piece of work."""
    folder = Path(tempfile.mkdtemp(prefix="chain-"))
    behaviour = Behaviour(render_s=3.0, in_flight=50, seed=seed, hostile=hostile)
    try:
        with start(behaviour) as running:
            job = _sheet_and_job(folder, fails)
            clock = Hurry(running)
            for dies_after in deaths:
                with suppress(Killed):
                    run_hurried(job, running, clock, dies_after=dies_after, seed=seed)
            ending = run_hurried(job, running, clock, seed=seed)
            charged = _charged(running)
        assert max(charged.values(), default=0) <= 1
        assert not ending.tally.words["unsure"]
        assert ending.tally.words["done"] == fails.count("")
        assert ending.tally.words["failed"] == fails.count("[fail]")
    finally:
        shutil.rmtree(folder)


def _sheet_and_job(folder: Path, fails: list[str]) -> Path:
    rows: list[Mapping[str, str]] = [{**ROW, "id": f"r{n}", "name": f"P {fail}"} for n, fail in enumerate(fails)]
    with (folder / "people.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(ROW))
        writer.writeheader()
        writer.writerows(rows)
    value = {
        "job": "greetings",
        "sheet": {"file": "people.csv", "row_id": "id"},
        "steps": {"video": TEMPLATE, "translation": TRANSLATION},
        "limits": {"in_flight": 50, "stop_after": "100 failed"},
        "results": {"file": "results.csv"},
    }
    path = folder / "job.yaml"
    path.write_text(json.dumps(value), encoding="utf-8")
    return path
