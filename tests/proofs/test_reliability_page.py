"""The page about reliability tells the truth: every fault is on it, and every test that it names exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from proofs.sabotage import SABOTAGES

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "reliability.md"
ROWS = {"A": 37, "B": 17, "C": 13, "D": 29, "E": 22, "F": 12, "S": 13, "L": 19, "U": 9, "P": 10}
_ROW = re.compile(r"^\| ([A-Z])(\d+) \| [^|]+ \| (\w+) \| ([^|]+) \|$", re.MULTILINE)


@pytest.mark.parametrize("matrix", ROWS)
def test_every_fault_of_a_matrix_has_one_row(matrix: str) -> None:
    """In order and without a gap; and what is not handled says why."""
    rows = [row for row in _ROW.findall(PAGE.read_text(encoding="utf-8")) if row[0] == matrix]

    assert [int(number) for _, number, _, _ in rows] == list(range(1, ROWS[matrix] + 1))
    assert {word for _, _, word, _ in rows} <= {"yes", "partly", "no", "planned"}


def test_every_test_that_is_named_exists() -> None:
    """A renamed test leaves no promise behind that nobody keeps."""
    sources = "\n".join(path.read_text(encoding="utf-8") for path in TESTS.rglob("test_*.py"))
    there = set(re.findall(r"^def (test_\w+)", sources, re.MULTILINE))
    named = set(re.findall(r"`(test_\w+)`", PAGE.read_text(encoding="utf-8")))

    assert named
    assert not sorted(named - there)


def test_every_deliberate_fault_stands_on_the_page() -> None:
    """What was tried is told, and nothing else is."""
    page = PAGE.read_text(encoding="utf-8")
    table = page[page.index("## What was broken on purpose") :]
    assert re.findall(r"^\| (?!broken)([^-|][^|]+) \|", table, re.MULTILINE) == [each.name for each in SABOTAGES]
