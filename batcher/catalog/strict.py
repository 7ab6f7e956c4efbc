"""What a description cannot keep: places that are not there, words that mean two things, parts that lead nowhere."""

from __future__ import annotations

import string
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence

from batcher.catalog.body import empty_words, has_place
from batcher.catalog.model import Operation, Provider
from batcher.catalog.pick import common_word
from batcher.catalog.place import At
from batcher.errors import Problem
from batcher.hosts import host_of
from batcher.schema import unknown_key


def faults(root: At, provider: Provider) -> Iterator[Problem]:
    """
    Everything in a description that would only show when a run needs it.

    Args:
        root: The file, which fits its schema.
        provider: What it describes.
    """
    yield from _errors(root.at("errors"))
    yield from _placeholders(root.inner("account"), allowed=())
    for name in root.get("choices") or {}:
        at = root.at("choices", name)
        yield from _placeholders(at, allowed=())
        for index in range(len(at.get("also") or ())):
            yield from _placeholders(at, "also", index, allowed=())
    for name in root.get("settle") or {}:
        yield from _settle(root.at("settle", name))
    settings = {name for operation in provider.operations.values() for name in operation.settings}
    for name, definition in (root.get("definitions") or {}).items():
        for fault in empty_words(definition, settings):
            yield root.problem(fault.message, "definitions", name, *fault.path)
    for name, operation in provider.operations.items():
        yield from _operation(root, root.at("operations", name), operation)
    if not provider.prices_as_of and any(each.price for each in provider.operations.values()):
        yield root.problem("'prices_as_of' is missing: a price needs the date on which it was read")


def _errors(at: At) -> Iterator[Problem]:
    """A code or a text with two meanings: which of them counted would depend on the order."""
    seen: dict[str, int] = {}
    for index, kind in enumerate(at.get("kinds") or ()):
        for part in ("codes", "texts"):
            for place, word in enumerate(kind.get(part, ())):
                if word.casefold() in seen:
                    yield at.problem(f"'{word}' stands twice", "kinds", index, part, place)
                seen[word.casefold()] = index
    told: set[str] = set()
    for index, each in enumerate(at.get("about") or ()):
        for place, code in enumerate(each["codes"]):
            if code in told:
                yield at.problem(f"'{code}' stands twice", "about", index, "codes", place)
            told.add(code)


def _placeholders(
    at: At | None, *path: str | int, allowed: Collection[str], needed: Collection[str] = ()
) -> Iterator[Problem]:
    """The `{name}` parts of a path; by itself that at `path`."""
    if at is None:
        return
    path = path or ("path",)
    text = at.get(*path)
    if not isinstance(text, str):
        return
    names = _names(text)
    if names is None:
        yield at.problem(f"'{text}' has braces that do not fit: write {{name}}", *path)
        return
    for name in names:
        if name not in allowed:
            there = f"there are {', '.join(f'{{{each}}}' for each in allowed)}" if allowed else "none can stand here"
            yield at.problem(f"unknown placeholder {{{name}}}; {there}", *path)
    for name in needed:
        if name not in names:
            yield at.problem(f"{{{name}}} is missing", *path)


def _names(text: str) -> list[str] | None:
    """The names in braces; None when the braces do not fit."""
    try:
        parts = [part[1:] for part in string.Formatter().parse(text) if part[1] is not None]
    except ValueError:
        return None
    plain = all(name and name.isidentifier() and not spec and not conversion for name, spec, conversion in parts)
    return [str(name) for name, _, _ in parts] if plain else None


def _settle(at: At) -> Iterator[Problem]:
    yield from _placeholders(at.at("get"), allowed=("id",), needed=("id",))
    yield from _placeholders(at.inner("get", "then"), allowed=("id",), needed=("id",))
    for part in ("list", "bulk"):
        yield from _placeholders(at.inner(part), allowed=())
    yield from _reading(at)


def _reading(at: At) -> Iterator[Problem]:
    """Words with two meanings, and columns that are no outputs."""
    for one, other in (("done", "failed"), ("done", "missing"), ("failed", "missing")):
        if at.get(one) and at.get(other) and (word := common_word(at.pick(one), at.pick(other))):
            yield at.problem(f"'{word}' counts as {one} and as {other}", other)
    outputs = at.get("outputs")
    for name in _repeated(outputs):
        yield at.problem(f"two outputs have the name '{name}'", "outputs", name)
    columns: Sequence[str] = at.get("columns") or ()
    for index, column in enumerate(columns):
        if column not in outputs:
            yield at.problem(unknown_key(column, outputs).replace("unknown key", "no output", 1), "columns", index)
    for column in _repeated(columns):
        yield at.problem(f"'{column}' stands twice", "columns", len(columns) - 1 - columns[::-1].index(column))


def _repeated(names: Collection[str]) -> Iterator[str]:
    """Of names that a spreadsheet would take for the same the last."""
    counts = Counter(name.casefold() for name in names)
    last = {name.casefold(): name for name in names}
    yield from (last[name] for name, count in counts.items() if count > 1)


