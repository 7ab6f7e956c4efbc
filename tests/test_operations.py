"""Every operation of the catalogue, through its sample job: strict bodies, whole runs, and the marks it carries."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from person import cells_of
from stand_ins import Asked, Ran, json_server, run_job

from batcher.bound import BoundJob
from batcher.catalog.extend import extended_body, extension_path, forgotten_entries
from batcher.catalog.load import built_in_providers
from batcher.catalog.settings import WrongSetting, with_settings
from batcher.errors import InputError, Stopped
from batcher.finding import find_operations, open_job_sheet
from batcher.job import load_job
from batcher.mapping.asset import with_assets
from batcher.mapping.choice import Choice, Choices
from batcher.mapping.finish import Finish
from batcher.model import Asset
from batcher.price import PriceTag
from batcher.schema import Checker
from batcher.simulator import Running
from batcher.simulator import contract as openapi
from batcher.simulator.wire import Refused

ROOT = Path(__file__).parent.parent
JOBS = sorted((ROOT / "jobs").glob("*.yaml"))
OPERATIONS = {name: op for provider in built_in_providers() for name, op in provider.operations.items()}
NOT_DONE = {
    "welcome": {"failed": 1, "invalid": 1, "skipped": 2},
    "translations": {"invalid": 1},
    "reminders": {"invalid": 1, "skipped": 2},
    "v2_video": {"skipped": 1},
}
"""Sample rows that are wrong on purpose, or left out."""


def is_described(operation: str) -> bool:
    """Whether HeyGen's own description of version 3 has the operation."""
    return OPERATIONS[operation].path in openapi.description()["paths"]


def bound_job(path: Path) -> BoundJob:
    """A sample job over its sheet, without names of voices and the like."""
    job = load_job(path)
    provider, operations = find_operations(job)
    return BoundJob(job, provider=provider, operations=operations, sheet=open_job_sheet(job), choices={})


def bodies(bound: BoundJob) -> Iterator[tuple[str, Any]]:
    """Path and body of every valid row."""
    for row in bound.rows():
        for planned in bound.tasks(row) if row.row_id else ():
            if planned.ready and not planned.flaws:
                held = {need.digest: Asset(digest=need.digest, asset_id="asset-1") for need in planned.needs}
                yield planned.path, with_assets(json.loads(planned.body), held)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A copy of the sample jobs and sheets, so that results do not land among them."""
    for name in ("jobs", "sample_data"):
        shutil.copytree(ROOT / name, tmp_path / name)
    return tmp_path


@pytest.fixture
def everything(make_simulator: Callable[..., Running]) -> Running:
    """A simulator on which v1 and v2 are still alive."""
    return make_simulator(hostile=frozenset({"v2=alive"}))


def environment(url: str) -> dict[str, str]:
    """Every provider at one address."""
    return {provider.base_url_variable: url for provider in built_in_providers()}


@contextmanager
def other_apis() -> Iterator[str]:
    """Synthesia and Shotstack as their pages show them: in work at the first look, finished at the second."""
    made: dict[str, int] = {}

    def answer(asked: Asked) -> tuple[int, Any]:
        if asked.method == "POST":
            made[f"work-{len(made)}"] = 0
            work_id = list(made)[-1]
            short = {"message": "Created", "success": True, "response": {"id": work_id}}
            return 201, {"id": work_id, "status": "in_progress"} if "videos" in asked.path else short
        if asked.path == "/v2/templates":
            known = [{"id": "5f7c3a1e-template", "title": "Reminder"}]
            return 200, {"templates": [] if asked.query.get("offset") else known}
        if asked.path == "/v2/videos":
            known = [] if asked.query.get("offset") else [_synthesia(each, made) for each in made]
            return 200, {"videos": known}
        work_id = asked.path.rsplit("/", 1)[-1]
        if asked.path.startswith("/v2/videos/"):
            return 200, _synthesia(work_id, made)
        made[work_id] += 1
        done = {"status": "done", "url": f"https://cdn.example.com/{work_id}.mp4", "duration": 4.2}
        return 200, {
            "success": True,
            "response": {"id": work_id, **(done if made[work_id] > 1 else {"status": "saving"})},
        }

    with json_server(answer) as server:
        yield server.url


def _synthesia(work_id: str, made: dict[str, int]) -> Any:
    made[work_id] += 1
    if made[work_id] == 1:
        return {"id": work_id, "status": "in_progress"}
    return {
        "id": work_id,
        "status": "complete",
        "download": f"https://x.example.com/{work_id}.mp4",
        "duration": "0:00:09",
    }


def ran(path: Path, url: str) -> Ran:
    """Run a sample job against one address."""
    return run_job(path, state=path.parent.parent / "state", environ=environment(url))


@pytest.mark.parametrize("path", JOBS, ids=lambda path: path.stem)
def test_sample_job_runs_to_the_end(path: Path, home: Path, everything: Running) -> None:
    """Every row of every sample job comes to its end, but for those that are wrong on purpose."""
    operation = load_job(path).steps[0].operation
    if operation.startswith(("synthesia", "shotstack")):
        with other_apis() as url:
            end = ran(home / "jobs" / path.name, url).ending
    else:
        end = ran(home / "jobs" / path.name, everything.url).ending

    words = end.tally.words
    assert {word: count for word, count in words.items() if word != "done" and count} == NOT_DONE.get(path.stem, {})
    assert words["done"] >= 1
    assert end.reason == ""


def test_the_sample_workbook_takes_its_own_results(home: Path, everything: Running) -> None:
    """The person's cells stay as they are; the links come beside them, and the reason onto the cell that is empty."""
    book = home / "sample_data" / "reminders.xlsx"
    before = cells_of(book)
    ran(home / "jobs" / "reminders.yaml", everything.url)
    after = cells_of(book)

    assert {at: cell for at, cell in after.items() if at[0] in "ABCDE"} == before
    tab = openpyxl.load_workbook(book)["Rows"]
    assert [tab[f"F{row}"].value for row in range(1, 6)] == ["batcher_status", "skipped", "skipped", "done", "done"]
    assert "First name is empty" in tab["B7"].comment.text


