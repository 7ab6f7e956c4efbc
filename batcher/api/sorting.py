"""Every way in which an exchange can go wrong, sorted by what happens next."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

from batcher.api.wire import Answer, Break, Broken
from batcher.catalog.model import ErrorRule, ErrorTable, Kind, Retired
from batcher.catalog.outcome import readable
from batcher.errors import ApiError, InDoubt, Rejected, StopEverything, Throttled, TryAgain

LONGEST_WAIT_S = 24 * 3600.0

_BY_STATUS: Mapping[int, Kind] = {
    400: Kind.REJECT,
    401: Kind.STOP,
    402: Kind.STOP,
    403: Kind.REJECT,
    404: Kind.REJECT,
    405: Kind.REJECT,
    406: Kind.REJECT,
    407: Kind.STOP,
    408: Kind.DOUBT,
    409: Kind.REJECT,
    410: Kind.REJECT,
    411: Kind.REJECT,
    413: Kind.REJECT,
    414: Kind.REJECT,
    415: Kind.REJECT,
    422: Kind.REJECT,
    425: Kind.WAIT,
    429: Kind.WAIT,
    431: Kind.REJECT,
    451: Kind.REJECT,
}
"""What a status means when the API's code says nothing. Another 4xx refuses; all the rest leaves a write in doubt."""


def sort_answer(
    answer: Answer, table: ErrorTable, *, is_write: bool, now: float, retired: Retired | None = None
) -> ApiError | None:
    """
    The failure that an answer is; None when it is a success.

    Args:
        answer: What came back.
        table: How the provider words its failures.
        is_write: Whether the request may have made, and charged, something.
        now: Unix seconds, to read a Retry-After that is a date.
        retired: How the operation answers that is no longer there; the provider's own way when None.
    """
    if 300 <= answer.status < 400:
        target = readable(answer.headers.get("location", "").partition("?")[0])[:100]
        message = f"the API redirects to {target or 'another address'}: the base address is wrong"
        return _error(Kind.STOP, message, answer, code="redirect", is_write=is_write)
    wrong = table.wrong.holds(answer.value) if table.wrong else False
    if 200 <= answer.status < 300 and not wrong:
        if answer.is_json:
            return None
        message = f"the answer cannot be read: {readable(answer.start)[:120] or 'it is empty'}"
        return _error(Kind.DOUBT, message, answer, code="unreadable_answer", is_write=is_write)
    code = readable(table.code.find(answer.value))[:80] if table.code and answer.is_json else ""
    said = readable(table.message.find(answer.value)) if table.message and answer.is_json else ""
    rule = table.rule(code, said)
    gone = retired or table.retired
    if rule is None and gone is not None and gone.matches(answer.status, is_write=is_write):
        return _error(Kind.STOP, gone.say, answer, code="retired", is_write=is_write)
    kind = rule.kind if rule else _kind_of_status(answer.status)
    code = (rule.name if rule else "") or code
    message = said or f"HTTP {answer.status}: {readable(answer.start)[:120]}".rstrip(": ")
    error = _error(kind, message, answer, code=code or f"http_{answer.status}", is_write=is_write)
    error.param = readable(table.param.find(answer.value))[:80] if table.param and answer.is_json else ""
    if isinstance(error, Throttled):
        _fill_wait(error, answer, rule, now)
    return error


def sort_break(broken: Broken, *, is_write: bool) -> ApiError:
    """The failure that an exchange without an answer is."""
    message = str(broken)
    if broken.how is Break.NOT_SENT:
        return _with_wait(Throttled(message, code="no_connection"))
    code = "lost_answer" if broken.how is Break.LOST else "unreadable_answer"
    return InDoubt(message, code=code) if is_write else TryAgain(message, code=code)


def _with_wait(error: Throttled) -> Throttled:
    error.wait_s = None
    return error


def _kind_of_status(status: int) -> Kind:
    if 200 <= status < 300:
        return Kind.REJECT  # an error envelope with a code that nobody knows
    return _BY_STATUS.get(status, Kind.REJECT if 400 <= status < 500 else Kind.DOUBT)


def _error(kind: Kind, message: str, answer: Answer, *, code: str, is_write: bool) -> ApiError:
    request_id = readable(answer.headers.get("x-request-id", ""))[:80]
    classes: Mapping[Kind, type[ApiError]] = {
        Kind.REJECT: Rejected,
        Kind.WAIT: Throttled,
        Kind.AGAIN: InDoubt if is_write else TryAgain,
        Kind.DOUBT: InDoubt if is_write else TryAgain,
        Kind.STOP: StopEverything,
    }
    return classes[kind](message, code=code, status=answer.status, request_id=request_id)


def _fill_wait(error: Throttled, answer: Answer, rule: ErrorRule | None, now: float) -> None:
    # a date is the server's: it is held against the server's clock where the answer tells it
    told = _moment(answer.headers.get("date", ""))
    error.wait_s = retry_after(answer.headers.get("retry-after"), now=now if told is None else told)
    error.slots_only = bool(rule and rule.slots_only and rule.slots_only.holds(answer.value))


def retry_after(text: str | None, *, now: float) -> float | None:
    """
    Seconds of a Retry-After header, at most a day; None when there is none or it cannot be read.

    Args:
        text: A number of seconds, also broken or past, or an HTTP date.
        now: Unix seconds.
    """
    if text is None or not (text := text.strip()):
        return None
    try:
        seconds = float(text)
    except ValueError:
        moment = _moment(text)
        if moment is None:
            return None
        seconds = moment - now
    if not math.isfinite(seconds):
        return None
    return min(max(seconds, 0.0), LONGEST_WAIT_S)


def _moment(text: str) -> float | None:
    """Unix seconds of an HTTP date; None for anything else."""
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError, OverflowError):
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
