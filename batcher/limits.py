"""The limits under which a job sends: its own words, or else those of its account."""

from __future__ import annotations

from msgspec import Struct

from batcher.catalog.model import Provider
from batcher.job import Job
from batcher.units import Rate


class AccountLimits(Struct, frozen=True, kw_only=True):
    """
    What is counted over all jobs and processes of an account.

    Attributes:
        windows: Requests per time; every one of them holds.
        in_flight: Pieces of work at once; None without a cap.
        budget: What this job may spend in all; None without a budget.
    """

    windows: tuple[Rate, ...]
    in_flight: int | None
    budget: float | None


def limits_of(job: Job, provider: Provider) -> AccountLimits:
    """The limits that hold for a job."""
    return AccountLimits(
        windows=(*provider.submissions, *job.limits.submissions),
        in_flight=job.limits.in_flight or provider.in_flight,
        budget=job.limits.budget.amount if job.limits.budget else None,
    )
