"""Is the header sound, and does it hold the columns that the job uses?"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Sequence

from batcher.errors import InputError, Problem
from batcher.model import Row
from batcher.sheet.address import letters
from batcher.sheet.clean import shown
from batcher.sheet.source import normalise

HEAD_ROWS = 20
"""How many rows are looked at when the header is not where it should be."""
_LISTED = 30


def missing(header: Sequence[str], needs: Collection[str]) -> list[str]:
    """The needed columns that a header lacks, in the order in which they were asked for."""
    present = {normalise(name) for name in header}
    return [need for need in dict.fromkeys(map(normalise, needs)) if need not in present]


def check_header(
    header: Sequence[str], needs: Collection[str], *, where: str, number: int, head: Sequence[Sequence[str]]
) -> None:
    """
    Refuse a header that is empty, names two columns alike or lacks a needed one.

    Args:
        where: The file or tab, for messages.

        number: Where the header stands.

        head: The first rows of the sheet, from row 1, to find a header that stands elsewhere.
    """
    lacking = missing(header, needs)
    elsewhere = _header_elsewhere(head, needs, number) if lacking or not any(map(normalise, header)) else None
    if elsewhere is not None:
        hint = f"the column names stand in row {elsewhere}: write header_row: {elsewhere}"
        raise InputError(Problem(where=f"{where} row {number}", message=hint))
    if not any(map(normalise, header)):
        raise InputError(Problem(where=f"{where} row {number}", message="no column names: this row is empty"))
    problems = [*_lacking(header, lacking, where), *_duplicates(header, where, number)]
    if problems:
        raise InputError(*problems)


def _header_elsewhere(head: Sequence[Sequence[str]], needs: Collection[str], number: int) -> int | None:
    """The row that looks like the header, when it is not row `number`; None when there is none."""
    for candidate, cells in enumerate(head[:HEAD_ROWS], 1):
        fits = not missing(cells, needs) if needs else any(map(normalise, cells))
        if fits and candidate != number:
            return candidate
    return None


def _lacking(header: Sequence[str], lacking: Sequence[str], where: str) -> Iterator[Problem]:
    names = [normalise(name) for name in header if normalise(name)]
    by_caseless = {name.casefold(): name for name in names}
    listed = ", ".join(shown(name)[1:-1] for name in names[:_LISTED]) + (", …" if len(names) > _LISTED else "")
    for need in lacking:
        near = difflib.get_close_matches(need.casefold(), list(by_caseless), n=1)
        guess = f"; did you mean {shown(by_caseless[near[0]])}?" if near else "."
        yield Problem(where=where, message=f"no column {shown(need)}{guess} The columns are: {listed}")


def _duplicates(header: Sequence[str], where: str, number: int) -> Iterator[Problem]:
    """Names that a person would read as the same: case and the kind of white space do not count."""
    first: dict[str, int] = {}
    for index, name in enumerate(header):
        plain = " ".join(normalise(name).casefold().split())
        if not plain:
            continue
        earlier = first.setdefault(plain, index)
        if earlier != index:
            both = f"columns {letters(earlier)} and {letters(index)} are both named {shown(normalise(name))}"
            yield Problem(where=f"{where} row {number}", message=f"{both}: rename one of them")


def guard_nameless(rows: Iterator[Row], header: Sequence[str], *, where: str) -> Iterator[Row]:
    """
    The same rows; InputError at their end when a column without a name holds text.

    A wholly empty one is harmless and is kept as it stands.
    """
    nameless = [index for index, name in enumerate(header) if not normalise(name)]
    return _guarded(rows, nameless, where=where) if nameless else rows


def _guarded(rows: Iterator[Row], nameless: Sequence[int], *, where: str) -> Iterator[Row]:
    filled: dict[int, int] = {}
    for row in rows:
        for index in nameless:
            if index not in filled and row.cells[index].strip():
                filled[index] = row.number
        yield row
    if filled:
        raise InputError(
            *(
                Problem(
                    where=f"{where}!{letters(index)}{number}",
                    message=f"column {letters(index)} holds text but has no name: name it in the header or empty it",
                )
                for index, number in sorted(filled.items())
            )
        )
