"""Which part of a row's request a failure is about, as far as the API's own words tell."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from batcher.mapping.leaf import ExpressionPart, NamePart
from batcher.mapping.node import BodyPath, Constant, Leaf, Node, ShapedLeaf

_ADDRESS = re.compile(r"https?://\S+")
_NAMED = re.compile(
    r"""\A([\w.\[\]-]+):\s                       # `param: message`, as refusals are kept
      | ['"`“‘]([\w.\[\]-]+)['"`”’]              # a word in quotes
      | (?<![\w./@-])(\w+(?:\[\d+\]|[._]\w+)+)   # variables.first_name, scenes[0], voice_id: no word of prose
    """,
    re.VERBOSE,
)
_AROUND = ("body", "data")
"""What some APIs write before the path of a field."""

Place = tuple[BodyPath, Node]
"""A node that holds a value of its own, and where that stands in the body of a row."""


def blamed_leaf(said: str, *, places: Sequence[Place], about: Sequence[str]) -> Leaf | Constant | None:
    """
    The one value that a failure is about; None where it names none, or several.

    Args:
        said: The failure in the API's words, the field that it complains about before a colon.
        places: The values of the row's request.
        about: The fields that failures of this code may be about, where the words name none.
    """
    for name in _names(said):
        if found := _at(name, places):
            return _only(found)
    told = [name for name in about if re.search(rf"\b{re.escape(name)}\b", said, re.IGNORECASE)]
    found = [node for name in told for node in _at((name,), places)]
    return _only(found or [node for name in about for node in _at((name,), places)])


def uses_member(leaf: Leaf) -> bool:
    """Whether the member of a fan-out is in it."""
    return any(isinstance(part, NamePart) or (isinstance(part, ExpressionPart) and part.names) for part in leaf.parts)


def _names(said: str) -> Iterator[tuple[str, ...]]:
    """What may be the name of a field, in parts: `scenes[0].text` is `scenes`, `0`, `text`."""
    for match in _NAMED.finditer(_ADDRESS.sub(" ", said)):
        word = next(group for group in match.groups() if group)
        parts = tuple(part for part in re.split(r"[.\[\]]+", word) if part)
        yield parts[1:] if len(parts) > 1 and parts[0] in _AROUND else parts


def _at(name: tuple[str, ...], places: Sequence[Place]) -> list[Leaf | Constant]:
    """The values at a path: those whose whole path it is where there are any, else those that it is the end of."""
    found = [(offset, node) for path, node in places if (offset := _offset(name, path)) is not None]
    first = min((offset > 0 for offset, _ in found), default=False)
    leaves = (node.leaf if isinstance(node, ShapedLeaf) else node for offset, node in found if (offset > 0) == first)
    return [node for node in leaves if isinstance(node, Leaf | Constant)]


def _offset(name: tuple[str, ...], path: BodyPath) -> int | None:
    """Where in a path a name begins that leads to it, into it or through it; None when it names something else."""
    parts = [str(part) for part in path]
    fits = (at for at in range(len(parts)) if all(a == b for a, b in zip(parts[at:], name, strict=False)))
    return next(fits, None)


def _only(found: Sequence[Leaf | Constant]) -> Leaf | Constant | None:
    """The value that is meant, also where it stands in several places; None for several."""
    varying: Sequence[Leaf | Constant] = [node for node in found if isinstance(node, Leaf)] or found
    ways = {(tuple(node.columns()), isinstance(node, Leaf) and uses_member(node)) for node in varying}
    return varying[0] if len(ways) == 1 else None
