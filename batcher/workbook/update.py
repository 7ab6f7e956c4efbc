"""What is to be written into a workbook, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from msgspec import Struct

from batcher.model import HELD, State
from batcher.sheet.write_xlsx import MAX_COLUMNS, MAX_ROWS, fit

COLOURS: Mapping[str, str] = {
    State.DONE.value: "C6EFCE",
    State.FAILED.value: "FFC7CE",
    State.INVALID.value: "FFC7CE",
    State.UNSURE.value: "FFD699",
    State.IN_PROGRESS.value: "BDD7EE",
    State.SENDING.value: "BDD7EE",
    State.WAITING.value: "E7E6E6",
    HELD: "E7E6E6",
}
"""The word in the status column to the fill of its cell, as RGB; other words have none."""

LEGEND = "\n".join(
    (
        "What the colours say",
        "green: done",
        "red: failed or invalid (the reason stands beside it)",
        "orange: unsure, a person decides",
        "blue: in progress",
        "grey: waiting or held",
        "What you may write here",
        "again: make this row once more (it is paid for again)",
        "hold: keep this row back",
        "sample: one of the rows of a sample run",
    )
)
"""The note on the header of the status column."""


def colour_of(word: str) -> str:
    """The fill of a status cell, as RGB; empty for none. `held until …` has that of held."""
    return COLOURS.get(HELD if word.startswith(f"{HELD} ") else word, "")


class CellNote(Struct, frozen=True, kw_only=True):
    """
    A note on a cell: the reason why its row did not work.

    Attributes:
        row: The row's number, as the spreadsheet shows it.

        column: The cell's column, counted from 0; None for the row's cell in our status column.

        text: What the person reads; several notes on one cell become one.
    """

    row: int
    column: int | None
    text: str


def _goes(row: int, line: str) -> bool:  # noqa: ARG001 - as `InPlaceUpdate.stays`
    return False


class InPlaceUpdate(Struct, frozen=True, kw_only=True):
    """
    Our columns as they shall stand beside the user's.

    Attributes:
        header: The names of our columns, in order. One that stands in the header row already is refreshed where it is,
            the others are added at the right.

        rows: Number of a row, as the spreadsheet shows it, to our texts, one per column; an empty text empties the
            cell. Rows that are not named keep what they have, our notes included.

        notes: Reasons on cells. Earlier notes of ours on the named rows go.

        stays: Whether a line of an earlier note of ours on a row's status cell goes on standing there; it gets the
            row's number and the line.

        links: Indexes of our columns whose http addresses can be clicked.

        status: Index of our column that is coloured by its word.

        numbers: Indexes of our columns whose plain numbers are written as numbers, so that they can be summed.
    """

    header: Sequence[str]
    rows: Mapping[int, Sequence[str]]
    notes: Sequence[CellNote]
    links: Collection[int]
    status: int
    numbers: Collection[int] = ()
    stays: Callable[[int, str], bool] = _goes

    def require_sound(self, header_row: int) -> None:
        """ValueError when rows and columns do not fit together: a fault of the caller, not of the user."""
        width = len(self.header)
        if len(set(self.header)) != width or not all(self.header):
            raise ValueError("our columns need names, each its own")
        if not all(0 <= index < width for index in (self.status, *self.links, *self.numbers)):
            raise ValueError(f"links, numbers and status are indexes below {width}")
        wrong = [number for number, texts in self.rows.items() if len(texts) != width or number <= header_row]
        if wrong or any(number > MAX_ROWS for number in self.rows):
            raise ValueError(f"row {min(wrong, default=MAX_ROWS + 1)} has another width, or is no row below the header")
        if any(note.row <= header_row or not 0 <= (note.column or 0) < MAX_COLUMNS for note in self.notes):
            raise ValueError("notes belong to cells below the header")

    def fitted_rows(self) -> Mapping[int, Sequence[str]]:
        """The rows in order, their texts cleaned and cut as cells can hold them."""
        return {number: [fit(text) for text in self.rows[number]] for number in sorted(self.rows)}


class Written(Struct, frozen=True, kw_only=True):
    """
    What an update did.

    Attributes:
        changed: False when everything stood there already: the file was not touched.

        fingerprint: SHA-256 of the file as it stands now, in hexadecimal.

        columns: Where our columns stand, counted from 0, in the order of the update's header.

        notes_left_out: Cells that carry a note of the user's, where ours therefore was not put: `C17`.

        links_left_out: Addresses written as plain text, because a workbook cannot hold more or longer links.
    """

    changed: bool
    fingerprint: str
    columns: tuple[int, ...]
    notes_left_out: tuple[str, ...] = ()
    links_left_out: int = 0
