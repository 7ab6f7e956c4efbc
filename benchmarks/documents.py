"""Large sheets: a million rows of CSV, and workbooks."""

from __future__ import annotations

import csv
import math
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.stand import BATCHER, timed, write_job
from benchmarks.table import Figure

WIDE = 8
_DUMP = """
import csv, json, sys
with open(sys.argv[1], encoding="utf-8", newline="") as file, open(sys.argv[2], "w", encoding="utf-8") as out:
    for row in csv.DictReader(file):
        out.write(json.dumps(row) + "\\n")
"""


def wide_sheet(path: Path, rows: int) -> Path:
    """A CSV of eight columns."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "name", "link", "company", "city", "mail", "phone", "note"])
        for number in range(1, rows + 1):
            writer.writerow(
                [f"r{number}", f"Person {number}", "https://files.example.com/v.mp4", f"Company {number % 977}", "Zürich",
                 f"person{number}@example.com", f"+41 44 {number:07d}", "calls back on Monday"]
            )  # fmt: skip
    return path


def dumped_s(folder: Path, sheet: Path) -> float:
    """Seconds of reading a CSV and writing each row as JSON, and nothing else."""
    dump = timed((sys.executable, "-c", _DUMP, sheet, folder / "dump.json"), folder)
    (folder / "dump.json").unlink()
    return dump.took_s


def exponent(sizes: Sequence[int], times: Sequence[float]) -> float:
    """How fast times grow with sizes: 1 is linear, by the line that fits best through their logarithms."""
    logs = [(math.log10(size), math.log10(took)) for size, took in zip(sizes, times, strict=True)]
    middle_x = sum(x for x, _ in logs) / len(logs)
    middle_y = sum(y for _, y in logs) / len(logs)
    return sum((x - middle_x) * (y - middle_y) for x, y in logs) / sum((x - middle_x) ** 2 for x, _ in logs)


def _checked(folder: Path, rows: int) -> tuple[float, float, float]:
    """Seconds and peak megabytes of `check`, and seconds of reading it and writing each row as JSON."""
    job = write_job(folder, rows=1, url="http://127.0.0.1:9")
    sheet = wide_sheet(folder / "people.csv", rows)
    dump_s = dumped_s(folder, sheet)
    ran = timed((*BATCHER, "check", job, "--offline"), folder)
    if ran.exit:
        raise RuntimeError(f"check ended with {ran.exit}: {ran.stdout}")
    return ran.took_s, ran.peak_mb, dump_s


def million(runs: int, folder: Path) -> Iterator[Figure]:
    """`check` of a million rows."""
    load = os.getloadavg()[0]
    ratios, peaks, note = [], [], ""
    for number in range(min(runs, 2)):
        took_s, peak_mb, dump_s = _checked(folder / f"million-{number}", 1_000_000)
        ratios.append(took_s / dump_s)
        peaks.append(peak_mb)
        note = f"check {took_s:.0f} s, csv and json alone {dump_s:.0f} s"
    what = "check of 1,000,000 × 8 CSV"
    yield Figure(what=f"{what}: time beside csv and json", goal="<= 4", values=ratios, unit="x", note=note, load=load)
    yield Figure(what=f"{what}: peak memory", goal="<= 200", values=peaks, unit="MB", load=load)


def growth(runs: int, folder: Path) -> Iterator[Figure]:
    """How the time of `check` grows from ten thousand rows to a million."""
    load = os.getloadavg()[0]
    exponents, note = [], ""
    for number in range(min(runs, 2)):
        sizes = (10_000, 100_000, 1_000_000)
        times = [_checked(folder / f"growth-{number}-{size}", size)[0] for size in sizes]
        exponents.append(exponent(sizes, times))
        note = ", ".join(f"{size:,}: {took:.1f} s" for size, took in zip(sizes, times, strict=True))
    yield Figure(
        what="growth of check from 10⁴ to 10⁶ rows (exponent)", goal="<= 1.05", values=exponents, note=note, load=load
    )


_CALAMINE = """
import sys
from python_calamine import CalamineWorkbook
n = sum(1 for _ in CalamineWorkbook.from_path(sys.argv[1]).get_sheet_by_index(0).iter_rows())
"""
_OURS = """
import sys
from pathlib import Path
from batcher.sheet import SheetSpec, open_sheet
n = sum(1 for _ in open_sheet(SheetSpec(path=Path(sys.argv[1]))).rows())
"""


def xlsx(runs: int, folder: Path) -> Iterator[Figure]:
    """200,000 rows of a workbook read, beside the quickest library that reads it."""
    path = folder / "large.xlsx"
    _write_workbook(path, 200_000)
    load = os.getloadavg()[0]
    values, note = [], ""
    for _ in range(runs):
        rival = timed((sys.executable, "-c", _CALAMINE, path), folder)
        ours = timed((sys.executable, "-c", _OURS, path), folder)
        if rival.exit or ours.exit:
            raise RuntimeError("a reader has failed")
        values.append(ours.took_s / rival.took_s)
        note = f"calamine {rival.took_s:.1f} s, batcher {ours.took_s:.1f} s and {ours.peak_mb:.0f} MB"
    what = "200,000 rows of XLSX read, beside python-calamine alone"
    yield Figure(what=what, goal="<= 1.5", values=values, unit="x", note=note, load=load)


_OPENPYXL = """
import sys
from openpyxl import load_workbook
book = load_workbook(sys.argv[1])
tab = book.active
for column, text in enumerate(("batcher_status", "video_id", "video_url", "attempts"), start=9):
    tab.cell(1, column, text)
