"""check, status, results: the commands that look and send nothing."""

from __future__ import annotations

from pathlib import Path

import click

from batcher.cli import show
from batcher.cli.options import JOB, JSON, OFFLINE, QUIET, REHEARSE, VERBOSE, surroundings, together
from batcher.cli.say import say
from batcher.errors import Exit
from batcher.job import load_job
from batcher.opening import check_results_file, opened
from batcher.plan import look
from batcher.results import count_rows, write_results
from batcher.run import Ending, exit_code


@click.command()
@together(JOB, OFFLINE, REHEARSE, QUIET, VERBOSE, JSON)
def check(job_file: Path, *, offline: bool, rehearse: bool, quiet: bool, verbose: bool, as_json: bool) -> int:
    """
    Validate the job and every row, and show the plan: what is new, done, changed, invalid, and what it will cost.

    Sends nothing and changes nothing. Ends with 3 when rows are invalid, with 2 when the job as a whole is wrong.

    \b
    Examples:
      batcher check jobs/welcome.yaml
      batcher check jobs/welcome.yaml --offline
    """
    job = load_job(job_file)
    check_results_file(job)
    with opened(job, surroundings(quiet=quiet), offline=offline, rehearse=rehearse) as at_hand:
        plan = look(at_hand.bind(checked=True), at_hand.ledger)
        if as_json:
            say(show.plan_summary(at_hand, plan))
        elif quiet:
            say(show.plan_tally(plan).identity())
        else:
            say(f"{show.heading(at_hand, 'CHECK')}: nothing sent, nothing charged")
            say("\n".join(show.plan_lines(at_hand, plan, verbose=verbose)))
            if plan.to_send:
                say(f"Next     batcher run {job_file}")
        return int(Exit.SOME_FAILED if plan.problem_count else Exit.DONE)


@click.command()
@together(JOB, JSON)
def status(job_file: Path, *, as_json: bool) -> int:
    """
    Where the rows of a job stand, from the ledger alone: no network, nothing is changed.

    Its exit code is that of a run that would end now: 0, 3 or 75.

    \b
    Example:
      batcher status jobs/welcome.yaml
    """
    job = load_job(job_file)
    with opened(job, surroundings(), offline=True) as at_hand:
        tally = count_rows(at_hand.bound, at_hand.ledger)
        cost, expected = at_hand.ledger.spent(job.name)
        ending = Ending(exit=exit_code(tally), tally=tally, cost=cost, expected=expected)
        if as_json:
            say(show.summary(at_hand, ending))
        else:
            say(f"{show.heading(at_hand, 'STATUS')}\n{tally.identity()}")
        return int(ending.exit)


@click.command()
@together(JOB, QUIET)
def results(job_file: Path, *, quiet: bool) -> int:
    """
    Write the results file again from the sheet and the ledger: no network, nothing is sent.

    \b
    Example:
      batcher results jobs/welcome.yaml
    """
    job = load_job(job_file)
    check_results_file(job)
    with (
        opened(job, surroundings(quiet=quiet), offline=True) as at_hand,
        at_hand.ledger.lock(job.name),
    ):
        tally = write_results(at_hand.bound, at_hand.ledger)
        say(tally.identity() if quiet else f"{tally.identity()}\nResults  {job.results.file}")
        return int(exit_code(tally))
