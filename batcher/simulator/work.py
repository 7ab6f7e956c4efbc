"""One piece of work that somebody paid for, and where it stands at a given time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import Enum

from msgspec import Struct, field

from batcher.simulator.wire import Json


class Kind(str, Enum):
    """What is made."""

    VIDEO = "video"
    """From an avatar, an image, a prompt, scenes or a template."""
    TRANSLATION = "translation"
    """One video in one language."""
    LIPSYNC = "lipsync"
    """A video with another voice track."""
    BACKGROUND = "background removal"
    """A video without its background."""
    CLONE = "voice clone"
    """A voice; takes no slot."""
    AVATAR = "photo avatar"
    """A look; takes no slot."""
    SPEECH = "speech"
    """Sound, made at once."""


class Phase(str, Enum):
    """Where a piece of work stands."""

    QUEUED = "queued"
    """Waits for a slot."""
    PENDING = "pending"
    """Has its slot since a moment ago."""
    PROCESSING = "processing"
    """Is being made."""
    COMPLETED = "completed"
    """Is there."""
    FAILED = "failed"
    """Will not come."""

    @property
    def is_final(self) -> bool:
        """True when nothing will change any more."""
        return self in (Phase.COMPLETED, Phase.FAILED)


class Failure(Struct, frozen=True, kw_only=True):
    """
    Why work fails.

    Attributes:
        code: As `failure_code` shows it.
        message: For the person.
    """

    code: str
    message: str


DOWNLOAD_FAILED = Failure(
    code="download_failed",
    message="Failed to download video from url, please check the url is valid or the video is public",
)


class Order(Struct, frozen=True, kw_only=True):
    """
    What was asked for, checked and ready to be made.

    Attributes:
        kind: What is made.
        amount: Price in dollars.
        duration_s: Length of the result.
        body: The request, for the report; of a fan-out only what concerns this member.
        title: As it was sent.
        callback_id: As it was sent.
        folder_id: As it was sent.
        failure: How it will end, when it will end badly.
        slowness: Factor on the render time; infinite for what never ends.
        details: What only this kind has: languages, layers, output format.
    """

    kind: Kind
    amount: float
    duration_s: float
    body: Json
    title: str | None = None
    callback_id: str | None = None
    folder_id: str | None = None
    failure: Failure | None = None
    slowness: float = 1.0
    details: Mapping[str, Json] = field(default_factory=dict)


class Work(Struct, kw_only=True, eq=False):
    """
    An order that was accepted.

    Attributes:
        work_id: The id that the API gives it.
        number: 1 for the first creation of the simulator.
        order: What was asked for.
        created_at: Unix seconds.
        render_s: Seconds from its start to its end.
        starts_at: When it got its slot; infinite while it waits for one.
        batch_id: The batch that brought it; None for a single request.
        item_index: Its place in that batch.
        looks: How often somebody looked at it.
        final_looks: How often somebody looked at it after its end.
        noticed_at: When somebody first saw that it had ended.
        places: Where it stands in which lists; empty while it is not listed.
    """

    work_id: str
    number: int
    order: Order
    created_at: float
    render_s: float
    starts_at: float = math.inf
    batch_id: str | None = None
    item_index: int | None = None
    looks: int = 0
    final_looks: int = 0
    noticed_at: float | None = None
    places: list[tuple[Kind, int]] = field(default_factory=list)

    @property
    def ends_at(self) -> float:
        """Unix seconds of its end; infinite when that is not known or never comes."""
        return self.starts_at + self.render_s

    def phase(self, now: float) -> Phase:
        """Return where it stands; for the first fifth of its time, two seconds at most, it is merely pending."""
        if now < self.starts_at:
            return Phase.QUEUED
        if now >= self.ends_at:
            return Phase.FAILED if self.order.failure else Phase.COMPLETED
        return Phase.PENDING if now - self.starts_at < min(0.2 * self.render_s, 2.0) else Phase.PROCESSING
