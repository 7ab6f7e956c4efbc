"""
Versions 1 and 2: retired, or still alive when the hostile mode `v2=alive` says so.

They ignore fields that they do not know, have no idempotency keys, and let what finds no slot wait. Their envelopes
differ from each other and from version 3.
"""

from __future__ import annotations

from collections.abc import Mapping

from batcher.simulator import shapes, speech, templates, translations
from batcher.simulator.orders import UNKNOWN_LENGTH_S, callback, link_source, omen, price, spoken_s
from batcher.simulator.shelf import BadToken
from batcher.simulator.wire import Answer, Call, Handler, Json, Refused, invalid
from batcher.simulator.work import Failure, Kind, Order, Phase, Work
from batcher.simulator.world import World

_NUMBERS = {
    "unauthorized": 400112,
    "invalid_parameter": 400175,
    "video_not_found": 40104,
    "rate_limit_exceeded": 400123,
    "insufficient_credit": 900001,
}
_TRANSLATION_WORDS = {Phase.QUEUED: "pending", Phase.PROCESSING: "running", Phase.COMPLETED: "success"}
_WARNING = {"message": "This endpoint is deprecated, use v3 instead", "sunset": "2026-10-31"}


def is_legacy(path: str) -> bool:
    """Return whether a path belongs to version 1 or 2; `/v3/template/{id}` does, in spite of its name."""
    return path.startswith(("/v1/", "/v2/", "/v3/template/")) and not path.startswith(speech.PREFIX)


def require_alive(world: World, call: Call) -> None:
    """Raise 410 for the old versions unless they are kept alive."""
    if is_legacy(call.path) and not world.has("v2=alive"):
        raise Refused(410, "gone", "v1/v2 endpoints were retired on October 31, 2026; use the v3 API")


def error_body(path: str, refusal: Refused) -> Json:
    """Return an error in the envelope of its version: numbers in version 1, words in version 2."""
    if path.startswith("/v1/"):
        return {"code": _NUMBERS.get(refusal.code, 400), "message": refusal.message, "data": None}
    return {"error": {"code": refusal.code, "message": refusal.message}, "data": None}


def list_templates(world: World, call: Call) -> Answer:
    """GET /v2/templates: no pages."""
    items = [
        {
            "template_id": template.template_id,
            "name": template.name,
            "thumbnail_image_url": f"{call.base}/previews/{template.template_id}.png",
        }
        for template in world.stock.templates.values()
    ]
    return _v2({"templates": items})


def template(world: World, call: Call) -> Answer:
    """GET /v2/template/{template_id}: variables with their values in `properties`."""
    found = world.stock.template(call.params["template_id"])
    return _v2({"variables": {name: _nested(name, value) for name, value in found.variables.items()}})


def template_with_scenes(world: World, call: Call) -> Answer:
    """GET /v3/template/{template_id}: the new studio's template, generated through version 2."""
    found = world.stock.template(call.params["template_id"])
    variables = {name: _nested(name, value) for name, value in found.variables.items()}
    scenes = [
        {
            "id": scene_id,
            "script": script,
            "variables": [
                {"name": name, "type": value["type"]} for name, value in found.variables.items() if name in script
            ],
        }
        for scene_id, script in found.scenes.items()
    ]
    return _v2({"version": "4", "variables": variables, "scenes": scenes})


def generate(world: World, call: Call) -> Answer:
    """POST /v2/template/{template_id}/generate"""
    body = call.body()
    found = world.stock.template(call.params["template_id"])
    variables = body.get("variables")
    if not isinstance(variables, dict):
        raise invalid("variables is required", param="variables")
    flat = {name: _flat(name, value) for name, value in variables.items()}
    passed_on = _texts(body, "title", "callback_id", "callback_url", "folder_id")
    order = templates.order(world, call, found, {**passed_on, "variables": flat})
    work = world.create([order], key="", queues=True)[0]
    return _v2({"video_id": work.work_id})


def generate_video(world: World, call: Call) -> Answer:
    """POST /v2/video/generate"""
    body = call.body()
    inputs = body.get("video_inputs")
    if not isinstance(inputs, list) or not 1 <= len(inputs) <= 50:
        raise invalid("video_inputs must hold 1 to 50 inputs", param="video_inputs")
    texts = _texts(body, "title", "callback_id", "callback_url", "folder_id")
    callback(call, texts)
    spoken = [_input(world, call, value, at=f"video_inputs.{index}") for index, value in enumerate(inputs)]
    ending = omen([text for text, _, _ in spoken], [failure for _, _, failure in spoken])
    length_s = sum(seconds for _, seconds, _ in spoken)
    order = Order(
        kind=Kind.VIDEO,
        amount=price("avatar_iii", length_s),
        duration_s=length_s,
        body=body,
        title=texts.get("title"),
        callback_id=texts.get("callback_id"),
        folder_id=texts.get("folder_id"),
        failure=ending.failure,
        slowness=ending.slowness,
        details={"output_format": "mp4"},
    )
    return _v2({"video_id": world.create([order], key="", queues=True)[0].work_id})


