"""Words for the person; that nobody listens any more never ends the work."""

from __future__ import annotations

import os
import re
import sys

import click

_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""What a terminal obeys, or shows in another order than it is written: it may stand in any cell, header or answer."""


def harmless(text: str) -> str:
    """The text with all that written out (`\\u001b`), as JSON has it too."""
    return text if text.isprintable() else _OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def say(text: str, *, err: bool = False) -> None:
    """Print a line; when whoever read our output has gone, the line is lost and nothing else."""
    put(harmless(text), err=err)


def put(text: str, *, err: bool = False) -> None:
    """As `say`, for a text that is harmless but for colours of ours."""
    try:
        click.echo(text, err=err)
        sys.stdout.flush()
    except (OSError, ValueError):
        hush()


def hush() -> None:
    """Send what is still to be said nowhere, so that Python does not complain about it at its end."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    except OSError:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 - lives as long as the process
