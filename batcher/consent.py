"""Whether a run may begin without a word from a person."""

from __future__ import annotations

from batcher.opening import OpenJob
from batcher.plan import Plan


def needs_consent(at_hand: OpenJob, plan: Plan) -> bool:
    """Whether the run may cost more than the job lets pass; a rehearsal costs nothing."""
    if not at_hand.is_real or plan.cost is None or not plan.to_send:
        return False
    limit = at_hand.bound.job.limits.confirm_above
    price = at_hand.bound.operation.price
    same_unit = price is not None and price.currency == limit.currency
    return not same_unit or plan.cost > limit.amount


def question(at_hand: OpenJob, plan: Plan) -> str:
    """What the person is asked."""
    limit = at_hand.bound.job.limits.confirm_above
    return f"This may cost more than {limit}. Send {plan.to_send} rows to the REAL account?"
