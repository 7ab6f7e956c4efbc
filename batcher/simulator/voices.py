"""Voices, their clones, and speech: `/v3/voices`."""

from __future__ import annotations

from collections.abc import Mapping

from batcher.simulator import contract
from batcher.simulator.orders import asset_source, omen, price, spoken_s
from batcher.simulator.paging import page_of
from batcher.simulator.seeded import Voice
from batcher.simulator.wire import Answer, Call, Handler, Json, Refused, data
from batcher.simulator.work import Kind, Order, Phase
from batcher.simulator.world import World


def listed(world: World, call: Call) -> Answer:
    """GET /v3/voices: public ones unless `type=private`."""
    ownership = call.query.get("type", "public")
    shelf = world.stock.voice_shelf
    if not any(name in call.query for name in ("language", "gender")):
        label = f"{ownership} {call.query['engine']}" if "engine" in call.query else ownership
        page = page_of(world, call, lambda limit, token: shelf.page(limit=limit, token=token, label=label), default=20)
        return page.answer(lambda voice: _list_item(call, voice))
    # Lists with these filters are short: there are a dozen voices.
    limit = call.limit(default=20, most=100)
    kept = [voice for voice in world.stock.voices.values() if _matches(voice, call, ownership)][:limit]
    items = [_list_item(call, voice) for voice in kept]
    return Answer(body={"data": items, "has_more": False, "next_token": None})


def single(world: World, call: Call) -> Answer:
    """GET /v3/voices/{voice_id}: how the making of a clone is followed; its last word is `complete`."""
    voice = world.stock.voice(call.params["voice_id"])
    work = world.find(Kind.CLONE, voice.voice_id)
    status, failure = "complete", None
    if work is not None:
        sight = world.look(work)
        if sight.hidden:
            raise Refused(404, "voice_not_found", f"Voice {voice.voice_id} not found")
        words = {Phase.COMPLETED: "complete", Phase.FAILED: "failed"}
        status = sight.word if sight.word is not None else words.get(sight.phase, "processing")
        failed = sight.phase is Phase.FAILED and work.order.failure is not None
        failure = work.order.failure.message if failed and work.order.failure else None
    return data(
        {
            "voice_id": voice.voice_id,
            "name": voice.name,
            "language": voice.language,
            "gender": voice.gender,
            "preview_audio_url": _preview(call, voice),
            "status": status,
            "failure_message": failure,
            "support_pause": True,
            "support_interactive_avatar": False,
            "created_at": int(voice.created_at),
        }
    )


def clone(world: World, call: Call) -> Answer:
    """POST /v3/voices/clone"""
    body = call.body()
    contract.check("POST /v3/voices/clone", body)
    source = asset_source(world, call, body["audio"], param="audio")
    ending = omen([body["voice_name"]], [source])
    clones = sum(voice.private for voice in world.stock.voices.values())
    if clones >= world.behaviour.clones:
        raise Refused(400, "resource_limit_reached", f"Voice clone limit reached ({world.behaviour.clones})")
    order = Order(
        kind=Kind.CLONE,
        amount=0.0,
        duration_s=0.0,
        body=body,
        title=body["voice_name"],
        failure=ending.failure,
        slowness=ending.slowness,
    )
    work = world.create([order], key=call.key)[0]
    language = body.get("language") or "English"
    voice = Voice(
        voice_id=work.work_id,
        name=body["voice_name"],
        language=language,
        gender="unknown",
        private=True,
        created_at=work.created_at,
    )
    world.stock.add_voice(voice)
    return data({"voice_clone_id": work.work_id})


def delete(world: World, call: Call) -> Answer:
    """DELETE /v3/voices/{voice_id}: clones only."""
    voice = world.stock.voice(call.params["voice_id"])
    if not voice.private:
        raise Refused(403, "forbidden", "Only your own voices can be deleted")
    world.stock.remove_voice(voice.voice_id)
    return data({"voice_id": voice.voice_id})


def speak(world: World, call: Call) -> Answer:
    """POST /v3/voices/speech: synchronous."""
    body = call.body()
    contract.check("POST /v3/voices/speech", body)
    voice = world.stock.voice(body["voice_id"])
    if "starfish" not in voice.engines:
        raise Refused(400, "voice_unavailable", "This voice does not support the starfish engine", param="voice_id")
    ending = omen([body["text"]])
    if ending.failure is not None:
        raise Refused(500, "voice_provider_error", "The voice provider failed to synthesize the text")
    duration_s = spoken_s(body["text"])
    order = Order(kind=Kind.SPEECH, amount=price("speech", duration_s), duration_s=duration_s, body=body)
    work = world.create([order], key=call.key)[0]
    return data(
        {
            "audio_url": world.links.sign(call.base, f"{work.work_id}.wav"),
            "duration": duration_s,
            "request_id": work.work_id,
            "word_timestamps": _word_times(body["text"], duration_s),
        }
    )


def _word_times(text: str, duration_s: float) -> list[Json]:
    words = text.split()
    each_s = duration_s / max(1, len(words))
    return [
        {"word": word, "start": round(index * each_s, 3), "end": round((index + 1) * each_s, 3)}
        for index, word in enumerate(words)
    ]


def _matches(voice: Voice, call: Call, ownership: str) -> bool:
    wanted = call.query
    return (
        voice.private == (ownership == "private")
        and wanted.get("engine", voice.engines[0]) in voice.engines
        and wanted.get("language", voice.language).casefold() == voice.language.casefold()
        and wanted.get("gender", voice.gender).casefold() == voice.gender.casefold()
    )


def _list_item(call: Call, voice: Voice) -> Json:
    return {
        "voice_id": voice.voice_id,
        "name": voice.name,
        "language": voice.language,
        "gender": voice.gender,
        "preview_audio_url": _preview(call, voice),
        "support_pause": True,
        "support_locale": voice.language == "Multilingual",
        "type": "private" if voice.private else "public",
    }


def _preview(call: Call, voice: Voice) -> str:
    return f"{call.base}/previews/{voice.voice_id}.wav"


ROUTES: Mapping[str, Handler] = {
    "GET /v3/voices": listed,
    "GET /v3/voices/{voice_id}": single,
    "POST /v3/voices/clone": clone,
    "POST /v3/voices/speech": speak,
    "DELETE /v3/voices/{voice_id}": delete,
}
