"""run, submit, reconcile: the commands that work."""

from __future__ import annotations

import click

from batcher.cli import forecast, show
from batcher.cli.options import JOB, JSON, QUIET, REHEARSE, VERBOSE, Duration, polite_stop, surroundings, together
from batcher.cli.paint import say_lines
from batcher.cli.say import say
from batcher.cli.sending import agree
from batcher.cli.sheets import each_sheet
from batcher.ending import Ending, Verbs, exit_code, is_settled, is_written, leave_settled
from batcher.errors import BatcherError, Exit, InputError, LedgerError, Stopped
from batcher.idle import remembering
from batcher.inbox import is_finished, put_away
from batcher.job import Job
from batcher.model import State
from batcher.open_job import OpenJob
from batcher.opening import check_results_file, opened
from batcher.plan import Plan
from batcher.results import count_rows
from batcher.sampling import MOST, Chosen, choose_sample, measure_sample, sample_tally
from batcher.stores import local
from batcher.surroundings import Surroundings
from batcher.wanted import NO_FILES, count_files

_FOR = click.option("--for", "for_s", type=Duration(), metavar="10m", help="Stop in time; the next run goes on.")
_YES = click.option("--yes", is_flag=True, help="Agree to the price beforehand.")
_SAMPLE = click.option(
    "--sample", type=click.IntRange(1, MOST), metavar="N", help="Only N rows first, and what they tell about the rest."
)
_NO_DOWNLOAD = click.option("--no-download", is_flag=True, help="Fetch no files this time.")
_CLUSTER = click.option("--cluster", is_flag=True, help="Let the workers do it, and show how they come on.")
_EVERY = click.option(
    "--every",
    "every_s",
    type=Duration(),
    metavar="1h",
    help="With --cluster: they look at the sheet again by themselves.",
)
_OPTIONS = together(JOB, REHEARSE, _FOR, _YES, QUIET, VERBOSE, JSON)


@click.command()
@together(JOB, REHEARSE, _SAMPLE, _CLUSTER, _EVERY, _FOR, _YES, _NO_DOWNLOAD, QUIET, VERBOSE, JSON)
@each_sheet(takes=True)
def run(
    job: Job,
    *,
    rehearse: bool,
    sample: int | None,
    cluster: bool,
    every_s: float | None,
    for_s: float | None,
    yes: bool,
    no_download: bool,
    quiet: bool,
    verbose: bool,
    as_json: bool,
) -> int:
    """
    Do the whole job: send rows, watch them, fetch their files where `results.download` says so, write the results.

    Rows that are done stay done: after a kill, a crash or Ctrl-C the same command goes on where it was. Above
    `confirm_above` (25 USD unless the job says otherwise) it asks first; without a terminal it needs --yes, or what
    `batcher approve` has kept.

    With --sample 3 only three rows are made: those that say `sample` in the status column, else the longest, the
    shortest and the oddest. What they took and cost is told, and used for every later estimate. Asked again for the
    same number, nothing more is made.

    \b
    Examples:
      batcher run jobs/welcome.yaml
      batcher run jobs/welcome.yaml --sample 3
      batcher run jobs/welcome.yaml --rehearse
      batcher run jobs/welcome.yaml --for 10m --yes --quiet      (cron)
      batcher run jobs/welcome.yaml --cluster                    (many machines)
    """
    if cluster:
        from batcher.cli.working import run_in_cluster

        if rehearse or no_download or sample:
            raise click.UsageError("--cluster goes with none of --rehearse, --sample and --no-download")
        return run_in_cluster(job, for_s=for_s, every_s=every_s, yes=yes, quiet=quiet, verbose=verbose, as_json=as_json)
    if every_s is not None:
        raise click.UsageError("--every needs --cluster; on one machine: batcher schedule")
    return _work(
        job,
        Verbs.BOTH,
        rehearse=rehearse,
        for_s=for_s,
        yes=yes,
        fetches=not no_download,
        sample=sample,
        quiet=quiet,
        verbose=verbose,
        as_json=as_json,
    )


@click.command()
@_OPTIONS
@each_sheet(takes=True)
def submit(
    job: Job, *, rehearse: bool, for_s: float | None, yes: bool, quiet: bool, verbose: bool, as_json: bool
) -> int:
    """
    Only send what may be sent now; `batcher reconcile` collects what becomes of it.

    Ends with 75 when more waits than the account takes at once.

    \b
    Example, twice an hour from cron:
      batcher reconcile jobs/welcome.yaml; batcher submit jobs/welcome.yaml --yes
    """
    return _work(
        job, Verbs.SUBMIT, rehearse=rehearse, for_s=for_s, yes=yes, quiet=quiet, verbose=verbose, as_json=as_json
    )


