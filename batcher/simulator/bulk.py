"""Up to 100 at once: batches that are submitted together, and statuses that are asked for together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial

from batcher.simulator import contract, shapes, translations, videos
from batcher.simulator.orders import callback
from batcher.simulator.wire import Answer, Call, Handler, Json, Refused, data, invalid
from batcher.simulator.work import Kind, Order, Work
from batcher.simulator.world import Batch, World

Maker = Callable[[World, Call, Mapping[str, Json], str], list[Order]]


def _videos(world: World, call: Call, body: Mapping[str, Json], at: str) -> list[Order]:
    return [videos.order(world, call, body, at=at)]


def _translations(world: World, call: Call, body: Mapping[str, Json], at: str) -> list[Order]:
    return translations.orders(world, call, body, at=at)


def _lipsyncs(world: World, call: Call, body: Mapping[str, Json], at: str) -> list[Order]:
    return [translations.lipsync_order(world, call, body, at=at)]


def submit(path: str, field: str, make: Maker, world: World, call: Call) -> Answer:
    """
    POST .../batches: 202, and the rest happens later.

    A body that the description forbids refuses the whole batch; what is wrong in other ways (an unknown avatar,
    forbidden content, no credit) fails its item only.
    """
    body = call.body()
    contract.check(f"POST {path}", body)
    callback(call, body)
    orders = [
        order
        for index, item in enumerate(body[field])
        for order in _orders(world, call, make, item, f"{field}.{index}.")
    ]
    if len(orders) > 100:
        raise invalid("A batch may hold at most 100 items", param=field)
    batch = world.create_batch(orders, title=body.get("title"), key=call.key)
    accepted = {"batch_id": batch.batch_id, "status": "processing", "total_items": len(batch.items)}
    return data(accepted, status=202)


def _orders(world: World, call: Call, make: Maker, item: Mapping[str, Json], at: str) -> list[Order | Refused]:
    """Return the orders of one item, or its refusal."""
    try:
        return list(make(world, call, item, at))
    except Refused as refusal:
        return [refusal]


def progress(world: World, call: Call) -> Answer:
    """GET .../batches/{batch_id}: items in the order of their submission."""
    world.settle()
    batch = _batch(world, call.params["batch_id"])
    limit, start = call.limit(default=100, most=100), _start(call)
    shown = batch.items[start : start + limit]
    more = start + limit < len(batch.items)
    counts = Counter(_word(world, item) for item in batch.items)
    finished = counts["completed"] + counts["failed"] == len(batch.items)
    return data(
        {
            "batch_id": batch.batch_id,
            "status": "processing" if not finished else "completed" if counts["completed"] else "failed",
            "title": batch.title,
            "total_items": len(batch.items),
            "counts_by_status": counts,
            "created_at": int(batch.created_at),
            "items": [shapes.batch_item(world, item, start + index) for index, item in enumerate(shown)],
            "has_more": more,
            "next_token": str(start + limit) if more else None,
        }
    )


def statuses(kind: Kind, ids: str, world: World, call: Call) -> Answer:
    """GET .../statuses: no links; an unknown id is `not_found`, not an error."""
    wanted, batch_ids = call.ids(ids), call.ids("batch_ids")
    if not wanted and not batch_ids:
        raise invalid(f"{ids} or batch_ids is required", param=ids)
    world.settle()
    entries = [_entry(world, kind, work_id) for work_id in wanted]
    for batch_id in batch_ids:
        entries += _batch_entries(world, batch_id)
    if len(entries) > 100:
        raise invalid("At most 100 statuses can be looked up in one request", param=ids)
    return Answer(body={"data": entries, "has_more": False, "next_token": None})


def _entry(world: World, kind: Kind, work_id: str) -> Json:
    work = world.find(kind, work_id)
    return shapes.missing_item(work_id) if work is None else shapes.bulk_item(world, work)


def _batch_entries(world: World, batch_id: str) -> Iterator[Json]:
    batch = world.batches.get(batch_id)
    if batch is None:
        yield {**shapes.missing_item(""), "video_id": None, "batch_id": batch_id}
        return
    for index, item in enumerate(batch.items):
        yield {**shapes.batch_item(world, item, index), "batch_id": batch_id}


def _batch(world: World, batch_id: str) -> Batch:
    batch = world.batches.get(batch_id)
    if batch is None:
        raise Refused(404, "not_found", f"Batch {batch_id} not found")
    return batch


def _start(call: Call) -> int:
    token = call.query.get("token", "0")
    if not token.isascii() or not token.isdigit():
        raise invalid("Invalid pagination token", param="token")
    return int(token)


def _word(world: World, item: Work | Refused) -> str:
    """Return the state of an item, without counting as a look at it."""
    if isinstance(item, Refused):
        return "failed"
    phase = item.phase(world.clock()).value
    return "queued" if phase == "pending" else phase


def _batch_routes(path: str, field: str, make: Maker) -> Mapping[str, Handler]:
    return {f"POST {path}": partial(submit, path, field, make), f"GET {path}/{{batch_id}}": progress}


ROUTES: Mapping[str, Handler] = {
    **_batch_routes("/v3/videos/batches", "videos", _videos),
    **_batch_routes("/v3/video-translations/batches", "video_translations", _translations),
    **_batch_routes("/v3/lipsyncs/batches", "lipsyncs", _lipsyncs),
    "GET /v3/videos/statuses": partial(statuses, Kind.VIDEO, "video_ids"),
    "GET /v3/video-translations/statuses": partial(statuses, Kind.TRANSLATION, "video_translation_ids"),
    "GET /v3/lipsyncs/statuses": partial(statuses, Kind.LIPSYNC, "lipsync_ids"),
}
