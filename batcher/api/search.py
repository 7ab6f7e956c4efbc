"""Looking for our token among all of the account's work."""

from __future__ import annotations

from msgspec import Struct

from batcher.api.client import MAX_PAGES, Client
from batcher.catalog.model import Find, Settle
from batcher.catalog.pick import as_text


class Found(Struct, frozen=True, kw_only=True):
    """
    What a search brought.

    Attributes:
        remote_ids: All work that carries the token.
        exhausted: Every page was read and none contradicted itself: only then does finding nothing mean anything.
    """

    remote_ids: tuple[str, ...]
    exhausted: bool


def search(client: Client, settle: Settle, find: Find, token: str) -> Found:
    """
    Search for a token.

    Raises:
        ApiError: Any but InDoubt.
    """
    source = find.list or settle.list
    if source is None:
        return Found(remote_ids=(), exhausted=False)
    query = {name: text.replace("{token}", token) for name, text in find.query.items()}
    found: dict[str, None] = {}
    following = ""
    seen: set[str] = set()
    for _ in range(MAX_PAGES):
        page = client.list_page(source, token=following, query=query)
        for remote_id, item in page.items:
            if remote_id and token in as_text(find.field.find(item)):
                found[remote_id] = None
        if not page.next_token:
            return Found(remote_ids=tuple(found), exhausted=page.is_conclusive)
        if page.next_token in seen:
            break  # a cursor that runs in circles proves nothing
        seen.add(page.next_token)
        following = page.next_token
    return Found(remote_ids=tuple(found), exhausted=False)
