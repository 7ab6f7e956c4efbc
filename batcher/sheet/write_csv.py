"""Rows out as CSV: what came in leaves unchanged, what we add cannot become a formula."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from itertools import chain

from batcher.sheet.clean import clean
from batcher.stores import Location, replacing

_RISKY = frozenset("=+-@\t\r\n\0＝＋－＠")
_PLAIN_NUMBER = re.compile(r"[+-]?\d+(?:[.,]\d+)?(?:[eE][+-]?\d+)?\Z", re.ASCII)


def write_csv(
    path: Location,
    header: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    ours_from: int,
    bom: bool = True,
    delimiter: str = ",",
    escape_input: bool = False,
    like: Location | None = None,
) -> None:
    """
    Write a CSV file as RFC 4180 has it, in UTF-8, atomically.

    Args:
        ours_from: The first column that is ours. Cells before it are echoed: reading the file gives them back
            exactly. Ours are cleaned and, where a spreadsheet would take them for a formula, begin with `'`.

        bom: Begin with a byte order mark, without which Excel shows umlauts as two letters.

        escape_input: Put `'` before formulas in the echoed cells as well; they are then no longer what came in.

        like: As for `replacing`: who may read a new file.

    Raises:
        InputError: The file cannot be written; the old one is untouched.
    """
    # Half a surrogate pair has no form in UTF-8: only such a cell is echoed with a question mark.
    with (
        replacing(path, like=like) as temporary,
        temporary.open("w", encoding="utf-8", errors="replace", newline="") as file,
    ):
        if bom:
            file.write("\ufeff")  # `utf-8-sig` would encode each line in Python
        writer = csv.writer(file, delimiter=delimiter, lineterminator="\r\n")
        for cells in chain([header], rows):
            echoed = [harmless(cell) for cell in cells[:ours_from]] if escape_input else cells[:ours_from]
            line = [*echoed, *_all_safe(cells[ours_from:])]
            if _needs_quotes(line, delimiter):
                writer.writerow(line)
            else:
                file.write(f"{delimiter.join(line)}\r\n")


def _needs_quotes(cells: Sequence[str], delimiter: str) -> bool:
    """
    Whether any cell of a line has to be quoted; the csv module looks at every character for that, and takes ten times as
    long.

    Args:
        delimiter: One character, so that cells one behind the other hold it only where one of them does.
    """
    text = "".join(cells)
    return delimiter in text or '"' in text or "\n" in text or "\r" in text or len(cells) < 2


def _all_safe(cells: Sequence[str]) -> Sequence[str]:
    """Cells of ours as they are written; with most lines nothing need be done."""
    are_plain = _RISKY.isdisjoint([cell[:1] for cell in cells]) and "".join(cells).isprintable()
    return cells if are_plain else [harmless(clean(cell)) for cell in cells]


def harmless(text: str) -> str:
    """The text, with `'` before it when a spreadsheet would take it for a formula."""
    return f"'{text}" if text[:1] in _RISKY and not _PLAIN_NUMBER.match(text) else text
