"""When to look at what is in flight."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from batcher.job import Poll

LOOKS_PER_RENDER = 11
"""A finished piece is noticed on average 1/22 of a render late, which leaves a slot idle for 4 % of the time."""

LOOKS_AT_LEISURE = 4
"""While nothing waits for a slot, none is idle for want of a look."""

READY_FROM = 0.8
"""Nothing is looked at before this share of the shortest render seen so far."""


def next_look(
    poll: Poll,
    *,
    times: Sequence[float],
    usual_s: float,
    oldest_age_s: float,
    youngest_age_s: float,
    last_requests: int,
    slots_wanted: bool = True,
) -> float:
    """
    Seconds to wait before the next sweep.

    What is minimised is the number of requests, at an idle time of slots of half a pause in each render: evenly spaced,
    `LOOKS_PER_RENDER` sweeps per render time, whatever the number in flight, since one sweep covers all of it.

    Args:
        poll: The job's bounds.
        times: Render times seen so far on this account, in seconds, newest first.
        usual_s: What the catalogue expects, as long as none was seen.
        oldest_age_s, youngest_age_s: Ages of the oldest and youngest piece in flight.
        last_requests: Requests that the last sweep took; a long sweep is paid for by a longer pause.
        slots_wanted: Whether rows wait for a place that a finished piece lets go of.
    """
    budget_s = poll.budget.window_s / poll.budget.count * max(1, last_requests)
    floor = max(poll.at_most_every_s, budget_s)
    if times:
        until_ready = min(usual_s, READY_FROM * min(times)) - oldest_age_s
        looks = LOOKS_PER_RENDER if slots_wanted else LOOKS_AT_LEISURE
        return max(floor, statistics.median(times) / looks, until_ready)
    # nothing is known yet: short looks at first, ever wider with age, never wider than the catalogue's guess asks for
    return max(floor, min(youngest_age_s / 4, usual_s / LOOKS_PER_RENDER))
