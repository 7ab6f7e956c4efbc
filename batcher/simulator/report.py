"""The simulator's own door: what it saw, its clock, its behaviour. No API has this path."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import asdict, replace

from batcher.simulator.behaviour import Behaviour
from batcher.simulator.lending import lend
from batcher.simulator.tally import most_in_window
from batcher.simulator.wire import Answer, Call, Handler, Json, invalid
from batcher.simulator.world import World

_FIXED = frozenset({"seed", "key"})


def report(world: World, call: Call) -> Answer:
    """GET /_simulator/report; `?window=60` asks for the fullest window of that many seconds instead of one."""
    busy = world.busy
    body = dict(world.tally.report(now=world.clock(), busy=busy, wallet=round(world.wallet, 4)))
    window_s = _number(call.query.get("window", "1"), "window")
    body["max_posts_in_window"] = most_in_window(world.tally.posts_at, window_s=window_s)
    body["in_flight"] = len(busy)
    return Answer(body=body)


def advance(world: World, call: Call) -> Answer:
    """POST /_simulator/advance {"seconds": 60}: time passes at once."""
    world.clock.advance(_number(call.body().get("seconds"), "seconds"))
    world.settle()
    return Answer(body={"now": world.clock()})


def change(world: World, call: Call) -> Answer:
    """POST /_simulator/behaviour {"hostile": ["regress"], "in_flight": 3}: from now on; `balance` fills the wallet."""
    changes = call.body()
    known = set(Behaviour.__struct_fields__) - _FIXED
    unknown = sorted(set(changes) - known)
    if unknown:
        raise invalid(f"cannot change {', '.join(unknown)}; can change: {', '.join(sorted(known))}", param=unknown[0])
    if "hostile" in changes:
        changes["hostile"] = frozenset(changes["hostile"])
    try:
        world.behave(replace(world.behaviour, **changes))
    except (TypeError, ValueError) as error:
        raise invalid(str(error)) from error
    if "balance" in changes:
        world.wallet = float(changes["balance"])
    shown = {**asdict(world.behaviour), "hostile": sorted(world.behaviour.hostile), "key": ""}
    return Answer(body=shown)


def borrow(world: World, call: Call) -> Answer:
    """POST /_simulator/stock {"voices": {"v1": "Ann"}}: what another account has, from now on found here too."""
    lend(world.stock, call.body())
    return Answer(body={})


def _number(value: Json, name: str) -> float:
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise invalid(f"{name} must be a number, not {value!r}", param=name) from error


ROUTES: Mapping[str, Handler] = {
    "GET /_simulator/report": report,
    "POST /_simulator/advance": advance,
    "POST /_simulator/behaviour": change,
    "POST /_simulator/stock": borrow,
}
