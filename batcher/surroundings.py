"""What a command takes from outside: environment, folders, clock and chance."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from msgspec import Struct, field
from msgspec.structs import replace

from batcher.clocks import difference_s
from batcher.errors import InputError, Problem
from batcher.idle import STATE_VARIABLE
from batcher.ledger.place import is_address, shared_clock, wrong_place
from batcher.project import Project, find_project


def steady_clock() -> Callable[[], float]:
    """
    Unix seconds that are right at the beginning and then run evenly, through sleep too: a wall clock that is set
    forwards or backwards in the middle of a run moves no interval.
    """
    boot = partial(time.clock_gettime, getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
    begun = difference_s(time.time, boot)
    return lambda: begun + boot()


def clock_for(place: str) -> Callable[[], float]:
    """
    The clock of this machine; where several share a ledger, set by that of its database when it is first looked at.
    """
    return shared_clock(place, steady_clock()) if is_address(place) else steady_clock()


class Surroundings(Struct, frozen=True, kw_only=True):
    """
    What a command takes from outside.

    Attributes:
        project: The project file that counts; None without one.
        clock: Unix seconds.
        tell: Receives sentences for the person.
        warn: The same, for what holds for whatever is done in this process: a sentence that comes again is not repeated.
    """

    environ: Mapping[str, str]
    folder: Path
    project: Project | None = None
    clock: Callable[[], float] = field(default_factory=steady_clock)
    rng: random.Random = field(default_factory=random.Random)
    tell: Callable[[str], None] = lambda _: None
    warn: Callable[[str], None] = lambda _: None

    @property
    def state(self) -> Path:
        """The user's state folder: locks, logs, and the ledger where it is a file."""
        told = self._told
        if told and not is_address(told):
            return Path(told).expanduser().absolute()
        base = self.environ.get("XDG_STATE_HOME") or Path(self.environ.get("HOME") or Path.home()) / ".local" / "state"
        return Path(base) / "batcher"

    @property
    def place(self) -> str:
        """Where the ledger is: the state folder, or the address of a database."""
        return self._told if is_address(self._told) else str(self.state)

    @property
    def _told(self) -> str:
        told = self.environ.get(STATE_VARIABLE, "")
        if wrong := wrong_place(told):
            raise InputError(Problem(where=STATE_VARIABLE, message=wrong))
        return told or (self.project.state if self.project else "")


def around_job(
    job_file: Path | None,
    *,
    environ: Mapping[str, str],
    folder: Path,
    tell: Callable[[str], None] = lambda _: None,
    warn: Callable[[str], None] = lambda _: None,
) -> Surroundings:
    """
    What a command takes from outside for a job, with the ledger where that job's project has it.

    Args:
        job_file: The job; None for a command that is about none.
        environ: The environment.
        folder: Where the command was called.
        tell: Receives sentences for the person.
        warn: Receives those that are said once.

    Raises:
        InputError: The project file cannot be used.
    """
    around = Surroundings(
        environ=environ, folder=folder, tell=tell, warn=warn, project=find_project(job_file, folder=folder)
    )
    return replace(around, clock=clock_for(around.place))
