"""When links stop working, and how instants are written."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from urllib.parse import urlsplit

from batcher.catalog.model import Operation
from batcher.ledger.values import Standing
from batcher.model import State

MARGIN_S = 86400.0
"""Links are renewed so long before they stop working; short-lived ones when a quarter of their life is left."""

AGAIN_S = 6 * 3600.0
"""Links that could not be renewed are asked for again after this."""

_SIGNED = re.compile(r"[?&]((?:x-(?:amz|goog)-)?expires|x-(?:amz|goog)-date)=([^&#]+)", re.IGNORECASE)
"""What a link says about its end."""

_PLAINLY = re.compile(r"[?&][Ee]xpires=(\d{10})(?![^&#])")
"""What most links say: an instant of this era, in so many seconds."""

_YEAR_2001 = 1_000_000_000
_YEAR_9999 = 253_370_764_800


def iso(moment: float | None) -> str:
    """An instant as people and programs read it: `2026-11-20T19:24:16Z`; nothing for none."""
    # an API may say anything: what is no date is left out
    if moment is None or not 0 <= moment < _YEAR_9999:
        return ""
    return _iso_second(int(moment))


@lru_cache(maxsize=4096)
def _iso_second(second: int) -> str:
    """Rows that were sent or finished together share their seconds."""
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def link_expiry(operation: Operation, standing: Standing) -> float | None:
    """
    When the first of a row's links stops working, unix seconds.

    The link's own signature decides; where it says nothing, the catalogue's lifetime counts from the reading of it.
    """
    if standing.state is not State.DONE:
        return None
    reading, is_link, soonest = operation.reading, False, None
    for name in reading.link_columns if reading else ():
        if link := standing.outputs.get(name):
            is_link, told = True, signed_until(link)
            if told is not None and (soonest is None or told < soonest):
                soonest = told
    if soonest is not None or not is_link:
        return soonest
    read_at = standing.links_at if standing.links_at is not None else standing.completed_at
    if operation.link_days is None or read_at is None:
        return None
    return read_at + operation.link_days * 86400


def renew_at(operation: Operation, standing: Standing) -> float | None:
    """
    When a row's links should be renewed, unix seconds; None where that is not known.

    Links that had expired when they were read say nothing that could be waited for: clocks differ.
    """
    return _renewal_before(link_expiry(operation, standing), standing)


def _renewal_before(expiry: float | None, standing: Standing) -> float | None:
    read_at = standing.links_at if standing.links_at is not None else standing.completed_at
    if expiry is None or read_at is None or expiry <= read_at:
        return None
    return expiry - min(MARGIN_S, (expiry - read_at) / 4)


def next_renewal(operation: Operation, standing: Standing, *, expiry: float, now: float) -> float | None:
    """When links that expire then should be asked for again; what has just been asked for in vain comes later."""
    if not standing.remote_id or operation.settle is None:  # that there are links, and it is done, its expiry says
        return None
    moment = _renewal_before(expiry, standing)
    return moment if moment is None or moment > now else now + AGAIN_S


def is_renewable(operation: Operation, standing: Standing) -> bool:
    """Whether a task has links that the API can be asked for again."""
    if standing.state is not State.DONE or not standing.remote_id or operation.settle is None:
        return False
    return any(standing.outputs.get(name) for name in operation.link_columns)


def signed_until(link: str) -> float | None:
    """The expiry that a signed link carries (CloudFront and S3 in both of its forms), unix seconds; None without one."""
    question = link.find("?")
    query_at = question if question >= 0 else link.find("&")
    if query_at < 0:
        return None
    if "[" not in link and (told := _PLAINLY.search(link, query_at)):
        return float(told[1])
    try:
        if "[" in link:
            urlsplit(link)  # refuses what is no address; a whole parse of every link would make results dear
        query = {match[1].lower(): match[2] for match in _SIGNED.finditer(link, query_at)}
        if "expires" in query and _YEAR_2001 < int(query["expires"]) < _YEAR_9999:
            return float(int(query["expires"]))
        for vendor in ("amz", "goog"):
            if f"x-{vendor}-expires" in query and f"x-{vendor}-date" in query:
                begun = datetime.strptime(query[f"x-{vendor}-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
                return begun.timestamp() + float(query[f"x-{vendor}-expires"])
    except (ValueError, OverflowError):
        return None
    return None