def _input(world: World, call: Call, value: Json, *, at: str) -> tuple[str, float, Failure | None]:
    """Return what is said in a scene, how long it takes, and how its sound will fail."""
    if not isinstance(value, dict) or not isinstance(value.get("voice"), dict):
        raise invalid("voice is required", param=f"{at}.voice")
    character, voice = value.get("character") or {}, value["voice"]
    if isinstance(character, dict) and (character.get("avatar_id") or character.get("talking_photo_id")):
        world.stock.look(character.get("avatar_id") or character["talking_photo_id"])
    if voice.get("type") == "audio":
        if (voice.get("audio_url") is None) == (voice.get("audio_asset_id") is None):
            raise invalid("Exactly one of audio_url or audio_asset_id is required", param=f"{at}.voice")
        url = voice.get("audio_url")
        if url is None:
            world.stock.asset(str(voice["audio_asset_id"]), param=f"{at}.voice.audio_asset_id")
        return "", UNKNOWN_LENGTH_S, link_source(call, url, param=f"{at}.voice.audio_url") if url else None
    if voice.get("type") == "silence":
        return "", float(voice.get("duration") or 1.0), None
    text = voice.get("input_text")
    if not isinstance(text, str) or not 1 <= len(text) <= 5000:
        raise invalid("input_text must have 1 to 5000 characters", param=f"{at}.voice.input_text")
    world.stock.voice(str(voice.get("voice_id")))
    return text, spoken_s(text), None


def status(world: World, call: Call) -> Answer:
    """GET /v1/video_status.get: unlike version 3 with the callback_id, and with `waiting`."""
    video_id = call.query.get("video_id", "")
    work = world.find(Kind.VIDEO, video_id) or world.find(Kind.TRANSLATION, video_id)
    sight = world.look(work) if work else None
    if work is None or sight is None or sight.hidden:
        raise Refused(404, "video_not_found", "Video not found")
    shape = shapes.video(world, call, work, sight)
    failure = work.order.failure if sight.phase is Phase.FAILED else None
    told = {
        "id": work.work_id,
        "status": "waiting" if sight.phase is Phase.QUEUED else shape["status"],
        "video_url": shape["video_url"],
        "video_url_caption": None,
        "caption_url": shape["subtitle_url"],
        "gif_url": None,
        "thumbnail_url": shape["thumbnail_url"],
        "duration": shape["duration"],
        "callback_id": work.order.callback_id,
        "error": None,
        "created_at": shape["created_at"],
    }
    if failure is not None:
        told["error"] = shapes.error(world, work)
    return _v1(told)


def list_videos(world: World, call: Call) -> Answer:
    """GET /v1/video.list: states, but no links and no callback_id."""
    world.settle()
    query = call.query
    label = f"folder {query['folder_id']}" if query.get("folder_id") else ""
    try:
        page = world.shelves[Kind.VIDEO].page(
            limit=call.limit(default=10, most=100),
            token=query.get("token", ""),
            title=query.get("title", ""),
            label=label,
        )
    except BadToken as error:
        raise invalid("Invalid token", param="token") from error
    return _v1({"token": page.next_token, "videos": [_listed(world, call, work) for work in page.items]})


def _listed(world: World, call: Call, work: Work) -> Json:
    shape = shapes.video(world, call, work, world.look(work))
    return {
        "video_id": work.work_id,
        "video_title": shape["title"],
        "status": shape["status"],
        "created_at": shape["created_at"],
        "type": "TRANSLATED" if work.order.kind is Kind.TRANSLATION else "GENERATED",
    }


def delete_video(world: World, call: Call) -> Answer:
    """DELETE /v1/video.delete"""
    work = world.find(Kind.VIDEO, call.query.get("video_id", ""))
    if work is None:
        raise Refused(404, "video_not_found", "Video not found")
    world.remove(work)
    return _v1(None)


def translate(world: World, call: Call) -> Answer:
    """POST /v2/video_translate: one language fills `video_translate_id`, several `video_translate_ids`."""
    body = call.body()
    one, several = body.get("output_language"), body.get("output_languages")
    if (one is None) == (several is None) or not isinstance(body.get("video_url"), str):
        raise invalid("video_url and exactly one of output_language or output_languages are required")
    if not isinstance(several or [], list):
        raise invalid("output_languages must be a list", param="output_languages")
    modern: dict[str, Json] = {
        "video": {"type": "url", "url": body["video_url"]},
        "output_languages": [one] if several is None else several,
        "mode": "precision" if body.get("mode") == "quality" else "speed",
        **_texts(body, "title", "callback_id", "callback_url", "folder_id"),
    }
    made = world.create(translations.orders(world, call, modern), key="", queues=True)
    ids = [work.work_id for work in made]
    return _v2({"video_translate_id": ids[0] if several is None else None, "video_translate_ids": several and ids})


