"""What stands in a body for a file that is uploaded before the body is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from msgspec import Struct

from batcher.catalog.model import Provider
from batcher.files import Files, LocalFile, SeenFile
from batcher.job import Job
from batcher.model import Asset, Json

_MARK = "$file"
_PART = "as"


class Pending(Struct, frozen=True, kw_only=True):
    """
    The place of an asset in a body that is being made.

    Attributes:
        digest: Of the file's content.
        part: `id` or `url` of the asset.
    """

    digest: str
    part: str


class NamedFile(Struct, frozen=True, kw_only=True):
    """
    A file that a row needs.

    Attributes:
        column: The cell that names it; None when the job does.
        job_path: Where in the job it is asked for.
    """

    file: LocalFile
    column: int | None
    job_path: tuple[str | int, ...]


def files_of(job: Job, provider: Provider, seen: Iterable[SeenFile]) -> Files | None:
    """
    The files that a job may send; None where the provider takes none.

    Args:
        seen: Files as they were looked at earlier.
    """
    if provider.assets is None:
        return None
    return Files(
        job_folder=job.folder,
        sheet_folder=job.sheet.file.parent if isinstance(job.sheet.file, Path) else job.folder,
        also=job.files,
        most_bytes=provider.assets.largest,
        seen=seen,
    )


def shown(body: Json) -> Json:
    """A body as its schema can be held against it: with an id or an address in the place of each asset."""
    if isinstance(body, Pending):
        return f"file-{body.digest[:12]}" if body.part == "id" else f"https://example.com/{body.digest[:12]}"
    return _each(body, shown)


def stored(body: Json) -> Json:
    """
    A body as it is kept until it is sent.

    An asset's place is a mapping, which no cell can become: what a cell says is never taken for one. It names the
    content and not the asset, so that a file that was uploaded anew asks for the same.
    """
    if isinstance(body, Pending):
        return {_MARK: body.digest, _PART: body.part}
    return _each(body, stored)


def with_assets(content: Json, assets: Mapping[str, Asset]) -> Json:
    """
    A kept body as it is sent.

    Args:
        assets: By the digests of their files.
    """
    if isinstance(content, dict) and set(content) == {_MARK, _PART}:
        asset = assets[content[_MARK]]
        return asset.asset_id if content[_PART] == "id" else asset.url
    return _each(content, lambda inner: with_assets(inner, assets))


def _each(value: Json, change: Callable[[Json], Json]) -> Json:
    if isinstance(value, dict):
        return {key: change(each) for key, each in value.items()}
    return [change(each) for each in value] if isinstance(value, list) else value
