"""The front desk: who may come in, how often, and the promise that one key makes one thing."""

from __future__ import annotations

import hmac
import math
import re
from collections import deque
from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from batcher.simulator import (
    account,
    assets,
    avatars,
    bulk,
    files,
    jobs,
    legacy,
    oauth,
    report,
    speech,
    templates,
    translations,
    videos,
    voices,
)
from batcher.simulator.hostile import Faults
from batcher.simulator.wire import Answer, Call, Handler, Refused, Routes, invalid
from batcher.simulator.world import World

KEPT_S = 24 * 3600
"""For how long a key brings the first answer again."""

KEYED = frozenset(
    {
        "/v3/videos",
        "/v3/videos/batches",
        "/v3/templates/{template_id}",
        "/v3/video-translations",
        "/v3/video-translations/batches",
        "/v3/lipsyncs",
        "/v3/lipsyncs/batches",
        "/v3/avatars",
        "/v3/assets",
        "/v3/assets/direct-uploads",
    }
)
"""Routes for which a source says that they honour `Idempotency-Key`; all others ignore it."""

_KEY_FORM = re.compile(r"[A-Za-z0-9_\-:.]{1,255}")

API: Mapping[str, Handler] = {
    **account.ROUTES,
    **assets.ROUTES,
    **avatars.ROUTES,
    **bulk.ROUTES,
    **jobs.ROUTES,
    **legacy.ROUTES,
    **speech.ROUTES,
    **templates.ROUTES,
    **translations.ROUTES,
    **videos.ROUTES,
    **voices.ROUTES,
}
OPEN: Mapping[str, Handler] = {**files.ROUTES, **oauth.ROUTES, **report.ROUTES}
"""Routes that want no API key."""


class _Kept(Struct, frozen=True, kw_only=True):
    """The first answer to a key, and when it was given."""

    answer: Answer
    at: float


