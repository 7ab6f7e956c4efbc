"""One look at what is in flight."""

from __future__ import annotations

from typing import Any, cast

from batcher.api.client import Client, ListPage
from batcher.api.sweep import Sweep, glance, sweep, whole
from batcher.catalog.load import provider_of
from batcher.catalog.model import ListSource
from batcher.errors import ApiError, StopEverything, TryAgain
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


class Failing:
    """A client to which all work has failed, and that tells no reasons."""

    def __init__(self, *errors: ApiError) -> None:
        self._errors = list(errors)

    def states(self, _settle: object, wanted: list[str]) -> dict[str, Json]:
        """See `Client.states`."""
        return {each: {"id": each, "status": "failed"} for each in wanted}

    def look_up(self, _settle: object, _remote_id: str) -> None:
        """See `Client.look_up`."""
        raise self._errors.pop(0)


def test_a_glance_asks_for_no_further_reasons_after_an_error() -> None:
    """An account that must wait, or whose key is refused, is not asked four times more."""
    assert _FOUND is not None
    stop = StopEverything("the key is refused", code="unauthorized")
    seen = whole(
        glance(cast(Client, Failing(stop, TryAgain("cut off", code="connection"))), _FOUND, ["v1", "v2", "v3"])
    )

    assert (seen.error, seen.requests, seen.has_failures) == (stop, 2, True)


def test_what_says_to_stop_is_not_hidden_by_what_failed_after_it() -> None:
    """A look goes over several operations: a connection that breaks at the second one excuses nothing about the first."""
    stop, again = StopEverything("the key is refused", code="unauthorized"), TryAgain("cut off", code="connection")

    assert whole([Sweep(error=stop), Sweep(error=again)]).error is stop
    assert whole([Sweep(error=again), Sweep(error=stop), Sweep()]).error is stop
