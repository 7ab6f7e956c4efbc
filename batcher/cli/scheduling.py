"""schedule: runs that start themselves."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from batcher.catalog.model import Provider
from batcher.cli.options import Duration, surroundings
from batcher.cli.say import say
from batcher.errors import Exit, InputError, Problem
from batcher.finding import find_operations
from batcher.idle import STATE_VARIABLE
from batcher.job import Job, load_job
from batcher.ledger.place import has_password, is_address
from batcher.ops.schedule import (
    Crontab,
    Tick,
    block_of,
    check_period,
    cron_line,
    passed_on,
    slug,
    systemd_units,
    with_block,
    without_block,
)
from batcher.surroundings import Surroundings


@click.command()
@click.argument("job_files", metavar="JOB...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--every", "every_s", type=Duration(), default="15m", show_default=True, help="How often.")
@click.option("--yes", is_flag=True, help="Agree to every price beforehand: each tick gets --yes.")
@click.option("--install", is_flag=True, help="Put it into your crontab; nothing else in there is touched.")
@click.option("--remove", is_flag=True, help="Take these jobs out of your crontab again.")
@click.option("--systemd", is_flag=True, help="Print a unit and a timer instead.")
def schedule(
    job_files: Sequence[Path], *, every_s: float, yes: bool, install: bool, remove: bool, systemd: bool
) -> int:
    """
    Show the lines with which cron runs jobs by itself, or put them into your crontab.

    A tick goes on where the last one was; one that finds another at work, or nothing to do, ends at once and harmlessly.
    Keys never go into a crontab: they belong into a file `.env` beside the job.

    \b
    Examples:
      batcher schedule jobs/*.yaml --every 15m
      batcher schedule jobs/*.yaml --every 15m --yes --install
      batcher schedule jobs/*.yaml --remove
    """
    if install + remove + systemd > 1:
        raise click.UsageError("--install, --remove and --systemd exclude each other")
    if remove:
        return _remove([file.absolute() for file in job_files])
    ticks = [_tick(file, every_s=check_period(every_s), agreed=yes, is_shown_only=not install) for file in job_files]
    _check_labels(ticks)
    for tick in ticks:
        tick.log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)  # the shell opens the log before batcher starts
    if systemd:
        for name, text in (unit for tick in ticks for unit in systemd_units(tick)):
            say(f"# ~/.config/systemd/user/{name}\n{text}")
        say("# then: systemctl --user daemon-reload && systemctl --user enable --now NAME.timer")
        return int(Exit.DONE)
    return _install(ticks) if install else _show(ticks)


def _tick(job_file: Path, *, every_s: int, agreed: bool, is_shown_only: bool) -> Tick:
    """A job as cron will run it; says what cron will not have, and refuses to install what could not run."""
    job, around = load_job(job_file), surroundings(job_file)
    provider, _ = find_operations(job, environ=around.environ, offline=is_shown_only)
    if is_shown_only:
        _tell_what_is_not_allowed(job, around)
    environ, secret = passed_on(around.environ, [provider.base_url_variable])
    if around.environ.get(STATE_VARIABLE) or around.environ.get("XDG_STATE_HOME"):
        environ[STATE_VARIABLE] = _place(around)
        secret = [name for name in secret if name != STATE_VARIABLE]
    _tell_what_is_missing(job, provider, secret, agreed=agreed)
    return Tick(
        program=_program(),
        job_file=job_file.absolute(),
        label=job.name,
        every_s=every_s,
        log=around.state / "logs" / f"cron-{slug(job.name)}.log",
        environ=environ,
        agreed=agreed,
    )


def _place(around: Surroundings) -> str:
    """Where a tick finds the ledger; one that looked elsewhere would pay for everything again."""
    if is_address(around.place) and has_password(around.place):
        message = "holds a password, which has no place in a crontab; put it into ~/.pgpass and leave it out here"
        raise InputError(Problem(where=STATE_VARIABLE, message=message))
    return around.place


def _tell_what_is_not_allowed(job: Job, around: Surroundings) -> None:
    try:
        find_operations(job, environ=around.environ)
    except InputError as error:
        say(f"{job.name}: as it stands, a tick would send nothing: {error}", err=True)


def _tell_what_is_missing(job: Job, provider: Provider, secret: Sequence[str], *, agreed: bool) -> None:
    folder = job.path.parent if job.path else Path.cwd()
    if not any((place / ".env").is_file() for place in (folder, folder.parent)):
        what = f"{provider.key_variable}=… into {folder / '.env'} (chmod 600)"
        say(f"{job.name}: cron does not know your key; put {what}, never into the crontab", err=True)
    for name in secret:
        say(f"{job.name}: {name} holds a password and is not passed on to cron", err=True)
    if not agreed:
        limit = job.limits.confirm_above
        say(
            f"{job.name}: a tick that may cost more than {limit} sends nothing without --yes, or what batcher approve has kept",
            err=True,
        )


def _program() -> Path:
    """
    The console script beside the Python that runs us.

    Raises:
        InputError: There is none.
    """
    places = [Path(sys.executable).with_name("batcher"), Path(sys.argv[0]).absolute()]
    for place in places:
        if place.is_file() and os.access(place, os.X_OK):
            return place
    raise InputError(
        Problem(where=str(places[0]), message="the command batcher is not installed there; install it with pip")
    )


def _check_labels(ticks: Sequence[Tick]) -> None:
    seen: dict[Path, Tick] = {}
    for tick in ticks:
        if (other := seen.setdefault(tick.log, tick)) is not tick:
            message = f"its name '{tick.label}' is that of {other.job_file.name} too; jobs need names of their own"
            raise InputError(Problem(where=tick.job_file.name, message=message))


def _show(ticks: Sequence[Tick]) -> int:
    for tick in ticks:
        say(cron_line(tick))
    say("Put this into your crontab with the same command and --install, or by hand: crontab -e", err=True)
    return int(Exit.DONE)


def _install(ticks: Sequence[Tick]) -> int:
    crontab = Crontab()
    before = text = crontab.read()
    for tick in ticks:
        text = with_block(text, tick.job_file, cron_line(tick))
    if text != before:
        crontab.write(text)
    for tick in ticks:
        old, new = block_of(before, tick.job_file), cron_line(tick)
        if old and old != new:
            say(f"replaced  {old}")
        say(f"{'unchanged' if old == new else 'installed'} {new}\nlog       {tick.log}")
    _tell_others(before, [tick.job_file for tick in ticks])
    return int(Exit.DONE)


def _remove(job_files: Sequence[Path]) -> int:
    crontab = Crontab()
    before = text = crontab.read()
    for file in job_files:
        old = block_of(before, file)
        say(f"removed   {old}" if old else f"not there {file}")
        text = without_block(text, file)
    if text != before:
        crontab.write(text)
    _tell_others(before, job_files)
    return int(Exit.DONE)


def _tell_others(before: str, job_files: Sequence[Path]) -> None:
    others = before
    for file in job_files:
        others = without_block(others, file)
    say(f"{others.count(chr(10))} other lines of the crontab are untouched")
