"""A file that is replaced whole or not at all."""

from __future__ import annotations

import glob
import os
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from batcher.errors import InputError, Problem


@contextmanager
def replacing(path: Path, *, like: Path | None = None) -> Iterator[Path]:
    """
    Give a new file beside `path` to write to, and put it in its place when the block ends well.

    The new file is on disk before it takes the old one's place, and the folder after. It keeps the old file's mode. When
    the block fails, the old file stands as it was.

    Args:
        like: A file or folder; whoever may read or write it may do the same with a file that did not exist. Without one
            that is there, such a file is its owner's alone.

    Raises:
        InputError: The folder is missing, full or read-only, or `path` is no ordinary file.
    """
    target = Path(os.path.realpath(path))
    try:
        mode = _mode(target)
        if mode is None and like is not None:
            mode = _mode_like(like)
        temporary = _beside(target)
    except OSError as exc:
        raise _unwritable(path, exc) from exc
    try:
        yield temporary
        if mode is not None:
            temporary.chmod(mode)
        _sync(temporary)
        temporary.replace(target)
        _sync(target.parent)
    except OSError as exc:
        raise _unwritable(path, exc) from exc
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


def _mode(target: Path) -> int | None:
    """The permissions of the file to be replaced; None when there is none yet."""
    try:
        status = target.stat()
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(status.st_mode):
        raise OSError(None, "it is a folder, a pipe or a device, not an ordinary file")
    return stat.S_IMODE(status.st_mode)


def _mode_like(like: Path) -> int | None:
    """The permissions of a file for those who have `like`; None when that is not there."""
    try:
        return stat.S_IMODE(like.stat().st_mode) & 0o666 | 0o600
    except OSError:
        return None


LITTER_S = 3600.0
"""Age from which a file that never took its place was left by a process that was killed."""


def _beside(target: Path) -> Path:
    """A new, empty file in the same folder, so that it can take the target's place in one move."""
    for left in target.parent.glob(f".{glob.escape(target.stem[:80])}.*.part{glob.escape(target.suffix)}"):
        with suppress(OSError):
            if left.stat().st_mtime < time.time() - LITTER_S:
                left.unlink()
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.stem[:80]}.", suffix=f".part{target.suffix}")
    os.close(handle)
    return Path(name)


def _sync(path: Path) -> None:
    """Wait until a file or folder is on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _unwritable(path: Path, exc: OSError) -> InputError:
    reason = exc.strerror or str(exc)
    message = f"cannot be written: {reason} ({path.parent}); the file that was there is untouched"
    return InputError(Problem(where=path.name, message=message))
