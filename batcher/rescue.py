"""Answers to paid requests that the ledger could not take: kept beside it while the run ends, and said at the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn

from msgspec import Struct, field

from batcher.errors import LedgerError, NotRecorded
from batcher.ledger.unrecorded import Unrecorded, line_of
from batcher.ledger.values import News
from batcher.model import Attempt, State


class Rescue(Struct, frozen=True, kw_only=True):
    """
    What one run could not record.

    Attributes:
        tell: Receives sentences for the person.
    """

    unrecorded: Unrecorded
    tell: Callable[[str], None]
    _lines: list[str] = field(default_factory=list)

    def keep(self, news: Sequence[News], attempts: Mapping[int, Attempt]) -> None:
        """
        Write the answers among the news into the file beside the ledger.

        Args:
            attempts: Those that the API has taken and the ledger does not know of yet, by their number.
        """
        lines = [
            line_of(attempts[each.attempt_id], each)
            for each in news
            if each.attempt_id in attempts and (each.batch_id or each.state in (State.IN_PROGRESS, State.DONE))
        ]
        if not lines:
            return
        self._lines.extend(lines)
        try:
            self.unrecorded.keep(lines)
        except OSError as error:
            self.tell(f"{self.unrecorded.path}: cannot be written either ({error.strerror}): keep what is said below")

    def give_up(self, error: LedgerError) -> NoReturn:
        """
        End the run; the ids are said in any case.

        Args:
            error: Why the ledger cannot be written.
        """
        if not self._lines:
            raise error
        raise NotRecorded(
            f"{error}\n{len(self._lines)} answers could not be recorded. Their ids stand below and in "
            f"{self.unrecorded.path}; once the ledger can be written again, the next run reads that file back before "
            "anything is sent\n" + "\n".join(self._lines)
        ) from error
