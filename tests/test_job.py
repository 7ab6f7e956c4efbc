"""The job file, loaded once into a frozen value."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema_rs import validator_for

from batcher.errors import InputError
from batcher.job import Job, StopAfter, job_from_dict, job_schema, load_job
from batcher.units import Money, Rate

Make = Callable[..., Job]
Write = Callable[..., Path]

WRONG = """\
job: spring sale
opertion: heygen.template
sheet:
  fiel: people.csv
  row_id: id
request: {template_id: t}
limits:
  in_flight: none
  budget: 200 USD
results: {file: r.csv, bomb: true}
"""


def refusal(path: Path) -> list[str]:
    """What is said about a job file that must be refused."""
    with pytest.raises(InputError) as caught:
        load_job(path)
    return [str(problem) for problem in caught.value.problems]


def test_all_faults_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    """Unknown keys name the nearest known one; every fault has its line and column."""
    (tmp_path / "spring.yaml").write_text(WRONG)
    assert refusal(tmp_path / "spring.yaml") == [
        "spring.yaml:1:1: job: use 1 to 80 letters, digits, dots, hyphens and underscores",
        "spring.yaml:1:1: needs either `operation` and `request`, or `steps`",
        "spring.yaml:2:1: unknown key 'opertion'; did you mean 'operation'?",
        "spring.yaml:3:1: sheet: 'file' is missing",
        "spring.yaml:4:3: sheet: unknown key 'fiel'; did you mean 'file'?",
        "spring.yaml:8:3: limits.in_flight: 'none' is not a whole number",
        "spring.yaml:10:24: results: unknown key 'bomb'; did you mean 'bom'?",
    ]


def test_all_wrong_amounts_are_told_at_once(write_job: Write) -> None:
    """Amounts are read after the schema has passed, and still all together."""
    limits = {"submissions": "fast", "budget": "-5", "confirm_above": "some", "stop_after": "never"}
    said = refusal(write_job(limits=limits, poll={"at_most_every": "2", "budget": "x"}, estimate="45"))
    keys = {"submissions", "budget", "confirm_above", "stop_after"}
    assert {each.split(": ")[1] for each in said} == {
        *(f"limits.{key}" for key in keys),
        "poll.at_most_every",
        "poll.budget",
        "estimate",
    }


def test_wrong_amounts_have_their_own_line(write_job: Write) -> None:
    """The place is that of the key."""
    said = refusal(write_job(estimate="45", limits={"in_flight": 3, "budget": "1,000"}))
    lines = write_job(estimate="45", limits={"in_flight": 3, "budget": "1,000"}).read_text().splitlines()
    places = {
        key: f"job.yaml:{number}:{line.index(key)}"
        for number, line in enumerate(lines, 1)
        for key in ("estimate", "budget")
        if key in line
    }
    assert {each.split(": ")[0] for each in said} == set(places.values())


def test_defaults_are_the_cautious_ones(make_job: Make) -> None:
    """What a job does not say guards money: 25 USD are agreed to, 20% failures stop it."""
    job = make_job()
    assert job.limits.confirm_above == Money(amount=25, currency="USD")
    assert (job.limits.stop_after.share, job.limits.stop_after.after) == (0.2, 20)
    assert (job.limits.budget, job.limits.in_flight, job.limits.submissions) == (None, None, ())
    assert (job.resend_lost, job.title_token, job.steps[0].for_each, job.results.bom) == (False, None, None, True)


def test_limits_are_read(make_job: Make) -> None:
    """Every limit becomes a value with its unit."""
    limits = {
        "in_flight": 3,
        "submissions": "5/second, 100/day",
        "budget": "200 USD",
        "confirm_above": "0",
        "stop_after": "50 failed",
    }
    job = make_job(
        limits=limits, estimate="20 seconds", poll={"at_most_every": "5s", "budget": "30/minute"}, on_lost="resend"
    )
    assert job.limits.submissions == (Rate(count=5, window_s=1), Rate(count=100, window_s=86400))
    assert job.limits.confirm_above == Money(amount=0, currency="USD")
    assert (job.limits.in_flight, job.limits.stop_after, job.steps[0].estimate_s) == (3, StopAfter(count=50), 20)
    assert (job.poll.at_most_every_s, job.poll.budget.count, job.resend_lost) == (5, 30, True)


@pytest.mark.parametrize(
    ("text", "said"),
    [("20% failed", "20% failed"), ("0.5%", "0.5% failed"), ("50 failed", "50 failed"), ("7", "7 failed")],
)
def test_failure_thresholds_read_as_they_are_shown(make_job: Make, text: str, said: str) -> None:
    """A share or a count, with or without the word."""
    assert str(make_job(limits={"stop_after": text}).limits.stop_after) == said


@pytest.mark.parametrize("text", ["0", "101%", "1.5 failed", "nan", "inf", "inf%", "1e400", "all failed", "-1", ""])
def test_what_is_no_threshold_is_refused(write_job: Write, text: str) -> None:
    """No threshold is ever infinite or nothing."""
    assert (
        "is no threshold; write for example 20% failed, or 50 failed"
        in refusal(write_job(limits={"stop_after": text}))[0]
    )


def test_paths_are_relative_to_the_job_file(write_job: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the command is called from does not matter."""
    path = write_job(sheet={"file": "../sheets/people.csv"}, results={"file": "out/r.csv"})
    monkeypatch.chdir("/")
    job = load_job(path)
    assert job.sheet.file == tmp_path.parent / "sheets" / "people.csv"
    assert job.results.file == tmp_path / "out" / "r.csv"


