"""Lines on a terminal: within its width, coloured only where that is wanted."""

from __future__ import annotations

import os
import pty
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import BATCHER, environment, names, write_job

from batcher.cli.paint import LABEL, painted

LINE = "Sheet    people.csv · 37 hidden rows included · unused columns: Notes, Phone, Email"


def test_a_long_line_goes_on_under_its_text() -> None:
    """The labels stay a column of their own."""
    first, *rest = painted([LINE], width=50, colour=False)
    assert first.startswith("Sheet    people.csv")
    assert all(each.startswith(" " * LABEL) and len(each) <= 50 for each in rest)


@given(st.lists(st.text(alphabet=st.characters(exclude_categories=("C", "Z"))), min_size=1), st.integers(40, 120))
def test_no_word_is_lost_on_a_narrow_terminal(words: list[str], width: int) -> None:
    """Nor torn apart: addresses are there to be copied."""
    line = "Cost     " + " ".join(words)
    assert " ".join(painted([line], width=width, colour=False)).split() == line.split()


def test_money_is_red() -> None:
    """REAL is what a person must not overlook; without colours there are no codes at all."""
    (line,) = painted(["Account  REAL anna@acme.com"], width=80, colour=True)
    assert "\x1b[31mREAL\x1b[0m" in line
    assert "\x1b" not in "".join(painted([LINE], width=80, colour=False))


@pytest.mark.parametrize(("variables", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_a_terminal_is_coloured_unless_it_says_no(tmp_path: Path, variables: dict[str, str], coloured: bool) -> None:
    """And is narrow where it says so."""
    job = write_job(tmp_path, names(2))
    ours, theirs = pty.openpty()
    env = environment(tmp_path, TERM="xterm", COLUMNS="60", **variables)
    with subprocess.Popen([BATCHER, "check", job, "--offline"], env=env, stdout=theirs, stderr=theirs):
        os.close(theirs)
        said = b""
        while chunk := _read(ours):
            said += chunk
    os.close(ours)

    assert (b"\x1b[" in said) is coloured
    assert b"Account" in said


def _read(terminal: int) -> bytes:
    """What comes next; nothing once the other side is closed."""
    try:
        return os.read(terminal, 4096)
    except OSError:
        return b""
