"""The job file that belongs to a new workbook: commented, and right as it stands."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from batcher.catalog.model import Operation
from batcher.model import Json
from batcher.starter.column import EXAMPLE_MARK, ROW_ID
from batcher.starter.sketch import Ask, Sketch

_PLAIN = re.compile(r"[A-Za-z_./][A-Za-z0-9_./-]*\Z")
_MEANT_OTHERWISE = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n"})
_COMMENT_AT = 36
_WIDTH = 110


class JobFile(Struct, frozen=True, kw_only=True):
    """
    What a job file says beside its request.

    Attributes:
        name: The label of the job.
        operation: What it asks for.
        sheet: The file with the rows, beside the job file.
        tab: The tab of a workbook; empty for other sheets.
        results: Where the results go, relative to the job file.
        catalog: The file of a provider of the user's own, relative to the job file; empty without one.
        is_simulated: It can be rehearsed.
        comments: Place in the request (its first key) to what is said about it.
    """

    name: str
    operation: Operation
    sheet: str
    tab: str
    results: str
    catalog: str
    is_simulated: bool
    comments: dict[str, str]

    def text(self, drawn: Sketch) -> str:
        """The whole file."""
        return "\n".join(self._lines(drawn)) + "\n"

    def _lines(self, drawn: Sketch) -> Iterator[str]:
        file = f"{self.name}.yaml"
        yield f"# {self.operation.title}: one for each row of {self.sheet}."
        yield f"#   batcher check {file}            what is wrong, and what it would cost; sends nothing"
        if self.is_simulated:
            yield f"#   batcher run {file} --rehearse   on a simulator that knows the same templates; free"
        yield f"#   batcher run {file}"
        yield _commented(f"job: {quoted(self.name)}", "renaming it makes a new job: every row would be paid again")
        if self.catalog:
            yield f"catalog: {quoted(self.catalog)}"
        explained = f"`batcher operations {self.operation.name}{f' --catalog {self.catalog}' if self.catalog else ''}` explains it"
        yield _commented(f"operation: {self.operation.name}", explained)
        yield from ("", "sheet:", f"  file: {quoted(self.sheet)}")
        if self.tab:
            yield f"  tab: {quoted(self.tab)}"
        yield _commented(f"  row_id: {ROW_ID}", "what identifies a row between runs: never renumber it")
        yield f'  # the example rows are never sent: their ids begin with "{EXAMPLE_MARK}"'
        yield f'  where: not [{ROW_ID}].strip().lower().startswith("{EXAMPLE_MARK}")'
        yield ""
        yield from self._request(drawn)
        yield from self._rest()

    def _request(self, drawn: Sketch) -> Iterator[str]:
        if not drawn.request:
            yield "request: {}"
        else:
            yield "request:                             # {{ Column }} is a cell, {{ Column? }} one that may stay empty"
            for key, node in drawn.request.items():
                first, *more = _node_lines(key, node, "  ")
                yield _commented(first, self.comments.get(key, ""))
                yield from more
        others = [name for name in drawn.left_out if name not in drawn.request]
        if others:
            yield from _wrapped(f"it also takes: {', '.join(others)}", "  # ")

    def _rest(self) -> Iterator[str]:
        price = self.operation.price
        yield ""
        if price and price.per in ("second", "minute") and not price.text:
            yield _commented("# estimate: 30 seconds", "how long one of them is, for the price")
        yield "# limits:"
        if price and price.amount:
            yield _commented(f"#   budget: 100 {price.currency}", "never spend more than this")
        yield _commented("#   in_flight: 5", "how many may be in work at once")
        yield from ("", "results:")
        in_place = self.results == self.sheet
        yield _commented(
            f"  file: {quoted(self.results)}", "our columns come at the right of yours" if in_place else ""
        )
        yield _commented(f"  # report: {self.name}.html", "a page with the videos, to look at or to mail")


def quoted(value: Json) -> str:
    """A value as YAML reads it back: JSON, but for the characters that YAML allows nowhere or takes for line ends."""
    if not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if _PLAIN.match(value) and value.casefold() not in _MEANT_OTHERWISE:
        return value
    text = json.dumps(value, ensure_ascii=False)
    return "".join(each if each.isprintable() else f"\\U{ord(each):08x}" for each in text)


def _node_lines(key: str, node: Any, indent: str) -> list[str]:
    """A key of the request and what stands under it."""
    name = quoted(key)
    if isinstance(node, dict) and node:
        inner = [line for each, value in node.items() for line in _node_lines(each, value, f"{indent}  ")]
        if len(inner) == 1 and _is_cell(node):
            return [f"{indent}{name}: {{ {inner[0].strip()} }}"]
        return [f"{indent}{name}:", *inner]
    if isinstance(node, list) and node and isinstance(node[0], dict):
        inner = [line for each, value in node[0].items() for line in _node_lines(each, value, f"{indent}    ")]
        return [f"{indent}{name}:", f"{indent}  - {inner[0].strip()}", *inner[1:]]
    if isinstance(node, list):
        return [f"{indent}{name}: [{', '.join(_leaf(each) for each in node)}]"]
    return [f"{indent}{name}: {_leaf(node)}"]


def _is_cell(node: dict[str, Any]) -> bool:
    return all(isinstance(each, Ask) for each in node.values())


def _leaf(node: Any) -> str:
    return (
        quoted(f"{{{{ {node.header}{'' if node.is_required else '?'} }}}}") if isinstance(node, Ask) else quoted(node)
    )


def _commented(line: str, comment: str) -> str:
    return f"{line:<{_COMMENT_AT}} # {comment}" if comment else line


def _wrapped(text: str, indent: str) -> list[str]:
    import textwrap

    return textwrap.wrap(text, width=_WIDTH, initial_indent=indent, subsequent_indent=f"{indent}  ")
