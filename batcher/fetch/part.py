"""The unfinished file beside its target: gone on with when the source is the same, put in place only when whole."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import shutil
import stat
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO

from msgspec import Struct
from msgspec.structs import asdict

from batcher.fetch.errors import DiskTrouble, Occupied, Refused, TryLater
from batcher.stores import Location
from batcher.stores.folder import move_new, sync

PART = ".part"
ORIGIN = ".part.json"


class Origin(Struct, frozen=True, kw_only=True):
    """
    Where an unfinished file comes from; kept beside it.

    Attributes:
        source: Hash of the link without its query, which is what changes when a link is signed anew.
        link: Hash of the whole link; the link itself is a secret.
        etag: What the server calls this very content; empty when it does not say or is not exact.
        size: Bytes of the whole file.
    """

    source: str
    link: str
    etag: str
    size: int

    @classmethod
    def of(cls, url: str, *, etag: str, size: int) -> Origin:
        """The origin of what a link brings."""
        exact = etag if etag.startswith('"') else ""
        return cls(source=_hash(url.partition("?")[0]), link=_hash(url), etag=exact, size=size)

    def goes_on(self, url: str) -> bool:
        """
        Whether a link leads to the same content: the same place and an exact mark to ask for, or the very same link.

        A place alone is not enough: two videos of the same length would be mixed into one.
        """
        return self.source == _hash(url.partition("?")[0]) if self.etag else self.link == _hash(url)


def _hash(text: str) -> str:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


class Part:
    """
    An unfinished file, open and locked.

    Attributes:
        target: Where the file belongs; its folder is there.
        file: Unbuffered, for reading and writing.
        origin: Where its bytes come from; None when that is not known, and then it cannot be gone on with.
        size: How many bytes it has.
        standing: Size of the file that stands at the target already; None without one.
    """

    def __init__(self, target: Path, file: BinaryIO, *, standing: int | None) -> None:
        self.target = target
        self.file = file
        self.standing = standing
        self.size = os.fstat(file.fileno()).st_size
        self.origin = _read_origin(_beside(target, ORIGIN))
        self._is_over = False

    def restart(self, origin: Origin | None) -> None:
        """Begin from nothing, with what is known about where the bytes will come from."""
        _beside(self.target, ORIGIN).unlink(missing_ok=True)
        self.file.truncate(0)
        self.file.seek(0)
        self.size, self.origin = 0, origin
        if origin is not None:
            handle = _create(_beside(self.target, ORIGIN))
            with os.fdopen(handle, "w", encoding="ascii") as file:
                json.dump(asdict(origin), file)

    def append(self, block: bytes) -> None:
        """Write bytes at the end."""
        self.file.seek(self.size)
        view = memoryview(block)
        while view:
            written = self.file.write(view)
            self.size += written
            view = view[written:]

    def finish(self, *, mode: int) -> None:
        """
        Put the whole file in its place: it is on disk before it has its name, and the folder after.

        Raises:
            Occupied: A different file stands there; an equal one is left as it is.
        """
        os.fchmod(self.file.fileno(), mode)
        os.fsync(self.file.fileno())
        path = _beside(self.target, PART)
        _beside(self.target, ORIGIN).unlink(missing_ok=True)
        try:
            move_new(path, self.target)
        except FileExistsError:
            if not _is_equal(self.file, self.target):
                raise occupied(self.target) from None
            path.unlink(missing_ok=True)
        self._is_over = True
        sync(self.target.parent)

    def leave(self) -> None:
        """The transfer broke off: keep what has come where it can be gone on with."""
        if self._is_over:
            return
        if self.origin is None or not 0 < self.size < self.origin.size:
            self.discard()
            return
        try:
            os.fsync(self.file.fileno())
        except OSError:
            self.discard()

    def discard(self) -> None:
        """Nothing of it is of use. Only once: what stands there afterwards may be another process's."""
        if self._is_over:
            return
        self._is_over = True
        for ending in (ORIGIN, PART):  # our lock is on the part
            with contextlib.suppress(OSError):
                _beside(self.target, ending).unlink()


@contextlib.contextmanager
def open_part(target: Path, *, folder: Path, standing: int | None = None) -> Iterator[Part]:
    """
    The unfinished file of a target, a new one or what an earlier try has left; sub-folders are made.

    A broken transfer (TryLater) or a process that dies leaves it to be gone on with; every other end removes it.

    Args:
        target: Where the file belongs.
        folder: Which the target must not leave, whatever links stand in it.
        standing: Size of what stands where the file goes from there; None when nothing does, or it stays.

    Raises:
        Refused: The target leads out of the folder.
        Occupied: Something that is no ordinary file stands there.
        TryLater: Another process or thread is fetching it.
        DiskTrouble: The file cannot be written.
    """
    with disk_trouble(target):
        target = _inside(target, folder)
        own = _standing(target)
        file = _open_locked(_beside(target, PART))
    try:
        with disk_trouble(target):
            part = Part(target, file, standing=standing if own is None else own)
        try:
            yield part
        except (Refused, Occupied, DiskTrouble, OSError):
            part.discard()
            raise
        finally:
            part.leave()
    finally:
        file.close()


