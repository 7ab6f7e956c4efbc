"""Whether a run may begin without a word from a person."""

from __future__ import annotations

from batcher.opening import OpenJob
from batcher.plan import Plan


def needs_consent(at_hand: OpenJob, plan: Plan) -> bool:
    """Whether the run may cost more than the job lets pass, or nobody knows what it costs; a rehearsal costs nothing."""
    if not at_hand.is_real or not plan.to_come:
        return False
    limit = at_hand.bound.job.limits.confirm_above
    if plan.cost is None or at_hand.bound.currency != limit.currency:
        return True  # a price that cannot be compared with the limit is no small price
    return plan.cost > limit.amount


def question(at_hand: OpenJob, plan: Plan) -> str:
    """What the person is asked."""
    limit = at_hand.bound.job.limits.confirm_above
    later = f", and {plan.later} later steps after them," if plan.later else ""
    return f"This may cost more than {limit}. Send {plan.to_send} rows{later} to the REAL account?"
