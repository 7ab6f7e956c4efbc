"""Where sheets, results and files stand: folders of this machine, or stores of objects in the cloud."""

from __future__ import annotations

from batcher.stores.door import bring, edited, local, look, on_disk, prepare, put, rename, replacing, require
from batcher.stores.errors import Changed, StoreAway, StoreError, Taken
from batcher.stores.inventory import Inventory
from batcher.stores.path import CloudPath, Location, located, parse_location, shown_from, way_down
from batcher.stores.protocol import NOTHING, Store, Stored

__all__ = [
    "NOTHING",
    "Changed",
    "CloudPath",
    "Inventory",
    "Location",
    "Store",
    "StoreAway",
    "StoreError",
    "Stored",
    "Taken",
    "bring",
    "edited",
    "local",
    "located",
    "look",
    "on_disk",
    "parse_location",
    "prepare",
    "put",
    "rename",
    "replacing",
    "require",
    "shown_from",
    "way_down",
]
