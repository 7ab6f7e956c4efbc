"""retry: a person's word that rows are to be made once more."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import click

from batcher.cli.options import JOB, surroundings, together
from batcher.cli.say import say
from batcher.cli.sheets import each_sheet
from batcher.errors import Exit, InputError, Problem
from batcher.job import Job
from batcher.ledger.values import Standing
from batcher.lineage import Sources, stale
from batcher.model import FINAL, State, TaskKey
from batcher.open_job import OpenJob
from batcher.opening import opened
from batcher.units import Money


@click.command()
@together(
    JOB,
    click.option("--failed", is_flag=True, help="All rows that failed."),
    click.option(
        "--changed",
        is_flag=True,
        help="All rows that have changed since they were made, and the steps made from an earlier version of another one.",
    ),
    click.option("--rows", "numbers", metavar="17,20-25", help="These rows, by their number in the sheet."),
    click.option("--yes", is_flag=True, help="Agree to pay again for rows that are done."),
)
@each_sheet(takes=False)
def retry(job: Job, *, failed: bool, changed: bool, numbers: str | None, yes: bool) -> int:
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
    around = surroundings(job.path)
    with opened(job, around) as at_hand, at_hand.held(around.tell):
        at_hand.plan(at=around.clock())  # rows that were changed a moment ago are changed rows, too
        standings = at_hand.ledger.standings(job.name)
        older = _stale(at_hand.bound.sources, standings) if changed else set()
        final = [each for each in standings if each.state in FINAL]
        chosen = [each for each in final if each.key in older or _is_meant(each, failed=failed, wanted=wanted)]
        done = [each for each in chosen if each.state is State.DONE]
        if done and not yes:
            question = f"{len(done)} of these rows are done and would be paid for again{_price(at_hand, done)}. Go on?"
            if not click.confirm(question):
                return int(Exit.STOPPED)
        moved = at_hand.ledger.again([each.key for each in chosen], cause="batcher retry", at=around.clock())
        said = _price(at_hand, chosen) if moved else ": none of these rows is done or failed"
        say(f"{moved} will be made again by the next run{said}")
        return int(Exit.DONE)


def _price(at_hand: OpenJob, standings: Sequence[Standing]) -> str:
    """What making them once more is expected to cost, with a comma before it; nothing where no price is known."""
    known = [each.estimate for each in standings if each.estimate is not None]
    return f", ≈ {Money(amount=sum(known), currency=at_hand.bound.currency)}" if known else ""


def _stale(sources: Sources, standings: Iterable[Standing]) -> set[TaskKey]:
    by_row: dict[str, list[Standing]] = {}
    for each in standings:
        by_row.setdefault(each.key.row_id, []).append(each)
    return {key for row in by_row.values() for key in stale(sources, row)}


def _is_meant(standing: Standing, *, failed: bool, wanted: frozenset[int]) -> bool:
    return (failed and standing.state is State.FAILED) or standing.row_number in wanted


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
