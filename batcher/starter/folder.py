"""The files of a folder to begin with: all of them or none, and never over one that is there."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from batcher.errors import InputError, Problem
from batcher.sheet import write_csv
from batcher.starter.begin import Begun
from batcher.starter.instructions import as_text
from batcher.workbook.make import make_workbook


def write_folder(begun: Begun, folder: Path) -> list[Path]:
    """
    Write the sheet, for a CSV file its instructions, and last the job file.

    Returns:
        What was written, the job file last.

    Raises:
        InputError: One of the files is there already, or the folder cannot be written; nothing of it is left then.
    """
    is_new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        require_free(begun, folder)
        with tempfile.TemporaryDirectory(prefix=".batcher-init-", dir=folder) as made:
            for name in file_names(begun):
                _write(begun, Path(made) / name, folder)
            return _placed([Path(made) / name for name in file_names(begun)], folder)
    except OSError as error:
        message = f"cannot be written: {error.strerror or error}"
        raise InputError(Problem(where=str(error.filename or folder), message=message)) from error
    finally:
        if is_new:
            with suppress(OSError):  # only an empty one goes
                folder.rmdir()


def file_names(begun: Begun) -> list[str]:
    """What will be written, the job file last: while it is missing, nothing can be run."""
    lists = [begun.sheet] if begun.sheet.endswith(".xlsx") else [begun.sheet, f"{begun.name}-instructions.txt"]
    return [*lists, f"{begun.name}.yaml"]


def require_free(begun: Begun, folder: Path) -> None:
    """
    Make sure that nothing would be written over.

    Raises:
        InputError: It would; each file is named.
    """
    there = [folder / name for name in file_names(begun) if os.path.lexists(folder / name)]
    if there:
        message = "is there already and is never written over; choose another --name or folder"
        raise InputError(*(Problem(where=str(path), message=message) for path in there))


def _write(begun: Begun, path: Path, folder: Path) -> None:
    """Make one of the files; whoever may look into the folder may read it."""
    if path.suffix == ".xlsx":
        make_workbook(begun.form, path)
    elif path.suffix == ".csv":
        header = begun.form.header
        write_csv(path, header, begun.form.example_rows, ours_from=0, like=folder)
    else:
        text = begun.job_text if path.suffix == ".yaml" else as_text(begun.form.instructions)
        path.write_text(text, encoding="utf-8")


def _placed(files: Sequence[Path], folder: Path) -> list[Path]:
    """Give whole files their places, in order; when one of them cannot have its place, the others go too."""
    placed: list[Path] = []
    try:
        for file in files:
            _place(file, folder / file.name)
            placed.append(folder / file.name)
    except OSError:
        for path in placed:
            path.unlink()
        raise
    return placed


def _place(file: Path, target: Path) -> None:
    """Put a whole file where none is; FileExistsError when one is there by now."""
    with file.open("rb") as opened:
        os.fsync(opened.fileno())
    try:
        os.link(file, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        with file.open("rb") as source, target.open("xb") as copy:
            shutil.copyfileobj(source, copy)
