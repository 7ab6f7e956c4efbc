"""Rows out as a new XLSX workbook: the cells that came in are texts, ours look as in a workbook that takes them."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct, field

from batcher.errors import InputError, Problem
from batcher.sheet.cell_text import is_number
from batcher.sheet.clean import clean
from batcher.sheet.width import LOOKED_AT, fitting
from batcher.stores import Location, replacing

MAX_ROWS = 1_048_576
MAX_COLUMNS = 16_384
MAX_TEXT = 32_767
MAX_LINKS = 65_000
MAX_URL = 2_079
CUT = "…[cut]"
_EPOCH = datetime(2000, 1, 1)  # noqa: DTZ001 - xlsxwriter takes no zone; a fixed date makes equal results equal files


class Looks(Struct, frozen=True, kw_only=True):
    """
    How our columns look in a workbook; all are counted from the first of the sheet.

    Attributes:
        links: Columns whose http addresses can be clicked; beyond Excel's limit of about 65,000 they are texts.
        numbers: Columns whose plain numbers are numbers.
        fills: Column to what finds the colour of a cell by its text, as RGB; empty for none.
    """

    links: Collection[int] = frozenset()
    numbers: Collection[int] = frozenset()
    fills: Mapping[int, Callable[[str], str]] = field(default_factory=dict)


PLAIN = Looks()


def write_xlsx(
    path: Location,
    header: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    ours_from: int,
    looks: Looks = PLAIN,
    tab: str = "Results",
    like: Location | None = None,
) -> None:
    """
    Write a workbook with one tab, atomically; the same rows make the same bytes.

    Every cell that came in is a text, so that `007` stays what it is and `=1+1` is never calculated. Control characters
    are shown as U+FFFD, texts longer than a cell can hold are cut where everybody sees it.

    Args:
        ours_from: The first column that is ours: its header is set off.

        looks: What else sets our columns off.

        like: As for `replacing`: who may read a new file.

    Raises:
        InputError: More rows or columns than a workbook can hold, or the file cannot be written; the old one is
            untouched.
    """
    import xlsxwriter

    if len(header) > MAX_COLUMNS:
        message = f"more than {MAX_COLUMNS:,} columns do not fit into a workbook: write results to a .csv file"
        raise InputError(Problem(where=path.name, message=message))
    with replacing(path, like=like) as temporary, tempfile.TemporaryDirectory(prefix="batcher-") as scratch:
        options = {"constant_memory": True, "tmpdir": scratch}
        book = xlsxwriter.Workbook(str(temporary), options)
        book.set_properties({"created": _EPOCH})
        sheet = book.add_worksheet(tab)
        bold = book.add_format({"bold": True})
        ours = book.add_format({"bold": True, "bg_color": "#E2EFDA"})
        sheet.freeze_panes(1, 0)
        sheet.ignore_errors({"number_stored_as_text": f"A1:XFD{MAX_ROWS}"})
        try:
            for column, text in enumerate(header):
                sheet.write_string(0, column, fit(text), ours if column >= ours_from else bold)
            seen = _write_rows(_Writer(book=book, sheet=sheet, looks=looks), rows, name=path.name)
            for column, text in enumerate(header):
                sheet.set_column(column, column, fitting(text, (cells[column] for cells in seen)))
        finally:
            _close(book)


def fit(text: str) -> str:
    """The text as a cell can hold it: cleaned, and visibly cut when it is too long."""
    text = clean(text)
    units = len(text.encode("utf-16-le")) // 2 if len(text) > MAX_TEXT // 2 else 0
    if units <= MAX_TEXT:
        return text
    kept = text.encode("utf-16-le")[: 2 * (MAX_TEXT - len(CUT))]
    return kept.decode("utf-16-le", errors="ignore") + CUT


def _close(book: Any) -> None:
    """Finish the file; a full disk is an OSError here as everywhere."""
    from xlsxwriter.exceptions import FileCreateError

    try:
        book.close()
    except FileCreateError as exc:
        cause = exc.args[0] if exc.args and isinstance(exc.args[0], OSError) else OSError(None, str(exc))
        raise cause from exc


class _Writer(Struct, kw_only=True):
    """Puts cells into the tab; counts the links, and keeps the formats that fills need."""

    book: Any
    sheet: Any
    looks: Looks
    linked: int = 0
    formats: dict[str, Any] = field(default_factory=dict)

    def write(self, row: int, column: int, text: str) -> None:
        """One cell that holds something."""
        looks = self.looks
        if column in looks.links and self.linked < MAX_LINKS and _is_link(text):
            self.linked += 1
            self.sheet.write_url(row, column, text, string=text)
        elif column in looks.numbers and is_number(text):
            self.sheet.write_number(row, column, float(text))
        else:
            colour = looks.fills[column](text) if column in looks.fills else ""
            self.sheet.write_string(row, column, text, self._filled(colour))

    def _filled(self, colour: str) -> Any:
        if colour and colour not in self.formats:
            self.formats[colour] = self.book.add_format({"bg_color": f"#{colour}"})
        return self.formats.get(colour)


def _write_rows(writer: _Writer, rows: Iterable[Sequence[str]], *, name: str) -> list[Sequence[str]]:
    """Write all rows; returns the first of them, by which widths are chosen."""
    seen: list[Sequence[str]] = []
    for number, cells in enumerate(rows, 1):
        if number >= MAX_ROWS:
            message = f"more than {MAX_ROWS:,} rows do not fit into a workbook: write results to a .csv file"
            raise InputError(Problem(where=name, message=message))
        if number <= LOOKED_AT:
            seen.append(cells)
        for column, text in enumerate(cells):
            if text:
                writer.write(number, column, fit(text))
    return seen


def _is_link(text: str) -> bool:
    return (
        text.startswith(("http://", "https://")) and len(text) <= MAX_URL // 2 and text.isascii() and text.isprintable()
    )