def translation(world: World, call: Call) -> Answer:
    """GET /v2/video_translate/{video_translate_id}: ends as `success`, with the link in `url`."""
    work = world.find(Kind.TRANSLATION, call.params["video_translate_id"])
    sight = world.look(work) if work else None
    if work is None or sight is None or sight.hidden:
        raise Refused(404, "not_found", "Video translation not found")
    link = world.links.sign(call.base, f"{work.work_id}.mp4") if sight.has_link else None
    return _v2(
        {
            "video_translate_id": work.work_id,
            "title": work.order.title,
            "status": sight.word or _TRANSLATION_WORDS.get(sight.phase, sight.phase.value),
            "url": link,
            "message": shapes.reason(world, work) if sight.phase is Phase.FAILED else None,
        }
    )


def languages(world: World, call: Call) -> Answer:
    """GET /v2/video_translate/target_languages"""
    return _v2({"languages": list(world.stock.languages)})


def quota(world: World, call: Call) -> Answer:
    """GET /v2/user/remaining_quota: the wallet counted in credits of one minute at 60 each."""
    world.settle()
    return _v2({"remaining_quota": int(world.wallet * 60), "details": {"api": int(world.wallet * 60)}})


def list_voices(world: World, call: Call) -> Answer:
    """GET /v2/voices"""
    items = [
        {
            "voice_id": voice.voice_id,
            "language": voice.language,
            "gender": voice.gender,
            "name": voice.name,
            "preview_audio": f"{call.base}/previews/{voice.voice_id}.wav",
            "support_pause": True,
            "emotion_support": False,
            "support_interactive_avatar": False,
        }
        for voice in world.stock.voices.values()
    ]
    return _v2({"voices": items})


def list_avatars(world: World, call: Call) -> Answer:
    """GET /v2/avatars: photo avatars are called talking photos."""
    looks = world.stock.looks.values()
    preview = f"{call.base}/previews/{{}}.png"
    avatars = [
        {
            "avatar_id": look.look_id,
            "avatar_name": look.name,
            "gender": look.gender,
            "premium": False,
            "preview_image_url": preview.format(look.look_id),
            "preview_video_url": None,
        }
        for look in looks
        if look.avatar_type != "photo_avatar"
    ]
    photos = [
        {
            "talking_photo_id": look.look_id,
            "talking_photo_name": look.name,
            "preview_image_url": preview.format(look.look_id),
        }
        for look in looks
        if look.avatar_type == "photo_avatar"
    ]
    return _v2({"avatars": avatars, "talking_photos": photos})


def _texts(body: Mapping[str, Json], *names: str) -> dict[str, str]:
    """Return those of the fields that are there; 400 for one that is not a text."""
    found = {name: body[name] for name in names if body.get(name) is not None}
    for name, value in found.items():
        if not isinstance(value, str):
            raise invalid(f"{name} must be a string", param=name)
    return found


def _nested(name: str, value: Mapping[str, Json]) -> Json:
    """Return a variable as version 2 writes it."""
    properties = {field: held for field, held in value.items() if field not in ("type", "asset", "character_type")}
    if "asset" in value:
        properties["url"] = value["asset"].get("url")
    if "character_type" in value:
        properties["type"] = value["character_type"]
    return {"name": name, "type": value["type"], "properties": properties}


def _flat(name: str, value: Json) -> Json:
    """Return a variable of version 2 as version 3 writes it."""
    if not isinstance(value, dict) or not isinstance(value.get("properties"), dict):
        raise invalid(f"variable {name} must have name, type and properties", param=f"variables.{name}")
    given = dict(value["properties"])
    made: dict[str, Json] = {"type": value.get("type")}
    for kind in ("url", "asset_id"):
        if given.get(kind) is not None:
            made["asset"] = {"type": kind, kind: given.pop(kind)}
    if value.get("type") == "character" and "type" in given:
        made["character_type"] = given.pop("type")
    known = ("content", "fit", "play_style", "volume", "character_id", "character_type", "voice_id", "locale")
    return made | {field: held for field, held in given.items() if field in known}


def _v1(value: Json) -> Answer:
    return Answer(
        body={"code": 100, "data": value, "message": "Success", "msg": None, "warning": _WARNING},
        headers={"Deprecation": "true"},
    )


def _v2(value: Json) -> Answer:
    return Answer(body={"error": None, "data": value, "warning": _WARNING}, headers={"Deprecation": "true"})


ROUTES: Mapping[str, Handler] = {
    "GET /v2/templates": list_templates,
    "GET /v2/template/{template_id}": template,
    "GET /v3/template/{template_id}": template_with_scenes,
    "POST /v2/template/{template_id}/generate": generate,
    "POST /v2/video/generate": generate_video,
    "GET /v1/video_status.get": status,
    "GET /v1/video.list": list_videos,
    "DELETE /v1/video.delete": delete_video,
    "POST /v2/video_translate": translate,
    "GET /v2/video_translate/target_languages": languages,
    "GET /v2/video_translate/{video_translate_id}": translation,
    "GET /v2/user/remaining_quota": quota,
    "GET /v2/voices": list_voices,
    "GET /v2/avatars": list_avatars,
}
