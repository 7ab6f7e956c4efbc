"""One run per job: a lock that the kernel lets go of when the process dies."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from batcher.errors import NotFinished


def label_hash(job: str) -> str:
    """What files of a job are named after: labels may hold anything, and are nobody else's business."""
    return hashlib.blake2b(job.encode(), digest_size=8).hexdigest()


@contextmanager
def job_lock(folder: Path, job: str, *, shared: bool = False) -> Iterator[None]:
    """
    Hold the job's lock.

    Args:
        folder: Where lock files are kept; made when it is not there.
        job: The job's label.
        shared: Beside others who share it.

    Raises:
        NotFinished: Another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(folder / f"{label_hash(job)}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise NotFinished(f"another run of '{job}' is under way; this one does nothing") from None
    try:
        yield
    finally:
        os.close(descriptor)


@contextmanager
def making_lock(folder: Path) -> Iterator[None]:
    """Held while a ledger is made: two that change the kind of its journal at once are both refused, and wait for nobody."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)  # the folder itself: nothing is left behind
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
