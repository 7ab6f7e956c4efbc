"""Speech from elsewhere than version 3: useapi.net's detour to HeyGen's voices, and tokens for interactive avatars."""

from __future__ import annotations

import json
from collections.abc import Mapping

from batcher.simulator.orders import omen, spoken_s
from batcher.simulator.wire import Answer, Call, Handler, Json, Refused
from batcher.simulator.work import Kind, Order
from batcher.simulator.world import World

PREFIX = "/v1/heygen/"
"""Where useapi.net keeps its paths for HeyGen."""

_KNOWN = frozenset(
    {"voice_id", "prompt", "email", "speed", "pitch", "volume", "language_code", "emotion", "engine"}
)  # fmt: skip
_RANGES: Mapping[str, tuple[int, int]] = {"speed": (50, 150), "pitch": (-100, 100), "volume": (0, 100)}
_ENGINES = (
    "auto", "aws", "azure", "elevenLabs", "elevenLabsV3", "fish", "google", "openai", "openaiEmo", "panda", "starfish",
)  # fmt: skip


def speak(world: World, call: Call) -> Answer:
    """POST /v1/heygen/tts/create: the same parameters bring the same recording, and cost nothing again."""
    body = call.body()
    _check(body)
    voice = world.stock.voice(body["voice_id"])
    if "[daily limit]" in body["prompt"]:
        raise Refused(429, "limit", "Daily voice duration limit reached, please upgrade or try tomorrow.")
    same = json.dumps(body, sort_keys=True)
    if same not in world.spoken:
        omen([body["prompt"]])
        order = Order(kind=Kind.SPEECH, amount=0.0, duration_s=spoken_s(body["prompt"]), body=body)
        world.spoken[same] = world.create([order], key="")[0]
    work = world.spoken[same]
    return Answer(
        body={
            "audio_url": world.links.sign(call.base, f"{work.work_id}.wav"),
            "duration": work.order.duration_s,
            "is_pass": True,
            "job_id": None,
            "word_timestamps": [{"word": voice.name, "start": 0.0, "end": work.order.duration_s}],
        }
    )


def _check(body: Mapping[str, Json]) -> None:
    for name in ("voice_id", "prompt"):
        if not isinstance(body.get(name), str) or not body[name]:
            raise Refused(400, "missing", f"Parameter {name} is required")
    if len(body["prompt"]) > 5000:
        raise Refused(400, "too long", "Parameter prompt must not exceed 5000 characters")
    unknown = sorted(set(body) - _KNOWN)
    if unknown:
        raise Refused(400, "unknown", f"Parameter {unknown[0]} is not supported")
    for name, (low, high) in _RANGES.items():
        value = body.get(name, low)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise Refused(400, "range", f"Parameter {name} must be from {low} to {high}")
    if body.get("engine", "auto") not in _ENGINES:
        raise Refused(400, "engine", f"Parameter engine must be one of {', '.join(_ENGINES)}")


def token(world: World, call: Call) -> Answer:
    """POST /v1/streaming.create_token: another one each time."""
    call.body()
    world.tokens_made += 1
    made = world.new_id("streaming token", world.tokens_made)
    return Answer(body={"error": None, "data": {"token": made}}, headers={"Deprecation": "true"})


ROUTES: Mapping[str, Handler] = {
    f"POST {PREFIX}tts/create": speak,
    "POST /v1/streaming.create_token": token,
}
