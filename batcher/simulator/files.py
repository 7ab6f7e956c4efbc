"""What links lead to: videos, pictures, sound, previews and pages. No API key is wanted here."""

from __future__ import annotations

import re
from collections.abc import Mapping

from batcher.simulator import assets, media
from batcher.simulator.wire import Answer, Call, Handler
from batcher.simulator.work import Kind
from batcher.simulator.world import World

_DENIED = b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>AccessDenied</Code></Error>'
_ABSENT = b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>NoSuchKey</Code></Error>'


def serve(world: World, call: Call) -> Answer:
    """GET /files/{name}: 403 when the link has expired or was changed."""
    name = call.params["name"]
    expires, signature = call.query.get("Expires", ""), call.query.get("Signature", "")
    if not expires.isdigit() or not world.links.holds(name, expires=expires, signature=signature):
        return Answer(body=_DENIED, status=403, media_type="application/xml")
    stem, _, extension = name.rpartition(".")
    if extension not in media.MEDIA_TYPES or not any(world.find(kind, stem) for kind in Kind):
        return Answer(body=_ABSENT, status=404, media_type="application/xml")
    return _part(call, media.content(name), media.MEDIA_TYPES[extension])


def preview(world: World, call: Call) -> Answer:
    """GET /previews/{name}: pictures and sound in stock, unsigned."""
    name = call.params["name"]
    extension = name.rpartition(".")[2]
    if extension not in media.MEDIA_TYPES:
        return Answer(body=_ABSENT, status=404, media_type="application/xml")
    return _part(call, media.content(name), media.MEDIA_TYPES[extension])


def uploaded(world: World, call: Call) -> Answer:
    """GET /uploads/{asset_id}: what was uploaded."""
    asset = world.stock.assets.get(call.params["asset_id"])
    if asset is None or asset.content is None or not asset.complete:
        return Answer(body=_ABSENT, status=404, media_type="application/xml")
    return _part(call, asset.content, asset.media_type)


def page(world: World, call: Call) -> Answer:
    """GET /videos/{video_id}: the page that lasts when the links have expired."""
    video_id = call.params["video_id"]
    if not any(world.find(kind, video_id) for kind in (Kind.VIDEO, Kind.TRANSLATION)):
        return Answer(body=b"<!DOCTYPE html><title>Not found</title>", status=404, media_type="text/html")
    text = f"<!DOCTYPE html><title>Simulated video</title><h1>Simulated video {video_id}</h1>"
    return Answer(body=text.encode(), media_type="text/html")


def _part(call: Call, content: bytes, media_type: str) -> Answer:
    """Return the bytes that the Range header asks for, or all."""
    headers = {"Accept-Ranges": "bytes"}
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", call.headers.get("Range", ""))
    if match is None or not (match[1] or match[2]):
        return Answer(body=content, headers=headers, media_type=media_type)
    size = len(content)
    first = int(match[1]) if match[1] else max(0, size - int(match[2]))
    last = min(int(match[2]), size - 1) if match[1] and match[2] else size - 1
    if first >= size or first > last:
        return Answer(body=b"", status=416, headers={"Content-Range": f"bytes */{size}"}, media_type=media_type)
    headers["Content-Range"] = f"bytes {first}-{last}/{size}"
    return Answer(body=content[first : last + 1], status=206, headers=headers, media_type=media_type)


ROUTES: Mapping[str, Handler] = {
    "GET /files/{name}": serve,
    "GET /previews/{name}": preview,
    "GET /uploads/{asset_id}": uploaded,
    "PUT /uploads/{asset_id}": assets.receive,
    "GET /videos/{video_id}": page,
}
