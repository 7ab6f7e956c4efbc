"""When a run must stop by itself: too many failures, or the same one again and again."""

from __future__ import annotations

from batcher.job import StopAfter

SAME_IN_A_ROW = 5


class FailureWatch:
    """
    Counts what finishes.

    Args:
        threshold: The job's own limit; it counts what finishes within this run.
    """

    def __init__(self, threshold: StopAfter) -> None:
        self._threshold = threshold
        self._failed = 0
        self._finished = 0
        self._last = ""
        self._same = 0
        self.reason = ""
        """Why the run must stop; empty while it may go on."""

    def succeeded(self, *, is_new: bool = True) -> None:
        """A row is done; `is_new`: it was not counted before, as having ended."""
        self._finished += is_new
        self._last, self._same = "", 0

    def accepted(self) -> None:
        """The API took a row: whatever was refused before was about those rows."""
        self._last, self._same = "", 0

    def failed(self, code: str, message: str) -> None:
        """A row has failed."""
        self._finished += 1
        self._failed += 1
        self._same = self._same + 1 if code == self._last else 1
        self._last = code
        if self._same >= SAME_IN_A_ROW and not self.reason:
            self.reason = f"the same error {self._same} times in a row: {message}"
        self.reason = self.reason or too_many(self._threshold, failed=self._failed, finished=self._finished)


def too_many(limit: StopAfter, *, failed: int, finished: int) -> str:
    """Why so many failures among what has finished are too many; empty when they are not."""
    enough = limit.count is not None and failed >= limit.count
    share = limit.count is None and finished >= limit.after and failed >= limit.share * finished
    return f"{failed} of {finished} rows failed (stop_after: {limit})" if enough or share else ""
