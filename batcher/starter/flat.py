"""What a body's schema says at one place, with unions decided: by what is fixed, otherwise for their first form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from batcher.errors import InputError, Problem
from batcher.model import Json

Fixed = Mapping[str, str]
"""Dotted place in the request to the text that is the same for every row."""

OTHERS = "others"
"""The key of a flat schema for what must not stand beside the form that was chosen."""


def dotted(path: Sequence[str | int]) -> str:
    """A place as a person writes it: `voice_settings.speed`."""
    return ".".join(str(part) for part in path)


def flat_schema(root: Mapping[str, Any], schema: Json, path: Sequence[str | int], fixed: Fixed) -> dict[str, Any]:
    """
    One schema without references, `allOf` and unions.

    Args:
        root: The schema of the whole body, with its `$defs`.
        schema: The schema at the place.
        path: The place.
        fixed: What decides unions: the form whose constants agree, and that has what is fixed.

    Raises:
        InputError: No form agrees with what is fixed.
    """
    flat: dict[str, Any] = {}
    while isinstance(schema, Mapping) and "$ref" in schema:
        _lay(flat, {key: value for key, value in schema.items() if key != "$ref"})
        schema = root["$defs"][schema["$ref"].rsplit("/", 1)[-1]]
    if not isinstance(schema, Mapping):
        return flat
    unions = [schema.get("oneOf", ()), schema.get("anyOf", ())]
    unions.append([each["then"] for each in schema.get("allOf", ()) if "then" in each])
    _lay(flat, {key: value for key, value in schema.items() if key not in ("oneOf", "anyOf", "allOf", "if", "then")})
    for branch in schema.get("allOf", ()):
        if "then" not in branch:
            _lay(flat, flat_schema(root, branch, path, fixed))
    for union in unions:
        if union:
            forms = [flat_schema(root, each, path, fixed) for each in union]
            chosen = _chosen(forms, path, fixed)
            _lay(flat, chosen)
            _lay(flat, {OTHERS: _others(forms, chosen)})
    return flat


def _others(forms: Sequence[dict[str, Any]], chosen: dict[str, Any]) -> list[str]:
    """What the other forms of an "exactly one of" are about."""
    if any("properties" in form for form in forms):
        return []
    names = [name for form in forms for name in form.get("required", ())]
    return [name for name in names if name not in chosen.get("required", ())]


def _lay(flat: dict[str, Any], more: Mapping[str, Any]) -> None:
    """Add to a schema; what it says already about itself stays, what is said about its parts comes together."""
    for key, value in more.items():
        if key in ("required", OTHERS):
            flat[key] = list(dict.fromkeys([*flat.get(key, ()), *value]))
        elif key == "properties":
            before = flat.get(key, {})
            flat[key] = {**before, **{name: _both(before.get(name), each) for name, each in value.items()}}
        else:
            flat.setdefault(key, value)


def _both(before: Json, more: Json) -> Json:
    return {**before, **more} if isinstance(before, Mapping) and isinstance(more, Mapping) else more


def _chosen(forms: Sequence[dict[str, Any]], path: Sequence[str | int], fixed: Fixed) -> dict[str, Any]:
    agreeing = [form for form in forms if _agrees(form, path, fixed)]
    if not agreeing:
        place, words = _decider(forms, path, fixed)
        message = f"'{fixed[place]}' is none of {', '.join(words)}"
        raise InputError(Problem(where=f"--set {place}", message=message))
    return max(agreeing, key=lambda form: sum(dotted((*path, name)) in fixed for name in form.get("required", ())))


def constants(form: Mapping[str, Any]) -> dict[str, str]:
    """The keys that can hold but one text in this form, such as `type`."""
    properties = form.get("properties", {}).items()
    found = {name: each["const"] for name, each in properties if isinstance(each, Mapping) and "const" in each}
    return {name: word for name, word in found.items() if isinstance(word, str)}


def _agrees(form: Mapping[str, Any], path: Sequence[str | int], fixed: Fixed) -> bool:
    return all(fixed.get(dotted((*path, name)), word) == word for name, word in constants(form).items())


def _decider(forms: Sequence[Mapping[str, Any]], path: Sequence[str | int], fixed: Fixed) -> tuple[str, list[str]]:
    """The fixed place with which no form agrees, and the words that would do."""
    found: dict[str, list[str]] = {}
    for form in forms:
        for name, word in constants(form).items():
            found.setdefault(dotted((*path, name)), []).append(word)
    return next((place, words) for place, words in found.items() if place in fixed and fixed[place] not in words)
