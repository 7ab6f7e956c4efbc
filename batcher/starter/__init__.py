"""A folder to begin with: what an operation asks for as a workbook for people, and the job file that belongs to it."""

from __future__ import annotations

from batcher.starter.begin import Begun, Wish, begin
from batcher.starter.folder import require_free, write_folder

__all__ = ["Begun", "Wish", "begin", "require_free", "write_folder"]
