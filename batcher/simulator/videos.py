"""Videos from avatars, images, prompts and scenes: `/v3/videos`."""

from __future__ import annotations

from collections.abc import Mapping

from batcher.simulator import contract, shapes
from batcher.simulator.orders import (
    CINEMATIC_PRICE,
    UNKNOWN_LENGTH_S,
    Omen,
    asset_source,
    callback,
    omen,
    price,
    spoken_s,
    voice_source,
)
from batcher.simulator.paging import page_of
from batcher.simulator.wire import Answer, Call, Handler, Json, Refused, data, invalid
from batcher.simulator.work import Failure, Kind, Order, Work
from batcher.simulator.world import World


def create(world: World, call: Call) -> Answer:
    """POST /v3/videos"""
    body = call.body()
    contract.check("POST /v3/videos", body)
    work = world.create([order(world, call, body)], key=call.key)[0]
    output_format = work.order.details["output_format"]
    return data({"video_id": work.work_id, "status": "waiting", "output_format": output_format})


def order(world: World, call: Call, body: Mapping[str, Json], *, at: str = "") -> Order:
    """
    Return what a body that agrees with the description asks for.

    Raises:
        Refused: The body contradicts itself, or names what does not exist.
    """
    callback(call, body, at=at)
    kinds = {"avatar": _avatar, "image": _image, "cinematic_avatar": _cinematic, "studio": _studio}
    duration_s, amount, ending = kinds[body["type"]](world, call, body, at)
    return Order(
        kind=Kind.VIDEO,
        amount=amount,
        duration_s=duration_s,
        body=body,
        title=body.get("title"),
        callback_id=body.get("callback_id"),
        failure=ending.failure,
        slowness=ending.slowness,
        details={"output_format": body.get("output_format", "mp4")},
    )


Asked = tuple[float, float, Omen]
"""Length in seconds, price in dollars, and how it will end."""


def _avatar(world: World, call: Call, body: Mapping[str, Json], at: str) -> Asked:
    look = world.stock.look(body["avatar_id"])
    voice = voice_source(world, call, body, at=at, default=look.voice_id)
    engine = (body.get("engine") or {}).get("type", "avatar_iv")
    if engine not in (*look.engines, "avatar_iv"):
        raise invalid(f"Engine {engine} is not supported by this avatar", param=f"{at}engine")
    background = _background(world, call, body, at)
    photo = look.avatar_type == "photo_avatar"
    if body.get("expressiveness") and not photo:
        raise invalid("expressiveness is supported for photo avatars only", param=f"{at}expressiveness")
    duration_s = _speech_s(body)
    rate = engine if not photo else "photo avatar_iii" if engine == "avatar_iii" else "photo"
    return duration_s, price(rate, duration_s), omen([body.get("script") or ""], [voice, background])


def _image(world: World, call: Call, body: Mapping[str, Json], at: str) -> Asked:
    image = asset_source(world, call, body["image"], param=f"{at}image")
    voice = voice_source(world, call, body, at=at, default=None)
    background = _background(world, call, body, at)
    duration_s = _speech_s(body)
    return duration_s, price("photo", duration_s), omen([body.get("script") or ""], [image, voice, background])


def _cinematic(world: World, call: Call, body: Mapping[str, Json], at: str) -> Asked:
    if not 1 <= len(body["avatar_id"]) <= 3:
        raise invalid("avatar_id must hold 1 to 3 look IDs", param=f"{at}avatar_id")
    for look_id in body["avatar_id"]:
        world.stock.look(look_id)
    if body.get("auto_duration") and body.get("duration") is not None:
        raise invalid("Omit duration when auto_duration is true", param=f"{at}duration")
    references = [
        asset_source(world, call, value, param=f"{at}references.{index}")
        for index, value in enumerate(body.get("references") or ())
    ]
    return float(body.get("duration") or 10), CINEMATIC_PRICE, omen([body["prompt"]], references)


