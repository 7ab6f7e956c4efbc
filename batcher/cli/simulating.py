"""simulator: a local HeyGen to try everything on."""

from __future__ import annotations

import signal
import threading

import click

from batcher.cli.options import Duration
from batcher.cli.say import say
from batcher.errors import InputError, Problem


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=8321, show_default=True, help="0 takes any free one.")
@click.option("--render", "render_s", type=Duration(), default="4s", show_default=True, help="Median time of a render.")
@click.option("--in-flight", type=click.IntRange(1), default=10, show_default=True, help="Renders at once.")
@click.option("--rate", default="", metavar="50/second", help="Refuse more POSTs than this.")
@click.option("--balance", type=float, default=500.0, show_default=True, help="Dollars in the wallet.")
@click.option("--seed", type=int, default=0, show_default=True, help="Another seed, another day.")
@click.option("--hostile", multiple=True, metavar="MODE", help="A fault to rehearse; `--hostile list` shows them.")
def simulator(
    *, port: int, render_s: float, in_flight: int, rate: str, balance: float, seed: int, hostile: tuple[str, ...]
) -> int:
    """
    Run a local HeyGen on a loopback address until Ctrl-C: it answers as the real one documents, makes tiny videos, and
    charges nothing.

    \b
    Example, in two terminals:
      batcher simulator
      HEYGEN_BASE_URL=http://127.0.0.1:8321 batcher run jobs/welcome.yaml
    """
    from batcher.simulator import HOSTILE, Behaviour, serve

    if "list" in hostile:
        for mode, sentence in HOSTILE.items():
            say(f"{mode:<18} {sentence}")
        return 0
    try:
        behaviour = Behaviour(
            render_s=render_s, in_flight=in_flight, rate=rate, balance=balance, seed=seed, hostile=frozenset(hostile)
        )
    except ValueError as error:
        raise InputError(Problem(where="simulator", message=str(error))) from error
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        serve(behaviour, port=port, ready=lambda url: say(f"simulator on {url} (Ctrl-C ends it)"), stop=stop)
    except OSError as error:
        raise InputError(Problem(where=f"port {port}", message=f"cannot be used: {error.strerror or error}")) from error
    return 0
