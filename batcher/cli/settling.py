"""settle: a person's word on rows whose answer was lost."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from batcher.cli.options import JOB, surroundings, together
from batcher.cli.say import say
from batcher.cli.sheets import each_sheet
from batcher.errors import Exit, InputError, Problem
from batcher.job import Job
from batcher.ledger.values import News
from batcher.model import Attempt, Source, State
from batcher.open_job import OpenJob
from batcher.opening import opened
from batcher.units import Money


@click.command()
@together(
    JOB,
    click.option("--row", "rows", multiple=True, metavar="ID", help="Only these row ids; may be given several times."),
    click.option("--as", "word", type=click.Choice(["resend", "drop"]), help="Decide for all of them without asking."),
    click.option("--made-as", "remote_id", metavar="VIDEO_ID", help="This one row was made, under this id."),
)
@each_sheet(takes=False)
def settle(job: Job, *, rows: tuple[str, ...], word: str | None, remote_id: str | None) -> int:
    """
    Decide about the rows that are *unsure*: their answer was lost, they may have been charged, and they are never sent
    again blindly.

    Look for them in the provider's dashboard first. Without options it lists them, and on a terminal asks for each.

    \b
    Examples:
      batcher settle jobs/welcome.yaml
      batcher settle jobs/welcome.yaml --row C-017 --made-as 8f2c61
      batcher settle jobs/welcome.yaml --as resend
    """
    around = surroundings(job.path)
    with opened(job, around, offline=True) as at_hand, at_hand.held(around.tell):
        unsure = [each for each in at_hand.ledger.unsure(job.name) if not rows or each.task.row_id in rows]
        if remote_id and len(unsure) != 1:
            raise InputError(
                Problem(where="--made-as", message=f"fits one row, but {len(unsure)} are meant; name it with --row")
            )
        if not unsure:
            say("no row is unsure")
            return int(Exit.DONE)
        say(_worst_case(at_hand, unsure))
        for attempt in unsure:
            _settle_one(at_hand, attempt, word=word, remote_id=remote_id or "", now=around.clock())
        tally = at_hand.write_results().tally
        say(tally.identity())
        return int(Exit.SOME_FAILED if tally.words["unsure"] else Exit.DONE)


def _worst_case(at_hand: OpenJob, unsure: Sequence[Attempt]) -> str:
    """What resending all of them may cost, should all of them have been made."""
    known = [each.estimate for each in unsure if each.estimate is not None]
    currency = at_hand.bound.currency
    cost = f"up to ≈ {Money(amount=sum(known), currency=currency)}" if known and currency else "an unknown amount"
    return f"{len(unsure)} unsure: each may have been made and charged; sending all of them again costs {cost} more"


def _settle_one(at_hand: OpenJob, attempt: Attempt, *, word: str | None, remote_id: str, now: float) -> None:
    sent = f"{attempt.first_sent_at:%d %b %H:%M} UTC" if attempt.first_sent_at else "?"
    say(f"row {attempt.row_number} ({attempt.task}): sent {sent}, token {attempt.token}, the answer was lost")
    if remote_id:
        choice = "made"
    elif word:
        choice = word
    elif sys.stdin.isatty():
        choice = click.prompt(
            "  made, resend, drop or skip", type=click.Choice(["made", "resend", "drop", "skip"]), default="skip"
        )
        remote_id = click.prompt("  its id") if choice == "made" else ""
    else:
        choice = "skip"
    states = {"made": State.IN_PROGRESS, "resend": State.WAITING, "drop": State.FAILED}
    if choice not in states:
        return
    news = News(
        attempt_id=attempt.attempt_id,
        state=states[choice],
        source=Source.PERSON,
        cause=f"settled by a person: {choice}",
        at=now,
        remote_id=remote_id,
        error_code="given_up" if choice == "drop" else "",
        error="its answer was lost; a person has decided to leave it" if choice == "drop" else "",
        completed_at=now if choice == "drop" else None,
    )
    at_hand.ledger.record([news])
