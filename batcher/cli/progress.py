"""How a run shows that it is alive: a bar on a terminal, a plain line per pass elsewhere."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any

from batcher.progress import Progress


class Shown:
    """
    Shows progress.

    Args:
        total: Tasks that this run may finish.
        quiet: Show nothing.
    """

    def __init__(self, total: int, *, quiet: bool) -> None:
        self._total = total
        self._quiet = quiet
        self._bar: Any = None
        self._sweeps = 0

    def __enter__(self) -> Shown:
        if not self._quiet and sys.stderr.isatty():
            from tqdm import tqdm

            self._bar = tqdm(total=self._total, unit="row", disable=None, leave=False, dynamic_ncols=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def __call__(self, progress: Progress) -> None:
        """Show where the run stands."""
        if self._quiet:
            return
        if self._bar is not None:
            files = f", {progress.files_left} files to come" if progress.files_left else ""
            self._bar.set_postfix_str(f"{progress.in_flight} in work{files}", refresh=False)
            self._bar.update(progress.finished - self._bar.n)
        elif progress.sweeps != self._sweeps:
            self._sweeps = progress.sweeps
            print(
                f"{progress.finished} of {self._total} finished, {progress.in_flight} in work",
                file=sys.stderr,
                flush=True,
            )


class LinksShown:
    """Shows how many addresses have been looked at, on a terminal."""

    def __init__(self, *, quiet: bool) -> None:
        self._is_shown = not quiet and sys.stderr.isatty()
        self._bar: Any = None

    def __enter__(self) -> LinksShown:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def __call__(self, done: int, total: int) -> None:
        """Show where the look stands."""
        if not self._is_shown:
            return
        if self._bar is None:
            from tqdm import tqdm

            self._bar = tqdm(total=total, unit="address", disable=None, leave=False, dynamic_ncols=True)
        self._bar.update(done - self._bar.n)
