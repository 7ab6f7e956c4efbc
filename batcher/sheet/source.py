"""What is to be read, and what was found: `SheetSpec` in, `Sheet` out."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from msgspec import Struct, field

from batcher.model import Row
from batcher.sheet.address import letters

NO_FLAWS: Mapping[int, str] = MappingProxyType({})
"""Shared by all rows without a flaw: a dictionary per row would cost as much as reading it."""


class SheetSpec(Struct, frozen=True, kw_only=True):
    """
    Which sheet, and how it is to be read.

    Attributes:
        path: The file; absolute.

        tab: Name of the workbook's tab; empty means the only visible one that holds anything.

        header_row: Number of the row with the column names, as a spreadsheet shows it.

        encoding: Name of the text encoding; empty means by byte order mark, otherwise strict UTF-8.

        delimiter: What stands between cells of a text file; empty means the one under which the header makes sense.
    """

    path: Path
    tab: str = ""
    header_row: int = 1
    encoding: str = ""
    delimiter: str = ""


class Sheet(Struct, frozen=True, kw_only=True):
    """
    An opened sheet: its header is known and sound, its rows can be read as often as needed.

    Attributes:
        name: The file as people know it: `customers.csv`.

        header: The column names, exactly as they stand.

        notes: What a person should know before paying: `delimiter ;`, `37 hidden rows included`.

        fingerprint: SHA-256 of the file's bytes, in hexadecimal.

        tab: The workbook's tab; empty for a text file.

        totals: Number of a row in which a table of the workbook adds up, to the columns of that table.

        read: Makes a new pass over the rows; use `rows`.
    """

    name: str
    header: tuple[str, ...]
    notes: tuple[str, ...]
    fingerprint: str
    tab: str = ""
    totals: Mapping[int, range] = field(default_factory=dict)
    read: Callable[[], Iterator[Row]]

    def rows(self) -> Iterator[Row]:
        """
        Every row below the header, in order, blank ones included.

        Rows stream, so what can only be known at the end is raised at the end: rows with too many or too few cells
        (left out of the stream, then all listed together) and texts below a column without a name. A caller that
        acts before the pass is complete acts on a sheet that may still be refused.

        Raises:
            InputError: The sheet is damaged, its rows do not fit its header, or the file has changed since opening.
        """
        return self.read()

    def column(self, text: str) -> int | None:
        """The column of that name, counted from 0 and compared as `normalise` does; None when there is none."""
        wanted = normalise(text)
        return next((index for index, name in enumerate(self.header) if normalise(name) == wanted), None)

    def where(self, column: int, number: int) -> str:
        """The address of a cell as a person would look it up: `customers.csv!C17`, in workbooks `Leads!C17`."""
        return f"{self.tab or self.name}!{letters(column)}{number}"


def normalise(text: str) -> str:
    """The form in which header texts are compared: NFC, without white space around it."""
    return unicodedata.normalize("NFC", text).strip()