@click.command()
@together(JOB, _FOR, _NO_DOWNLOAD, QUIET, VERBOSE, JSON)
@each_sheet(takes=True)
def reconcile(job: Job, *, for_s: float | None, no_download: bool, quiet: bool, verbose: bool, as_json: bool) -> int:
    """
    Only look at what is in work, once, fetch the files of what is done, and write the results; sends nothing.

    Ends with 75 while something is still in work.

    \b
    Example:
      batcher reconcile jobs/welcome.yaml
    """
    return _work(
        job,
        Verbs.RECONCILE,
        rehearse=False,
        for_s=for_s,
        yes=True,
        fetches=not no_download,
        quiet=quiet,
        verbose=verbose,
        as_json=as_json,
    )


def _work(
    job: Job,
    verbs: Verbs,
    *,
    rehearse: bool,
    for_s: float | None,
    yes: bool,
    fetches: bool = False,
    sample: int | None = None,
    quiet: bool,
    verbose: bool,
    as_json: bool,
) -> int:
    around = surroundings(job.path, quiet=quiet)
    begun = around.clock()
    check_results_file(job)
    with (
        remembering(click.get_current_context().obj or (), around.environ) as kept,
        opened(job, around, rehearse=rehearse) as at_hand,
        at_hand.held(around.tell),
    ):
        try:
            at_hand.check_results_file()
            plan = at_hand.plan(at=begun)
            if is_settled(at_hand, plan, at=begun, fetches=fetches) and (is_written(at_hand) or job.is_in_place):
                ending = _say_settled(at_hand, plan, at=begun, fetches=fetches, quiet=quiet, as_json=as_json)
                if quiet and not as_json:
                    leave_settled(at_hand, around, kept, code=ending.exit)
                return int(_put_away(at_hand, ending, around))
            if not (quiet or as_json):
                say_lines([show.heading(at_hand, verbs.value.upper())])
                say_lines([*show.plan_lines(at_hand, plan, verbose=verbose), ""])
            chosen = choose_sample(at_hand, sample, again=plan.again) if sample else None
            if chosen is not None and chosen.is_made:
                return _say_made(at_hand, chosen, at=begun, quiet=quiet, as_json=as_json)
            if chosen is not None and not (quiet or as_json):
                say_lines([forecast.chosen_line(at_hand, chosen), ""])
            if verbs is not Verbs.RECONCILE:
                first = chosen or plan
                agree(at_hand, tasks=first.to_come, cost=first.cost, yes=yes)
                plan = at_hand.obey(plan, at=around.clock())
        except (InputError, Stopped) as error:
            _tell_refusal(at_hand, error, around)
            raise
        deadline = begun + for_s if for_s else None
        try:
            ending = _carry_out(
                at_hand, around, plan, verbs, chosen=chosen, deadline=deadline, fetches=fetches, quiet=quiet
            )
        except LedgerError as error:
            _tell_refusal(at_hand, error, around)
            raise
        _finish(at_hand, around, ending, is_rehearsal=rehearse)
        _say_ended(at_hand, ending, around, chosen=chosen, begun=begun, quiet=quiet, as_json=as_json)
        return int(ending.exit if rehearse else _put_away(at_hand, ending, around))


def _say_ended(
    at_hand: OpenJob,
    ending: Ending,
    around: Surroundings,
    *,
    chosen: Chosen | None,
    begun: float,
    quiet: bool,
    as_json: bool,
) -> None:
    """How it went, and what a sample tells of the rest."""
    shown = measure_sample(at_hand, chosen, before=at_hand.info) if chosen is not None else None
    rest = at_hand.plan(at=around.clock()) if chosen is not None else None
    sample = (chosen, shown, rest) if chosen and shown and rest else None
    if as_json:
        more = {"sample": forecast.summary(at_hand, *sample)} if sample else {}
        say(show.summary(at_hand, ending, **more))
        return
    if quiet:
        say_lines([ending.tally.identity(), *_note(ending)])
        return
    lines = show.ending_lines(at_hand, ending, took_s=around.clock() - begun)
    say_lines([*lines, *(forecast.lines(at_hand, *sample) if sample else [])])


def _note(ending: Ending) -> list[str]:
    """Why the results are not where they should be: of that a quiet run tells as well."""
    return [ending.results_note] if ending.results_note else []


