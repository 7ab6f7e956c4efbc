"""approve: a person's word for runs without a terminal."""

from __future__ import annotations

import getpass

import click

from batcher.cli import show
from batcher.cli.options import JOB, QUIET, VERBOSE, surroundings, together
from batcher.cli.paint import say_lines
from batcher.cli.say import say
from batcher.cli.sheets import each_sheet
from batcher.consent import approval
from batcher.errors import Exit, Stopped
from batcher.job import Job
from batcher.listening import Listener
from batcher.open_job import OpenJob
from batcher.opening import check_results_file, opened
from batcher.planner import look
from batcher.units import Money


@click.command()
@together(
    JOB,
    click.option("--yes", is_flag=True, help="Agree without being asked: the plan has been seen elsewhere."),
    click.option("--withdraw", is_flag=True, help="Take back what was approved."),
    QUIET,
    VERBOSE,
)
@each_sheet(takes=False)
def approve(job: Job, *, yes: bool, withdraw: bool, quiet: bool, verbose: bool) -> int:
    """
    Show the plan and keep your agreement to it, so that cron may run the job without asking.

    It holds for this job file as it stands, for the account of now, for so many rows and so much money as the plan
    shows. An edited job file, more rows or a higher price need a new one.

    \b
    Examples:
      batcher approve jobs/welcome.yaml
      batcher approve jobs/welcome.yaml --withdraw
    """
    around = surroundings(job.path, quiet=quiet)
    with opened(job, around, offline=withdraw) as at_hand:
        if withdraw:
            return _withdraw(at_hand)
        check_results_file(job)
        bound = at_hand.bind(checked=True)
        plan = look(bound, at_hand.ledger, listener=Listener(bound=bound))
        if plan.to_come:
            at_hand.refuse_forgotten()
        if not quiet:
            say_lines([f"{show.heading(at_hand, 'APPROVE')}: nothing sent, nothing charged"])
            say_lines([*show.plan_lines(at_hand, plan, verbose=verbose), ""])
        if not plan.to_come:
            say("nothing is to be sent, so nothing is to be approved")
            return int(Exit.DONE)
        price = "an unknown price" if plan.cost is None else f"up to {Money(amount=plan.cost, currency=bound.currency)}"
        if not yes and not click.confirm(f"Approve {plan.to_come} to send for {price}?"):
            raise Stopped("nothing was approved")
        by, at = getpass.getuser(), around.clock()
        given = approval(at_hand, tasks=plan.to_come, cost=plan.cost, by=by, at=at)
        at_hand.ledger.approve(job.name, given)
        say(f"Approved by {by}: {plan.to_come} to send for {price}; an edited job file needs a new word")
        return int(Exit.DONE)


def _withdraw(at_hand: OpenJob) -> int:
    had = at_hand.ledger.approval(at_hand.job.name)
    at_hand.ledger.approve(at_hand.job.name, None)
    say("withdrawn: runs ask again" if had else "nothing was approved")
    return int(Exit.DONE)
