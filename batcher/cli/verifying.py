"""verify: whether the promises hold for a job."""

from __future__ import annotations

import click

from batcher.cli import show
from batcher.cli.options import JOB, VERBOSE, surroundings, together
from batcher.cli.say import say
from batcher.cli.sheets import each_sheet
from batcher.errors import Exit
from batcher.job import Job
from batcher.opening import opened
from batcher.ops.verify import Verdict
from batcher.ops.verify import verify as judge

SHOWN = 10
_WORDS = {True: "holds", False: "DOES NOT HOLD", None: "not decided"}
_OFFLINE = click.option("--offline", is_flag=True, help="Use no network: only ledger, results and sheet are judged.")


@click.command()
@together(JOB, _OFFLINE, VERBOSE)
@each_sheet(takes=False)
def verify(job: Job, *, offline: bool, verbose: bool) -> int:
    """
    Read the whole ledger, the results, the sheet and the lists of the API, and say of every promise whether it holds.

    Sends nothing and changes nothing; only ids that an earlier run could not record are read back into the ledger. Ends
    with 3 when a promise does not hold, with 2 when the ledger is damaged.

    \b
    Examples:
      batcher verify jobs/welcome.yaml
      batcher verify jobs/welcome.yaml --offline
    """
    around = surroundings(job.path)
    with opened(job, around, offline=offline) as at_hand:
        if at_hand.unrecorded.read():
            with at_hand.held(around.tell):
                pass  # what is kept beside the ledger is in it now
        say(f"{show.heading(at_hand, 'VERIFY')}: nothing sent")
        verdicts = list(judge(at_hand))
        for verdict in verdicts:
            say("\n".join(_lines(verdict, verbose=verbose)))
        return int(Exit.SOME_FAILED if any(each.holds is False for each in verdicts) else Exit.DONE)


def _lines(verdict: Verdict, *, verbose: bool) -> list[str]:
    shown = verdict.found if verbose else verdict.found[:SHOWN]
    more = len(verdict.found) - len(shown)
    return [
        f"{verdict.name:<4} {_WORDS[verdict.holds]:<14} {verdict.promise}",
        *(f"       {each}" for each in shown),
        *([f"       … {more} more (--verbose)"] if more else []),
    ]
