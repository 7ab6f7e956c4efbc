"""What holds for any cells: they arrive as they are, and no row is ever anything but a body or a list of flaws."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from batcher.errors import InputError
from batcher.finding import find_operations
from batcher.job import Job, job_from_dict
from batcher.mapping.expression import ExpressionError, compile_expression
from batcher.mapping.filter import compile_filter
from batcher.mapping.leaf import mentioned_headers, parse_parts, split_template
from batcher.mapping.request import RequestMapping, to_json
from batcher.schema import Checker

HEADERS = ("id", "a", "b", "c")
CELLS = st.lists(st.text(max_size=20), min_size=len(HEADERS), max_size=len(HEADERS))
NASTY = st.sampled_from(
    [
        "{{ a }}",
        "{% x %}",
        "}}",
        "{{",
        "'",
        '"',
        "[a]",
        "$",
        "\\",
        "\x00",
        "\ud800",
        "é",
        "e\u0301",
        "\u00a0",
        "true",
        "1e5",
        "007",
    ]
)
TEXTS = st.lists(NASTY | st.text(max_size=5), max_size=4).map("".join)
VIDEO: dict[str, Any] = {
    "type": "avatar",
    "title": "always here",
    "avatar_id": "{{ a }}",
    "script": "{{ b? }}",
    "audio_url": "{{ c? }}",
    "voice_settings": {"speed": "{{ c? }}", "locale": "{{ [a] or 'de' }}"},
    "background": "{{ b? }}",
}


@cache
def mapping(operation: str, request: str) -> RequestMapping:
    """The mapping of a request over the columns `HEADERS`."""
    value = {"job": "a", "operation": operation, "sheet": {"file": "x.csv", "row_id": "id"}}
    job: Job = job_from_dict({**value, "request": json.loads(request), "results": {"file": "r.csv"}}, folder=Path("/"))
    provider, (found,) = find_operations(job)
    lookup = {name: index for index, name in enumerate(HEADERS)}.get
    return RequestMapping(
        job.steps[0], provider=provider, operation=found, lookup=lookup, headers=HEADERS, choices={}, earlier={}
    )


def template(text: str) -> RequestMapping:
    """A mapping whose only text variable is this template."""
    return mapping(
        "heygen.template", json.dumps({"template_id": "t", "title": "always here", "variables": {"v": text}})
    )


@given(cells=st.lists(TEXTS, min_size=4, max_size=4))
def test_a_bare_cell_arrives_verbatim(cells: Sequence[str]) -> None:
    """Whatever it holds: it is data."""
    rendered = template("{{ a }}").render(cells, flaws={})
    if cells[1].strip():
        assert rendered.content["variables"]["v"]["content"] == cells[1]
        assert json.loads(rendered.body) == rendered.content
    else:
        assert [flaw.column for flaw in rendered.flaws] == [1]


@given(cells=st.lists(TEXTS, min_size=4, max_size=4))
def test_cells_in_a_text_arrive_verbatim_and_in_order(cells: Sequence[str]) -> None:
    """Between the fixed parts stand exactly the cells; a blank optional one is nothing."""
    rendered = template("<{{ a? }}|{{ [b] or '-' }}>").render(cells, flaws={})
    first = cells[1] if cells[1].strip() else ""
    second = cells[2] if cells[2].strip() else "-"
    assert rendered.content["variables"]["v"]["content"] == f"<{first}|{second}>"


@given(cells=st.lists(TEXTS | st.sampled_from(["1.2", "https://x.de/a.mp3", "#FFFFFF"]), min_size=4, max_size=4))
def test_a_row_is_a_valid_body_or_has_flaws_at_its_cells(cells: Sequence[str]) -> None:
    """Never both, never neither, never an exception; every flaw is about a column that the request uses, or the row."""
    made = mapping("heygen.video", json.dumps(VIDEO))
    rendered = made.render(cells, flaws={})
    assert bool(rendered.body) is not bool(rendered.flaws)
    assert all(flaw.column in (None, *made.columns) and flaw.message for flaw in rendered.flaws)
    if rendered.body:
        job_body = find_operation_body("heygen.video")
        assert job_body.faults(json.loads(rendered.body)) == []


@cache
def find_operation_body(name: str) -> Checker:
    """The schema of an operation's body, compiled."""
    value = {"job": "a", "operation": name, "sheet": {"file": "x.csv", "row_id": "id"}, "request": {"type": "x"}}
    _, (operation,) = find_operations(job_from_dict({**value, "results": {"file": "r.csv"}}, folder=Path("/")))
    return Checker(operation.body)