def _studio(world: World, call: Call, body: Mapping[str, Json], at: str) -> Asked:
    seconds = 0.0
    texts: list[str] = []
    sources: list[Failure | None] = []
    for index, scene in enumerate(body["scenes"]):
        place = f"{at}scenes.{index}."
        length_s, text, source = _scene(world, call, scene, place)
        seconds += length_s
        texts.append(text)
        sources.append(source)
    return seconds, price("avatar_iv", seconds), omen(texts, sources)


def _scene(world: World, call: Call, scene: Mapping[str, Json], at: str) -> tuple[float, str, Failure | None]:
    """Return the length of a scene, what is said in it, and how its source will fail."""
    if scene["type"] == "video":
        return UNKNOWN_LENGTH_S, "", asset_source(world, call, scene["source"], param=f"{at}source")
    if scene["type"] == "image":
        failure = asset_source(world, call, scene["source"], param=f"{at}source")
        if scene.get("duration") is not None:
            if any(scene.get(name) is not None for name in ("script", "audio_url", "audio_asset_id")):
                raise invalid("duration and an audio source are mutually exclusive", param=f"{at}duration")
            return float(scene["duration"]), "", failure
        return (
            _speech_s(scene),
            scene.get("script") or "",
            voice_source(world, call, scene, at=at, default=None) or failure,
        )
    spoken = scene["input"]
    if spoken["type"] == "avatar":
        look = world.stock.look(spoken["avatar_id"])
        failure = voice_source(world, call, spoken, at=f"{at}input.", default=look.voice_id)
    else:
        failure = asset_source(world, call, spoken["image"], param=f"{at}input.image")
        failure = voice_source(world, call, spoken, at=f"{at}input.", default=None) or failure
    return _speech_s(spoken), spoken.get("script") or "", failure


def _background(world: World, call: Call, body: Mapping[str, Json], at: str) -> Failure | None:
    """Check the background and return how fetching it will fail."""
    background = body.get("background")
    if background is None:
        return None
    if body.get("output_format") == "webm":
        raise invalid("background is not supported with output_format webm", param=f"{at}background")
    if background["type"] == "color":
        if background.get("value") is None:
            raise invalid("value is required when type is 'color'", param=f"{at}background.value")
        return None
    given = [name for name in ("url", "asset_id") if background.get(name) is not None]
    if len(given) != 1:
        raise invalid("Exactly one of url or asset_id is required when type is 'image'", param=f"{at}background")
    source = {"type": given[0], given[0]: background[given[0]]}
    return asset_source(world, call, source, param=f"{at}background")


def _speech_s(body: Mapping[str, Json]) -> float:
    script = body.get("script")
    return spoken_s(script) if script is not None else UNKNOWN_LENGTH_S


def listed(world: World, call: Call) -> Answer:
    """GET /v3/videos"""
    title = call.query.get("title", "")
    if "title" in call.query and not title:
        raise invalid("title must have at least 1 character", param="title")
    label = f"folder {call.query['folder_id']}" if call.query.get("folder_id") else ""
    shelf = world.shelves[Kind.VIDEO]
    world.settle()
    page = page_of(world, call, lambda limit, token: shelf.page(limit=limit, token=token, title=title, label=label))
    return page.answer(lambda work: shapes.video(world, call, work, world.look(work)))


def single(world: World, call: Call) -> Answer:
    """GET /v3/videos/{video_id}"""
    work = _found(world, call)
    sight = world.look(work)
    if sight.hidden:
        raise _not_found(work.work_id)
    return data(shapes.video(world, call, work, sight))


def delete(world: World, call: Call) -> Answer:
    """DELETE /v3/videos/{video_id}"""
    work = _found(world, call)
    world.remove(work)
    return data({"id": work.work_id})


def _found(world: World, call: Call) -> Work:
    video_id = call.params["video_id"]
    work = world.find(Kind.VIDEO, video_id) or world.find(Kind.TRANSLATION, video_id)
    if work is None:
        raise _not_found(video_id)
    return work


def _not_found(video_id: str) -> Refused:
    return Refused(404, "video_not_found", f"Video {video_id} not found")


ROUTES: Mapping[str, Handler] = {
    "POST /v3/videos": create,
    "GET /v3/videos": listed,
    "GET /v3/videos/{video_id}": single,
    "DELETE /v3/videos/{video_id}": delete,
}
