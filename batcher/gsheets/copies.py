"""What a Google Sheet held when it was read: kept in the state folder, so that it can be read again without network."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from batcher.google_link import GoogleLink

KEPT_S = 7 * 86_400.0
"""An older copy goes once there is a newer one: no run reads one for so long."""
_UNFIT = re.compile(r"[^\w .()-]+")
_LONGEST = 80


@dataclass(frozen=True, kw_only=True, slots=True)
class Copies:
    """
    The copies of one tab: each content once, in a folder of its own, and never changed while a run may read it.

    Attributes:
        folder: Readable by its owner only.
    """

    folder: Path

    @classmethod
    def of(cls, link: GoogleLink, *, state: Path) -> Copies:
        """The copies of a tab."""
        name = hashlib.blake2b(str(link).encode(), digest_size=8).hexdigest()
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

    def keep(self, file: Path, *, sha256: str, title: str) -> Path:
        """Make a file the newest copy; one with the same content is used again as it is."""
        folder = self.folder / sha256[:32]
        folder.mkdir(exist_ok=True, mode=0o700)
        standing = next(iter(folder.glob("*.csv")), None)
        if standing is None:
            name = " ".join(_UNFIT.sub(" ", title).split())[:_LONGEST].strip(" .") or "Google Sheet"
            standing = folder / f"{name}.csv"
            file.replace(standing)
        os.utime(folder)
        self._clear(folder)
        return standing

    def newest(self) -> Path | None:
        """The copy that was read last; None when the sheet was never read."""
        found = list(self.folder.glob("*/*.csv")) if self.folder.exists() else []
        return max(found, key=lambda path: path.parent.stat().st_mtime, default=None)

    def _clear(self, newest: Path) -> None:
        for each in self.folder.iterdir():
            if each != newest and each.stat().st_mtime < time.time() - KEPT_S:
                shutil.rmtree(each, ignore_errors=True) if each.is_dir() else each.unlink(missing_ok=True)
