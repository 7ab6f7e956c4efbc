"""Why a workbook is left alone: two errors, chosen by whether waiting helps."""

from __future__ import annotations

from batcher.errors import InputError, Problem


class WorkbookBusy(InputError):
    """Somebody has the workbook open, or it has changed since it was read: write elsewhere now, try again later."""


class WorkbookRefused(InputError):
    """The workbook cannot be updated without harm until its owner changes it: write elsewhere."""


def busy(name: str, message: str) -> WorkbookBusy:
    """The refusal for now, naming the file."""
    return WorkbookBusy(Problem(where=name, message=message))


def refused(name: str, message: str) -> WorkbookRefused:
    """The refusal for good, naming the file or the cell."""
    return WorkbookRefused(Problem(where=name, message=message))
