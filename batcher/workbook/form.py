"""What a workbook for people to fill in holds, as values: no file is touched here."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from msgspec import Struct

from batcher.sheet.write_xlsx import fit

ROWS_TAB = "Rows"
"""The tab that people fill in."""


class FormColumn(Struct, frozen=True, kw_only=True):
    """
    A column to fill in.

    Attributes:
        header: What stands in the first row.
        note: What a person reads over the header; lines.
        is_required: An empty cell makes its row invalid.
        is_text: Cells keep what is typed: 007 stays 007.
        choices: What can be picked, in order; empty when anything can be written.
        is_closed: Only what can be picked is right; else it is a help.
        is_unique: No two rows may have the same.
        is_number: Numbers go in.
        longest: Characters that fit; None without a limit.
        least, most: The range of a number; None without one.
        examples: What stands in the example rows, top to bottom.
    """

    header: str
    note: str
    is_required: bool = True
    is_text: bool = False
    choices: Sequence[str] = ()
    is_closed: bool = False
    is_unique: bool = False
    is_number: bool = False
    longest: int | None = None
    least: float | None = None
    most: float | None = None
    examples: Sequence[str] = ()


class LineKind(Enum):
    """How a line of the instructions looks."""

    TITLE = "title"
    """The first one."""
    HEADING = "heading"
    """Begins a part."""
    TEXT = "text"
    """A sentence over the whole width."""
    HEAD = "head"
    """The first line of a table."""
    CELLS = "cells"
    """A line of a table."""


class Line(Struct, frozen=True, kw_only=True):
    """
    A line of the instructions.

    Attributes:
        texts: One per column of a table; a single one for other lines.
        fill: The colour of the first cell, as RGB; empty without one.
    """

    kind: LineKind
    texts: Sequence[str]
    fill: str = ""


class Form(Struct, frozen=True, kw_only=True):
    """
    A workbook to fill in.

    Attributes:
        columns: Left to right; the first one holds the row id.
        example_mark: How the ids of example rows begin: such rows are shown in grey.
        instructions: The lines of the second tab.
    """

    columns: Sequence[FormColumn]
    example_mark: str
    instructions: Sequence[Line]

    @property
    def header(self) -> list[str]:
        """The texts of the first row."""
        return [column.header for column in self.columns]

    @property
    def example_rows(self) -> list[list[str]]:
        """The texts of the example rows, as cells can hold them."""
        count = max((len(column.examples) for column in self.columns), default=0)
        return [
            [fit(column.examples[index]) if index < len(column.examples) else "" for column in self.columns]
            for index in range(count)
        ]
