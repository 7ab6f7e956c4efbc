"""Background removals and video agents: `/v3/background-removals`, `/v3/video-agents`."""

from __future__ import annotations

from collections.abc import Mapping

from batcher.simulator import contract, shapes
from batcher.simulator.orders import UNKNOWN_LENGTH_S, asset_source, callback, omen, price
from batcher.simulator.paging import page_of
from batcher.simulator.wire import Answer, Call, Handler, Json, Refused, data
from batcher.simulator.work import Kind, Order, Phase, Work
from batcher.simulator.world import World

LAYERS = ("foreground", "mask", "background")


def remove_background(world: World, call: Call) -> Answer:
    """POST /v3/background-removals: the body's `request_id` is the idempotency key, the header is not."""
    body = call.body()
    contract.check("POST /v3/background-removals", body)
    request_id = body.get("request_id")
    earlier = world.background_requests.get(request_id) if request_id else None
    if earlier is not None:
        return data(shapes.background(world, call, earlier, world.look(earlier)))
    source = asset_source(world, call, body["video"], param="video")
    ending = omen([body.get("title") or ""], [source])
    order = Order(
        kind=Kind.BACKGROUND,
        amount=price("background", UNKNOWN_LENGTH_S),
        duration_s=UNKNOWN_LENGTH_S,
        body=body,
        title=body.get("title"),
        failure=ending.failure,
        slowness=ending.slowness,
        details={"layers": body.get("layers") or list(LAYERS)},
    )
    work = world.create([order], key=request_id or "")[0]
    if request_id:
        world.background_requests[request_id] = work
    return data(shapes.background(world, call, work, world.look(work)))


def removals(world: World, call: Call) -> Answer:
    """GET /v3/background-removals"""
    world.settle()
    shelf = world.shelves[Kind.BACKGROUND]
    page = page_of(world, call, lambda limit, token: shelf.page(limit=limit, token=token))
    return page.answer(lambda work: shapes.background(world, call, work, world.look(work)))


def removal(world: World, call: Call) -> Answer:
    """GET /v3/background-removals/{job_id}"""
    work = world.find(Kind.BACKGROUND, call.params["job_id"])
    sight = world.look(work) if work else None
    if work is None or sight is None or sight.hidden:
        raise Refused(404, "not_found", f"Background removal {call.params['job_id']} not found")
    return data(shapes.background(world, call, work, sight))


def start_agent(world: World, call: Call) -> Answer:
    """POST /v3/video-agents: a session, whose video has an id of its own."""
    body = call.body()
    contract.check("POST /v3/video-agents", body)
    callback(call, body)
    if body.get("avatar_id"):
        world.stock.look(body["avatar_id"])
    if body.get("voice_id"):
        world.stock.voice(body["voice_id"])
    sources = [
        asset_source(world, call, value, param=f"files.{index}") for index, value in enumerate(body.get("files") or ())
    ]
    ending = omen([body["prompt"]], sources)
    order = Order(
        kind=Kind.VIDEO,
        amount=price("agent", UNKNOWN_LENGTH_S),
        duration_s=UNKNOWN_LENGTH_S,
        body=body,
        title=body["prompt"][:60],
        callback_id=body.get("callback_id"),
        failure=ending.failure,
        slowness=ending.slowness,
        details={"output_format": "mp4"},
    )
    work = world.create([order], key=call.key)[0]
    session_id = world.new_id("session", work.number)
    world.sessions[session_id] = work
    return data(
        {
            "session_id": session_id,
            "status": "generating",
            "created_at": int(work.created_at),
            "video_id": None,
        }
    )


def agent(world: World, call: Call) -> Answer:
    """GET /v3/video-agents/{session_id}: the id of the video appears when its making has begun."""
    session_id = call.params["session_id"]
    work = _session(world, session_id)
    sight = world.look(work)
    if sight.hidden:
        raise _no_session(session_id)
    words = {Phase.QUEUED: "thinking", Phase.PENDING: "thinking", Phase.PROCESSING: "generating"}
    progress = {Phase.COMPLETED: 100, Phase.FAILED: 100, Phase.PROCESSING: 50}
    return data(
        {
            "session_id": session_id,
            "status": sight.word if sight.word is not None else words.get(sight.phase, sight.phase.value),
            "progress": progress.get(sight.phase, 0),
            "title": work.order.title,
            "video_id": work.work_id if sight.phase not in (Phase.QUEUED, Phase.PENDING) else None,
            "messages": _messages(world, work, sight.phase),
            "created_at": int(work.created_at),
        }
    )


def _messages(world: World, work: Work, phase: Phase) -> list[Json]:
    asked = {"role": "user", "type": "text", "content": work.order.body["prompt"], "created_at": int(work.created_at)}
    if phase is not Phase.FAILED or work.order.failure is None:
        return [asked]
    told = {"role": "model", "type": "error", "content": work.order.failure.message, "created_at": int(work.ends_at)}
    return [asked, told]


def agent_videos(world: World, call: Call) -> Answer:
    """GET /v3/video-agents/{session_id}/videos"""
    work = _session(world, call.params["session_id"])
    world.settle()
    items = [shapes.video(world, call, work, world.look(work))]
    return Answer(body={"data": items, "has_more": False, "next_token": None})


def _session(world: World, session_id: str) -> Work:
    world.settle()
    if session_id not in world.sessions:
        raise _no_session(session_id)
    return world.sessions[session_id]


def _no_session(session_id: str) -> Refused:
    return Refused(404, "not_found", f"Session {session_id} not found")


ROUTES: Mapping[str, Handler] = {
    "POST /v3/background-removals": remove_background,
    "GET /v3/background-removals": removals,
    "GET /v3/background-removals/{job_id}": removal,
    "POST /v3/video-agents": start_agent,
    "GET /v3/video-agents/{session_id}": agent,
    "GET /v3/video-agents/{session_id}/videos": agent_videos,
}
