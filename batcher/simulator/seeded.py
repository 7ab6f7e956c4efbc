"""What the simulated account finds ready: voices, avatars, templates and languages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

MADE_AT = 1_767_225_600
"""Unix seconds of 2026-01-01: when all of this was made."""


class Voice(Struct, frozen=True, kw_only=True):
    """A voice; `private` ones are clones of the account, which `status` shows being made."""

    voice_id: str
    name: str
    language: str
    gender: str
    engines: tuple[str, ...] = ("starfish",)
    private: bool = False
    created_at: float = MADE_AT


class Look(Struct, frozen=True, kw_only=True):
    """A look of an avatar: what HeyGen calls `avatar_id`."""

    look_id: str
    group_id: str
    name: str
    gender: str
    avatar_type: str = "studio_avatar"
    voice_id: str | None = None
    engines: tuple[str, ...] = ("avatar_iii", "avatar_iv")
    private: bool = False
    created_at: float = MADE_AT


class Template(Struct, frozen=True, kw_only=True):
    """
    A template with variables.

    Attributes:
        variables: Name to default, in the shape in which the API takes values.
        scenes: Scene id to the script that is spoken there.
    """

    template_id: str
    name: str
    variables: Mapping[str, Mapping[str, Any]]
    scenes: Mapping[str, str]
    aspect_ratio: str = "16:9"


def _voice(voice_id: str, name: str, language: str, gender: str, *engines: str) -> Voice:
    return Voice(voice_id=voice_id, name=name, language=language, gender=gender, engines=engines or ("starfish",))


VOICES: tuple[Voice, ...] = (
    _voice("voice_anna", "Anna", "English", "female", "starfish", "elevenlabs"),
    _voice("voice_ben", "Ben", "English", "male"),
    _voice("voice_maria_es", "Maria", "Spanish", "female"),
    _voice("voice_maria_pt", "Maria", "Portuguese", "female"),
    _voice("voice_clara", "Clara", "German", "female"),
    _voice("voice_jonas", "Jonas", "German", "male", "elevenlabs"),
    _voice("voice_camille", "Camille", "French", "female"),
    _voice("voice_luca", "Luca", "Italian", "male"),
    _voice("voice_yuki", "Yuki", "Japanese", "female"),
    _voice("voice_wei", "Wei", "Chinese", "male", "fish"),
    _voice("voice_aisha", "Aisha", "Arabic", "female"),
    _voice("voice_sam", "Sam", "Multilingual", "male", "starfish", "elevenlabs", "fish"),
)


def _look(look_id: str, group_id: str, name: str, gender: str, voice_id: str | None, avatar_type: str = "") -> Look:
    return Look(
        look_id=look_id,
        group_id=group_id,
        name=name,
        gender=gender,
        voice_id=voice_id,
        avatar_type=avatar_type or "studio_avatar",
    )


LOOKS: tuple[Look, ...] = (
    _look("look_abigail_office", "group_abigail", "Abigail in the office", "female", "voice_anna"),
    _look("look_abigail_casual", "group_abigail", "Abigail casual", "female", "voice_anna"),
    _look("look_daniel_suit", "group_daniel", "Daniel in a suit", "male", "voice_ben"),
    _look("look_daniel_studio", "group_daniel", "Daniel in the studio", "male", "voice_ben"),
    _look("look_mei", "group_mei", "Mei", "female", None),
    _look("look_omar_twin", "group_omar", "Omar", "male", "voice_sam", "digital_twin"),
    _look("look_photo_lea", "group_lea", "Lea (photo)", "female", None, "photo_avatar"),
    _look("look_photo_tom", "group_tom", "Tom (photo)", "male", "voice_ben", "photo_avatar"),
)

_IMAGE = "https://resource.heygen.ai/simulated/logo.png"
_CLIP = "https://resource.heygen.ai/simulated/clip.mp4"
_MUSIC = "https://resource.heygen.ai/simulated/music.mp3"


def _asset(kind: str, url: str) -> Mapping[str, Any]:
    return {"type": kind, "asset": {"type": "url", "url": url}}


def _text(content: str) -> Mapping[str, Any]:
    return {"type": "text", "content": content}


TEMPLATES: tuple[Template, ...] = (
    Template(
        template_id="tpl_welcome",
        name="Welcome",
        variables={
            "first_name": _text("there"),
            "company": _text("your team"),
            "logo": {**_asset("image", _IMAGE), "fit": "contain"},
        },
        scenes={
            "scene_hello": "Hi {{first_name}}, it is great to have you with us.",
            "scene_team": "Everyone at {{company}} can start today. Just write to us when you need a hand.",
        },
    ),
    Template(
        template_id="tpl_invoice_reminder",
        name="Invoice reminder",
        variables={
            "first_name": _text("there"),
            "invoice_number": _text("0000"),
            "amount": _text("0.00"),
            "due_date": _text("soon"),
        },
        scenes={"scene_reminder": "Hi {{first_name}}, invoice {{invoice_number}} over {{amount}} is due {{due_date}}."},
    ),
    Template(
        template_id="tpl_presenter",
        name="Presenter of your choice",
        variables={
            "greeting": _text("Hello and welcome."),
            "presenter": {"type": "character", "character_id": "look_abigail_office", "character_type": "avatar"},
            "speaker": {"type": "voice", "voice_id": "voice_anna", "locale": None},
            "clip": {**_asset("video", _CLIP), "fit": "contain", "play_style": "loop"},
            "music": _asset("audio", _MUSIC),
        },
        scenes={"scene_intro": "{{greeting}}", "scene_clip": "Here is what is new."},
        aspect_ratio="9:16",
    ),
)

LANGUAGES: tuple[str, ...] = (
    "English", "English (United States)", "English (UK)", "English (Australia)", "English (India)",
    "Spanish", "Spanish (Spain)", "Spanish (Mexico)", "Spanish (Argentina)", "Spanish (Colombia)",
    "French", "French (France)", "French (Canada)", "French (Switzerland)",
    "German", "German (Germany)", "German (Austria)", "German (Switzerland)",
    "Italian", "Italian (Italy)", "Portuguese", "Portuguese (Brazil)", "Portuguese (Portugal)",
    "Dutch", "Dutch (Netherlands)", "Dutch (Belgium)", "Polish", "Czech", "Slovak", "Hungarian",
    "Romanian", "Bulgarian", "Croatian", "Greek", "Turkish", "Ukrainian", "Russian",
    "Swedish", "Danish", "Norwegian", "Finnish", "Hindi", "Hindi (India)", "Tamil", "Tamil (India)",
    "Bengali (Bangladesh)", "Indonesian", "Malay", "Filipino", "Thai", "Vietnamese",
    "Japanese", "Korean", "Mandarin", "Chinese (Mandarin, Simplified)", "Chinese (Cantonese, Traditional)",
    "Chinese (Taiwanese Mandarin, Traditional)", "Arabic", "Arabic (Egypt)", "Arabic (Saudi Arabia)", "Hebrew (Israel)",
)  # fmt: skip
"""Names as `GET /v3/video-translations/languages` writes them: some bare, some with a country."""