class Desk:
    """
    Answers every request.

    Args:
        world: The account behind it.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self._api: Routes[Handler] = Routes(API)
        self._open: Routes[Handler] = Routes(OPEN)
        self._faults = Faults(world)
        self._asked = 0
        self._kept: dict[tuple[str, str], _Kept] = {}
        self._in_progress: set[tuple[str, str]] = set()
        self._let_through: deque[float] = deque()

    def answer(self, call: Call) -> Answer:
        """
        Return the answer, having done what was asked.

        The caller says `sent` when the answer leaves: until then another request with the same key is told to wait.
        """
        method = "GET" if call.method == "HEAD" else call.method
        found = self._open.find(method, call.path)
        if found is not None:
            return self._answer_open(replace(call, route=found[0], params=found[1]), found[2])
        self._asked += 1
        found = self._api.find(method, call.path)
        route, params, handler = found if found is not None else ("(unknown)", {}, _unknown)
        return self._answer_api(replace(call, route=route, params=params), handler)

    def sent(self, call: Call) -> None:
        """Take note that the answer to this request has left."""
        self._in_progress.discard((call.path, call.key))

    def _answer_open(self, call: Call, handler: Handler) -> Answer:
        if not call.path.startswith("/_simulator/"):
            self.world.tally.requests[f"{call.method} {call.route}"] += 1
            if "X-Api-Key" in call.headers or "Authorization" in call.headers:
                self.world.tally.credentials_on_links += 1
        try:
            return handler(self.world, call)
        except Refused as refusal:
            return _envelope(call.path, refusal)

    def _answer_api(self, call: Call, handler: Handler) -> Answer:
        """Answer a request to the API, with the faults that strike it."""
        number, is_post, tally = self._asked, call.method == "POST", self.world.tally
        tally.requests[f"{call.method} {call.route}"] += 1
        if is_post:
            tally.posts_at.append(self.world.clock())
        try:
            self._require_sign_in(call)
            legacy.require_alive(self.world, call)
            self._require_rate(is_post=is_post)
            answer = self._faults.instead(number, is_post=is_post) or self._once(call, handler, number)
        except Refused as refusal:
            answer = _envelope(call.path, refusal)
        answer = self._faults.on_the_way(number, answer, is_post=is_post)
        if answer.status >= 400:
            tally.refused[answer.status] += 1
        return answer

    def _once(self, call: Call, handler: Handler, number: int) -> Answer:
        """Return the kept answer of a key, or do what is asked and keep its answer."""
        if call.method != "POST":
            return handler(self.world, call)
        keyed = bool(call.key) and call.route in KEYED
        keyed &= not (call.route == "/v3/videos/batches" and self.world.has("batch_key_ignored"))
        if keyed:
            kept = self._replayed(call)
            if kept is not None:
                return kept
        answer = self._faults.creation(number, handler(self.world, call))
        if keyed:
            # Only what was made is kept: whether errors are replayed is documented nowhere.
            self._kept[call.path, call.key] = _Kept(answer=answer, at=self.world.clock())
            self._in_progress.add((call.path, call.key))
        return answer

    def _replayed(self, call: Call) -> Answer | None:
        """Return the first answer to this key on this path, whatever the body holds now; None when it is new."""
        if _KEY_FORM.fullmatch(call.key) is None:
            raise invalid("Idempotency-Key must have 1 to 255 characters of A-Za-z0-9_-:.", param="Idempotency-Key")
        place = (call.path, call.key)
        if place in self._in_progress:
            raise Refused(409, "request_in_progress", "A request with this Idempotency-Key is still in progress")
        kept = self._kept.get(place)
        if kept is None or self.world.clock() - kept.at > KEPT_S:
            return None
        self.world.tally.replays += 1
        return kept.answer

    def _require_sign_in(self, call: Call) -> None:
        """Raise 401 without a credential that counts."""
        scheme, _, bearer = call.headers.get("Authorization", "").partition(" ")
        given = call.headers.get("X-Api-Key", "") or (bearer.strip() if scheme.lower() == "bearer" else "")
        wanted = self.world.behaviour.key
        known = bool(given) and (not wanted or hmac.compare_digest(given.encode(), wanted.encode()))
        if not known and self.world.clock() >= self.world.access_tokens.get(given, 0.0):
            raise Refused(401, "unauthorized", "Unauthorized: invalid or missing API key")

    def _require_rate(self, *, is_post: bool) -> None:
        """Raise 429 in a storm, and when more POSTs come than the rate allows."""
        if not is_post:
            return
        if self.world.storm_left > 0:
            self.world.storm_left -= 1
            self.world.tally.faults["storms_429"] += 1
            raise _too_many(1)
        rate, now = self.world.rate, self.world.clock()
        if rate is None:
            return
        while self._let_through and now - self._let_through[0] >= rate.window_s:
            self._let_through.popleft()
        if len(self._let_through) >= rate.count:
            raise _too_many(max(1, math.ceil(self._let_through[0] + rate.window_s - now)))
        self._let_through.append(now)


def _too_many(wait_s: int) -> Refused:
    return Refused(429, "rate_limit_exceeded", "Rate limit exceeded, please retry later", retry_after_s=wait_s)


def _unknown(world: World, call: Call) -> Answer:
    raise Refused(404, "not_found", f"{call.method} {call.path} does not exist")


def _envelope(path: str, refusal: Refused) -> Answer:
    """Return the error in the envelope of the API's version."""
    headers = {"Retry-After": str(refusal.retry_after_s)} if refusal.retry_after_s is not None else {}
    if path.startswith(speech.PREFIX):
        return Answer(body={"error": refusal.message, "code": refusal.status}, status=refusal.status, headers=headers)
    if legacy.is_legacy(path):
        return Answer(body=legacy.error_body(path, refusal), status=refusal.status, headers=headers)
    error = {"code": refusal.code, "message": refusal.message, "param": refusal.param, "doc_url": None}
    return Answer(body={"error": error}, status=refusal.status, headers=headers)
