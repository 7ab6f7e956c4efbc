"""YAML text in, plain values and the place of each of them out; the only room that knows PyYAML."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from batcher.errors import InputError, Problem
from batcher.model import Json
from batcher.schema import Checker, Fault

MAX_BYTES = 1_000_000
MAX_NODES = 100_000
MAX_DEPTH = 50

KeyPath = tuple[str | int, ...]


class Document(Struct, frozen=True, kw_only=True):
    """
    A YAML file that fits its schema.

    Attributes:
        name: The file as it is named in messages.
        value: Mappings, lists, texts, numbers and booleans. A scalar is what the schema asks for there; where the
            schema is open, `true`, `false`, `null` and plainly written numbers are values and all else is text: `NO`,
            `010`, `12:30`, `1.10` and `2024-01-02` stay as they are written.
        places: Key path to (line, column), counted from 1.
    """

    name: str
    value: Json
    places: Mapping[KeyPath, tuple[int, int]]

    def position(self, fault: Fault) -> tuple[int, int]:
        """Line and column of a fault: the order in which a person would mend several."""
        return self._place((*fault.path, fault.unknown_key) if fault.unknown_key else fault.path)

    def where(self, path: Sequence[str | int]) -> str:
        """The place of `path`, or of the nearest parent that stands in the file: `welcome.yaml:7:5`."""
        if not self.places:
            return self.name
        line, column = self._place(path)
        return f"{self.name}:{line}:{column}"

    def _place(self, path: Sequence[str | int]) -> tuple[int, int]:
        parts = tuple(path)
        while parts not in self.places and parts:
            parts = parts[:-1]
        return self.places.get(parts, (1, 1))

    def problem(self, path: Sequence[str | int], message: str) -> Problem:
        """A problem at `path`; the dotted path stands before the message."""
        dotted = ".".join(str(part) for part in path)
        return Problem(where=self.where(path), message=f"{dotted}: {message}" if dotted else message)


class Misfit(InputError):
    """
    A file that does not fit its schema.

    Attributes:
        document: The file as far as it could be read.
    """

    def __init__(self, document: Document, *problems: Problem) -> None:
        super().__init__(*problems)
        self.document = document


def read_document(path: Path, schema: Json, *, checker: Checker | None = None) -> Document:
    """
    Read and check a YAML file.

    Args:
        path: The file; its name stands in the messages as given.
        schema: JSON Schema of the file; scalars are converted by it, then checked.
        checker: The same schema compiled, to save the time.

    Raises:
        InputError: It cannot be read, is not plain YAML, or does not fit; all faults at once, each with its place.
    """
    return parse_document(_read(path), name=path.name, schema=schema, checker=checker)


def parse_document(text: str, *, name: str, schema: Json, checker: Checker | None = None) -> Document:
    """As `read_document`, for a text."""
    root = _compose(text, name)
    builder = _Builder(name=name, schema=schema)
    value = builder.build(root, path=(), schema=schema)
    if builder.problems:
        raise InputError(*builder.problems)
    document = Document(name=name, value=value, places=builder.places)
    faults = sorted((checker or Checker(schema)).faults(value), key=document.position)
    if faults:
        raise Misfit(document, *(_problem(document, fault) for fault in faults))
    return document


def document_from_value(value: Json, *, name: str, schema: Json) -> Document:
    """As `read_document`, for a mapping made in Python: there are no lines, so places are the name alone."""
    try:
        value = json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(Problem(where=name, message=f"holds what a file could not hold: {error}")) from error
    document = Document(name=name, value=value, places={})
    faults = Checker(schema).faults(value)
    if faults:
        raise InputError(*(_problem(document, fault) for fault in faults))
    return document


def _problem(document: Document, fault: Fault) -> Problem:
    if fault.unknown_key:
        place = document.where((*fault.path, fault.unknown_key))
        dotted = ".".join(str(part) for part in fault.path)
        return Problem(where=place, message=f"{dotted}: {fault.message}" if dotted else fault.message)
    return document.problem(fault.path, fault.message)


def _read(path: Path) -> str:
    try:
        raw = path.read_bytes() if path.is_file() else None
    except OSError as error:
        raise InputError(Problem(where=str(path), message=f"cannot be read: {error.strerror}")) from error
    if raw is None:
        raise InputError(
            Problem(where=str(path), message="there is no such file" if not path.exists() else "is not a file")
        )
    if len(raw) > MAX_BYTES:
        raise InputError(Problem(where=path.name, message=f"has {len(raw):,} bytes; {MAX_BYTES:,} are allowed"))
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = "utf-16"
    else:
        encoding = "utf-8-sig"
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        where = _where(path.name, raw[: error.start].decode(encoding, "replace"))
        message = f"is not UTF-8 (byte {error.start + 1}): save it as UTF-8"
        raise InputError(Problem(where=where, message=message)) from error


def _where(name: str, before: str) -> str:
    """The place behind a piece of text."""
    return f"{name}:{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"


def _compose(text: str, name: str) -> Any:
    import yaml

    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    if control := _CONTROL.search(text):
        raise InputError(
            Problem(where=_where(name, text[: control.start()]), message=f"the control character {control[0]!r}")
        )
    try:
        _guard(yaml.parse(text, Loader=loader), name)
        root = yaml.compose(text, Loader=loader)
    except yaml.MarkedYAMLError as error:
        raise InputError(_syntax_problem(error, text, name)) from error
    except yaml.YAMLError as error:
        raise InputError(Problem(where=name, message=f"is not YAML: {str(error).splitlines()[0]}")) from error
    if root is None:
        raise InputError(Problem(where=name, message="the file is empty"))
    return root


def _guard(events: Any, name: str) -> None:
    """Anchors, several documents and monstrous sizes are refused before anything is built."""
    depth = documents = 0
    for nodes, event in enumerate(events, start=1):
        kind = type(event).__name__
        place = f"{name}:{event.start_mark.line + 1}:{event.start_mark.column + 1}"
        if kind == "AliasEvent" or getattr(event, "anchor", None):
            raise InputError(
                Problem(where=place, message="anchors and aliases (& and *) are not used here: write it out")
            )
        if kind == "DocumentStartEvent":
            documents += 1
        depth += kind.endswith("StartEvent") - kind.endswith("EndEvent")
        if documents > 1:
            raise InputError(Problem(where=place, message="a second document (---): put one job into one file"))
        if depth > MAX_DEPTH or nodes > MAX_NODES:
            raise InputError(Problem(where=place, message="nested too deeply or too large"))


def _syntax_problem(error: Any, text: str, name: str) -> Problem:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    lines = text.splitlines()
    source = lines[line - 1] if line <= len(lines) else ""
    message = f"is not YAML: {error.problem or 'it cannot be parsed'}"
    if "\t" in source[: len(source) - len(source.lstrip())]:
        message = "a tab at the start of a line: indent with spaces"
    elif re.search(r":\s*\{\{", source) or re.search(r"-\s*\{\{", source):
        message = 'a value that begins with {{ needs quotes: "{{ … }}"'
    elif "{{" in source:
        message += "; put quotes around values with {{ … }}"
    return Problem(where=f"{name}:{line}:{column}", message=message)


_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,17})\Z")
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]*)\.[0-9]+([eE][-+]?[0-9]+)?\Z")
_QUOTED = ("'", '"', "|", ">")
_CURLY = tuple("“”„‟‘’‚«»")
_TAGS = ("str", "int", "float", "bool", "null", "map", "seq", "timestamp", "value", "merge")


class _Builder:
    """Turns PyYAML's nodes into values, led by the schema, and keeps their places."""

    def __init__(self, *, name: str, schema: Json) -> None:
        self._name = name
        self._root = schema
        self.places: dict[KeyPath, tuple[int, int]] = {}
        self.problems: list[Problem] = []

    def build(self, node: Any, *, path: KeyPath, schema: Json) -> Json:
        self.places.setdefault(path, _place(node))
        if not any(node.tag == f"tag:yaml.org,2002:{tag}" for tag in _TAGS):
            self._complain(node, f"the tag {node.tag} is not used here")
            return None
        schema = self._resolve(schema)
        if node.id == "mapping":
            return self._mapping(node, path, schema)
        if node.id == "sequence":
            items = _items(schema)
            return [self.build(item, path=(*path, i), schema=items) for i, item in enumerate(node.value)]
        return self._scalar(node, schema)

    def _mapping(self, node: Any, path: KeyPath, schema: dict[str, Any]) -> dict[str, Json]:
        built: dict[str, Json] = {}
        lines: dict[str, int] = {}
        for key_node, value_node in node.value:
            if key_node.id != "scalar":
                hint = ' (a value that begins with {{ needs quotes: "{{ … }}")' if key_node.id == "mapping" else ""
                self._complain(key_node, f"a key must be a plain word{hint}")
                continue
            key = self._text(key_node)
            line = key_node.start_mark.line + 1
            if key in built:
                self._complain(key_node, f"'{key}' stands twice (also in line {lines[key]})")
                continue
            lines[key] = line
            self.places[(*path, key)] = _place(key_node)
            built[key] = self.build(value_node, path=(*path, key), schema=_property(schema, key))
        return built

    def _scalar(self, node: Any, schema: dict[str, Any]) -> Json:
        text = self._text(node)
        types = schema.get("type", ())
        wanted = {types} if isinstance(types, str) else set(types)
        for branch in schema.get("oneOf", ()):
            kind = self._resolve(branch).get("type", ())
            wanted |= {kind} if isinstance(kind, str) else set(kind)
        if node.style in _QUOTED:
            return text
        if text in ("", "~", "null") and "null" in (wanted or {"null"}):
            return None
        if text in ("true", "false") and (not wanted or "boolean" in wanted):
            return text == "true"
        if text.lower() in ("true", "false") and "boolean" in wanted:
            return text.lower() == "true"
        return _number(text, wanted)

    def _text(self, node: Any) -> str:
        text = str(node.value)
        plain = node.style not in _QUOTED
        if plain and text.strip("\xa0") != text:
            self._complain(node, "a no-break space (U+00A0) where a plain space should be")
        if plain and text[:1] in _CURLY and text[-1:] in _CURLY:
            self._complain(node, f"{text[0]} is not a quotation mark here: use \" or '")
        if "\0" in text:
            self._complain(node, "a NUL character")
        return text

    def _resolve(self, schema: Json) -> dict[str, Any]:
        while isinstance(schema, dict) and "$ref" in schema:
            schema = self._root["$defs"][schema["$ref"].rsplit("/", 1)[-1]]
        return schema if isinstance(schema, dict) else {}

    def _complain(self, node: Any, message: str) -> None:
        line, column = _place(node)
        self.problems.append(Problem(where=f"{self._name}:{line}:{column}", message=message))


def _place(node: Any) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _items(schema: dict[str, Any]) -> Json:
    forms = (schema, *schema.get("oneOf", ()))
    return next((form["items"] for form in forms if "items" in form), {})


def _property(schema: dict[str, Any], key: str) -> Json:
    properties = schema.get("properties", {})
    if key in properties:
        return properties[key]
    extra = schema.get("additionalProperties", {})
    if isinstance(extra, dict) and extra:
        return extra
    for branch in schema.get("oneOf", ()):
        found = branch.get("properties", {}).get(key)
        if found is not None:
            return found
    return {}


def _number(text: str, wanted: set[str]) -> Json:
    """A number only where the schema wants one, or is open and the text is a number's own plain spelling."""
    numeric = bool(wanted & {"number", "integer"})
    if wanted and not numeric:
        return text
    if _INTEGER.match(text):
        return int(text)
    if "integer" in wanted and "number" not in wanted:
        return text
    if _DECIMAL.match(text) and (numeric or repr(float(text)) == text):
        return float(text)
    return text
