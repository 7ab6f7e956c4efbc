"""A whole campaign as people live it: one sets it up at a terminal, one fills the workbook, cron does the rest."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from openpyxl.comments import Comment
from openpyxl.formatting.rule import CellIsRule
from openpyxl.styles import Border, Font, PatternFill, Side
from person import Formula, require_kept, type_into
from support import batcher, environment

from batcher.errors import Exit
from batcher.simulator import Running

THEIRS = "ABCDEFGH"
"""The columns of the form, and four of the person's own."""
PEOPLE = [
    ("c-1", "Anna", "Becker GmbH"),
    ("c-2", "Jürgen", "Weiß KG"),
    ("c-3", "Chloé", "Martin & Fils"),
    ("c-4", "María", "[fail]"),
    ("c-5", "Omar", "as above"),
    ("c-6", "Zoë", "van Dijk"),
    ("c-7", "007", "Universal Exports"),
]


class Campaign:
    """The folder that `init` has made, and the people around it."""

    def __init__(self, folder: Path, simulator: Running) -> None:
        self.folder, self.simulator = folder, simulator
        self.env = environment(folder, simulator.url)
        self.job, self.book = folder / "spring" / "spring.yaml", folder / "spring" / "spring.xlsx"

    def call(self, *arguments: object, **changes: Any) -> subprocess.CompletedProcess[str]:
        return batcher(*arguments, env=self.env, cwd=self.folder, **changes)

    def tick(self, **changes: str) -> subprocess.CompletedProcess[str]:
        """What cron does with the line that `batcher schedule` shows; its options can be changed."""
        line = self.call("schedule", self.job).stdout.rstrip("\n")
        command = line.split(" ", 5)[5].replace("\\%", "%")
        for option, value in changes.items():
            command = re.sub(rf"--{option} \S+", f"--{option} {value}", command)
        environ = ["env", "-i", f"HOME={self.folder}", "LOGNAME=anna", "SHELL=/bin/sh", "PATH=/usr/bin:/bin"]
        return subprocess.run(
            [*environ, "/bin/sh", "-c", command],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def log(self) -> str:
        """What cron's log says."""
        return (self.folder / "state" / "logs" / "cron-spring.log").read_text(encoding="utf-8")

    def made(self) -> Counter[str]:
        """How often each row was made, by the simulator's own books."""
        return Counter(str(each["title"]) for each in self.simulator.charges())

    def words(self) -> dict[str, str]:
        """Row id to the word in the status column."""
        header, *rows = openpyxl.load_workbook(self.book)["Rows"].iter_rows(values_only=True)
        at = header.index("batcher_status")
        return {str(row[0]): str(row[at]) for row in rows}

    def status_cell(self, row: int) -> str:
        cells = openpyxl.load_workbook(self.book)["Rows"][1]
        return next(f"{cell.column_letter}{row}" for cell in cells if cell.value == "batcher_status")


def fill_in(book: Path) -> None:
    """As a person does it: rows in place of an example, columns and formats of one's own, a formula, a comment."""
    made = openpyxl.load_workbook(book)
    tab = made["Rows"]
    for column, name in enumerate(("Owner", "Budget", "Booked", "Twice"), 5):
        tab.cell(1, column, name).font = Font(bold=True)
    for number, texts in enumerate(PEOPLE, 3):
        for column, text in enumerate(texts, 1):
            tab.cell(number, column, text)
        tab.cell(number, 5, "Ben").font = Font(italic=True, color="FFAA0000")
        tab.cell(number, 6, 12.5 * number).number_format = '#,##0.00 "€"'
        tab.cell(number, 7, date(2026, 12, number)).number_format = "dd.mm.yyyy"
        tab.cell(number, 8, 0).border = Border(bottom=Side(style="double"))
    tab["B5"].fill = PatternFill("solid", fgColor="FFFFF2CC")
    tab["C4"].comment = Comment("ask Ben about the name", "Ann")
    tab.conditional_formatting.add("F3:F9", CellIsRule(operator="greaterThan", formula=["80"], font=Font(bold=True)))
    tab.row_dimensions[8].hidden = True
    tab.column_dimensions["E"].width = 31
    made.create_sheet("Notes of ours")["A1"] = "nobody else reads this"
    made.save(book)
    type_into(book, {f"H{number}": Formula(f"F{number}*2", 25.0 * number) for number in range(3, 10)})
    type_into(book, {"C7": Formula("C6", "[fail]")})


@pytest.fixture
def campaign(tmp_path: Path, make_simulator: Callable[..., Running]) -> Campaign:
    """A set-up by the person at the terminal: the folder, a limit and the key for cron."""
    made = Campaign(tmp_path, make_simulator())
    done = made.call("init", "heygen.template", "--template-id", "Welcome", "spring")
    assert done.returncode == Exit.DONE, done.stderr
    text = made.job.read_text(encoding="utf-8")
    text = text.replace("# limits:", "limits:\n  confirm_above: 2 USD").replace("# report:", "report:")
    made.job.write_text(text, encoding="utf-8")
    (made.job.parent / ".env").write_text("HEYGEN_API_KEY=test-key\n", encoding="utf-8")
    return made


def test_a_campaign_from_an_empty_folder_to_the_last_video(campaign: Campaign, tmp_path: Path) -> None:
    """Filled, checked, sampled, approved, made by cron, mended and made again; paid once for every asking."""
    fill_in(campaign.book)
    filled = tmp_path / "filled.xlsx"
    shutil.copy(campaign.book, filled)

    checked = campaign.call("check", campaign.job)
    assert "8 rows = 7 waiting + 1 skipped" in checked.stdout
    assert campaign.book.read_bytes() == filled.read_bytes()

    sampled = campaign.call("run", campaign.job, "--sample", "2", "--yes")
    assert sampled.returncode in {Exit.DONE, Exit.SOME_FAILED}, sampled.stderr
    assert sum(campaign.made().values()) == 2

    refused = campaign.tick()
    assert (refused.returncode, sum(campaign.made().values())) == (1, 2)
    assert "batcher approve spring.yaml" in campaign.log()
    assert campaign.call("approve", campaign.job, "--yes").returncode == Exit.DONE

    campaign.simulator.behave(render_s=3600)
    assert campaign.tick(**{"for": "1s"}).returncode == 0  # not finished is no mail from cron
    assert Counter(campaign.words().values())["in progress"] >= 4
    campaign.simulator.advance(3601)
    campaign.simulator.behave(render_s=0.05)
    assert campaign.tick().returncode == 1  # some failed: cron tells a person
    assert {row for row, word in campaign.words().items() if word == "failed"} == {"c-4", "c-5"}
    require_kept(filled, campaign.book, columns=THEIRS, typed={})

    asked = campaign.simulator.report()["requests"]
    assert campaign.tick().stdout == ""
    assert campaign.simulator.report()["requests"] == asked

    typed: dict[str, str | Formula] = {"C6": "Núñez SA", "C7": Formula("C6", "Núñez SA")}
    type_into(campaign.book, {**typed, **{campaign.status_cell(row): "again" for row in (6, 7)}})
    done = campaign.tick()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

    assert set(campaign.words().values()) == {"done", "skipped"}
    assert campaign.made() == {f"spring c-{n}": 2 if n in (4, 5) else 1 for n in range(1, 8)}
    require_kept(filled, campaign.book, columns=THEIRS, typed=typed)
    require_formats(filled, campaign.book)
    assert campaign.job.with_suffix(".html").exists()
    verified = campaign.call("verify", campaign.job)
    assert verified.returncode == Exit.DONE, verified.stdout


def require_formats(before: Path, after: Path) -> None:
    """Every cell, column and row of the person's looks as it did, also where numbers of formats were added to."""
    for old, new in zip(openpyxl.load_workbook(before), openpyxl.load_workbook(after), strict=True):
        for row in old.iter_rows(max_col=len(THEIRS)):
            for cell in row:
                twin = new[cell.coordinate]
                assert looks(twin) == looks(cell)
                assert cell.comment is None or twin.comment.text == cell.comment.text
        for letter, column in old.column_dimensions.items():
            assert (new.column_dimensions[letter].width, new.column_dimensions[letter].hidden) == (
                column.width,
                column.hidden,
            )
        assert {number: row.hidden for number, row in new.row_dimensions.items() if row.hidden} == {
            number: row.hidden for number, row in old.row_dimensions.items() if row.hidden
        }


def looks(cell: Any) -> tuple[object, ...]:
    """All that a format is."""
    parts = (cell.font, cell.fill, cell.border, cell.alignment, cell.protection)
    return (cell.number_format, *map(repr, parts))
