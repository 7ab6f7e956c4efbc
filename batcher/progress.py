"""Where a run stands."""

from __future__ import annotations

from msgspec import Struct


class Progress(Struct, kw_only=True):
    """
    Where a run stands.

    Attributes:
        finished: Tasks that came to their end within this run.
        in_flight: Accepted and not finished.
        sweeps: Looks at what is in flight.
        fetched, files_left: Files that this run has brought, and those that are still to come.
    """

    finished: int = 0
    sent: int = 0
    in_flight: int = 0
    sweeps: int = 0
    note: str = ""
    fetched: int = 0
    files_left: int = 0
