"""Failures put together by what went wrong, so that a person mends a cause once and not a row at a time."""

from __future__ import annotations

import re
from collections.abc import Sequence

from msgspec import Struct

from batcher.report.model import ReportRow

TROUBLED = ("failed", "invalid", "unsure")
_UNEXPLAINED = {
    "failed": "no reason was given",
    "invalid": "the row cannot be sent",
    "unsure": "the answer was lost: it may have been made and charged",
}
_PLACES = re.compile(r"(?:^|(?<=; ))[A-Z]{1,3}\d{1,7}: ")
_PARTICULARS = re.compile(r'"[^"]*"|“[^”]*”|https?://\S+|\b(?=[\w-]*\d)(?=[\w-]*[A-Za-z])[\w-]{8,}')


class Cause(Struct, frozen=True, kw_only=True):
    """
    One thing that went wrong, and the rows it happened to.

    Attributes:
        word: The word of all its rows.
        message: What went wrong; what differs between the rows is left out of it.
        advice: What to do; empty when nobody said.
        members: Indexes into the report's rows, in their order.
    """

    word: str
    message: str
    advice: str
    members: Sequence[int]


def causes_of(rows: Sequence[ReportRow]) -> list[Cause]:
    """The causes of all troubled rows, those that happened most often first."""
    groups: dict[tuple[str, str, str], list[int]] = {}
    for index, row in enumerate(rows):
        if row.word in TROUBLED:
            groups.setdefault((row.word, _common(row), row.advice), []).append(index)
    found = [
        Cause(word=word, message=_message(common, members, rows), advice=advice, members=members)
        for (word, common, advice), members in groups.items()
    ]
    return sorted(found, key=lambda cause: (-len(cause.members), cause.members[0]))


def _common(row: ReportRow) -> str:
    """A row's error without what belongs to this row alone: the cell's address, quoted texts, links and ids."""
    error = _PLACES.sub("", row.error.strip()) or _UNEXPLAINED[row.word]
    return _PARTICULARS.sub("…", error)


def _message(common: str, members: Sequence[int], rows: Sequence[ReportRow]) -> str:
    """The full error where it is the same everywhere, else what the errors have in common."""
    originals = {_PLACES.sub("", rows[index].error.strip()) for index in members}
    return (originals.pop() or common) if len(originals) == 1 else common
