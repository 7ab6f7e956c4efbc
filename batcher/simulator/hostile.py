"""Faults between an honest answer and the wire; each strikes by seed and by the number of the request."""

from __future__ import annotations

from msgspec.structs import replace

from batcher.simulator import chance
from batcher.simulator.wire import Answer, Fate, Json
from batcher.simulator.world import World

_ID_FIELDS = (
    "video_id",
    "id",
    "lipsync_id",
    "voice_clone_id",
    "session_id",
    "batch_id",
    "video_translation_ids",
    "video_translate_id",
    "video_translate_ids",
)
_PAGE = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body><h1>Welcome back</h1></body></html>"
_ODD_IDS: tuple[Json, ...] = (None, "", {}, 0)


class Faults:
    """
    Decides which request is struck by what.

    Args:
        world: Its behaviour says which faults are on; its tally counts them.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._creations = 0
        self._last_ids: dict[str, Json] = {}

    def instead(self, number: int, *, is_post: bool) -> Answer | None:
        """Return the answer of a request that is not carried out at all; None when it is."""
        if is_post and self._strikes("errors_500", number, 0.1) and self._roll("before", number) < 0.5:
            return self._counted("errors_500", _broken())
        if is_post and self._strikes("html_200", number, 0.1) and self._roll("before", number) < 0.5:
            return self._counted("html_200", _page())
        return None

    def creation(self, number: int, answer: Answer) -> Answer:
        """Return the answer of something that was made, with the id that it is going to show."""
        self._creations += 1
        body = answer.body.get("data") if isinstance(answer.body, dict) else None
        if not isinstance(body, dict):
            return answer
        own = {name: body[name] for name in _ID_FIELDS if name in body}
        if self._world.has("duplicate_id") and self._creations % 2 == 0 and self._last_ids.keys() == own.keys():
            self._world.tally.faults["duplicate_id"] += 1
            body = {**body, **self._last_ids}
        elif self._strikes("no_id", number, 0.2):
            self._world.tally.faults["no_id"] += 1
            body = _without_id(body, number)
        self._last_ids = own
        return replace(answer, body={**answer.body, "data": body})

    def on_the_way(self, number: int, answer: Answer, *, is_post: bool) -> Answer:
        """Return what becomes of an answer after everything was done."""
        if is_post and self._strikes("errors_500", number, 0.1):
            return self._counted("errors_500", _broken())
        if self._strikes("html_200", number, 0.1):
            return self._counted("html_200", _page())
        if is_post and self._strikes("lost_answers", number, 0.2):
            return self._counted("lost_answers", replace(answer, fate=Fate.LOST))
        if self._strikes("half_answers", number, 0.2):
            return self._counted("half_answers", replace(answer, fate=Fate.HALF))
        return answer

    def _strikes(self, mode: str, number: int, share: float) -> bool:
        return self._world.has(mode) and self._roll(mode, number) < share

    def _roll(self, name: str, number: int) -> float:
        return chance.share(self._world.behaviour.seed, name, number)

    def _counted(self, mode: str, answer: Answer) -> Answer:
        self._world.tally.faults[mode] += 1
        return answer


def _without_id(body: dict[str, Json], number: int) -> dict[str, Json]:
    """Return the body without a usable id: left out, or something that is none."""
    kind = number % (len(_ODD_IDS) + 1)
    rest = {name: value for name, value in body.items() if name not in _ID_FIELDS}
    if kind == len(_ODD_IDS):
        return rest
    return rest | {name: _ODD_IDS[kind] for name in body if name in _ID_FIELDS}


def _broken() -> Answer:
    error = {"code": "internal_error", "message": "Internal server error", "param": None, "doc_url": None}
    return Answer(body={"error": error}, status=500)


def _page() -> Answer:
    return Answer(body=_PAGE, media_type="text/html")
