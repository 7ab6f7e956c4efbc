"""What one item of an answer says about one piece of work."""

from __future__ import annotations

from datetime import datetime

from batcher.catalog.model import Reading
from batcher.catalog.pick import Pick, as_number, as_text
from batcher.model import Json, Outcome, State

MAX_ERROR = 500
MAX_WORD = 80
_YEAR_9999 = 253_370_764_800


def read_outcome(reading: Reading, item: Json) -> Outcome:
    """
    Read an item of a list, a bulk status or a single look-up.

    A word that is neither done nor failed is in progress, whatever it is: an unknown word is never an outcome.

    Args:
        reading: How the provider words its states.
        item: Any JSON; an item of quite another form is in progress with an empty word.
    """
    outputs = {}
    for column, pick in reading.outputs.items():
        found = pick.find(item)
        if found is not None and (text := found if isinstance(found, str) else as_text(found)):
            outputs[column] = text
    word = _word(reading.word, item)
    is_done = reading.done.holds(item)
    if not is_done and (reading.failed is None or not reading.failed.holds(item)):
        missing = reading.missing.holds(item) if reading.missing else False
        return Outcome(state=State.IN_PROGRESS, word=word, outputs=outputs, missing=missing)
    code = _word(reading.error_code, item)
    error = readable(reading.error.find(item)) if reading.error else ""
    completed_at = instant(reading.completed_at.find(item)) if reading.completed_at else None
    if is_done:
        return Outcome(
            state=State.DONE, word=word, outputs=outputs, error_code=code, error=error, completed_at=completed_at
        )
    return Outcome(
        state=State.FAILED,
        word=word,
        outputs=outputs,
        error_code=code or "failed",
        error=error or "the API says failed and gives no reason",
        stops=code in reading.stops,
        completed_at=completed_at,
    )


def _word(pick: Pick | None, item: Json) -> str:
    """What a provider calls a state or a failure; empty where it calls it nothing."""
    found = pick.find(item) if pick else None
    return "" if found is None else _one_line(as_text(found), MAX_WORD)


def readable(value: Json) -> str:
    """An error of any form as one line for a person: control characters out, at most 500 characters."""
    if value is None:
        return ""
    if isinstance(value, dict):
        value = value.get("message") or value.get("detail") or value.get("code") or value
    return _one_line(as_text(value), MAX_ERROR)


def _one_line(text: str, most: int) -> str:
    """A text without what breaks lines, terminals or databases, cut where it is longer than anybody reads."""
    if not text or (text.isidentifier() and len(text) <= most):  # most words are one
        return text
    text = text.encode("utf-8", "replace").decode("utf-8")
    text = " ".join("".join(c if c.isprintable() or c.isspace() else "\ufffd" for c in text).split())
    return text if len(text) <= most else text[: most - 1] + "…"


def instant(value: Json) -> float | None:
    """Unix seconds of a number or an ISO date; None for anything else, and for what no calendar holds."""
    if isinstance(value, str):
        try:
            seconds: float | None = datetime.fromisoformat(value).timestamp()
        except (ValueError, OverflowError):
            return None
    else:
        seconds = as_number(value)
    return seconds if seconds is not None and 0 <= seconds < _YEAR_9999 else None
