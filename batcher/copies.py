"""What a sheet elsewhere held when it was read: kept in the state folder, so that it can be read again without network."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from msgspec import Struct

from batcher.errors import InputError, Problem

KEPT_S = 7 * 86_400.0
"""An older copy goes once there is a newer one: no run reads one for so long."""
_UNFIT = re.compile(r"[^\w .()-]+")
_LONGEST = 80


class Copies(Struct, frozen=True, kw_only=True):
    """
    The copies of one sheet: each content once, in a folder of its own, and never changed while a run may read it.

    Attributes:
        folder: Readable by its owner only.
    """

    folder: Path

    @classmethod
    def of(cls, address: str, *, state: Path) -> Copies:
        """The copies of the sheet at an address."""
        name = hashlib.blake2b(address.encode(), digest_size=8).hexdigest()
        return cls(folder=state / "sheets" / name)

    @contextmanager
    def new(self) -> Iterator[Path]:
        """A file to write a copy into; it is gone after the block unless it was kept."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, name = tempfile.mkstemp(dir=self.folder, prefix=".", suffix=".part")
        os.close(handle)
        try:
            yield Path(name)
        finally:
            Path(name).unlink(missing_ok=True)

    def keep(self, file: Path, *, key: str, title: str, suffix: str = ".csv") -> Path:
        """
        Make a file the newest copy; one with the same content is used again as it is.

        Args:
            key: Another one for every content, in hexadecimal.
            title: What people call the sheet.
        """
        standing = self.find(key)
        if standing is None:
            name = " ".join(_UNFIT.sub(" ", title).split())[:_LONGEST].strip(" .") or "sheet"
            standing = self._of(key) / f"{name}{suffix}"
            standing.parent.mkdir(exist_ok=True, mode=0o700)
            file.replace(standing)
        os.utime(standing.parent)
        self._clear(standing.parent)
        return standing

    def find(self, key: str) -> Path | None:
        """The copy with this content; None when there is none."""
        return next((path for path in self._of(key).glob("*") if not path.name.startswith(".")), None)

    def _of(self, key: str) -> Path:
        return self.folder / key[:32]

    def read_last(self, where: str) -> tuple[Path, str]:
        """
        The copy that was read last, and a note for the person that it is one.

        Args:
            where: What people call the sheet.

        Raises:
            InputError: It was never read.
        """
        found = list(self.folder.glob("*/[!.]*")) if self.folder.exists() else []
        newest = max(found, key=lambda path: path.parent.stat().st_mtime, default=None)
        if newest is None:
            message = "was never read, and the network must not be used now; run batcher check without --offline first"
            raise InputError(Problem(where=where, message=message))
        read_at = datetime.fromtimestamp(newest.parent.stat().st_mtime).astimezone()
        return newest, f"as it was read on {read_at:%d %b %Y %H:%M}"

    def _clear(self, newest: Path) -> None:
        for each in self.folder.iterdir():
            if each != newest and each.stat().st_mtime < time.time() - KEPT_S:
                shutil.rmtree(each, ignore_errors=True) if each.is_dir() else each.unlink(missing_ok=True)
