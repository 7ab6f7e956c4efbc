"""The catalogue's YAML files into providers, each checked when it is loaded."""

from __future__ import annotations

from pathlib import Path

import pytest
from jsonschema_rs import validator_for

from batcher.catalog.body import schemas_at
from batcher.catalog.load import FOLDER, built_in_providers, load_provider, provider_of
from batcher.catalog.model import Kind, Operation, Provider
from batcher.errors import InputError
from batcher.mapping.tree import matches

PROVIDERS = built_in_providers()
OPERATIONS = [(provider, operation) for provider in PROVIDERS for operation in provider.operations.values()]
EACH = pytest.mark.parametrize(
    ("provider", "operation"), OPERATIONS, ids=[operation.name for _, operation in OPERATIONS]
)

SMALL = """\
provider: acme
title: Acme
base_url: https://api.acme.example/
sign_in: {variable: ACME_KEY, header: Authorization, value: "Bearer {key}"}
errors:
  message: error.message
settle:
  render:
    word: status
    done: status == 'ready'
    failed: status == 'broken'
    outputs: {video_id: id, video_url: url}
    get: {path: "/renders/{id}", item: "@"}
operations:
  acme.render:
    title: Render
    submit: {path: /renders, id: id}
    repeat: {free: true}
    settle: render
    body:
      type: object
      additionalProperties: false
      properties: {script: {type: string}}
"""


def load(folder: Path, text: str) -> Provider:
    """A provider file of this text."""
    path = folder / "acme.yaml"
    path.write_text(text)
    return load_provider(path)


def refusal(folder: Path, text: str) -> list[str]:
    """What is said about a provider file that must be refused."""
    with pytest.raises(InputError) as caught:
        load(folder, text)
    return [str(problem) for problem in caught.value.problems]


def test_the_first_three_operations_are_there() -> None:
    """Templates, avatar videos and translations."""
    for name in ("heygen.template", "heygen.video", "heygen.translation"):
        provider = provider_of(name)
        assert provider is not None
        assert provider.operations[name].name == name
    assert provider_of("heygen.nothing") is None


def test_every_file_of_the_catalogue_is_loaded() -> None:
    """A new provider needs no Python."""
    assert len(PROVIDERS) == len(list(FOLDER.glob("*.yaml")))
    names = [operation.name for _, operation in OPERATIONS]
    assert len(names) == len(set(names))


def test_a_small_description_is_enough(tmp_path: Path) -> None:
    """What is left out has a value that is safe."""
    provider = load(tmp_path, SMALL)
    operation = provider.operations["acme.render"]
    assert (provider.base_url, provider.in_flight, provider.submissions) == ("https://api.acme.example", None, ())
    assert (operation.price, operation.token_field, operation.repeat.key_header, operation.repeat.free) == (
        None,
        "",
        "",
        True,
    )
    assert operation.settle is not None
    assert operation.settle.columns == ("video_id", "video_url")


@pytest.mark.parametrize(
    ("before", "after", "place", "said"),
    [
        ("    done: status == 'ready'", "    done: status == ", "acme.yaml:10:5", "is not a JMESPath expression"),
        ("    settle: render", "    settle: rendr", "acme.yaml:19:5", "did you mean 'render'?"),
        ("    repeat: {free: true}\n", "", "acme.yaml:15:3", "'repeat' is missing"),
        ("    title: Render", "    titel: Render", "acme.yaml:16:5", "unknown key 'titel'; did you mean 'title'?"),
        ("base_url: https", "base_url: ftp", "acme.yaml:3:1", "base_url"),
        (
            "  message: error.message",
            "  message: error.message\n  kinds: [{kind: explode, codes: [x]}]",
            "acme.yaml:7:",
            "'explode' is not one of",
        ),
        ("settle:\n", "limits: {submissions: fast}\nsettle:\n", "acme.yaml:7:", "is not a rate"),
    ],
)
def test_a_broken_description_is_told_with_its_place(
    tmp_path: Path, before: str, after: str, place: str, said: str
) -> None:
    """File, line and what was expected: the catalogue is written by people."""
    assert before in SMALL
    found = refusal(tmp_path, SMALL.replace(before, after))
    assert any(each.startswith(place) and said in each for each in found), found


@EACH
def test_bodies_have_sound_schemas(provider: Provider, operation: Operation) -> None:
    """They compile, and no form of them takes unknown keys."""
    validator_for(operation.body)
    forms = [each.get("then", each) for key in ("oneOf", "allOf") for each in operation.body.get(key, ())]
    resolved = [operation.body["$defs"][form["$ref"].rsplit("/", 1)[-1]] if "$ref" in form else form for form in forms]
    closed = [form.get("additionalProperties") is False for form in resolved if form.get("properties")]
    assert operation.body.get("additionalProperties") is False or (closed and all(closed))


@EACH
def test_fields_that_are_named_exist_in_the_body(provider: Provider, operation: Operation) -> None:
    """Token, title, shapes and choices point at places that the schema knows."""
    for field in filter(None, (operation.token_field, operation.title_field)):
        assert schemas_at(operation.body, field.split("."), None), field
    for pattern in (*operation.shape, *operation.choices):
        path = [0 if part == "*" and "items" in str(operation.body) else part for part in pattern.split(".")]
        named = schemas_at(operation.body, path, None) or schemas_at(operation.body, pattern.split("."), None)
        assert named or pattern in operation.path_fields or "*" in pattern, pattern


@EACH
def test_a_lost_answer_has_a_way_out(provider: Provider, operation: Operation) -> None:
    """The same key again, a search for a token that the body can carry, or a repeat that costs nothing."""
    repeat = operation.repeat
    if repeat.find:
        assert operation.settle is not None
        assert operation.token_field or operation.title_field
    if repeat.key_header:
        assert repeat.key_hours > 1


@EACH
def test_columns_and_links_are_outputs(provider: Provider, operation: Operation) -> None:
    """A link that expires has a column; outputs never have the name of a column that is always there."""
    from batcher.layout import AFTER, BEFORE

    settle = operation.settle
    if settle:
        assert set(settle.link_columns) <= set(settle.outputs)
        assert not set(settle.columns) & {*BEFORE, *AFTER}


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda each: each.name)
def test_every_refusal_that_stops_the_run_says_what_to_do(provider: Provider) -> None:
    """A stopped run leaves a person with one sentence."""
    rules = [rule for rule in provider.errors.rules.values() if rule.kind is Kind.STOP]
    assert all(rule.advice for rule in rules)


def test_patterns_name_paths() -> None:
    """`*` is any one key or index."""
    assert matches("variables.*", ("variables", "name"))
    assert matches("scenes.*.source", ("scenes", 3, "source"))
    assert not matches("variables.*", ("variables",))
    assert not matches("variables.*", ("variables", "a", "b"))