def _put_away(at_hand: OpenJob, ending: Ending, around: Surroundings) -> Exit:
    """Move a finished file out of the inbox; returns the exit code of the whole."""
    sheet = at_hand.job.sheet
    is_over = ending.exit in (Exit.DONE, Exit.SOME_FAILED) and is_finished(ending.tally.words)
    if not sheet.is_dropped or not is_over or ending.results_note:  # a note: the workbook itself has them not yet
        return ending.exit
    target = put_away(local(sheet.file), fingerprint=at_hand.sheet_fingerprint, at=around.clock())
    if target is None:
        around.tell(f"{sheet.file.name} has changed since it was read: it stays for the next time")
        return Exit.NOT_FINISHED
    around.tell(f"{sheet.file.name} is finished → {target}")
    return ending.exit


def _finish(at_hand: OpenJob, around: Surroundings, ending: Ending, *, is_rehearsal: bool) -> None:
    """What else a run leaves; that it cannot be left undoes nothing."""
    from batcher.ops.telling import report_run, tell_ending

    try:
        report_run(at_hand, ending, at=around.clock())
    except InputError as error:
        around.tell(str(error))
    if not is_rehearsal:
        tell_ending(at_hand, ending, around)


def _tell_refusal(at_hand: OpenJob, error: BatcherError, around: Surroundings) -> None:
    from batcher.ops.telling import tell_refusal

    if not at_hand.is_rehearsal:
        tell_refusal(at_hand.job, error, around)


def _say_made(at_hand: OpenJob, chosen: Chosen, *, at: float, quiet: bool, as_json: bool) -> int:
    """As many sample rows as were asked for are there: what they have shown is said again, and nothing is sent."""
    ending = Ending(exit=exit_code(sample_tally(at_hand, chosen)), tally=count_rows(at_hand.bound, at_hand.ledger))
    ending.cost, ending.expected = at_hand.ledger.spent(at_hand.job.name)
    shown = at_hand.ledger.sample(at_hand.job.name)
    if as_json:
        told = forecast.summary(at_hand, chosen, shown, at_hand.plan(at=at))
        say(show.summary(at_hand, ending, sample=told))
    elif quiet:
        say(ending.tally.identity())
    else:
        lines = forecast.lines(at_hand, chosen, shown, at_hand.plan(at=at))
        say_lines([forecast.made_line(at_hand, chosen), ending.tally.identity(), *lines])
    return int(ending.exit)


def _say_settled(at_hand: OpenJob, plan: Plan, *, at: float, fetches: bool, quiet: bool, as_json: bool) -> Ending:
    """
    A tick with nothing to do: no network, no look at the sheet's rows, and no word when it was asked to be quiet.

    A workbook that was open when its results came is tried again.
    """
    tally = show.plan_tally(plan)
    written = None if is_written(at_hand) else at_hand.write_results()
    says = as_json or not quiet
    cost, expected = at_hand.ledger.spent(at_hand.job.name) if says else (0.0, 0.0)
    files = count_files(at_hand.bound, at_hand.ledger) if fetches and at_hand.job.results.downloads else NO_FILES
    ending = Ending(exit=exit_code(tally, files=files), tally=tally, cost=cost, expected=expected, files=files)
    if written:
        ending.results_file, ending.results_note = written.file, written.note
    if as_json:
        say(show.summary(at_hand, ending))
    elif says:
        say(f"{at_hand.job.name} · NOTHING TO DO\n{tally.identity()}\n{show.results_line(at_hand, ending)}")
    return ending


def _carry_out(
    at_hand: OpenJob,
    around: Surroundings,
    plan: Plan,
    verbs: Verbs,
    *,
    chosen: Chosen | None,
    deadline: float | None,
    fetches: bool,
    quiet: bool,
) -> Ending:
    from batcher.cli.progress import Shown  # a tick without work sends nothing, and need not wait for what sends
    from batcher.run import SENDERS, Run
    from batcher.senders import ThreadedSenders

    total = (chosen or plan).to_come + plan.words[State.IN_PROGRESS] + plan.words[State.SENDING]
    with polite_stop() as interrupted, Shown(total, quiet=quiet) as shown:
        ending = Run(
            opened=at_hand,
            around=around,
            senders=ThreadedSenders(SENDERS),
            verbs=verbs,
            fetches=fetches,
            deadline=deadline,
            rows=chosen.row_ids if chosen is not None else None,
            interrupted=interrupted,
            report=shown,
        ).go()
    if chosen is not None and not ending.reason and not ending.results_error:
        ending.exit = exit_code(sample_tally(at_hand, chosen), files=ending.files)  # the others were not asked for
    return ending
