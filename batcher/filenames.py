"""The names of a job's files: one for each, found before anything is paid for, the same in every run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from batcher.bound import BoundJob
from batcher.errors import InputError, Problem
from batcher.fetch.names import Name, Names
from batcher.filing import FilePlace
from batcher.ledger.values import Standing
from batcher.marks import Identified
from batcher.model import TaskKey
from batcher.stores import Location

SHOWN = 20
"""Examples of each complaint that are kept."""


class FileNames:
    """
    Which row gets which name; goes once through the sheet.

    Args:
        bound: The job.

    Attributes:
        told: Names that had to be made harmless, as (row, sentence); the first of them.
        twins: Names that two rows wish, as (place in the job file, sentence); the first of them.

    Raises:
        InputError: The sheet can no longer be read.
    """

    def __init__(self, bound: BoundJob) -> None:
        self._bound = bound
        self.told: list[Problem] = []
        self.twins: list[Problem] = []
        self._folders = {place.folder: Names(place.folder) for place in bound.downloads}
        self._known: dict[tuple[TaskKey, str], Name] = {}
        self._cells: dict[str, tuple[str, ...]] = {}
        self._keeps_cells = not all(place.is_known_early for place in bound.downloads)
        numbers: dict[str, int] = {}
        for identified in bound.rows() if bound.downloads else ():
            if identified.row_id and not identified.flaws:
                self._learn(identified, numbers)

    def _learn(self, identified: Identified, numbers: dict[str, int]) -> None:
        row = identified.row
        if self._keeps_cells:
            self._cells[identified.row_id] = row.cells
        for key, place in self._wanted(identified):
            owner = self._owner(key, place)
            numbers[owner] = row.number
            if not place.is_known_early:
                continue
            name = self._take(key, place, row.cells, {})
            self._known[key, place.output] = name
            if name.twin and len(self.twins) < SHOWN:
                self.twins.append(self._bound.job.problem(place.job_path, _twins(name, numbers, owner)))
            elif name.told and not name.twin and len(self.told) < SHOWN:
                where = f"{self._bound.sheet.tab or self._bound.sheet.name} row {row.number}"
                self.told.append(Problem(where=where, message=name.told))

    def _wanted(self, identified: Identified) -> Iterator[tuple[TaskKey, FilePlace]]:
        for place in self._bound.downloads:
            for item in self._bound.items(place.step, identified):
                key = TaskKey(job=self._bound.job.name, row_id=identified.row_id, step=place.step, item=item)
                yield key, place

    def _owner(self, key: TaskKey, place: FilePlace) -> str:
        """Who asks for a name; with one file a row that is its id, which then stands in the name where it must."""
        parts = (key.row_id, key.item, place.output if len(self._bound.downloads) > 1 else "")
        return "/".join(part for part in parts if part)

    def _take(
        self, key: TaskKey, place: FilePlace, cells: tuple[str, ...], outputs: Mapping[str, Mapping[str, str]]
    ) -> Name:
        fan = self._bound.steps[place.step].step.for_each
        parts = place.parts(cells, names={fan.name: key.item} if fan else {}, outputs=outputs)
        return self._folders[place.folder].take(parts, row_id=self._owner(key, place), suffix=place.suffix)

    def of(self, standing: Standing, place: FilePlace, outputs: Mapping[str, Mapping[str, str]]) -> Location | None:
        """
        Where a finished task's file belongs; None for a row that is no longer in the sheet.

        Args:
            outputs: What the steps of its row have made, by their names.
        """
        found = self._known.get((standing.key, place.output))
        if found is None and (cells := self._cells.get(standing.key.row_id)) is not None:
            found = self._take(standing.key, place, cells, outputs)
            self._known[standing.key, place.output] = found
        return found.path if found else None


def _twins(name: Name, numbers: Mapping[str, int], owner: str) -> str:
    first, second = numbers.get(name.twin), numbers[owner]
    if first == second:
        return (
            f"two files of row {second} would have one name, {name.wished}; "
            "tell them apart in the name, such as by the word of for_each, or by a folder for each kind"
        )
    return (
        f"rows {first} and {second} would have one file, {name.wished}; "
        "put something into the name that differs in every row, such as the row id"
    )


def check_file_names(bound: BoundJob) -> list[Problem]:
    """
    See that every row gets a file of its own; returns what a person should know of the names.

    Raises:
        InputError: Two rows wish the same name; all of them, each with both rows.
    """
    names = FileNames(bound)
    if names.twins:
        raise InputError(*names.twins)
    return names.told
