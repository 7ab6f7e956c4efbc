"""Which cells of a Google Sheet must change: a pure comparison of what stands there with what should."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

from msgspec import Struct, field

from batcher.errors import InputError, Problem
from batcher.gsheets.api import Block
from batcher.sheet import normalise

LONGEST = 50_000
"""Characters that a cell of a Google Sheet can have."""


class Line(Struct, frozen=True, kw_only=True):
    """
    What shall stand beside a row.

    Attributes:
        cells: The row as it was read, the person's columns only.
        row_id: What its id column held; empty where it held nothing, or the cells themselves are the id.
        status: What its status cell held when it was read.
        texts: Our cells.
    """

    cells: tuple[str, ...]
    row_id: str
    status: str
    texts: Sequence[str]


class Wanted(Struct, frozen=True, kw_only=True):
    """
    What shall stand in a tab.

    Attributes:
        where: The sheet, for complaints.
        header_row: Number of the row with the column names.
        kept: The names of the person's columns.
        ours: The names of our columns.
        status: Which of ours takes a person's words, counted from our first.
        words: What a person may write there, in lower case.
        row_id: The name of the column with the ids; empty where the cells themselves are the id.
    """

    where: str
    header_row: int
    kept: Sequence[str]
    ours: Sequence[str]
    status: int
    words: frozenset[str]
    row_id: str
    lines: Sequence[Line]


class Changes(Struct, kw_only=True):
    """
    What is to be written.

    Attributes:
        placed: The texts beside each row, by its number.
        is_same: The person's cells are those that were read, and no word of theirs is new.
    """

    blocks: list[Block] = field(default_factory=list)
    placed: dict[int, Sequence[str]] = field(default_factory=dict)
    is_same: bool = True


def compare(values: Sequence[Sequence[str]], wanted: Wanted, *, strays: Mapping[int, Sequence[str]]) -> Changes:
    """
    Hold the cells of a tab against what shall stand there.

    Rows are found by their id, wherever they stand now. Rows that were not read stay as they are, and so does a word
    that a person has written since.

    Args:
        values: The tab as it is, row by row; rows may end early.
        strays: Our texts by the rows that they were written to a moment ago: where they stand beside a row that is not
            theirs, it was put in between, and they are taken away.

    Raises:
        InputError: The header is not where it was, or the column with the ids is gone.
    """
    before = values[: wanted.header_row]
    header = [normalise(text) for text in (before[-1] if len(before) == wanted.header_row else ())]
    if wanted.row_id and normalise(wanted.row_id) not in header:
        message = f"the column {wanted.row_id} is no longer in row {wanted.header_row}: nothing was written"
        raise InputError(Problem(where=wanted.where, message=message))
    places = _places(header, wanted.ours, width=max(map(len, values), default=0))
    result = Changes()
    rows: list[list[str | None]] = [
        [
            None if at < len(header) and header[at] == name else name
            for name, at in zip(wanted.ours, places, strict=True)
        ]
    ]
    finder = _Finder(header, wanted)
    for number, cells in enumerate(values[wanted.header_row :], wanted.header_row + 1):
        now = [_cell(cells, at) for at in places]
        line = finder.take(cells)
        if line is None:
            if finder.holds_anything(cells):
                result.is_same = False
            is_stray = number in strays and any(now) and now == [*strays[number]]
            rows.append(["" if text and is_stray else None for text in now])
            continue
        texts = [text[:LONGEST] for text in line.texts]
        result.placed[number] = texts
        rows.append([None if old == new else new for old, new in zip(now, texts, strict=True)])
        if _is_new_word(now[wanted.status], line.status, wanted.words):
            rows[-1][wanted.status] = None
            result.is_same = False
    result.is_same = result.is_same and finder.order == [line.cells for line in wanted.lines if any(line.cells)]
    result.blocks = list(filter(None, (_block(rows, at, i, wanted.header_row) for i, at in enumerate(places))))
    return result


class _Finder:
    """Finds the line of a row by its id; rows with the same id take theirs in order."""

    def __init__(self, header: Sequence[str], wanted: Wanted) -> None:
        self._kept = [header.index(normalise(name)) if normalise(name) in header else -1 for name in wanted.kept]
        self._id = header.index(normalise(wanted.row_id)) if wanted.row_id else -1
        self._lines: dict[tuple[str, ...], deque[Line]] = {}
        for line in wanted.lines:
            self._lines.setdefault(self._key(line.row_id, line.cells), deque()).append(line)
        self.order: list[tuple[str, ...]] = []

    def take(self, cells: Sequence[str]) -> Line | None:
        """The line of a row; None when the row was not read, or is blank."""
        own = tuple(_cell(cells, at) for at in self._kept)
        if not any(own):
            return None
        self.order.append(own)
        lines = self._lines.get(self._key(_cell(cells, self._id), own))
        return lines.popleft() if lines else None

    def holds_anything(self, cells: Sequence[str]) -> bool:
        """Whether any of the person's cells of a row holds something."""
        return any(_cell(cells, at) for at in self._kept)

    @staticmethod
    def _key(row_id: str, cells: tuple[str, ...]) -> tuple[str, ...]:
        return (normalise(row_id),) if row_id.strip() else ("", *cells)


def _cell(cells: Sequence[str], at: int) -> str:
    return cells[at] if 0 <= at < len(cells) else ""


def _places(header: Sequence[str], ours: Sequence[str], *, width: int) -> list[int]:
    """The column of each of ours: where it stands, or at the right of everything."""
    places = []
    for name in ours:
        if name in header:
            places.append(header.index(name))
        else:
            places.append(width)
            width += 1
    return places


def _is_new_word(text: str, as_read: str, words: frozenset[str]) -> bool:
    return text != as_read and text.strip().casefold() in words


def _block(rows: Sequence[Sequence[str | None]], at: int, index: int, header_row: int) -> Block | None:
    """The changes of one column, from the first to the last; None when there is none."""
    cells = [row[index] for row in rows]
    changed = [offset for offset, cell in enumerate(cells) if cell is not None]
    if not changed:
        return None
    first, last = changed[0], changed[-1]
    return Block(column=at, row=header_row + first, cells=cells[first : last + 1])
