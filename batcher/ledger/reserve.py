"""Room on the disk that is taken while there is plenty, and let go when the answers in the air must be written down."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path

from batcher.errors import LedgerError

RESERVE_BYTES = 4_000_000
"""Enough for the answers to everything that can be in the air at once, some hundred times over."""

_NO_PREALLOCATION = (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS)


class Reserve:
    """
    A file of nothing beside the ledger.

    Args:
        ledger: The ledger's file.
    """

    def __init__(self, ledger: Path) -> None:
        self._path = ledger.with_name(f"{ledger.name}-reserve")

    def hold(self) -> None:
        """
        Take the room, unless it is taken already.

        Raises:
            LedgerError: There is not so much room left.
        """
        if self._path.exists():
            return
        try:
            _preallocate(self._path)
        except OSError as error:
            self.release()
            raise LedgerError(
                f"{self._path.parent}: no room for the ledger ({error.strerror}): at least {RESERVE_BYTES // 1_000_000} MB "
                "must be free there, so that nothing is sent whose answer could not be written down"
            ) from error

    def release(self) -> bool:
        """Let the room go; whether there was any."""
        with suppress(OSError):
            self._path.unlink()
            return True
        return False


def _preallocate(path: Path) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        try:
            os.posix_fallocate(descriptor, 0, RESERVE_BYTES)
        except OSError as error:
            if error.errno not in _NO_PREALLOCATION:
                raise
            os.truncate(descriptor, 0)
            os.write(descriptor, bytes(RESERVE_BYTES))
    finally:
        os.close(descriptor)
