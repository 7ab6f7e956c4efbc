"""What a piece of work will cost, and what it did cost."""

from __future__ import annotations

import pytest

from batcher.catalog.load import built_in_providers
from batcher.catalog.model import Price
from batcher.price import PriceTag


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