def test_every_operation_has_a_sample_job() -> None:
    """Whoever looks for an operation finds a job to begin with."""
    assert {load_job(path).steps[0].operation for path in JOBS} == set(OPERATIONS)


def test_every_sample_sheet_is_used() -> None:
    """No file lies in sample_data that no job reads."""
    used = {load_job(path).sheet.file for path in JOBS}

    assert {path for path in (ROOT / "sample_data").iterdir() if path.suffix == ".csv"} - used == set()


@pytest.mark.parametrize(
    "path", [path for path in JOBS if is_described(load_job(path).steps[0].operation)], ids=lambda path: path.stem
)
def test_sample_bodies_fit_heygens_own_description(path: Path) -> None:
    """What a sample job sends is what the official client's description allows, made strict."""
    operation = OPERATIONS[load_job(path).steps[0].operation]
    sent = [Finish(operation).body(body, key="k" * 35, token="b" * 12) for _, body in bodies(bound_job(path))]

    assert sent
    for body in sent:
        openapi.check(f"POST {operation.path}", body)


@cache
def described() -> Mapping[str, Any]:
    """The strict schema of each v3 operation that HeyGen describes, by its name here."""
    return {
        name: openapi.strict(
            openapi.description()["paths"][op.path]["post"]["requestBody"]["content"]["application/json"]["schema"]
        )
        for name, op in OPERATIONS.items()
        if is_described(name)
    }


@pytest.mark.parametrize("name", sorted(described()))
def test_body_has_exactly_the_fields_of_the_description(name: str) -> None:
    """No field that HeyGen describes is missing in the catalogue, and none stands there that HeyGen would refuse."""
    ours, theirs = OPERATIONS[name].body, described()[name]

    assert _fields(ours, ours) == _fields(theirs, theirs) | ({"mode"} if name == "heygen.video_agent" else set())


def _fields(schema: Any, root: Any) -> set[str]:
    """All keys that a body may have, dotted, whatever its form; base64 uploads are made by batcher itself."""
    found: set[str] = set()
    while "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rsplit("/", 1)[-1]]
    for name, inner in schema.get("properties", {}).items():
        found.add(name)
        found |= {f"{name}.{each}" for each in _fields(inner, root)}
    for branch in (*schema.get("oneOf", ()), *schema.get("anyOf", ()), *schema.get("allOf", ())):
        found |= _fields(branch.get("then", branch), root)
    if "items" in schema:
        found |= _fields(schema["items"], root)
    if name_free := schema.get("additionalProperties"):
        found |= {"*"} if isinstance(name_free, dict) and name_free else set()
    return {each for each in found if each.rsplit(".", 1)[-1] not in ("media_type", "data", "*")}


def test_synchronous_answer_is_the_outcome(home: Path, everything: Running) -> None:
    """The recording stands in the answer: nothing is looked at again, and its columns are filled."""
    end = ran(home / "jobs" / "speech.yaml", everything.url)

    assert all(outputs["audio_url"] and outputs["duration_s"] for outputs in end.outputs)
    assert {"audio_url", "duration_s"} <= set(end.columns)
    looks = {"GET /v3/users/me", "GET /v3/voices"}  # whose account, and which voices
    assert set(everything.report()["requests"]) - looks == {"POST /v3/voices/speech"}


