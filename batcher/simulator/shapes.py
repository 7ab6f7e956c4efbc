"""How a piece of work looks in the answers of each endpoint."""

from __future__ import annotations

from collections.abc import Mapping

from batcher.simulator.wire import Call, Json, Refused
from batcher.simulator.work import Kind, Phase, Work
from batcher.simulator.world import Sight, World

_VIDEO_WORDS = {Phase.QUEUED: "pending"}
_TRANSLATION_WORDS = {Phase.QUEUED: "pending", Phase.PROCESSING: "running"}
_BULK_WORDS = {Phase.PENDING: "queued"}


def video(world: World, call: Call, work: Work, sight: Sight) -> Json:
    """Return a `VideoDetail`: it has no callback_id."""
    order, ended = work.order, sight.phase.is_final
    link = _Linker(world, call, work, shown=sight.has_link)
    shape = {
        "id": work.work_id,
        "title": order.title or "Untitled Video",
        "status": _word(sight, _VIDEO_WORDS),
        "created_at": int(work.created_at),
        "completed_at": int(work.ends_at) if ended else None,
        "video_url": link(order.details.get("output_format", "mp4")),
        "captioned_video_url": None,
        "subtitle_url": link("srt"),
        "thumbnail_url": link("png"),
        "gif_url": None,
        "video_page_url": f"{call.base}/videos/{work.work_id}" if sight.phase is Phase.COMPLETED else None,
        "duration": order.duration_s if sight.phase is Phase.COMPLETED else None,
        "folder_id": order.folder_id,
        "failure_code": None,
        "failure_message": None,
    }
    if order.kind is Kind.TRANSLATION:
        shape["output_language"] = order.details["output_language"]
    if sight.phase is Phase.FAILED and order.failure is not None:
        shape["failure_code"] = order.failure.code
        shape["failure_message"] = reason(world, work)
    return shape


def translation(world: World, call: Call, work: Work, sight: Sight) -> Json:
    """Return a translation: it has a callback_id, but no failure_code."""
    order, completed = work.order, sight.phase is Phase.COMPLETED
    link = _Linker(world, call, work, shown=sight.has_link)
    audio_only = order.details["audio_only"]
    return {
        "id": work.work_id,
        "title": order.title,
        "status": _word(sight, _TRANSLATION_WORDS),
        "input_language": order.details["input_language"],
        "output_language": order.details["output_language"],
        "duration": order.duration_s if completed else None,
        "translate_audio_only": audio_only,
        "video_url": link("mp4"),
        "audio_url": link("wav") if audio_only else None,
        "srt_caption_url": link("srt"),
        "vtt_caption_url": link("vtt"),
        "callback_id": order.callback_id,
        "created_at": int(work.created_at),
        "failure_message": reason(world, work) if sight.phase is Phase.FAILED else None,
    }


def lipsync(world: World, call: Call, work: Work, sight: Sight) -> Json:
    """Return a lipsync."""
    order = work.order
    link = _Linker(world, call, work, shown=sight.has_link)
    return {
        "id": work.work_id,
        "title": order.title,
        "status": _word(sight, _TRANSLATION_WORDS),
        "duration": order.duration_s if sight.phase is Phase.COMPLETED else None,
        "video_url": link("mp4"),
        "caption_url": link("srt"),
        "callback_id": order.callback_id,
        "created_at": int(work.created_at),
        "failure_message": reason(world, work) if sight.phase is Phase.FAILED else None,
    }


def background(world: World, call: Call, work: Work, sight: Sight) -> Json:
    """Return a background removal."""
    link = _Linker(world, call, work, shown=sight.has_link)
    layers = {layer: link("webm" if layer == "foreground" else "mp4") for layer in work.order.details["layers"]}
    return {
        "id": work.work_id,
        "status": _word(sight, {Phase.QUEUED: "pending"}),
        "layers": layers if sight.has_link else {},
        "duration": work.order.duration_s if sight.phase is Phase.COMPLETED else None,
        "created_at": int(work.created_at),
        "completed_at": int(work.ends_at) if sight.phase.is_final else None,
        "error": reason(world, work) if sight.phase is Phase.FAILED else None,
    }


def bulk_item(world: World, work: Work) -> Json:
    """Return an entry of a statuses endpoint or of a batch; the id is called `video_id` whatever the kind."""
    sight = world.look(work)
    waits = sight.phase is Phase.QUEUED and work.batch_id is not None
    failed = sight.phase is Phase.FAILED and work.order.failure is not None and not sight.hidden
    return {
        "video_id": None if waits else work.work_id,
        "status": "not_found" if sight.hidden else _word(sight, _BULK_WORDS),
        "error": error(world, work) if failed else None,
        "batch_id": work.batch_id,
        "item_index": work.item_index,
    }


def batch_item(world: World, item: Work | Refused, index: int) -> Json:
    """Return an item of a batch, made or not."""
    if isinstance(item, Refused):
        refusal = {"code": item.code, "message": item.message}
        return {"item_index": index, "status": "failed", "video_id": None, "error": refusal}
    shape = bulk_item(world, item)
    if shape["status"] == "not_found":
        shape["status"] = "queued"
    return {name: shape[name] for name in ("item_index", "status", "video_id", "error")}


def missing_item(work_id: str) -> Json:
    """Return the entry of a statuses endpoint for an id that nobody knows."""
    return {"video_id": work_id, "status": "not_found", "error": None, "batch_id": None, "item_index": None}


def error(world: World, work: Work) -> Json:
    """Return why work failed, as an object where no hostile mode says otherwise."""
    if work.order.failure is None:
        raise ValueError("work that has not failed has no reason")
    if world.has("error_shapes"):
        return _odd_reason(work)
    return {"code": work.order.failure.code, "message": work.order.failure.message}


def reason(world: World, work: Work) -> Json:
    """Return why work failed, as text where no hostile mode says otherwise; None when it did not fail."""
    if work.order.failure is None:
        return None
    return _odd_reason(work) if world.has("error_shapes") else work.order.failure.message


def _odd_reason(work: Work) -> Json:
    """Return the reason in one of the shapes in which it was never promised."""
    failure = work.order.failure
    message = failure.message if failure else ""
    shapes: tuple[Json, ...] = (
        message,
        {"code": 40119, "message": message, "detail": message},
        [message, message],
        f"<!DOCTYPE html><html><body><h1>502 Bad Gateway</h1>{'x' * 2000}</body></html>",
        None,
        "",
        "two\nlines\x07 and a bell",
    )
    return shapes[work.number % len(shapes)]


def _word(sight: Sight, words: Mapping[Phase, str]) -> str:
    if sight.word is not None:
        return sight.word
    return words.get(sight.phase, sight.phase.value)


class _Linker:
    """Signs the links of one piece of work, or shows none."""

    def __init__(self, world: World, call: Call, work: Work, *, shown: bool) -> None:
        self._links = world.links if shown else None
        self._base = call.base
        self._stem = work.work_id

    def __call__(self, extension: str) -> str | None:
        return self._links.sign(self._base, f"{self._stem}.{extension}") if self._links else None
