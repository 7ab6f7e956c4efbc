"""Limits that HeyGen states only in prose, and shapes that its description leaves open."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Limits = Mapping[str, Mapping[str, Any]]

_SCRIPT = {"minLength": 1, "maxLength": 5000}
_HEX = {"pattern": "^#[0-9a-fA-F]{6}$"}
_VOICE_SETTINGS: Limits = {
    "voice_settings.speed": {"minimum": 0.5, "maximum": 1.5},
    "voice_settings.pitch": {"minimum": -50, "maximum": 50},
    "voice_settings.volume": {"minimum": 0, "maximum": 1},
}
_VIDEO: Limits = {
    "script": _SCRIPT,
    **_VOICE_SETTINGS,
    "background.value": _HEX,
    "prompt": {"minLength": 1, "maxLength": 10_000},
    "duration": {"minimum": 4, "maximum": 15},
    "scenes": {"minItems": 1, "maxItems": 50},
    "scenes.[].duration": {"exclusiveMinimum": 0, "maximum": 300},
    "scenes.[].script": _SCRIPT,
    "scenes.[].input.script": _SCRIPT,
    "scenes.[].input.background.color": _HEX,
    "scenes.[].playback.volume": {"minimum": 0, "maximum": 1},
    **{f"scenes.[].input.{place}": limits for place, limits in _VOICE_SETTINGS.items()},
}
_TRANSLATION: Limits = {
    "output_languages": {"minItems": 1},
    "speaker_num": {"minimum": 1},
    "start_time": {"minimum": 0},
    "end_time": {"minimum": 0},
}


def _inside(place: str, limits: Limits) -> Limits:
    return {f"{place}.[].{name}": limit for name, limit in limits.items()}


LIMITS: Mapping[str, Limits] = {
    "POST /v3/videos": _VIDEO,
    "POST /v3/videos/batches": {"videos": {"minItems": 1, "maxItems": 100}, **_inside("videos", _VIDEO)},
    "POST /v3/templates/{template_id}": {
        "variables": {"minProperties": 1},
        "dimension.width": {"minimum": 128, "maximum": 4096, "multipleOf": 2},
        "dimension.height": {"minimum": 128, "maximum": 4096, "multipleOf": 2},
        "fps": {"enum": [25, 30, 60]},
    },
    "POST /v3/video-translations": _TRANSLATION,
    "POST /v3/video-translations/batches": {
        "video_translations": {"minItems": 1, "maxItems": 100},
        **_inside("video_translations", _TRANSLATION),
    },
    "POST /v3/lipsyncs/batches": {"lipsyncs": {"minItems": 1, "maxItems": 100}},
    "POST /v3/voices/clone": {"voice_name": {"minLength": 1, "maxLength": 100}},
    "POST /v3/voices/speech": {
        "text": {"minLength": 1, "maxLength": 5000},
        "speed": {"minimum": 0.5, "maximum": 2.0},
        "input_type": {"enum": ["text", "ssml"]},
    },
    "POST /v3/background-removals": {
        "layers": {"minItems": 1},
        "layers.[]": {"enum": ["foreground", "mask", "background"]},
    },
    "POST /v3/video-agents": {"prompt": {"minLength": 1, "maxLength": 10_000}, "files": {"maxItems": 20}},
    "POST /v3/assets/direct-uploads": {
        "filename": {"minLength": 1},
        "size_bytes": {"minimum": 1},
        "checksum_sha256": {"pattern": "^[0-9a-f]{64}$"},
    },
}
"""By operation: field (`[]` for the members of a list) to JSON Schema keywords. From the prose of the reference pages."""


def _kind(word: str, required: tuple[str, ...], **properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of an object that is told apart by its `type`."""
    kind = {"type": "string", "description": f"Must be '{word}'"}
    return {"type": "object", "required": ["type", *required], "properties": {"type": kind, **properties}}


_TEXT = {"type": "string"}
_FIT = {"type": "string", "enum": ["cover", "contain", "crop", "none"]}
_ASSET = {
    "oneOf": [
        _kind("url", ("url",), url=_TEXT),
        _kind("asset_id", ("asset_id",), asset_id=_TEXT),
        _kind("base64", ("media_type", "data"), media_type=_TEXT, data=_TEXT),
    ]
}
_PLAY = {"type": "string", "enum": ["fit_to_scene", "freeze", "loop", "once", "full_video"]}

NAMED: Mapping[str, dict[str, Any]] = {
    "template variable": {
        "oneOf": [
            _kind("text", ("content",), content={"type": "string", "maxLength": 10_000}),
            _kind("image", ("asset",), asset=_ASSET, fit=_FIT),
            _kind("video", ("asset",), asset=_ASSET, fit=_FIT, play_style=_PLAY, volume={"type": "number"}),
            _kind("audio", ("asset",), asset=_ASSET),
            _kind(
                "character",
                ("character_id",),
                character_id=_TEXT,
                character_type={"type": "string", "enum": ["avatar", "talking_photo"]},
            ),
            _kind("voice", ("voice_id",), voice_id=_TEXT, locale={"type": ["string", "null"]}),
        ]
    },
}
"""Shapes that the description leaves out: the variables of templates, flat and with their media in `asset`."""
