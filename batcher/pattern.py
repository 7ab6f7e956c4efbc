"""A sheet's file with a `*` in its name is an inbox: what the job must then say about its results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from batcher.stores import CloudPath, Location

Complaint = tuple[tuple[str, ...], str]
"""The keys under which something is wrong, and what."""


def is_pattern(file: Location) -> bool:
    """Whether a sheet's file stands for all files of a folder; brackets are ordinary letters of a name."""
    return "*" in file.name or "?" in file.name


def complaints(value: Mapping[str, Any], *, folder: Path, sheet: Location, results: Location) -> Iterator[Complaint]:
    """
    What is wrong with the paths of a job, as far as an inbox is concerned.

    Args:
        value: The job file's.
        folder: What its paths are relative to.
        sheet: `sheet.file`.
        results: `results.file`.
    """
    starred = [(path, text) for path, text in _outputs(value["results"]) if "*" in text]
    if isinstance(sheet, CloudPath):
        if "*" in str(sheet):
            yield ("sheet", "file"), "an inbox can only be a folder of this machine; in the cloud, name one file"
        for path, _ in starred:
            yield path, "* stands for the name of a file of an inbox, but sheet.file names one file"
        return
    if is_pattern(sheet):
        yield from _wrong_inbox(value, folder=folder, sheet=sheet, results=results)
        return
    if "*" in str(sheet.parent) and not sheet.exists():
        yield ("sheet", "file"), "only the name of the file can have a * in it, not its folder"
    for path, _ in starred if not sheet.exists() else ():
        yield path, "* stands for the name of a file of an inbox, but sheet.file names one file"


def _wrong_inbox(value: Mapping[str, Any], *, folder: Path, sheet: Path, results: Location) -> Iterator[Complaint]:
    place = ("sheet", "file")
    if "*" in str(sheet.parent) or "?" in str(sheet.parent):
        yield place, "only the name of the file can have a * in it, not its folder"
    if sheet.parent == folder:
        yield place, "the inbox needs a folder of its own, since finished files leave it: inbox/*.xlsx, for example"
    if results == sheet:
        outputs = [each for each in _outputs(value["results"]) if each[0] != ("results", "file")]
    else:
        outputs = list(_outputs(value["results"]))
        if results.parent == sheet.parent:
            message = "the results would be taken for new files of the inbox; write them into another folder"
            yield ("results", "file"), message
    for path, text in outputs:
        if "*" not in text:
            yield path, "each file of the inbox needs its own: write a * where its name belongs, as in outbox/*.xlsx"


def _outputs(results: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Everything that is written, by its place in the job file."""
    for key in ("file", "report"):
        if key in results:
            yield ("results", key), results[key]
    download = results.get("download", {})
    if isinstance(download, str):
        yield ("results", "download"), download
    else:
        for name, text in download.items():
            yield ("results", "download", name), text
