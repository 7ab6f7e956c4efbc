"""Who a row is, and what a person writes beside it to steer it: a word in our status column, a day in `not_before`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime, time
from enum import Enum

from msgspec import Struct

from batcher.layout import STAMP, STATUS
from batcher.model import HELD, Row

NOT_BEFORE = "not_before"
"""The column of that name holds days before which rows are not sent, also without being named in the job."""
_GERMAN = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})\Z")


class Mark(str, Enum):
    """A word that a person may write into our status column; compared caseless, without blanks, quotes and marks around it."""

    NONE = ""
    """Nothing is asked: the cell is empty, or what stands there is ours."""
    AGAIN = "again"
    """Another attempt, which is paid for again."""
    HOLD = "hold"
    """Kept back until the word is gone. We write it as `held`, and read that as the same."""
    SAMPLE = "sample"
    """Among the rows of a sample run."""


_MARKS = {mark.value: mark for mark in Mark} | {HELD: Mark.HOLD}
_AROUND = " \t\r\n\u00a0\"'`“”„‘’«».,:;!"
"""What people write around a word, or copy with it."""


Flaws = tuple[tuple[str, str], ...]
"""Complaints about a row, as (place, message)."""


class Identified(Struct, frozen=True, kw_only=True):
    """
    A row and who it is.

    Attributes:
        row_id: Empty when the row is skipped: blank, or left out by `where`. A row without a usable id of its own gets
            one that no cell can hold, so that it is accounted for.
        flaws: Why its id, or the day in `not_before`, cannot be used.
        is_blank: None of the user's own cells holds anything.
        mark: What a person has written into its status cell.
        not_before: From when on it may be sent, unix seconds; 0 when nothing is said.
    """

    row: Row
    row_id: str
    flaws: Flaws = ()
    is_blank: bool = False
    mark: Mark = Mark.NONE
    not_before: float = 0.0

    def is_held(self, now: float) -> bool:
        """Whether a person keeps it back, or its day has not come."""
        return self.mark is Mark.HOLD or self.not_before > now


class MarkReader(Struct, frozen=True, kw_only=True):
    """
    Reads the marks of a row.

    Attributes:
        own: Our columns in the sheet, by their plain names; empty when it has none.
        day_column: The column with the day before which a row is not sent; None without one.
    """

    own: Mapping[str, int]
    day_column: int | None

    def mark(self, row: Row) -> Mark:
        """What the word in the row's status cell asks for."""
        return _MARKS.get(self.word(row), Mark.NONE) if self.own else Mark.NONE

    def word(self, row: Row) -> str:
        """The word in the row's status cell, in lower case."""
        column = self.own.get(STATUS)
        return "" if column is None else row.cells[column].strip(_AROUND).casefold()

    def not_before(self, row: Row) -> float:
        """
        From when on the row may be sent, unix seconds; 0 when nothing is said.

        Raises:
            ValueError: What the cell holds is no day; in words for the person.
        """
        if self.day_column is None:
            return 0.0
        if self.day_column in row.flaws:
            raise ValueError(row.flaws[self.day_column])
        text = row.cells[self.day_column].strip()
        return moment_of(text) if text else 0.0

    def stamp(self, row: Row) -> tuple[str, ...] | None:
        """
        What the row shows of the state in which its cells were last written; None when that cannot be told.

        It dates the word `again`: see `batcher.lines.tasks_asked_again`.
        """
        columns = [self.own.get(name) for name in STAMP]
        if None in columns:
            return None
        return tuple(row.cells[column] for column in columns if column is not None)


def moment_of(text: str) -> float:
    """
    A day or an instant as unix seconds; a day begins at midnight where this program runs.

    Raises:
        ValueError: It is neither; in words for the person.
    """
    german = _GERMAN.match(text)
    try:
        if german:
            day, month, year = map(int, german.groups())
            return datetime.combine(date(year, month, day), time()).timestamp()
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        raise ValueError(f"'{text[:40]}' is no day; write for example 2026-12-01, or 2026-12-01 09:00") from None


def shown_day(moment: float) -> str:
    """A day, with the time when it is not midnight, where this program runs: `2026-12-01`."""
    local = datetime.fromtimestamp(moment).astimezone()
    return f"{local:%Y-%m-%d}" if local.time() == time() else f"{local:%Y-%m-%d %H:%M}"
