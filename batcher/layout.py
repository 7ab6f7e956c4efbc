"""Which columns of a sheet are the user's own, and which are ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from batcher.errors import InputError
from batcher.job import Job
from batcher.sheet import Sheet, normalise

STATUS = "batcher_status"
ERROR = "error"
BEFORE = (STATUS,)
AFTER = ("error_code", ERROR, "what_to_do", "attempts", "cost", "submitted_at", "completed_at", "url_expires_at")
STAMP = ("attempts", "submitted_at", "completed_at")
"""The columns that together say which state of a row its line shows."""
NUMBERS = ("attempts", "cost", "duration_s")
"""The columns that hold plain numbers."""


class OutputColumn(Struct, frozen=True, kw_only=True):
    """
    One of our columns that belongs to a task rather than to the line.

    Attributes:
        name: Its header, without the prefix.
        step: Whose output it shows.
        output: The output; `batcher_status` and `error` are the task's own.
        item: The member of a fan-out in a wide layout; empty in a long one.
    """

    name: str
    step: str
    output: str
    item: str = ""


class Layout(Struct, frozen=True, kw_only=True):
    """
    The columns of the results.

    Attributes:
        kept: Indexes of the user's columns in the sheet, in order.
        outputs: The columns of the tasks, in order.
        item: Name of the column for the member of a fan-out in a long layout; empty without one.
        fanned: The step with the fan-out; None without one.
        is_wide: The fan-out becomes columns, so that every row is one line.
        header: The whole header of the results.
        own: Columns of the sheet that an earlier run of ours has written, by their names without the prefix.
    """

    kept: Sequence[int]
    outputs: Sequence[OutputColumn]
    item: str
    fanned: str | None
    is_wide: bool
    header: Sequence[str]
    own: Mapping[str, int]

    @property
    def own_from(self) -> int:
        """Where our columns begin."""
        return len(self.kept)

    @property
    def links(self) -> list[int]:
        """Which of our columns hold addresses, counted from our first."""
        return [index for index, name in enumerate(self._plain) if name.endswith("_url")]

    @property
    def numbers(self) -> list[int]:
        """Which of our columns hold plain numbers, counted from our first."""
        return [index for index, name in enumerate(self._plain) if name in NUMBERS]

    @property
    def _plain(self) -> list[str]:
        """What our columns hold, in order: their names without prefix, step and member of a fan-out."""
        return [*([self.item] if self.item else []), *BEFORE, *(column.output for column in self.outputs), *AFTER]


def lay_out(
    sheet: Sheet, job: Job, *, columns: Mapping[str, Sequence[str]], items: Sequence[str], used: Sequence[int]
) -> Layout:
    """
    Find the user's columns, and ours at their right.

    Columns that an earlier run of ours has written are recognised by `batcher_status` (behind the prefix) and most of
    the others that belong to it, and are replaced; `batcher_status` alone is there for a person's words. A column of
    the user's that merely has one of our names is an error.

    Args:
        columns: The outputs of each step that get a column, in the order of the steps.
        items: All members of the fan-out, for a wide layout.
        used: Columns that the job reads: one of ours that is read belongs to the user.

    Raises:
        InputError: A name clash, also with the word of `for_each`.
    """
    prefix = job.results.prefix
    fanned = next((step for step in job.steps if step.for_each), None)
    is_wide = fanned is not None and job.results.is_wide
    outputs = _outputs(columns, fanned=fanned.name if fanned and is_wide else None, items=items)
    item = fanned.for_each.name if fanned and fanned.for_each and not is_wide else ""
    if item in {*BEFORE, *AFTER, *(column.name for column in outputs)}:
        message = f"'{item}' is a column of the results already; choose another word"
        raise InputError(fanned.problem(("for_each", item), message) if fanned else job.problem((), message))
    names = ([item] if item else []) + [*BEFORE, *(column.name for column in outputs), *AFTER]
    ours = [f"{prefix}{name}" for name in names]
    header = [normalise(text) for text in sheet.header]
    written = {index for index, text in enumerate(header) if text in ours}
    if not _is_ours(header, written, prefix) or written & set(used):
        _refuse_clashes(sheet, job, written)
        written = set()
    kept = [index for index in range(len(sheet.header)) if index not in written]
    return Layout(
        kept=kept,
        outputs=outputs,
        item=item,
        fanned=fanned.name if fanned else None,
        is_wide=is_wide,
        header=[*(sheet.header[index] for index in kept), *ours],
        own={header[index].removeprefix(prefix): index for index in sorted(written)},
    )


def _is_ours(header: Sequence[str], written: set[int], prefix: str) -> bool:
    """
    Whether the columns of our names are ours: beside `batcher_status` a person may have deleted some of them, and a
    newer version may have brought others.
    """
    if f"{prefix}{STATUS}" not in header:
        return False
    present = sum(f"{prefix}{name}" in header for name in AFTER)
    return present * 2 > len(AFTER) or len(written) == 1


def _outputs(columns: Mapping[str, Sequence[str]], *, fanned: str | None, items: Sequence[str]) -> list[OutputColumn]:
    """The last step's outputs have plain names; those of earlier ones carry the step's."""
    found: list[OutputColumn] = []
    last = list(columns)[-1]
    for step, outputs in columns.items():
        before = "" if step == last else f"{step}_"
        if step != fanned:
            found += [OutputColumn(name=before + output, step=step, output=output) for output in outputs]
            continue
        for item in items:
            found += [
                OutputColumn(name=f"{before}{output}_{item}", step=step, output=output, item=item)
                for output in (STATUS, *outputs, ERROR)
            ]
    return found


def _refuse_clashes(sheet: Sheet, job: Job, written: set[int]) -> None:
    clashes = [sheet.header[index] for index in sorted(written)]
    if clashes:
        columns = ", ".join(f"'{name}'" for name in clashes)
        message = (
            f"the sheet has columns of its own called {columns}, as ours are; set results.prefix, such as 'batcher '"
        )
        raise InputError(job.problem(("results",), message))
