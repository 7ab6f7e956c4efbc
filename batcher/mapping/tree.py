"""The job's request, with shapes applied, into the tree of nodes that rows are filled into."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from batcher.catalog.assets import kind_named
from batcher.mapping.expression import ExpressionError
from batcher.mapping.leaf import Lookup, Steps, parse_parts
from batcher.mapping.node import (
    BodyPath,
    Case,
    Constant,
    Filling,
    Group,
    Items,
    Leaf,
    Merged,
    Node,
    ShapedLeaf,
    fill_form,
    named_form,
)
from batcher.model import Json

Cases = Sequence[Mapping[str, Json]]
Fill = Callable[[str, BodyPath], Node]
"""Makes the node for a `$…` of a form, at its place in the body."""


class TreeBuilder:
    """
    Builds nodes and collects complaints.

    Args:
        shapes: Name of a shape to its cases.
        patterns: Path pattern in the request to the name of the shape that holds there.
        lookup, names, headers, steps, later: As for `parse_parts`.
    """

    def __init__(
        self,
        *,
        shapes: Mapping[str, Cases],
        patterns: Mapping[str, str],
        lookup: Lookup,
        names: Sequence[str],
        headers: Sequence[str],
        steps: Steps,
        later: Sequence[str] = (),
    ) -> None:
        self._shapes = shapes
        self._patterns = patterns
        self._lookup = lookup
        self._names = names
        self._headers = headers
        self._steps = steps
        self._later = later
        self.complaints: list[tuple[BodyPath, str]] = []

    def complain(self, job_path: BodyPath, message: str) -> None:
        """Remember a fault at a key of the job."""
        self.complaints.append((job_path, message))

    def build(self, value: Json, *, body_path: BodyPath, job_path: BodyPath) -> Node:
        """The node of a value of the request."""
        for pattern, shape in self._patterns.items():
            if matches(pattern, body_path):
                return self._shaped(value, shape, body_path, job_path)
        return self._plain(value, body_path, job_path)

    def _plain(self, value: Json, body_path: BodyPath, job_path: BodyPath) -> Node:
        if isinstance(value, dict):
            entries = {
                key: self.build(each, body_path=(*body_path, key), job_path=(*job_path, key))
                for key, each in value.items()
                if each is not None
            }
            return Group(job_path=job_path, entries=entries)
        if isinstance(value, list):
            nodes = [
                self.build(each, body_path=(*body_path, i), job_path=(*job_path, i)) for i, each in enumerate(value)
            ]
            return Items(job_path=job_path, nodes=nodes)
        if isinstance(value, str) and ("{{" in value or "{%" in value):
            return self._leaf(value, job_path)
        return Constant(job_path=job_path, value=value)

    def _leaf(self, text: str, job_path: BodyPath) -> Leaf:
        try:
            parts = parse_parts(
                text,
                lookup=self._lookup,
                names=self._names,
                headers=self._headers,
                steps=self._steps,
                later=self._later,
            )
        except ExpressionError as error:
            self.complain(job_path, str(error))
            parts = ("",)
        return Leaf(job_path=job_path, parts=parts)

    def _shaped(self, value: Json, shape: str, body_path: BodyPath, job_path: BodyPath) -> Node:
        cases = self._shapes[shape]
        name = str(body_path[-1]) if body_path else ""
        if isinstance(value, dict):
            return self._shaped_group(value, cases, name, body_path, job_path)
        if value is None or isinstance(value, list):
            return self._plain(value, body_path, job_path)
        text = value if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
        plain = list(_text_cases(cases, name))
        node = self._plain(text, body_path, job_path)
        if isinstance(node, Constant):
            case = next((case for case in plain if case.pattern.match(text.strip())), None)
            if case is not None and case.kinds:
                leaf = Leaf(job_path=job_path, parts=(text.strip(),))
                return ShapedLeaf(job_path=job_path, leaf=leaf, cases=plain)
            return self._plain(fill_form(case.form if case else "$", {"$": text}), body_path, job_path)
        if isinstance(node, Leaf) and len(plain) == 1 and not plain[0].pattern.pattern:
            leaf = node
            return self._form(plain[0].form, lambda part, at: leaf, body_path, job_path)  # noqa: ARG005 - Fill's signature
        return ShapedLeaf(job_path=job_path, leaf=node, cases=plain) if isinstance(node, Leaf) else node

    def _shaped_group(
        self, value: Mapping[str, Json], cases: Cases, name: str, body_path: BodyPath, job_path: BodyPath
    ) -> Node:
        for case in cases:
            key = case.get("key")
            if key is not None and key in value:
                return self._keyed(value, str(key), case, name, body_path, job_path)
            if "each" in case:
                return self._each(value, case["each"], body_path, job_path)
        return self._plain(value, body_path, job_path)

    def _keyed(
        self,
        value: Mapping[str, Json],
        key: str,
        case: Mapping[str, Json],
        name: str,
        body_path: BodyPath,
        job_path: BodyPath,
    ) -> Node:
        inner_path = (*job_path, key)

        def fill(part: str, at: BodyPath) -> Node:
            if part == "$":
                return self._plain(value[key], at, inner_path)
            return self._shaped(value[key], part[1:], at, inner_path)

        node = self._form(named_form(case["to"], name), fill, body_path, job_path)
        rest = str(case.get("rest", ""))
        beside = (*body_path, rest) if rest else body_path
        others: dict[str, Node] = {
            each: self.build(inner, body_path=(*beside, each), job_path=(*job_path, each))
            for each, inner in value.items()
            if each != key and inner is not None
        }
        if not others:
            return node
        if not isinstance(node, Group):
            return Merged(job_path=job_path, nodes=(node, Group(job_path=job_path, entries=others)))
        if rest:
            merged = Merged(job_path=job_path, nodes=(node.entries[rest], Group(job_path=job_path, entries=others)))
            others = {rest: merged}
        return Group(job_path=job_path, entries={**node.entries, **others}, essential=node.essential)

    def _each(self, value: Mapping[str, Json], form: Json, body_path: BodyPath, job_path: BodyPath) -> Node:
        """A mapping as a list with one member for each of its entries."""
        nodes: list[Node] = []
        for name, each in value.items():
            if each is None:
                continue
            path = (*job_path, name)

            def fill(part: str, at: BodyPath, each: Json = each, path: BodyPath = path) -> Node:
                return self._plain(each, at, path) if part == "$" else self._shaped(each, part[1:], at, path)

            nodes.append(self._form(named_form(form, name), fill, (*body_path, len(nodes)), path))
        return Items(job_path=job_path, nodes=nodes)

    def _form(self, form: Json, fill: Fill, body_path: BodyPath, job_path: BodyPath) -> Node:
        """A shape's form as nodes; where its own value is left out, the whole of it goes."""
        if isinstance(form, str) and form.startswith("$"):
            return fill(form, body_path)
        if not isinstance(form, dict):
            return Constant(job_path=job_path, value=form)
        entries = {key: self._form(part, fill, (*body_path, key), job_path) for key, part in form.items()}
        essential = next((key for key, part in form.items() if _holds_value(part)), "")
        return Group(job_path=job_path, entries=entries, essential=essential)


