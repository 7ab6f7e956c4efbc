"""What lies under a folder: a disk of this machine, or something on which no ledger is safe."""

from __future__ import annotations

import os
import re
from pathlib import Path

_REMOTE = frozenset(
    ("9p", "acfs", "afs", "beegfs", "ceph", "cifs", "davfs", "fuse.davfs2", "fuse.glusterfs", "fuse.rclone", "fuse.s3fs",
     "fuse.sshfs", "gfs2", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "ocfs2", "orangefs", "smb3", "smbfs")
)  # fmt: skip
"""File systems that other machines see as well, by their names under Linux."""

_SYNCED = ("dropbox", "onedrive", "google drive", "googledrive", "icloud", "cloudstorage", "mobile documents", "nextcloud",
           "owncloud", "pcloud", "syncthing")  # fmt: skip
"""How the names of folders begin that a program copies to other machines, whole files at a time."""

SAFE_PLACE = "let BATCHER_STATE name a folder on a disk of this machine, or a PostgreSQL database"
MOUNTS = Path("/proc/self/mountinfo")
_ESCAPED = re.compile(r"\\([0-7]{3})")


def risk_of(folder: Path, *, mounts: Path = MOUNTS) -> str:
    """
    Why a ledger in this folder is in danger, as a sentence; empty where nothing is known against it.

    Locks and the order of writes hold on the disk of one machine. Over a network they may not, and what is copied while
    it is written may be put back older than it was.

    Args:
        folder: It need not be there yet.
        mounts: As Linux tells what is mounted where; other systems have no such file, and only names are looked at.
    """
    place = Path(os.path.realpath(folder))
    for part in place.parts:
        if part.casefold().startswith(_SYNCED):
            return f"the ledger lies in {part}, a folder that is copied to other machines while it is written"
    kind = _kind_of(place, mounts)
    return f"the ledger lies on a network disk ({kind})" if kind in _REMOTE else ""


def _kind_of(place: Path, mounts: Path) -> str:
    """The file system under a path; empty where that is not known."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return ""
    deepest, found = -1, ""
    for line in lines:
        before, _, after = line.partition(" - ")
        fields = before.split(" ")
        if len(fields) < 5 or not after:
            continue
        point = Path(_ESCAPED.sub(lambda match: chr(int(match[1], 8)), fields[4]))
        if place.is_relative_to(point) and len(point.parts) >= deepest:  # of two at one place the later one is seen
            deepest, found = len(point.parts), after.split(" ", 1)[0]
    return found
