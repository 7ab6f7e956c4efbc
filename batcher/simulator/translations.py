"""Videos in other languages or with another voice track: `/v3/video-translations`, `/v3/lipsyncs`."""

from __future__ import annotations

from collections.abc import Mapping

from batcher.simulator import contract, shapes
from batcher.simulator.orders import UNKNOWN_LENGTH_S, asset_source, callback, omen, price
from batcher.simulator.paging import page_of
from batcher.simulator.wire import Answer, Call, Handler, Json, Refused, data, invalid
from batcher.simulator.work import Failure, Kind, Order, Work
from batcher.simulator.world import Sight, World


def create(world: World, call: Call) -> Answer:
    """POST /v3/video-translations: one id per language, in their order."""
    body = call.body()
    contract.check("POST /v3/video-translations", body)
    made = world.create(orders(world, call, body), key=call.key)
    return data({"video_translation_ids": [work.work_id for work in made]})


def orders(world: World, call: Call, body: Mapping[str, Json], *, at: str = "") -> list[Order]:
    """
    Return what is asked for, one order per language.

    Raises:
        Refused: A language that does not exist, a source that cannot be one.
    """
    callback(call, body, at=at)
    unknown = next((name for name in body["output_languages"] if name not in world.stock.languages), None)
    if unknown is not None:
        raise invalid(f"Unsupported output language: {unknown}", param=f"{at}output_languages")
    source = asset_source(world, call, body["video"], param=f"{at}video")
    for name in ("srt", "audio"):
        asset_source(world, call, body.get(name), param=f"{at}{name}")
    length_s = _part_s(body, at)
    # The title is the only free text of a translation: it carries the magic words.
    ending = omen([body.get("title") or ""], [source])
    return [
        Order(
            kind=Kind.TRANSLATION,
            amount=price(body.get("mode", "speed"), length_s),
            duration_s=length_s,
            body={**body, "output_languages": [language]},
            title=body.get("title"),
            callback_id=body.get("callback_id"),
            folder_id=body.get("folder_id"),
            failure=ending.failure,
            slowness=ending.slowness,
            details={
                "output_language": language,
                "input_language": body.get("input_language"),
                "audio_only": body.get("translate_audio_only", False),
            },
        )
        for language in body["output_languages"]
    ]


def create_lipsync(world: World, call: Call) -> Answer:
    """POST /v3/lipsyncs"""
    body = call.body()
    contract.check("POST /v3/lipsyncs", body)
    work = world.create([lipsync_order(world, call, body)], key=call.key)[0]
    return data({"lipsync_id": work.work_id})


def lipsync_order(world: World, call: Call, body: Mapping[str, Json], *, at: str = "") -> Order:
    """Return what is asked for."""
    callback(call, body, at=at)
    sources: list[Failure | None] = [
        asset_source(world, call, body[name], param=f"{at}{name}") for name in ("video", "audio")
    ]
    length_s = _part_s(body, at)
    ending = omen([body.get("title") or ""], sources)
    return Order(
        kind=Kind.LIPSYNC,
        amount=price(body.get("mode", "speed"), length_s),
        duration_s=length_s,
        body=body,
        title=body.get("title"),
        callback_id=body.get("callback_id"),
        folder_id=body.get("folder_id"),
        failure=ending.failure,
        slowness=ending.slowness,
    )


def _part_s(body: Mapping[str, Json], at: str) -> float:
    """Return the length of the part that is asked for; a source that is never fetched counts as thirty seconds."""
    start_s, end_s = body.get("start_time") or 0.0, body.get("end_time")
    if end_s is None:
        return UNKNOWN_LENGTH_S
    if end_s <= start_s:
        raise invalid("end_time must be greater than start_time", param=f"{at}end_time")
    return float(end_s - start_s)


def languages(world: World, call: Call) -> Answer:
    """GET /v3/video-translations/languages"""
    return data({"languages": list(world.stock.languages)})


def listed(world: World, call: Call) -> Answer:
    """GET /v3/video-translations: no filter by title."""
    return _listed(world, call, Kind.TRANSLATION)


def listed_lipsyncs(world: World, call: Call) -> Answer:
    """GET /v3/lipsyncs"""
    return _listed(world, call, Kind.LIPSYNC)


def _listed(world: World, call: Call, kind: Kind) -> Answer:
    shelf = world.shelves[kind]
    world.settle()
    page = page_of(world, call, lambda limit, token: shelf.page(limit=limit, token=token))
    return page.answer(lambda work: _shape(world, call, work, world.look(work)))


def single(world: World, call: Call) -> Answer:
    """GET /v3/video-translations/{video_translation_id}"""
    return _single(world, call, Kind.TRANSLATION, call.params["video_translation_id"])


def single_lipsync(world: World, call: Call) -> Answer:
    """GET /v3/lipsyncs/{lipsync_id}"""
    return _single(world, call, Kind.LIPSYNC, call.params["lipsync_id"])


def delete(world: World, call: Call) -> Answer:
    """DELETE /v3/video-translations/{video_translation_id}"""
    return _delete(world, Kind.TRANSLATION, call.params["video_translation_id"])


def delete_lipsync(world: World, call: Call) -> Answer:
    """DELETE /v3/lipsyncs/{lipsync_id}"""
    return _delete(world, Kind.LIPSYNC, call.params["lipsync_id"])


def _single(world: World, call: Call, kind: Kind, work_id: str) -> Answer:
    work = _found(world, kind, work_id)
    sight = world.look(work)
    if sight.hidden:
        raise _not_found(kind, work_id)
    return data(_shape(world, call, work, sight))


def _delete(world: World, kind: Kind, work_id: str) -> Answer:
    world.remove(_found(world, kind, work_id))
    return data({"id": work_id})


def _found(world: World, kind: Kind, work_id: str) -> Work:
    work = world.find(kind, work_id)
    if work is None:
        raise _not_found(kind, work_id)
    return work


def _not_found(kind: Kind, work_id: str) -> Refused:
    return Refused(404, "not_found", f"{kind.value.capitalize()} {work_id} not found")


def _shape(world: World, call: Call, work: Work, sight: Sight) -> Json:
    shape = shapes.translation if work.order.kind is Kind.TRANSLATION else shapes.lipsync
    return shape(world, call, work, sight)


ROUTES: Mapping[str, Handler] = {
    "POST /v3/video-translations": create,
    "GET /v3/video-translations": listed,
    "GET /v3/video-translations/languages": languages,
    "GET /v3/video-translations/{video_translation_id}": single,
    "DELETE /v3/video-translations/{video_translation_id}": delete,
    "POST /v3/lipsyncs": create_lipsync,
    "GET /v3/lipsyncs": listed_lipsyncs,
    "GET /v3/lipsyncs/{lipsync_id}": single_lipsync,
    "DELETE /v3/lipsyncs/{lipsync_id}": delete_lipsync,
}
