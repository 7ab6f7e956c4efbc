"""A store of objects in the cloud: each is there whole or not at all, from the moment in which its upload is complete."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from batcher.stores.backend import Backend
from batcher.stores.errors import Changed, StoreError, Taken
from batcher.stores.path import CloudPath
from batcher.stores.protocol import NOTHING, Stored

_MARKS = ("ETag", "etag", "generation", "created", "mtime")
"""What file systems call that which changes with every writing, best first."""
_BLOCK = 1 << 20


class ObjectStore:
    """
    The objects of a bucket; may be used from several threads.

    Args:
        backend: The service.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._system = backend.system

    def look(self, place: CloudPath) -> Stored | None:
        with self._border(place):
            try:
                told = self._system.info(str(place))
            except FileNotFoundError:
                return None
        return _stored(told) if told.get("type") == "file" else None

    def bring(self, place: CloudPath, file: Path) -> Stored:
        for _ in range(2):
            before = self.look(place)
            if before is None:
                raise StoreError(place, "there is no such file, or no such bucket")
            with self._border(place):
                self._system.get_file(str(place), str(file))
            if self.look(place) == before and file.stat().st_size == before.size:
                return before
        raise Changed(place, "is being written right now: run again when it is complete")

    @contextmanager
    def begin(self, place: CloudPath) -> Iterator[Path]:
        """A file of the same name in a folder of its own, which nobody else can read."""
        with tempfile.TemporaryDirectory(prefix="batcher-") as folder:
            file = Path(folder) / place.name
            file.touch(mode=0o600)
            yield file

    def put(self, file: Path, place: CloudPath, *, expects: str | None) -> None:
        """
        Upload a file.

        The condition goes with the upload where the service takes it, and is looked at before in any case: some that
        speak as S3 does pass over conditions in silence.
        """
        standing = self.look(place) if expects is not None else None
        if expects is not None and (standing.mark if standing else NOTHING) != expects:
            self._refuse_other(file, place, expects)
            return
        try:
            with self._border(place):
                self._system.put_file(str(file), str(place), **self._condition(expects))
        except (Taken, Changed):  # also when our own upload arrived, but its answer did not, and it was sent again
            self._refuse_other(file, place, expects)
        self._require_whole(file, place)

    def _condition(self, expects: str | None) -> Mapping[str, str]:
        if expects is None:
            return {}
        return {"mode": "create"} if expects == NOTHING else self._backend.only_over(expects)

    def _refuse_other(self, file: Path, place: CloudPath, expects: str | None) -> None:
        """
        Raises:
            Taken, Changed: What stands there is not what was to be put there.
        """
        if self._holds(place, file):
            return
        if expects == NOTHING:
            raise Taken(place, "something stands there already; it is untouched")
        raise Changed(place, "has changed since it was read; it is untouched")

    def _holds(self, place: CloudPath, file: Path) -> bool:
        """Whether an object has the content of a file."""
        standing = self.look(place)
        if standing is None or standing.size != file.stat().st_size:
            return False
        with self._border(place), file.open("rb") as ours, self._system.open(str(place), "rb") as theirs:
            while block := ours.read(_BLOCK):
                if theirs.read(len(block)) != block:
                    return False
        return True

    def _require_whole(self, file: Path, place: CloudPath) -> None:
        standing, size = self.look(place), file.stat().st_size
        if standing is None or standing.size != size:
            there = standing.size if standing else 0
            raise StoreError(place, f"of {size:,} bytes that were written there {there:,} have arrived")

    def rename(self, place: CloudPath, to: CloudPath) -> None:
        """Copied within the store, then removed: it is never gone in between."""
        if self.look(to) is not None:
            raise Taken(to, "something stands there already; it is untouched")
        with self._border(place):
            self._system.cp_file(str(place), str(to))
            self._system.rm_file(str(place))

    def sizes(self, folder: CloudPath) -> Mapping[str, int]:
        above = f"{str(self._system._strip_protocol(str(folder))).rstrip('/')}/"
        with self._border(folder):
            try:
                found = self._system.find(str(folder), detail=True)
            except FileNotFoundError:
                return {}
        return {name.removeprefix(above): int(told["size"]) for name, told in found.items() if name.startswith(above)}

    def require(self, place: CloudPath) -> None:
        if self.look(place) is not None:
            return
        bucket = CloudPath(scheme=place.scheme, bucket=place.bucket)
        with self._border(place):
            try:
                self._system.info(str(bucket))
            except FileNotFoundError:
                raise StoreError(place, f"there is no bucket {place.bucket}") from None
            except PermissionError:  # who may write objects need not be allowed to look at the bucket
                return

    @contextmanager
    def _border(self, place: CloudPath) -> Iterator[None]:
        """
        The border to the libraries of the clouds.

        Raises:
            StoreError: For everything that they raise.
        """
        try:
            yield
        except FileExistsError as error:
            raise Taken(place, "something stands there already; it is untouched") from error
        except self._backend.errors as error:
            if self._backend.is_condition(error):
                raise Changed(place, "has changed since it was read; it is untouched") from error
            raise self._backend.translated(error, place) from error


def _stored(told: Mapping[str, Any]) -> Stored:
    mark = next((str(told[name]) for name in _MARKS if told.get(name)), "")
    return Stored(size=int(told["size"]), mark=mark or f"{told['size']} bytes")
