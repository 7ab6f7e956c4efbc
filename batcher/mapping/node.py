"""The request as a tree that is filled in row by row."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from msgspec import Struct, field

from batcher.files import LOCAL, Files, Unusable
from batcher.mapping.asset import NamedFile, Pending
from batcher.mapping.choice import Choices
from batcher.mapping.expression import ExpressionError
from batcher.mapping.leaf import CellPart, ExpressionPart, NamePart, OutputPart, Part, sole_cell
from batcher.mapping.types import typed
from batcher.media import Kind
from batcher.model import Json

BodyPath = tuple[str | int, ...]


class Omit:
    """The one value that leaves its whole entry out of the body."""


OMIT = Omit()

LATER = "https://example.com/later"
"""Stands for what an earlier step will have made, as long as a row is only looked at."""


class Filling(Struct, kw_only=True):
    """
    What one row brings, and what it complains about.

    Attributes:
        cells: The row's texts.
        flaws: Cells that cannot be trusted, by column.
        names: Fan-out name to its member.
        outputs: What the earlier steps have made, by their names; None before they have, when all that depends on it
            is left open.
        files: Finds local files.
        faults: What was found, as (column or None, message).
        kept: For lists that lost members: the list to the places in the job of those that are left.
        wrong: The same where no cell can mend it, as (place in the job, message).
        needs: The files that must be uploaded first.
        digests: Of what the named files hold, or held as long as they were there.
    """

    cells: Sequence[str]
    flaws: Mapping[int, str] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, Mapping[str, str]] | None = None
    files: Files | None = None
    faults: list[tuple[int | None, str]] = field(default_factory=list)
    kept: dict[int, Sequence[int]] = field(default_factory=dict)
    wrong: list[tuple[BodyPath, str]] = field(default_factory=list)
    needs: list[NamedFile] = field(default_factory=list)
    digests: list[str] = field(default_factory=list)


class Node(Protocol):
    """A part of the request."""

    job_path: BodyPath

    def fill(self, row: Filling) -> Json | Omit:
        """The value for a row; OMIT when the entry is left out. Complaints go to `row.faults`."""

    def columns(self) -> Iterator[int]:
        """The columns it uses."""


class Constant(Struct, kw_only=True):
    """A value that is the same for every row."""

    job_path: BodyPath
    value: Json

    def fill(self, row: Filling) -> Json | Omit:  # noqa: ARG002 - the same for every row
        return self.value

    def columns(self) -> Iterator[int]:
        return iter(())


class Leaf(Struct, kw_only=True):
    """
    A text with cells in it.

    Attributes:
        types: The JSON types the API wants here.
        words: Lower-case spelling to the API's own, where only certain words are allowed.
        choices: The valid values, where they are known by name.
        trims: Blanks around the value mean nothing here.
        is_plain: The text is the value: any text is taken here, as it stands.
        sole: See `sole_cell`.
    """

    job_path: BodyPath
    parts: tuple[Part, ...]
    types: frozenset[str] = frozenset()
    words: Mapping[str, str] = field(default_factory=dict)
    choices: Choices | None = None
    trims: bool = False
    is_plain: bool = False
    sole: tuple[str, int, str] | None = None

    def __post_init__(self) -> None:
        self.sole = sole_cell(self.parts)

    @property
    def steps(self) -> frozenset[str]:
        """The earlier steps that it needs something of."""
        bare = (part.step for part in self.parts if isinstance(part, OutputPart))
        return frozenset(bare).union(*(part.steps for part in self.parts if isinstance(part, ExpressionPart)))

    @property
    def is_later(self) -> bool:
        """Whether it needs what an earlier step makes."""
        return bool(self.steps)

    @property
    def varies(self) -> bool:
        """Whether rows can differ in it: then a fault in it is a row's, not the job's."""
        return any(not isinstance(part, str) for part in self.parts)

    def fill(self, row: Filling) -> Json | Omit:
        if row.outputs is None and self.is_later:
            return LATER
        before = len(row.faults)
        text = self.text(row)
        if text is OMIT or len(row.faults) > before:
            return OMIT
        return text if self.is_plain or isinstance(text, Omit) else self._value(text, row)

    def _value(self, text: str, row: Filling) -> Json | Omit:
        """What the text stands for."""
        if self.trims or self.choices or self.words:
            text = text.strip()
        if self.words:
            text = self.words.get(text.lower(), text)
        # a voice that an earlier step has just cloned stands in no list that was read before
        choices = None if self.choices and self.is_later and _was_made(text, row) else self.choices
        try:
            return choices.resolve(text) if choices else typed(text, self.types)
        except ValueError as error:
            row.faults.append((next(self.columns(), None), str(error)))
            return OMIT

    def text(self, row: Filling) -> str | Omit:
        """The text before it is typed; OMIT when it is nothing but one empty optional cell."""
        if self.sole is not None and not row.flaws:
            before, column, after = self.sole
            cell = row.cells[column]
            if cell.strip():
                return f"{before}{cell}{after}"
        if len(self.parts) == 1:
            return _part(self.parts[0], row, alone=True)
        pieces = []
        for part in self.parts:
            piece = part if isinstance(part, str) else _part(part, row, alone=False)
            if not isinstance(piece, Omit):
                pieces.append(piece)
        return "".join(pieces)

    def columns(self) -> Iterator[int]:
        for part in self.parts:
            if isinstance(part, CellPart):
                yield part.column
            elif isinstance(part, ExpressionPart):
                yield from part.columns.values()


def _was_made(text: str, row: Filling) -> bool:
    """Whether an earlier step of the row has made exactly this."""
    return any(text == made for outputs in (row.outputs or {}).values() for made in outputs.values())


def _part(part: Part, row: Filling, *, alone: bool) -> str | Omit:
    if isinstance(part, CellPart):
        if row.flaws and part.column in row.flaws:
            row.faults.append((part.column, f"{part.header}: {row.flaws[part.column]}"))
            return OMIT
        text = row.cells[part.column]
        if text.strip():
            return text
        if not part.may_be_empty:
            row.faults.append((part.column, f"{part.header} is empty"))
        return OMIT
    if isinstance(part, str):
        return part
    if isinstance(part, NamePart):
        return row.names[part.name]
    if isinstance(part, OutputPart):
        made = (row.outputs or {}).get(part.step, {}).get(part.output, "")
        if not made and not part.may_be_empty:
            row.faults.append((None, f"needs {part.step}.{part.output}, which there is none of"))
        return made or OMIT
    return _evaluated(part, row, alone=alone)


def _evaluated(part: ExpressionPart, row: Filling, *, alone: bool) -> str | Omit:
    variables: dict[str, Any] = {}
    for name, column in part.columns.items():
        if column in row.flaws:
            row.faults.append((column, row.flaws[column]))
            return OMIT
        # white space alone is an empty cell, so that `or` takes the other side
        variables[name] = row.cells[column] if row.cells[column].strip() else ""
    variables.update({name: row.names[meant] for name, meant in part.names.items()})
    variables.update({name: (row.outputs or {}).get(meant, {}) for name, meant in part.steps.items()})
    first = next(iter(part.columns.values()), None)
    try:
        value = part.expression.value(variables)
    except ExpressionError as error:
        row.faults.append((first, str(error)))
        return OMIT
    if value is None or value == "":
        if alone:
            row.faults.append((first, f"'{part.expression.source}' gives nothing"))
        return OMIT
    return str(value)


class Case(Struct, frozen=True, kw_only=True):
    """
    What becomes of a text.

    Attributes:
        pattern: How a text begins that this is for.
        form: `$` in it is the text; for a file, `$` is the asset's id and `$url` its address.
        kinds: The kinds of files that are taken; empty when the text is no path.
    """

    pattern: re.Pattern[str]
    form: Json
    kinds: frozenset[Kind] = frozenset()

    @classmethod
    def of_files(cls, form: Json, kinds: frozenset[Kind]) -> Case:
        """The case of a text that is a path."""
        return cls(pattern=LOCAL, form=form, kinds=kinds)


class ShapedLeaf(Struct, kw_only=True):
    """
    A text whose form decides what becomes of it.

    Attributes:
        cases: The first one counts whose pattern the text begins with; of those for files, the first that takes it.
    """

    job_path: BodyPath
    leaf: Leaf
    cases: Sequence[Case]

    def fill(self, row: Filling) -> Json | Omit:
        text = LATER if row.outputs is None and self.leaf.is_later else self.leaf.text(row)
        if isinstance(text, Omit):
            return OMIT
        text = text.strip()
        for case in self.cases:
            # what an earlier step has made is the API's word, and never leads to our files
            if case.pattern.match(text) and not (case.kinds and self.leaf.is_later):
                return self._file(text, row) if case.kinds else fill_form(case.form, {"$": text})
        return text

    def _file(self, text: str, row: Filling) -> Json | Omit:
        """The place of an asset; OMIT, with a complaint, when the file cannot be one."""
        cases = [case for case in self.cases if case.kinds]
        column = next(self.columns(), None)
        written = self.leaf.parts[0] if isinstance(self.leaf.parts[0], str) else ""
        try:
            if row.files is None:
                raise Unusable(f"'{text}' is a file, and files are not taken here")
            found = row.files.find(text, written=written.lstrip(), kinds=frozenset().union(*(c.kinds for c in cases)))
        except Unusable as error:
            row.digests.append(error.digest)
            if self.varies:
                row.faults.append((column, str(error)))
            else:
                row.wrong.append((self.job_path, str(error)))
            return OMIT
        row.digests.append(found.digest)
        row.needs.append(NamedFile(file=found, column=column, job_path=self.job_path))
        form = next(case.form for case in cases if found.kind in case.kinds)
        parts = {"$": Pending(digest=found.digest, part="id"), "$url": Pending(digest=found.digest, part="url")}
        return fill_form(form, parts)

    def columns(self) -> Iterator[int]:
        return self.leaf.columns()

    @property
    def steps(self) -> frozenset[str]:
        """See `Leaf.steps`."""
        return self.leaf.steps

    @property
    def is_later(self) -> bool:
        """See `Leaf.is_later`."""
        return self.leaf.is_later

    @property
    def varies(self) -> bool:
        """See `Leaf.varies`."""
        return self.leaf.varies


def fill_form(form: Json, values: Mapping[str, Json]) -> Json:
    """A shape's form with every `$…` replaced by its value."""
    if isinstance(form, dict):
        return {key: fill_form(each, values) for key, each in form.items()}
    return values.get(form, form) if isinstance(form, str) else form


