"""Amounts as people write them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.units import Money, Rate, parse_duration, parse_money, parse_rates, show_duration, show_length


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("45 seconds", 45),
        ("45s", 45),
        ("10m", 600),
        ("1.5 h", 5400),
        ("2 Hours", 7200),
        (" 1 day ", 86400),
        ("0.5s", 0.5),
    ],
)
def test_durations_are_seconds(text: str, seconds: float) -> None:
    """A number and a unit, with or without a blank, in any case."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "45", "0s", "-1s", "1e3s", "1 h 30 m", "45 parsecs", "٣ s", "nan s", "9" * 400 + "d"]
)
def test_what_is_no_duration_is_refused_with_examples(text: str) -> None:
    """A number without a unit could be minutes as well as seconds."""
    with pytest.raises(ValueError, match="is not a duration; write for example 45 seconds, 10m, 2h"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "rates"),
    [
        ("5/second", [(5, 1)]),
        ("5 / 2s", [(5, 2)]),
        ("5/second, 100/day", [(5, 1), (100, 86400)]),
        ("1/15 minutes", [(1, 900)]),
    ],
)
def test_rates_are_windows(text: str, rates: list[tuple[int, float]]) -> None:
    """Several windows hold at the same time."""
    assert parse_rates(text) == tuple(Rate(count=count, window_s=window) for count, window in rates)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        "0/second",
        "5/0s",
        "5/00s",
        "1e2/s",
        "100001/s",
        "5/fortnight",
        "5/second,",
        "5/s;3/m",
        "5/" + "9" * 400 + "d",
        "9" * 5000 + "/s",
    ],
)
def test_what_is_no_rate_is_refused_with_examples(text: str) -> None:
    """A window of no length would let everything or nothing through."""
    with pytest.raises(ValueError, match="is not a rate; write for example 5/second or 5/second, 100/day"):
        parse_rates(text)


@pytest.mark.parametrize(
    ("text", "amount", "currency"),
    [
        ("200 USD", 200, "USD"),
        ("200", 200, "USD"),
        ("$200", 200, "USD"),
        ("$ 0.5", 0.5, "USD"),
        ("200$", 200, "USD"),
        ("9 credits", 9, "CREDITS"),
    ],
)
def test_money_has_a_currency(text: str, amount: float, currency: str) -> None:
    """Without one it is US dollars."""
    assert parse_money(text) == Money(amount=amount, currency=currency)


@pytest.mark.parametrize(
    "text", ["", "-5", "1e9", "1,000", "1.000,50", "inf", "nan", "200 €", "200 US", "$200 EUR", "9" * 400]
)
def test_what_is_no_money_is_refused(text: str) -> None:
    """`1,000` is a thousand in one country and one in the next: it is asked for again."""
    with pytest.raises(ValueError, match="is not an amount of money; write for example 25 USD"):
        parse_money(text)


@pytest.mark.parametrize("parse", [parse_duration, parse_rates, parse_money])
@given(text=st.text(max_size=30))
def test_any_text_is_an_amount_or_a_value_error(parse: Callable[[str], object], text: str) -> None:
    """Nothing else ever comes out of what a person wrote."""
    try:
        parse(text)
    except ValueError as error:
        assert "write for example" in str(error)


@given(count=st.integers(1, 100_000), window=st.sampled_from([1, 60, 3600, 86400, 5, 90]))
def test_a_shown_rate_reads_back(count: int, window: int) -> None:
    """What a message shows can be written into a job."""
    rate = Rate(count=count, window_s=window)
    assert parse_rates(str(rate)) == (rate,)


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.4, "0 s"), (45, "45 s"), (720, "12 min"), (9660, "2 h 41"), (259200, "72 h 00")]
)
def test_durations_are_shown_as_people_say_them(seconds: float, shown: str) -> None:
    """Nobody waits for 9,660 seconds."""
    assert show_duration(seconds) == shown


def test_money_is_shown_with_its_unit() -> None:
    """Dollars as dollars, everything else by its name."""
    assert str(Money(amount=1234.5, currency="USD")) == "$1,234.50"
    assert str(Money(amount=3, currency="CREDITS")) == "3.00 credits"


@pytest.mark.parametrize(
    ("seconds", "shown"), [(1, "1 s"), (7.53, "7.53 s"), (95, "1.58 min"), (6000, "100 min"), (225_000, "3,750 min")]
)
def test_how_much_there_is_to_watch_is_shown_as_prices_need_it(seconds: float, shown: str) -> None:
    """Neither hundredths of a minute nor powers of ten."""
    assert show_length(seconds) == shown
