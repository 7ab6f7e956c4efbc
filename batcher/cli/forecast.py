"""What sample rows tell about the rest, in words; no effects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from batcher.cli.show import job_name, time_line
from batcher.ledger.values import Sample
from batcher.model import Json, Length
from batcher.open_job import OpenJob
from batcher.plan import Plan
from batcher.sampling import Chosen, usual_time
from batcher.units import Money

SHOWN = 12
TELLING = 0.05
"""A balance that fell by more than this share beside the price table is worth a second forecast."""


def chosen_line(opened: OpenJob, chosen: Chosen) -> str:
    """Which rows are made first, and what that will cost."""
    price = f" (≈ {_money(opened, chosen.cost)})" if chosen.cost is not None else ""
    return f"Sample   only {_rows(chosen.row_numbers)} now{price}; the others wait"


def made_line(opened: OpenJob, chosen: Chosen) -> str:
    """That there is nothing to do."""
    return (
        f"{opened.job.name} · SAMPLE IS MADE: {_rows(chosen.row_numbers)}; nothing more is sent "
        f"(a larger --sample makes more, batcher retry makes them again)"
    )


def lines(opened: OpenJob, chosen: Chosen, shown: Sample, plan: Plan) -> Iterator[str]:
    """
    What the sample rows have shown, and what the rest will cost and take by that.

    Args:
        plan: Made since they were measured.
    """
    if said := list(_shown(opened, shown)):
        yield f"Sample   {' · '.join(said)}"
    if not plan.to_come:
        return
    if plan.cost is not None:
        yield f"Rest     ≈ {_money(opened, plan.cost)} for {plan.to_come} to send{_by_balance(opened, shown, plan.cost)}"
    if line := time_line(opened, plan.to_come):
        yield line
    yield f"Next     look at {_rows(chosen.row_numbers)} in the results, then: batcher run {job_name(opened)}"


def summary(opened: OpenJob, chosen: Chosen, shown: Sample, plan: Plan) -> dict[str, Json]:
    """As `lines`, machine-readable: amounts in the currency of the job, times in seconds."""
    seconds = usual_time(opened, plan.to_come) if plan.to_come else 0.0
    return {
        "rows": list(chosen.row_numbers),
        "seconds_each": {step: round(length.seconds, 3) for step, length in shown.lengths.items()},
        "priced": round(shown.priced, 4),
        "charged": None if shown.charged is None else round(shown.charged, 4),
        "rest": {
            "to_send": plan.to_come,
            "cost": None if plan.cost is None else round(plan.cost, 4),
            "cost_as_charged": _as_charged(shown, plan.cost),
            "seconds": None if seconds is None else round(seconds, 3),
        },
    }


def _as_charged(shown: Sample, cost: float | None) -> float | None:
    """What work of this price takes from the balance, if it takes what the sample took; None where that is not known."""
    return round(cost * shown.charged / shown.priced, 4) if shown.charged and shown.priced and cost else None


def _shown(opened: OpenJob, shown: Sample) -> Iterator[str]:
    for step, length in shown.lengths.items():
        name = f"{step}: " if step else ""
        yield f"{name}{_length(length)}{_guessed(opened, step)}"
    if shown.priced:
        yield f"{_money(opened, shown.priced)} by the price table"
    if shown.charged is not None and shown.priced:
        yield f"the balance fell by {_money(opened, shown.charged)}"


def _length(length: Length) -> str:
    return f"{length.seconds:.3g} s each" if length.rows > 1 else f"{length.seconds:.3g} s"


def _guessed(opened: OpenJob, step: str) -> str:
    guess = opened.bound.steps[step].step.estimate_s if step in opened.bound.steps else None
    return f" (your guess was {guess:g} s)" if guess else ""


def _by_balance(opened: OpenJob, shown: Sample, cost: float) -> str:
    """What the rest costs if it takes from the balance what the sample took."""
    charged = _as_charged(shown, cost)
    if charged is None or abs(charged / cost - 1) <= TELLING:
        return ""
    return f", or ≈ {_money(opened, charged)} as the balance fell"


def _money(opened: OpenJob, amount: float) -> Money:
    return Money(amount=amount, currency=opened.bound.currency)


def _rows(numbers: Sequence[int]) -> str:
    some = ", ".join(map(str, numbers[:SHOWN]))
    return f"row{'s' if len(numbers) != 1 else ''} {some}{' …' if len(numbers) > SHOWN else ''}"
