"""What a piece of work will cost, and what it did cost."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from batcher.bound import BoundJob
from batcher.catalog.load import built_in_providers
from batcher.catalog.model import Price
from batcher.cli.main import main
from batcher.errors import Exit, InputError
from batcher.price import PriceTag, rounding


def price_of(operation: str) -> Price:
    """The price that the catalogue states."""
    found = next(each.operations[operation].price for each in built_in_providers() if operation in each.operations)
    assert found is not None
    return found


def test_the_jobs_own_estimate_goes_before_every_guess() -> None:
    """20 seconds of avatar video at 0.0667 dollars."""
    tag = PriceTag(price_of("heygen.template"), estimate_s=20)
    assert tag.estimate({"variables": {}}) == pytest.approx(20 * 0.0667)


def test_a_script_tells_its_length() -> None:
    """About 15 characters are spoken in a second, and a begun second is a whole one."""
    tag = PriceTag(price_of("heygen.video"), estimate_s=None)
    assert tag.estimate({"type": "avatar", "script": "x" * 150}) == pytest.approx(10 * 0.0667)
    assert tag.estimate({"type": "avatar", "script": "x" * 151}) == pytest.approx(11 * 0.0667)


def test_without_any_hint_the_catalogues_guess_holds() -> None:
    """A recording does not tell its length before it was heard."""
    tag = PriceTag(price_of("heygen.video"), estimate_s=None)
    assert tag.estimate({"type": "avatar", "audio_url": "https://x.de/a.mp3"}) == pytest.approx(30 * 0.0667)


@pytest.mark.parametrize(
    ("body", "cost"),
    [
        ({"type": "image", "script": "x"}, 10 * 0.05),
        ({"type": "cinematic_avatar"}, 7.0),
        ({"type": "avatar", "engine": {"type": "avatar_iii"}}, 10 * 0.0167),
    ],
)
def test_the_price_depends_on_the_body(body: dict[str, object], cost: float) -> None:
    """A picture, a cinematic video and an older engine cost differently."""
    assert PriceTag(price_of("heygen.video"), estimate_s=10).estimate(body) == pytest.approx(cost)


def test_the_final_cost_rounds_up_to_whole_seconds() -> None:
    """How HeyGen rounds is not documented: the dearer way is shown."""
    tag = PriceTag(price_of("heygen.template"), estimate_s=20)
    assert tag.final({}, duration_s="12.04") == pytest.approx(13 * 0.0667)


@pytest.mark.parametrize("told", ["", "soon", "nan", "inf", "-inf", "-3", "1e999"])
def test_a_length_that_is_none_leaves_the_estimate(told: str) -> None:
    """An API may answer anything; the account of the job must still add up."""
    tag = PriceTag(price_of("heygen.template"), estimate_s=20)
    assert tag.final({}, duration_s=told) == tag.estimate({})


def test_without_a_price_nothing_is_claimed() -> None:
    """No price is not the same as free."""
    assert PriceTag(None, estimate_s=20).estimate({}) is None
    assert PriceTag(None, estimate_s=20).final({}, duration_s="3") is None


OWN = {"amount": 0.5, "currency": "EUR", "per": "video", "as_of": "November 2026"}
Bind = Callable[..., BoundJob]
Row = Callable[..., dict[str, str]]


def test_a_price_of_the_job_goes_before_the_catalogues(bind: Bind, make_row: Row) -> None:
    """In its own currency, and so does the budget."""
    bound = bind(make_row(), prices={"heygen.template": OWN}, limits={"budget": "3 EUR"}, estimate="20 seconds")
    (task,) = [task for row in bound.rows() for task in bound.tasks(row)]
    assert (task.estimate, bound.currency) == (0.5, "EUR")
    assert bound.final_cost("", task.operation, task.body, duration_s="90") == 0.5


def test_a_budget_in_the_catalogues_currency_is_told(bind: Bind, make_row: Row) -> None:
    """Amounts of two currencies cannot be compared."""
    with pytest.raises(InputError, match=r"limits\.budget: the work is priced in EUR, so \$3\.00 cannot be watched"):
        bind(make_row(), prices={"heygen.template": OWN}, limits={"budget": "3 USD"})


@pytest.mark.parametrize(
    ("prices", "said"),
    [
        (
            {"heygen.tempate": OWN},
            "prices.heygen.tempate: no step of this job is 'heygen.tempate'; did you mean 'heygen.template'?",
        ),
        (
            {"heygen.template": {**OWN, "per": "character"}},
            "per: heygen.template has no text whose characters could be counted",
        ),
    ],
)
def test_a_price_for_nothing_is_told_at_its_place(bind: Bind, make_row: Row, prices: object, said: str) -> None:
    """A misspelt operation would leave the old price in force."""
    with pytest.raises(InputError) as caught:
        bind(make_row(), prices=prices)
    (problem,) = caught.value.problems
    assert said in problem.message
    assert re.match(r"job\.yaml:\d+:\d+", problem.where)


def test_steps_have_one_currency(bind: Bind, make_row: Row) -> None:
    """Their costs are added up."""
    speech = {"operation": "heygen.speech", "request": {"text": "Hello", "voice_id": "v"}}
    video = {"operation": "heygen.video", "request": {"type": "avatar", "avatar_id": "a", "script": "Hello"}}
    with pytest.raises(InputError, match=r"prices\.heygen\.video\.currency: another step is priced in USD"):
        bind(
            make_row(),
            operation=None,
            request=None,
            steps={"speech": speech, "video": video},
            prices={"heygen.video": OWN},
        )


@pytest.mark.usefixtures("signed_in")
def test_check_says_whose_prices_they_are(
    make_sheet: Callable[..., Path], write_job: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """The amount, and the date that the person has written."""
    make_sheet()
    assert main(["check", str(write_job(prices={"heygen.template": OWN}))]) == Exit.DONE
    said = capsys.readouterr().out
    assert "for 1 to send; prices of the job, dated November 2026" in said
    assert "heygen.template: 0.5 EUR a video" in said


@pytest.mark.parametrize(
    ("operations", "said"),
    [
        (["heygen.template"], "each row's seconds rounded up"),
        (["heygen.v2.video"], "each row's length rounded up to full 30 s"),
        (["heygen.speech", "heygen.v2.video"], "each row's seconds rounded up or length rounded up to full 30 s"),
        (["heygen.photo_avatar"], ""),
    ],
)
def test_the_cost_line_says_how_lengths_are_rounded(operations: list[str], said: str) -> None:
    """By the second or in steps, as the price is; nothing where no length is paid for."""
    assert rounding(map(price_of, operations)) == said
