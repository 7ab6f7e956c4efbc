"""The job's request, with shapes applied, into the tree of nodes that rows are filled into."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from batcher.mapping.expression import ExpressionError
from batcher.mapping.leaf import Lookup, parse_parts
from batcher.mapping.node import BodyPath, Constant, Group, Items, Leaf, Node, ShapedLeaf, fill_form
from batcher.model import Json

Cases = Sequence[Mapping[str, Json]]


class TreeBuilder:
    """
    Builds nodes and collects complaints.

    Args:
        shapes: Name of a shape to its cases.
        patterns: Path pattern in the request to the name of the shape that holds there.
        lookup, names, headers: As for `parse_parts`.
    """

    def __init__(
        self,
        *,
        shapes: Mapping[str, Cases],
        patterns: Mapping[str, str],
        lookup: Lookup,
        names: Sequence[str],
        headers: Sequence[str],
    ) -> None:
        self._shapes = shapes
        self._patterns = patterns
        self._lookup = lookup
        self._names = names
        self._headers = headers
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
            parts = parse_parts(text, lookup=self._lookup, names=self._names, headers=self._headers)
        except ExpressionError as error:
            self.complain(job_path, str(error))
            parts = ("",)
        return Leaf(job_path=job_path, parts=parts)

    def _shaped(self, value: Json, shape: str, body_path: BodyPath, job_path: BodyPath) -> Node:
        cases = self._shapes[shape]
        if isinstance(value, dict):
            for case in cases:
                key = case.get("key")
                if key is not None and key in value:
                    return self._keyed(value, str(key), case["to"], body_path, job_path)
            return self._plain(value, body_path, job_path)
        if value is None or isinstance(value, list):
            return self._plain(value, body_path, job_path)
        text = value if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
        plain = [(re.compile(str(case["plain"]), re.IGNORECASE), case["to"]) for case in cases if "plain" in case]
        node = self._plain(text, body_path, job_path)
        if isinstance(node, Constant):
            form = next((form for pattern, form in plain if pattern.match(text.strip())), "$")
            return self._plain(fill_form(form, text), body_path, job_path)
        if isinstance(node, Leaf) and len(plain) == 1 and not plain[0][0].pattern:
            return self._formed(plain[0][1], node, job_path)
        return ShapedLeaf(job_path=job_path, leaf=node, cases=plain) if isinstance(node, Leaf) else node

    def _formed(self, form: Json, leaf: Leaf, job_path: BodyPath) -> Node:
        """A form whose `$` is known to be this leaf, whatever the row brings."""
        entries: dict[str, Node] = {
            key: leaf if part == "$" else Constant(job_path=job_path, value=part) for key, part in dict(form).items()
        }
        return Group(
            job_path=job_path, entries=entries, essential=next((k for k, n in entries.items() if n is leaf), "")
        )

    def _keyed(self, value: Mapping[str, Json], key: str, form: Json, body_path: BodyPath, job_path: BodyPath) -> Node:
        entries: dict[str, Node] = {}
        essential = ""
        for name, part in dict(form).items():
            inner = ((*body_path, name), (*job_path, key))
            if part == "$":
                entries[name], essential = self._plain(value[key], *inner), name
            elif isinstance(part, str) and part.startswith("$"):
                entries[name], essential = self._shaped(value[key], part[1:], *inner), name
            else:
                entries[name] = Constant(job_path=job_path, value=part)
        for name, each in value.items():
            if name != key and each is not None:
                entries[name] = self.build(each, body_path=(*body_path, name), job_path=(*job_path, name))
        return Group(job_path=job_path, entries=entries, essential=essential)


def matches(pattern: str, path: BodyPath) -> bool:
    """Whether a dotted pattern such as `variables.*` names a path; `*` is any key or index."""
    parts = pattern.split(".")
    return len(parts) == len(path) and all(part in ("*", str(each)) for part, each in zip(parts, path, strict=True))


def walk(node: Node, path: BodyPath = ()) -> Iterator[tuple[BodyPath, Node]]:
    """Every node that holds a value of its own, with its place in the body."""
    if isinstance(node, Group):
        for key, each in node.entries.items():
            yield from walk(each, (*path, key))
    elif isinstance(node, Items):
        for index, each in enumerate(node.nodes):
            yield from walk(each, (*path, index))
    else:
        yield path, node


def fixed_values(node: Node) -> Json:
    """The body as far as it is the same for every row."""
    if isinstance(node, Group):
        return {key: fixed_values(each) for key, each in node.entries.items()}
    if isinstance(node, Items):
        return [fixed_values(each) for each in node.nodes]
    return node.value if isinstance(node, Constant) else None
