"""The values of a job file, read one by one; what is wrong with them is kept, so that all of it is told at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from batcher.document import Document
from batcher.errors import InputError, Problem
from batcher.google_link import GoogleLink, is_link, parse_link
from batcher.stores import CloudPath, Location, parse_location
from batcher.stores.path import has_scheme, parse_path

T = TypeVar("T")


class Reader:
    """Collects what the units complain about, so that all of it is told at once."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._problems: list[Problem] = []

    def parsed(self, path: tuple[str | int, ...], parse: Callable[[str], T]) -> T | None:
        value = self._document.value
        for part in path:
            value = value[part]
        try:
            return parse(value)
        except ValueError as error:
            self._problems.append(self._document.problem(path, str(error)))
            return None

    def complain(self, path: tuple[str, ...], message: str) -> None:
        self._problems.append(self._document.problem(path, message))

    def raise_problems(self) -> None:
        if self._problems:
            raise InputError(*self._problems)


def path_at(reader: Reader, folder: Path, *key: str | int) -> Path:
    """A file or folder of this machine."""

    def parse(text: str) -> Path:
        if has_scheme(text):
            raise ValueError("this can only be on this machine; in the cloud there are sheets, results and downloads")
        return parse_path(text, folder)

    return reader.parsed(key, parse) or folder


def location_at(reader: Reader, folder: Path, *key: str | int) -> Location:
    """A file of this machine or in the cloud."""

    def parse(text: str) -> Location:
        found = parse_location(text, folder)
        if isinstance(found, CloudPath) and not found.parts:
            raise ValueError(f"{found} is a whole bucket; name a file in it")
        return found

    return reader.parsed(key, parse) or folder


def sheet_and_results(
    reader: Reader, folder: Path, sheet: str, results: str
) -> tuple[Location, Location, GoogleLink | None]:
    """Where the rows come from and where they go; a Google Sheet may take its own results, and only those."""
    link = reader.parsed(("sheet", "file"), parse_link) if is_link(sheet) else None
    file = folder / f"{link.key}.{link.gid}.gsheet" if link else location_at(reader, folder, "sheet", "file")
    if not is_link(results):
        return file, location_at(reader, folder, "results", "file"), link
    if reader.parsed(("results", "file"), parse_link) != link:
        message = "results can go into a Google Sheet only where it is the sheet itself: the same address as sheet.file"
        reader.complain(("results", "file"), message)
    return file, file, link
