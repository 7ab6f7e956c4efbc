"""The work that exists at the API, held against the attempts that the ledger knows."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct, field

from batcher.api.client import MAX_PAGES, Client
from batcher.api.wire import WRITE_S
from batcher.catalog.model import Operation
from batcher.catalog.outcome import instant
from batcher.catalog.pick import as_text
from batcher.catalog.source import ListSource
from batcher.errors import ApiError, Rejected
from batcher.ledger.identity import TOKEN
from batcher.model import Attempt, Json
from batcher.open_job import OpenJob

LOOKED_UP = 20
"""Ids that the list does not show are looked up one by one, at most so many."""


class Existing(Struct, frozen=True, kw_only=True):
    """
    What was found at the API.

    Attributes:
        twice: Work beyond the one that is known, for a row of the job.
        orphans: Work with a token of ours, and the ledger knows no such token.
        perhaps: Work that was made while the job was sending, and that the ledger does not know: perhaps not by batcher.
        unknown: Ids that the ledger holds, and the API does not know.
        unread: Why it could not be decided; empty when it could.
    """

    twice: list[str] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)
    perhaps: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)


class _Known(Struct, frozen=True, kw_only=True):
    """
    The attempts of the ledger by what the API's items may show of them.

    Attributes:
        ids: Of all jobs.
        tokens: Of all jobs.
        titles: Of this job, where no two attempts share one.
        begin, end: Between these instants the job was sending, by the API's clock.
    """

    ids: frozenset[str]
    tokens: Mapping[str, Attempt]
    titles: Mapping[str, Attempt]
    begin: float
    end: float


def look_at_existing(opened: OpenJob, attempts: Sequence[Attempt]) -> Existing:
    """
    Read the lists of the operations that the job has used.

    Args:
        attempts: All of the job.
    """
    existing = Existing()
    if opened.client is None:
        existing.unread.append("offline: the API was not asked")
        return existing
    for operation in {each.name: each for each in opened.operations}.values():
        own = [each for each in attempts if each.operation == operation.name]
        if own:
            _look(opened, opened.client, operation, own, existing)
    return existing


def _look(opened: OpenJob, client: Client, operation: Operation, own: Sequence[Attempt], existing: Existing) -> None:
    find, settle = operation.repeat.find, operation.settle
    source = (find.list if find else None) or (settle.list if settle else None)
    if source is None or settle is None:
        existing.unread.append(f"{operation.name}: the API has no list of this work")
        return
    known = _known(opened, operation, own, ahead_s=client.server_ahead_s)
    try:
        items, is_whole = _all_items(client, source)
        for remote_id, item in items.items():
            if remote_id not in known.ids:
                text = as_text(find.field.find(item)) if find else ""
                _judge(remote_id, text, _created(source, item), known, existing)
        missing = [each for each in own if each.remote_id and each.remote_id not in items]
        if is_whole:
            existing.unknown.extend(_gone(client, operation, missing))
        elif missing:
            existing.unread.append(f"{operation.name}: the list does not come to its end, so absence proves nothing")
    except ApiError as error:
        existing.unread.append(f"{operation.name}: the API could not be asked: {error.message}")


def _known(opened: OpenJob, operation: Operation, own: Sequence[Attempt], *, ahead_s: float) -> _Known:
    everything = opened.ledger.find()  # also what an older key of the same owner has made
    titles = [(_title(operation, each), each) for each in own]
    how_often = Counter(title for title, _ in titles)
    sent = [each.first_sent_at.timestamp() + ahead_s for each in own if each.first_sent_at]
    return _Known(
        ids=frozenset(each.remote_id for each in everything if each.remote_id),
        tokens={each.token: each for each in everything},
        titles={title: each for title, each in titles if title and how_often[title] == 1},
        begin=min(sent, default=0.0) - 5,
        end=max(sent, default=0.0) + WRITE_S,
    )


def _title(operation: Operation, attempt: Attempt) -> str:
    if not operation.title_field:
        return ""
    body = json.loads(attempt.body)
    return str(body.get(operation.title_field, "")) if isinstance(body, dict) else ""


def _all_items(client: Client, source: ListSource) -> tuple[dict[str, Json], bool]:
    """Everything that a list shows by id, and whether it was read to its end without a contradiction."""
    items: dict[str, Json] = {}
    following, seen = "", set[str]()
    for _ in range(MAX_PAGES):
        page = client.list_page(source, token=following)
        items |= {remote_id: item for remote_id, item in page.items if remote_id}
        if not page.next_token or page.next_token in seen:
            return items, page.is_conclusive and not page.next_token
        seen.add(page.next_token)
        following = page.next_token
    return items, False


def _created(source: ListSource, item: Json) -> float | None:
    return instant(source.created.find(item)) if source.created else None


def _judge(remote_id: str, text: str, created: float | None, known: _Known, existing: Existing) -> None:
    """What an item is that the ledger knows no id of."""
    tokens = TOKEN.findall(text)
    ours = next((known.tokens[token] for token in tokens if token in known.tokens), known.titles.get(text))
    if ours is not None and ours.remote_id:
        existing.twice.append(f"row {ours.row_number}: made as {ours.remote_id} and as {remote_id}")
    elif ours is not None:
        existing.orphans.append(f"row {ours.row_number}: made as {remote_id}, which the ledger does not know")
    elif tokens:
        existing.orphans.append(
            f"{remote_id} carries the token {tokens[0]} of a batcher, and this ledger does not know it"
        )
    elif created is not None and known.begin <= created <= known.end:
        existing.perhaps.append(f"{remote_id} ({text[:60] or 'no title'}) was made meanwhile, and not by this ledger")


def _gone(client: Client, operation: Operation, missing: Sequence[Attempt]) -> Iterator[str]:
    """Those that not even a single look-up knows."""
    if operation.settle is None:
        return
    for attempt in missing[:LOOKED_UP]:
        try:
            is_gone = client.look_up(operation.settle, attempt.remote_id).missing
        except Rejected:
            is_gone = True
        if is_gone:
            yield f"row {attempt.row_number}: {attempt.remote_id} does not exist there (any more)"
    if len(missing) > LOOKED_UP:
        yield f"{len(missing) - LOOKED_UP} further ids stand in no list and were not looked up"
