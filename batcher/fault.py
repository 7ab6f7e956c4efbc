"""A fault of batcher's own: its traceback is kept where the person who mends it will look."""

from __future__ import annotations

import os
import sys
import threading
import traceback
from datetime import UTC, datetime
from pathlib import Path

from batcher.errors import Fault
from batcher.version import VERSION


def fault_of(error: Exception, *, state: Path) -> Fault:
    """
    What a person is told of an exception that nobody has foreseen.

    Args:
        error: As it was caught.
        state: The state folder, below which the traceback is kept; where it cannot be, it stands in the message.
    """
    details = _kept("".join(traceback.format_exception(error)), state / "logs")
    return Fault(f"a fault in batcher itself: {type(error).__name__}; what is recorded is safe. Details: {details}")


def _kept(text: str, folder: Path) -> str:
    """Write it down; returns the path, or the text itself."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        name = f"fault-{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{os.getpid()}-{threading.get_native_id()}.txt"
        descriptor = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(f"batcher {VERSION}, Python {sys.version}\n{text}")
        return str(folder / name)
    except OSError:
        return text
