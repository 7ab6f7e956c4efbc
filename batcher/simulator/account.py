"""Who is asking, what is left, and what was told to webhooks."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from batcher.simulator.paging import page_of
from batcher.simulator.wire import Answer, Call, Handler, Json, data
from batcher.simulator.work import Kind, Work
from batcher.simulator.world import World, event_type

_EVENT_TYPES = {
    "avatar_video.success": "A video was made",
    "avatar_video.fail": "A video could not be made",
    "video_translate.success": "A translation was made",
    "video_translate.fail": "A translation could not be made",
}


def me(world: World, call: Call) -> Answer:
    """GET /v3/users/me: a prepaid wallet."""
    world.settle()
    return data(
        {
            "username": "simulated",
            "email": "rehearsal@example.com",
            "first_name": "Simulated",
            "last_name": "Account",
            "billing_type": "wallet",
            "wallet": {
                "currency": "usd",
                "remaining_balance": round(world.wallet, 4),
                "auto_reload": {"enabled": False, "threshold_usd": None, "amount_usd": None},
            },
            "subscription": None,
            "usage_based": None,
        }
    )


def events(world: World, call: Call) -> Answer:
    """GET /v3/webhooks/events: filled even when no endpoint is registered, as if somebody had listened."""
    world.settle()
    labels = [f"{kind} {call.query[name]}" for kind, name in _FILTERS.items() if call.query.get(name)]
    label = labels[-1] if labels else ""
    page = page_of(world, call, lambda limit, token: world.events.page(limit=limit, token=token, label=label))
    return page.answer(lambda event: _event(world, call, event))


_FILTERS = {"type": "event_type", "entity": "entity_id"}


def event_types(world: World, call: Call) -> Answer:
    """GET /v3/webhooks/event-types"""
    items = [{"event_type": name, "description": prose} for name, prose in _EVENT_TYPES.items()]
    return Answer(body={"data": items, "has_more": False, "next_token": None})


def _event(world: World, call: Call, work: Work) -> Json:
    """Return the event of the end of a piece of work: a success with its link."""
    order = work.order
    data: dict[str, Json] = {_ID_FIELDS[order.kind]: work.work_id, "callback_id": order.callback_id}
    if order.kind is Kind.TRANSLATION:
        data["output_language"] = order.details["output_language"]
    if order.failure is None:
        data["url"] = world.links.sign(call.base, f"{work.work_id}.mp4")
    else:
        # The reason is called `msg` for videos and `message` for translations.
        data["msg" if order.kind is Kind.VIDEO else "message"] = order.failure.message
    return {
        "event_id": f"evt_{world.new_id('event', work.number)}",
        "event_type": event_type(work),
        "event_data": data,
        "created_at": datetime.fromtimestamp(work.ends_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


_ID_FIELDS = {Kind.VIDEO: "video_id", Kind.TRANSLATION: "video_translate_id"}


ROUTES: Mapping[str, Handler] = {
    "GET /v3/users/me": me,
    "GET /v3/webhooks/events": events,
    "GET /v3/webhooks/event-types": event_types,
}
