"""Asking before money is spent."""

from __future__ import annotations

import sys

import click

from batcher.consent import unapproved
from batcher.errors import Stopped
from batcher.open_job import OpenJob


def agree(at_hand: OpenJob, *, tasks: int, cost: float | None, yes: bool) -> None:
    """Ask before much money is spent; without a terminal --yes will do, or what was approved for this job."""
    asked = "" if yes else unapproved(at_hand, tasks=tasks, cost=cost)
    if not asked:
        return
    if not sys.stdin.isatty():
        name = at_hand.job.path.name if at_hand.job.path else at_hand.job.name
        raise Stopped(f"{asked}: look at the plan and agree with `batcher approve {name}`, or run with --yes")
    if not click.confirm(f"{asked}. Send them?"):
        raise Stopped("nothing was sent")
