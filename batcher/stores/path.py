"""Where a file is: on this machine, or an object in a store in the cloud."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath

from msgspec import Struct
from msgspec.structs import replace

SCHEMES = ("s3", "gs", "abfs", "abfss")
"""What addresses in the cloud begin with: Amazon S3 and what speaks as it does, Google Cloud Storage, Azure."""
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://(.*)\Z", re.DOTALL)
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}(?:@[A-Za-z0-9][A-Za-z0-9.-]{0,254})?\Z")
"""Azure writes `container@account.dfs.core.windows.net`; a password before the @ is no part of an address."""
_UNFIT = re.compile(r"[\x00-\x1f\x7f?#]")


class CloudPath(Struct, frozen=True, kw_only=True):
    """
    An object in a store, or what the names of several begin with; reads and joins as a `Path` does, but opens nothing.

    Attributes:
        scheme: `s3`, `gs`, `abfs`.
        bucket: The bucket or container; of Azure with its account behind an @, where the address names it.
        parts: The key between its slashes; empty for the bucket itself.
    """

    scheme: str
    bucket: str
    parts: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.scheme}://{'/'.join((self.bucket, *self.parts))}"

    @property
    def name(self) -> str:
        """The last part; empty for the bucket itself."""
        return self.parts[-1] if self.parts else ""

    @property
    def stem(self) -> str:
        """The name without its suffix."""
        return PurePosixPath(self.name).stem

    @property
    def suffix(self) -> str:
        """What the name ends in, with its dot."""
        return PurePosixPath(self.name).suffix

    @property
    def parent(self) -> CloudPath:
        """What stands above; the bucket stands above itself."""
        return replace(self, parts=self.parts[:-1])

    def joinpath(self, *names: str) -> CloudPath:
        """Further down, by parts that were made harmless."""
        return replace(self, parts=(*self.parts, *names))

    def with_name(self, name: str) -> CloudPath:
        """The neighbour of that name."""
        return self.parent.joinpath(name)

    def is_below(self, folder: CloudPath) -> bool:
        """Whether it is further down."""
        above = (self.scheme, self.bucket, self.parts[: len(folder.parts)])
        return above == (folder.scheme, folder.bucket, folder.parts) and self.parts != folder.parts

    def relative_to(self, folder: CloudPath) -> PurePosixPath:
        """
        The way down from a folder.

        Raises:
            ValueError: It is not below.
        """
        if not self.is_below(folder):
            raise ValueError(f"{self} is not below {folder}")
        return PurePosixPath(*self.parts[len(folder.parts) :])


Location = Path | CloudPath
"""Where a file is; only a `Path` can be opened."""


def has_scheme(text: str) -> bool:
    """Whether a text is an address rather than a path: it begins with `name://`."""
    return bool(_ADDRESS.match(text.strip()))


def parse_cloud(text: str) -> CloudPath:
    """
    The place in the cloud that an address names.

    Raises:
        ValueError: It names none; in words for the person, who may have put a password into it.
    """
    match = _ADDRESS.match(text.strip())
    scheme = match[1].lower() if match else ""
    if match is None or scheme not in SCHEMES:
        known = ", ".join(f"{each}://" for each in SCHEMES)
        raise ValueError(f"{scheme}:// is not known here; a file stands in a folder, or in the cloud at {known}")
    bucket, *parts = match[2].split("/")
    if not _BUCKET.match(bucket):
        raise ValueError(
            f"this is no address of a file in the cloud; write {scheme}://BUCKET/FOLDER/NAME, without credentials: "
            "those are found in the environment"
        )
    if any(part in ("", ".", "..") or _UNFIT.search(part) for part in parts):
        raise ValueError(f"{scheme}://{bucket}/… has an empty part, '.', '..', '?', '#' or a control character in it")
    return CloudPath(scheme=scheme, bucket=bucket, parts=tuple(parts))


def parse_location(text: str, folder: Path) -> Location:
    """
    The place that a text of the job names.

    Args:
        folder: What paths are relative to.

    Raises:
        ValueError: It cannot be one.
    """
    return parse_cloud(text) if has_scheme(text) else parse_path(text, folder)


def parse_path(text: str, folder: Path) -> Path:
    """
    The place on this machine that a text of the job names.

    Args:
        folder: What it is relative to.

    Raises:
        ValueError: It cannot be one.
    """
    try:
        return (folder / Path(text).expanduser()).resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise ValueError(f"'{text}' cannot be a path: {error}") from error


def way_down(place: Location, folder: Location) -> str:
    """
    The way from a folder to a place below it, with slashes.

    Raises:
        ValueError: It is not below.
    """
    if isinstance(place, CloudPath) and isinstance(folder, CloudPath):
        return place.relative_to(folder).as_posix()
    if isinstance(place, Path) and isinstance(folder, Path):
        return place.relative_to(folder).as_posix()
    raise ValueError(f"{place} is not below {folder}")


def shown_from(home: Location, place: Location) -> str:
    """A place as it is written down beside results in a folder: relative to it where both are on this machine."""
    if isinstance(place, Path) and isinstance(home, Path):
        return os.path.relpath(place, home)
    return str(place)


def located(home: Location, text: str) -> Location:
    """The place that was written down so."""
    if text.startswith(tuple(f"{scheme}://" for scheme in SCHEMES)):
        scheme, _, rest = text.partition("://")
        bucket, *parts = rest.split("/")
        return CloudPath(scheme=scheme, bucket=bucket, parts=tuple(parts))
    return home / text if isinstance(home, Path) else Path(text)
