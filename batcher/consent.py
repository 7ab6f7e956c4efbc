"""Whether a run may begin without a word from a person, and what a person has agreed to beforehand."""

from __future__ import annotations

import hashlib
import json

from batcher.job import Job
from batcher.ledger.values import Approval
from batcher.open_job import OpenJob
from batcher.units import Money


def needs_consent(at_hand: OpenJob, *, tasks: int, cost: float | None) -> bool:
    """
    Whether sending so much may cost more than the job lets pass, or nobody knows what it costs.

    A rehearsal costs nothing and is never asked about. On an address of this machine only a limit counts that the job
    itself holds.
    """
    limits = at_hand.job.limits
    if not tasks or at_hand.is_rehearsal or not (at_hand.is_real or limits.asks_anywhere):
        return False
    if cost is None or at_hand.bound.currency != limits.confirm_above.currency:
        return True  # a price that cannot be compared with the limit is no small price
    return cost > limits.confirm_above.amount


def unapproved(at_hand: OpenJob, *, tasks: int, cost: float | None) -> str:
    """What a person must be told before so much is sent; empty where nothing is to be asked, or it was approved."""
    if not needs_consent(at_hand, tasks=tasks, cost=cost):
        return ""
    why = objection(at_hand, tasks=tasks, cost=cost)
    where = "REAL" if at_hand.is_real else "REHEARSAL"
    limit = f"more than {at_hand.job.limits.confirm_above}"
    price = f"≈ {Money(amount=cost, currency=at_hand.bound.currency)}, {limit}" if cost is not None else limit
    return f"sending {tasks} to the {where} account may cost {price}, and {why}" if why else ""


def objection(at_hand: OpenJob, *, tasks: int, cost: float | None) -> str:
    """Why what was approved does not cover sending so much now; empty where it does."""
    given = at_hand.ledger.approval(at_hand.job.name)
    if given is None:
        return "nobody has approved it"
    if given.account != at_hand.account_name:
        return "it was approved for another account"
    if given.digest != job_digest(at_hand.job):
        return "the job file has changed since it was approved"
    if given.sent + tasks > given.tasks:
        return f"{given.tasks} were approved, and it would be {given.sent + tasks}"
    if given.cost is None:
        return ""
    currency = at_hand.bound.currency
    if cost is None or currency != given.currency:
        return "its price can no longer be compared with the approved one"
    total, most = given.spent + cost, Money(amount=given.cost, currency=currency)
    # the sum of a hundred thousand estimates differs in its last digits by the order in which they are added
    if total > given.cost * (1 + 1e-9) + 1e-6:
        return f"{most} were approved, and it would be {Money(amount=total, currency=currency)}"
    return ""


def approval(at_hand: OpenJob, *, tasks: int, cost: float | None, by: str, at: float) -> Approval:
    """What a person agrees to: this job as it stands, for this account, up to so many and so much."""
    return Approval(
        account=at_hand.account_name,
        digest=job_digest(at_hand.job),
        tasks=tasks,
        cost=cost,
        currency=at_hand.bound.currency,
        by=by,
        at=at,
    )


def job_digest(job: Job) -> str:
    """Changes with everything that a job file says; comments and spaces say nothing."""
    text = json.dumps(job.document.value, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
