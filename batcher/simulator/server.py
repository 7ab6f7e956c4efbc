"""The HTTP side: the only room here that knows aiohttp."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.utils import formatdate
from itertools import count
from typing import Any

from aiohttp import web

from batcher.simulator.behaviour import Behaviour
from batcher.simulator.desk import Desk
from batcher.simulator.wire import Answer, Call, Fate
from batcher.simulator.world import World

_MOST_BODY_BYTES = 256 * 1024 * 1024


@asynccontextmanager
async def answering(behaviour: Behaviour, *, host: str, port: int) -> AsyncIterator[str]:
    """Answer requests as long as the context lasts; yields the address."""
    front = _Front(behaviour)
    server = web.Server(front.handle, request_factory=_request, access_log=None)
    runner = web.ServerRunner(server, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, reuse_address=True).start()
        address, bound_port = runner.addresses[0][:2]
        shown = f"[{address}]" if ":" in address else address
        front.base = f"http://{shown}:{bound_port}"
        yield front.base
    finally:
        await runner.cleanup()


class _Front:
    """
    Turns requests into calls and answers into bytes.

    Attributes:
        base: The address that links begin with.
    """

    def __init__(self, behaviour: Behaviour) -> None:
        self.base = ""
        self._desk = Desk(World(behaviour))
        self._numbers = count(1)
        self._date = (0, "")

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        try:
            raw = await request.read()
        except web.HTTPRequestEntityTooLarge:
            return web.Response(status=413, text="too large")
        except ConnectionResetError:
            return web.Response(status=400)  # whoever asked has died with half of it said; nobody reads this
        call = Call(
            method=request.method,
            path=request.path,
            query=request.query,
            headers=request.headers,
            raw=raw,
            base=self.base,
        )
        answer = self._desk.answer(call)
        try:
            if self._desk.world.behaviour.answer_s > 0 and not call.path.startswith("/_simulator/"):
                await asyncio.sleep(self._desk.world.behaviour.answer_s)
        finally:
            self._desk.sent(call)
        return await self._send(request, answer)

    async def _send(self, request: web.BaseRequest, answer: Answer) -> web.StreamResponse:
        """Send the answer, or what its fate leaves of it."""
        body = answer.content()
        headers = {
            **answer.headers,
            "Content-Type": answer.media_type,
            "X-Request-Id": f"req_{next(self._numbers):08x}",
            "Date": self._http_date(),
        }
        if answer.fate is Fate.LOST:
            if request.transport is not None:
                request.transport.abort()
            return web.Response()
        if answer.fate is Fate.HALF:
            return await _send_half(request, body, headers, status=answer.status)
        return web.Response(body=body, status=answer.status, headers=headers)

    def _http_date(self) -> str:
        """Return the simulator's time as the Date header writes it."""
        second = int(self._desk.world.clock())
        if self._date[0] != second:
            self._date = (second, formatdate(second, usegmt=True))
        return self._date[1]


async def _send_half(
    request: web.BaseRequest, body: bytes, headers: dict[str, str], *, status: int
) -> web.StreamResponse:
    """Promise the whole body, send half of it, and hang up."""
    response = web.StreamResponse(status=status, headers={**headers, "Content-Length": str(len(body))})
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return response


def _request(message: Any, payload: Any, protocol: Any, writer: Any, task: asyncio.Task[None]) -> web.BaseRequest:
    """Return a request that may be as large as an upload; the signature is aiohttp's."""
    return web.BaseRequest(
        message, payload, protocol, writer, task, asyncio.get_running_loop(), client_max_size=_MOST_BODY_BYTES
    )
