"""What all requests for work have in common: sources, texts with magic words, prices."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from msgspec import Struct

from batcher.simulator.wire import Call, Json, Refused, invalid
from batcher.simulator.work import DOWNLOAD_FAILED, Failure
from batcher.simulator.world import World

CHARACTERS_PER_SECOND = 15
UNKNOWN_LENGTH_S = 30.0
"""Length of a source that was never fetched."""

PRICE_PER_SECOND: Mapping[str, float] = {
    "avatar_v": 0.0667,
    "avatar_iv": 0.0667,
    "avatar_iii": 0.0167,
    "photo": 0.05,
    "photo avatar_iii": 0.0433,
    "template": 0.0667,
    "agent": 0.0333,
    "speed": 0.0333,
    "precision": 0.0667,
    "speech": 0.000667,
    "background": 0.0333,
}
"""Dollars, as the pricing page stood in July 2026; templates and backgrounds are not listed there: invented."""

CINEMATIC_PRICE = 7.0
AVATAR_PRICE = 1.0

_RENDERING_FAILED = Failure(code="rendering_failed", message="Rendering failed, please try again")
_NO_CREDIT = Failure(code="MOVIO_PAYMENT_INSUFFICIENT_CREDIT", message="Insufficient credit")


class Omen(Struct, frozen=True, kw_only=True):
    """
    How work will end and how long it will take, read from its texts and sources.

    Attributes:
        failure: How it ends badly; None when it does not.
        slowness: Factor on the render time.
    """

    failure: Failure | None = None
    slowness: float = 1.0


def omen(texts: Iterable[str], sources: Iterable[Failure | None] = ()) -> Omen:
    """
    Return what the magic words in the texts and the unreachable sources foretell.

    Raises:
        Refused: 400 for a text with `[policy]`.
    """
    said = " ".join(texts)
    if "[policy]" in said:
        raise Refused(400, "content_policy_violation", "The content violates our content policy")
    failure = next((source for source in sources if source is not None), None)
    if "[credit]" in said:
        failure = _NO_CREDIT
    if "[fail]" in said:
        failure = _RENDERING_FAILED
    slowness = math.inf if "[stuck]" in said else 20.0 if "[slow]" in said else 1.0
    return Omen(failure=failure, slowness=slowness)


def asset_source(world: World, call: Call, value: Json, *, param: str) -> Failure | None:
    """
    Check an `AssetInput` and return how fetching it will fail.

    Raises:
        Refused: 400 for a link that is not https, 404 for an unknown asset.
    """
    if not isinstance(value, dict):
        return None
    if value["type"] == "asset_id":
        world.stock.asset(value["asset_id"], param=f"{param}.asset_id")
        return None
    return link_source(call, value["url"], param=f"{param}.url") if value["type"] == "url" else None


def link_source(call: Call, url: str, *, param: str) -> Failure | None:
    """Check a link and return how fetching it will fail; links to the simulator itself may be plain http."""
    parts = urlsplit(url)
    ours = f"{parts.scheme}://{parts.netloc}" == call.base
    if not ours and (parts.scheme != "https" or not parts.hostname):
        raise invalid("URL must be a publicly accessible HTTPS URL", param=param)
    unreachable = (parts.hostname or "").endswith(".invalid") or "missing" in parts.path
    return DOWNLOAD_FAILED if unreachable else None


def voice_source(world: World, call: Call, body: Mapping[str, Json], *, at: str, default: str | None) -> Failure | None:
    """
    Check who speaks what: exactly one of `script`, `audio_url`, `audio_asset_id`, and a voice for a script.

    Args:
        world: Whose voices and assets count.
        call: The request.
        body: The object that holds these fields.
        at: Where it stands in the request, with a dot at the end; empty for the top.
        default: The voice of the avatar; None when it has none.
    """
    given = [name for name in ("script", "audio_url", "audio_asset_id") if body.get(name) is not None]
    if len(given) != 1:
        raise invalid("Exactly one of script, audio_url or audio_asset_id must be provided", param=f"{at}script")
    if body.get("voice_id") is not None:
        world.stock.voice(body["voice_id"])
    elif given == ["script"] and default is None:
        raise invalid("voice_id is required when script is provided", param=f"{at}voice_id")
    if given == ["audio_asset_id"]:
        world.stock.asset(body["audio_asset_id"], param=f"{at}audio_asset_id")
    return link_source(call, body["audio_url"], param=f"{at}audio_url") if given == ["audio_url"] else None


def callback(call: Call, body: Mapping[str, Json], *, at: str = "") -> None:
    """Refuse a `callback_url` that is not https, or too long an id."""
    if body.get("callback_url") is not None:
        link_source(call, body["callback_url"], param=f"{at}callback_url")


def spoken_s(text: str) -> float:
    """Return how long it takes to say a text, in seconds."""
    return round(max(1.0, len(text) / CHARACTERS_PER_SECOND), 2)


def price(name: str, duration_s: float) -> float:
    """Return dollars for a length."""
    return round(PRICE_PER_SECOND[name] * duration_s, 4)
