"""retry: a person's word that rows are to be made once more."""

from __future__ import annotations

from pathlib import Path

import click

from batcher.cli.options import JOB, surroundings, together
from batcher.cli.say import say
from batcher.errors import Exit, InputError, Problem
from batcher.job import load_job
from batcher.ledger.protocol import Standing
from batcher.model import State
from batcher.opening import opened
from batcher.units import Money


@click.command()
@together(
    JOB,
    click.option("--failed", is_flag=True, help="All rows that failed."),
    click.option("--changed", is_flag=True, help="All rows whose content has changed since they were made."),
    click.option("--rows", "numbers", metavar="17,20-25", help="These rows, by their number in the sheet."),
    click.option("--yes", is_flag=True, help="Agree to pay again for rows that are done."),
)
def retry(job_file: Path, *, failed: bool, changed: bool, numbers: str | None, yes: bool) -> int:
    """
    Ask for rows once more: each gets a new attempt, and is paid for again, by the next run.

    Rows that are waiting, in work or unsure are left alone.

    \b
    Examples:
      batcher retry jobs/welcome.yaml --failed
      batcher retry jobs/welcome.yaml --rows 17,20-25
    """
    if not (failed or changed or numbers):
        raise click.UsageError("say which rows: --failed, --changed or --rows")
    wanted = parse_rows(numbers) if numbers else frozenset()
    job = load_job(job_file)
    around = surroundings()
    with opened(job, around) as at_hand, at_hand.held(around.tell):
        at_hand.plan(at=around.clock())  # rows that were changed a moment ago are changed rows, too
        final = [each for each in at_hand.ledger.standings(job.name) if each.state in (State.DONE, State.FAILED)]
        chosen = [each for each in final if _is_meant(each, failed=failed, changed=changed, wanted=wanted)]
        done = [each for each in chosen if each.state is State.DONE]
        if done and not yes:
            currency = at_hand.bound.currency
            again = sum(each.cost or 0 for each in done)
            amount = f", about {Money(amount=again, currency=currency)}" if currency else ""
            question = f"{len(done)} of these rows are done and would be paid for again{amount}. Go on?"
            if not click.confirm(question):
                return int(Exit.STOPPED)
        moved = at_hand.ledger.again([each.key for each in chosen], cause="batcher retry", at=around.clock())
        say(f"{moved} will be made again by the next run" + ("" if moved else ": none of these rows is done or failed"))
        return int(Exit.DONE)


def _is_meant(standing: Standing, *, failed: bool, changed: bool, wanted: frozenset[int]) -> bool:
    if failed and standing.state is State.FAILED:
        return True
    return (changed and standing.changed) or standing.row_number in wanted


def parse_rows(text: str) -> frozenset[int]:
    """
    Row numbers of `17,20-25`.

    Raises:
        InputError: It is not a list of numbers and ranges.
    """
    numbers: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.strip().isdecimal()):
            raise InputError(Problem(where="--rows", message=f"'{part.strip()}' is no row; write for example 17,20-25"))
        numbers.update(range(int(first), int(last or first) + 1))
    return frozenset(numbers)
