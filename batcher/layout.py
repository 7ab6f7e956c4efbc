"""Which columns of a sheet are the user's own, and which are ours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from batcher.catalog.model import Operation
from batcher.errors import InputError
from batcher.job import Job
from batcher.sheet import Sheet, normalise

STATUS = "batcher_status"
BEFORE = (STATUS,)
AFTER = ("error_code", "error", "what_to_do", "attempts", "cost", "submitted_at", "completed_at", "url_expires_at")


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """
    The columns of the results.

    Attributes:
        kept: Indexes of the user's columns in the sheet, in order.
        outputs: The operation's own columns among ours.
        item: Name of the column for the member of a fan-out; empty without one.
        header: The whole header of the results.
    """

    kept: Sequence[int]
    outputs: Sequence[str]
    item: str
    header: Sequence[str]

    @property
    def own_from(self) -> int:
        """Where our columns begin."""
        return len(self.kept)


def lay_out(sheet: Sheet, *, operation: Operation, job: Job, used: Sequence[int]) -> Layout:
    """
    Find the user's columns, and ours at their right.

    Columns that an earlier run of ours has written are recognised by `batcher_status` (behind the prefix) and all the
    others that belong to it, and are replaced. A column of the user's that merely has one of our names is an error.

    Args:
        used: Columns that the job reads: one of ours that is read belongs to the user.

    Raises:
        InputError: A name clash.
    """
    prefix = job.results.prefix
    outputs = operation.settle.columns if operation.settle else ()
    item = job.for_each.name if job.for_each else ""
    ours = [f"{prefix}{name}" for name in ([item] if item else []) + [*BEFORE, *outputs, *AFTER]]
    header = [normalise(text) for text in sheet.header]
    written = {index for index, text in enumerate(header) if text in ours}
    complete = all(f"{prefix}{name}" in header for name in (*BEFORE, *AFTER))
    if not complete or written & set(used):
        clashes = [sheet.header[index] for index in sorted(written)]
        if clashes:
            columns = ", ".join(f"'{name}'" for name in clashes)
            message = f"the sheet has columns of its own called {columns}, as ours are; set results.prefix, such as 'batcher '"
            raise InputError(job.problem(("results",), message))
        written = set()
    kept = [index for index in range(len(sheet.header)) if index not in written]
    return Layout(kept=kept, outputs=outputs, item=item, header=[*(sheet.header[index] for index in kept), *ours])