def _operation(root: At, at: At, operation: Operation) -> Iterator[Problem]:
    yield from _body(at, operation)
    if _names(operation.path) is None:
        yield from _placeholders(at.at("submit"), allowed=())
        return
    yield from _address(at, operation)
    yield from _repeat(at, operation)
    for name in ("token", "title_field"):
        yield from _field(at, name, operation)
    for kind in ("choices", "shape"):
        for pattern in at.get(kind) or {}:
            yield from _pattern(root, at, kind, pattern, operation)
    if at.inner("outcome"):
        yield from _reading(at.at("outcome"))
    price = at.inner("price")
    if price and price.get("per") == "character" and not price.get("text"):
        yield price.problem("'text' is missing: it says whose characters are counted")
    for index in range(len(at.get("rules") or ())):
        for place in range(len(at.get("rules", index, "fields"))):
            yield from _field(at.at("rules", index), "fields", operation, place)


def _address(at: At, operation: Operation) -> Iterator[Problem]:
    for name in operation.path_fields:
        if name in operation.body.get("properties", {}):
            yield at.problem(f"{{{name}}} goes into the address, so the body cannot have it too", "submit", "path")
    extends = at.inner("extends")
    if extends is None:
        return
    yield from _placeholders(extends, allowed=operation.path_fields)
    field = operation.body.get("properties", {}).get(extends.get("field"))
    if not isinstance(field, dict):
        known = operation.body.get("properties", {})
        yield extends.problem(_no_field(extends.get("field"), known), "field")


def _no_field(name: str, known: Collection[str]) -> str:
    said = unknown_key(name, known).replace("unknown key", "the body has no field", 1)
    return said.replace("known keys are", "it has", 1)


def _field(at: At, name: str, operation: Operation, *index: int) -> Iterator[Problem]:
    field = at.get(name, *index)
    if field and not has_place(operation.body, field.split(".")):
        yield at.problem(_no_field(field, _known(operation)), name, *index)


def _known(operation: Operation) -> list[str]:
    """The fields of every form of the body."""
    body = operation.body
    branches = [each.get("then", each) for key in ("oneOf", "allOf") for each in body.get(key, ())]
    named = [body["$defs"][each["$ref"].rsplit("/", 1)[-1]] for each in branches if "$ref" in each]
    return list(dict.fromkeys(key for form in (body, *named) for key in form.get("properties", {})))


def _pattern(root: At, at: At, kind: str, pattern: str, operation: Operation) -> Iterator[Problem]:
    """A place of the body, a part of the address, or a key of the request that a shape makes something else of."""
    parts = pattern.split(".")
    if pattern in operation.path_fields or has_place(operation.body, parts):
        return
    shape = operation.shape.get(".".join(parts[:-1]), "")
    if any(case.get("key") == parts[-1] for case in root.get("shapes", shape) or ()):
        return
    known = [*operation.path_fields, *_known(operation)]
    yield at.problem(_no_field(pattern, known), kind, pattern)


def _repeat(at: At, operation: Operation) -> Iterator[Problem]:
    repeat, place = operation.repeat, at.at("repeat")
    if place.get("never") and len(place.value) > 1:
        yield place.problem("nothing can stand beside it", "never")
    if repeat.key_field and not has_place(operation.body, repeat.key_field.split(".")):
        yield place.problem(_no_field(repeat.key_field, _known(operation)), "key", "field")
    if repeat.find is None:
        return
    if operation.settle is None or not (repeat.find.list or operation.settle.list):
        yield place.problem("needs a list to search: its own, or that of the settle section", "find")
    carrier = "title_field" if repeat.find.in_title else "token"
    if not at.get(carrier):
        yield place.problem(f"needs '{carrier}': the field of the body that carries what is searched for", "find")
    yield from _placeholders(place.inner("find", "list"), allowed=())
    for name in repeat.find.query:
        yield from _placeholders(place, "find", "query", name, allowed=("token",))
    if repeat.find.query and not any("{token}" in value for value in repeat.find.query.values()):
        yield place.problem("no parameter holds {token}, so nothing is searched for", "find", "query")


def _body(at: At, operation: Operation) -> Iterator[Problem]:
    """A body that says something without effect, with the place where that stands."""
    for fault in empty_words(at.get("body"), operation.settings):
        yield at.problem(fault.message, "body", *fault.path)
    used = str(operation.open_body)
    for name in operation.settings:
        if f"'${name}'" not in used:
            yield at.problem(f"nothing in the body is ${name}", "settings", name)


def taken(root: At, known: Mapping[str, Provider]) -> Iterator[Problem]:
    """
    What belongs to a provider that comes with batcher: its name, its operations, and its key at another host.

    Args:
        known: Those providers, by name.
    """
    name = root.get("provider")
    if name in known:
        yield root.problem(f"'{name}' comes with batcher; choose another name", "provider")
    for operation in root.get("operations"):
        if any(operation in provider.operations for provider in known.values()):
            yield root.problem("comes with batcher; choose another name", "operations", operation)
    variable, hosts = root.get("sign_in", "variable"), {host_of(root.get("base_url"))}
    hosts |= {host_of(root.get("assets", "base_url") or "")} - {""}
    for provider in known.values():
        others = sorted(hosts - {host_of(provider.base_url)})
        if variable == provider.key_variable and others:
            message = f"{variable} is the key of {provider.title}, and {', '.join(others)} is not; choose another name"
            yield root.problem(message, "sign_in", "variable")
            return
