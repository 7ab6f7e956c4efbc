"""One text of the request: its fixed parts and its {{ cells }}, compiled once, filled in per row."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType

from msgspec import Struct

from batcher.mapping.expression import Expression, ExpressionError, compile_expression
from batcher.schema import unknown_key

_PLAIN_NAME = re.compile(r"[^\W\d]\w*\Z")

_NO_STEPS: Mapping[str, Collection[str]] = MappingProxyType({})

Lookup = Callable[[str], int | None]
"""Header text to the index of its column; None when there is no such column."""


class CellPart(Struct, frozen=True, kw_only=True):
    """A bare `{{ Header }}`; `may_be_empty` for `{{ Header? }}`."""

    column: int
    header: str
    may_be_empty: bool


class NamePart(Struct, frozen=True, kw_only=True):
    """A bare `{{ name }}` that is not a cell: the member of a fan-out."""

    name: str


class OutputPart(Struct, frozen=True, kw_only=True):
    """A bare `{{ step.output }}`: what an earlier step of the row has made; `may_be_empty` for `{{ step.output? }}`."""

    step: str
    output: str
    may_be_empty: bool


class ExpressionPart(Struct, frozen=True, kw_only=True):
    """An expression over cells, names, and earlier steps."""

    expression: Expression
    columns: Mapping[str, int]
    names: Mapping[str, str]
    steps: Mapping[str, str]


Part = str | CellPart | NamePart | OutputPart | ExpressionPart

Steps = Mapping[str, Collection[str]]
"""Earlier steps by name, each with the outputs that it may have."""


def sole_cell(parts: Sequence[Part]) -> tuple[str, int, str] | None:
    """
    The column of the one cell that a text holds, between what stands before and after it; None for any other text.

    Most texts of most requests are of this kind: as long as the cell is filled, nothing else is to be asked.
    """
    places = [place for place, part in enumerate(parts) if not isinstance(part, str)]
    part = parts[places[0]] if len(places) == 1 else ""
    if not isinstance(part, CellPart):
        return None
    before, after = ("".join(map(str, some)) for some in (parts[: places[0]], parts[places[0] + 1 :]))
    return before, part.column, after


def split_template(text: str) -> list[tuple[bool, str]]:
    """
    The pieces of a text as (is an expression, content).

    Raises:
        ExpressionError: A `{{` without its `}}`, or a `{%`, which is not used here.
    """
    if "{%" in text or "{#" in text:
        raise ExpressionError("only {{ … }} is used here, no {% … %} and no {# … #}")
    pieces: list[tuple[bool, str]] = []
    at = 0
    while (start := text.find("{{", at)) >= 0:
        if start > at:
            pieces.append((False, text[at:start]))
        end = _closing(text, start + 2)
        pieces.append((True, text[start + 2 : end].strip()))
        at = end + 2
    if at < len(text) or not pieces:
        pieces.append((False, text[at:]))
    return pieces


def _closing(text: str, at: int) -> int:
    quote = ""
    while at < len(text):
        char = text[at]
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"" and not text[at - 1].isalnum():  # but not the one in: Customer's name
            quote = char
        elif text.startswith("}}", at):
            return at
        at += 1
    raise ExpressionError("a {{ without its }}")


def parse_parts(
    text: str,
    *,
    lookup: Lookup,
    names: Collection[str],
    headers: Sequence[str],
    steps: Steps = _NO_STEPS,
    later: Sequence[str] = (),
) -> tuple[Part, ...]:
    """
    Compile a text.

    Args:
        text: As it stands in the job.
        lookup: Finds a column by its header text.
        names: Other names that may be used: the fan-out's.
        headers: All header texts, for the suggestion when one is not there.
        steps: The steps before this one.
        later: The names of this step and of those after it.

    Raises:
        ExpressionError: It cannot be read, or names a column that does not exist.
    """
    parts: list[Part] = []
    for is_expression, content in split_template(text):
        if not is_expression:
            parts.append(content)
        else:
            parts.append(
                _parse_expression(content, lookup=lookup, names=names, headers=headers, steps=steps, later=later)
            )
    return tuple(parts)


def _parse_expression(
    content: str, *, lookup: Lookup, names: Collection[str], headers: Sequence[str], steps: Steps, later: Sequence[str]
) -> Part:
    if content in names:  # before the cells: [brackets] hold the column of that name
        return NamePart(name=content)
    bare = _bare_cell(content, lookup) or _bare_output(content, steps, later)
    if bare is not None:
        return bare
    try:
        expression = compile_expression(content)
    except ExpressionError:
        if _could_be_header(content):
            raise ExpressionError(_no_column(content.removesuffix("?").strip(), headers)) from None
        raise
    columns: dict[str, int] = {}
    others: dict[str, str] = {}
    earlier: dict[str, str] = {}
    for variable, meant in expression.names.items():
        column = lookup(meant)
        if variable in names:
            others[variable] = meant
        elif column is not None:
            columns[variable] = column
        elif variable in steps:
            earlier[variable] = meant
        elif variable in later:
            raise ExpressionError(_too_early(variable, later))
        else:
            raise ExpressionError(_no_column(meant, [*headers, *names, *steps]))
    return ExpressionPart(expression=expression, columns=columns, names=others, steps=earlier)


def _bare_cell(content: str, lookup: Lookup) -> CellPart | None:
    """A whole expression that is nothing but a header, with or without brackets and `?`."""
    for text, may_be_empty in ((content, False), (content.removesuffix("?").strip(), content.endswith("?"))):
        inner = text[1:-1].strip() if text.startswith("[") and text.endswith("]") and "]" not in text[1:-1] else text
        column = lookup(inner)
        if column is not None:
            return CellPart(column=column, header=inner, may_be_empty=may_be_empty)
    return None


def _bare_output(content: str, steps: Steps, later: Sequence[str]) -> OutputPart | None:
    step, dot, output = content.removesuffix("?").strip().partition(".")
    if dot and step in later:
        raise ExpressionError(_too_early(step, later))
    if not dot or step not in steps or not _PLAIN_NAME.match(output):
        return None
    if output not in steps[step]:
        said = unknown_key(output, steps[step]).replace("unknown key", f"{step} has no output", 1)
        raise ExpressionError(said.replace("known keys are", "it has", 1))
    return OutputPart(step=step, output=output, may_be_empty=content.endswith("?"))


def _too_early(step: str, later: Sequence[str]) -> str:
    if step == later[0]:
        return f"'{step}' is this very step; a step sees what those before it have made"
    return f"the step '{step}' comes later; a step sees what those before it have made, so put '{step}' first"


def _could_be_header(content: str) -> bool:
    return not any(mark in content for mark in "'\"()|[]=<>")


def _no_column(header: str, headers: Sequence[str]) -> str:
    said = unknown_key(header, [h for h in headers if h.strip()])
    return said.replace("unknown key", "no column", 1).replace("known keys are", "columns are", 1)


def mentioned_headers(text: str) -> set[str]:
    """
    The header texts that a template seems to need, before any sheet has been seen.

    Used to find the delimiter of a CSV file; what cannot be told apart from an expression is left out.
    """
    try:
        pieces = split_template(text)
    except ExpressionError:
        return set()
    return {header for is_expression, content in pieces if is_expression for header in _mentioned(content)}


def _mentioned(content: str) -> set[str]:
    if content.endswith("?"):  # Consent? may be a header itself
        return set()
    if content.startswith("[") and content.endswith("]") and "]" not in content[1:-1]:
        return {content[1:-1].strip()}
    if _PLAIN_NAME.match(content):
        return {content}
    try:
        names = set(compile_expression(content).names.values())
    except ExpressionError:
        return {content} if _could_be_header(content) else set()
    # E-Mail and Firma/Kunde may be headers as well as a difference and a quotient
    return set() if _could_be_header(content) else names
