"""The values of a job file, read one by one; what is wrong with them is kept, so that all of it is told at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from batcher.document import Document
from batcher.errors import InputError, Problem
from batcher.google_link import GoogleLink, is_link, parse_link

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
    def parse(text: str) -> Path:
        try:
            return (folder / Path(text).expanduser()).resolve()
        except (OSError, RuntimeError, ValueError) as error:
            raise ValueError(f"'{text}' cannot be a path: {error}") from error

    return reader.parsed(key, parse) or folder


def sheet_and_results(reader: Reader, folder: Path, sheet: str, results: str) -> tuple[Path, Path, GoogleLink | None]:
    """Where the rows come from and where they go; a Google Sheet may take its own results, and only those."""
    link = reader.parsed(("sheet", "file"), parse_link) if is_link(sheet) else None
    file = folder / f"{link.key}.{link.gid}.gsheet" if link else path_at(reader, folder, "sheet", "file")
    if not is_link(results):
        return file, path_at(reader, folder, "results", "file"), link
    if reader.parsed(("results", "file"), parse_link) != link:
        message = "results can go into a Google Sheet only where it is the sheet itself: the same address as sheet.file"
        reader.complain(("results", "file"), message)
    return file, file, link
