"""A description that cannot be kept is refused at its place, before any run needs it."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from batcher.catalog.load import FOLDER, catalog_schema, load_provider, provider_from
from batcher.catalog.place import At
from batcher.catalog.strict import faults
from batcher.document import Document, KeyPath, read_document
from batcher.errors import InputError, Problem
from batcher.layout import AFTER, BEFORE
from batcher.schema import Checker

PAGE = (Path(__file__).parent.parent / "docs" / "providers.md").read_text(encoding="utf-8")
CATALOG = dict(re.findall(r"```yaml\n# ([a-z]+\.yaml)\n(.*?)```", PAGE, re.DOTALL))["rendermill.yaml"]
CHECKER = Checker(catalog_schema())

RULES = {
    "a look-up without its id": ('get: { path: "/renders/{id}"', "get: { path: /renders", "{id} is missing"),
    "a placeholder that is none": (
        '"/renders/{id}", item',
        '"/renders/{no}", item',
        "unknown placeholder {no}; there are {id}",
    ),
    "a placeholder in a list": (
        "list: { path: /renders",
        'list: { path: "/renders/{id}"',
        "unknown placeholder {id}; none can stand here",
    ),
    "a placeholder in a choice": (
        "{ path: /templates, items",
        '{ path: "/templates/{id}", items',
        "unknown placeholder {id}",
    ),
    "a placeholder in the account": ("{ path: /me", '{ path: "/me/{id}"', "unknown placeholder {id}"),
    "braces that do not fit": (
        '"/templates/{template}/renders"',
        '"/templates/{template/renders"',
        "braces that do not fit",
    ),
    "an address that is also a field": (
        '"/templates/{template}/renders"',
        '"/templates/{size}/renders"',
        "the body cannot have it too",
    ),
    "a function that is not there": (
        "film_no: to_string(no)",
        "film_no: to_strng(no)",
        "unknown function 'to_strng'; did you mean 'to_string'?",
    ),
    "too many values": (
        "id: to_string(render.no)",
        "id: 'to_string(render.no, no)'",
        "the function to_string takes 1 values, not 2",
    ),
    "a token without a field": ("token: note", "token: nota", "the body has no field 'nota'; did you mean 'note'?"),
    "a title without a field": ("token: note", "token: note\n    title_field: titel", "the body has no field 'titel'"),
    "a choice without a field": (
        "choices: { template: templates }",
        "choices: { templat: templates }",
        "the body has no field 'templat'; did you mean 'template'?",
    ),
    "a shape without a field": (
        "shape: { fields: fields,",
        "shape: { fieldss: fields,",
        "the body has no field 'fieldss'; did you mean 'fields'?",
    ),
    "a live field that is none": (
        "shape: { fields",
        "extends: { path: /x, entries: x, field: lines }\n    shape: { fields",
        "the body has no field 'lines'",
    ),
    "a key without a field": (
        "repeat: { find: { field: note } }",
        "repeat: { key: { field: no_key, hours: 24 } }",
        "the body has no field 'no_key'",
    ),
    "a word of no schema": ("maxLength: 300", "maxLenght: 300", "unknown key 'maxLenght'; did you mean 'maxLength'?"),
    "a word of no schema in a definition": (
        "maxLength: $field_limit",
        "maxLenght: $field_limit",
        "unknown key 'maxLenght'; did you mean 'maxLength'?",
    ),
    "a number that is none": ("minItems: 1, items", "minItems: one, items", "'one' is not a whole number"),
    "a wanted field that is none": (
        "required: [text]",
        "required: [txt]",
        "there is no field 'txt'; did you mean 'text'?",
    ),
    "a setting that is none": (
        "maxLength: $field_limit",
        "maxLength: 9, const: $field_limt",
        "unknown setting 'field_limt'; did you mean 'field_limit'?",
    ),
    "a setting for nothing": ("maxLength: $field_limit", "maxLength: 200", "nothing in the body is $field_limit"),
    "a definition elsewhere": ('{ $ref: "#/$defs/asset" }', '{ $ref: "#/definitions/asset" }', "must be #/$defs/"),
    "a name that is taken": (
        "provider: rendermill ",
        "provider: heygen ",
        "'heygen' comes with batcher; choose another name",
    ),
    "a key that is taken": (
        "variable: RENDERMILL_KEY",
        "variable: HEYGEN_API_KEY",
        "HEYGEN_API_KEY is the key of HeyGen",
    ),
    "a word with two meanings": (
        "failed: phase == 'burnt'",
        "failed: phase == 'burnt' || phase == 'plated'",
        "'plated' counts as done and as failed",
    ),
    "a column twice": (
        "links: { columns: [film_url], days",
        "columns: [film_no, film_no]\n    links: { columns: [film_url], days",
        "'film_no' stands twice",
    ),
    "a column of nothing": (
        "links: { columns: [film_url], days",
        "columns: [film_nr]\n    links: { columns: [film_url], days",
        "no output 'film_nr'; did you mean 'film_no'?",
    ),
    "two outputs of one name": (
        "film_url: film,",
        "film_url: film, Film_No: no,",
        "two outputs have the name 'Film_No'",
    ),
    "an output that is ours": ("film_url: film,", "film_url: film, error: why.words,", "none of batcher's own"),
    "a class that is none": (
        "kind: wait, codes",
        "kind: later, codes",
        "'later' is not one of: reject, wait, again, doubt, stop",
    ),
    "a code with two classes": ("codes: [E-TEMPLATE]", "codes: [E-TEMPLATE, E-KEY]", "'E-KEY' stands twice"),
    "a unit that is none": (
        "per: minute",
        "per: minit",
        "'minit' is not one of: second, minute, character, video, call",
    ),
    "a currency that is none": ("amount: 4, currency: COINS", "amount: 4, currency: coins", "is not a currency"),
    "a price below nothing": ("amount: 4, currency", "amount: -4, currency", "-4 is less than 0"),
    "characters of nothing": ("currency: COINS, text: text }", "currency: COINS }", "'text' is missing"),
    "a search without a list": ("repeat: { free: true }", "repeat: { find: { field: x } }", "needs a list to search"),
    "a search for nothing": (
        "find: { field: note }",
        "find: { field: note, query: { q: x } }",
        "no parameter holds {token}",
    ),
    "a rule about nothing": (
        "fields: [to, from]",
        "fields: [too, from]",
        "the body has no field 'too'; did you mean 'to'?",
    ),
    "never, and yet": ("repeat: { free: true }", "repeat: { free: true, never: true }", "nothing can stand beside it"),
}
"""What is wrong to (what stands in the example, what stands there instead, what is said about it)."""


@pytest.mark.parametrize(("old", "new", "said"), RULES.values(), ids=RULES)
def test_every_rule_is_told_at_its_line(tmp_path: Path, old: str, new: str, said: str) -> None:
    """File, line and what was expected, for one slip at a time in the example of the page."""
    assert old in CATALOG
    path = tmp_path / "rendermill.yaml"
    path.write_text(CATALOG.replace(old, new, 1), encoding="utf-8")
    first = CATALOG[: CATALOG.index(old)].count("\n") + 1
    lines = range(first, first + 1 + max(old.count("\n"), new.count("\n")))
    if "nothing in the body" in said:
        lines = range(1, 200)

    with pytest.raises(InputError) as caught:
        load_provider(path, is_own=True)

    told = [str(each) for each in caught.value.problems if said in each.message]
    assert told, [str(each) for each in caught.value.problems]
    assert any(each.startswith(f"rendermill.yaml:{line}:") for each in told for line in lines), (told, lines)


def test_prices_need_a_date(tmp_path: Path) -> None:
    """An amount without one says nothing."""
    path = tmp_path / "rendermill.yaml"
    path.write_text(CATALOG.replace("prices_as_of: May 2026\n", ""), encoding="utf-8")
    with pytest.raises(InputError, match="'prices_as_of' is missing"):
        load_provider(path)


def test_words_that_a_link_tells_apart_are_two() -> None:
    """`ready` with a film is done, and without one has failed: no word has two meanings."""
    path = FOLDER / "shotstack.yaml"
    document = read_document(path, catalog_schema())
    value = copy.deepcopy(document.value)
    value["settle"]["render"]["failed"] = "status == 'failed' || status == 'done' && !url"
    assert not complaints(document, value)


def test_columns_of_ours_are_those_of_the_results() -> None:
    """The list in the schema of the catalogue is the one that the results have."""
    taken = catalog_schema()["$defs"]["outputs"]["propertyNames"]["not"]["enum"]
    assert taken == [*BEFORE, *AFTER]


def complaints(document: Document, value: Any) -> list[Problem]:
    """Everything that is said about a description with this content."""
    changed = Document(name=document.name, value=value, places=document.places)
    if found := CHECKER.faults(value):
        return [changed.problem(fault.path, fault.message) for fault in found]
    try:
        return list(faults(At(changed), provider_from(changed)))
    except InputError as error:
        return list(error.problems)


def slices(document: Document) -> Iterator[tuple[KeyPath, Any]]:
    """A description once for each of its operations, with hardly more than that one; and the part that is new in it."""
    seen: set[str] = set()
    shared = {key: each for key, each in document.value.items() if key not in ("operations", "settle")}
    operations = document.value["operations"]
    main = next((name for name, each in operations.items() if "settings" in each), next(iter(operations)))
    for name, operation in operations.items():
        settle = operation.get("settle", "")
        pair = {main: operations[main], name: operation}
        needed = [each["settle"] for each in pair.values() if "settle" in each]
        value = {**shared, "operations": pair, "settle": {each: document.value["settle"][each] for each in needed}}
        assert not complaints(document, value)
        yield ("operations", name), value
        if settle and settle not in seen:
            yield ("settle", settle), value
        seen.add(settle)
        for key in shared if name == main else ():
            yield (key,), value


def keys(value: Any, path: KeyPath) -> Iterator[KeyPath]:
    """Every key below a place, and the place itself."""
    for part in path:
        value = value[part]
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        below = keys({key: each}, (key,))
        if not isinstance(value, dict):
            next(below)  # the index itself has no name
        yield from ((*path, *place) for place in below)


def changed(value: Any, path: KeyPath, *, name: str = "") -> Any:
    """A copy in which the key at a place has another name, or is gone."""
    if len(path) == 1:
        entries = ((name if key == path[0] else key, each) for key, each in value.items())
        return {key: each for key, each in entries if key}
    if isinstance(value, list):
        return [changed(each, path[1:], name=name) if at == path[0] else each for at, each in enumerate(value)]
    return {key: changed(each, path[1:], name=name) if key == path[0] else each for key, each in value.items()}


NAMES = {
    "operations.*": "what people call it",
    "assets.direct.body.*": "the API's own field",
    "choices.*": "a list of its own; who needs it under the old name complains",
    "choices.*.codes.*": "what people write",
    "settle.*": "as choices",
    "settle.*.outputs.*": "a column of another name; those that the links or columns need complain",
    "operations.*.outcome.outputs.*": "the same",
    "shapes.*": "as choices",
    "shapes.*.[0-9]*.to*.*": "the API's own field",
    "shapes.*.[0-9]*.each.*": "the API's own field",
    "operations.*.repeat.find.query.*": "the API's own parameter",
    "operations.*.settings.*": "what jobs call it; the body complains when it needs it",
    "operations.*.properties.*": "the API's own field",
    "definitions.*": "a definition that nobody needs is nobody's fault",
}
"""Keys that are names rather than words of the format: another name may be meant."""

OPTIONAL = (
    *("oauth", "scope", "revoke"),
    *("note", "state", "description", "advice", "title", "retired", "account", "name", "plan", "balance", "unit"),
    *("limits", "in_flight", "submissions", "base_url_variable", "choices", "codes", "also", "paged", "most"),
    *("shapes", "shape", "rest", "pages", "more", "size", "first", "total", "last", "ready", "list", "bulk", "then"),
    *(
        "kinds",
        "codes",
        "texts",
        "wrong",
        "code",
        "param",
        "about",
        "slots_only",
        "missing",
        "error",
        "error_code",
        "stops",
    ),
    *("columns", "completed_at", "links", "days", "usual_s", "overdue_h", "price", "when", "step_s", "guess_s"),
    *("text", "token", "title_field", "extends", "type", "by", "settings", "rules", "definitions", "word", "id"),
    *("find", "key", "in", "query", "failed", "free", "per"),
    *("assets", "base_url", "field", "most_mb", "url", "kept_days", "gone", "direct", "headers", "file"),
    *("media", "length", "picture", "video", "sound"),
)
"""Keys that may be left out: each has a meaning when it is, in docs/providers.md."""


def is_name(path: KeyPath) -> bool:
    """Whether a key is a name that the author has chosen, or has from the API; what `examples` hold are values."""
    dotted = ".".join(str(part) for part in path)
    inside = path[0] == "definitions" or ("body" in path and path[0] != "assets")
    field = inside and len(path) > 1 and path[-2] in ("properties", "$defs")
    return (
        field
        or "examples" in path[:-1]
        or any(fnmatchcase(dotted, pattern) and not (inside and len(path) > 2) for pattern in NAMES)
    )


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_any_misspelt_word_of_the_format_is_refused(path: Path) -> None:
    """Whatever key of the built-in descriptions gets a letter too many: it is told with a place, or it is a free name."""
    document = read_document(path, catalog_schema())
    for part, value in slices(document):
        for place in keys(value, part):
            found = complaints(document, changed(value, place, name=f"{place[-1]}q"))
            assert found or is_name(place), f"{path.name}: {place} may be misspelt"
            assert all(re.match(rf"{path.name}:\d+:\d+\Z", each.where) for each in found)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_any_key_that_is_left_out_is_missed_or_optional(path: Path) -> None:
    """What the format needs is missed with a place; a body without one of its words only allows more."""
    document = read_document(path, catalog_schema())
    for part, value in slices(document):
        for place in keys(value, part):
            found = complaints(document, changed(value, place))
            weaker = "body" in place[:-1] or place[0] == "definitions"
            assert found or weaker or is_name(place) or place[-1] in OPTIONAL, f"{path.name}: {place} is not missed"
            assert all(re.match(rf"{path.name}:\d+:\d+\Z", each.where) for each in found)
