"""adopt: work that the sheet shows and the ledger does not know."""

from __future__ import annotations

import click

from batcher.adoption import adopt as adopt_shown
from batcher.cli.options import JOB, surroundings, together
from batcher.cli.say import say
from batcher.cli.sheets import each_sheet
from batcher.errors import Exit
from batcher.job import Job
from batcher.opening import check_results_file, opened


@click.command()
@together(JOB)
@each_sheet(takes=False)
def adopt(job: Job) -> int:
    """
    Take over work that was made on another machine, or before this ledger: the ids in our columns of the sheet are
    looked up at the API and written down, so that nothing of it is made, and paid for, again. Costs nothing.

    \b
    Example:
      batcher adopt jobs/welcome.yaml
    """
    check_results_file(job)
    around = surroundings(job.path)
    with opened(job, around) as at_hand, at_hand.held(around.tell):
        at_hand.plan_for_adoption(at=around.clock())
        done = adopt_shown(
            at_hand.bound, at_hand.ledger, at_hand.online(), account=at_hand.account_name, at=around.clock()
        )
        said = [f"{done.adopted} taken over"]
        if done.missing:
            said.append(
                f"the API does not know the ids in rows {_rows(done.missing)}: empty those cells to have them made"
            )
        if done.shared:
            said.append(f"rows {_rows(done.shared)} show the same id: leave it only where it belongs")
        if done.error:
            said.append(f"the rest could not be looked up: {done.error.message}; run this again")
        say("\n".join(said))
        return int(Exit.EDIT if done.missing or done.shared else Exit.NOT_FINISHED if done.error else Exit.DONE)


def _rows(numbers: list[int]) -> str:
    return ", ".join(map(str, sorted(set(numbers))[:20]))
