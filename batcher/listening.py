"""How rows will sound: the texts that will be spoken, and those among them that a person should hear first."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from msgspec import Struct, field

from batcher.bound import BoundJob
from batcher.errors import Problem
from batcher.ledger.values import Planned
from batcher.model import Json, Row
from batcher.oddities import cell_oddities, gap, text_oddities
from batcher.persons import PersonColumns, Persons

LISTENED = 100_000
"""Rows that are listened to; of larger sheets the first ones."""

EXAMPLES = 3
"""Cells that are named for each kind of oddity."""

SHORTEST_FOUND = 2
"""A cell of fewer characters is found in any text."""


class Spoken(Struct, frozen=True, kw_only=True):
    """
    How a row will sound.

    Attributes:
        why: Why it is shown: `the longest`.
        text: As it will be sent.
    """

    row_number: int
    why: str
    text: str


class _Candidate(Struct, frozen=True, kw_only=True):
    row_id: str
    length: int
    oddity: int


class _Kind(Struct, kw_only=True):
    """One kind of oddity: the first cells that have it."""

    count: int = 0
    places: list[Problem] = field(default_factory=list)


class Listener(Struct, kw_only=True):
    """
    Hears the rows that are about to be sent, in the order of the sheet.

    Attributes:
        rows: How many it has heard of.
    """

    bound: BoundJob
    rows: int = 0
    _persons: Persons = field(default_factory=Persons)
    _candidates: list[_Candidate] = field(default_factory=list)
    _kinds: dict[str, _Kind] = field(default_factory=dict)
    _twins: _Kind = field(default_factory=_Kind)
    _examples: dict[str, Spoken] = field(default_factory=dict)
    _oddest: int = 0

    def __post_init__(self) -> None:
        self._persons = Persons(columns=PersonColumns.of(self.bound.sheet.header))

    @property
    def listens(self) -> bool:
        """Whether it wants to hear of further rows."""
        return self.rows < LISTENED

    def hear(self, row: Row, waiting: Sequence[Planned]) -> None:
        """
        Take in a row.

        Args:
            waiting: Its tasks that are about to be sent; a row without any is remembered as a person only.
        """
        self.rows += 1
        earlier = self._persons.earlier(row.cells, row.number)
        if not waiting:
            return
        if earlier is not None:
            self._count_twin(row, *earlier)
        text = " · ".join(spoken_texts(self.bound, waiting))
        odd = self._count_oddities(row, text) if text else 0
        self._candidates.append(_Candidate(row_id=waiting[0].key.row_id, length=len(text), oddity=odd))
        if text:
            self._keep_examples(row, text, odd)

    def risky(self, count: int, *, among: Sequence[str] = (), without: Sequence[str] = ()) -> list[str]:
        """
        Ids of the rows that are most worth making first: the longest, the shortest and the oddest, in turn.

        Args:
            among: Rows that a person has marked; they come first.
            without: Rows that are not wanted any more.
        """
        by_length = sorted(self._candidates, key=lambda each: -each.length)
        by_oddity = sorted(self._candidates, key=lambda each: -each.oddity)
        shortest = sorted(self._candidates, key=lambda each: each.length)
        turns = [each.row_id for turn in zip(by_length, shortest, by_oddity, strict=True) for each in turn]
        order = dict.fromkeys([*among, *turns])
        return [row_id for row_id in order if row_id not in without][:count]

    def problems(self) -> tuple[list[Problem], int]:
        """What to look at again, the persons first; and how many cells that is about."""
        found = list(self._twins.places)
        for kind in self._kinds.values():
            found += kind.places
        return found, self._twins.count + sum(kind.count for kind in self._kinds.values())

    def examples(self) -> list[Spoken]:
        """The texts to show; each row once."""
        shown: dict[int, Spoken] = {}
        for why in ("the longest", "the oddest", "an empty cell", "the shortest"):
            if (each := self._examples.get(why)) is not None:
                shown.setdefault(each.row_number, each)
        return list(shown.values())

    def _count_twin(self, row: Row, before: int, column: int) -> None:
        here = self.bound.sheet.where(column, row.number).rpartition("!")[2]
        self._twins.count += 1
        if len(self._twins.places) < EXAMPLES:
            where = f"{self.bound.sheet.where(column, before)}, {here}"
            self._twins.places.append(Problem(where=where, message="the same person twice"))

    def _count_oddities(self, row: Row, text: str) -> int:
        """Name the cells that are odd; what no cell is to blame for is said of the row."""
        found: dict[str, tuple[str, str]] = {}
        persons = self._persons.columns
        for column in self.bound.columns:
            cell = row.cells[column]
            if len(cell) < SHORTEST_FOUND or cell.strip() not in text:
                continue
            kinds = cell_oddities(cell, is_name=column in persons.names, is_company=column == persons.company)
            for kind in kinds:
                found.setdefault(kind, (self.bound.sheet.where(column, row.number), cell))
        for kind in filter(None, (*text_oddities(text), gap(text))):
            if not found:
                found[kind] = (f"{self.bound.sheet.tab or self.bound.sheet.name} row {row.number}", text)
        for kind, (where, quoted) in found.items():
            known = self._kinds.setdefault(kind, _Kind())
            known.count += 1
            if len(known.places) < EXAMPLES:
                known.places.append(Problem(where=where, message=f'"{shortened(quoted, 40)}" {kind}'))
        return len(found)

    def _keep_examples(self, row: Row, text: str, odd: int) -> None:
        def keep(why: str) -> None:
            self._examples[why] = Spoken(row_number=row.number, why=why, text=text)

        longest, shortest = self._examples.get("the longest"), self._examples.get("the shortest")
        if longest is None or len(text) > len(longest.text):
            keep("the longest")
        if shortest is None or len(text) < len(shortest.text):
            keep("the shortest")
        if odd > self._oddest:
            self._oddest = odd
            keep("the oddest")
        if "an empty cell" not in self._examples:
            empty = [column for column in self.bound.columns if not row.cells[column].strip()]
            if empty:
                name = self.bound.sheet.header[empty[0]].strip()
                self._examples["an empty cell"] = Spoken(row_number=row.number, why=f"{name} is empty", text=text)


def spoken_texts(bound: BoundJob, tasks: Sequence[Planned]) -> list[str]:
    """What the tasks of a row will say, each text once; empty where nothing is said, or not known yet."""
    found: dict[str, None] = {}
    for task in tasks:
        spoken = bound.operation(task.key.step).spoken
        if spoken is not None and task.body:
            found.update(dict.fromkeys(_texts(spoken.find(json.loads(task.body)))))
    return list(found)


def _texts(value: Json) -> Iterator[str]:
    if isinstance(value, list):
        for each in value:
            yield from _texts(each)
    elif isinstance(value, str) and value.strip():
        yield value


def shortened(text: str, most: int) -> str:
    """A text on one line, cut where it is longer."""
    line = " ".join(text.split()) if "\n" in text else text
    return line if len(line) <= most else f"{line[: most - 1].rstrip()}…"
