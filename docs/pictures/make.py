"""
Makes the pictures of the operators' guide from a real workbook and a real report: `make pictures`.

A campaign is played on the local simulator through the installed command. LibreOffice prints its workbook, poppler's
pdftoppm makes pictures of the pages and Chromium one of the report (Debian: libreoffice-calc, poppler-utils, chromium,
and fonts-crosextra-carlito, which is as wide as the workbook's font).
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import openpyxl

from batcher.simulator import Behaviour, Running, start

HERE = Path(__file__).parent
BATCHER = Path(sys.executable).with_name("batcher")
PEOPLE: Sequence[tuple[str, ...]] = (
    ("c-101", "Anna", "Becker GmbH", "https://becker.example.com/logo.png"),
    ("c-102", "Jürgen", "Weiß KG"),
    ("c-103", "Chloé", "Martin & Fils"),
    ("c-104", "", "Haddad & Sons"),
    ("c-105", "Omar", "Núñez SA", "https://nunez.example.com/missing.png"),
    ("c-106", "Priya", "Raman Studio"),
)
LATER: Sequence[tuple[str, ...]] = (
    ("c-107", "Tom", "O’Brien Ltd"),
    ("c-108", "Zoë", "van Dijk BV"),
    ("c-109", "Lars", "Østergård AS"),
)
SHARP, COARSE = 120, 30
"""Dots per inch of a picture, and of the draft in which its edges are looked for."""
MARGIN = 12
WIDTHS = {"video_url": 26, "error": 64}
"""Of columns of ours in a picture, in characters: links are longer than anybody needs to see, reasons are read."""


class Campaign:
    """A folder that `init` has made, in the hands of somebody who fills it in."""

    def __init__(self, folder: Path, simulator: Running) -> None:
        self._folder = folder
        state = {"BATCHER_STATE": str(folder / "state"), "HOME": str(folder), "TZ": "UTC"}
        address = {"HEYGEN_BASE_URL": simulator.url, "HEYGEN_API_KEY": "pictures"}
        self._env = {"PATH": os.environ["PATH"], **state, **address}
        self.book, self.job = folder / "spring" / "spring.xlsx", folder / "spring" / "spring.yaml"
        self.report = folder / "spring" / "spring.html"

    def call(self, *arguments: object) -> None:
        """Run a command; rows that fail are wanted here."""
        done = subprocess.run(
            [BATCHER, *map(str, arguments)],
            env=self._env,
            cwd=self._folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode not in {0, 3, 75}:
            raise SystemExit(done.stdout + done.stderr)

    def fill_in(self, rows: Sequence[tuple[str, ...]], *, words: Mapping[str, str]) -> None:
        """Write rows below the others, and words beside rows: `{"c-107": "hold"}`."""
        book = openpyxl.load_workbook(self.book)
        tab: Any = book["Rows"]
        first = next(number for number in range(2, 100) if not tab.cell(number, 1).value)
        for number, texts in enumerate(rows, first):
            for column, text in enumerate(texts, 1):
                tab.cell(number, column).value = text or None
        header = [cell.value for cell in tab[1]]
        for cells in tab.iter_rows(min_row=2):
            if word := words.get(str(cells[0].value)):
                cells[header.index("batcher_status")].value = word
        book.save(self.book)


def main() -> None:
    """Play the campaign, and take a picture of each of its stations."""
    with tempfile.TemporaryDirectory() as folder, start(Behaviour(render_s=3, spread=0.3)) as simulator:
        campaign = Campaign(Path(folder), simulator)
        campaign.call("init", "heygen.template", "--template-id", "Welcome", "spring")
        text = campaign.job.read_text(encoding="utf-8").replace("# report:", "report:")
        campaign.job.write_text(text, encoding="utf-8")
        picture(campaign.book, "form", columns="A:D")
        campaign.fill_in(PEOPLE, words={})
        picture(campaign.book, "filled", columns="A:D")
        campaign.call("run", campaign.job)
        simulator.behave(render_s=3600)
        campaign.fill_in(LATER, words={"c-109": "hold"})
        campaign.call("submit", campaign.job)
        picture(campaign.book, "results", columns=("A:D", "batcher_status", "error", "video_url"))
        shoot(campaign.report, "videos", size="1260,1000")


def picture(book: Path, name: str, *, columns: str | Sequence[str]) -> None:
    """Print some columns of the rows (letters, or names of ours), with the letters and numbers of a screen."""
    wanted = [columns] if isinstance(columns, str) else list(columns)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / book.name
        made = openpyxl.load_workbook(book)
        for other in made.sheetnames:
            made[other].sheet_state = "visible" if other == "Rows" else "hidden"
        _as_on_screen(made["Rows"], wanted)
        made.save(copy)
        home = f"-env:UserInstallation=file://{folder}/profile"
        command = ["soffice", home, "--headless", "--convert-to", "pdf", "--outdir", folder, str(copy)]
        subprocess.run(command, check=True, capture_output=True, timeout=180)
        _cut_out(copy.with_suffix(".pdf"), HERE / name)


def _as_on_screen(tab: Any, wanted: Sequence[str]) -> None:
    letters = {cell.value: cell.column_letter for cell in tab[1]}
    shown = {letter for each in wanted for letter in _range(each, letters)}
    for name, letter in letters.items():
        dimension = tab.column_dimensions[letter]
        dimension.hidden = letter not in shown
        dimension.width = WIDTHS.get(name, dimension.width)
    for row in tab.iter_rows(min_row=2):
        for cell in row:
            cell.comment = None
    tab.print_options.headings = tab.print_options.gridLines = True
    tab.print_title_rows = None
    tab.print_area = f"A1:{max(shown, key=lambda each: (len(each), each))}{tab.max_row}"


def _range(each: str, letters: Mapping[str, str]) -> Sequence[str]:
    first, colon, last = each.partition(":")
    return [chr(code) for code in range(ord(first), ord(last) + 1)] if colon else [letters[each]]


def _cut_out(pdf: Path, target: Path) -> None:
    """The first page without its white edges."""
    draft = subprocess.run(
        ["pdftoppm", "-gray", "-r", str(COARSE), "-f", "1", "-l", "1", str(pdf)], check=True, capture_output=True
    ).stdout
    head = re.match(rb"P5\s+(\d+)\s+(\d+)\s+255\s", draft)
    if head is None:
        raise SystemExit(f"{pdf.name} could not be drawn")
    width, dots = int(head[1]), draft[head.end() :]
    lines = [dots[at : at + width] for at in range(0, len(dots), width)]
    inked = [number for number, line in enumerate(lines) if min(line) < 250]
    across = [place for place in range(width) if any(line[place] < 250 for line in lines)]
    scale = SHARP / COARSE
    x, y = (max(0, round(edge * scale) - MARGIN) for edge in (across[0], inked[0]))
    w, h = (round(edge * scale) + 2 * MARGIN for edge in (across[-1] - across[0] + 1, inked[-1] - inked[0] + 1))
    crop = ["-x", str(x), "-y", str(y), "-W", str(w), "-H", str(h)]
    subprocess.run(
        ["pdftoppm", "-png", "-r", str(SHARP), "-f", "1", "-l", "1", "-singlefile", *crop, str(pdf), str(target)],
        check=True,
    )


def shoot(page: Path, name: str, *, size: str) -> None:
    """A picture of a page as a browser of that size shows it."""
    with tempfile.TemporaryDirectory() as profile:
        command = ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
        more = [f"--user-data-dir={profile}", f"--window-size={size}", f"--screenshot={HERE / name}.png"]
        waiting = "--virtual-time-budget=5000"
        subprocess.run([*command, *more, waiting, page.as_uri()], check=True, capture_output=True, timeout=120)


if __name__ == "__main__":
    main()
