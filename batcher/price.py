"""What a piece of work will cost, and what it did cost."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence

from msgspec.structs import replace

from batcher.catalog.model import Operation, Price
from batcher.catalog.pick import Pick, as_text
from batcher.errors import InputError, Problem
from batcher.job import Job, OwnPrice
from batcher.model import Json, Length
from batcher.schema import unknown_key

CHARACTERS_PER_SECOND = 15
"""How fast a voice speaks, roughly; used only where nothing better is known."""


def at_own_prices(job: Job, operations: Sequence[Operation]) -> list[Operation]:
    """
    The operations of a job at its own prices, where it has any.

    Raises:
        InputError: A price of an operation that is no step of the job, in another currency than the other steps, or by
            the character where there is no text; all of them, each with its place.
    """
    names = dict.fromkeys(operation.name for operation in operations)
    problems: list[Problem] = []
    for name in job.prices:
        if name not in names:
            said = unknown_key(name, names).replace("unknown key", "no step of this job is", 1)
            problems.append(job.problem(("prices", name), said.replace("known keys are", "it has", 1)))
    priced = [
        replace(each, price=_own(each.price, job.prices[each.name])) if each.name in job.prices else each
        for each in operations
    ]
    currencies = {each.price.currency for each in priced if each.price}
    for operation in {each.name: each for each in priced if each.name in job.prices}.values():
        problems += _wrong_price(job, operation, currencies)
    if problems:
        raise InputError(*problems)
    return priced


def _wrong_price(job: Job, operation: Operation, currencies: set[str]) -> Iterator[Problem]:
    own, place = job.prices[operation.name], ("prices", operation.name)
    if others := sorted(currencies - {own.currency}):
        message = f"another step is priced in {', '.join(others)}; one job has one currency"
        yield job.problem((*place, "currency"), message)
    if own.per == "character" and operation.price and not operation.price.text:
        message = f"{operation.name} has no text whose characters could be counted; write second, minute, video or call"
        yield job.problem((*place, "per"), message)


def _own(known: Price | None, own: OwnPrice) -> Price:
    """A price of the person's own; how lengths are guessed is still the catalogue's business."""
    usual = known or Price(per=own.per, amount=own.amount, currency=own.currency)
    return Price(
        per=own.per,
        amount=own.amount,
        currency=own.currency,
        step_s=own.step_s,
        guess_s=usual.guess_s,
        text=usual.text,
        as_of=own.as_of,
    )


class PriceTag:
    """
    Prices the work of one job.

    Args:
        price: The operation's price; None when there is none.
        estimate_s: The length that the job expects; None when it says nothing.
        length: What sample rows have shown, which counts for more; None before there were any.
        is_fixed: Whether a key of the body is the same for every row: what depends on nothing else is found out once.
    """

    def __init__(
        self,
        price: Price | None,
        *,
        estimate_s: float | None,
        length: Length | None = None,
        is_fixed: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self._price = price
        self._has_one_rate = price is not None and all(
            case.field.key and is_fixed(case.field.key) for case in price.cases
        )
        self._rate: tuple[float, str] | None = None
        self._shown = length
        self._estimate_s = estimate_s
        self._text = Pick(price.text) if price and price.text else None
        self._length = Pick(price.length) if price and price.length else None

    def estimate(self, body: Json) -> float | None:
        """What the body will cost before anything is known of its length."""
        if self._price is None:
            return None
        rate = self._rate or self._price.of(body)
        if self._has_one_rate:
            self._rate = rate
        return self._cost(body, self._seconds(body), rate)

    def final(self, body: Json, *, duration_s: str) -> float | None:
        """What it cost, once its length is known; the estimate when the API does not tell one."""
        if self._price is None:
            return None
        try:
            seconds = float(duration_s)
        except ValueError:
            seconds = math.nan
        told = seconds if 0 <= seconds < math.inf else self._seconds(body)
        return self._cost(body, told, self._price.of(body))  # the job may have been changed since it was sent

    def length_of(self, body: Json) -> str:
        """The address of the file in the body whose length is that of the work; empty where there is none."""
        found = self._length.find(body) if self._length else None
        return found if isinstance(found, str) else ""

    def _seconds(self, body: Json) -> float:
        if self._shown is None and self._estimate_s is not None:
            return self._estimate_s
        characters = self.characters(body)
        if self._shown is not None:
            share = characters / self._shown.characters if characters and self._shown.characters else 1
            return self._shown.seconds * share
        if characters:
            return characters / CHARACTERS_PER_SECOND
        return self._price.guess_s if self._price else 0

    def characters(self, body: Json) -> int:
        """How long the text of the body is; a body of several texts has them all."""
        found = self._text.find(body) if self._text else None
        return sum([len(as_text(each)) for each in found]) if isinstance(found, list) else len(as_text(found))

    def _cost(self, body: Json, seconds: float, rate: tuple[float, str]) -> float:
        amount, per = rate
        if per == "character":
            return amount * self.characters(body)
        if per not in ("second", "minute"):
            return amount
        step_s = self._price.step_s if self._price else 1
        billed_s = math.ceil(seconds / step_s) * step_s
        return amount * (billed_s if per == "second" else billed_s / 60)


def rounding(prices: Iterable[Price]) -> str:
    """How lengths are rounded where they are what is paid for; how HeyGen does it is not documented: the dearer way."""
    steps = {
        price.step_s for price in prices if {price.per, *(case.per for case in price.cases)} & {"second", "minute"}
    }
    said = ["seconds rounded up" if step == 1 else f"length rounded up to full {step:g} s" for step in sorted(steps)]
    return f"each row's {' or '.join(said)}" if said else ""
