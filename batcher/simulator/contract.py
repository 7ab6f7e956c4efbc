"""HeyGen's own description of its API, made strict: what a request body may hold."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

import jsonschema_rs

from batcher.simulator.limits import LIMITS, NAMED
from batcher.simulator.wire import Json, Refused, invalid

Schema = dict[str, Any]


@cache
def description() -> dict[str, Any]:
    """Return the OpenAPI document that the official client was generated from."""
    text = resources.files("batcher.simulator").joinpath("heygen-v3.openapi.json").read_text(encoding="utf-8")
    document: dict[str, Any] = json.loads(text)
    return document


def check(operation: str, body: Json) -> None:
    """
    Refuse a body that the operation does not describe.

    Args:
        operation: Method and path such as `POST /v3/videos`.
        body: As it was sent.

    Raises:
        Refused: 400 `invalid_parameter` with the field in `param`.
    """
    error = next(iter(_validator(operation).iter_errors(body)), None)
    if error is not None:
        raise _refusal(error)


def check_against(schema: str, body: Json, *, param: str) -> None:
    """Refuse a value that one of the named schemas of `LIMITS` does not describe; `param` is where it stands."""
    error = next(iter(_named_validator(schema).iter_errors(body)), None)
    if error is not None:
        raise _refusal(error, below=param)


def strict(schema: Schema) -> Schema:
    """
    Return the schema without its loopholes.

    Objects that list their properties allow no others (the API answers "Extra inputs are not permitted"), unions are
    decided by their `type` so that an error names the field and not just the union.
    """
    if "oneOf" in schema:
        return _union(schema["oneOf"])
    made = {name: value for name, value in schema.items() if name not in ("description", "default")}
    if made.get("properties"):
        made["properties"] = {name: strict(value) for name, value in made["properties"].items()}
        for name, value in schema["properties"].items():
            word = _discriminating_word(name, value, schema["properties"])
            if word is not None:
                made["properties"][name] = {"const": word}
        made["additionalProperties"] = False
    if "items" in made:
        made["items"] = strict(made["items"])
    return made


def response_schema(operation: str, status: int = 200) -> Schema | None:
    """Return what the operation answers, made strict; None when the description does not say."""
    method, path = operation.split(" ")
    answer = description()["paths"][path][method.lower()]["responses"].get(str(status), {})
    schema = answer.get("content", {}).get("application/json", {}).get("schema")
    return strict(schema) if schema else None


def _union(variants: list[Schema]) -> Schema:
    """Return a schema that is decided by the discriminating field of its variants."""
    objects = [strict(variant) for variant in variants if variant.get("type") != "null"]
    nullable = len(objects) < len(variants)
    field = next((name for name, value in objects[0]["properties"].items() if "const" in value), None)
    if field is None:
        return {"anyOf": [strict(variant) for variant in variants]}
    words = [variant["properties"][field]["const"] for variant in objects]
    return {
        "type": ["object", "null"] if nullable else "object",
        "required": [field],
        "properties": {field: {"enum": words}},
        "allOf": [
            {"if": {"type": "object", "required": [field], "properties": {field: {"const": word}}}, "then": variant}
            for word, variant in zip(words, objects, strict=True)
        ],
    }


def _discriminating_word(name: str, value: Schema, siblings: Mapping[str, Schema]) -> str | None:
    """Return the one word that a discriminating field must hold: the description names it only in its prose."""
    prose = value.get("description", "")
    if name not in ("type", "engine_type") or "enum" in value:
        return None
    stated = re.search(r"(?:Must be|Always) '(\w+)'", prose)
    if stated:
        return stated[1]
    if prose == "Input type discriminator":
        return "url" if "url" in siblings else "asset_id" if "asset_id" in siblings else "base64"
    return None


@cache
def _validator(operation: str) -> jsonschema_rs.Validator:
    """Return the validator of an operation's body, narrowed by what only the documentation's text says."""
    method, path = operation.split(" ")
    content = description()["paths"][path][method.lower()]["requestBody"]["content"]
    schema = strict(content["application/json"]["schema"])
    for place, limits in LIMITS.get(operation, {}).items():
        if not _narrow(schema, place.split("."), limits):
            raise LookupError(f"{operation} has no field {place}")
    return jsonschema_rs.validator_for(schema)


@cache
def _named_validator(name: str) -> jsonschema_rs.Validator:
    return jsonschema_rs.validator_for(strict(NAMED[name]))


def _narrow(schema: Schema, place: list[str], limits: Mapping[str, Json]) -> bool:
    """Add limits to a field, in every variant of a union that has it; return whether any had."""
    if not place:
        schema.update(limits)
        return True
    found = False
    for variant in schema.get("allOf", ()):
        found |= _narrow(variant["then"], place, limits)
    if place[0] == "[]" and "items" in schema:
        found |= _narrow(schema["items"], place[1:], limits)
    elif place[0] in schema.get("properties", {}) and "allOf" not in schema:
        found |= _narrow(schema["properties"][place[0]], place[1:], limits)
    return found


def _refusal(error: jsonschema_rs.ValidationError, *, below: str = "") -> Refused:
    """Return the refusal in the words of the API's own validation."""
    path = [below] if below else []
    path += [str(part) for part in error.instance_path]
    message = error.message
    match error.kind:
        case jsonschema_rs.ValidationErrorKind.AdditionalProperties(unexpected=[name, *_]):
            path.append(name)
            message = "Extra inputs are not permitted"
        case jsonschema_rs.ValidationErrorKind.Required(property=name):
            path.append(name)
            message = "Field required"
    return invalid(message[:300], param=".".join(path) or None)
