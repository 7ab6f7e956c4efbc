"""ledger: the durable memory itself."""

from __future__ import annotations

import time
from pathlib import Path

import click

from batcher.cli.say import say
from batcher.errors import Exit, InputError, Problem
from batcher.ledger.place import has_ledger, is_address, open_anyway
from batcher.ledger.relocation import relocate


@click.group()
def ledger() -> None:
    """
    The durable memory: what was made, for whom, and what it cost.

    \b
    Example:
      batcher ledger move ~/.local/state/batcher postgresql://batcher@db.example.com/batcher
    """


@ledger.command()
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
def move(source: str, target: str) -> int:
    """
    Move the ledger to another place, with everything in it: FROM and TO as BATCHER_STATE would name them.

    The copy is compared with what was copied. The old ledger stays where it is, and refuses to be used from then on.

    \b
    Example:
      batcher ledger move ~/.local/state/batcher postgresql://batcher@db.example.com/batcher
    """
    places = [each if is_address(each) else str(Path(each).expanduser().resolve()) for each in (source, target)]
    kinds = [loopback for loopback in (False, True) if has_ledger(places[0], loopback=loopback)]
    if not kinds:
        raise InputError(Problem(where=source, message="there is no ledger"))
    for loopback in kinds:
        old = open_anyway(places[0], loopback=loopback)
        new = open_anyway(places[1], loopback=loopback)
        try:
            counts = relocate(old, new, at=time.time())
            say(
                f"{old.name} → {new.name}: {counts['tasks']} tasks, {counts['attempts']} attempts, {counts['moves']} moves"
            )
        finally:
            new.close()
            old.close()
    say("from now on, let BATCHER_STATE name the new place wherever batcher runs, schedules too, or the project file")
    return int(Exit.DONE)
