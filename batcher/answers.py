"""What an answer means for an attempt: decisions as news, no effects."""

from __future__ import annotations

from batcher.api.client import Receipt
from batcher.api.search import Found
from batcher.errors import ApiError
from batcher.ledger.protocol import InFlight, News
from batcher.model import Attempt, Outcome, Source, State


def accepted(attempt: Attempt, receipt: Receipt, *, cost: float | None, now: float) -> News:
    """The API has taken it; a synchronous operation is done with that."""
    outcome = receipt.outcome or Outcome(state=State.IN_PROGRESS)
    return News(
        attempt_id=attempt.attempt_id,
        state=outcome.state,
        source=Source.ANSWER,
        cause="accepted",
        at=now,
        answered=True,
        remote_id=receipt.remote_id,
        word=outcome.word,
        outputs=outcome.outputs,
        error_code=outcome.error_code,
        error=outcome.error,
        cost=cost,
        completed_at=None if outcome.state is State.IN_PROGRESS else now,
    )


def refused(attempt: Attempt, error: ApiError, *, advice: str, now: float) -> News:
    """The API will never take it as it stands."""
    detail = f"{error.message} (request {error.request_id})" if error.request_id else error.message
    return News(
        attempt_id=attempt.attempt_id,
        state=State.FAILED,
        source=Source.ANSWER,
        cause=error.message,
        at=now,
        answered=True,
        error_code=error.code,
        error=f"{error.param}: {detail}" if error.param and error.param not in error.message else detail,
        advice=advice,
        completed_at=now,
    )


def not_made(attempt: Attempt, cause: str, *, now: float) -> News:
    """Proven not made: the task waits again."""
    return News(
        attempt_id=attempt.attempt_id, state=State.WAITING, source=Source.ANSWER, cause=cause, at=now, answered=True
    )


def still_in_doubt(attempt: Attempt, cause: str, *, now: float) -> News:
    """The request is over, and nobody knows what came of it."""
    return News(
        attempt_id=attempt.attempt_id,
        state=State.SENDING,
        source=Source.ANSWER,
        cause=cause,
        at=now,
        answered=True,
        error=cause,
    )


def unsure(attempt: Attempt, cause: str, *, resend_lost: bool, now: float, exhausted: bool = False) -> list[News]:
    """
    A person decides.

    Args:
        resend_lost: The job has decided beforehand: lost rows are sent again.
        exhausted: All of the account's work was searched, and it was not there.
    """
    made = "probably not made" if exhausted else "maybe made and charged"
    news = News(
        attempt_id=attempt.attempt_id,
        state=State.UNSURE,
        source=Source.ANSWER,
        cause=cause,
        at=now,
        answered=True,
        error_code="unsure",
        error=f"the answer was lost ({cause}); {made}, never resent blindly",
        advice="decide with: batcher settle",
    )
    if not resend_lost:
        return [news]
    again = News(
        attempt_id=attempt.attempt_id, state=State.WAITING, source=Source.PLAN, cause="on_lost: resend", at=now
    )
    return [news, again]


def searched(attempt: Attempt, found: Found, *, resend_lost: bool, now: float) -> list[News]:
    """Found once it is in progress; found twice or not at all a person decides."""
    if len(found.remote_ids) == 1:
        news = News(
            attempt_id=attempt.attempt_id,
            state=State.IN_PROGRESS,
            source=Source.LIST,
            cause="found again by its token",
            at=now,
            answered=True,
            remote_id=found.remote_ids[0],
        )
        return [news]
    if found.remote_ids:
        cause = f"two pieces of work carry its token: {', '.join(found.remote_ids)}"
        return unsure(attempt, cause, resend_lost=False, now=now)
    cause = "not found among the account's work"
    return unsure(attempt, cause, resend_lost=resend_lost, now=now, exhausted=found.exhausted)


def flying(attempt: Attempt, news: News) -> InFlight:
    """An attempt that was just accepted, for whoever watches it from here on."""
    return InFlight(
        attempt_id=attempt.attempt_id,
        key=attempt.task,
        operation=attempt.operation,
        remote_id=news.remote_id,
        accepted_at=news.at,
        body=attempt.body,
    )
