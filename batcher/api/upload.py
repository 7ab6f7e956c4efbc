"""A local file to the account: in one request, or straight to where the provider stores large ones."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from batcher.api.client import Client
from batcher.catalog.assets import Assets, DirectUpload, How
from batcher.catalog.pick import as_text
from batcher.errors import Rejected, TryAgain
from batcher.media import HEAD_BYTES, sniff
from batcher.model import Asset, Json

LEAST_S = 600.0
"""Whole time of an upload, as heygen-cli has it; large files get more."""
SLOWEST_BYTES_S = 100_000


class Changed(Exception):
    """The file no longer holds what the plan has seen; the message is for the person."""


def upload(client: Client, assets: Assets, path: Path, *, digest: str, now: float) -> Asset:
    """
    Send a file, and tell what the account calls it.

    Sending it twice costs nothing and leaves a second copy at the provider.

    Args:
        path: The file.
        digest: SHA-256 of the content that is meant.
        now: Unix seconds.

    Raises:
        Changed: The file holds something else by now, or nothing.
        ApiError: As `Client.submit`; nothing that is in doubt has cost anything.
    """
    try:
        size, media_type = _checked(path, assets, digest)
        if assets.direct is not None and assets.most_bytes is not None and size > assets.most_bytes:
            answer = _direct(client, assets.direct, path, digest=digest, size=size, media_type=media_type)
        else:
            answer = _at_once(client, assets, path, size=size, media_type=media_type)
    except OSError as error:
        raise Changed(f"{path.name} cannot be read any more: {error.strerror or error}") from error
    asset_id = as_text(assets.id.find(answer))
    if not asset_id:
        raise TryAgain("uploaded, but the answer holds no id", code="no_id")
    url = as_text(assets.url.find(answer)) if assets.url else ""
    expires_at = None if assets.kept_days is None else now + assets.kept_days * 86400
    return Asset(digest=digest, asset_id=asset_id, url=url, expires_at=expires_at)


def _checked(path: Path, assets: Assets, digest: str) -> tuple[int, str]:
    """Size and media type of a file that still holds what the plan has seen."""
    size = path.stat().st_size
    with path.open("rb") as file:
        kind = sniff(file.read(HEAD_BYTES))
        file.seek(0)
        if hashlib.file_digest(file, "sha256").hexdigest() != digest or kind is None:
            raise Changed(f"{path.name} has changed since the plan was made; run again")
    return size, assets.types[kind]


def _at_once(client: Client, assets: Assets, path: Path, *, size: int, media_type: str) -> Json:
    deadline_s = _deadline_s(size)
    if assets.how is How.RAW:
        with path.open("rb") as file:
            return client.store(assets.path, file, headers={"Content-Type": media_type}, deadline_s=deadline_s)
    boundary = f"batcher-{hashlib.sha256(str(path).encode('utf-8', 'replace')).hexdigest()[:32]}"
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="{assets.field}"; filename="{_plain(path.name)}"\r\n'
        f"Content-Type: {media_type}\r\n\r\n"
    )
    body = b"".join((head.encode(), path.read_bytes(), f"\r\n--{boundary}--\r\n".encode()))
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    return client.store(assets.path, body, headers=headers, deadline_s=deadline_s)


def _direct(client: Client, direct: DirectUpload, path: Path, *, digest: str, size: int, media_type: str) -> Json:
    """Announce, put, complete. The announced checksum keeps other bytes out, whatever becomes of the file meanwhile."""
    facts = {"$name": _plain(path.name), "$type": media_type, "$size": size, "$sha256": digest}
    announced = client.post_free(direct.path, {key: _fact(value, facts) for key, value in direct.body.items()})
    most = direct.most.find(announced) if direct.most else None
    if isinstance(most, int | float) and size > most:
        raise Rejected(f"the file has {size:,} bytes, and at most {most:,} are taken", code="payload_too_large")
    headers = direct.headers.find(announced) if direct.headers else None
    named = {str(key): str(value) for key, value in headers.items()} if isinstance(headers, Mapping) else {}
    with path.open("rb") as file:
        client.put_elsewhere(as_text(direct.to.find(announced)), file, headers=named, deadline_s=_deadline_s(size))
    return client.post_free(direct.complete, {}, remote_id=as_text(direct.id.find(announced)))


def _fact(value: Json, facts: Mapping[str, Json]) -> Json:
    return facts.get(value, value) if isinstance(value, str) else value


def _plain(name: str) -> str:
    """A file's name as every header takes it."""
    return re.sub(r"[^\w .()+-]", "_", name)[-100:]


def _deadline_s(size: int) -> float:
    return LEAST_S + size / SLOWEST_BYTES_S
