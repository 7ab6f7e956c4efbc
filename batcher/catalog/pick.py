"""Where things stand in an API's answer: JMESPath, compiled once; the only room that knows jmespath."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from batcher.model import Json
from batcher.schema import unknown_key

_SIMPLE = re.compile(r"\s*[A-Za-z_]\w*(\.[A-Za-z_]\w*)*(\s*\|\|\s*[A-Za-z_]\w*(\.[A-Za-z_]\w*)*)*\s*\Z", re.ASCII)
"""Names, dots and `||`: most of what the catalogue says, and not worth a tree walk for every field of every answer."""

_TEXTS = re.compile(r"\[\s*([\w.\[\]]+(?:\s*,\s*[\w.\[\]]+)*)\s*\]\[\]\Z", re.ASCII)
_LIST_WAY = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*(\[\](\.[A-Za-z_]\w*)*)?\Z", re.ASCII)
"""`[script, scenes[].script][]`, all that stands at several places: asked of every row of a sheet for its price."""


class Pick:
    """
    A compiled JMESPath expression.

    Attributes:
        find: What stands there in a value; None when nothing does, or when the answer has quite another form.

    Args:
        source: The expression.

    Raises:
        ValueError: It is not JMESPath, or calls a function that is not there or takes another number of values.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        places = _list_ways(source)
        if _SIMPLE.match(source):
            self.find: _Find = _first_of([_at(way.strip().split(".")) for way in source.split("||")])
        elif places:
            self.find = partial(_gathered, places)
        else:
            compiled, error = _compile(source)
            _check_functions(compiled.parsed)
            self.find = _follower(compiled.parsed) or partial(_searched, compiled, error)

    @property
    def key(self) -> str:
        """The key of a mapping on which alone it depends; empty where that cannot be told."""
        return self.source.partition(".")[0].strip() if _SIMPLE.match(self.source) and "|" not in self.source else ""

    @property
    def tree(self) -> Any:
        """The expression as jmespath sees it."""
        return _compile(self.source)[0].parsed

    def holds(self, value: Json) -> bool:
        """Whether the expression is true of the value, in JMESPath's sense of truth."""
        return is_true(self.find(value))


_Find = Callable[[Json], Json]
"""What stands somewhere in a value; None when nothing does."""


def _at(names: Sequence[str]) -> _Find:
    """What stands where names lead, one inside the other."""
    if len(names) == 1:
        only = names[0]
        return lambda value: value.get(only) if isinstance(value, dict) else None

    def find(value: Json) -> Json:
        for name in names:
            if not isinstance(value, dict):
                return None
            value = value.get(name)
        return value

    return find


def _first_of(ways: Sequence[_Find]) -> _Find:
    """What the first of several finds that finds something true; what the last one finds where none does."""
    if len(ways) == 1:
        return ways[0]

    def find(value: Json) -> Json:
        found: Json = None
        for way in ways:
            found = way(value)
            if found or (found is not None and is_true(found)):  # the first alone says it of most
                break
        return found

    return find


def _follower(node: Mapping[str, Any]) -> _Find | None:
    """
    The like of an expression of names, texts, `==`, `!=`, `!`, `&&` and `||`; None where it holds anything else.

    Predicates are asked of every item of every list, and a walk over their trees takes ten times as long.
    """
    kind, children = node["type"], node["children"]
    if chain := _chain(node):
        return _at(chain)
    if kind == "literal" and isinstance(node["value"], str):
        text = node["value"]
        return lambda _: text
    if kind not in ("comparator", "and_expression", "or_expression", "not_expression"):
        return None
    inner = [found for child in children if (found := _follower(child)) is not None]
    if len(inner) < len(children) or (kind == "comparator" and not _compares_text(node)):
        return None
    first, second = inner[0], inner[-1]
    if kind == "comparator":
        is_equal = node["value"] == "eq"
        return lambda value: (first(value) == second(value)) is is_equal
    if kind == "not_expression":
        return lambda value: not is_true(first(value))
    if kind == "or_expression":
        return _first_of(inner)
    return lambda value: second(value) if is_true(found := first(value)) else found


def _compares_text(node: Mapping[str, Any]) -> bool:
    """Whether one side is a text, with which nothing but the same text is equal."""
    return node["value"] in ("eq", "ne") and any(child["type"] == "literal" for child in node["children"])


def _searched(compiled: Any, error: type[Exception], value: Json) -> Json:
    try:
        return compiled.search(value)
    except error:
        return None


def _list_ways(source: str) -> tuple[tuple[str, ...], ...]:
    """The places of a list such as `_TEXTS` has; empty for any other expression."""
    match = _TEXTS.match(source)
    ways = [way.strip() for way in match[1].split(",")] if match else []
    if not all(_LIST_WAY.match(way) for way in ways):
        return ()
    return tuple(tuple(way.replace("[]", ".[]").split(".")) for way in ways)


