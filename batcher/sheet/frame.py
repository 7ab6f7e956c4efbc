"""A table that is already in memory, as a sheet."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from batcher.errors import InputError, Problem
from batcher.model import Row
from batcher.sheet.cell_text import text_of
from batcher.sheet.other import plain_value
from batcher.sheet.source import Sheet, normalise


def sheet_of_frame(frame: Any, *, name: str) -> Sheet:
    """
    A pandas DataFrame as a sheet: its columns are the header, missing values are empty cells.

    Args:
        frame: The DataFrame; its rows count from 2, as if the columns stood in row 1.
        name: What it is called in messages.

    Raises:
        InputError: Two columns have the same name.
    """
    import pandas

    header = tuple(str(column) for column in frame.columns)
    names = [normalise(text).casefold() for text in header]
    for index, text in enumerate(names):
        if text in names[:index]:
            raise InputError(Problem(where=name, message=f"two columns are called '{header[index]}'"))

    def read() -> Iterator[Row]:
        for number, values in enumerate(frame.itertuples(index=False, name=None), start=2):
            yield Row(
                number=number, cells=tuple("" if missing(value) else text_of(plain_value(value)) for value in values)
            )

    def missing(value: object) -> bool:
        return value is None or value is pandas.NA or value is pandas.NaT or value != value

    digest = hashlib.sha256("\x1f".join(header).encode("utf-8", "surrogatepass"))
    for row in read():
        digest.update("\x1f".join(row.cells).encode("utf-8", "surrogatepass") + b"\x1e")
    return Sheet(name=name, header=header, notes=(), fingerprint=digest.hexdigest(), read=read)
