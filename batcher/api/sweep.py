"""One look at everything in flight, from the cheapest source that the operation has."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Sequence

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
    What a look has seen, or one part of it.

    Attributes:
        outcomes: By remote id, with the source of each.
        unclear: Ids of which only a single look-up can tell more.
        requests: How many requests it took, the one that failed included.
        error: Why it ended early, what says to stop or to wait before all else; None when it came to its end.
        has_failures: More work has failed than it has asked the reasons of.
    """

    outcomes: dict[str, tuple[Outcome, Source]] = field(default_factory=dict)
    unclear: list[str] = field(default_factory=list)
    requests: int = 0
    error: ApiError | None = None
    has_failures: bool = False

    def add(self, part: Sweep) -> None:
        """Take in what a further part has seen."""
        self.outcomes.update(part.outcomes)
        self.unclear += part.unclear
        self.requests += part.requests
        if self.error is None or isinstance(self.error, TryAgain):
            self.error = part.error or self.error
        self.has_failures = part.has_failures or self.has_failures


def whole(parts: Iterable[Sweep]) -> Sweep:
    """A look from its parts."""
    seen = Sweep()
    for part in parts:
        seen.add(part)
    return seen


def sweep(client: Client, settle: Settle, wanted: Collection[str], *, also: Collection[str] = ()) -> Iterator[Sweep]:
    """
    Look at every wanted id, and take along what the lists show of others on the way.

    Lists come first, since one request brings states and links of a hundred; then the bulk status for what the list
    did not show; then single look-ups for what is ready but has no link yet, and where there is nothing better. An id
    that no source shows is missing, which is no outcome. A failure ends the sweep and keeps what it has seen; after one
    of a list the other sources are still asked, since a list can be broken for long.

    Yields:
        What each request has shown: it is written down, and slots are filled again, while the next one is under way.
    """
    seen = Sweep()
    if len(wanted) > 1 and settle.list is not None:
        for part in _from_list(client, settle, wanted, also=also):
            seen.add(part)
            yield part
        if seen.error is not None and not isinstance(seen.error, TryAgain):
            return
    known = {*seen.outcomes, *seen.unclear}
    rest = [each for each in wanted if each not in known]
    if len(rest) > 1 and settle.bulk is not None:
        for part in _from_bulk(client, settle, rest):
            seen.add(part)
            yield part
            if part.error is not None:
                return
    else:
        seen.unclear += rest
    # without a cheaper source nothing may be left out: the same few would be looked at for ever
    at_most = max(SINGLES, seen.requests) if settle.list or settle.bulk else len(rest)
    for remote_id in seen.unclear[:at_most]:
        part = _single(client, settle, remote_id)
        yield part
        if part.error is not None:
            return


def glance(client: Client, settle: Settle, wanted: Sequence[str]) -> Iterator[Sweep]:
    """
    Ask only which of the wanted ids have ended, a hundred with each request, whatever stands between them in a list.

    What is finished lets go of its slot with that; its links come with a later sweep. Of a few failures the reasons are
    asked at once, since they may be reasons to stop. An error ends it and keeps what it has seen.

    Yields:
        All of it in one part.
    """
    seen = Sweep()
    bulk = settle.bulk
    if bulk is None or bulk.ready is None:
        return
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
    except ApiError as error:
        seen.error = error
    for remote_id in failed[:FEW]:
        if seen.error is not None:
            break
        seen.add(_single(client, settle, remote_id))
    seen.has_failures = any(each not in seen.outcomes for each in failed)
    # in their order: several failures in a row are a reason to stop, others in between are not
    seen.outcomes = {each: seen.outcomes[each] for each in wanted if each in seen.outcomes}
    yield seen


def fresh(client: Client, settle: Settle, wanted: Collection[str]) -> Sweep:
    """
    The newest answers, with their links, for finished work: from the lists, and one by one where these do not reach.

    A failure ends it and keeps what it has seen.
    """
    are_listed = len(wanted) > 1 and settle.list is not None
    seen = whole(_from_list(client, settle, wanted)) if are_listed else Sweep()
    for remote_id in wanted:
        if seen.error is not None:
            break
        if remote_id not in seen.outcomes:
            seen.add(_single(client, settle, remote_id))
    return seen


def _from_list(
    client: Client, settle: Settle, wanted: Collection[str], *, also: Collection[str] = ()
) -> Iterator[Sweep]:
    """Read the newest pages; what is finished but has its links elsewhere is unclear."""
    source = settle.list
    if source is None:
        return
    left, others = set(wanted), set(also)
    per_page = source.pages.most if source.pages else 100
    following, tokens = "", set[str]()
    # work of other jobs stands between ours; past twice our own share the bulk status is the cheaper way
    for _ in range(2 * math.ceil(len(left | others) / per_page) + 1):
        part = Sweep(requests=1)
        try:
            page = client.list_page(source, token=following)
        except ApiError as error:
            part.error = error
            yield part
            return
        before = len(left)
        for remote_id, item in page.items:
            if remote_id in left and source.ready and source.ready.holds(item):
                part.unclear.append(remote_id)
            elif remote_id in left or remote_id in others:
                outcome = read_outcome(settle, item)
                if outcome.missing:
                    continue
                part.outcomes[remote_id] = (outcome, Source.LIST)
            left.discard(remote_id)
            others.discard(remote_id)  # pages that overlap may show it again, as it was before
        yield part
        # the last few stand far apart, deep in the list: asked for one by one they cost less than the pages between them
        is_barren = len(left) == before and len(left) <= SINGLES
        if not left or is_barren or not page.next_token or page.next_token in tokens:
            break
        tokens.add(page.next_token)
        following = page.next_token


def _from_bulk(client: Client, settle: Settle, wanted: list[str]) -> Iterator[Sweep]:
    """Ask for the states of many; what is worth a single look-up is unclear."""
    bulk = settle.bulk
    if bulk is None:
        return
    for start in range(0, len(wanted), bulk.most):
        some = wanted[start : start + bulk.most]
        part = Sweep(requests=1)
        try:
            items = client.states(settle, some)
        except ApiError as error:
            part.error = error
            yield part
            return
        for remote_id in some:
            item = items.get(remote_id)
            if item is None or (bulk.ready and bulk.ready.holds(item)):
                part.unclear.append(remote_id)
                continue
            outcome = read_outcome(settle, item)
            if outcome.missing or outcome.state is State.FAILED:
                part.unclear.append(remote_id)  # the single answer knows more, or better
            else:
                part.outcomes[remote_id] = (outcome, Source.POLL)
        yield part


def _single(client: Client, settle: Settle, remote_id: str) -> Sweep:
    part = Sweep(requests=1)
    try:
        outcome = client.look_up(settle, remote_id)
    except Rejected as error:
        outcome = Outcome(state=State.IN_PROGRESS, word=error.code, missing=True)
    except ApiError as error:
        part.error = error
        return part
    part.outcomes[remote_id] = (outcome, Source.POLL)
    return part