def test_agents_links_come_from_its_video(home: Path, everything: Running) -> None:
    """A session only names its video; the links are asked for there."""
    end = ran(home / "jobs" / "video_agent.yaml", everything.url)

    assert all(outputs["video_id"] != outputs["session_id"] and outputs["video_url"] for outputs in end.outputs)


def test_v2_asks_singly_only_for_what_the_list_shows_as_finished(home: Path, everything: Running) -> None:
    """Lists of v1 carry states but no links: one page, then one look for each that is ready."""
    end = ran(home / "jobs" / "v2_template.yaml", everything.url)

    requests = everything.report()["requests"]
    assert all(outputs["video_url"] for outputs in end.outputs)
    assert requests["GET /v1/video_status.get"] <= 4


def test_v2_titles_carry_the_token(home: Path, everything: Running) -> None:
    """Without an idempotency key only the title can be searched."""
    ran(home / "jobs" / "v2_template.yaml", everything.url)

    titles = [charge["title"] for charge in everything.charges()]
    assert sorted(title.split(" [b")[0] for title in titles) == ["Invoice 4711", "Invoice 4712", "Invoice 4713"]
    assert all(title.endswith("]") for title in titles)


def test_lost_answers_of_v2_are_found_by_the_title(home: Path, make_simulator: Callable[..., Running]) -> None:
    """One answer in five is lost after the work was made and charged; a search finds it, and nothing is made twice."""
    lossy = make_simulator(hostile=frozenset({"v2=alive", "lost_answers"}), seed=5)
    lines = [f"{number},Ann,{number} EUR,soon" for number in range(5000, 5020)]
    text = "\n".join(["Invoice,First name,Amount,Due", *lines])
    (home / "sample_data" / "invoices.csv").write_text(text, encoding="utf-8")

    end = ran(home / "jobs" / "v2_template.yaml", lossy.url).ending

    seen = lossy.report()
    assert seen["faults"]["lost_answers"] >= 1
    assert end.tally.words["done"] == seen["creations"] == 20


def test_retired_version_says_what_to_use_instead(home: Path, make_simulator: Callable[..., Running]) -> None:
    """410 from v1/v2 stops before anything is sent, with the way out."""
    gone = make_simulator()

    with pytest.raises(Stopped, match=r"HeyGen has retired v1/v2; use heygen\.template"):
        ran(home / "jobs" / "v2_template.yaml", gone.url)
    assert not any(route.startswith("POST") for route in gone.report()["requests"])


def test_retired_streaming_names_liveavatar(home: Path, make_simulator: Callable[..., Running]) -> None:
    """An operation may be gone while its provider is well: its rows wait, and the run says why."""
    gone = make_simulator()
    end = ran(home / "jobs" / "streaming_token.yaml", gone.url).ending

    assert "use LiveAvatar" in end.reason
    assert end.tally.words["waiting"] == 2


def test_daily_limit_is_known_by_its_words(home: Path, everything: Running) -> None:
    """useapi.net gives no code: the sentence stops the run, and nothing is failed."""
    sheet = home / "sample_data" / "lines.csv"
    sheet.write_text(sheet.read_text(encoding="utf-8").replace("Your parcel", "[daily limit]"), encoding="utf-8")
    end = ran(home / "jobs" / "useapi_tts.yaml", everything.url).ending

    assert "run again tomorrow" in end.reason
    assert end.tally.words["failed"] == 0
    assert end.tally.words["waiting"] >= 1


def test_codes_stand_for_language_names(home: Path, everything: Running) -> None:
    """`es-ES` and `pt_BR` are sent under the names that HeyGen lists."""
    end = ran(home / "jobs" / "v2_translation.yaml", everything.url).ending

    assert end.tally.words["done"] == 3  # the API refuses every other spelling


LANGUAGES = [Choice(id=name, name=name) for name in ("Spanish", "Spanish (Spain)", "German", "Portuguese (Brazil)")]


@pytest.mark.parametrize(
    ("written", "meant"),
    [("es-ES", "Spanish (Spain)"), ("ES_es", "Spanish (Spain)"), ("de-DE", "German"), ("german", "German")],
)
def test_code_is_the_first_name_that_is_listed(written: str, meant: str) -> None:
    """A list without `German (Germany)` has `German` for de-DE."""
    codes = {"es-es": ("Spanish (Spain)", "Spanish"), "de-de": ("German (Germany)", "German")}

    assert Choices("languages", LANGUAGES, codes=codes).resolve(written) == meant


