"""A sheet that stands in the cloud: copied when it has changed, and read from the copy like any file."""

from __future__ import annotations

import hashlib
from pathlib import Path

from msgspec.structs import replace

from batcher.copies import Copies
from batcher.finding import open_job_sheet
from batcher.job import Job
from batcher.sheet import Sheet
from batcher.stores import CloudPath, Stored, StoreError, bring, look


def open_cloud_sheet(job: Job, place: CloudPath, *, state: Path, offline: bool) -> Sheet:
    """
    Open the sheet of a job that stands in the cloud.

    The store is asked each time whether it has changed, by size and mark; while it has not, nothing is copied.

    Args:
        state: The user's state folder: copies are kept there.
        offline: Use no network: the copy that was read last.

    Raises:
        InputError: It cannot be read as it should; or offline, and it was never read.
    """
    copies = Copies.of(str(place), state=state)
    if offline:
        copy, note = copies.read_last(str(place))
        sheet = open_job_sheet(job, file=copy)
        return replace(sheet, name=place.name, notes=(*sheet.notes, note))
    return replace(open_job_sheet(job, file=_newest(place, copies)), name=place.name)


def _newest(place: CloudPath, copies: Copies) -> Path:
    standing = look(place)
    if standing is None:
        raise StoreError(place, "there is no such file, or no such bucket")
    copy = copies.find(_key(standing))
    if copy is not None:
        return copies.keep(copy, key=_key(standing), title=place.stem, suffix=place.suffix)
    with copies.new() as file:
        standing = bring(place, file)
        return copies.keep(file, key=_key(standing), title=place.stem, suffix=place.suffix)


def _key(standing: Stored) -> str:
    return hashlib.blake2b(f"{standing.size} {standing.mark}".encode(), digest_size=16).hexdigest()
