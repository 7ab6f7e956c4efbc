"""What the commands have in common: arguments, surroundings, signals."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

import click

from batcher.cli.say import say
from batcher.surroundings import Surroundings, around_job
from batcher.units import parse_duration

F = TypeVar("F", bound=Callable[..., Any])

JOB = click.argument("job_file", metavar="JOB", type=click.Path(path_type=Path))
REHEARSE = click.option(
    "--rehearse", is_flag=True, help="On the simulator, with a ledger and results of its own: costs nothing."
)
QUIET = click.option("-q", "--quiet", is_flag=True, help="Only errors and the last line.")
VERBOSE = click.option("-v", "--verbose", is_flag=True, help="Also what is usually left out.")
JSON = click.option(
    "--json", "as_json", is_flag=True, help="A machine-readable summary on stdout, and nothing else there."
)
OFFLINE = click.option("--offline", is_flag=True, help="Use no network: languages, voices and balance are not checked.")


class Duration(click.ParamType[float]):
    """`10m`, `45 seconds`, `2h` as seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        try:
            return parse_duration(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


def together(*options: Callable[[F], F]) -> Callable[[F], F]:
    """Several options as one decorator, in the order in which help shows them."""

    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def surroundings(job_file: Path | None = None, *, quiet: bool = False) -> Surroundings:
    """The real world: clock, chance, environment, sentences to stderr, and the project of a job or of this folder."""

    def tell(sentence: str) -> None:
        if not quiet:
            say(sentence, err=True)

    warn = tell if quiet else _warn
    return around_job(job_file, environ=os.environ, folder=Path.cwd(), tell=tell, warn=warn)


@cache
def _warn(sentence: str) -> None:
    """Say it to stderr once in a process: what is wrong for all files of an inbox is said with the first of them."""
    say(sentence, err=True)


@contextmanager
def polite_stop() -> Iterator[Callable[[], bool]]:
    """
    Turn the first Ctrl-C, SIGTERM or SIGHUP into a wish to stop; the second one stops at once.

    Yields:
        Whether to stop.
    """
    asked = False

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        print("\nstopping: waiting for what is in the air (again to stop at once; both are safe)", file=sys.stderr)

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield lambda: asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
