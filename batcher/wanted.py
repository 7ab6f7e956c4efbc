"""Which files of finished work a job wants, and which of them are in their place."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from msgspec import Struct

from batcher.bound import BoundJob
from batcher.filing import FilePlace
from batcher.ledger.protocol import Ledger
from batcher.ledger.values import FileRecord, Standing
from batcher.model import FileState, State
from batcher.stores import Inventory, located


def wanted_files(bound: BoundJob, standings: Iterable[Standing]) -> Iterator[tuple[Standing, FilePlace]]:
    """Every file that these tasks have a link to and the job wants."""
    for standing in standings:
        if standing.state is not State.DONE:
            continue
        for place in bound.downloads:
            if place.step == standing.key.step and standing.outputs.get(place.output):
                yield standing, place


class Shelf:
    """
    The places of a job's files as they are now; for one pass over its tasks.

    Args:
        bound: The job.
        offline: No network may be used: what was put into the cloud is there.
    """

    def __init__(self, bound: BoundJob, *, offline: bool = False) -> None:
        self._home = bound.job.results.file.parent
        self._inventory = Inventory(asks=not offline)

    def is_settled(self, standing: Standing, place: FilePlace) -> bool:
        """Whether a run has nothing to do for a file: it is in its place, or only a person can help."""
        record = standing.files.get(place.output)
        if record is None or record.attempt_id != standing.attempt_id:
            return False
        path = located(self._home, record.path)
        if record.state is FileState.HERE:
            return self._inventory.holds(path, record.bytes, folder=place.folder)
        if record.state is FileState.OCCUPIED:
            is_other = isinstance(path, Path) and os.path.lexists(path)
            return is_other or self._inventory.holds(path, None, folder=place.folder)
        return record.state is FileState.REFUSED


def is_lacking(record: FileRecord | None) -> bool:
    """Whether a file could not be fetched so far."""
    return record is not None and record.state is not FileState.HERE


class FileTally(Struct, frozen=True, kw_only=True):
    """
    The files of a job.

    Attributes:
        here: In their place.
        later: Missing, and tried again by the next run.
        lacking: Missing until a person does something.
    """

    here: int = 0
    later: int = 0
    lacking: int = 0

    def words(self) -> str:
        """`374 files, 2 could not be fetched`; empty for a job without files."""
        parts = [f"{self.here} files"] if self.here + self.later + self.lacking else []
        parts += [f"{self.lacking} could not be fetched"] if self.lacking else []
        parts += [f"{self.later} still to be fetched"] if self.later else []
        return ", ".join(parts)


NO_FILES = FileTally()


def count_files(bound: BoundJob, ledger: Ledger, *, offline: bool = False) -> FileTally:
    """Count the files of a job, by the ledger and where they stand; `offline` as for `Shelf`."""
    shelf, here, later, lacking = Shelf(bound, offline=offline), 0, 0, 0
    standings = ledger.standings(bound.job.name) if bound.downloads else ()
    for standing, place in wanted_files(bound, standings):
        if not shelf.is_settled(standing, place):
            later += 1
        elif is_lacking(standing.files.get(place.output)):
            lacking += 1
        else:
            here += 1
    return FileTally(here=here, later=later, lacking=lacking)
