"""What a body's schema says at a place of the body, and whether it is a schema that says something."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from batcher.model import Json
from batcher.schema import Fault, Path, unknown_key

KEYWORDS = (
    *("type", "enum", "const", "properties", "required", "additionalProperties", "items", "oneOf", "anyOf", "allOf"),
    *("not", "if", "then", "else", "minLength", "maxLength", "pattern", "minimum", "maximum", "exclusiveMinimum"),
    *("exclusiveMaximum", "multipleOf", "minItems", "maxItems", "uniqueItems", "contains", "minContains"),
    *("maxContains", "prefixItems", "minProperties", "maxProperties", "propertyNames", "patternProperties"),
    *("dependentRequired", "dependentSchemas", "$ref", "$defs", "unlike", "title", "description", "examples"),
    *("default", "format", "deprecated"),
)
"""The words of JSON Schema that a body may use, and our `unlike`. JSON Schema itself lets any other pass in silence."""

_ONE = ("not", "if", "then", "else", "items", "additionalProperties", "contains", "propertyNames")
_LISTS = ("oneOf", "anyOf", "allOf", "prefixItems")
_NAMED = ("properties", "$defs", "patternProperties", "dependentSchemas")
_REFERENCE = re.compile(r"#/\$defs/[^/]+\Z")


def schemas_at(schema: Mapping[str, Any], path: Sequence[str | int], tree: Json) -> list[Mapping[str, Any]]:
    """
    The schemas that may hold at a place of the body.

    Args:
        schema: The schema of the whole body, with its `$defs`.
        path: The place; `*` is any key or index.
        tree: The request as far as it is fixed: branches whose constants disagree with it are left out.
    """
    current = _branches(schema, schema, tree)
    for part in path:
        tree = _child(tree, part)
        current = [
            branch for each in current for inner in _under(each, part) for branch in _branches(schema, inner, tree)
        ]
    return current


def has_place(schema: Mapping[str, Any], path: Sequence[str | int]) -> bool:
    """Whether the body can have something at a place; a part that is left open can have anything."""
    for depth in range(len(path)):
        above = schemas_at(schema, path[:depth], None)
        if above and not any(key in each for each in above for key in ("properties", "items", "additionalProperties")):
            return True
    return bool(schemas_at(schema, path, None))


def _child(tree: Json, part: str | int) -> Json:
    if isinstance(tree, dict):
        return tree.get(part)
    if isinstance(tree, list) and isinstance(part, int) and part < len(tree):
        return tree[part]
    return None


def _under(schema: Mapping[str, Any], part: str | int) -> list[Any]:
    properties = schema.get("properties", {})
    if part == "*":
        return [*properties.values(), schema.get("additionalProperties"), schema.get("items")]
    if isinstance(part, int):
        return [schema.get("items")]
    return [properties.get(part, schema.get("additionalProperties"))]


def _branches(root: Mapping[str, Any], schema: Any, tree: Json) -> list[Mapping[str, Any]]:
    while isinstance(schema, Mapping) and "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rsplit("/", 1)[-1]]
    if not isinstance(schema, Mapping):
        return []
    found: list[Mapping[str, Any]] = [schema]
    for keyword in ("oneOf", "anyOf", "allOf"):
        for branch in schema.get(keyword, ()):
            found.extend(each for each in _branches(root, branch, tree) if _agrees(each, tree))
    found.extend(each for each in _branches(root, schema.get("then"), tree) if _agrees(each, tree))
    return found


def _agrees(branch: Mapping[str, Any], tree: Json) -> bool:
    if not isinstance(tree, dict):
        return True
    for key, schema in branch.get("properties", {}).items():
        fixed = tree.get(key)
        if isinstance(schema, Mapping) and "const" in schema and isinstance(fixed, str) and fixed != schema["const"]:
            return False
    return True


def empty_words(schema: Any, settings: Collection[str], path: Path = (), keys: Collection[str] = ()) -> Iterator[Fault]:
    """
    What a JSON Schema says without effect: words that it does not know, and names of fields that are not there.

    Args:
        schema: The body's schema, its settings not filled in.
        settings: Their names.
        path: Where it stands.
        keys: The fields of the object around it, where no others are allowed.
    """
    if not isinstance(schema, dict):
        return
    if schema.get("additionalProperties") is False:
        keys = [*schema.get("properties", {}), *schema.get("patternProperties", {})]
    for word, value in schema.items():
        place = (*path, word)
        if word not in KEYWORDS:
            said = unknown_key(word, KEYWORDS).split("; known keys", 1)[0]
            yield Fault(path=place, message=f"{said} (words of JSON Schema are wanted here)")
        elif word == "$ref" and not (isinstance(value, str) and _REFERENCE.match(value)):
            yield Fault(path=place, message="must be #/$defs/ and a name of `definitions`")
        elif word in ("required", "dependentRequired"):
            yield from _empty_names(value, place, keys)
        elif word not in _NAMED and isinstance(value, str) and _is_lost(value, settings, word):
            said = unknown_key(value[1:], settings).replace("unknown key", "unknown setting", 1)
            yield Fault(path=place, message=said.replace("known keys are", "there are", 1))
        yield from _inside(word, value, settings, place, keys)


def _inside(word: str, value: Any, settings: Collection[str], place: Path, keys: Collection[str]) -> Iterator[Fault]:
    if word in _NAMED and isinstance(value, dict):
        for name, each in value.items():
            yield from empty_words(each, settings, (*place, name), keys if word == "dependentSchemas" else ())
    elif word in _LISTS and isinstance(value, list):
        for index, each in enumerate(value):
            yield from empty_words(each, settings, (*place, index), () if word == "prefixItems" else keys)
    elif word in _ONE:
        same = word in ("not", "if", "then", "else")
        yield from empty_words(value, settings, place, keys if same else ())


def _empty_names(value: Any, place: Path, keys: Collection[str]) -> Iterator[Fault]:
    for name in value if isinstance(value, list) else ():
        if keys and name not in keys:
            said = unknown_key(str(name), keys).replace("unknown key", "there is no field", 1)
            yield Fault(path=place, message=said.replace("known keys are", "there are", 1))


def _is_lost(value: str, settings: Collection[str], word: str) -> bool:
    """A text that looks like a setting and is none."""
    named = word not in ("$ref", "pattern", "description", "title", "unlike") and re.match(r"\$\w+\Z", value)
    return bool(named) and value[1:] not in settings
