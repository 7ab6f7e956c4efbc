"""JSON Schema findings in words for people."""

from __future__ import annotations

from typing import Any

import pytest

from batcher.schema import Checker, unknown_key


def said(schema: dict[str, Any], value: Any) -> list[str]:
    """The messages about a value, with their dotted path before them."""
    return [
        f"{'.'.join(map(str, fault.path))}: {fault.message}".removeprefix(": ")
        for fault in Checker(schema).faults(value)
    ]


@pytest.mark.parametrize(
    ("schema", "value", "message"),
    [
        ({"type": "string"}, 12, "'12' is not a text"),
        ({"type": "integer"}, "x", "'x' is not a whole number"),
        ({"type": "integer"}, "12", "'12' is not a whole number; write it without quotes"),
        ({"type": "integer"}, "012", "'012' is not a whole number"),
        ({"type": "boolean"}, "true", "'true' is not true or false; write it without quotes"),
        ({"type": "object"}, "", "is empty; a group of keys is wanted"),
        ({"type": "object"}, None, "is empty; a group of keys is wanted"),
        ({"type": ["string", "number"]}, [], "'[]' is not a number or a text"),
        ({"enum": ["ask", "resend"]}, "maybe", "'maybe' is not one of: ask, resend"),
        ({"const": "url"}, "x", "'x' is not 'url'"),
        ({"maxLength": 5000}, "x" * 5001, "has 5,001 characters; 5,000 are allowed"),
        ({"minLength": 1}, "", "is empty"),
        ({"minLength": 3}, "ab", "has 2 characters; at least 3 are needed"),
        ({"maxItems": 1}, [1, 2], "has 2 entries; 1 are allowed"),
        ({"minItems": 1}, [], "is empty"),
        ({"minProperties": 1}, {}, "is empty"),
        ({"maxProperties": 1}, {"a": 1, "b": 2}, "has 2 keys; 1 are allowed"),
        ({"maximum": 1.5}, 3, "3 is more than 1.5"),
        ({"minimum": 0.5}, 0.1, "0.1 is less than 0.5"),
        ({"required": ["file"]}, {}, "'file' is missing"),
    ],
)
def test_each_kind_of_fault_has_plain_words(schema: dict[str, Any], value: Any, message: str) -> None:
    """A person reads what is wrong and what was expected, not the schema's own language."""
    assert said(schema, value) == [message]


def test_a_schema_may_bring_its_own_sentence() -> None:
    """Patterns and unions have no good words of their own."""
    schema = {"properties": {"url": {"pattern": "^https://", "unlike": "must begin with https://"}}}
    assert said(schema, {"url": "http://x"}) == ["url: must begin with https://"]


def test_a_missing_key_is_named_before_any_own_sentence() -> None:
    """The sentence is about the form as a whole; the key is what to write."""
    schema = {"required": ["a"], "oneOf": [{"required": ["b"]}, {"required": ["c"]}], "unlike": "needs either b or c"}
    assert said(schema, {}) == ["'a' is missing", "needs either b or c"]


def test_an_unknown_key_names_the_nearest() -> None:
    """The key is kept apart from the path, so that its own place can be shown."""
    schema = {"additionalProperties": False, "properties": {"script": {}, "title": {}}}
    (fault,) = Checker(schema).faults({"scrpt": 1})
    assert (fault.path, fault.unknown_key) == ((), "scrpt")
    assert fault.message == "unknown key 'scrpt'; did you mean 'script'?"


def test_an_unknown_key_without_a_near_one_lists_all() -> None:
    """When nothing is near, the whole choice helps more than a guess."""
    assert unknown_key("xyz", ["script", "title"]) == "unknown key 'xyz'; known keys are: script, title"


def test_all_faults_are_found_at_once() -> None:
    """Nobody mends a file one message at a time."""
    schema = {"additionalProperties": False, "required": ["a"], "properties": {"a": {}, "n": {"type": "integer"}}}
    assert sorted(said(schema, {"n": "x", "b": 1, "c": 2})) == [
        "'a' is missing",
        "n: 'x' is not a whole number",
        "unknown key 'b'; known keys are: a, n",
        "unknown key 'c'; known keys are: a, n",
    ]


def test_of_a_union_the_nearest_form_is_explained() -> None:
    """The form that the discriminating key names is the one whose complaint helps."""
    forms = [
        {
            "required": ["type", "url"],
            "properties": {"type": {"const": "url"}, "url": {"pattern": "^https://", "unlike": "no address"}},
        },
        {"required": ["type", "asset_id"], "properties": {"type": {"const": "asset_id"}}},
    ]
    assert said({"oneOf": forms}, {"type": "url", "url": "x"}) == ["url: no address"]
    assert said({"oneOf": forms}, {"type": "asset_id"}) == ["'asset_id' is missing"]


def test_a_long_value_is_shortened() -> None:
    """A message never quotes a whole script."""
    (message,) = said({"type": "integer"}, "x" * 1000)
    assert len(message) < 80