def named_form(form: Json, name: str) -> Json:
    """A shape's form with `$key` replaced by the name of the entry that it becomes."""
    if form == "$key":
        return name
    if isinstance(form, dict):
        return {key: named_form(each, name) for key, each in form.items()}
    return form


class Group(Struct, kw_only=True):
    """
    A mapping; entries that are left out leave it smaller, and a mapping whose own value is left out goes too.

    Attributes:
        fixed: Its constants, each in its place among the keys; None before they have their final values.
        varying: The other entries.
    """

    job_path: BodyPath
    entries: Mapping[str, Node]
    essential: str = ""
    fixed: dict[str, Json] | None = None
    varying: Sequence[tuple[str, Node]] = ()

    def fix(self) -> None:
        """Take the constants as they are now: rows then only fill in the rest."""
        self.fixed = {key: node.value if isinstance(node, Constant) else None for key, node in self.entries.items()}
        self.varying = [(key, node) for key, node in self.entries.items() if not isinstance(node, Constant)]

    def fill(self, row: Filling) -> Json | Omit:
        if self.fixed is None:
            self.fix()
        filled: dict[str, Json] = dict(self.fixed or {})
        for key, node in self.varying:
            value = node.fill(row)
            if value is not OMIT:
                filled[key] = value
            elif key == self.essential:
                return OMIT
            else:
                del filled[key]
        if not filled and self.entries and any(True for _ in self.columns()):
            return OMIT
        return filled

    def columns(self) -> Iterator[int]:
        for node in self.entries.values():
            yield from node.columns()


