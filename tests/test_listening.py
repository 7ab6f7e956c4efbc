"""What will sound wrong is told with its cell, and the same person is found twice; nothing of it stops a row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from batcher.bound import BoundJob
from batcher.catalog.load import built_in_providers
from batcher.ledger.sqlite import SqliteLedger
from batcher.listening import Listener
from batcher.oddities import cell_oddities, gap, text_oddities
from batcher.persons import PersonColumns, Persons
from batcher.plan import Plan
from batcher.planner import look

Bind = Callable[..., BoundJob]
SPEECH: Mapping[str, Any] = {
    "operation": "heygen.speech",
    "request": {"text": "Hi {{ name }}, greetings to {{ company? }}!", "voice_id": "v1"},
}


def heard(bound: BoundJob, ledger: SqliteLedger) -> Plan:
    return look(bound, ledger, listener=Listener(bound=bound))


def sheet_row(row_id: str, name: str, company: str = "Becker", **more: str) -> dict[str, str]:
    return {"id": row_id, "name": name, "company": company, **more}


@pytest.mark.parametrize(
    ("cell", "found"),
    [
        ("MÜLLER", ["all capitals"]),
        ("IBM", []),
        ("007", ["digits only"]),
        ("Zoë 🎉", ["holds an emoji"]),
        ("<b>Ann</b>", ["holds markup"]),
        ("Müller &amp; Co", ["holds markup"]),
        ('Wait <break time="1s"/> now', []),
        ("a < b and c > d", []),
        ("{{ first_name }}", ["holds what is left of a template"]),
        ("Ann  Lee", ["holds double spaces"]),
        ("\u0410nna", ["mixes scripts within a word"]),
        ("Анна Anna", []),
        ("Søren Ødegård-Nuñez", []),
    ],
)
def test_odd_cells_are_told_and_usual_ones_are_not(cell: str, found: list[str]) -> None:
    """A warning that comes too often is read by nobody."""
    assert cell_oddities(cell, is_name=True, is_company=False) == found


def test_capitals_of_a_company_are_its_name() -> None:
    """SIEMENS is no shouting."""
    assert cell_oddities("SIEMENS", is_name=False, is_company=True) == []


def test_an_empty_cell_leaves_a_gap_that_is_heard() -> None:
    """`Hi , welcome`."""
    assert gap("Hi , welcome")
    assert not gap("Hi Ann, welcome to 3.5 · yes")
    assert text_oddities("Hi Ann, welcome") == []


def test_the_texts_are_those_that_will_be_sent(bind: Bind, ledger: SqliteLedger) -> None:
    """The longest, the oddest and one with an empty cell, each row once, with its number."""
    rows = [
        sheet_row("r1", "Bo"),
        sheet_row("r2", "Bartholomäus"),
        sheet_row("r3", "MÜLLER"),
        sheet_row("r4", "Ann", ""),
    ]
    plan = heard(bind(*rows, **SPEECH), ledger)

    shown = {each.row_number: (each.why, each.text) for each in plan.spoken}
    assert shown[3] == ("the longest", "Hi Bartholomäus, greetings to Becker!")
    assert shown[4] == ("the oddest", "Hi MÜLLER, greetings to Becker!")
    assert shown[5] == ("company is empty", "Hi Ann, greetings to !")
    assert [(each.where, each.message) for each in plan.doubts][:1] == [("people.csv!B4", '"MÜLLER" all capitals')]


def test_only_rows_that_are_sent_are_heard(bind: Bind, ledger: SqliteLedger) -> None:
    """An invalid row is told as such, and says nothing."""
    plan = heard(bind(sheet_row("r1", ""), sheet_row("r2", "Ann"), **SPEECH), ledger)
    assert {each.row_number for each in plan.spoken} == {3}


def test_template_variables_are_spoken_and_pictures_are_not(
    bind: Bind, ledger: SqliteLedger, make_row: Callable[..., dict[str, str]]
) -> None:
    """Which fields are spoken is data of the catalogue."""
    variables = {"first_name": "{{ name }}", "company": None, "logo": {"image": "{{ logo }}"}}
    plan = heard(bind(make_row(), request={"template_id": "tpl_welcome", "variables": variables}), ledger)
    assert [each.text for each in plan.spoken] == ["Anna"]


def test_every_operation_with_a_script_says_where_it_stands() -> None:
    """Templates, avatars and speech; translations speak what nobody has written here."""
    spoken = {
        name
        for provider in built_in_providers()
        for name, operation in provider.operations.items()
        if operation.spoken is not None
    }
    wanted = {"heygen.template", "heygen.video", "heygen.speech", "heygen.v2.template", "heygen.v2.video"}
    assert wanted | {"synthesia.template", "synthesia.video", "useapi.tts"} <= spoken
    assert not any("translation" in name for name in spoken)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (("Ann", "ann@x.com", "", ""), ("A. Lee", " Ann@X.com", "", ""), True),
        (("Ann", "", "+49 30 1234567", ""), ("ann", "", "0049 (30) 123-4567", ""), True),
        (("Ann", "", "+49 30 1234567", ""), ("Bob", "", "+49 30 1234567", ""), False),
        (("Ann Lee", "", "", "Becker"), ("ann  lee", "", "", "BECKER"), True),
        (("Ann", "", "", "Becker"), ("Ann", "", "", "Becker"), False),
        (("Ann Lee", "", "", ""), ("Ann Lee", "", "", ""), False),
        (("Ann", "none", "123", ""), ("Ann", "none", "123", ""), False),
    ],
)
def test_the_same_person_is_known_by_what_is_theirs_alone(
    one: tuple[str, ...], other: tuple[str, ...], same: bool
) -> None:
    """An address, a telephone with a name, a full name with a company; nothing less."""
    persons = Persons(columns=PersonColumns.of(["Name", "E-Mail", "Telefon", "Firma"]))
    assert persons.earlier(one, 2) is None
    assert (persons.earlier(other, 3) is not None) is same


def test_the_same_person_twice_is_told_with_both_cells_and_sent(bind: Bind, ledger: SqliteLedger) -> None:
    """It may be meant."""
    rows = [sheet_row(f"r{n}", f"Ann {n}", email="a@x.com" if n in (1, 3) else "") for n in (1, 2, 3)]
    plan = heard(bind(*rows, **SPEECH), ledger)

    assert ("people.csv!D2, D4", "the same person twice") in [(each.where, each.message) for each in plan.doubts]
    assert plan.to_send == 3
