"""The door: from a place to its store, and what is done with files wherever they stand."""

from __future__ import annotations

import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from batcher.stores.folder import FolderStore, unwritable
from batcher.stores.objects import ObjectStore
from batcher.stores.path import CloudPath, Location
from batcher.stores.protocol import Store, Stored

_FOLDERS = FolderStore()
_opened: dict[tuple[str, str], ObjectStore] = {}
_opening = threading.Lock()


def store_of(place: Location) -> Store[Any]:
    """
    The store in which a place is; one for each bucket, kept until the process ends.

    Raises:
        StoreError: It cannot be opened.
    """
    if isinstance(place, Path):
        return _FOLDERS
    with _opening:
        key = (place.scheme, place.bucket)
        if key not in _opened:
            from batcher.stores.backend import open_backend

            _opened[key] = ObjectStore(open_backend(place))
        return _opened[key]


def look(place: Location) -> Stored | None:
    """As `Store.look`."""
    return store_of(place).look(place)


def bring(place: Location, file: Path) -> Stored:
    """As `Store.bring`."""
    return store_of(place).bring(place, file)


def put(file: Path, place: Location, *, expects: str | None) -> None:
    """As `Store.put`."""
    store_of(place).put(file, place, expects=expects)


def rename(place: Location, to: Location) -> None:
    """As `Store.rename`."""
    store_of(place).rename(place, to)


def require(place: Location) -> None:
    """As `Store.require`."""
    store_of(place).require(place)


def local(place: Location) -> Path:
    """
    A place that can only be on this machine.

    Raises:
        TypeError: It is in the cloud: a mistake in the program.
    """
    if isinstance(place, CloudPath):
        raise TypeError(f"{place} is not on this machine")
    return place


def prepare(place: Location) -> None:
    """Make the folder of a file that is to be written; in the cloud there are none."""
    if isinstance(place, Path):
        place.parent.mkdir(parents=True, exist_ok=True)


@contextmanager
def replacing(place: Location, *, like: Location | None = None) -> Iterator[Path]:
    """
    Give a new file to write to, and put it in its place when the block ends well.

    On this machine the new file is on disk before it takes the old one's place, and the folder after; it keeps the old
    file's mode. When the block fails, the old file stands as it was.

    Args:
        like: A file or folder of this machine; whoever may read or write it may do the same with a file that did not
            exist. Without one that is there, such a file is its owner's alone.

    Raises:
        InputError: The folder is missing, full or read-only, or `place` is no ordinary file; the store cannot be
            reached, or does not allow it.
    """
    store = store_of(place)
    try:
        with store.begin(place) as temporary:
            if isinstance(like, Path):
                _share(temporary, like)
            yield temporary
            store.put(temporary, place, expects=None)
    except OSError as error:
        raise unwritable(place, error) from error


def _share(file: Path, like: Path) -> None:
    """Give a file to those who have `like`, which may be gone."""
    with suppress(OSError):
        file.chmod(stat.S_IMODE(like.stat().st_mode) & 0o666 | 0o600)


@contextmanager
def on_disk(place: Location) -> Iterator[Path]:
    """
    A file of this machine with what stands at a place: the file itself, or a copy for as long as the block lasts.

    Raises:
        StoreError: A copy cannot be had.
    """
    if isinstance(place, Path):
        yield place
        return
    store = store_of(place)
    with store.begin(place) as copy:
        store.bring(place, copy)
        yield copy


@contextmanager
def edited(place: Location) -> Iterator[Path]:
    """
    A file of this machine to be changed in place: the file itself, or a copy that is put back if the block changed it.

    Raises:
        Changed: Somebody else has changed it in the meantime; that stands.
        StoreError: It cannot be had, or not be put back.
    """
    if isinstance(place, Path):
        yield place
        return
    store = store_of(place)
    with store.begin(place) as copy:
        read = store.bring(place, copy)
        before = _FOLDERS.look(copy)
        yield copy
        if _FOLDERS.look(copy) != before:
            store.put(copy, place, expects=read.mark)