def _text_cases(cases: Cases, name: str) -> Iterator[Case]:
    """What may become of a text, in the order of the catalogue."""
    for case in cases:
        if "file" in case:
            yield Case.of_files(named_form(case["to"], name), frozenset(map(kind_named, case["file"])))
        elif "plain" in case:
            pattern = re.compile(str(case["plain"]), re.IGNORECASE)
            yield Case(pattern=pattern, form=named_form(case["to"], name))


def _holds_value(form: Json) -> bool:
    if isinstance(form, dict):
        return any(_holds_value(each) for each in form.values())
    return isinstance(form, str) and form.startswith("$")


def matches(pattern: str, path: BodyPath) -> bool:
    """Whether a dotted pattern such as `variables.*` names a path; `*` is any key or index."""
    parts = pattern.split(".")
    return len(parts) == len(path) and all(part in ("*", str(each)) for part, each in zip(parts, path, strict=True))


def walk(node: Node, path: BodyPath = (), *, row: Filling | None = None) -> Iterator[tuple[BodyPath, Node]]:
    """
    Every node that holds a value of its own, with its place in the body.

    Args:
        row: A row that was filled in: members that it leaves out of lists are passed over; None passes over none.
    """
    if isinstance(node, Group):
        for key, each in node.entries.items():
            yield from walk(each, (*path, key), row=row)
    elif isinstance(node, Items):
        for index, each in enumerate(node.members(row) if row else node.nodes):
            yield from walk(each, (*path, index), row=row)
    elif isinstance(node, Merged):
        for each in node.nodes:
            yield from walk(each, path, row=row)
    else:
        yield path, node


def fixed_part(node: Node) -> Json:
    """What every row has in its body: `fixed_values` without what varies."""
    if isinstance(node, Group):
        kept = {key: fixed_part(each) for key, each in node.entries.items() if not isinstance(each, Leaf | ShapedLeaf)}
        return {key: value for key, value in kept.items() if value is not None}
    if isinstance(node, Items):
        return [value for each in node.nodes if (value := fixed_part(each)) is not None]
    if isinstance(node, Merged):
        parts = [fixed_part(each) for each in node.nodes]
        return {key: each for value in parts if isinstance(value, dict) for key, each in value.items()}
    return node.value if isinstance(node, Constant) else None


def fixed_values(node: Node) -> Json:
    """The body as far as it is the same for every row."""
    if isinstance(node, Group):
        return {key: fixed_values(each) for key, each in node.entries.items()}
    if isinstance(node, Items):
        return [fixed_values(each) for each in node.nodes]
    if isinstance(node, Merged):
        values = [fixed_values(each) for each in node.nodes]
        return {key: each for value in values if isinstance(value, dict) for key, each in value.items()}
    return node.value if isinstance(node, Constant) else None


def uses(request: Mapping[str, Json], pattern: str) -> bool:
    """Whether a request has a value at a path pattern."""

    def paths(value: Json, path: tuple[str | int, ...]) -> Iterator[tuple[str | int, ...]]:
        if isinstance(value, dict):
            for key, each in value.items():
                yield from paths(each, (*path, key))
        elif isinstance(value, list):
            for index, each in enumerate(value):
                yield from paths(each, (*path, index))
        else:
            yield path

    return any(matches(pattern, path) for path in paths(request, ()))
