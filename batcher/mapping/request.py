"""A job's request held against its operation and a sheet's header: from here on a row becomes a body."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from msgspec import Struct

from batcher.catalog.body import schemas_at
from batcher.catalog.model import Operation, Provider
from batcher.errors import InputError, Problem
from batcher.files import Files
from batcher.job import Job, Step
from batcher.mapping.asset import NamedFile, shown, stored
from batcher.mapping.blame import blamed_leaf, uses_member
from batcher.mapping.choice import Choices
from batcher.mapping.leaf import Lookup, NamePart, mentioned_headers
from batcher.mapping.node import BodyPath, Constant, Filling, Group, Items, Leaf, Merged, Node, Omit, ShapedLeaf
from batcher.mapping.tree import TreeBuilder, fixed_part, fixed_values, matches, walk
from batcher.mapping.types import enumerated, typed, wanted_types
from batcher.model import Json
from batcher.schema import Checker, Fault


class Flaw(Struct, frozen=True, kw_only=True):
    """
    A complaint about a row.

    Attributes:
        column: The cell it is about; None when it is about the row as a whole.
    """

    column: int | None
    message: str


_NONE: Mapping[str, str] = MappingProxyType({})


class Rendered(Struct, frozen=True, kw_only=True):
    """
    What one row (and fan-out member) asks for.

    Attributes:
        path: Where to send it, without the base address; empty when there are flaws.
        kept: The body as a value, assets in it still to be put in their places; None when there are flaws.
        content: The same with something in the place of each asset; None when there are flaws.
        input_hash: Changes when the cells used, the files that they name or the job's request change, and with nothing else.
        flaws: Why the row cannot be sent; empty when it can.
        needs: The files that must be uploaded first.
    """

    path: str
    input_hash: str
    kept: Json = None
    content: Json = None
    flaws: tuple[Flaw, ...] = ()
    needs: tuple[NamedFile, ...] = ()

    @property
    def body(self) -> str:
        """JSON text of `kept`, written only when it is asked for; empty when there are flaws."""
        if self.flaws:
            return ""
        return to_json(stored(self.kept) if self.needs else self.kept)


class _Live(Struct, frozen=True, kw_only=True):
    """What the API says about a template: None and a reason when it cannot be used."""

    checker: Checker | None
    wrong: str


class RequestMapping:
    """
    The compiled request of one job.

    Args:
        step: The step whose request it is.
        provider: Whose shapes and choices are used.
        operation: What is asked for.
        lookup: Finds a column by its header text.
        headers: The header texts of the sheet.
        choices: Valid values by the name of the choice list; a list that is not there is not checked.
        earlier: The steps before it, each with the outputs that it may have.
        later: The names of the step itself and of those after it, to say so where one is used.
        files: Finds local files; None where none can be sent.

    Raises:
        InputError: The request does not fit the operation or the header, each fault with its place in the job file.
    """

    def __init__(
        self,
        step: Step,
        *,
        provider: Provider,
        operation: Operation,
        lookup: Lookup,
        headers: Sequence[str],
        choices: Mapping[str, Choices],
        earlier: Mapping[str, Sequence[str]],
        later: Sequence[str] = (),
        files: Files | None = None,
    ) -> None:
        self._step = step
        self._files = files
        self._operation = operation
        self._checker = Checker(operation.body)
        self._learned: dict[str, _Live] = {}
        self._extended = (operation.extends.field,) if operation.extends else ()
        names = (step.for_each.name,) if step.for_each else ()
        builder = TreeBuilder(
            shapes=provider.shapes,
            patterns=operation.shape,
            lookup=lookup,
            names=names,
            headers=headers,
            steps=earlier,
            later=later,
        )
        request = dict(step.request)
        self._path_nodes: dict[str, Node] = {}
        for field in operation.path_fields:
            if field not in request:
                builder.complain(("request",), f"'{field}' is missing")
                continue
            self._path_nodes[field] = builder.build(request.pop(field), body_path=(field,), job_path=("request", field))
        self._root = builder.build(request, body_path=(), job_path=("request",))
        problems = [step.problem(path, message) for path, message in builder.complaints]
        if problems:
            raise InputError(*problems)
        self._choices = {
            kind: Choices(
                kind,
                known.members,
                codes=_codes(provider, kind),
                is_open=known.is_open,
                listing=_listing(provider, kind),
                renew=known.renew,
            )
            for kind, known in choices.items()
        }
        self._attach()
        self._digest = _request_digest(step)
        self.columns = tuple(sorted({c for node in (self._root, *self._path_nodes.values()) for c in node.columns()}))
        """The columns that the request uses, left to right."""
        leaves = [node for top in (self._root, *self._path_nodes.values()) for _, node in walk(top)]
        self.sources = frozenset(step for node in leaves if isinstance(node, Leaf | ShapedLeaf) for step in node.steps)
        """The earlier steps whose outputs the request uses."""
        self.takes_files = any(isinstance(node, ShapedLeaf) for node in leaves)
        """Whether what is asked for may depend on more than the cells."""

    def _attach(self) -> None:
        """Tell every leaf its type, and hold every constant against its type, once the whole tree stands."""
        fixed = fixed_values(self._root)
        problems: list[Problem] = []
        in_path = [(place, each) for field, top in self._path_nodes.items() for place, each in walk(top, (field,))]
        for path, node in (*walk(self._root), *in_path):
            schemas = schemas_at(self._operation.body, path, fixed)
            types = wanted_types(schemas)
            places = (path, node.job_path[1:])  # as the API calls it, and as the job does
            wanted = self._operation.choices.items()
            kind = next((name for pattern, name in wanted if any(matches(pattern, each) for each in places)), "")
            known = self._choices.get(kind)
            if isinstance(node, Leaf):
                node.types, node.words, node.choices = types, enumerated(schemas), known
                node.trims = any("pattern" in schema or "const" in schema for schema in schemas)
                node.is_plain = not (node.trims or node.words or known) and (not types or "string" in types)
            elif isinstance(node, Constant):
                try:
                    node.value = _constant(node.value, types, known)
                except ValueError as error:
                    problems.append(self._step.problem(node.job_path, str(error)))
        if problems:
            raise InputError(*problems)

    def meant(self, item: str) -> str:
        """The valid value that is meant by a member of the fan-out; the text itself where that is not known."""
        for _, node in walk(self._root):
            if isinstance(node, Leaf) and node.choices and all(isinstance(part, NamePart) for part in node.parts):
                try:
                    return node.choices.resolve(item)
                except ValueError:
                    return item
        return item

    def render(
        self,
        cells: Sequence[str],
        *,
        flaws: Mapping[int, str],
        item: str = "",
        outputs: Mapping[str, Mapping[str, str]] | None = None,
    ) -> Rendered:
        """
        Fill in one row.

        Args:
            cells: The row's texts, one per column.
            flaws: Cells that cannot be trusted, by column.
            item: The member of the fan-out; empty without one.
            outputs: What the earlier steps of the row have made; None before they have: then only what does not depend
                on it is checked.

        Raises:
            InputError: A fault that no cell can mend: the job itself is wrong.
        """
        names = {self._step.for_each.name: item} if self._step.for_each else _NONE
        row = Filling(cells=cells, flaws=flaws, names=names, outputs=outputs, files=self._files)
        values = self._path_values(row) if self._path_nodes else _NONE
        live = self._live(values, row) if self._learned else None
        checker = live.checker if live and live.checker else self._checker
        filled = self._root.fill(row)
        if row.wrong:
            raise InputError(*(self._step.problem(place, message) for place, message in row.wrong))
        kept: Json = {} if isinstance(filled, Omit) else filled
        body = shown(kept) if row.needs else kept
        found = [Flaw(column=column, message=message) for column, message in row.faults] if row.faults else []
        faults = checker.faults(body)
        if faults and not (live and live.wrong):
            already = {flaw.column for flaw in found}
            found += self._row_flaws(faults, row, already=already, is_preview=outputs is None, is_live=live is not None)
        if self._operation.rules and not found:
            found += self._broken_rules(body, row, is_preview=outputs is None)
        input_hash = self.input_hash(cells, item=item, digests=row.digests)
        if found:
            return Rendered(path="", input_hash=input_hash, flaws=tuple(dict.fromkeys(found)))
        path = self._operation.path.format(**values) if values else self._operation.path
        return Rendered(path=path, kept=kept, content=body, input_hash=input_hash, needs=tuple(row.needs))

    def input_hash(self, cells: Sequence[str], *, item: str, digests: Sequence[str] = ()) -> str:
        """
        As `Rendered.input_hash`.

        Args:
            digests: Of the files that the row names; it can name some only where the mapping `takes_files`.
        """
        digest = self._digest.copy()
        text = "".join([f"\x1f{cells[column]}" for column in self.columns])
        digest.update(f"{text}\x1e{item}".encode("utf-8", "surrogatepass"))
        for held in digests:
            digest.update(b"\x1d" + held.encode())
        return str(digest.hexdigest())

    def is_fixed(self, name: str) -> bool:
        """Whether what stands under a key of the body, or that nothing does, is the same for every row."""
        if not isinstance(self._root, Group):
            return False
        entry = self._root.entries.get(name)
        return entry is None or all(isinstance(each, Constant) for _, each in walk(entry))

    @property
    def has_template_per_row(self) -> bool:
        """Whether the API can describe what a row may fill in, and rows differ in what is to be described."""
        return self._operation.extends is not None and any(
            isinstance(node, Leaf) and node.varies and not node.is_later for node in self._path_nodes.values()
        )

    def template_path(self, cells: Sequence[str], *, flaws: Mapping[int, str], item: str) -> str:
        """Where the API describes the template of a row; empty when its cell is not usable."""
        names = {self._step.for_each.name: item} if self._step.for_each else {}
        row = Filling(cells=cells, flaws=flaws, names=names, outputs={})
        values = self._path_values(row)
        return "" if row.faults or not self._operation.extends else self._operation.extends.path.format(**values)

    def learn(self, path: str, *, body: Json, wrong: str) -> None:
        """
        Remember what the API says about a template.

        Args:
            path: As `template_path` gives it.
            body: The schema of a body with this template; None when there is no such template.
            wrong: Why no row can use it; empty when rows can.
        """
        self._learned[path] = _Live(checker=Checker(body) if body else None, wrong=wrong)

    def _live(self, values: Mapping[str, str], row: Filling) -> _Live | None:
        """What is known about the row's own template; that it cannot be used is a fault of its cell."""
        if self._operation.extends is None:
            return None
        live = self._learned.get(self._operation.extends.path.format(**values))
        if live and live.wrong and not row.faults:
            row.faults.append((self._template_column, live.wrong))
        return live

    @cached_property
    def _template_column(self) -> int | None:
        """The column with the row's template."""
        return next((column for node in self._path_nodes.values() for column in node.columns()), None)

    def _path_values(self, row: Filling) -> dict[str, str]:
        """The parts of the address, as they stand in it."""
        values: dict[str, str] = {}
        for field, node in self._path_nodes.items():
            before = len(row.faults)
            value = node.fill(row)
            values[field] = quote(str(value).strip(), safe="") if isinstance(value, str | int) else ""
            if not values[field] and len(row.faults) == before and isinstance(node, Constant):
                raise InputError(self._step.problem(node.job_path, "is empty, and it is part of the address"))
            if not values[field] and len(row.faults) == before:
                row.faults.append((next(node.columns(), None), f"{field} is empty, and it is part of the address"))
        return values

    def _row_flaws(
        self, faults: Sequence[Fault], row: Filling, *, already: set[int | None], is_preview: bool, is_live: bool
    ) -> list[Flaw]:
        found: list[Flaw] = []
        wrong: list[Problem] = []
        for fault in faults:
            node, exact = self._node_at(fault, row)
            columns = list(dict.fromkeys(node.columns()))
            inside = [each for _, each in walk(node) if isinstance(each, Leaf | ShapedLeaf)]
            if (
                is_live
                and fault.path[:1] == self._extended
                and (fault.unknown_key or not any(each.varies for each in inside))
            ):
                label = ".".join(str(part) for part in fault.path)
                found.append(Flaw(column=self._template_column, message=f"this template's {label}: {fault.message}"))
                continue
            if fault.unknown_key and isinstance(node, Group):
                wrong.append(self._step.problem((*node.job_path, fault.unknown_key), fault.message))
                continue
            if is_preview and any(each.is_later for each in inside):
                continue
            if not any(each.varies for each in inside):
                if (_anywhere(fault.path), fault.message) in self._lasting:
                    wrong.append(self._step.problem(node.job_path, fault.message))
                elif not already:  # another value of the row has made it wrong
                    found.append(Flaw(column=None, message=f"{_words(node.job_path)}: {fault.message}"))
                continue
            if already and (not exact or already & set(columns)):
                continue
            label = "" if exact else ".".join(str(part) for part in fault.path)
            message = f"{label}: {fault.message}" if label else fault.message
            found.append(Flaw(column=columns[0] if len(columns) == 1 else None, message=message))
        if wrong:
            raise InputError(*wrong)
        return found

    @cached_property
    def _lasting(self) -> frozenset[tuple[BodyPath, str]]:
        """What is wrong with the job alone, whatever a row holds."""
        faults = self._checker.faults(fixed_part(self._root))
        return frozenset((_anywhere(fault.path), fault.message) for fault in faults)

    def _broken_rules(self, body: Json, row: Filling, *, is_preview: bool) -> list[Flaw]:
        """What the schema cannot say, for a body that fits it."""
        found: list[Flaw] = []
        for rule in self._operation.rules:
            if rule.holds.holds(body):
                continue
            nodes = [self._node_at(Fault(path=tuple(name.split(".")), message=""), row)[0] for name in rule.fields]
            inside = [each for top in nodes for _, each in walk(top) if isinstance(each, Leaf | ShapedLeaf)]
            if is_preview and any(each.is_later for each in inside):
                continue
            from_sheet = next((column for node in nodes for column in node.columns()), None)
            if not any(each.varies for each in inside):
                raise InputError(self._step.problem(nodes[0].job_path, rule.say))
            found.append(Flaw(column=from_sheet, message=f"{rule.fields[0]}: {rule.say}"))
        return found

    def columns_about(
        self, said: str, *, cells: Sequence[str], item: str, about: Sequence[str], item_column: int | None
    ) -> tuple[int, ...]:
        """
        The columns from which the value was made that a failure is about; none where it names none of them.

        Args:
            said: The failure, in the API's words.
            cells: The row's texts.
            item: As for `render`.
            about: The fields that such a failure is about, where it names none.
            item_column: The column that holds the members of the fan-out; None without one.
        """
        names = {self._step.for_each.name: item} if self._step.for_each else {}
        row = Filling(cells=cells, names=names, files=self._files)
        self._root.fill(row)
        tops = (((), self._root), *(((field,), node) for field, node in self._path_nodes.items()))
        places = [each for path, top in tops for each in walk(top, path, row=row)]
        leaf = blamed_leaf(said, places=places, about=about)
        if not isinstance(leaf, Leaf):
            return ()
        member = [item_column] if item_column is not None and uses_member(leaf) else []
        return tuple(dict.fromkeys([*leaf.columns(), *member]))

    def _node_at(self, fault: Fault, row: Filling) -> tuple[Node, bool]:
        """The node that a fault is about, and whether it is a single value rather than a group around several."""
        node: Node = self._root
        for part in (*fault.path, fault.missing_key) if fault.missing_key else fault.path:
            inner: Node | None = None
            if isinstance(node, Group):
                inner = node.entries.get(str(part))
                if inner is None and part == fault.missing_key:
                    return Constant(job_path=node.job_path, value=None), True
            elif isinstance(node, Merged):
                groups = [each for each in node.nodes if isinstance(each, Group) and str(part) in each.entries]
                inner = groups[0].entries[str(part)] if groups else node.nodes[0]
            elif isinstance(node, Items) and isinstance(part, int):
                inner = node.member(part, row)
            if inner is None:
                break
            node = inner
        return node, isinstance(node, Leaf | ShapedLeaf | Constant)


