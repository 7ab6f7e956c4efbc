"""Files on their way into the cloud: whole on this machine first, so that a broken transfer is gone on with."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path

from batcher.fetch.errors import DiskTrouble, Occupied, TryLater
from batcher.fetch.part import disk_trouble, occupied
from batcher.stores import NOTHING, CloudPath, StoreAway, StoreError, Taken, look, put

KEPT_S = 7 * 86_400.0
"""What broke off longer ago is not gone on with: its link has expired."""


@contextlib.contextmanager
def stored_after(goal: CloudPath, *, scratch: Path) -> Iterator[tuple[Path, int | None]]:
    """
    A place of this machine for a file that goes into the cloud, and the size of what stands there already.

    What is unfinished stays for the next try; a whole file is gone after the block.

    Raises:
        TryLater: The store cannot be reached now.
        DiskTrouble: It cannot be written to before a person has mended something.
        Occupied: Raised in the block, it names the goal.
    """
    with _border():
        standing = look(goal)
    folder = scratch / blake2b(str(goal).encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()
    file = folder / goal.name
    with disk_trouble(file):
        scratch.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.mkdir(exist_ok=True, mode=0o700)
        file.unlink(missing_ok=True)  # left by a process that was killed before all of it was in the cloud
    try:
        yield file, standing.size if standing else None
    except Occupied as error:
        raise occupied(goal) from error
    finally:
        with contextlib.suppress(OSError):
            file.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # something unfinished is in it
            folder.rmdir()


def send(file: Path, goal: CloudPath) -> None:
    """
    Put a whole file in its place.

    Raises:
        Occupied: A different one stands there; an equal one is left as it is.
        TryLater, DiskTrouble: As `stored_after`.
    """
    try:
        with _border():
            put(file, goal, expects=NOTHING)
    except Taken as error:
        raise occupied(goal) from error


def clear(scratch: Path, *, now: float) -> None:
    """Remove what broke off so long ago that nobody will go on with it."""
    before = now - KEPT_S
    for folder, _, names in os.walk(scratch, topdown=False):
        for name in names:
            path = Path(folder) / name
            with contextlib.suppress(OSError):
                if path.lstat().st_mtime < before:
                    path.unlink()
        with contextlib.suppress(OSError):
            if Path(folder) != scratch and Path(folder).stat().st_mtime < before:
                Path(folder).rmdir()


@contextlib.contextmanager
def _border() -> Iterator[None]:
    """The border to the stores: their failures become those of fetching, but for `Taken`."""
    try:
        yield
    except Taken:
        raise
    except StoreAway as error:
        raise TryLater(str(error)) from error
    except StoreError as error:
        raise DiskTrouble(str(error)) from error
