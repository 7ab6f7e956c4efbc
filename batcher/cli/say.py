"""Words for the person; that nobody listens any more never ends the work."""

from __future__ import annotations

import os
import sys

import click


def say(text: str) -> None:
    """Print a line; when whoever read our output has gone, the line is lost and nothing else."""
    try:
        click.echo(text)
        sys.stdout.flush()
    except (OSError, ValueError):
        hush()


def hush() -> None:
    """Send what is still to be said nowhere, so that Python does not complain about it at its end."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    except OSError:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 - lives as long as the process
