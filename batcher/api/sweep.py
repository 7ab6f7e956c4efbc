"""One look at everything in flight, from the cheapest source that the operation has."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

from msgspec import Struct, field

from batcher.api.client import Client
from batcher.catalog.model import Settle
from batcher.catalog.outcome import read_outcome
from batcher.errors import ApiError, Rejected, TryAgain
from batcher.model import Outcome, Source, State

SINGLES = 20
"""Single look-ups of one sweep, or as many as it has taken other requests; what is left waits for the next one."""

FEW = 5
"""Failures that a glance asks the reasons of at once; more of them are read from the lists."""


class Sweep(Struct, kw_only=True):
    """
    What a look has seen.

    Attributes:
        outcomes: By remote id, with the source of each.
        requests: How many requests it took, the one that failed included.
        error: Why it ended early; None when it came to its end.
        has_failures: More work has failed than it has asked the reasons of.
    """

    outcomes: dict[str, tuple[Outcome, Source]] = field(default_factory=dict)
    requests: int = 0
    error: ApiError | None = None
    has_failures: bool = False


def sweep(client: Client, settle: Settle, wanted: Collection[str], *, also: Collection[str] = ()) -> Sweep:
    """
    Look at every wanted id, and take along what the lists show of others on the way.

    Lists come first, since one request brings states and links of a hundred; then the bulk status for what the list
    did not show; then single look-ups for what is ready but has no link yet, and where there is nothing better. An id
    that no source shows is missing, which is no outcome. A failure ends the sweep and keeps what it has seen; after one
    of a list the other sources are still asked, since a list can be broken for long.
    """
    seen = Sweep()
    try:
        ready: list[str] = []
        if len(wanted) > 1 and settle.list is not None:
            try:
                ready = _from_list(client, settle, wanted, seen, also=also)
            except TryAgain as error:
                seen.error = error
        rest = [each for each in wanted if each not in seen.outcomes and each not in ready]
        if len(rest) > 1 and settle.bulk is not None:
            rest = _from_bulk(client, settle, rest, seen)
        # without a cheaper source nothing may be left out: the same few would be looked at for ever
        at_most = max(SINGLES, seen.requests) if settle.list or settle.bulk else len(rest)
        for remote_id in [*ready, *rest][:at_most]:
            _single(client, settle, remote_id, seen)
    except ApiError as error:
        seen.error = error
    return seen


def glance(client: Client, settle: Settle, wanted: Sequence[str]) -> Sweep:
    """
    Ask only which of the wanted ids have ended, a hundred with each request, whatever stands between them in a list.

    What is finished lets go of its slot with that; its links come with a later sweep. Of a few failures the reasons are
    asked at once, since they may be reasons to stop. An error ends it and keeps what it has seen.
    """
    seen = Sweep()
    bulk = settle.bulk
    if bulk is None or bulk.ready is None:
        return seen
    failed: list[str] = []
    try:
        for start in range(0, len(wanted), bulk.most):
            seen.requests += 1
            items = client.states(settle, wanted[start : start + bulk.most])
            for remote_id, item in items.items():
                if bulk.ready.holds(item):
                    seen.outcomes[remote_id] = (Outcome(state=State.IN_PROGRESS, ended=True), Source.POLL)
                elif settle.failed is not None and settle.failed.holds(item):
                    failed.append(remote_id)
        for remote_id in failed[:FEW]:
            _single(client, settle, remote_id, seen)
    except ApiError as error:
        seen.error = error
    seen.has_failures = any(each not in seen.outcomes for each in failed)
    # in their order: several failures in a row are a reason to stop, others in between are not
    seen.outcomes = {each: seen.outcomes[each] for each in wanted if each in seen.outcomes}
    return seen


def fresh(client: Client, settle: Settle, wanted: Collection[str]) -> Sweep:
    """
    The newest answers, with their links, for finished work: from the lists, and one by one where these do not reach.

    A failure ends it and keeps what it has seen.
    """
    seen = Sweep()
    try:
        if len(wanted) > 1 and settle.list is not None:
            _from_list(client, settle, wanted, seen)
        for remote_id in wanted:
            if remote_id not in seen.outcomes:
                _single(client, settle, remote_id, seen)
    except ApiError as error:
        seen.error = error
    return seen


def _from_list(
    client: Client, settle: Settle, wanted: Collection[str], seen: Sweep, *, also: Collection[str] = ()
) -> list[str]:
    """Read the newest pages; returns the wanted ids that are finished but whose links stand elsewhere."""
    source = settle.list
    ready: dict[str, None] = {}
    if source is None:
        return []
    left, others = set(wanted), set(also)
    per_page = source.pages.most if source.pages else 100
    following, tokens = "", set[str]()
    # work of other jobs stands between ours; past twice our own share the bulk status is the cheaper way
    for _ in range(2 * math.ceil(len(left | others) / per_page) + 1):
        seen.requests += 1
        page = client.list_page(source, token=following)
        before = len(left)
        for remote_id, item in page.items:
            if remote_id in left and source.ready and source.ready.holds(item):
                ready[remote_id] = None
            elif remote_id in left or remote_id in others:
                outcome = read_outcome(settle, item)
                if outcome.missing:
                    continue
                seen.outcomes[remote_id] = (outcome, Source.LIST)
            left.discard(remote_id)
            others.discard(remote_id)  # pages that overlap may show it again, as it was before
        # the last few stand far apart, deep in the list: asked for one by one they cost less than the pages between them
        is_barren = len(left) == before and len(left) <= SINGLES
        if not left or is_barren or not page.next_token or page.next_token in tokens:
            break
        tokens.add(page.next_token)
        following = page.next_token
    return list(ready)


def _from_bulk(client: Client, settle: Settle, wanted: list[str], seen: Sweep) -> list[str]:
    """Ask for the states of many; returns the ids that are worth a single look-up."""
    bulk = settle.bulk
    if bulk is None:
        return wanted
    singles: list[str] = []
    for start in range(0, len(wanted), bulk.most):
        some = wanted[start : start + bulk.most]
        seen.requests += 1
        items = client.states(settle, some)
        for remote_id in some:
            item = items.get(remote_id)
            if item is None or (bulk.ready and bulk.ready.holds(item)):
                singles.append(remote_id)
                continue
            outcome = read_outcome(settle, item)
            if outcome.missing or outcome.state is State.FAILED:
                singles.append(remote_id)  # the single answer knows more, or better
            else:
                seen.outcomes[remote_id] = (outcome, Source.POLL)
    return singles


def _single(client: Client, settle: Settle, remote_id: str, seen: Sweep) -> None:
    seen.requests += 1
    try:
        outcome = client.look_up(settle, remote_id)
    except Rejected as error:
        outcome = Outcome(state=State.IN_PROGRESS, word=error.code, missing=True)
    seen.outcomes[remote_id] = (outcome, Source.POLL)
