"""Workers as they run: each a process of its own, with a log that says what it did."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from proofs.scene import KEY, Scene, kill
from proofs.standin import LAUNCH, environment


@dataclass
class Crew:
    """
    Workers over one database.

    Attributes:
        folder: Their state and logs.
        address: Of the database.
        variables: Further variables of their environment.
        hired: All that ever were, in their order.
    """

    folder: Path
    address: str
    variables: Mapping[str, str] = field(default_factory=dict)
    hired: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def hire(self, *options: str) -> subprocess.Popen[bytes]:
        """One more worker."""
        home = self.folder / f"worker-{len(self.hired)}"
        home.mkdir(parents=True)
        with (home / "log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, str(LAUNCH), "worker", *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment(HEYGEN_API_KEY=KEY, BATCHER_STATE=self.address, HOME=str(home), **self.variables),
                cwd=home,
                start_new_session=True,
            )
        self.hired.append(process)
        return process

    def said(self) -> str:
        """What all of them have said."""
        return "".join(path.read_text(encoding="utf-8") for path in sorted(self.folder.glob("worker-*/log")))

    def dismiss(self) -> list[int]:
        """Ask all who live to stop, as an orchestrator does; returns how they ended."""
        for process in self.hired:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
        return [process.wait(timeout=60) for process in self.hired]


@contextmanager
def crew_for(scene: Scene, *, count: int = 0, **variables: str) -> Iterator[Crew]:
    """So many workers for the database of a scene; killed afterwards, whatever happened."""
    crew = Crew(folder=scene.folder / "crew", address=scene.address, variables=variables)
    try:
        for _ in range(count):
            crew.hire()
        yield crew
    finally:
        for process in crew.hired:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGCONT)
                kill(process)  # type: ignore[arg-type]
                process.wait(timeout=30)
