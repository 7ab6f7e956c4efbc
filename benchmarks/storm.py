"""As many POSTs as the simulator takes: `python -m benchmarks.storm URL` prints videos a second, single and in batches."""

from __future__ import annotations

import asyncio
import json
import sys
import time

import aiohttp

SINGLES, BATCHES, AT_ONCE = 5000, 50, 16
BODY = {"type": "avatar", "avatar_id": "look_abigail_office", "title": "For r1", "script": "Hello Person 1"}


async def _storm(session: aiohttp.ClientSession, path: str, bodies: list[bytes]) -> float:
    left = iter(bodies)

    async def send() -> None:
        for body in left:
            async with session.post(path, data=body) as answer:
                await answer.read()
                answer.raise_for_status()

    begun = time.perf_counter()
    await asyncio.gather(*(send() for _ in range(AT_ONCE)))
    return time.perf_counter() - begun


async def main(url: str) -> None:
    """Measure and print."""
    single = json.dumps(BODY).encode()
    batch = json.dumps({"videos": [BODY] * 100}).encode()
    headers = {"X-Api-Key": "bench", "Content-Type": "application/json"}
    async with aiohttp.ClientSession(url, headers=headers) as session:
        singly_s = await _storm(session, "/v3/videos", [single] * SINGLES)
        batched_s = await _storm(session, "/v3/videos/batches", [batch] * BATCHES)
    print(SINGLES / singly_s, BATCHES * 100 / batched_s)


asyncio.run(main(sys.argv[1]))
