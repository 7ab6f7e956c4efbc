"""The text of a workbook's value: the one place that decides how numbers and dates are written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

EXACT_DIGITS = 15
"""What a spreadsheet keeps of a number; everything beyond is invented or lost."""
LOST_DIGITS = "stored as a number, digits beyond the 15th are lost: format the column as text and enter it again"
LONG_FRACTION = "a number with more than 15 digits, as calculations leave behind: round it, or enter it as text"
_EXACT_LIMIT = 10.0**EXACT_DIGITS
_NUMBERS = {float}
_NUMBER = re.compile(r"-?(?:0|[1-9]\d{0,14})(?:\.\d{1,14})?\Z", re.ASCII)


def text_of(value: object) -> str:
    """
    The text that stands for a value.

    Whole numbers have no `.0`, other numbers are as short as they can be without becoming another number (the value,
    not its format: 15 % is `0.15`), truth is TRUE or FALSE, dates are ISO (`2026-11-20`, `2026-11-20 13:05:00`),
    times and durations HH:MM:SS.
    """
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, datetime):
        return _to_milliseconds(value).isoformat(sep=" ").removesuffix("000")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, time):
        return value.isoformat().removesuffix("000")
    if isinstance(value, timedelta):
        return _duration(value)
    return str(value)


def texts_of(values: Sequence[Any]) -> Sequence[str]:
    """
    The same for the values of a column.

    It is quicker where all are texts, which are given back as they are, or all are numbers, often the same few.
    """
    try:
        "".join(values)  # the quickest way to learn that all are texts
    except TypeError:
        if set(map(type, values)) != _NUMBERS:
            return list(map(text_of, values))
        distinct = set(values)
        if len(distinct) > len(values) // 2:
            return list(map(_number, values))
        texts = {value: _number(value) for value in distinct}
        return [texts[value] for value in values]
    return values


def is_number(text: str) -> bool:
    """True for a plain number that comes back from a spreadsheet exactly as it is written."""
    return bool(_NUMBER.match(text)) and sum(map(str.isdigit, text)) <= EXACT_DIGITS and text_of(float(text)) == text


def _number(value: float) -> str:
    return str(int(value)) if value.is_integer() else repr(value)


def flaw_of(value: object) -> str:
    """What is wrong with a number that has more digits than a spreadsheet can keep; empty for every other value."""
    if not isinstance(value, float | int) or isinstance(value, bool):
        return ""
    if not -_EXACT_LIMIT < value < _EXACT_LIMIT:
        return LOST_DIGITS
    if isinstance(value, int) or value.is_integer():
        return ""
    written = repr(value)
    if len(written) <= EXACT_DIGITS:
        return ""
    digits = written.lower().partition("e")[0].replace(".", "").lstrip("-0")
    return LONG_FRACTION if len(digits) > EXACT_DIGITS else ""


def _to_milliseconds(value: datetime) -> datetime:
    """Rounded: a spreadsheet's instant is a fraction of a day, and 13:05 comes out as 13:04:59.999999."""
    rounded = value + timedelta(microseconds=500)
    return rounded.replace(microsecond=rounded.microsecond // 1000 * 1000)


def _duration(value: timedelta) -> str:
    """Hours may pass 24: a duration is not an hour of the day."""
    milliseconds = round(value / timedelta(milliseconds=1))
    sign, milliseconds = ("-" if milliseconds < 0 else ""), abs(milliseconds)
    seconds, rest = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{sign}{hours:02}:{minutes:02}:{seconds:02}" + (f".{rest:03}" if rest else "")
