"""Rows out, in the format that the file's name asks for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from batcher.errors import InputError, Problem
from batcher.sheet.write_xlsx import PLAIN, Looks
from batcher.stores import Location


def write_rows(
    path: Location,
    header: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    ours_from: int,
    looks: Looks = PLAIN,
    bom: bool = True,
    escape_input: bool = False,
    like: Location | None = None,
) -> None:
    """
    Write a .csv, .tsv or .xlsx file, atomically; see `write_csv` and `write_xlsx`.

    Args:
        like: As for `replacing`: who may read a new file.

    Raises:
        InputError: The name asks for another format, or the file cannot be written.
    """
    suffix = path.suffix.lower()
    if suffix == ".xlsx":
        from batcher.sheet.write_xlsx import write_xlsx

        write_xlsx(path, header, rows, ours_from=ours_from, looks=looks, like=like)
    elif suffix in (".csv", ".tsv"):
        from batcher.sheet.write_csv import write_csv

        delimiter = "\t" if suffix == ".tsv" else ","
        write_csv(
            path,
            header,
            rows,
            ours_from=ours_from,
            bom=bom,
            delimiter=delimiter,
            escape_input=escape_input,
            like=like,
        )
    else:
        message = f"results cannot be written as {suffix or 'a file without ending'}: write .csv, .tsv or .xlsx"
        raise InputError(Problem(where=path.name, message=message))
