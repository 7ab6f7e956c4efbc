"""The results as one page: to look at, to mail, to put on a shared drive."""

from __future__ import annotations

from batcher.report.model import Report, ReportRow
from batcher.report.page import write_report

__all__ = ["Report", "ReportRow", "write_report"]
