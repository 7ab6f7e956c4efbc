"""What a run would do: how much is new, done, changed or invalid, and what it will cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from msgspec import Struct, field

from batcher.bound import BoundJob
from batcher.errors import Problem
from batcher.ledger.values import Known, Planned, Standing
from batcher.lineage import Sources, hindrance, stale, unfinished
from batcher.listening import Spoken
from batcher.marks import Identified, Mark
from batcher.model import RANK, UNSENT, Row, State, TaskKey
from batcher.outlook import is_changed, standing_of, state_of
from batcher.sheet import are_beyond_doubt, doubt_about

SHOWN = 20
"""Examples of each kind that a plan keeps."""

_NO_TASKS: Mapping[TaskKey, str] = MappingProxyType({})
_WAITING, _INVALID = UNSENT


class Plan(Struct, kw_only=True):
    """
    What a run would do.

    Attributes:
        rows: Rows of the sheet.
        words: Rows by the worst state of their tasks, as they would stand before anything is sent; those that are held
            are not among them.
        held: Rows that wait, or are invalid, and are held back by a person or until their day.
        skipped: Blank rows, and rows that `where` leaves out.
        new: Rows that the ledger has never seen.
        to_send: Tasks that wait for nothing but to be sent.
        later: Tasks of later steps that are sent once the earlier ones of their rows are done. Where one of those needs
            a person first, they are counted nowhere.
        changed: Numbers of the rows of which something was made from other content than they hold now, or from an
            earlier version of another step; the first of them.
        changed_count: How many there are.
        problems: The first complaints about invalid rows.
        doubts: The first cells of rows about to be sent that are valid, but most likely not what was meant.
        doubt_count: How many there are.
        link_faults: Addresses in cells that lead to nothing usable, where they were looked at; their rows are sent all the same.
        spoken: How the riskiest rows will sound; only where somebody has listened.
        cost: Estimated cost of what is to be sent, now and later; None when no price is known.
        seconds_known: Whether the length came from the job rather than from a guess of ours.
        again: The tasks that were made and are to be made again, each with the reason; they count as waiting here, and
            become it by `OpenJob.obey`.
        again_rows: The numbers of their rows; the first of them.
        again_count: How many rows that are.
        again_cost: What that is expected to cost; None without a price.
        unheard: Rows whose `again` asks nothing, because the row has moved on since or nothing of it is finished; the
            first of them.
        unheard_count: How many there are.
        misread: Rows whose status cell holds a word that means nothing; the first of them.
        samples: Ids of the rows that wait and are marked `sample`.
        carried: Rows that show an id of work that the ledger does not know; the first of them.
        carried_count: How many there are.
        restepped: Rows that were made, and of which no step of the job knows anything: its steps have other names now.
            The first of them.
        restepped_count: How many there are.
        made_seen: Rows of this sheet for which work was ever sent.
        files: The sizes in bytes of the files that waiting tasks need and the account does not hold, by their digests.
        is_remembered: Nothing has changed since an earlier plan, so the sheet was not gone through again: `new`,
            `changed`, `problems`, `doubts`, `samples` and all about `again` are then empty.
    """

    rows: int = 0
    words: Counter[State] = field(default_factory=Counter)
    held: int = 0
    skipped: int = 0
    new: int = 0
    to_send: int = 0
    later: int = 0
    changed: list[int] = field(default_factory=list)
    changed_count: int = 0
    problems: list[Problem] = field(default_factory=list)
    problem_count: int = 0
    doubts: list[Problem] = field(default_factory=list)
    doubt_count: int = 0
    link_faults: list[Problem] = field(default_factory=list)
    spoken: list[Spoken] = field(default_factory=list)
    cost: float | None = None
    again: dict[TaskKey, str] = field(default_factory=dict)
    again_rows: list[int] = field(default_factory=list)
    again_count: int = 0
    again_cost: float | None = None
    unheard: list[int] = field(default_factory=list)
    unheard_count: int = 0
    misread: list[int] = field(default_factory=list)
    samples: list[str] = field(default_factory=list)
    carried: list[int] = field(default_factory=list)
    carried_count: int = 0
    restepped: list[int] = field(default_factory=list)
    restepped_count: int = 0
    made_seen: int = 0
    new_ids: list[str] = field(default_factory=list)
    files: dict[str, int] = field(default_factory=dict)
    is_remembered: bool = False

    @property
    def to_come(self) -> int:
        """All that is to be sent, now and later: what `cost` is for."""
        return self.to_send + self.later

    def count(
        self,
        tasks: Sequence[tuple[Planned, Known | None]],
        sources: Sources,
        *,
        again: Mapping[TaskKey, str] = _NO_TASKS,
        is_held: bool = False,
    ) -> bool:
        """
        Take in the tasks of one row.

        Args:
            sources: The steps of the job, each with the earlier ones that it uses.
            again: Those of them that are to be made again, with the reason.
            is_held: The row is not to be sent now.

        Returns:
            Whether any of them waits.
        """
        row = [standing_of(*each, is_again=each[0].key in again) for each in tasks] if len(sources) > 1 else []
        problems: list[Problem] = []
        states: list[State] = []
        for index, (task, known) in enumerate(tasks):
            is_again = bool(again) and task.key in again
            state = state_of(task, known, is_again=is_again)
            states.append(state)
            if state is _INVALID:
                problems += [Problem(where=place, message=message) for place, message in task.flaws]
            elif state is _WAITING and not is_held and not (row and hindrance(sources, row[index], row)):
                if row and unfinished(sources, row[index], row):
                    self.later += 1
                else:
                    self.to_send += 1
                self._count_waiting(task, is_again=is_again)
        if problems:
            self.add_problems(list(dict.fromkeys(problems)))
        worst = states[0] if len(states) == 1 else min(states, key=RANK.__getitem__)
        if is_held and worst in UNSENT:
            self.held += 1
        else:
            self.words[worst] += 1
        self._count_row(tasks, sources, row, again)
        return _WAITING in states

    def _count_waiting(self, task: Planned, *, is_again: bool) -> None:
        if task.needs:
            self.files.update((need.digest, need.size) for need in task.needs)
        if task.estimate is None:
            return
        self.cost = (self.cost or 0.0) + task.estimate
        if is_again:
            self.again_cost = (self.again_cost or 0.0) + task.estimate

    def _count_row(
        self,
        tasks: Sequence[tuple[Planned, Known | None]],
        sources: Sources,
        row: Sequence[Standing],
        again: Mapping[TaskKey, str],
    ) -> None:
        """Take in how a row differs from what the ledger holds of it."""
        first = tasks[0][0]
        if all([known is None for _, known in tasks]):  # noqa: C419 - of every row: a list is quicker
            self.new += 1
            if len(self.new_ids) < SHOWN:
                self.new_ids.append(first.key.row_id)
            return
        self.made_seen += any(known.made_hash for _, known in tasks if known)
        if again:
            self.again.update(again)
            self.again_count += 1
            _some(self.again_rows, first.row_number)
        changed = stale(sources, row) if row else {task.key for task, known in tasks if is_changed(task, known)}
        if not again.keys() >= changed:
            self.changed_count += 1
            _some(self.changed, first.row_number)

    def count_marks(self, identified: Identified, tasks: Sequence[tuple[Planned, Known | None]]) -> None:
        """Take in what a person has written beside a row, apart from what it asks to be made again."""
        if identified.mark is Mark.NONE:
            return
        if identified.mark is Mark.SAMPLE and any(state_of(*each) is State.WAITING for each in tasks):
            self.samples.append(identified.row_id)
        made = any(known is not None and known.state not in UNSENT for _, known in tasks)
        if identified.mark is Mark.AGAIN and made and not any(task.key in self.again for task, _ in tasks):
            self.unheard_count += 1
            _some(self.unheard, identified.row.number)

    def count_carried(self, row_number: int) -> None:
        """Take in a row that shows an id of work that the ledger does not know."""
        self.carried_count += 1
        _some(self.carried, row_number)

    def count_misread(self, row_number: int) -> None:
        """Take in a row whose status cell holds a word that means nothing."""
        _some(self.misread, row_number)

    def count_restepped(self, row_number: int) -> None:
        """Take in a row that was made by steps that the job no longer has, and by none that it has."""
        self.restepped_count += 1
        _some(self.restepped, row_number)

    def add_problems(self, problems: Sequence[Problem]) -> None:
        """Take in complaints; the first are kept."""
        self.problem_count += len(problems)
        self.problems += problems[: SHOWN - len(self.problems)]

    def doubt(self, bound: BoundJob, row: Row, twin: Problem | None) -> None:
        """Take in what is doubtful about a row that is about to be sent: about its cells, and that it repeats another."""
        found = [] if twin is None else [twin]
        cells = [row.cells[column] for column in bound.columns]
        if not are_beyond_doubt(cells):
            for column, cell in zip(bound.columns, cells, strict=True):
                if said := doubt_about(cell):
                    found.append(Problem(where=bound.sheet.where(column, row.number), message=said))
        elif not found:
            return
        self.doubt_count += len(found)
        self.doubts += found[: SHOWN - len(self.doubts)]


def _some(numbers: list[int], number: int) -> None:
    if len(numbers) < SHOWN:
        numbers.append(number)
