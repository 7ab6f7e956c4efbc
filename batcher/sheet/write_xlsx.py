"""Rows out as a new XLSX workbook: every cell a text, in constant memory."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from batcher.errors import InputError, Problem
from batcher.sheet.atomic import replacing
from batcher.sheet.clean import clean

MAX_ROWS = 1_048_576
MAX_COLUMNS = 16_384
MAX_TEXT = 32_767
MAX_LINKS = 65_000
MAX_URL = 2_079
CUT = "…[cut]"
_EPOCH = datetime(2000, 1, 1)  # noqa: DTZ001 - xlsxwriter takes no zone; a fixed date makes equal results equal files


def write_xlsx(
    path: Path,
    header: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    ours_from: int,
    links: Collection[int] = (),
    tab: str = "Results",
) -> None:
    """
    Write a workbook with one tab, atomically; the same rows make the same bytes.

    Every cell is a text, so that `007` stays what it is and `=1+1` is never calculated. Control characters are shown
    as U+FFFD, texts longer than a cell can hold are cut where everybody sees it.

    Args:
        ours_from: The first column that is ours: its header is set off.

        links: Columns whose http addresses can be clicked; beyond Excel's limit of about 65,000 they are texts.

    Raises:
        InputError: More rows or columns than a workbook can hold, or the file cannot be written; the old one is
            untouched.
    """
    import xlsxwriter

    if len(header) > MAX_COLUMNS:
        message = f"more than {MAX_COLUMNS:,} columns do not fit into a workbook: write results to a .csv file"
        raise InputError(Problem(where=path.name, message=message))
    with replacing(path) as temporary, tempfile.TemporaryDirectory(prefix="batcher-") as scratch:
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
            _write_rows(sheet, rows, links=frozenset(links), name=path.name)
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


def _write_rows(sheet: Any, rows: Iterable[Sequence[str]], *, links: frozenset[int], name: str) -> None:
    linked = 0
    for number, cells in enumerate(rows, 1):
        if number >= MAX_ROWS:
            message = f"more than {MAX_ROWS:,} rows do not fit into a workbook: write results to a .csv file"
            raise InputError(Problem(where=name, message=message))
        for column, text in enumerate(cells):
            if not text:
                continue
            text = fit(text)
            if column in links and linked < MAX_LINKS and _is_link(text):
                linked += 1
                sheet.write_url(number, column, text, string=text)
            else:
                sheet.write_string(number, column, text)


def _is_link(text: str) -> bool:
    return (
        text.startswith(("http://", "https://")) and len(text) <= MAX_URL // 2 and text.isascii() and text.isprintable()
    )
