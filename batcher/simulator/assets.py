"""Uploads: `/v3/assets`, in one request or straight to storage, and the bare bytes of `/v1/asset`."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from msgspec import Struct

from batcher.simulator import contract
from batcher.simulator.media import sniffed
from batcher.simulator.paging import page_of
from batcher.simulator.stock import Asset
from batcher.simulator.wire import Answer, Call, Handler, Json, Refused, data, invalid
from batcher.simulator.world import World

MOST_BYTES = 32 * 1024 * 1024
MOST_DIRECT_BYTES = 2 * 1024**3
_UPLOAD_LIFE_S = 3600


class Part(Struct, frozen=True, kw_only=True):
    """
    A file in a multipart body.

    Attributes:
        filename: As it was sent.
        media_type: As it was declared; empty when it was not.
        content: Its bytes.
    """

    filename: str
    media_type: str
    content: bytes


def upload(world: World, call: Call) -> Answer:
    """POST /v3/assets"""
    return data(_uploaded(call, _kept(world, file_part(call))))


def upload_bare(world: World, call: Call) -> Answer:
    """POST /v1/asset: the body is the file, and a form is none."""
    declared = call.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if declared == "multipart/form-data" or not call.raw:
        raise invalid("asset data must be provided")
    asset = _kept(world, Part(filename="", media_type=declared, content=call.raw))
    made = {
        "id": asset.asset_id,
        "name": asset.name,
        "file_type": asset.media_type.partition("/")[0],
        "url": _url(call, asset),
        "image_key": None,
        "folder_id": "",
        "meta": None,
        "created_ts": int(asset.created_at),
    }
    return Answer(body={"code": 100, "data": made, "message": "Success", "msg": None})


def _kept(world: World, part: Part) -> Asset:
    """Keep a file that came in one request; refused when it is too large or not what it is said to be."""
    if len(part.content) > MOST_BYTES:
        raise Refused(413, "payload_too_large", "File size exceeds the limit of 32 MB")
    kind = sniffed(part.content)
    if kind is None:
        raise invalid("Unsupported file type", param="file")
    if part.media_type not in ("", "application/octet-stream", kind) and part.media_type.startswith(
        ("image/", "video/", "audio/", "application/pdf")
    ):
        raise invalid(f"Content type not match {kind} != {part.media_type}", param="file")
    asset = Asset(
        asset_id=world.next_upload_id(),
        name=part.filename or "file",
        media_type=kind,
        size=len(part.content),
        created_at=world.clock(),
        content=part.content,
    )
    world.stock.add_asset(asset)
    return asset


def file_part(call: Call) -> Part:
    """Return the part named `file` of a multipart body; 400 when there is none."""
    boundary = re.search(r'boundary="?([^";]+)', call.headers.get("Content-Type", ""))
    if boundary is None:
        raise invalid("The request must be multipart/form-data", param="file")
    for part in call.raw.split(b"--" + boundary[1].encode())[1:-1]:
        head, _, content = part.partition(b"\r\n\r\n")
        lines = head.decode("utf-8", "replace")
        if not re.search(r'\bname="file"', lines):
            continue
        filename = re.search(r'filename="([^"]*)"', lines)
        declared = re.search(r"(?im)^content-type:\s*([^;\s]+)", lines)
        return Part(
            filename=filename[1] if filename else "",
            media_type=declared[1].lower() if declared else "",
            content=content.removesuffix(b"\r\n"),
        )
    raise invalid("Field required", param="file")


def announce(world: World, call: Call) -> Answer:
    """POST /v3/assets/direct-uploads"""
    body = call.body()
    contract.check("POST /v3/assets/direct-uploads", body)
    if body["size_bytes"] > MOST_DIRECT_BYTES:
        raise Refused(413, "payload_too_large", "File size exceeds the limit")
    asset = Asset(
        asset_id=world.next_upload_id(),
        name=body["filename"],
        media_type=body["content_type"],
        size=body["size_bytes"],
        created_at=world.clock(),
        checksum=body.get("checksum_sha256"),
        complete=False,
    )
    world.stock.add_asset(asset)
    return data(
        {
            "asset_id": asset.asset_id,
            "upload_url": f"{call.base}/uploads/{asset.asset_id}",
            "upload_headers": {"Content-Type": asset.media_type, "x-simulated-token": _upload_token(world, asset)},
            "expires_in_seconds": _UPLOAD_LIFE_S,
            "max_bytes": asset.size,
            "status": "pending",
        }
    )


def receive(world: World, call: Call) -> Answer:
    """PUT of the bytes; wants the headers of the announcement verbatim, and no API key."""
    asset = world.stock.assets.get(call.params["asset_id"])
    headers_right = asset is not None and (
        call.headers.get("x-simulated-token") == _upload_token(world, asset)
        and call.headers.get("Content-Type") == asset.media_type
    )
    if asset is None or not headers_right or world.clock() > asset.created_at + _UPLOAD_LIFE_S:
        return Answer(body=b"<Error><Code>AccessDenied</Code></Error>", status=403, media_type="application/xml")
    if len(call.raw) > asset.size:
        return Answer(body=b"<Error><Code>EntityTooLarge</Code></Error>", status=400, media_type="application/xml")
    asset.content = call.raw
    return Answer(body=b"", media_type="text/plain")


def complete(world: World, call: Call) -> Answer:
    """POST /v3/assets/{asset_id}/complete: the same answer however often it is asked."""
    body = call.body()
    contract.check("POST /v3/assets/{asset_id}/complete", body)
    asset = world.stock.assets.get(call.params["asset_id"])
    if asset is None:
        raise Refused(404, "asset_not_found", f"Asset {call.params['asset_id']} not found")
    if asset.complete:
        return data({**_uploaded(call, asset), "status": "completed"})
    if asset.content is None:
        raise Refused(409, "resource_not_ready", "The file has not been uploaded yet")
    expected = body.get("checksum_sha256") or asset.checksum
    if len(asset.content) != asset.size or (expected and expected != hashlib.sha256(asset.content).hexdigest()):
        raise invalid("The uploaded file does not match the announced size or checksum", param="checksum_sha256")
    kind = sniffed(asset.content)
    if kind != asset.media_type:
        raise invalid(f"Content type not match {kind} != {asset.media_type}", param="content_type")
    asset.complete = True
    asset.place = world.stock.asset_shelf.put(asset)
    return data({**_uploaded(call, asset), "status": "completed"})


def listed(world: World, call: Call) -> Answer:
    """GET /v3/assets"""
    shelf = world.stock.asset_shelf
    page = page_of(world, call, lambda limit, token: shelf.page(limit=limit, token=token))
    return page.answer(lambda asset: _shape(call, asset))


def single(world: World, call: Call) -> Answer:
    """GET /v3/assets/{asset_id}"""
    return data(_shape(call, world.stock.asset(call.params["asset_id"])))


def delete(world: World, call: Call) -> Answer:
    """DELETE /v3/assets/{asset_id}"""
    asset = world.stock.asset(call.params["asset_id"])
    del world.stock.assets[asset.asset_id]
    if asset.place is not None:
        world.stock.asset_shelf.remove(asset.place)
    return data({"id": asset.asset_id})


def _upload_token(world: World, asset: Asset) -> str:
    return world.new_id("upload token", asset.asset_id)


def _uploaded(call: Call, asset: Asset) -> dict[str, Json]:
    return {
        "asset_id": asset.asset_id,
        "url": _url(call, asset),
        "mime_type": asset.media_type,
        "size_bytes": asset.size,
    }


def _shape(call: Call, asset: Asset) -> Json:
    return {
        "id": asset.asset_id,
        "name": asset.name,
        "type": asset.media_type.partition("/")[0],
        "owner": "simulated",
        "space_id": "space_simulated",
        "folder_id": None,
        "uploaded_at": int(asset.created_at),
        "url": _url(call, asset),
    }


def _url(call: Call, asset: Asset) -> str:
    return f"{call.base}/uploads/{asset.asset_id}"


ROUTES: Mapping[str, Handler] = {
    "POST /v1/asset": upload_bare,
    "POST /v3/assets": upload,
    "GET /v3/assets": listed,
    "POST /v3/assets/direct-uploads": announce,
    "POST /v3/assets/{asset_id}/complete": complete,
    "GET /v3/assets/{asset_id}": single,
    "DELETE /v3/assets/{asset_id}": delete,
}