def _gathered(places: tuple[tuple[str, ...], ...], value: Json) -> list[Json] | None:
    """What stands at any of the places, lists among it opened once."""
    if value is None:
        return None
    found: list[Json] = []
    is_mapping = isinstance(value, dict)
    for place in places:
        if is_mapping and place[0] not in value:
            continue
        one = value[place[0]] if is_mapping and len(place) == 1 else _followed(value, place)
        if isinstance(one, list):
            found += [each for each in one if each is not None]
        elif one is not None:
            found.append(one)
    return found


def _followed(value: Json, place: tuple[str, ...]) -> Json:
    """What stands at one place; behind `[]` that is what each member of the list has there."""
    for index, name in enumerate(place):
        if name == "[]":
            opened = (
                [each for one in value for each in (one if isinstance(one, list) else [one])]
                if isinstance(value, list)
                else []
            )
            inside = [_followed(each, place[index + 1 :]) for each in opened]
            return [each for each in inside if each is not None]
        value = value.get(name) if isinstance(value, dict) else None
        if value is None:
            return None
    return value


def _compile(source: str) -> tuple[Any, type[Exception]]:
    """A compiled expression, and what it raises for a value that it cannot be asked of."""
    import jmespath
    from jmespath.exceptions import JMESPathError

    try:
        return jmespath.compile(source), JMESPathError
    except JMESPathError as error:
        raise ValueError(f"'{source}' is not a JMESPath expression") from error


def is_true(found: Json) -> bool:
    """Truth as JMESPath has it: a number is true whatever it is."""
    return bool(found) or type(found) in (int, float)


def common_word(one: Pick, other: Pick) -> str:
    """
    A word for which both predicates hold; empty when none is seen.

    Tried with items in which everything that the two mention is there: `status == 'ready' && url` and
    `status == 'ready' && !url` have no word in common.
    """
    told = list(_compared(one.tree))
    fields = {field for each in (one, other) for field in _fields(each.tree)}
    for field, word in told:
        item: dict[str, Any] = {}
        for each in sorted(fields, key=len):
            _put(item, each, "there")
        _put(item, field, word)
        if one.holds(item) and other.holds(item):
            return word
    return ""


def _check_functions(node: dict[str, Any]) -> None:
    """JMESPath itself complains about these only when an answer has come."""
    from jmespath.functions import Functions

    for child in node["children"]:
        _check_functions(child)
    if node["type"] != "function_expression":
        return
    name, given = node["value"], len(node["children"])
    known = Functions.FUNCTION_TABLE
    if name not in known:
        said = unknown_key(name, known).split("; known keys", 1)[0]
        raise ValueError(said.replace("unknown key", "unknown function", 1))
    signature = known[name]["signature"]
    wanted = len(signature)
    is_open = bool(signature) and bool(signature[-1].get("variadic"))
    if given < wanted or (given > wanted and not is_open):
        raise ValueError(f"the function {name} takes {wanted}{' or more' if is_open else ''} values, not {given}")


def _chain(node: Mapping[str, Any]) -> tuple[str, ...]:
    """`a.b` as its parts; empty for anything else."""
    if node["type"] == "field":
        return (node["value"],)
    if node["type"] == "subexpression":
        parts = [_chain(child) for child in node["children"]]
        return tuple(part for each in parts for part in each) if all(parts) else ()
    return ()


def _fields(node: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    if chain := _chain(node):
        yield chain
    elif not node["type"].endswith("projection"):
        for child in node["children"]:
            yield from _fields(child)


def _compared(node: dict[str, Any]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every `field == 'word'` of an expression."""
    if node["type"] == "comparator" and node["value"] == "eq":
        for left, right in (node["children"], node["children"][::-1]):
            if (chain := _chain(left)) and right["type"] == "literal" and isinstance(right["value"], str):
                yield chain, right["value"]
    for child in node["children"]:
        yield from _compared(child)


def _put(item: dict[str, Any], field: tuple[str, ...], value: str) -> None:
    for part in field[:-1]:
        inner = item.get(part)
        if not isinstance(inner, dict):
            inner = item[part] = {}
        item = inner
    item[field[-1]] = value


def as_text(value: Json) -> str:
    """An output as the text of a cell: numbers without a needless `.0`, nothing for nothing, JSON for the rest."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, int | float):
        return str(value)
    import json

    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def as_number(value: Json) -> float | None:
    """A number that can be reckoned with; None for anything else: JSON can hold endless ones and ones of 4,000 digits."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
