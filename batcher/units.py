"""Amounts as people write them: durations, rates, money."""

from __future__ import annotations

import re

from msgspec import Struct

_SECONDS = {
    "s": 1, "sec": 1, "second": 1, "seconds": 1,
    "m": 60, "min": 60, "minute": 60, "minutes": 60,
    "h": 3600, "hour": 3600, "hours": 3600,
    "d": 86400, "day": 86400, "days": 86400,
}  # fmt: skip
_DURATION = re.compile(r"\s*([0-9]{1,9}(?:\.[0-9]{1,9})?)\s*([a-z]+)\s*\Z")
_RATE = re.compile(r"\s*([0-9]{1,9})\s*/\s*([0-9]{0,5})\s*([a-z]+)\s*\Z")
_MONEY = re.compile(r"\s*(?:\$\s*)?([0-9]{1,12}(?:\.[0-9]{1,9})?)\s*([A-Za-z]{3,10}|\$)?\s*\Z")


class Rate(Struct, frozen=True, kw_only=True):
    """
    At most `count` requests within any `window_s` seconds.
    """

    count: int
    window_s: float

    def __str__(self) -> str:
        names = {1: "second", 60: "minute", 3600: "hour", 86400: "day"}
        return f"{self.count}/{names.get(int(self.window_s), f'{self.window_s:g}s')}"


class Money(Struct, frozen=True, kw_only=True):
    """
    An amount in the unit in which a provider charges.

    Attributes:
        currency: Upper case: `USD`, `CREDITS`.
    """

    amount: float
    currency: str

    def __str__(self) -> str:
        if self.currency == "USD":
            return f"${self.amount:,.2f}"
        return f"{self.amount:,.2f} {self.currency.lower()}"


def parse_duration(text: str) -> float:
    """
    Seconds of `45 seconds`, `10m`, `1.5 h`.

    Raises:
        ValueError: It is not a positive duration with a unit.
    """
    match = _DURATION.match(text.lower())
    if match is None or match[2] not in _SECONDS or float(match[1]) <= 0:
        raise ValueError(f"'{text}' is not a duration; write for example 45 seconds, 10m, 2h")
    return float(match[1]) * _SECONDS[match[2]]


def parse_rates(text: str) -> tuple[Rate, ...]:
    """
    The windows of `5/second` or `5/second, 100/day`.

    Raises:
        ValueError: One of them is not a whole number from 1 to 100,000 per unit of time.
    """
    rates = []
    for part in text.split(","):
        match = _RATE.match(part.lower())
        if match is None or match[3] not in _SECONDS or not 1 <= int(match[1]) <= 100_000 or int(match[2] or 1) < 1:
            raise ValueError(f"'{part.strip()}' is not a rate; write for example 5/second or 5/second, 100/day")
        rates.append(Rate(count=int(match[1]), window_s=float(int(match[2] or 1) * _SECONDS[match[3]])))
    return tuple(rates)


def parse_money(text: str) -> Money:
    """
    The amount of `200 USD`, `200$`, `200` (then US dollars).

    Raises:
        ValueError: It is not an amount with a currency.
    """
    match = _MONEY.match(text)
    currency = (match[2] or "USD").upper().replace("$", "USD") if match else ""
    if match is None or ("$" in text and currency != "USD"):
        raise ValueError(f"'{text}' is not an amount of money; write for example 25 USD")
    return Money(amount=float(match[1]), currency=currency)


def show_length(seconds: float) -> str:
    """How much there is to watch or hear, as exactly as prices need it: `45 s`, `1.58 min`, `3,750 min`."""
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes = seconds / 60
    return f"{minutes:.3g} min" if minutes < 100 else f"{minutes:,.0f} min"


def show_duration(seconds: float) -> str:
    """A duration for people: `45 s`, `12 min`, `2 h 41`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02d}"
