"""How a provider takes files: where, in which form, which kinds, and how large."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from msgspec import Struct

from batcher.catalog.pick import Pick
from batcher.catalog.place import At
from batcher.media import Kind
from batcher.model import Json

MEGABYTE = 1024 * 1024


class How(str, Enum):
    """How the bytes of a file go over the wire."""

    MULTIPART = "multipart"
    """As a part of a form."""
    RAW = "raw"
    """As the body itself."""


class DirectUpload(Struct, frozen=True, kw_only=True):
    """
    For large files: announced, sent straight to where the provider stores them, completed.

    Attributes:
        path: Where they are announced.
        body: What is said about them; `$name`, `$type`, `$size` and `$sha256` stand for the file's.
        id: Where in the answer the new asset's id stands.
        to: Where the address stands that the bytes are put to, without our key.
        headers: Where the headers stand that go with them.
        most: Where the largest size stands that is taken; None where it is not told.
        complete: The path that ends the upload; `{id}` is the new asset's.
    """

    path: str
    body: Mapping[str, Json]
    id: Pick
    to: Pick
    headers: Pick | None
    most: Pick | None
    complete: str


class Assets(Struct, frozen=True, kw_only=True):
    """
    The assets section of a provider.

    Attributes:
        path: Where files are sent.
        base_url: The host, when it is not the provider's own; empty when it is.
        how: In which form.
        field: The name of the part of a form.
        types: The kinds that are taken, and what the provider calls them.
        most_bytes: The largest file that is sent this way; None where no limit is stated.
        direct: How larger ones are sent; None when they are not.
        id: Where in the answer the asset's id stands.
        url: Where its address stands; None when it has none.
        kept_days: How long the provider keeps it; None where it states no end.
        gone: Codes that say of a request that its asset is no longer there.
    """

    path: str
    how: How
    types: Mapping[Kind, str]
    id: Pick
    base_url: str = ""
    field: str = "file"
    most_bytes: int | None = None
    direct: DirectUpload | None = None
    url: Pick | None = None
    kept_days: float | None = None
    gone: frozenset[str] = frozenset()

    @property
    def largest(self) -> int | None:
        """The largest file that is taken at all, as far as it is known beforehand."""
        return None if self.direct else self.most_bytes


def assets(at: At | None) -> Assets | None:
    """The assets section that stands there; None when nothing does."""
    if at is None:
        return None
    most_mb = at.get("most_mb")
    return Assets(
        path=at.get("path"),
        base_url=(at.get("base_url") or "").rstrip("/"),
        how=How(at.get("how")),
        field=at.get("field") or "file",
        types={kind_named(name): media_type for name, media_type in at.get("types").items()},
        most_bytes=None if most_mb is None else int(most_mb * MEGABYTE),
        direct=_direct(at.inner("direct")),
        id=at.pick("id"),
        url=at.maybe("url"),
        kept_days=at.get("kept_days"),
        gone=frozenset(at.get("gone") or ()),
    )


def kind_named(name: str) -> Kind:
    """The kind that a catalogue calls `png`."""
    return Kind[name.upper()]


def _direct(at: At | None) -> DirectUpload | None:
    if at is None:
        return None
    return DirectUpload(
        path=at.get("path"),
        body=at.get("body"),
        id=at.pick("id"),
        to=at.pick("to"),
        headers=at.maybe("headers"),
        most=at.maybe("most"),
        complete=at.get("complete"),
    )
