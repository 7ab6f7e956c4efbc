"""How often a run writes its results."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from batcher.errors import InputError
from batcher.open_job import OpenJob
from batcher.results import Written

WRITE_EVERY_S = 30.0
WRITE_SHARE = 10
"""Results are written again after this many times as long as the last writing took."""


class Writing(Struct, kw_only=True):
    """
    Writes the results of a job, as seldom as may be while it runs.

    Attributes:
        meanwhile: Whether they are written before the end as well; not where others look after them.
        is_stale: They would show something new.
    """

    opened: OpenJob
    clock: Callable[[], float]
    tell: Callable[[str], None]
    meanwhile: bool = True
    is_stale: bool = True
    _at: float = 0.0
    _took_s: float = 0.0

    def now(self) -> Written:
        """
        Write them.

        Raises:
            InputError, OSError: They cannot be.
        """
        begun = self.clock()
        written = self.opened.write_results()
        self._at = self.clock()
        self._took_s = self._at - begun
        self.is_stale = False
        return written

    def if_due(self) -> None:
        """Write them in the middle of a run, which is a courtesy: that they cannot be written stops nothing."""
        now = self.clock()
        if not self.is_stale or not self.meanwhile or now - self._at < max(WRITE_EVERY_S, WRITE_SHARE * self._took_s):
            return
        if self._at:
            try:
                self.now()
            except (InputError, OSError) as error:
                self.tell(f"the results cannot be written now: {error}; the run goes on")
        self._at = now
