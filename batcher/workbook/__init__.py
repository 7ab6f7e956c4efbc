"""The sheet as a workplace: our columns written into the user's own workbook, everything else left as it is."""

from __future__ import annotations

from batcher.workbook.inplace import update_workbook
from batcher.workbook.refusal import WorkbookBusy, WorkbookRefused
from batcher.workbook.update import CellNote, InPlaceUpdate, Written, colour_of

__all__ = ["CellNote", "InPlaceUpdate", "WorkbookBusy", "WorkbookRefused", "Written", "colour_of", "update_workbook"]
