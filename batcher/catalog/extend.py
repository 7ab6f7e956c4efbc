"""A body's schema, extended by what the API itself says about a template: its variables and their types."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

from batcher.catalog.model import Extends, Operation
from batcher.catalog.pick import as_text
from batcher.model import Json


def extension_path(
    operation: Operation, request: Mapping[str, Json], *, resolve: Callable[[str, str], str] = lambda _, text: text
) -> str:
    """
    What to ask the API for; empty when there is nothing to ask, or when each row has a template of its own.

    Args:
        operation: What is asked for.
        request: The job's request.
        resolve: The id that is meant by a text, given the name of its choice list; raises ValueError for none.
    """
    if operation.extends is None:
        return ""
    fixed: dict[str, str] = {}
    for name in operation.path_fields:
        value = request.get(name)
        if not isinstance(value, str | int) or "{{" in str(value):
            return ""
        kind = operation.choices.get(name, "")
        text = str(value).strip()
        fixed[name] = quote(resolve(kind, text) if kind else text, safe="")
    return operation.extends.path.format(**fixed)


def live_entries(operation: Operation, answer: Json) -> dict[str, str]:
    """Name to type of the entries that the live answer has; an empty type where it tells none."""
    extends = operation.extends
    return dict(_entries(extends, answer)) if extends else {}


def _entries(extends: Extends, answer: Json) -> Iterator[tuple[str, str]]:
    found = extends.entries.find(answer)
    if isinstance(found, dict):
        pairs = [(str(name), item) for name, item in found.items()]
    elif isinstance(found, list):
        pairs = [(as_text(extends.name.find(item)) if extends.name else as_text(item), item) for item in found]
    else:
        return
    for name, item in pairs:
        if name:
            yield name, as_text(extends.type.find(item)) if extends.type else ""


def extended_body(operation: Operation, answer: Json) -> Json:
    """
    The schema of the body in which exactly the entries of the live answer are allowed, each of its own type.

    An entry that is left out keeps what the template says, so none is required: see `forgotten_entries`. An answer of
    another form leaves the schema as it is.
    """
    extends = operation.extends
    entries = live_entries(operation, answer)
    if extends is None or not entries:
        return operation.body
    body = copy.deepcopy(operation.body)
    field = body["properties"][extends.field]
    usual = field.get("additionalProperties", {})
    field["properties"] = {name: _typed(usual, extends.by, name, kind) for name, kind in entries.items()}
    field["additionalProperties"] = False
    return body


def _typed(usual: Json, by: str, name: str, kind: str) -> dict[str, Any]:
    """The usual schema of an entry; a wrong type is told as such, and nothing else about it is."""
    if not kind:
        return {"allOf": [usual]}
    is_kind = {"properties": {by: {"const": kind}}}
    told = {"const": kind, "unlike": f"the template's '{name}' is of the type {kind}"}
    return {"type": "object", "properties": {by: told}, "if": is_kind, "then": usual}


def forgotten_entries(operation: Operation, answer: Json, request: Mapping[str, Json]) -> tuple[str, ...]:
    """
    The entries of the live answer that the job does not mention, in the answer's order.

    `logo:` with nothing behind it mentions the entry and leaves it as the template has it.
    """
    mentioned = _mentioned(operation, request)
    return tuple(name for name in live_entries(operation, answer) if name not in mentioned)


def unknown_entries(operation: Operation, answer: Json, request: Mapping[str, Json]) -> tuple[str, ...]:
    """The entries that the job mentions and the live answer does not have."""
    known = live_entries(operation, answer)
    return tuple(name for name in _mentioned(operation, request) if name not in known)


def _mentioned(operation: Operation, request: Mapping[str, Json]) -> Mapping[str, Json]:
    given = request.get(operation.extends.field) if operation.extends else None
    return given if isinstance(given, dict) else {}
