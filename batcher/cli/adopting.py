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
from batcher.witness import bound_to_results


@click.command()
@together(JOB)
@each_sheet(takes=False)
def adopt(job: Job) -> int:
    """
    Take over work that was made on another machine, or that this ledger has forgotten: the ids in our columns of the
    sheet and of the results file are looked up at the API and written down, so that nothing of it is made, and paid for,
    again. Costs nothing.

    \b
    Example:
      batcher adopt jobs/welcome.yaml
    """
    check_results_file(job)
    around = surroundings(job.path)
    with opened(job, around) as at_hand, at_hand.held(around.tell):
        at_hand.plan_for_adoption(at=around.clock())
        with bound_to_results(at_hand.bound) as results:
            places = [each for each in (at_hand.bound, results) if each]
            done = adopt_shown(
                places, at_hand.ledger, at_hand.online(), account=at_hand.account_name, at=around.clock()
            )
        left = at_hand.forgotten() if not done.error else []
        said = [f"{done.adopted} taken over"]
        if done.missing:
            said.append(
                f"the API does not know the ids in rows {_rows(done.missing)}: empty those cells to have them made"
            )
        if done.shared:
            said.append(f"rows {_rows(done.shared)} show the same id: leave it only where it belongs")
        if left:
            said.append(
                f"{job.results.file.name}: lines {_rows(left)} show work that is not in the ledger now; note their ids and move "
                "the file away when they no longer count"
            )
        if done.error:
            said.append(f"the rest could not be looked up: {done.error.message}; run this again")
        say("\n".join(said))
        return int(Exit.EDIT if done.missing or done.shared or left else Exit.NOT_FINISHED if done.error else Exit.DONE)


def _rows(numbers: list[int]) -> str:
    return ", ".join(map(str, sorted(set(numbers))[:20]))
