"""What a person should mend after a run, put together by cause, and how long links live; no effects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from batcher.expiry import iso
from batcher.ledger.values import Standing
from batcher.lines import why_invalid, word_of
from batcher.listening import shortened
from batcher.model import State
from batcher.open_job import OpenJob
from batcher.report import ReportRow
from batcher.report.causes import causes_of
from batcher.results import Tally
from batcher.sheet import clean

MOST_ROWS = 20_000
"""Of larger sheets the results file tells each row's reason, and nothing is put together here."""

CAUSES = 6
ROWS = 8
_LABELS = {"failed": "Failed", "invalid": "Invalid", "unsure": "Unsure"}
_TROUBLED = (State.FAILED, State.INVALID, State.UNSURE)


def trouble_lines(opened: OpenJob, tally: Tally) -> Iterator[str]:
    """One line for each cause, those of most rows first, with what to do about it."""
    if not any(tally.words[word] for word in _LABELS):
        return
    if tally.rows > MOST_ROWS:
        yield "Failed   every reason stands beside its row, in the columns error and what_to_do"
        return
    standings = opened.ledger.standings(opened.job.name)
    rows = [_row(opened, each) for each in standings if each.state in _TROUBLED]
    causes, before = causes_of(rows), ""
    for cause in sorted(causes[:CAUSES], key=lambda each: list(_LABELS).index(each.word)):
        label = "" if cause.word == before else _LABELS[cause.word]
        numbers = list(dict.fromkeys(rows[index].row_number for index in cause.members))
        message, advice = shortened(cause.message, 160), _advice(opened, cause.word, cause.advice)
        yield f"{label:<9}{len(numbers)} × {message} ({_rows(numbers)}) → {advice}"
        before = cause.word
    if len(causes) > CAUSES:
        yield f"         … {len(causes) - CAUSES} more causes, each reason beside its row"


def links_line(tally: Tally) -> str:
    """When the first link stops working; empty where none does, or that is not known."""
    until = iso(tally.links_end)[:10]
    return f"Links    work until {until}; batcher results --refresh renews them" if until else ""


def _row(opened: OpenJob, standing: Standing) -> ReportRow:
    return ReportRow(
        title="",
        word=word_of(standing.state),
        row_number=standing.row_number,
        error=clean(standing.error or why_invalid(opened.bound, standing)),
        advice=clean(standing.advice),
    )


def _advice(opened: OpenJob, word: str, advice: str) -> str:
    name = opened.job.path.name if opened.job.path else opened.job.name
    usual = {
        "failed": f"mend the cause, then: batcher retry {name} --failed",
        "invalid": "mend the cell, then run again",
        "unsure": f"maybe charged, never resent blindly: batcher settle {name}",
    }
    return usual[word] if word == "unsure" else advice or usual[word]


def _rows(numbers: Sequence[int]) -> str:
    some = ", ".join(map(str, numbers[:ROWS]))
    return f"row{'s' if len(numbers) != 1 else ''} {some}{' …' if len(numbers) > ROWS else ''}"
