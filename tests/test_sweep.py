"""One look at what is in flight."""

from __future__ import annotations

from typing import Any, cast

from batcher.api.client import Client, ListPage
from batcher.api.sweep import Sweep, sweep, whole
from batcher.catalog.load import provider_of
from batcher.catalog.model import ListSource
from batcher.model import Json, Source, State

_FOUND = provider_of("heygen.video").operations["heygen.video"].settle


class Listed:
    """A client that knows these pages of a list, and nothing else."""

    def __init__(self, *pages: list[dict[str, Json]]) -> None:
        self._pages = pages

    def list_page(self, _source: ListSource, *, token: str = "") -> ListPage:
        """See `Client.list_page`."""
        number = int(token or 0)
        following = str(number + 1) if number + 1 < len(self._pages) else ""
        return ListPage(items=[(str(item["id"]), item) for item in self._pages[number]], next_token=following)


def look(client: Any, wanted: list[str], *, also: list[str]) -> Sweep:
    """A sweep of videos."""
    assert _FOUND is not None
    return whole(sweep(cast(Client, client), _FOUND, wanted, also=also))


def test_what_a_list_shows_twice_counts_as_it_was_first() -> None:
    """Pages overlap where new work pushes the old one down, and the second page may come from an older copy."""
    made: dict[str, Json] = {"id": "v1", "status": "completed", "video_url": "https://files.example.com/v1.mp4"}
    others: list[dict[str, Json]] = [{"id": f"o{number}", "status": "processing"} for number in range(99)]
    pages = [made, *others], [{"id": "v1", "status": "processing"}, {**made, "id": "v2"}]
    seen = look(Listed(*pages), ["v1", "v2"], also=["v1", "v2", "v3"])

    assert {each: outcome.state for each, (outcome, _) in seen.outcomes.items()} == dict.fromkeys(
        ["v1", "v2"], State.DONE
    )
    assert {source for _, source in seen.outcomes.values()} == {Source.LIST}
    assert seen.requests == 2
