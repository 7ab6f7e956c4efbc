"""What a report tells: plain values, filled in by whoever knows the ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct


class ReportRow(Struct, frozen=True, kw_only=True):
    """
    One card of the report: a row, or with a fan-out one member of it.

    Every text may be hostile: cells and answers of an API are shown as they are, never obeyed.

    Attributes:
        title: What a person knows the row by.
        word: Its word: `done`, `failed`, `in progress` …
        row_number: As a spreadsheet shows it.
        video_url, page_url, thumbnail_url: Web addresses; empty where there is none. What is no web address is not
            linked.
        error: What went wrong; empty when nothing did. May stand beside `done`.
        advice: What to do about it; empty when there is nothing to do.
        duration_s: How long the video plays; None where that is not known.
        took_s: How long it took from being sent to being ready; None where that is not known.
        completed_at: Unix seconds; None before.
        links_expire_at: When the first of its links stops working, unix seconds; None where that is not known.
    """

    title: str
    word: str
    row_number: int
    video_url: str = ""
    page_url: str = ""
    thumbnail_url: str = ""
    error: str = ""
    advice: str = ""
    duration_s: float | None = None
    took_s: float | None = None
    completed_at: float | None = None
    links_expire_at: float | None = None


class Report(Struct, frozen=True, kw_only=True):
    """
    Everything on the page.

    Attributes:
        job: The job's label.
        operation: What was asked for.
        is_real: Whether money was at stake; False for a rehearsal.
        identity: The line `400 rows = 374 done + …`.
        counts: Rows by their word, in any order.
        spent: What it has cost so far, in words; empty where no price is known.
        rows: In the order of the sheet.
        made_at: When this was true, unix seconds.
    """

    job: str
    operation: str
    is_real: bool
    identity: str
    counts: Mapping[str, int]
    spent: str
    rows: Sequence[ReportRow]
    made_at: float