def test_unknown_code_suggests_the_language() -> None:
    """A code of a known language without a name of its own suggests that language's names."""
    codes = {"es-es": ("Spanish (Spain)",), "es": ("Spanish",)}

    with pytest.raises(ValueError, match=r"unknown language 'es-PE'; did you mean 'Spanish \(Spain\)' or 'Spanish'\?"):
        Choices("languages", LANGUAGES, codes=codes).resolve("es-PE")


def test_template_may_be_named(bind: Callable[..., BoundJob], make_row: Callable[..., dict[str, str]]) -> None:
    """A name stands for a template's id, in the address as well."""
    known = Choices("templates", [Choice(id="tpl_1", name="Welcome")])
    request = {"template_id": "welcome", "variables": {"name": "{{ name }}"}}
    bound = bind(make_row(), request=request, choices={"templates": known})

    assert next(bodies(bound))[0] == "/v3/templates/tpl_1"
    assert (
        extension_path(OPERATIONS["heygen.template"], request, resolve=lambda _, text: known.resolve(text))
        == "/v3/templates/tpl_1"
    )


def test_v2_variables_are_nested_and_named() -> None:
    """The plain form of the job becomes v2's: name, type, and everything else under properties."""
    bound = bound_job(ROOT / "jobs" / "v2_template.yaml")

    assert next(bodies(bound))[1]["variables"]["first_name"] == {
        "name": "first_name",
        "type": "text",
        "properties": {"content": "Anna"},
    }


def test_v2_media_keep_their_settings_under_properties(bind: Callable[..., BoundJob]) -> None:
    """An address and an asset's id go into different fields, with the fit beside them."""
    variables = {"logo": {"image": "{{ logo }}", "fit": "contain"}}
    request = {"template_id": "t", "variables": variables}
    bound = bind(
        {"id": "1", "logo": "https://x.example.com/a.png"}, {"id": "2", "logo": "asset7"},
        operation="heygen.v2.template", request=request,
    )  # fmt: skip

    assert [body["variables"]["logo"]["properties"] for _, body in bodies(bound)] == [
        {"url": "https://x.example.com/a.png", "fit": "contain"},
        {"asset_id": "asset7", "fit": "contain"},
    ]


def test_optional_media_leave_the_whole_variable_out(bind: Callable[..., BoundJob]) -> None:
    """An empty optional cell leaves no half of a nested variable behind."""
    variables = {"name": "{{ name }}", "logo": {"image": "{{ logo? }}", "fit": "contain"}}
    bound = bind(
        {"id": "1", "name": "Ann", "logo": ""},
        operation="heygen.v2.template", request={"template_id": "t", "variables": variables},
    )  # fmt: skip

    assert list(next(bodies(bound))[1]["variables"]) == ["name"]


@pytest.mark.parametrize(("limit", "flaws"), [(None, 1), (2000, 0)])
def test_text_limit_can_be_set(bind: Callable[..., BoundJob], limit: int | None, flaws: int) -> None:
    """Three numbers were documented for v2's texts: 1,500 unless the job says otherwise."""
    scene = {"voice": {"type": "text", "voice_id": "v", "input_text": "{{ text }}"}}
    bound = bind(
        {"id": "1", "text": "x" * 1600},
        operation="heygen.v2.video",
        request={"video_inputs": [scene]},
        settings={"text_limit": limit} if limit else None,
    )
    (task,) = (task for row in bound.rows() for task in bound.tasks(row))

    assert len(task.flaws) == flaws


def test_unknown_setting_names_the_nearest(make_job: Callable[..., Any]) -> None:
    """A mistyped setting is told at its place in the job."""
    job = make_job(operation="heygen.v2.video", request={"video_inputs": []}, settings={"text_limits": 9})

    with pytest.raises(
        InputError, match=r"settings\.text_limits: unknown setting 'text_limits'; did you mean 'text_limit'"
    ):
        find_operations(job)


def test_setting_of_another_kind_is_refused() -> None:
    """A limit that is no number would let everything through."""
    with pytest.raises(WrongSetting, match="not of the kind of its default, 1500"):
        with_settings(OPERATIONS["heygen.v2.video"], {"text_limit": "long"})


def test_idempotency_key_goes_into_the_body_where_the_api_wants_it_there() -> None:
    """Background removals know a repeated request by `request_id`, not by a header."""
    operation = OPERATIONS["heygen.background_removal"]
    body = {"video": {"type": "url", "url": "https://x.example.com/a.mp4"}}

    assert Finish(operation).body(body, key="b1-key", token="btoken")["request_id"] == "b1-key"
    assert Finish(operation).body({**body, "request_id": "mine"}, key="k", token="t")["request_id"] == "mine"
    assert "request_id" not in body


