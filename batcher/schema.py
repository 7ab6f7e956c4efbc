"""JSON Schema checks whose findings are worded for people; the only room that knows jsonschema-rs."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct

from batcher.model import Json

Path = tuple[str | int, ...]


class Fault(Struct, frozen=True, kw_only=True):
    """
    One way in which a value does not fit its schema.

    Attributes:
        path: Keys and indexes from the root of the value to the place.
        message: What is wrong and what was expected, without the place.
        unknown_key: The key that has no business at `path`; empty for other faults.
        missing_key: The key that is wanted at `path` and not there; empty for other faults.
    """

    path: Path
    message: str
    unknown_key: str = ""
    missing_key: str = ""


class Checker:
    """
    A compiled JSON Schema.

    Args:
        schema: JSON Schema, draft 2020-12. A schema with a key `unlike` beside it carries the sentence to say
            when it is the one that fails (`oneOf`, `not`, `pattern` and the like have no good words of their own).
    """

    def __init__(self, schema: Json) -> None:
        import jsonschema_rs

        self._schema = schema
        self._validator = jsonschema_rs.validator_for(schema)

    def faults(self, value: Json) -> list[Fault]:
        """All faults of `value`; empty when it fits."""
        try:
            if self._validator.is_valid(value):
                return []
            errors = list(self._validator.iter_errors(value))
        except UnicodeEncodeError:
            return list(_half_characters(value, ()))
        return [fault for error in errors for fault in self._translate(error)]

    def _translate(self, error: Any) -> Iterable[Fault]:
        path: Path = tuple(error.instance_path)
        kind = error.kind.as_dict()
        name = error.kind.name
        if name == "additionalProperties":
            known = self._known_keys(error.schema_path[:-1])
            for key in kind["unexpected"]:
                yield Fault(path=path, message=unknown_key(key, known), unknown_key=key)
            return
        if name == "propertyNames":
            path = (*path, str(kind["error"].instance))
        sentence = self._own_sentence(error.schema_path[:-1])
        if sentence and name != "required":  # which key is missing says more
            yield Fault(path=path, message=sentence)
            return
        if name in ("oneOf", "anyOf"):
            yield from self._nearest_branch(error, path)
            return
        yield Fault(
            path=path,
            message=_plain_words(name, kind, error),
            missing_key=kind["property"] if name == "required" else "",
        )

    def _at(self, schema_path: Sequence[str | int]) -> Any:
        node: Any = self._schema
        for part in schema_path:
            try:
                node = node[part]
            except (LookupError, TypeError):
                return {}
            while isinstance(node, dict) and "$ref" in node:
                node = self._schema["$defs"][node["$ref"].rsplit("/", 1)[-1]]
        return node

    def _known_keys(self, schema_path: Sequence[str | int]) -> list[str]:
        node = self._at(schema_path)
        return list(node.get("properties", {})) if isinstance(node, dict) else []

    def _own_sentence(self, schema_path: Sequence[str | int]) -> str:
        node = self._at(schema_path)
        return str(node.get("unlike", "")) if isinstance(node, dict) else ""

    def _nearest_branch(self, error: Any, path: Path) -> Iterable[Fault]:
        """The branch that fits best is the one whose complaints help; a wrong discriminator is never that one."""
        branches = error.kind.as_dict().get("context") or []
        best = min((b for b in branches if b), key=_distance, default=None)
        if best is None:
            yield Fault(path=path, message="fits more than one of the allowed forms; say which with its keys")
            return
        for inner in best:
            yield from self._translate(inner)


def misfit_of(schema: Json) -> Fault | None:
    """The place where a JSON Schema is none; None when it is one."""
    import jsonschema_rs

    try:
        jsonschema_rs.meta.validate(schema)
    except jsonschema_rs.ValidationError as error:
        words = _plain_words(error.kind.name, error.kind.as_dict(), error)
        return Fault(path=tuple(error.instance_path), message=f"is not JSON Schema: {words}")
    return None


def _half_characters(value: Json, path: Path) -> Iterable[Fault]:
    """Texts with half of a surrogate pair: they have no form in UTF-8, so nothing can be sent with them."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _half_characters(key, path)
            yield from _half_characters(each, (*path, key))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _half_characters(each, (*path, index))
    elif isinstance(value, str) and any("\ud800" <= char <= "\udfff" for char in value):
        yield Fault(path=path, message="holds half a character (a lone surrogate): write the text anew")


def _distance(errors: Sequence[Any]) -> tuple[int, int]:
    wrong_form = sum(1 for e in errors if e.kind.name in ("constant", "const", "type", "oneOf", "anyOf"))
    return wrong_form, len(errors)


def unknown_key(key: str, known: Iterable[str]) -> str:
    """The sentence for a key that does not exist, with the nearest one that does."""
    keys = list(known)
    near = difflib.get_close_matches(key, keys, n=1, cutoff=0.5)
    if near:
        return f"unknown key '{_shown(key)}'; did you mean '{near[0]}'?"
    return f"unknown key '{_shown(key)}'" + (f"; known keys are: {', '.join(keys)}" if keys else "")


def _shown(value: Json) -> str:
    text = value if isinstance(value, str) else repr(value)
    text = text if text.isprintable() else repr(text)[1:-1]  # one line
    return text if len(text) <= 40 else text[:37] + "…"


def _plain_words(name: str, kind: dict[str, Any], error: Any) -> str:
    value = error.instance
    if name == "required":
        return f"'{kind['property']}' is missing"
    if name == "type":
        wanted = kind.get("types") or error.kind.as_dict().get("type")
        names = wanted if isinstance(wanted, str) else " or ".join(str(w) for w in wanted or [])
        if value in (None, ""):
            return f"is empty; {_article(names)} is wanted"
        quoted = isinstance(value, str) and _UNQUOTED.get(names, _NEVER).match(value)
        return f"'{_shown(value)}' is not {_article(names)}" + ("; write it without quotes" if quoted else "")
    if name == "enum":
        return f"'{_shown(value)}' is not one of: {', '.join(str(o) for o in kind['options'] if o is not None)}"
    if name in ("const", "constant"):
        return f"'{_shown(value)}' is not '{kind.get('expected_value')}'"
    if name == "maxLength":
        return f"has {len(value):,} characters; {kind['limit']:,} are allowed"
    if name == "minLength":
        return "is empty" if not value else f"has {len(value)} characters; at least {kind['limit']} are needed"
    if name == "maxItems":
        return f"has {len(value)} entries; {kind['limit']} are allowed"
    if name == "minItems":
        return "is empty" if not value else f"has {len(value)} entries; at least {kind['limit']} are needed"
    if name == "minProperties":
        return "is empty"
    if name == "maxProperties":
        return f"has {len(value)} keys; {kind['limit']} are allowed"
    if name == "maximum":
        return f"{_shown(value)} is more than {kind['limit']}"
    if name == "minimum":
        return f"{_shown(value)} is less than {kind['limit']}"
    return str(error.message)


_NEVER = re.compile(r"(?!)")
_UNQUOTED = {
    "integer": re.compile(r"-?(0|[1-9][0-9]{0,17})\Z"),
    "number": re.compile(r"-?(0|[1-9][0-9]{0,17})(\.[0-9]+)?\Z"),
    "boolean": re.compile(r"(?i:true|false)\Z"),
}
_ARTICLES = {
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "object": "a group of keys",
    "array": "a list",
    "null": "empty",
}


def _article(names: str) -> str:
    return " or ".join(_ARTICLES.get(name, name) for name in names.split(" or "))
