"""What an account owns beside its videos: voices, looks, templates and uploaded assets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from msgspec import Struct

from batcher.simulator import seeded
from batcher.simulator.seeded import Look, Template, Voice
from batcher.simulator.shelf import Shelf
from batcher.simulator.wire import Refused


class Asset(Struct, kw_only=True, eq=False):
    """
    An uploaded file.

    Attributes:
        asset_id: Its id.
        name: Of the file.
        media_type: As its first bytes show it.
        size: In bytes; of a direct upload as announced.
        created_at: Unix seconds.
        content: The bytes; None until a direct upload has brought them.
        checksum: SHA-256 as announced for a direct upload; None where none was.
        complete: Can be used.
        place: On the shelf; None before it is complete.
    """

    asset_id: str
    name: str
    media_type: str
    size: int
    created_at: float
    content: bytes | None = None
    checksum: str | None = None
    complete: bool = True
    place: int | None = None


class Stock:
    """
    The voices, looks, templates and assets of the account.

    Attributes:
        languages: The names of the languages into which videos can be translated, in order.
    """

    def __init__(self) -> None:
        self.voices: dict[str, Voice] = {}
        self.looks: dict[str, Look] = {}
        self.assets: dict[str, Asset] = {}
        self.templates: dict[str, Template] = {}
        self.languages: dict[str, None] = dict.fromkeys(seeded.LANGUAGES)
        self.voice_shelf: Shelf[Voice] = Shelf()
        self.look_shelf: Shelf[Look] = Shelf()
        self.asset_shelf: Shelf[Asset] = Shelf()
        self.template_shelf: Shelf[Template] = Shelf()
        self._voice_places: dict[str, int] = {}
        self._look_places: dict[str, int] = {}
        self._template_places: dict[str, int] = {}
        for voice in seeded.VOICES:
            self.add_voice(voice)
        for look in seeded.LOOKS:
            self.add_look(look)
        for template in seeded.TEMPLATES:
            self.add_template(template)

    def add_voice(self, voice: Voice) -> None:
        """Keep a voice where it can be used and listed."""
        self.voices[voice.voice_id] = voice
        ownership = "private" if voice.private else "public"
        labels = [ownership, *(f"{ownership} {engine}" for engine in voice.engines)]
        self._voice_places[voice.voice_id] = self.voice_shelf.put(voice, labels=labels)

    def remove_voice(self, voice_id: str) -> None:
        """Forget a voice."""
        self.voice(voice_id)
        del self.voices[voice_id]
        self.voice_shelf.remove(self._voice_places.pop(voice_id))

    def add_look(self, look: Look) -> None:
        """Keep a look where it can be used and listed."""
        self.looks[look.look_id] = look
        ownership = "private" if look.private else "public"
        labels = [ownership, f"type {look.avatar_type}", f"group {look.group_id}"]
        self._look_places[look.look_id] = self.look_shelf.put(look, labels=labels)

    def add_template(self, template: Template) -> None:
        """Keep a template where it can be used and listed."""
        self.templates[template.template_id] = template
        self._template_places[template.template_id] = self.template_shelf.put(template)

    def give_way(self, *, voices: Mapping[str, str], looks: Mapping[str, str], templates: Mapping[str, str]) -> None:
        """Forget what has an id or a name of these, so that every name means one thing: ids to names."""
        for voice in _alike(self.voices, voices):
            self.remove_voice(voice.voice_id)
        for look in _alike(self.looks, looks):
            del self.looks[look.look_id]
            self.look_shelf.remove(self._look_places.pop(look.look_id))
        for template in _alike(self.templates, templates):
            del self.templates[template.template_id]
            self.template_shelf.remove(self._template_places.pop(template.template_id))

    def add_asset(self, asset: Asset) -> None:
        """Keep an asset; it is listed once it is complete."""
        self.assets[asset.asset_id] = asset
        if asset.complete:
            asset.place = self.asset_shelf.put(asset)

    def voice(self, voice_id: str) -> Voice:
        """Return a voice; 404 when there is none."""
        if voice_id not in self.voices:
            raise Refused(404, "voice_not_found", f"Voice {voice_id} not found", param="voice_id")
        return self.voices[voice_id]

    def look(self, look_id: str, *, param: str = "avatar_id") -> Look:
        """Return a look; 404 when there is none."""
        if look_id not in self.looks:
            raise Refused(404, "avatar_not_found", f"Avatar {look_id} not found", param=param)
        return self.looks[look_id]

    def template(self, template_id: str) -> Template:
        """Return a template; 404 when there is none."""
        if template_id not in self.templates:
            raise Refused(404, "template_not_found", f"Template {template_id} not found")
        return self.templates[template_id]

    def asset(self, asset_id: str, *, param: str | None = None) -> Asset:
        """Return an asset that can be used; 404 when there is none, 409 when its upload is not finished."""
        asset = self.assets.get(asset_id)
        if asset is None:
            raise Refused(404, "asset_not_found", f"Asset {asset_id} not found", param=param)
        if not asset.complete:
            raise Refused(409, "asset_not_available", f"Asset {asset_id} is not available yet", param=param)
        return asset


Thing = TypeVar("Thing", Voice, Look, Template)


def _alike(ours: Mapping[str, Thing], others: Mapping[str, str]) -> list[Thing]:
    """Those of ours that have the id or the name of another, whatever its case."""
    names = {name.casefold() for name in others.values()}
    return [thing for each, thing in ours.items() if each in others or thing.name.casefold() in names]