def test_a_job_is_the_same_by_whatever_way_it_is_reached(
    write_job: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ledger knows a job by its path: `../job.yaml` and a linked folder lead to the same one."""
    path = write_job()
    (tmp_path / "deeper").mkdir()
    (tmp_path / "linked").symlink_to(tmp_path, target_is_directory=True)
    monkeypatch.chdir(tmp_path / "deeper")
    assert {load_job(each).path for each in (path, Path("../job.yaml"), tmp_path / "linked" / "job.yaml")} == {path}


@pytest.mark.parametrize("file", ["~nobody-of-this-name/people.csv", "people\0.csv"])
def test_what_cannot_be_a_path_is_a_fault_of_the_job(write_job: Write, file: str) -> None:
    """An odd path is told at its line, not as a crash."""
    assert refusal(write_job(sheet={"file": file}))[0].startswith("job.yaml:5:")


def test_a_fan_out_over_a_column_splits_at_its_separators(make_job: Make) -> None:
    """`newline` and `tab` are written as words; blanks between separators mean nothing."""
    made = make_job(for_each={"language": {"column": "Sprachen", "split": "; newline | tab"}}).steps[0].for_each
    assert made is not None
    assert (made.name, made.column, made.separators) == ("language", "Sprachen", ";\n|\t")


def test_a_fixed_fan_out_drops_repeats(make_job: Make) -> None:
    """Nobody pays twice for the same language."""
    made = make_job(for_each={"language": ["German", " German ", "French"]}).steps[0].for_each
    assert made is not None
    assert made.members == ("German", "French")


@pytest.mark.parametrize(
    ("for_each", "said"),
    [
        ({"language": {"column": "x", "split": " "}}, "for_each.language.split: names no separator"),
        ({"language": {"column": ""}}, "for_each.language.column: is empty"),
        ({"language": [" "]}, "for_each.language.0: is empty"),
        ({"language": {"colum": "x"}}, "did you mean 'column'?"),
        ({"a": ["x"], "b": ["y"]}, "for_each: has 2 keys; 1 are allowed"),
        ({"the language": ["x"]}, "name what each task is for with letters, digits and underscores"),
    ],
)
def test_a_fan_out_that_cannot_work_is_refused(write_job: Write, for_each: dict[str, Any], said: str) -> None:
    """Each mistake has its own words."""
    assert any(said in problem for problem in refusal(write_job(for_each=for_each)))


@pytest.mark.parametrize("prefix", ["", " x", "a" * 31, "ü", "a/b"])
def test_a_prefix_that_could_not_be_recognised_again_is_refused(write_job: Write, prefix: str) -> None:
    """Headers are compared without blanks around them: one before the prefix would be lost."""
    assert "results.prefix: use 1 to 30" in refusal(write_job(results={"prefix": prefix}))[0]


def test_a_job_made_in_python_is_held_to_the_same_rules(tmp_path: Path) -> None:
    """A dictionary has the faults of a file, with the label as their place."""
    good = {
        "job": "a",
        "operation": "o",
        "sheet": {"file": "x.csv", "row_id": "id"},
        "request": {"b": 1},
        "results": {"file": "r.csv"},
    }
    assert job_from_dict(good, folder=tmp_path).sheet.file == tmp_path / "x.csv"
    with pytest.raises(InputError, match=r"^a: unknown key 'opertion'; did you mean 'operation'\?"):
        job_from_dict({**good, "opertion": 1}, folder=tmp_path)
    with pytest.raises(InputError, match=r"^job: job: use 1 to 80 letters"):
        job_from_dict({**good, "job": None}, folder=tmp_path)


def test_a_job_cannot_be_changed(make_job: Make) -> None:
    """It is loaded once; what was checked is what runs."""
    with pytest.raises(AttributeError):
        make_job().name = "other"  # type: ignore[misc]


def test_every_key_of_a_job_is_explained() -> None:
    """The schema is what an editor shows while a person types."""
    shared = job_schema()["$defs"]
    for name, part in job_schema()["properties"].items():
        schema = shared[part["$ref"].rsplit("/", 1)[-1]] if "$ref" in part else part
        assert schema.get("description"), name
        for inner, each in schema.get("properties", {}).items():
            assert each.get("description") or "$ref" in each, f"{name}.{inner}"


def test_the_schema_is_sound_json_schema(make_job: Make) -> None:
    """Editors compile it too."""
    validator = validator_for(json.loads(json.dumps(job_schema())))
    assert validator.is_valid(json.loads(json.dumps(make_job().document.value)))
    assert not validator.is_valid({"job": "alone"})


def test_keys_and_amounts_that_are_wrong_are_told_together(write_job: Callable[..., Path]) -> None:
    """Mending one thing after the other is nobody's idea of fun."""
    path = write_job(
        limits={"in_flight": -3, "budget": "lots", "submissions": "5/fortnight", "stop_after": "soon"}, retsults={}
    )
    with pytest.raises(InputError) as caught:
        load_job(path)
    said = str(caught.value)
    assert all(
        part in said
        for part in ("limits.in_flight", "limits.budget", "limits.submissions", "limits.stop_after", "retsults")
    )


@pytest.mark.parametrize("name", ["Video", "2nd", "my video", "sch\u00f6n", "x" * 31])
def test_a_step_is_named_as_steps_can_be(name: str, make_job: Callable[..., Job]) -> None:
    """What a name may be, at the name, and no regular expression."""
    steps = {name: {"operation": "heygen.speech", "request": {"text": "Hello", "voice_id": "v"}}}
    with pytest.raises(InputError) as caught:
        make_job(operation=None, request=None, steps=steps)
    (problem,) = caught.value.problems
    assert problem.message == (
        f"steps.{name}: a step is named with lower-case letters, digits and underscores, begins with a letter and has at "
        "most 30 of them, such as video or cut_2"
    )


def test_prices_of_a_job_are_checked_with_their_places(make_job: Callable[..., Job]) -> None:
    """All of what is wrong with them at once."""
    price = {"amount": -1, "currency": "dollars", "per": "hour", "as_of": " "}
    with pytest.raises(InputError) as caught:
        make_job(prices={"heygen.template": price})
    said = "\n".join(str(each) for each in caught.value.problems)
    assert all(str(each).startswith("job.yaml:") for each in caught.value.problems)
    assert "prices.heygen.template.amount: -1 is less than 0" in said
    assert "prices.heygen.template.currency: is not a currency such as USD" in said
    assert "prices.heygen.template.per: 'hour' is not one of: second, minute, character, video, call" in said
    assert "prices.heygen.template.as_of: is empty; write when the price was read" in said
