"""Mounts the forgetful file system, and cuts its power."""

from __future__ import annotations

import ctypes.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from proofs.power_cut import CUT, CUT_MARK, FAIL
from proofs.scene import until

TESTS = Path(__file__).parents[2]


class Disk:
    """
    A mounted folder.

    Attributes:
        folder: Where it is.
    """

    def __init__(self, folder: Path, process: subprocess.Popen[bytes]) -> None:
        self.folder = folder
        self._process = process

    def cut(self) -> None:
        """The power goes, and comes back: what was not synced is forgotten."""
        self._signal(CUT)

    def fail(self) -> None:
        """From now on every write ends with EIO; called again, no longer."""
        self._signal(FAIL)

    def _signal(self, number: int) -> None:
        mark = self.folder / CUT_MARK.lstrip("/")
        before = mark.stat().st_size
        self._process.send_signal(number)
        until(lambda: mark.stat().st_size > before)


@cache
def why_not() -> str:
    """Why nothing can be mounted here; empty where it can."""
    if find_spec("fuse") is None:
        return "the package fusepy is not installed"
    if ctypes.util.find_library("fuse") is None or shutil.which("fusermount") is None:
        return "libfuse2 and fusermount are not installed"
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return "/dev/fuse cannot be used here"
    return ""


@contextmanager
def mounted(folder: Path) -> Iterator[Disk]:
    """A new, empty disk at a folder."""
    folder.mkdir()
    command = [sys.executable, "-m", "proofs.power_cut.forgetful", str(folder)]
    with subprocess.Popen(command, cwd=TESTS) as process:
        try:
            until(lambda: os.path.ismount(folder) or process.poll() is not None)
            if not os.path.ismount(folder):
                raise RuntimeError(f"cannot be mounted: exit code {process.returncode}")
            yield Disk(folder, process)
        finally:
            subprocess.run(["fusermount", "-u", "-z", str(folder)], check=False, timeout=30)
            process.terminate()
