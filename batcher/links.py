"""`check --links`: every address in the cells is looked at before anything is paid for."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial

from msgspec import Struct, field

from batcher.bound import BoundJob
from batcher.bound_step import BoundStep
from batcher.errors import Problem
from batcher.fetch.probe import Probed, Prober
from batcher.ledger.protocol import Ledger
from batcher.ledger.values import Planned
from batcher.marks import Identified
from batcher.model import Json, State, TaskKey
from batcher.senders import ThreadedSenders

PROBERS = 16

_WORDS = {
    "picture": ("image", "picture", "photo", "logo", "thumbnail"),
    "video": ("video",),
    "sound": ("audio", "sound", "voice"),
}
_NO_MEDIA = ("callback", "webhook", "page", "website")
Path = tuple[str | int, ...]


class LinkUse(Struct, frozen=True, kw_only=True):
    """
    A place where an address is used as a file.

    Attributes:
        where: The cell; the row where no single cell holds it.
        header: The header of the cell's column; empty where no single cell holds it.
        wants: `picture`, `video` or `sound`; empty where that is not known.
    """

    url: str
    where: str
    header: str
    wants: str


class LinkReport(Struct, kw_only=True):
    """
    What the look at all addresses has brought.

    Attributes:
        addresses: How many different ones there are.
        problems: What is wrong, each with its cell.
        seconds: Address to how long it plays, where that is known.
        cost_change: By how much the plan's cost changes with the lengths that were measured; None where none counts.
    """

    addresses: int = 0
    problems: list[Problem] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    cost_change: float | None = None


def check_links(
    bound: BoundJob, ledger: Ledger, prober: Prober, *, report: Callable[[int, int], None] = lambda *_: None
) -> LinkReport:
    """
    Look at every address that the rows use as a file, each once; changes nothing.

    Args:
        report: Receives how many have been looked at, and how many there are.

    Raises:
        InputError: The sheet can no longer be read.
    """
    uses: dict[tuple[str, str], list[LinkUse]] = {}
    lengths: list[tuple[Planned, str]] = []
    for identified in bound.rows():
        for task in bound.tasks(identified) if identified.row_id else ():
            if not task.body:
                continue
            step, body = bound.steps[task.key.step], json.loads(task.body)
            for use in _uses(bound, step, identified, body):
                uses.setdefault((use.url, use.wants), []).append(use)
            if length := step.price.length_of(body):
                lengths.append((task, length))
    found = LinkReport(addresses=len({url for url, _ in uses}))
    probed = _probe(list(uses), prober, report)
    for key, places in uses.items():
        seen = probed[key]
        if seen.seconds is not None:
            found.seconds[key[0]] = seen.seconds
        fault = seen.fault or _too_large(bound, seen, key[1])
        if fault:
            found.problems += [_problem(use, fault) for use in places]
    found.problems = list(dict.fromkeys(found.problems))
    found.cost_change = _cost_change(bound, ledger, lengths, found.seconds)
    return found


def _probe(
    keys: list[tuple[str, str]], prober: Prober, report: Callable[[int, int], None]
) -> dict[tuple[str, str], Probed]:
    pool, found = ThreadedSenders(PROBERS), dict[tuple[str, str], Probed]()
    try:
        for url, wants in keys:
            pool.send(None, (url, wants), partial(prober.probe, url, wants=wants))
        while pool.under_way():
            for returned in pool.collect(wait_s=0.5):
                if returned.error is not None:
                    raise returned.error
                found[returned.about] = returned.value
            report(len(found), len(keys))
    finally:
        pool.close()
    return found


def _uses(bound: BoundJob, step: BoundStep, identified: Identified, body: Json) -> Iterator[LinkUse]:
    row = identified.row
    for path, url in _addresses(body, ()):
        if any(word in str(part).lower() for part in path for word in _NO_MEDIA):
            continue
        column = next((each for each in sorted(step.columns) if url in row.cells[each]), None)
        if column is None:
            where, header = f"{bound.sheet.tab or bound.sheet.name} row {row.number}", ""
        else:
            where, header = bound.sheet.where(column, row.number), bound.sheet.header[column]
        yield LinkUse(url=url, where=where, header=header, wants=_wants(path, body))


def _addresses(value: Json, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(value, str):
        if value.startswith(("https://", "http://")):
            yield path, value
        return
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in entries:
        yield from _addresses(each, (*path, key))


def _wants(path: Path, body: Json) -> str:
    """What a field wants, by the nearest name or type on the way to it: `video.url`, `{type: image, asset: {url: …}}`."""
    names: list[str] = []
    value = body
    for key in path:
        if isinstance(value, dict):
            names.append(str(value.get("type", "")))
        names.append(str(key))
        value = value[key]
    for name in reversed(names):
        for wants, words in _WORDS.items():
            if any(word in name.lower() for word in words):
                return wants
    return ""


def _too_large(bound: BoundJob, seen: Probed, wants: str) -> str:
    most = bound.provider.media_bytes.get(wants)
    if most is None or seen.bytes is None or seen.bytes <= most:
        return ""
    return f"has {seen.bytes / 1e6:,.0f} MB; {bound.provider.title} takes {most / 1e6:,.0f} MB at most"


def _problem(use: LinkUse, fault: str) -> Problem:
    return Problem(where=use.where, message=f"{use.header or use.url.partition('?')[0]} {fault}")


def _cost_change(
    bound: BoundJob, ledger: Ledger, lengths: list[tuple[Planned, str]], seconds: Mapping[str, float]
) -> float | None:
    """What is known of a length is no longer estimated; only what is still to be sent counts."""
    changes: dict[TaskKey, float] = {}
    for task, url in lengths:
        if url in seconds and task.estimate is not None:
            price = bound.steps[task.key.step].price
            exact = price.final(json.loads(task.body), duration_s=str(seconds[url]))
            changes[task.key] = (exact or 0.0) - task.estimate
    known = ledger.known(bound.job.name, {key.row_id for key in changes})
    unsent = (None, State.WAITING, State.INVALID)
    counted = [change for key, change in changes.items() if (known[key].state if key in known else None) in unsent]
    return sum(counted) if counted else None
