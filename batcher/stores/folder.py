"""Files on this machine, replaced whole or not at all."""

from __future__ import annotations

import errno
import filecmp
import glob
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from batcher.stores.errors import Changed, StoreError, Taken
from batcher.stores.protocol import NOTHING, Stored

LITTER_S = 3600.0
"""Age from which a file that never took its place was left by a process that was killed."""
_NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV, errno.EACCES})
"""How file systems say that they know no hard links."""


class FolderStore:
    """The folders of this machine: what is put is on disk before it has its name, and its folder after."""

    def look(self, place: Path) -> Stored | None:
        try:
            status = place.stat()
        except OSError:
            return None
        return _stored(status) if stat.S_ISREG(status.st_mode) else None

    def bring(self, place: Path, file: Path) -> Stored:
        try:
            with place.open("rb") as source, file.open("wb") as target:
                shutil.copyfileobj(source, target)
                return _stored(os.fstat(source.fileno()))
        except OSError as error:
            raise StoreError(place.name, f"cannot be read: {error.strerror or error} ({place.parent})") from error

    @contextmanager
    def begin(self, place: Path) -> Iterator[Path]:
        """A file in the same folder, so that it can take the place in one move."""
        target = Path(os.path.realpath(place))
        try:
            _mode(target)
            temporary = _beside(target)
        except OSError as error:
            raise unwritable(place, error) from error
        try:
            yield temporary
        finally:
            with suppress(FileNotFoundError):
                temporary.unlink()

    def put(self, file: Path, place: Path, *, expects: str | None) -> None:
        """The new file has the mode of the one that it replaces; without one it keeps its own."""
        target = Path(os.path.realpath(place))
        try:
            mode = _mode(target)
            if mode is not None:
                file.chmod(mode)
            sync(file)
            self._move(file, target, place, expects)
            sync(target.parent)
        except OSError as error:
            raise unwritable(place, error) from error

    def _move(self, file: Path, target: Path, place: Path, expects: str | None) -> None:
        if expects is None:
            file.replace(target)
            return
        try:
            if expects == NOTHING:
                move_new(file, target)
                return
            standing = self.look(target)
            if standing is not None and standing.mark == expects:
                file.replace(target)
                return
        except FileExistsError:
            pass
        if not (target.is_file() and filecmp.cmp(file, target, shallow=False)):
            if expects == NOTHING:
                raise Taken(place.name, f"something stands there already ({place.parent}); it is untouched")
            raise Changed(place.name, f"has changed since it was read ({place.parent}); it is untouched")

    def rename(self, place: Path, to: Path) -> None:
        try:
            move_new(place, to)
        except FileExistsError as error:
            raise Taken(to.name, f"something stands there already ({to.parent}); it is untouched") from error
        except OSError as error:
            raise unwritable(to, error) from error

    def sizes(self, folder: Path) -> Mapping[str, int]:
        found = {}
        for path in folder.rglob("*"):
            if (standing := self.look(path)) is not None:
                found[path.relative_to(folder).as_posix()] = standing.size
        return found

    def require(self, place: Path) -> None:
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(place.parent, f"the folder cannot be made: {error.strerror}") from error
        if not os.access(place.parent, os.W_OK) or place.is_dir():
            raise StoreError(place, "the results cannot be written there")


def move_new(file: Path, target: Path) -> None:
    """
    Give a file its name, unless the name is taken.

    Raises:
        FileExistsError: It is.
        OSError: It cannot be moved.
    """
    try:
        os.link(file, target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from None
        file.rename(target)
        return
    file.unlink(missing_ok=True)


def unwritable(place: object, error: OSError) -> StoreError:
    """The complaint that a file cannot be written."""
    reason = error.strerror or str(error)
    if isinstance(place, Path):
        return StoreError(
            place.name, f"cannot be written: {reason} ({place.parent}); the file that was there is untouched"
        )
    return StoreError(place, f"cannot be written: {reason}; what was there is untouched")


def sync(path: Path) -> None:
    """Wait until a file or folder is on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _stored(status: os.stat_result) -> Stored:
    return Stored(size=status.st_size, mark=f"{status.st_ino}-{status.st_size}-{status.st_mtime_ns}")


def _mode(target: Path) -> int | None:
    """The permissions of the file to be replaced; None when there is none yet."""
    try:
        status = target.stat()
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(status.st_mode):
        raise OSError(None, "it is a folder, a pipe or a device, not an ordinary file")
    return stat.S_IMODE(status.st_mode)


def _beside(target: Path) -> Path:
    """A new, empty file in the same folder; what killed processes have left there is cleared away."""
    for left in target.parent.glob(f".{glob.escape(target.stem[:80])}.*.part{glob.escape(target.suffix)}"):
        with suppress(OSError):
            if left.stat().st_mtime < time.time() - LITTER_S:
                left.unlink()
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.stem[:80]}.", suffix=f".part{target.suffix}")
    os.close(handle)
    return Path(name)
