"""What another account has, to be found here too: so that jobs which name it can be rehearsed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from batcher.simulator.seeded import Look, Template, Voice
from batcher.simulator.stock import Stock
from batcher.simulator.wire import Json

Things = Mapping[str, Mapping[str, Any]]
"""
What can be lent: `voices`, `speech_voices`, `avatars` and `languages`, each as ids to names, and `templates`, as ids to
what `GET /v3/templates/{template_id}` says under `data`.
"""

_RATIO = re.compile(r"[1-9]\d{0,3}:[1-9]\d{0,3}\Z")


def lend(stock: Stock, things: Things) -> None:
    """
    Keep what another account has; of ours what has the same name goes, so that every name means there and here the same.

    Args:
        things: Voices count as made for speech unless `speech_voices` says which are.
    """
    spoken, looks = things.get("speech_voices", {}), things.get("avatars", {})
    voices = {**things.get("voices", {}), **spoken}
    templates = [_template(each, described) for each, described in things.get("templates", {}).items()]
    stock.give_way(voices=voices, looks=looks, templates={each.template_id: each.name for each in templates})
    for voice_id, name in voices.items():
        engines = ("starfish",) if voice_id in spoken or not spoken else ("elevenlabs",)
        stock.add_voice(Voice(voice_id=voice_id, name=name, language="English", gender="unknown", engines=engines))
    for look_id, name in looks.items():
        stock.add_look(Look(look_id=look_id, group_id=look_id, name=name, gender="unknown"))
    for template in templates:
        stock.add_template(template)
    stock.languages.update(dict.fromkeys(things.get("languages", {}).values()))


def _template(template_id: str, told: Json) -> Template:
    described: Mapping[str, Json] = told if isinstance(told, dict) else {}
    variables = dict(_variables(described.get("variables")))
    scenes = dict(_scenes(described.get("scenes"), variables))
    texts = " ".join(f"{{{{{name}}}}}" for name, value in variables.items() if value["type"] == "text")
    ratio = str(described.get("aspect_ratio"))
    return Template(
        template_id=template_id,
        name=str(described.get("name") or template_id),
        variables=variables,
        scenes=scenes or {"scene_1": texts},
        aspect_ratio=ratio if _RATIO.match(ratio) else "16:9",
    )


def _variables(found: Json) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Name to default; version 2 writes a default's parts into `properties`."""
    for name, value in (found if isinstance(found, dict) else {}).items():
        if not isinstance(value, dict) or not isinstance(value.get("type"), str):
            continue
        parts = value.get("properties")
        default = {**value, **(parts if isinstance(parts, dict) else {}), "type": value["type"]}
        yield (
            str(name),
            {**default, "content": str(default.get("content") or "")} if value["type"] == "text" else default,
        )


def _scenes(found: Json, variables: Mapping[str, Json]) -> Iterator[tuple[str, str]]:
    """Scene id to what is spoken there; variables that the template does not have are left as plain words."""
    for scene in found if isinstance(found, list) else []:
        if isinstance(scene, dict) and scene.get("scene_id"):
            script = str(scene.get("script") or "")
            known = re.sub(r"\{\{(\w+)\}\}", lambda m: m[0] if m[1] in variables else m[1], script)
            yield str(scene["scene_id"]), known
