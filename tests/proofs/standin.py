"""The simulator in a process of its own: it outlives whatever is done to batcher, and keeps the books."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

LAUNCH = Path(__file__).with_name("launch.py")
_QUICK = {"render_s": 0.05, "spread": 0.0, "in_flight": 200, "balance": 1e9}


class StandIn:
    """
    A running simulator.

    Attributes:
        url: Its address, without a slash at the end.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    def report(self) -> dict[str, Any]:
        """What it saw from its side: charges, posts_at, duplicates and more."""
        return self._ask("report")

    def charges(self, prefix: str) -> list[dict[str, Any]]:
        """The work it made whose title begins so."""
        return [charge for charge in self.report()["charges"] if str(charge["title"]).startswith(prefix)]

    def behave(self, **changes: Any) -> None:
        """Change how it behaves from now on."""
        self._ask("behaviour", changes)

    def advance(self, seconds: float) -> None:
        """Let time pass at once, for it alone."""
        self._ask("advance", {"seconds": seconds})

    def _ask(self, name: str, body: Any = None) -> dict[str, Any]:
        content = None if body is None else json.dumps(body).encode()
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{self.url}/_simulator/{name}", data=content, timeout=60) as answer:
            told: dict[str, Any] = json.load(answer)
        return told


@contextmanager
def standing_in(**changes: Any) -> Iterator[StandIn]:
    """Run a simulator with quick renders, all of one length, where v1 and v2 are still alive; `changes` as `behave`."""
    command = [sys.executable, str(LAUNCH), "simulator", "--port", "0", "--hostile", "v2=alive"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment()
    ) as process:
        try:
            if process.stdout is None:
                raise RuntimeError("the simulator has no output")
            said = process.stdout.readline()
            stand_in = StandIn(said.split()[2])
            stand_in.behave(**{**_QUICK, **changes})
            yield stand_in
        finally:
            process.terminate()


def environment(**changes: str) -> Mapping[str, str]:
    """A bare environment, as cron has it; only where Python looks for modules is passed on."""
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    return {**kept, "HOME": "/nonexistent", "PYTHONDONTWRITEBYTECODE": "1", **changes}
