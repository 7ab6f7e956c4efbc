"""The project file: what all jobs of a folder share, which is where their ledger is."""

from __future__ import annotations

import json
from pathlib import Path

from msgspec import Struct

from batcher.document import Document, read_document
from batcher.errors import InputError, LedgerError
from batcher.ledger.place import has_password, is_address, wrong_place

PROJECT_FILE = "batcher.yaml"
"""It stands beside the job files, or in the folder above theirs, as `.env` does."""


class Project(Struct, frozen=True, kw_only=True):
    """
    A project file.

    Attributes:
        path: Where it stands.
        state: The state folder, absolute, or the address of a database.
    """

    path: Path
    state: str


def find_project(job_file: Path | None, *, folder: Path) -> Project | None:
    """
    The project file that counts for a job: the nearest one.

    Args:
        job_file: The job; None for a command that is about none.
        folder: Where the command was called, which counts then.

    Raises:
        InputError: It cannot be used; all that is wrong with it.
    """
    begin = (job_file.absolute().parent if job_file else folder).resolve()
    for each in (begin, begin.parent):
        path = each / PROJECT_FILE
        if path.is_file() and path.resolve() != (job_file.resolve() if job_file else None):
            document = read_document(path, json.loads(_SCHEMA.read_text(encoding="utf-8")))
            return Project(path=path, state=_state(document, each))
    return None


_SCHEMA = Path(__file__).with_suffix(".schema.json")


def _state(document: Document, folder: Path) -> str:
    told = str(document.value["state"])
    if wrong := _wrong_with(told):
        raise InputError(document.problem(("state",), wrong))
    return told if is_address(told) else str((folder / Path(told).expanduser()).absolute())


def _wrong_with(told: str) -> str:
    """Why it can be no state; empty when it can."""
    if not is_address(told):
        return wrong_place(told)
    try:
        is_open = has_password(told)
    except LedgerError as error:
        return str(error).removeprefix("BATCHER_STATE: ")
    return (
        "holds a password, and this file is shared and kept; put it into ~/.pgpass and leave it out here"
        if is_open
        else ""
    )
