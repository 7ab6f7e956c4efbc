"""Expressions over cells, in Jinja's sandbox with everything taken out that a spreadsheet does not need."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

MAX_TEXT = 100_000
"""Characters that one expression may produce."""

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


@dataclass(frozen=True, kw_only=True, slots=True)
class Expression:
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
        except (TemplateError, TypeError, ValueError, ArithmeticError, AttributeError, LookupError) as error:
            raise ExpressionError(f"'{self.source}' fails here: {error}") from error
        if isinstance(found, str) and len(found) > MAX_TEXT:
            raise ExpressionError(f"'{self.source}' gives more than {MAX_TEXT:,} characters")
        return found


def compile_expression(source: str) -> Expression:
    """
    Compile an expression such as `[Firma/Kunde] or 'your team'`.

    A header in square brackets stands for its cell, any other name for the cell or fan-out member of that name.

    Raises:
        ExpressionError: It is not an expression, or uses something that is not there.
    """
    from jinja2 import TemplateError, meta

    names: dict[str, str] = {}
    text = _rename_brackets(source, names)
    try:
        environment = _environment()
        tree = environment.parse("{{ (" + text + ") }}")
        found = sorted(meta.find_undeclared_variables(tree))
        evaluate = environment.compile_expression(text, undefined_to_none=False)
    except TemplateError as error:
        raise ExpressionError(f"'{source}' is not an expression: {error}") from error
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
            before = "".join(out).rstrip()
            if end < 0 or (before and (before[-1].isalnum() or before[-1] in "_)]")):
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

        intercepted_binops = frozenset({"*", "**"})

        def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:  # noqa: ARG002 - Jinja's signature
            return isinstance(obj, str) and attr in _METHODS

        def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
            if operator == "**" or not all(isinstance(side, int | float) for side in (left, right)):
                raise SecurityError(f"'{operator}' works on numbers only here")
            return super().call_binop(context, operator, left, right)

    environment = Sandbox(undefined=StrictUndefined, autoescape=False)
    environment.globals.clear()
    environment.filters = {name: each for name, each in environment.filters.items() if name in _FILTERS}
    return environment
