"""check, status, results: the commands that look and send nothing."""

from __future__ import annotations

from pathlib import Path

import click

from batcher.cli import show
from batcher.cli.options import JOB, JSON, OFFLINE, QUIET, REHEARSE, VERBOSE, surroundings, together
from batcher.cli.paint import say_lines
from batcher.cli.progress import LinksShown
from batcher.cli.say import say
from batcher.cli.sheets import each_sheet
from batcher.ending import Ending, exit_code
from batcher.errors import Exit
from batcher.fetch.probe import Prober
from batcher.filenames import check_file_names
from batcher.job import Job
from batcher.links import check_links
from batcher.listening import Listener
from batcher.open_job import OpenJob
from batcher.opening import check_results_file, opened
from batcher.ops.telling import untellable
from batcher.plan import Plan
from batcher.planner import leave_out_held, look
from batcher.renewal import renew_all
from batcher.results import count_rows
from batcher.units import show_length
from batcher.wanted import count_files


@click.command()
@together(
    JOB,
    OFFLINE,
    click.option("--links", is_flag=True, help="Also look at every address in the cells: is it the file it should be?"),
    click.option(
        "--fresh", is_flag=True, help="Ask for languages, voices and the like anew, however young the kept lists."
    ),
    REHEARSE,
    QUIET,
    VERBOSE,
    JSON,
)
@each_sheet(takes=False)
def check(
    job: Job,
    *,
    offline: bool,
    links: bool,
    fresh: bool,
    rehearse: bool,
    quiet: bool,
    verbose: bool,
    as_json: bool,
) -> int:
    """
    Validate the job and every row, and show the plan: what is new, done, changed, invalid, and what it will cost.

    Sends nothing and changes nothing. Ends with 3 when rows are invalid, with 2 when the job as a whole is wrong.

    \b
    Examples:
      batcher check jobs/welcome.yaml
      batcher check jobs/welcome.yaml --offline
      batcher check jobs/translations.yaml --links
    """
    if offline and links:
        raise click.UsageError("--links needs the network, --offline forbids it")
    if offline and fresh:
        raise click.UsageError("--fresh needs the network, --offline forbids it")
    check_results_file(job, offline=offline)
    around = surroundings(job.path, quiet=quiet)
    with opened(job, around, offline=offline, rehearse=rehearse) as at_hand:
        at_hand.lists.is_fresh = fresh
        bound = at_hand.bind(checked=True)
        at_hand.file_names = check_file_names(bound)
        at_hand.notes += untellable(job, around)
        plan = look(bound, at_hand.ledger, listener=Listener(bound=bound))
        if plan.to_come and (not offline or isinstance(job.results.file, Path)):
            at_hand.refuse_forgotten()
        leave_out_held(plan, at_hand.ledger, account=at_hand.account_name, at=around.clock())
        if links:
            _look_at_links(at_hand, plan, quiet=quiet or as_json)
        if as_json:
            say(show.plan_summary(at_hand, plan))
        elif quiet:
            say(show.plan_tally(plan).identity())
        else:
            say_lines([f"{show.heading(at_hand, 'CHECK')}: nothing sent, nothing charged"])
            say_lines(show.plan_lines(at_hand, plan, verbose=verbose))
            if plan.to_come:
                command = f"batcher run {click.get_current_context().params['job_file']}"
                say_lines([show.next_line(at_hand, plan, command)])
        return int(Exit.SOME_FAILED if plan.problem_count or plan.link_faults else Exit.DONE)


def _look_at_links(at_hand: OpenJob, plan: Plan, *, quiet: bool) -> None:
    """What is found out about addresses joins the plan: complaints, and lengths that make its cost exact."""
    prober = Prober(allow_loopback=not at_hand.is_real)
    try:
        with LinksShown(quiet=quiet) as shown:
            found = check_links(at_hand.bound, at_hand.ledger, prober, report=shown)
    finally:
        prober.close()
    plan.link_faults = found.problems
    if found.cost_change is not None and plan.cost is not None:
        plan.cost += found.cost_change
    length = show_length(sum(found.seconds.values()))
    measured = f", the length of {len(found.seconds)} known: {length}" if found.seconds else ""
    looked = "1 address" if found.addresses == 1 else f"{found.addresses} addresses"
    at_hand.notes.append(f"{looked} looked at{measured}")


@click.command()
@together(JOB, JSON)
@each_sheet(takes=False)
def status(job: Job, *, as_json: bool) -> int:
    """
    Where the rows of a job stand, from the ledger alone: no network, nothing is changed.

    Its exit code is that of a run that would end now: 0, 3 or 75.

    \b
    Example:
      batcher status jobs/welcome.yaml
    """
    with opened(job, surroundings(job.path), offline=True) as at_hand:
        tally = count_rows(at_hand.bound, at_hand.ledger)
        cost, expected = at_hand.ledger.spent(job.name)
        files = count_files(at_hand.bound, at_hand.ledger, offline=True)
        ending = Ending(exit=exit_code(tally, files=files), tally=tally, cost=cost, expected=expected, files=files)
        if as_json:
            say(show.summary(at_hand, ending, held=show.held_summary(tally)))
        else:
            say(f"{show.heading(at_hand, 'STATUS')}\n{tally.identity()}")
            if line := show.held_line(tally):
                say(line)
            if files.words():
                say(f"Files    {files.words()}")
        return int(ending.exit)


@click.command()
@together(JOB, QUIET, click.option("--refresh", is_flag=True, help="Ask the API for all links again first."))
@each_sheet(takes=False)
def results(job: Job, *, quiet: bool, refresh: bool) -> int:
    """
    Write the results file again from the sheet and the ledger: nothing is sent, and without --refresh no network used.

    Links work for some days; `run` renews those that are about to stop by itself.

    \b
    Examples:
      batcher results jobs/welcome.yaml
      batcher results jobs/welcome.yaml --refresh
    """
    check_results_file(job)
    around = surroundings(job.path, quiet=quiet)
    with opened(job, around, offline=not refresh) as at_hand, at_hand.held(around.tell):
        renewed = ""
        if refresh:
            count, left = renew_all(
                at_hand.bound, at_hand.ledger, at_hand.online(), at=around.clock(), tell=around.tell
            )
            renewed = f"\nLinks    {count} rows renewed" + (f", {left} could not be" if left else "")
        written = at_hand.write_results()
        files, identity = count_files(at_hand.bound, at_hand.ledger), written.tally.identity()
        ending = Ending(exit=exit_code(written.tally, files=files), tally=written.tally, results_file=written.file)
        ending.results_note = written.note
        say(identity if quiet else f"{identity}{renewed}\n{show.results_line(at_hand, ending)}")
        return int(ending.exit)
