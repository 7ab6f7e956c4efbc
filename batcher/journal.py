"""What becomes of single rows, told line by line to whoever keeps a log of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from msgspec import Struct, field

from batcher.ledger.protocol import Ledger
from batcher.ledger.values import FileRecord, News
from batcher.model import Attempt, State, TaskKey

Note = Callable[[str, Mapping[str, object]], None]
"""Receives an event, and what it is about."""


class Journal(Struct, kw_only=True):
    """
    Names the row, the task and the attempt of everything that happens to them; never a body, a key or a link.

    Attributes:
        note: Where it goes.
        ledger: Asked for attempts that others have sent.
    """

    note: Note
    ledger: Ledger
    _attempts: dict[int, Attempt] = field(default_factory=dict)

    def sending(self, attempts: Sequence[Attempt]) -> None:
        """A request with these attempts is about to go out."""
        for each in attempts:
            self._attempts[each.attempt_id] = each
            about = {**_named(each.task, each.attempt_id), "operation": each.operation, "number": each.number}
            self.note("row sending", {**about, "sends": each.sends})

    def meet(self, news: Iterable[News]) -> None:
        """Know whom these news are about; before they are recorded, for what was not made is gone afterwards."""
        strange = [each.attempt_id for each in news if each.attempt_id not in self._attempts]
        if strange:
            self._attempts.update((each.attempt_id, each) for each in self.ledger.find(attempts=strange))

    def learned(self, news: Iterable[News]) -> None:
        """These news were written down; that something is still in work is no news."""
        for each in news:
            attempt = self._attempts.get(each.attempt_id)
            if attempt is None or (each.state is State.IN_PROGRESS and each.checked):
                continue
            about = {**_named(attempt.task, each.attempt_id), "source": each.source.value, "cause": each.cause}
            told = {"remote_id": each.remote_id, "error_code": each.error_code, "error": each.error}
            self.note(f"row {each.state.value}", {**about, **{name: text for name, text in told.items() if text}})

    def filed(self, task: TaskKey, record: FileRecord) -> None:
        """Something has become of a file of a row."""
        about = {**_named(task, record.attempt_id), "file": record.path, "state": record.state.value}
        self.note("row file", {**about, "bytes": record.bytes, "reason": record.reason})


def _named(task: TaskKey, attempt_id: int) -> dict[str, object]:
    """A task by all that makes it one, where it has it, and the number of the attempt in the ledger."""
    parts = {"step": task.step, "item": task.item}
    return {
        "job": task.job,
        "row": task.row_id,
        **{name: text for name, text in parts.items() if text},
        "attempt": attempt_id,
    }
