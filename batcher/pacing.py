"""When to look at what is in flight."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from batcher.job import Poll

LOOKS_PER_RENDER = 11
"""A finished piece is noticed on average 1/22 of a render late, which leaves a slot idle for 4 % of the time."""

MANY, LOOKS_AT_MANY = 100, 14
"""Where more than so many are in flight one request asks about a hundred of them: more looks are had for little."""

LOOKS_AT_LEISURE = 4
"""While nothing waits for a slot, none is idle for want of a look."""

READY_FROM = 0.8
"""Nothing is looked at before this share of the time after which the quickest were finished."""

QUICKEST = 20
"""One in so many counts among the quickest: a single odd one would have all of them looked at far too early."""

LINKS_WAIT_S = 30.0
"""The least that links wait to be read together: results are not written more often either."""

LINKS_WAIT_SHARE = 0.5
"""The share of a usual render for which they wait: in so much time half of what is in flight has come to its end."""


def ready_age(times: Sequence[float]) -> float:
    """The age in seconds before which hardly anything is finished, from the render times seen so far; 0 without any."""
    return READY_FROM * sorted(times)[len(times) // QUICKEST] if times else 0.0


def links_wait(times: Sequence[float]) -> float:
    """How many seconds finished work may wait for a request that reads the links of many at once."""
    return max(LINKS_WAIT_S, LINKS_WAIT_SHARE * statistics.median(times)) if times else LINKS_WAIT_S


def least_wait(poll: Poll, *, requests: int) -> float:
    """The seconds that must pass from the beginning of a look of so many requests to the next, whatever it has brought."""
    return max(poll.at_most_every_s, poll.budget.window_s / poll.budget.count * max(1, requests))


def next_look(
    poll: Poll,
    *,
    times: Sequence[float],
    usual_s: float,
    ages_s: Sequence[float],
    last_requests: int,
    begun_s: float,
    quiet_s: float = 0.0,
    slots_wanted: bool = True,
) -> float:
    """
    Seconds to wait before the next look.

    What is minimised is the number of requests, at an idle time of slots of half a pause in each render: evenly spaced,
    `LOOKS_PER_RENDER` looks per render time, `LOOKS_AT_MANY` where many are in flight, each at all that may be finished.

    Args:
        poll: The job's bounds.
        times: Render times seen so far on this account, in seconds, newest first.
        usual_s: What the catalogue expects, as long as none was seen.
        ages_s: How long ago each piece was accepted that is not known to have ended; empty when only links are to come.
        last_requests: Requests that the last look took; a long one is paid for by a longer pause.
        begun_s: How long ago that look began.
        quiet_s: For how long nothing has ended and no links have come; it counts when only links are to come.
        slots_wanted: Whether rows wait for a place that a finished piece lets go of.
    """
    floor = max(0.0, least_wait(poll, requests=last_requests) - begun_s)
    if not ages_s:
        return max(floor, min(quiet_s / 4, usual_s / LOOKS_AT_LEISURE))
    if times:
        until_ready = min(usual_s, ready_age(times)) - max(ages_s)
        hurried = LOOKS_AT_MANY if len(ages_s) > MANY else LOOKS_PER_RENDER
        looks = hurried if slots_wanted else LOOKS_AT_LEISURE
        return max(floor, statistics.median(times) / looks, until_ready)
    # nothing is known yet: short looks at first, ever wider with age, never wider than the catalogue's guess asks for
    return max(floor, min(max(ages_s) / 4, usual_s / LOOKS_PER_RENDER))
