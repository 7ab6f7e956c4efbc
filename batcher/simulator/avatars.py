"""Avatars and their looks: `/v3/avatars`. What a request calls `avatar_id` is the id of a look."""

from __future__ import annotations

from collections.abc import Mapping

from batcher.simulator import contract
from batcher.simulator.orders import AVATAR_PRICE, asset_source, omen
from batcher.simulator.paging import page_of
from batcher.simulator.seeded import Look
from batcher.simulator.wire import Answer, Call, Handler, Json, Refused, data
from batcher.simulator.work import Kind, Order, Phase
from batcher.simulator.world import World

_TYPES = {"photo": "photo_avatar", "digital_twin": "digital_twin", "prompt": "photo_avatar"}


def groups(world: World, call: Call) -> Answer:
    """GET /v3/avatars: groups of looks, newest first."""
    limit = call.limit(default=20, most=50)
    by_group: dict[str, list[Look]] = {}
    for look in reversed(world.stock.looks.values()):
        if call.query.get("ownership", _ownership(look)) == _ownership(look):
            by_group.setdefault(look.group_id, []).append(look)
    ids = list(by_group)
    token = call.query.get("token", "")
    start = ids.index(token) if token in by_group else 0
    shown = ids[start : start + limit]
    more = start + limit < len(ids)
    items = [_group(call, group_id, by_group[group_id]) for group_id in shown]
    return Answer(body={"data": items, "has_more": more, "next_token": ids[start + limit] if more else None})


def looks(world: World, call: Call) -> Answer:
    """GET /v3/avatars/looks"""
    labels = {"group_id": "group {}", "avatar_type": "type {}", "ownership": "{}"}
    wanted = [pattern.format(call.query[name]) for name, pattern in labels.items() if call.query.get(name)]
    shelf = world.stock.look_shelf
    page = page_of(
        world,
        call,
        lambda limit, token: shelf.page(limit=limit, token=token, label=wanted[0] if wanted else ""),
        default=20,
        most=50,
    )
    return page.answer(lambda look: _look(world, call, look))


def look(world: World, call: Call) -> Answer:
    """GET /v3/avatars/looks/{look_id}"""
    return data(_look(world, call, world.stock.look(call.params["look_id"])))


def group(world: World, call: Call) -> Answer:
    """GET /v3/avatars/{group_id}"""
    members = [look for look in world.stock.looks.values() if look.group_id == call.params["group_id"]]
    if not members:
        raise Refused(404, "avatar_group_not_found", f"Avatar group {call.params['group_id']} not found")
    return data(_group(call, members[0].group_id, members))


def create(world: World, call: Call) -> Answer:
    """POST /v3/avatars: a photo avatar, a digital twin, or one from a prompt."""
    body = call.body()
    contract.check("POST /v3/avatars", body)
    sources = [asset_source(world, call, body.get("file"), param="file")]
    sources += [
        asset_source(world, call, value, param=f"reference_images.{index}")
        for index, value in enumerate(body.get("reference_images") or ())
    ]
    ending = omen([body["name"], body.get("prompt", "")], sources)
    order = Order(
        kind=Kind.AVATAR,
        amount=AVATAR_PRICE,
        duration_s=0.0,
        body=body,
        title=body["name"],
        failure=ending.failure,
        slowness=ending.slowness,
    )
    work = world.create([order], key=call.key)[0]
    made = Look(
        look_id=work.work_id,
        group_id=body.get("avatar_group_id") or world.new_id("group", work.number),
        name=body["name"],
        gender="unknown",
        avatar_type=_TYPES[body["type"]],
        private=True,
        created_at=work.created_at,
    )
    world.stock.add_look(made)
    return data({"avatar_item": _look(world, call, made), "avatar_group": _group(call, made.group_id, [made])})


def _ownership(look: Look) -> str:
    return "private" if look.private else "public"


def _look(world: World, call: Call, look: Look) -> Json:
    work = world.find(Kind.AVATAR, look.look_id)
    phase = work.phase(world.clock()) if work else Phase.COMPLETED
    failure = work.order.failure if work and phase is Phase.FAILED else None
    return {
        "id": look.look_id,
        "name": look.name,
        "group_id": look.group_id,
        "avatar_type": look.avatar_type,
        "gender": look.gender,
        "default_voice_id": look.voice_id,
        "preview_image_url": f"{call.base}/previews/{look.look_id}.png",
        "preview_video_url": None,
        "preferred_orientation": "landscape",
        "image_width": 1920,
        "image_height": 1080,
        "status": phase.value if phase.is_final else "processing",
        "supported_api_engines": list(look.engines),
        "tags": [],
        "error": {"code": failure.code, "message": failure.message} if failure else None,
    }


def _group(call: Call, group_id: str, members: list[Look]) -> Json:
    first = members[0]
    return {
        "id": group_id,
        "name": first.name,
        "created_at": int(first.created_at),
        "looks_count": len(members),
        "gender": first.gender,
        "default_voice_id": first.voice_id,
        "preview_image_url": f"{call.base}/previews/{first.look_id}.png",
        "preview_video_url": None,
        "status": "completed",
        "consent_status": None,
        "error": None,
    }


ROUTES: Mapping[str, Handler] = {
    "GET /v3/avatars": groups,
    "GET /v3/avatars/looks": looks,
    "GET /v3/avatars/looks/{look_id}": look,
    "GET /v3/avatars/{group_id}": group,
    "POST /v3/avatars": create,
}
