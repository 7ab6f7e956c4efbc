"""File names out of cells: inside the folder, harmless on every system, each given once."""

from __future__ import annotations

import json
import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.fetch.names import MOST_BYTES, Names, harmless, safe_path

FOLDER = Path("videos")
_CORPORA = Path(os.environ.get("BATCHER_CORPORA") or Path(__file__).parents[1].parent / "shared" / "corpora")
_NAUGHTY = _CORPORA / "naughty-strings" / "blns.json"
_DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in "0123456789¹²³")}

cells = st.text() | st.text(st.sampled_from("./\\-_ :~*CONaux1\u0301é\u202e\0\n")) | st.just("a" * 400)


def name(cell: str, *, suffix: str = ".mp4", row_id: str = "17") -> str:
    """What a file would be called whose template is the cell alone."""
    return safe_path(FOLDER, [cell], row_id=row_id, suffix=suffix).path.name


def assert_harmless(path: Path, *, steps: int) -> None:
    """One step down for each part, and nothing in any of them that some system reads in its own way."""
    assert path.is_relative_to(FOLDER)
    parts = path.relative_to(FOLDER).parts
    assert len(parts) == steps
    for part in parts:
        assert 0 < len(part.encode("utf-8")) <= MOST_BYTES
        assert part == unicodedata.normalize("NFC", part)
        assert not set(part) & set('/\\<>:"|?*')
        assert not any(unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Cn", "Zl", "Zp") for letter in part)
        assert part[0] not in ".- "
        assert part[-1] not in ". "
        assert part.partition(".")[0].rstrip().lower() not in _DEVICES


@pytest.mark.parametrize(
    ("cell", "called"),
    [
        ("Anna Müller.mp4", "Anna Müller.mp4"),
        ("Anna Müller", "Anna Müller.mp4"),
        ("Anna.MP4", "Anna.mp4"),
        ("Mu\u0308ller", "Müller.mp4"),
        ("  Anna \u00a0 Müller  ", "Anna Müller.mp4"),
        ("v1.2 final", "v1.2 final.mp4"),
        ("田中 さん", "田中 さん.mp4"),
        ("../../x/Anna Müller.mp4", "x_Anna Müller.mp4"),
        ("/etc/passwd", "etc_passwd.mp4"),
        ("..\\..\\windows\\system32", "windows_system32.mp4"),
        ("C:\\boot.ini", "C__boot.ini.mp4"),
        ("a/./b//c/../d", "a_b_c_d.mp4"),
        ("-rf", "rf.mp4"),
        ("--help", "help.mp4"),
        (".htaccess", "htaccess.mp4"),
        ("a\0b\x1b[31m", "ab[31m.mp4"),
        ("two\nlines", "two lines.mp4"),
        ("annexe\u202e4pm.exe", "annexe4pm.exe.mp4"),
        ("CON", "_CON.mp4"),
        ("nul.tar", "_nul.tar.mp4"),
        ("Lpt1 .x", "_Lpt1 .x.mp4"),
        ("COM¹", "_COM¹.mp4"),
        ("CONTENT", "CONTENT.mp4"),
        ("dots...", "dots.mp4"),
        ('<a href="x">', "_a href=_x__.mp4"),
        ("\ud800lone", "lone.mp4"),
        ("", "row-17.mp4"),
        (".", "row-17.mp4"),
        ("..", "row-17.mp4"),
        ("/", "row-17.mp4"),
        (".mp4", "row-17.mp4"),
        ("\u200b\u200f", "row-17.mp4"),
        ("é" * 130, "é" * 73 + ".mp4"),
        ("x" * 300 + ".mp4", "x" * 146 + ".mp4"),
        ("x" * 145 + " y", "x" * 145 + ".mp4"),
        ("x" * 145 + ".y", "x" * 145 + ".mp4"),
        ("x" * 145 + "e\u0323\u0323", "x" * 145 + ".mp4"),
    ],
)
def test_cells_become_names(cell: str, called: str) -> None:
    """As close to the wish as is safe."""
    assert name(cell) == called


@pytest.mark.parametrize("cell", ["Anna Müller.mp4", "Mu\u0308ller", " Anna  Müller ", "v1.2", "Anna.MP4"])
def test_what_a_person_would_not_call_a_change_is_not_told(cell: str) -> None:
    """Blanks and the way an accent is stored."""
    assert safe_path(FOLDER, [cell], row_id="17", suffix=".mp4").told == ""


def test_a_name_that_was_made_harmless_is_told() -> None:
    """With what it was and what it is, and nothing invisible in the message."""
    told = safe_path(FOLDER, ["de", "../../\u202ex\n"], row_id="17", suffix=".mp4").told

    assert told == '"de/../../\ufffdx " is no safe file name: it is called "de/x.mp4"'


def test_only_the_template_makes_folders() -> None:
    """A slash in a cell is no step."""
    path = safe_path(FOLDER, ["Deutsch/..", "a/b"], row_id="17", suffix=".mp4").path

    assert path == FOLDER / "Deutsch" / "a_b.mp4"


@pytest.mark.parametrize("cell", ["", "..", "/", "\u200b"])
def test_an_empty_folder_stays_a_step(cell: str) -> None:
    """Files do not slip one folder up because a cell is empty."""
    assert safe_path(FOLDER, [cell, "a"], row_id="17", suffix=".mp4").path == FOLDER / "_" / "a.mp4"


@pytest.mark.parametrize(("row_id", "called"), [("A 7", "row-A 7.mp4"), ("../x", "row-f8f3b1b4.mp4")])
def test_the_row_gives_the_name_where_the_cell_gives_none(row_id: str, called: str) -> None:
    """A row id that is no name itself becomes a short hash."""
    found = name("..", row_id=row_id)

    assert found == called if row_id == "A 7" else len(found) == len(called)


@pytest.mark.parametrize(
    ("parts", "suffix"), [([], ".mp4"), (["a"], "mp4"), (["a"], "./x"), (["a"], "."), (["a"], ".m p")]
)
def test_mistakes_of_the_program_are_its_own(parts: list[str], suffix: str) -> None:
    """They are no word for the user."""
    with pytest.raises(ValueError, match="a path has parts"):
        safe_path(FOLDER, parts, row_id="1", suffix=suffix)


@given(st.lists(cells, min_size=1, max_size=4), cells, st.sampled_from(["", ".mp4", ".srt"]))
def test_no_cell_leads_out_or_does_harm(parts: list[str], row_id: str, suffix: str) -> None:
    """Whatever is in the sheet."""
    found = safe_path(FOLDER, parts, row_id=row_id, suffix=suffix)

    assert_harmless(found.path, steps=len(parts))
    assert found.path.name.endswith(suffix)


@given(cells)
def test_a_harmless_name_stays_as_it_is(cell: str) -> None:
    """Making it harmless twice changes nothing: names of one run are the names of the next."""
    once = harmless(cell)

    assert harmless(once) == once


@pytest.mark.skipif(not _NAUGHTY.exists(), reason=f"no public test files at {_CORPORA}")
def test_the_big_list_of_naughty_strings_does_no_harm(tmp_path: Path) -> None:
    """As names of files and of folders, all of them, on a real disk."""
    strings: list[str] = json.loads(_NAUGHTY.read_text(encoding="utf-8"))
    names = Names(tmp_path)

    for number, string in enumerate(strings):
        path = names.take([string, string], row_id=str(number), suffix=".mp4").path
        assert_harmless(FOLDER / path.relative_to(tmp_path), steps=2)
        path.parent.mkdir(exist_ok=True)
        path.open("xb").close()

    assert len(list(tmp_path.glob("*/*.mp4"))) == len(strings)


@pytest.mark.parametrize(
    "second", ["Müller.mp4", "MÜLLER", "mu\u0308ller.MP4", " Müller", "Müller\u200b", "/Müller", "../Müller."]
)
def test_a_name_is_given_once(second: str) -> None:
    """Upper and lower case and accents are one and the same to some disks."""
    names = Names(FOLDER)
    names.take(["Müller"], row_id="r1", suffix=".mp4")

    other = names.take([second], row_id="r2", suffix=".mp4")

    assert other.path.stem.endswith("-r2")
    assert other.twin == "r1"
    assert other.told.endswith(
        f'row "r1" has the name "{other.path.name.replace("-r2", "")}": this one is called "{other.path.name}"'
    )


def test_a_sharp_s_is_two_letters_to_some_disks() -> None:
    """Case folding, not lower case."""
    names = Names(FOLDER)
    names.take(["Strasse"], row_id="r1", suffix=".mp4")

    assert names.take(["STRAßE"], row_id="r2", suffix=".mp4").twin == "r1"


def test_the_same_wish_of_the_same_row_is_the_same_name() -> None:
    """A second look at a row makes no second file."""
    names = Names(FOLDER)
    names.take(["Anna"], row_id="r1", suffix=".mp4")
    first = names.take(["Anna"], row_id="r2", suffix=".mp4")

    assert names.take(["Anna"], row_id="r2", suffix=".mp4") == first
    assert names.take(["Anna"], row_id="r2", suffix=".srt").path.name == "Anna.srt"


def test_names_in_different_folders_do_not_meet() -> None:
    """The whole path counts."""
    names = Names(FOLDER)

    assert names.take(["de", "Anna"], row_id="r1", suffix=".mp4").told == ""
    assert names.take(["fr", "Anna"], row_id="r2", suffix=".mp4").told == ""


@given(st.lists(st.tuples(cells, cells), max_size=12))
def test_no_two_rows_share_a_file(rows: list[tuple[str, str]]) -> None:
    """Not even those whose row ids look alike, or were cut."""
    names, seen = Names(FOLDER), set()

    for number, (cell, row_id) in enumerate(rows):
        path = names.take([cell, cell], row_id=f"{row_id}{number}", suffix=".mp4").path
        assert_harmless(path, steps=2)
        seen.add(unicodedata.normalize("NFC", path.as_posix().casefold()))

    assert len(seen) == len(rows)
