"""Rehearsals know what the real account has, and never do more than look at it."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import batcher, environment, write_job

from batcher.errors import Exit
from batcher.simulator import Running

SPRING = {
    "id": "tpl_spring",
    "name": "Spring letter",
    "aspect_ratio": "9:16",
    "variables": {
        "who": {"type": "text", "content": "there"},
        "badge": {"type": "image", "asset": {"type": "url", "url": "https://example.com/badge.png"}},
        "speaker": {"type": "voice", "voice_id": "voice_zoe"},
    },
    "scenes": [{"scene_id": "s1", "script": "Dear {{who}}, spring is here. {{unknown}}", "variables": []}],
}


@pytest.fixture
def account(make_simulator: Callable[..., Running]) -> Running:
    """The real account: it has a template and voices of its own."""
    made = make_simulator()
    made.lend({"templates": {"tpl_spring": SPRING}, "voices": {"voice_zoe": "Zoe", "voice_anna_2": "Anna"}})
    return made


def words(results: Path) -> list[str]:
    """The words of a results file."""
    with results.open(encoding="utf-8-sig", newline="") as file:
        return [row["batcher_status"] for row in csv.DictReader(file)]


def test_a_job_for_a_template_of_the_real_account_can_be_rehearsed(account: Running, tmp_path: Path) -> None:
    """The simulator has that template too, found by its name, and the account was only looked at."""
    request = {"template_id": "Spring letter", "variables": {"who": "{{ name }}", "badge": None, "speaker": None}}
    job = write_job(tmp_path, ["Ann", "Bob"], operation="heygen.template")
    change_job(job, request=request)
    done = batcher("run", job, "--rehearse", env=environment(tmp_path, account.url), cwd=tmp_path)
    report = account.report()

    assert done.returncode == Exit.DONE, done.stderr
    assert words(tmp_path / "out.rehearsal.csv") == ["done", "done"]
    assert "was only looked at: 1 template" in done.stdout
    assert report["creations"] == 0
    assert {route.split()[0] for route in report["requests"]} == {"GET"}


def test_what_init_makes_for_a_real_template_can_be_rehearsed(account: Running, tmp_path: Path) -> None:
    """From a template to its first rehearsal nothing has to be changed but the rows, voices by name included."""
    env, folder = environment(tmp_path, account.url), tmp_path / "spring"
    batcher("init", "heygen.template", "--template-id", "tpl_spring", "--csv", "spring", env=env, cwd=tmp_path)
    rows = "Row id,Who,Badge,Speaker\nr1,Ann,https://example.com/a.png,Zoe\nr2,Bob,,Anna\nr3,Cem,,Nobody\n"
    (folder / "spring.csv").write_text(rows, encoding="utf-8")
    done = batcher("run", folder / "spring.yaml", "--rehearse", env=env, cwd=tmp_path)

    assert words(folder / "spring-results.rehearsal.csv") == ["done", "done", "invalid"], done.stderr
    assert account.report()["creations"] == 0


def test_templates_that_stand_in_the_rows_are_looked_at_too(account: Running, tmp_path: Path) -> None:
    """One of the account, one that only the simulator has, and one that nobody has."""
    request = {"template_id": "{{ name }}", "variables": {"who": "{{ id }}", "badge": None, "speaker": None}}
    job = write_job(tmp_path, ["tpl_spring", "tpl_nowhere"])
    change_job(job, request=request)
    done = batcher("run", job, "--rehearse", env=environment(tmp_path, account.url), cwd=tmp_path)

    assert words(tmp_path / "out.rehearsal.csv") == ["done", "invalid"], done.stderr
    assert "has no template tpl_nowhere" in done.stdout


def test_speech_is_offered_the_voices_that_can_speak_it(account: Running, tmp_path: Path) -> None:
    """One engine alone speaks texts: a voice of another is told before anything is sent, in a rehearsal too."""
    account.lend({"voices": {"voice_old": "Olga"}, "speech_voices": {"voice_new": "Nora"}})
    job = write_job(tmp_path, ["Nora", "Olga"], operation="heygen.speech")
    change_job(job, request={"text": "Hello", "voice_id": "{{ name }}"}, estimate=None)
    env = environment(tmp_path, account.url)
    checked = batcher("check", job, env=env, cwd=tmp_path).stdout
    batcher("run", job, "--rehearse", env=env, cwd=tmp_path)

    assert "people.csv!B3  unknown speech voice 'Olga'" in checked
    assert words(tmp_path / "out.rehearsal.csv") == ["done", "invalid"]


def test_a_rehearsal_without_a_key_says_what_it_does_not_know(tmp_path: Path) -> None:
    """It goes on with what the simulator has of its own."""
    job = write_job(tmp_path, ["Ann"])
    done = batcher("run", job, "--rehearse", env=environment(tmp_path), cwd=tmp_path)

    assert done.returncode == Exit.DONE, done.stderr
    assert "only the simulator's own templates, voices and avatars are known" in done.stdout
    assert "no key for HeyGen" in done.stdout


def test_a_provider_without_a_simulator_cannot_be_rehearsed(tmp_path: Path) -> None:
    """That is said, rather than that a key is refused which nobody has given; what `init` makes advises nothing else."""
    env = environment(tmp_path)
    assert batcher("init", "synthesia.video", "film", "--offline", env=env, cwd=tmp_path).returncode == Exit.DONE

    done = batcher("run", "film/film.yaml", "--rehearse", env=env, cwd=tmp_path)

    assert (done.returncode, "the simulator does not stand in for Synthesia" in done.stderr) == (Exit.EDIT, True)
    assert "--rehearse" not in (tmp_path / "film" / "film.yaml").read_text(encoding="utf-8")


def test_an_account_that_cannot_be_asked_is_no_obstacle(account: Running, tmp_path: Path) -> None:
    """A key that is not accepted, or no network: that is said, and the rehearsal goes on."""
    job, env = write_job(tmp_path, ["Ann"]), environment(tmp_path, account.url)
    account.stop()
    done = batcher("run", job, "--rehearse", env=env, cwd=tmp_path)

    assert done.returncode == Exit.DONE, done.stderr
    assert "the template tpl_welcome could not be looked at" in done.stdout


def change_job(job: Path, **keys: Any) -> None:
    """Replace whole keys of a job file; None takes one out."""
    value = {**json.loads(job.read_text(encoding="utf-8")), **keys}
    job.write_text(json.dumps({key: each for key, each in value.items() if each is not None}), encoding="utf-8")
