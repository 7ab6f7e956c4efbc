"""A command over one sheet, or over each file of an inbox in turn."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import click
from msgspec import Struct

from batcher.cli.options import surroundings
from batcher.cli.say import say
from batcher.errors import BatcherError, Exit, InputError, LedgerError, Problem
from batcher.inbox import Dropped, forget_problems, glance_inside, look_inside, note_problems
from batcher.job import Job, load_job
from batcher.opening import check_account, check_results_file
from batcher.stores import local

Command = Callable[..., int]

WORST_FIRST = (
    *(Exit.BUG, Exit.NOT_RECORDED, Exit.EDIT, Exit.INTERRUPTED),
    *(Exit.STOPPED, Exit.NOT_FINISHED, Exit.SOME_FAILED, Exit.DONE),
)
"""The order of the README."""

_OF_ONE_SHEET = {"numbers": "--rows", "remote_id": "--made-as"}

_ONLY = click.option("--file", "only", metavar="NAME", help="Of an inbox, only this file.")


def each_sheet(*, takes: bool) -> Callable[[Command], Command]:
    """
    Turn a command for one job into one for a job file: with an inbox it is done for each file, and the worst exit code
    is that of all.

    Args:
        takes: The command works on the files: one that is still being copied is waited for, reasons why a file cannot
            be used are left beside it, and what is given with --for is shared by the files.
    """

    def decorate(command: Command) -> Command:
        @_ONLY
        @functools.wraps(command)
        def over_sheets(*, job_file: Path, only: str | None, **rest: Any) -> int:
            job = load_job(job_file)
            if job.is_inbox:
                return _Inbox(job=job, command=command, takes=takes, options=rest).go(only)
            if only:
                raise InputError(
                    Problem(where="--file", message="is for jobs whose sheet is an inbox; this one is a file")
                )
            return command(job=job, **rest)

        return over_sheets

    return decorate


class _Inbox(Struct, frozen=True, kw_only=True):
    """A command and the inbox that it goes through."""

    job: Job
    command: Command
    takes: bool
    options: dict[str, Any]

    def go(self, only: str | None) -> int:
        takes = self.takes and not self.options.get("rehearse")
        files = _chosen(self.job, look_inside(self.job) if takes else glance_inside(self.job), only)
        if not files:
            if not (self.options.get("quiet") or self.options.get("as_json")):
                say(
                    f"{self.job.name} · NOTHING TO DO: no {self.job.sheet.file.name} in {local(self.job.sheet.file).parent}"
                )
            return int(Exit.DONE)
        self._require_one(files)
        ready = [each for each in files if not each.reason]
        codes = [Exit.NOT_FINISHED for each in files if each.reason and _tell_left(each, self.options)]
        if ready and takes:
            # what is wrong for all files is told once, and beside none
            check_account(self.job, surroundings(self.job.path))
            check_results_file(ready[0].job)
        return int(_worst([*codes, *self._over(ready, notes=takes)]))

    def _require_one(self, files: Sequence[Dropped]) -> None:
        """Refuse what is said of single rows where several sheets could be meant."""
        said = [option for name, option in _OF_ONE_SHEET.items() if self.options.get(name)]
        if said and len(files) > 1:
            names = ", ".join(each.path.name for each in files)
            raise InputError(Problem(where=said[0], message=f"is for one file; name it with --file: {names}"))

    def _over(self, files: Sequence[Dropped], *, notes: bool) -> Iterable[Exit]:
        clock = surroundings(self.job.path).clock
        for_s = self.options.get("for_s")
        end = None if for_s is None else clock() + for_s
        for place, each in enumerate(files):
            options = dict(self.options)
            if end is not None:
                options["for_s"] = max(0.001, (end - clock()) / (len(files) - place))
            code = self._one(each, options, notes=notes)
            if code is not None:
                yield code
            if code in (Exit.INTERRUPTED, Exit.NOT_RECORDED):
                return

    def _one(self, file: Dropped, options: dict[str, Any], *, notes: bool) -> Exit | None:
        """The command over one file; None when another run has finished the file in the meantime."""
        try:
            code = Exit(self.command(job=file.job, **options))
        except LedgerError:
            raise
        except BatcherError as error:
            if not file.path.exists():
                return None
            problems = error.problems if isinstance(error, InputError) else ()
            say("\n".join(map(str, problems)) if problems else f"{file.path.name}: {error}", err=True)
            if notes and problems:
                note_problems(file.path, problems)
            return Exit(error.exit)
        if notes:
            forget_problems(file.path)
        return code


def _chosen(job: Job, files: Sequence[Dropped], only: str | None) -> Sequence[Dropped]:
    if only is None:
        return files
    chosen = [each for each in files if each.path.name == only]
    if not chosen:
        there = ", ".join(each.path.name for each in files) or "no file"
        raise InputError(
            Problem(where="--file", message=f"no '{only}' in {local(job.sheet.file).parent}; there is {there}")
        )
    return chosen


def _tell_left(file: Dropped, options: dict[str, Any]) -> bool:
    """Say why a file is left alone; always True."""
    surroundings(file.job.path, quiet=bool(options.get("quiet"))).tell(
        f"{file.path.name} {file.reason}: left for the next time"
    )
    return True


def _worst(codes: Iterable[Exit]) -> Exit:
    return min(codes, key=WORST_FIRST.index, default=Exit.DONE)