@given(first=CELLS, second=CELLS)
def test_the_hash_changes_with_the_cells_used_and_with_nothing_else(first: list[str], second: list[str]) -> None:
    """A remark in an unused column makes no row a changed one."""
    made = template("{{ a }} {{ b? }}")
    same = first[1:3] == second[1:3]
    assert (made.render(first, flaws={}).input_hash == made.render(second, flaws={}).input_hash) is same


@given(
    cells=st.lists(TEXTS, min_size=4, max_size=4), flaws=st.dictionaries(st.integers(0, 3), st.just("an error value"))
)
def test_a_damaged_cell_counts_only_when_it_is_used(cells: Sequence[str], flaws: Mapping[int, str]) -> None:
    """`#REF!` in an unused column stops nothing."""
    rendered = template("x{{ a? }}").render(cells, flaws=flaws)
    assert bool(rendered.flaws) is (1 in flaws)


WORDS = [
    *"ab[]()|.~*%+?1'\"",
    "[b]",
    "'x'",
    " or ",
    "upper",
    "**",
    " if ",
    " else ",
    "self",
    "{{",
    "}}",
    "{%",
    "not ",
    "format",
]
EXPRESSIONS = st.lists(st.sampled_from([*WORDS, " ", "9" * 30]) | st.text(max_size=3), max_size=10).map("".join)


@given(EXPRESSIONS, st.text(max_size=10))
def test_any_expression_gives_a_value_or_an_expression_error(source: str, cell: str) -> None:
    """What a person mistypes is never a crash, and what comes out is never anything but text, number or truth."""
    try:
        expression = compile_expression(source)
        value = expression.value(dict.fromkeys(expression.names, cell))
    except ExpressionError:
        return
    assert value is None or isinstance(value, str | int | float)


@given(EXPRESSIONS | st.text(max_size=30))
def test_any_template_is_compiled_or_refused(text: str) -> None:
    """Pieces put together again are the text, without the braces' own blanks."""
    lookup = {name: index for index, name in enumerate(HEADERS)}.get
    mentioned_headers(text)
    try:
        pieces = split_template(text)
        parse_parts(text, lookup=lookup, names=("language",), headers=HEADERS)
    except ExpressionError:
        return
    again = "".join(f"{{{{{content}}}}}" if is_expression else content for is_expression, content in pieces)
    assert "".join(again.split()) == "".join(text.split())


@given(EXPRESSIONS, st.text(max_size=10))
def test_any_condition_answers_or_is_refused(source: str, cell: str) -> None:
    """A condition is true, false or an error: never guessed."""
    try:
        holds = compile_filter(source, lookup=lambda _: 0, headers=HEADERS)([cell])
    except ExpressionError:
        return
    assert holds in (True, False)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | TEXTS,
        lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
        max_leaves=8,
    )
)
def test_any_request_is_mapped_or_refused(value: Any) -> None:
    """Whatever stands under `request`, it fits or is an error of the job."""
    try:
        request = json.dumps({"template_id": "t", "title": "{{ a? }}x", "variables": value})
        rendered = mapping(request=request, operation="heygen.template").render(["r", "A", "B", "C"], flaws={})
    except (InputError, UnicodeEncodeError):
        return
    assert bool(rendered.body) is not bool(rendered.flaws)


@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda each: st.lists(each) | st.dictionaries(st.text(), each),
        max_leaves=10,
    )
)
def test_a_body_is_written_as_json_itself_would(value: object) -> None:
    """The quick way changes no byte: keys and hashes of what was sent before depend on them."""
    assert to_json(value) == json.dumps(value, ensure_ascii=False, separators=(",", ":"))