for number in range(2, tab.max_row + 1):
    for column, value in enumerate(("done", f"v{number}", f"https://files.example.com/v{number}.mp4", 1), start=9):
        tab.cell(number, column, value)
book.save(sys.argv[1])
"""
_IN_PLACE = """
import hashlib, sys
from pathlib import Path
from batcher.sheet import SheetSpec, open_sheet
from batcher.workbook import InPlaceUpdate, update_workbook
path = Path(sys.argv[1])
sheet = open_sheet(SheetSpec(path=path))
rows = {
    row.number: ("done", f"v{row.number}", f"https://files.example.com/v{row.number}.mp4", "1") for row in sheet.rows()
}
header = ("batcher_status", "video_id", "video_url", "attempts")
update = InPlaceUpdate(header=header, rows=rows, notes=(), links=(2,), status=0, numbers=(3,))
update_workbook(path, tab=sheet.tab, header_row=1, update=update, read_fingerprint=sheet.fingerprint)
"""


def enriched(runs: int, folder: Path) -> Iterator[Figure]:
    """20,000 rows of a workbook get four columns, beside the quickest library that can change a workbook."""
    load = os.getloadavg()[0]
    values, note = [], ""
    for number in range(runs):
        places = [folder / f"{who}-{number}.xlsx" for who in ("theirs", "ours")]
        for place in places:
            _write_workbook(place, 20_000)
        rival, ours = (timed((sys.executable, "-c", *each), folder) for each in zip((_OPENPYXL, _IN_PLACE), places))
        if rival.exit or ours.exit:
            raise RuntimeError("a writer has failed")
        values.append(ours.took_s / rival.took_s)
        note = f"openpyxl {rival.took_s:.1f} s, batcher {ours.took_s:.1f} s and {ours.peak_mb:.0f} MB"
    what = "20,000 rows of XLSX enriched in place, beside openpyxl"
    yield Figure(what=what, goal="<= 1.5", values=values, unit="x", note=note, load=load)


def _write_workbook(path: Path, rows: int) -> None:
    import xlsxwriter

    book = xlsxwriter.Workbook(str(path), {"constant_memory": True})
    tab = book.add_worksheet("Leads")
    tab.write_row(0, 0, ["id", "name", "link", "company", "city", "mail", "phone", "note"])
    for number in range(1, rows + 1):
        tab.write_row(
            number,
            0,
            [
                f"r{number}",
                f"Person {number}",
                "v.mp4",
                f"Company {number % 977}",
                "Zürich",
                "a@b.example",
                number,
                1.5,
            ],
        )
    book.close()
