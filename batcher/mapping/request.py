"""A job's request held against its operation and a sheet's header: from here on a row becomes a body."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from batcher.catalog.model import Operation, Provider
from batcher.errors import InputError, Problem
from batcher.job import Job
from batcher.mapping.choice import Choices
from batcher.mapping.leaf import Lookup, mentioned_headers
from batcher.mapping.node import Constant, Filling, Group, Items, Leaf, Node, ShapedLeaf
from batcher.mapping.tree import TreeBuilder, fixed_values, matches, walk
from batcher.mapping.types import enumerated, schemas_at, typed, wanted_types
from batcher.model import Json
from batcher.schema import Checker, Fault


@dataclass(frozen=True, kw_only=True, slots=True)
class Flaw:
    """
    A complaint about a row.

    Attributes:
        column: The cell it is about; None when it is about the row as a whole.
    """

    column: int | None
    message: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Rendered:
    """
    What one row (and fan-out member) asks for.

    Attributes:
        path: Where to send it, without the base address; empty when there are flaws.
        body: JSON text; empty when there are flaws.
        content: The same body as a value; None when there are flaws.
        input_hash: Changes when the cells used or the job's request change, and with nothing else.
        flaws: Why the row cannot be sent; empty when it can.
    """

    path: str
    body: str
    input_hash: str
    content: Json = None
    flaws: tuple[Flaw, ...] = ()


class RequestMapping:
    """
    The compiled request of one job.

    Args:
        job: The job.
        provider: Whose shapes and choices are used.
        operation: What is asked for.
        lookup: Finds a column by its header text.
        headers: The header texts of the sheet.
        choices: Valid values by the name of the choice list; a list that is not there is not checked.

    Raises:
        InputError: The request does not fit the operation or the header, each fault with its place in the job file.
    """

    def __init__(
        self,
        job: Job,
        *,
        provider: Provider,
        operation: Operation,
        lookup: Lookup,
        headers: Sequence[str],
        choices: Mapping[str, Choices],
    ) -> None:
        self._job = job
        self._operation = operation
        self._checker = Checker(operation.body)
        names = (job.for_each.name,) if job.for_each else ()
        builder = TreeBuilder(
            shapes=provider.shapes, patterns=operation.shape, lookup=lookup, names=names, headers=headers
        )
        request = dict(job.request)
        self._path_nodes: dict[str, Node] = {}
        for field in operation.path_fields:
            if field not in request:
                builder.complain(("request",), f"'{field}' is missing")
                continue
            self._path_nodes[field] = builder.build(request.pop(field), body_path=(field,), job_path=("request", field))
        self._root = builder.build(request, body_path=(), job_path=("request",))
        problems = [job.problem(path, message) for path, message in builder.complaints]
        if problems:
            raise InputError(*problems)
        self._attach(choices)
        self._digest = _request_digest(job)
        self.columns = tuple(sorted({c for node in (self._root, *self._path_nodes.values()) for c in node.columns()}))
        """The columns that the request uses, left to right."""

    def _attach(self, choices: Mapping[str, Choices]) -> None:
        """Tell every leaf its type, and hold every constant against its type, once the whole tree stands."""
        fixed = fixed_values(self._root)
        problems: list[Problem] = []
        for path, node in walk(self._root):
            schemas = schemas_at(self._operation.body, path, fixed)
            types = wanted_types(schemas)
            kind = next((name for pattern, name in self._operation.choices.items() if matches(pattern, path)), "")
            known = choices.get(kind)
            if isinstance(node, Leaf):
                node.types, node.words, node.choices = types, enumerated(schemas), known
                node.trims = any("pattern" in schema or "const" in schema for schema in schemas)
            elif isinstance(node, Constant):
                try:
                    node.value = _constant(node.value, types, known)
                except ValueError as error:
                    problems.append(self._job.problem(node.job_path, str(error)))
        if problems:
            raise InputError(*problems)

    def render(self, cells: Sequence[str], *, flaws: Mapping[int, str], item: str = "") -> Rendered:
        """
        Fill in one row.

        Args:
            cells: The row's texts, one per column.
            flaws: Cells that cannot be trusted, by column.
            item: The member of the fan-out; empty without one.

        Raises:
            InputError: A fault that no cell can mend: the job itself is wrong.
        """
        names = {self._job.for_each.name: item} if self._job.for_each else {}
        row = Filling(cells=cells, flaws=flaws, names=names)
        path = self._path(row)
        body = self._root.fill(row)
        found = [Flaw(column=column, message=message) for column, message in row.faults]
        faults = self._checker.faults(body)
        if faults:
            found += self._row_flaws(faults, already={flaw.column for flaw in found})
        digest = self._digest.copy()
        for column in self.columns:
            digest.update(b"\x1f" + cells[column].encode("utf-8", "surrogatepass"))
        digest.update(b"\x1e" + item.encode("utf-8", "surrogatepass"))
        if found:
            return Rendered(path="", body="", input_hash=digest.hexdigest(), flaws=tuple(dict.fromkeys(found)))
        return Rendered(path=path, body=to_json(body), content=body, input_hash=digest.hexdigest())

    def _path(self, row: Filling) -> str:
        values: dict[str, str] = {}
        for field, node in self._path_nodes.items():
            value = node.fill(row)
            values[field] = quote(str(value).strip(), safe="") if isinstance(value, str | int) else ""
        return self._operation.path.format(**values)

    def _row_flaws(self, faults: Sequence[Fault], *, already: set[int | None]) -> list[Flaw]:
        found: list[Flaw] = []
        for fault in faults:
            node, exact = self._node_at(fault)
            columns = list(dict.fromkeys(node.columns()))
            if not columns:
                raise InputError(self._job.problem(node.job_path, fault.message))
            if already and (not exact or already & set(columns)):
                continue
            if fault.unknown_key and isinstance(node, Group):
                raise InputError(self._job.problem((*node.job_path, fault.unknown_key), fault.message))
            label = "" if exact else ".".join(str(part) for part in fault.path)
            message = f"{label}: {fault.message}" if label else fault.message
            found.append(Flaw(column=columns[0] if len(columns) == 1 else None, message=message))
        return found

    def _node_at(self, fault: Fault) -> tuple[Node, bool]:
        """The node that a fault is about, and whether it is a single value rather than a group around several."""
        node: Node = self._root
        for part in (*fault.path, fault.missing_key) if fault.missing_key else fault.path:
            inner: Node | None = None
            if isinstance(node, Group):
                inner = node.entries.get(str(part))
                if inner is None and part == fault.missing_key:
                    return Constant(job_path=node.job_path, value=None), True
            elif isinstance(node, Items) and isinstance(part, int) and part < len(node.nodes):
                inner = node.nodes[part]
            if inner is None:
                break
            node = inner
        return node, isinstance(node, Leaf | ShapedLeaf | Constant)


def to_json(value: Json) -> str:
    """A body as it is sent: compact, in the order of the job's request."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def needed_headers(job: Job) -> set[str]:
    """The header texts that the job seems to use, before its sheet has been seen."""
    found: set[str] = set()

    def visit(value: Json) -> None:
        if isinstance(value, str):
            found.update(mentioned_headers(value))
        elif isinstance(value, dict):
            for each in value.values():
                visit(each)
        elif isinstance(value, list):
            for each in value:
                visit(each)

    visit(job.request)
    if job.for_each:
        found.discard(job.for_each.name)
        if job.for_each.column:
            found.add(job.for_each.column)
    return found


def _constant(value: Json, types: frozenset[str], choices: Choices | None) -> Json:
    if isinstance(value, str):
        return choices.resolve(value) if choices else typed(value, types)
    if (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and "string" in types
        and not types & {"number", "integer"}
    ):
        return str(value)
    return value


def _request_digest(job: Job) -> Any:
    fixed = json.dumps([job.operation, job.request], sort_keys=True, ensure_ascii=False)
    return hashlib.blake2b(fixed.encode("utf-8", "surrogatepass"), digest_size=16)
