"""Which type the API wants at a place of the body, and a cell's text turned into it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from batcher.model import Json

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}\Z")
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?\Z")
_WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def wanted_types(schemas: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    """The JSON types allowed at a place; empty when anything is. An enumeration counts as the types of its members."""
    types: set[str] = set()
    for schema in schemas:
        declared = schema.get("type", ())
        types |= {declared} if isinstance(declared, str) else set(declared)
        if "type" not in schema and (
            values := schema.get("enum") or [schema["const"]] if "const" in schema or "enum" in schema else []
        ):
            types |= {"string" if isinstance(value, str) else "number" for value in values}
    return frozenset(types)


def enumerated(schemas: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Lower-case spelling to the API's own, for places where only certain words are allowed."""
    return {
        str(value).lower(): value for schema in schemas for value in schema.get("enum", ()) if isinstance(value, str)
    }


def typed(text: str, types: frozenset[str]) -> Json:
    """
    A cell's text as the type that the API wants.

    Raises:
        ValueError: It cannot be read as such; the message says what was expected.
    """
    if not types or "string" in types:
        return text
    trimmed = text.strip()
    if "integer" in types or "number" in types:
        if _INTEGER.match(trimmed):
            return int(trimmed)
        if "number" in types and _NUMBER.match(trimmed):
            return float(trimmed)
        raise ValueError(f"'{text}' is not a {'number' if 'number' in types else 'whole number'}")
    if "boolean" in types:
        if trimmed.lower() in _WORDS:
            return _WORDS[trimmed.lower()]
        raise ValueError(f"'{text}' is neither true nor false")
    return text
