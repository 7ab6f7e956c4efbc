"""The door: from a path to a sheet, whatever kind of file it is."""

from __future__ import annotations

from collections.abc import Collection

from batcher.errors import InputError, Problem
from batcher.sheet.sniff import Kind, sniff
from batcher.sheet.source import Sheet, SheetSpec


def open_sheet(spec: SheetSpec, *, needs: Collection[str] = ()) -> Sheet:
    """
    Open a sheet: everything but the single rows is checked.

    Args:
        spec: Which file, and how it is to be read.

        needs: Header texts that the job uses; they also tell the delimiter and where the header stands.

    Raises:
        InputError: The file cannot be read with certainty, a needed column is missing, or there is no row; it says
            where, and what to do.
    """
    if spec.header_row < 1:
        raise InputError(Problem(where=spec.path.name, message="header_row: rows are counted from 1"))
    kind = sniff(spec.path)
    if kind is Kind.TEXT:
        from batcher.sheet.delimited import open_delimited

        return open_delimited(spec, needs)
    if kind is Kind.XLSX:
        from batcher.sheet.workbook import open_workbook

        return open_workbook(spec, needs)
    from batcher.sheet.other import open_other

    return open_other(spec, needs, kind)