def test_token_is_left_out_of_forms_that_have_no_place_for_it() -> None:
    """A cinematic video has no callback_id: HeyGen would refuse the field."""
    operation = OPERATIONS["heygen.video"]
    cinematic = {"type": "cinematic_avatar", "prompt": "p", "avatar_id": ["a"]}

    assert Finish(operation).body(cinematic, key="k", token="t") == cinematic
    assert Finish(operation).body({"type": "image"}, key="k", token="t")["callback_id"] == "t"


@pytest.mark.parametrize(
    ("name", "body", "seconds", "cost"),
    [
        ("heygen.v2.template", {}, "31", 2.0),
        ("heygen.v2.template", {}, "30", 1.0),
        ("heygen.v2.translation", {"mode": "quality"}, "90", 9.0),
        ("heygen.photo_avatar", {}, "", 1.0),
        ("heygen.speech", {"text": "x" * 150}, "", 0.00667),
        ("heygen.lipsync", {"mode": "precision"}, "10.2", 0.7337),
    ],
)
def test_price_knows_its_steps(name: str, body: dict[str, str], seconds: str, cost: float) -> None:
    """v2 bills minutes in steps of thirty seconds, speech by the second, avatars by the piece."""
    tag = PriceTag(OPERATIONS[name].price, estimate_s=None)

    assert tag.final(body, duration_s=seconds) == pytest.approx(cost)


def test_every_price_is_dated() -> None:
    """A price without a date is a rumour."""
    for provider in built_in_providers():
        assert provider.prices_as_of or not any(op.price for op in provider.operations.values())


TEMPLATE = {
    "data": {
        "variables": {
            "first_name": {"type": "text", "content": "there"},
            "logo": {"type": "image", "asset": {"type": "url", "url": "https://x.example.com/l.png"}},
        }
    }
}


def faults(variables: Mapping[str, Any]) -> list[str]:
    """What the live template's schema says about a body with these variables."""
    body = extended_body(OPERATIONS["heygen.template"], TEMPLATE)
    return [fault.message for fault in Checker(body).faults({"variables": variables})]


def test_variable_that_the_template_lacks_names_the_nearest() -> None:
    """A mistyped variable is found before anything is sent."""
    assert faults({"fist_name": {"type": "text", "content": "Ann"}}) == [
        "unknown key 'fist_name'; did you mean 'first_name'?"
    ]


def test_variable_of_another_type_is_told_once() -> None:
    """A text where the template has a picture is one fault, not one for each field."""
    assert faults({"logo": {"type": "text", "content": "Ann"}}) == ["the template's 'logo' is of the type image"]


def test_live_template_still_checks_the_values() -> None:
    """Inside the right type everything holds that held before."""
    assert faults({"first_name": {"type": "text", "content": ""}}) == ["is empty"]
    assert faults({"first_name": {"type": "text", "content": "Ann"}}) == []


def test_forgotten_variables_are_listed() -> None:
    """What the job does not mention would silently stay as the template has it."""
    operation = OPERATIONS["heygen.template"]

    assert forgotten_entries(operation, TEMPLATE, {"variables": {"logo": None}}) == ("first_name",)
    assert forgotten_entries(operation, TEMPLATE, {"variables": {"logo": None, "first_name": "x"}}) == ()


def test_template_of_each_row_is_not_asked_for() -> None:
    """Only a template that is the same for every row can be looked at beforehand."""
    operation = OPERATIONS["heygen.template"]

    assert extension_path(operation, {"template_id": "tpl a"}) == "/v3/templates/tpl%20a"
    assert extension_path(operation, {"template_id": "{{ Template }}"}) == ""


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_operation_can_be_shown(name: str) -> None:
    """`batcher operations NAME` works for every operation."""
    from click.testing import CliRunner

    from batcher.cli.catalog import operations

    shown = CliRunner().invoke(operations, [name], standalone_mode=False)

    assert shown.exception is None
    assert OPERATIONS[name].title in shown.output


def test_simulator_refuses_what_the_strict_description_refuses() -> None:
    """The yardstick of this file measures: an extra field is found."""
    with pytest.raises(Refused, match="Extra inputs"):
        openapi.check(
            "POST /v3/lipsyncs",
            {"video": {"type": "url", "url": "https://x"}, "audio": {"type": "url", "url": "https://x"}, "speed": 1},
        )
