"""Expressions over cells, in Jinja's sandbox with everything taken out that a spreadsheet does not need."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any

from msgspec import Struct

MAX_TEXT = 100_000
"""Characters that one expression may produce, and each step on the way to it."""

MAX_SOURCE = 2_000
"""Characters of an expression: a longer one is nested more deeply than a person would write."""

_MAX_PLACES = 15
_TOO_LARGE = 1e300

_FILTERS = frozenset(
    {"abs", "capitalize", "d", "default", "first", "float", "int", "join", "last", "length", "lower", "replace"}
    | {"round", "string", "title", "trim", "truncate", "upper", "urlencode", "wordcount"}
)
_METHODS = frozenset(
    {"capitalize", "endswith", "lower", "lstrip", "removeprefix", "removesuffix", "rstrip", "split", "startswith"}
    | {"strip", "title", "upper"}
)


class ExpressionError(ValueError):
    """An expression that cannot be read, or that fails for a row; the message is for the person."""


class Expression(Struct, frozen=True, kw_only=True):
    """
    A compiled expression.

    Attributes:
        source: As the person wrote it.
        names: The variables in it: Jinja's name to the header text or fan-out name that is meant.
    """

    source: str
    names: Mapping[str, str]
    _evaluate: Callable[..., Any]

    def value(self, variables: Mapping[str, Any]) -> Any:
        """
        The value for one row.

        Args:
            variables: For each of `names`, by the name on the left, the value.

        Raises:
            ExpressionError: It fails for these values.
        """
        from jinja2 import TemplateError

        try:
            found = self._evaluate(**variables)
            bool(found)  # something undefined complains only when it is looked at
        # NameError: Jinja writes an infinite number down as `inf`
        except (TemplateError, TypeError, ValueError, ArithmeticError, AttributeError, LookupError, NameError) as error:
            raise ExpressionError(f"'{self.source}' fails here: {error}") from error
        if found is not None and not isinstance(found, str | int | float):
            raise ExpressionError(f"'{self.source}' gives neither a text nor a number")
        if isinstance(found, str) and len(found) > MAX_TEXT:
            raise ExpressionError(f"'{self.source}' gives more than {MAX_TEXT:,} characters")
        if isinstance(found, int | float) and not abs(found) < _TOO_LARGE:
            raise ExpressionError(f"'{self.source}' gives a number that is too large")
        return found


def compile_expression(source: str) -> Expression:
    """
    Compile an expression such as `[Firma/Kunde] or 'your team'`.

    A header in square brackets stands for its cell, any other name for the cell or fan-out member of that name.

    Raises:
        ExpressionError: It is not an expression, or uses something that is not there.
    """
    from jinja2 import TemplateError, nodes

    if len(source) > MAX_SOURCE:
        raise ExpressionError(f"an expression of {len(source):,} characters; {MAX_SOURCE:,} are allowed")
    names: dict[str, str] = {}
    text = _rename_brackets(source, names)
    try:
        environment = _environment()
        tree = environment.parse("{{ (" + text + ") }}")
        found = sorted({node.name for node in tree.find_all(nodes.Name)})
        evaluate = environment.compile_expression(text, undefined_to_none=False)
    except TemplateError as error:
        raise ExpressionError(f"'{source}' is not an expression: {error.message}") from error
    except (SyntaxError, RecursionError, MemoryError) as error:  # Python's own words for what Jinja has made of it
        raise ExpressionError(f"'{source}' is nested too deeply") from error
    if "self" in found:  # Jinja's own object, whatever the sheet has
        raise ExpressionError(f"'{source}': write [self] for the column of that name")
    return Expression(source=source, names={name: names.get(name, name) for name in found}, _evaluate=evaluate)


def _rename_brackets(source: str, names: dict[str, str]) -> str:
    """Replace `[Header]` outside of quotes by a name that Jinja can read."""
    out: list[str] = []
    quote = ""
    index = 0
    while index < len(source):
        char = source[index]
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char == "[":
            end = source.find("]", index)
            before = "".join(out)
            is_list = source[index + 1 :].lstrip()[:1] in ("'", '"')
            if end < 0 or is_list or (before and (before[-1].isalnum() or before[-1] in "_)]")):
                raise ExpressionError(f"'{source}': square brackets hold the text of a header, as in [First name]")
            name = f"cell_{len(names)}_"
            names[name] = source[index + 1 : end].strip()
            out.append(name)
            index = end + 1
            continue
        out.append(char)
        index += 1
    return "".join(out)


@cache
def _environment() -> Any:
    from jinja2 import StrictUndefined
    from jinja2.exceptions import SecurityError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Sandbox(ImmutableSandboxedEnvironment):
        """No loops, no globals, a few text methods; repetition of texts is refused, so that output stays bounded."""

        intercepted_binops = frozenset({"*", "**", "%"})

        def wrap_str_format(self, value: Any) -> None:
            """No `format`: its width makes a text of any length."""

        def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:  # noqa: ARG002 - Jinja's signature
            return isinstance(obj, str) and attr in _METHODS

        def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
            if operator == "**" or not all(isinstance(side, int | float) for side in (left, right)):
                raise SecurityError(f"'{operator}' works on numbers only here")
            return super().call_binop(context, operator, left, right)

    environment = Sandbox(undefined=StrictUndefined, autoescape=False)
    environment.globals.clear()
    environment.filters = {
        **{name: each for name, each in environment.filters.items() if name in _FILTERS},
        "join": _join,
        "replace": _replace,
        "round": _round,
    }
    return environment


def _replace(text: Any, old: Any, new: Any) -> str:
    """Jinja's `replace`, measured before it is done."""
    whole, part, instead = str(text), str(old), str(new)
    _check_length(len(whole) + whole.count(part) * (len(instead) - len(part)))
    return whole.replace(part, instead)


def _join(parts: Iterable[Any], between: Any = "") -> str:
    """Jinja's `join`, measured before it is done."""
    texts, glue = [str(part) for part in parts], str(between)
    _check_length(sum(map(len, texts)) + len(texts) * len(glue))
    return glue.join(texts)


def _round(value: Any, places: Any = 0) -> float:
    """Jinja's `round`, to as many places as a float has: Python computes ten to the power of them."""
    from jinja2.exceptions import FilterArgumentError
    from jinja2.filters import do_round

    if not isinstance(places, int) or abs(places) > _MAX_PLACES:
        raise FilterArgumentError(f"round: from -{_MAX_PLACES} to {_MAX_PLACES} places")
    return do_round(value, places)


def _check_length(length: int) -> None:
    from jinja2.exceptions import FilterArgumentError

    if length > MAX_TEXT:
        raise FilterArgumentError(f"more than {MAX_TEXT:,} characters")