@contextlib.contextmanager
def disk_trouble(target: Path) -> Iterator[None]:
    """
    The border to the file system.

    Raises:
        DiskTrouble: For every OSError in the block.
        Occupied: Where the target's name, or that of a folder on the way to it, is taken by something else.
    """
    try:
        yield
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise occupied(target) from error
    except OSError as error:
        reason = {errno.EFBIG: "the file is too large for this disk or for its limit"}.get(error.errno or 0)
        message = f"cannot be written: {reason or error.strerror or error} ({target.parent})"
        raise DiskTrouble(f"{target.name}: {message}; nothing of it is kept") from error


def check_room(target: Path, wanted: int, *, spare: int) -> None:
    """
    See that a file fits, and something is left for others.

    Raises:
        DiskTrouble: It does not.
    """
    free = shutil.disk_usage(target.parent).free
    if free < wanted + spare:
        need, have = (wanted + spare) / 1e6, free / 1e6
        message = f"{need:,.1f} MB are wanted (some to spare), {have:,.1f} MB are free in {target.parent}"
        raise DiskTrouble(f"{target.name}: {message}")


def _inside(target: Path, folder: Path) -> Path:
    """The target with its folder resolved; folders on the way are made one by one, never through a link that leaves."""
    folder.mkdir(parents=True, exist_ok=True)
    root = Path(os.path.realpath(folder))
    try:
        steps = target.relative_to(folder).parts
    except ValueError:
        steps = ()
    if not steps or ".." in steps:
        raise Refused(f"{target} is not inside {folder}")
    place = root
    for step in steps[:-1]:
        (place / step).mkdir(exist_ok=True)
        place = Path(os.path.realpath(place / step))
        if not place.is_relative_to(root):
            raise Refused(f"{target.parent} leads out of {folder}, to {place}: nothing is written there")
    return place / steps[-1]


def _beside(target: Path, ending: str) -> Path:
    return target.with_name(target.name + ending)


def _open_locked(path: Path) -> BinaryIO:
    """Open for this process alone; the kernel lets go of it when the process dies."""
    handle = _reopen(path)
    if handle is None:
        handle = _create(path)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not _is_ours(handle, path):  # its owner finished between our opening and our locking
            raise BlockingIOError
    except BlockingIOError:
        os.close(handle)
        raise TryLater(f"{path.name}: another run is fetching it") from None
    except OSError:
        os.close(handle)
        raise
    return os.fdopen(handle, "r+b", buffering=0)


def _reopen(path: Path) -> int | None:
    """What an earlier try has left; anything there that is not ours is taken away, never followed or written to."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.ENXIO):
            raise
        path.unlink()
        return None
    status = os.fstat(handle)
    if stat.S_ISREG(status.st_mode) and status.st_nlink == 1:
        return handle
    os.close(handle)
    path.unlink(missing_ok=True)
    return None


def _create(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def _is_ours(handle: int, path: Path) -> bool:
    """Whether an open file still has this name, and no other: writing to it changes no finished file."""
    status = os.fstat(handle)
    try:
        return status.st_nlink == 1 and os.path.samestat(status, path.lstat())
    except FileNotFoundError:
        return False


def _read_origin(path: Path) -> Origin | None:
    """What stands beside the part; None when it is not there, or not of our making."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(handle, "rb") as file:
        try:
            value = json.loads(file.read(4096))
            origin = Origin(source=value["source"], link=value["link"], etag=value["etag"], size=value["size"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
    texts = (origin.source, origin.link, origin.etag)
    return origin if isinstance(origin.size, int) and all(isinstance(text, str) for text in texts) else None


def _standing(target: Path) -> int | None:
    try:
        status = target.lstat()
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(status.st_mode):
        raise occupied(target)
    return status.st_size


def _is_equal(file: BinaryIO, target: Path) -> bool:
    if _standing(target) != os.fstat(file.fileno()).st_size:
        return False
    handle = os.open(target, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(handle, "rb", buffering=0) as other:
        file.seek(0)
        while block := file.read(1 << 20):
            if other.read(len(block)) != block:
                return False
    return True


def occupied(target: Location) -> Occupied:
    """The complaint that something else stands at a target."""
    return Occupied(f"{target.name}: a different file stands there already ({target.parent}); it is untouched")
