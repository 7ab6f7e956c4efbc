"""What stands at many places: few of them are looked at one by one, many in one bucket by a listing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from batcher.stores.door import look, store_of
from batcher.stores.errors import StoreError
from batcher.stores.path import CloudPath, Location

ONE_BY_ONE = 20
"""So many objects below a folder are asked for singly before all of it is listed: a thousand come in one answer."""


class Inventory:
    """
    Whether files stand where they were put; for one pass over them.

    Args:
        asks: False where no network may be used: then what was put into the cloud is there.
    """

    def __init__(self, *, asks: bool) -> None:
        self._asks = asks
        self._asked: dict[CloudPath, int] = {}
        self._listed: dict[CloudPath, Mapping[str, int]] = {}
        self._away: set[str] = set()

    def holds(self, place: Location, size: int | None, *, folder: Location) -> bool:
        """
        Whether a file of that size stands at a place; one whose store cannot be asked now does.

        Args:
            size: None for any.
            folder: Above it, and above others that will be asked for.
        """
        if isinstance(place, Path):
            standing = look(place)
            return standing is not None and size in (None, standing.size)
        if not self._asks or place.bucket in self._away:
            return True
        try:
            found = self._size(place, folder if isinstance(folder, CloudPath) else place.parent)
        except StoreError:  # whoever wants to write there is told
            self._away.add(place.bucket)
            return True
        return found is not None and size in (None, found)

    def _size(self, place: CloudPath, folder: CloudPath) -> int | None:
        self._asked[folder] = self._asked.get(folder, 0) + 1
        if self._asked[folder] <= ONE_BY_ONE or not place.is_below(folder):
            standing = look(place)
            return standing.size if standing else None
        if folder not in self._listed:
            self._listed[folder] = store_of(folder).sizes(folder)
        return self._listed[folder].get(place.relative_to(folder).as_posix())
