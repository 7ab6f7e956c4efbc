"""The rows of a Google Sheet: fetched, kept as a copy, and read from there like any CSV file."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import replace

from batcher.copies import Copies
from batcher.finding import open_job_sheet
from batcher.google_link import GoogleLink
from batcher.gsheets.api import open_tab
from batcher.gsheets.door import Door
from batcher.gsheets.export import SignInWantedError, export
from batcher.job import Job
from batcher.sheet import Sheet, write_csv

_TITLE = "Google Sheet"


def open_google_sheet(job: Job, link: GoogleLink, door: Door, *, state: Path, offline: bool) -> Sheet:
    """
    Open the Google Sheet of a job.

    One that takes its own results is read with the service account; any other as everybody with the link sees it, and
    with the service account only where that asks for a sign-in.

    Args:
        state: The user's state folder: copies are kept there.
        offline: Use no network: the copy that was read last.

    Raises:
        InputError: It cannot be read as it should; or offline, and it was never read.
    """
    copies = Copies.of(str(link), state=state)
    if not offline:
        return open_job_sheet(job, file=_fetch(link, door, copies, with_account=job.results.file == job.sheet.file))
    copy, note = copies.read_last(f"Google Sheet {link.key} (gid {link.gid})")
    sheet = open_job_sheet(job, file=copy)
    return replace(sheet, notes=(*sheet.notes, note))


def _fetch(link: GoogleLink, door: Door, copies: Copies, *, with_account: bool) -> Path:
    if not with_account:
        try:
            with copies.new() as file:
                exported = export(link, file, door)
                return copies.keep(file, key=exported.sha256, title=exported.title or _TITLE)
        except SignInWantedError:
            if door.credentials is None:
                raise
    tab = open_tab(link, door)
    copy, _ = keep_values(copies, tab.values(), title=f"{tab.document} - {tab.title}")
    return copy


def keep_values(copies: Copies, values: Sequence[Sequence[str]], *, title: str) -> tuple[Path, str]:
    """Make cells as the API gives them the newest copy; returns it and its SHA-256."""
    width = max(map(len, values), default=1)
    full = [[*row, *[""] * (width - len(row))] for row in values] or [[""]]
    with copies.new() as file:
        write_csv(file, full[0], full[1:], ours_from=width, bom=False)
        with file.open("rb") as written:
            sha256 = hashlib.file_digest(written, "sha256").hexdigest()
        return copies.keep(file, key=sha256, title=title), sha256
