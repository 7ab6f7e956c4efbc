"""Rows in, rows out: the only room that knows file formats of sheets."""

from __future__ import annotations

from batcher.sheet.address import letters
from batcher.sheet.clean import clean
from batcher.sheet.doubtful import are_beyond_doubt, doubt_about
from batcher.sheet.open import open_sheet
from batcher.sheet.source import Sheet, SheetSpec, normalise
from batcher.sheet.write import write_rows
from batcher.sheet.write_csv import write_csv
from batcher.sheet.write_xlsx import PLAIN, Looks, write_xlsx

__all__ = [
    "PLAIN",
    "Looks",
    "Sheet",
    "SheetSpec",
    "are_beyond_doubt",
    "clean",
    "doubt_about",
    "letters",
    "normalise",
    "open_sheet",
    "write_csv",
    "write_rows",
    "write_xlsx",
]