def _anywhere(path: BodyPath) -> BodyPath:
    """A place without the indexes of its lists: members that vary are left out of what lasts."""
    return tuple("*" if isinstance(part, int) else part for part in path)


def _words(job_path: BodyPath) -> str:
    """A key of the request as the person has written it."""
    return ".".join(str(part) for part in job_path[1:])


def _listing(provider: Provider, kind: str) -> str:
    """The command that shows the valid values."""
    if provider.is_own:
        return f"batcher list {kind} --catalog FILE"
    return f"batcher list {kind} --provider {provider.name}"


def _codes(provider: Provider, kind: str) -> Mapping[str, tuple[str, ...]]:
    return provider.choices[kind].codes if kind in provider.choices else {}


_COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False)
_MAKE: Any = json.encoder.c_make_encoder  # type: ignore[attr-defined]  # None where Python has no C
_PIECES: Any = _MAKE and _MAKE(
    None, _COMPACT.default, json.encoder.encode_basestring, None, ":", ",", False, False, True
)
"""What `_COMPACT` makes anew for every value; made once, a body takes half the time."""


def to_json(value: Json) -> str:
    """A body as it is sent: compact, in the order of the job's request."""
    return "".join(_PIECES(value, 0)) if _PIECES else _COMPACT.encode(value)


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

    for step in job.steps:
        visit(step.request)
    for download in job.results.downloads:
        visit(download.template)
    found -= {step.name for step in job.steps}
    for fan in (step.for_each for step in job.steps if step.for_each):
        found.discard(fan.name)
        if fan.column:
            found.add(fan.column)
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


def _request_digest(step: Step) -> Any:
    fixed = json.dumps([step.operation, step.request], sort_keys=True, ensure_ascii=False)
    return hashlib.blake2b(fixed.encode("utf-8", "surrogatepass"), digest_size=16)
