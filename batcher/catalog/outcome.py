"""What one item of an answer says about one piece of work."""

from __future__ import annotations

from datetime import datetime

from batcher.catalog.model import Settle
from batcher.catalog.pick import as_text
from batcher.model import Json, Outcome, State

MAX_ERROR = 500


def read_outcome(settle: Settle, item: Json) -> Outcome:
    """
    Read an item of a list, a bulk status or a single look-up.

    A word that is neither done nor failed is in progress, whatever it is: an unknown word is never an outcome.

    Args:
        settle: How the provider words its states.
        item: Any JSON; an item of quite another form is in progress with an empty word.
    """
    outputs = {column: text for column, pick in settle.outputs.items() if (text := as_text(pick.find(item)))}
    word = as_text(settle.word.find(item))
    code = as_text(settle.error_code.find(item)) if settle.error_code else ""
    error = readable(settle.error.find(item)) if settle.error else ""
    completed_at = instant(settle.completed_at.find(item)) if settle.completed_at else None
    if settle.done.holds(item):
        return Outcome(
            state=State.DONE, word=word, outputs=outputs, error_code=code, error=error, completed_at=completed_at
        )
    if settle.failed.holds(item):
        return Outcome(
            state=State.FAILED,
            word=word,
            outputs=outputs,
            error_code=code or "failed",
            error=error or "the API says failed and gives no reason",
            stops=code in settle.stops,
            completed_at=completed_at,
        )
    missing = settle.missing.holds(item) if settle.missing else False
    return Outcome(state=State.IN_PROGRESS, word=word, outputs=outputs, missing=missing)


def readable(value: Json) -> str:
    """An error of any form as one line for a person: control characters out, at most 500 characters."""
    if isinstance(value, dict):
        value = value.get("message") or value.get("detail") or value.get("code") or value
    text = as_text(value).encode("utf-8", "replace").decode("utf-8")
    text = " ".join("".join(c if c.isprintable() or c.isspace() else "\ufffd" for c in text).split())
    return text if len(text) <= MAX_ERROR else text[: MAX_ERROR - 1] + "…"


def instant(value: Json) -> float | None:
    """Unix seconds of a number or an ISO date; None for anything else."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value).timestamp()
        except ValueError:
            return None
    return None
