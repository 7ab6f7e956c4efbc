"""
A file system in memory that forgets, on SIGUSR1, whatever was not yet synced: what a disk does when the power goes. On
SIGUSR2 it begins, or ceases, to answer every write with EIO: what a disk does when it dies.

A file's content is durable once the file was synced; that a name exists, was moved or was removed is durable once its
folder was synced, or the file itself under that name. Started as `python -m proofs.power_cut.forgetful FOLDER`.
"""

from __future__ import annotations

import errno
import os
import signal
import stat
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import fuse  # type: ignore[import-untyped]

from proofs.power_cut import CUT, CUT_MARK, FAIL


@dataclass(eq=False, kw_only=True)
class Node:
    """
    A file or folder.

    Attributes:
        content: As programs see it now.
        durable: As it would be after a cut.
    """

    mode: int
    content: bytearray = field(default_factory=bytearray)
    durable: bytes = b""
    changed_at: float = field(default_factory=time.time)


class Forgetful(fuse.Operations):  # type: ignore[misc]
    """The file system: two name tables, of which one survives a cut."""

    def __init__(self) -> None:
        root = Node(mode=stat.S_IFDIR | 0o700)
        self._now: dict[str, Node] = {"/": root}
        self._durable: dict[str, Node] = dict(self._now)
        self._open: dict[int, Node] = {}
        self._handles = 0
        self._cuts = 0
        self._fails = False
        self._lock = threading.RLock()

    def cut(self) -> None:
        """The power goes: everything is as it was last synced."""
        with self._lock:
            self._cuts += 1
            self._now = dict(self._durable)
            for node in self._now.values():
                node.content = bytearray(node.durable)

    def fail(self) -> None:
        """The disk breaks, or is mended: while it is broken every write ends with EIO."""
        with self._lock:
            self._cuts += 1
            self._fails = not self._fails

    def __call__(self, operation: str, *arguments: Any) -> Any:
        with self._lock:
            if self._fails and operation in ("create", "write", "truncate", "fsync", "fsyncdir", "unlink", "rename"):
                raise fuse.FuseOSError(errno.EIO)
            return super().__call__(operation, *arguments)

    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
        """See fusepy."""
        if path == CUT_MARK:
            return {"st_mode": stat.S_IFREG | 0o400, "st_nlink": 1, "st_size": self._cuts}
        node = self._node(path, fh)
        times = dict.fromkeys(("st_mtime", "st_atime", "st_ctime"), node.changed_at)
        owner = {"st_uid": os.getuid(), "st_gid": os.getgid()}
        return {"st_mode": node.mode, "st_nlink": 1, "st_size": len(node.content), **times, **owner}

    def readdir(self, path: str, fh: int) -> Sequence[str]:
        """See fusepy."""
        start = path.rstrip("/") + "/"
        inside = [name[len(start) :] for name in self._now if name.startswith(start) and name != "/"]
        return [".", "..", *(name for name in inside if name and "/" not in name)]

    def mkdir(self, path: str, mode: int) -> None:
        """See fusepy. Folders are durable at once: nobody promises otherwise, and nothing here rests on it."""
        self._now[path] = self._durable[path] = Node(mode=stat.S_IFDIR | mode)

    def rmdir(self, path: str) -> None:
        """See fusepy."""
        del self._now[path]

    def create(self, path: str, mode: int, fi: Any = None) -> int:
        """See fusepy."""
        self._now[path] = Node(mode=stat.S_IFREG | mode)
        return self.open(path, 0)

    def open(self, path: str, flags: int) -> int:
        """See fusepy."""
        self._handles += 1
        self._open[self._handles] = self._node(path)
        return self._handles

    def release(self, path: str, fh: int) -> None:
        """See fusepy."""
        self._open.pop(fh, None)

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        """See fusepy."""
        return bytes(self._node(path, fh).content[offset : offset + size])

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        """See fusepy."""
        node = self._node(path, fh)
        if len(node.content) < offset:
            node.content.extend(bytes(offset - len(node.content)))
        node.content[offset : offset + len(data)] = data
        node.changed_at = time.time()
        return len(data)

    def truncate(self, path: str, length: int, fh: int | None = None) -> None:
        """See fusepy."""
        node = self._node(path, fh)
        del node.content[length:]
        node.content.extend(bytes(length - len(node.content)))

    def fsync(self, path: str, datasync: int, fh: int) -> None:
        """See fusepy: content, and the name under which it is synced, are durable."""
        node = self._node(path, fh)
        node.durable = bytes(node.content)
        if self._now.get(path) is node:
            self._durable[path] = node

    def fsyncdir(self, path: str, datasync: int, fh: int) -> None:
        """See fusepy: names made, moved and removed in the folder are durable."""
        start = path.rstrip("/") + "/"
        for name in [name for name in self._durable if name.startswith(start) and name not in self._now]:
            del self._durable[name]
        self._durable.update({name: node for name, node in self._now.items() if name.startswith(start)})

    def opendir(self, path: str) -> int:
        """See fusepy."""
        return self.open(path, 0)

    def rename(self, old: str, new: str) -> None:
        """See fusepy."""
        self._now[new] = self._now.pop(old)

    def unlink(self, path: str) -> None:
        """See fusepy."""
        del self._now[path]

    def chmod(self, path: str, mode: int) -> None:
        """See fusepy."""
        node = self._node(path)
        node.mode = stat.S_IFMT(node.mode) | mode

    def chown(self, path: str, uid: int, gid: int) -> None:
        """See fusepy: everything belongs to whoever mounted it."""

    def utimens(self, path: str, times: tuple[float, float] | None = None) -> None:
        """See fusepy."""
        self._node(path).changed_at = times[1] if times else time.time()

    def statfs(self, path: str) -> dict[str, int]:
        """See fusepy: there is plenty of room."""
        return {"f_bsize": 4096, "f_frsize": 4096, "f_blocks": 1 << 20, "f_bfree": 1 << 19, "f_bavail": 1 << 19}

    def _node(self, path: str, fh: int | None = None) -> Node:
        node = self._open.get(fh) if fh else None
        node = node or self._now.get(path)
        if node is None:
            raise fuse.FuseOSError(errno.ENOENT)
        return node


def mount(folder: str) -> None:
    """Mount at a folder until it is unmounted; programs' pages are not kept, so that a cut forgets them too."""
    files = Forgetful()
    signal.signal(CUT, lambda *_: files.cut())
    signal.signal(FAIL, lambda *_: files.fail())
    fuse.FUSE(files, folder, foreground=True, nothreads=True, attr_timeout=0, entry_timeout=0)


if __name__ == "__main__":
    mount(sys.argv[1])