class Items(Struct, kw_only=True):
    """A list; members that are left out leave it shorter."""

    job_path: BodyPath
    nodes: Sequence[Node]

    def fill(self, row: Filling) -> Json | Omit:
        values = [node.fill(row) for node in self.nodes]
        kept = [value for value in values if value is not OMIT]
        if len(kept) < len(values):
            row.kept[id(self)] = [place for place, value in enumerate(values) if value is not OMIT]
        return OMIT if values and not kept else kept

    def members(self, row: Filling) -> Sequence[Node]:
        """The members of the filled list."""
        kept = row.kept.get(id(self))
        return self.nodes if kept is None else [self.nodes[place] for place in kept]

    def member(self, index: int, row: Filling) -> Node | None:
        """The member that stands at an index of the filled list; None when there is none."""
        members = self.members(row)
        return members[index] if index < len(members) else None

    def columns(self) -> Iterator[int]:
        for node in self.nodes:
            yield from node.columns()


class Merged(Struct, kw_only=True):
    """Several mappings as one; it goes when the first of them does."""

    job_path: BodyPath
    nodes: Sequence[Node]

    def fill(self, row: Filling) -> Json | Omit:
        values = [node.fill(row) for node in self.nodes]
        if isinstance(values[0], Omit):
            return OMIT
        return {key: each for value in values if isinstance(value, dict) for key, each in value.items()}

    def columns(self) -> Iterator[int]:
        for node in self.nodes:
            yield from node.columns()
