"""Cells that are valid and most likely not what was meant are told before money is spent, and sent as they stand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.ledger.sqlite import SqliteLedger
from batcher.planner import look
from batcher.sheet import doubt_about


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1.23E+15", "a number that Excel has shortened"),
        ("4,11111E+15", "a number that Excel has shortened"),
        ("JosÃ©", "'Ã©' may have been 'é'"),
        ("MÃ¼ller & Söhne", "'Ã¼' may have been 'ü'"),
        ("donâ€™t", "'â€™' may have been '’'"),
        ("r1\u200b", "zero width space, U+200B"),
        ("abc\u202etxt.exe", "right-to-left override, U+202E"),
        ("So\u00adphie", "soft hyphen, U+00AD"),
        ("An\x07na", "a control character (U+0007)"),
        ("one\x0btwo", "a control character (U+000B)"),
    ],
)
def test_a_doubtful_text_is_told(text: str, said: str) -> None:
    """Shortened by Excel, read in a wrong encoding, or with something in it that nobody sees (D4, D22, D23)."""
    assert said in doubt_about(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Anna",
        "E+",
        "1E5",
        "Zoë",
        "São João",
        "Ä",
        "à la carte",
        "Ã",
        "naïve “quotes” – dash…",
        "👩‍👩‍👧",
        "مرحبا",
        "a\u00a0b",
        "one\ntwo\r\nthree\tfour",
    ],
)
def test_what_people_write_is_no_doubt(text: str) -> None:
    """A warning that comes every day is not read on the day when it matters."""
    assert doubt_about(text) == ""


@given(st.text())
def test_utf_8_read_as_latin_1_is_noticed(text: str) -> None:
    """Any text beyond ASCII that went through the wrong door, and no exception on the way."""
    mangled = text.encode("utf-8", "replace").decode("latin-1")
    assert bool(doubt_about(mangled)) or mangled.isascii()
    doubt_about(text)


def test_the_plan_tells_doubts_of_rows_to_be_sent_with_their_cells(
    bind: Callable[..., Any], make_row: Callable[..., dict[str, str]], ledger: SqliteLedger
) -> None:
    """Valid all the same: they are counted among those that wait."""
    bound = bind(
        make_row(name="JosÃ©"), make_row(id="r2"), make_row(id="r3", name=""), header=("id", "name", "company", "logo")
    )
    plan = look(bound, ledger)

    assert [str(each) for each in plan.doubts] == [
        "people.csv!B2: looks like text read in a wrong encoding: 'Ã©' may have been 'é'"
    ]
    assert (plan.doubt_count, plan.to_send, plan.problem_count) == (1, 2, 1)


def test_rows_that_ask_for_the_same_under_different_ids_are_told(
    bind: Callable[..., Any], make_row: Callable[..., dict[str, str]], ledger: SqliteLedger
) -> None:
    """The one that would be paid for once more is named, with the row that it repeats; where the content is the id, nobody asks (A34)."""
    people = [
        make_row(),
        make_row(id="r2", name="Ben"),
        make_row(id="r3"),
        make_row(id="r4", name=""),
        make_row(id="r5", name=""),
    ]
    request = {"template_id": "tpl_welcome", "variables": {"first_name": "{{ name }}", "company": None, "logo": None}}
    header = ("id", "name", "company", "logo")
    plan = look(bind(*people, header=header, request=request), ledger)

    assert [str(each) for each in plan.doubts] == [
        "people.csv row 4: asks for exactly the same as row 2: made, and paid for, once more"
    ]
    by_content = bind(*people, header=header, request=request, sheet={"file": "people.csv", "row_id": "content"})
    assert look(by_content, ledger).doubt_count == 0
