"""What an answer means for an attempt: decisions as news, no effects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct, field

from batcher.api.batch import BatchSeen
from batcher.api.client import Receipt
from batcher.api.search import Found
from batcher.catalog.model import ErrorTable, Kind
from batcher.errors import ApiError, Rejected, StopEverything, Throttled
from batcher.ledger.values import InFlight, News
from batcher.model import Attempt, Outcome, Source, State

_UNDER_WAY = Outcome(state=State.IN_PROGRESS)


def accepted(attempt: Attempt, receipt: Receipt, *, cost: float | None, now: float) -> News:
    """The API has taken it; a synchronous operation is done with that."""
    outcome = receipt.outcome or _UNDER_WAY
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


def unsure(
    attempt: Attempt,
    cause: str,
    *,
    resend_lost: bool,
    now: float,
    exhausted: bool = False,
    lost: str = "the answer was lost",
) -> list[News]:
    """
    A person decides.

    Args:
        resend_lost: The job has decided beforehand: lost rows are sent again.
        exhausted: All of the account's work was searched, and it was not there.
        lost: What is missing, in words.
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
        error=f"{lost} ({cause}); {made}, never resent blindly",
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


def batch_accepted(attempts: Sequence[Attempt], batch_id: str, *, now: float) -> list[News]:
    """The API has taken a batch; its items have no ids yet, so each attempt is still being sent."""
    news = News(
        attempt_id=attempts[0].attempt_id,
        state=State.SENDING,
        source=Source.ANSWER,
        cause=f"accepted in batch {batch_id}",
        at=now,
        answered=True,
        batch_id=batch_id,
    )
    return [news]


def without_id(attempts: Iterable[Attempt], cause: str, *, now: float) -> list[News]:
    """Taken in a batch, and nothing more is to be learned from that: a person decides, whatever the job says of lost rows."""
    lost = "its id has never come"
    return [news for each in attempts for news in unsure(each, cause, resend_lost=False, now=now, lost=lost)]


class ItemsRead(Struct, kw_only=True):
    """
    What a look into a batch means for its attempts.

    Attributes:
        news: What is known now.
        left: The attempts that have no id yet.
        made: Those that have one.
        failures: What kept the others from being made.
    """

    news: list[News] = field(default_factory=list)
    left: list[Attempt] = field(default_factory=list)
    made: list[Attempt] = field(default_factory=list)
    failures: list[ApiError] = field(default_factory=list)


def items_read(attempts: Sequence[Attempt], seen: BatchSeen, errors: ErrorTable, *, now: float) -> ItemsRead:
    """
    Hold the items of a batch against its attempts, by their index.

    Items that were never made tell their failures in the provider's words, which mean the same here as in an answer of
    their own. Where the API counts other items than were sent, no index can be trusted.
    """
    read = ItemsRead()
    for attempt in attempts:
        item = seen.items.get(attempt.place if attempt.place is not None else -1)
        if seen.total is not None and seen.total != attempt.size:
            cause = (
                f"batch {attempt.batch_id} is said to hold {seen.total} pieces of work, but {attempt.size} were sent"
            )
            read.news += unsure(attempt, cause, resend_lost=False, now=now)
        elif attempt.place in seen.twice:
            cause = f"batch {attempt.batch_id} shows two pieces of work in its place"
            read.news += unsure(attempt, cause, resend_lost=False, now=now)
        elif item is not None and item.remote_id:
            read.news.append(accepted(attempt, Receipt(remote_id=item.remote_id), cost=None, now=now))
            read.made.append(attempt)
        elif item is not None and item.outcome is not None and item.outcome.state is State.FAILED:
            read.failures.append(_item_failure(item.outcome, errors))
            read.news.append(_item_news(attempt, read.failures[-1], errors, now=now))
        else:
            read.left.append(attempt)
    return read


def _item_failure(outcome: Outcome, errors: ErrorTable) -> ApiError:
    """Why an item was not made, as the error that a request of its own would have met."""
    rule = errors.rule(outcome.error_code, outcome.error)
    kinds: Mapping[Kind, type[ApiError]] = {Kind.STOP: StopEverything, Kind.WAIT: Throttled}
    kind = kinds.get(rule.kind, Rejected) if rule else Rejected
    return kind(outcome.error, code=(rule.name if rule else "") or outcome.error_code)


def _item_news(attempt: Attempt, error: ApiError, errors: ErrorTable, *, now: float) -> News:
    if isinstance(error, Rejected):
        return refused(attempt, error, advice=errors.advice(error.code), now=now)
    return not_made(attempt, error.message, now=now)


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
