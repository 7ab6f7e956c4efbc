"""Templates that stand in the sheet: each row is held against its own, before anything is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from batcher.cli.main import main
from batcher.errors import Exit, InputError
from batcher.job import load_job
from batcher.live import LOOKED_UP
from batcher.open_job import OpenJob
from batcher.opening import opened
from batcher.simulator import Running
from batcher.surroundings import Surroundings

REQUEST = {
    "template_id": "{{ Template }}",
    "variables": {"first_name": "{{ Name }}", "company": "{{ Company? }}", "logo": None},
}
Check = Callable[..., dict[str, list[tuple[str, str]]]]


@pytest.fixture
def check(simulator: Running, make_sheet: Callable[..., Path], write_job: Callable[..., Path]) -> Check:
    """What is said about each row of a sheet of (id, template, name, company), by id, and the notes under an empty id."""

    def look(
        *rows: tuple[str, str, str, str], offline: bool = False, **changes: Any
    ) -> dict[str, list[tuple[str, str]]]:
        make_sheet(*rows, header=("id", "Template", "Name", "Company"))
        path = write_job(request={**REQUEST, **changes})
        environ = {"HEYGEN_BASE_URL": simulator.url, "BATCHER_STATE": str(path.parent / "state")}
        around = Surroundings(environ=environ, folder=path.parent)
        with opened(load_job(path), around, offline=offline) as at_hand:
            return {"": [("", note) for note in at_hand.notes], **dict(said(at_hand))}

    return look


def said(at_hand: OpenJob) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Row id and flaws of every row; the notes last."""
    bound = at_hand.bind(checked=True)
    for row in bound.rows():
        yield row.row_id, [flaw for task in bound.tasks(row) for flaw in task.flaws]
    yield "", [("", note) for note in at_hand.notes]


def test_row_with_a_variable_that_its_template_lacks_is_invalid(check: Check) -> None:
    """At the cell with the template; the same cells are right for another template."""
    found = check(("a", "tpl_welcome", "Ann", "Acme"), ("b", "tpl_presenter", "Bo", ""))

    assert not found["a"]
    assert found["b"][0][0] == "people.csv!B3"
    assert found["b"][0][1].startswith("the template also has greeting, presenter")


def test_unknown_variables_name_the_known_ones(check: Check) -> None:
    """A template that has no company cannot be given one; a row that leaves it empty can use it."""
    more = {
        "invoice_number": "1",
        "amount": "2",
        "due_date": "3",
        "first_name": "{{ Name }}",
        "company": "{{ Company? }}",
    }
    rows = (("a", "tpl_invoice_reminder", "Ann", "Acme"), ("b", "tpl_invoice_reminder", "Bo", ""))
    found = check(*rows, variables=more)

    ((place, message),) = found["a"]
    assert place == "people.csv!B2"
    assert message == (
        "this template's variables: unknown key 'company'; known keys are: first_name, invoice_number, amount, due_date"
    )
    assert not found["b"]


def test_template_that_is_not_there_is_told_at_its_cell(check: Check) -> None:
    """And one that goes by its name is found."""
    found = check(("a", "tpl_nothing", "Ann", ""), ("b", "Welcome", "Bo", ""))

    ((place, message),) = found["a"]
    assert place == "people.csv!B2"
    assert "not found" in message.lower()
    assert not found["b"]


def test_only_so_many_templates_are_looked_up(check: Check, simulator: Running) -> None:
    """A sheet with a template in each row does not become a storm of requests; what was left out is told."""
    found = check(*((f"r{number}", f"tpl_{number}", "Ann", "") for number in range(LOOKED_UP + 5)))

    assert sum(bool(flaws) for row_id, flaws in found.items() if row_id) == LOOKED_UP
    assert ("", "20 of the 25 templates in the sheet were looked up, the others not") in found[""]


def test_offline_says_that_templates_are_not_checked(check: Check) -> None:
    """Nothing is asked, and nothing is pretended."""
    found = check(("a", "tpl_nothing", "Ann", ""), offline=True)

    assert not found["a"]
    assert ("", "the templates of the rows are not checked offline") in found[""]


@pytest.mark.usefixtures("signed_in")
def test_wrong_rows_are_not_sent_and_the_others_are(
    simulator: Running, make_sheet: Callable[..., Path], write_job: Callable[..., Path]
) -> None:
    """A run makes the row whose template fits, and charges nothing for the other."""
    make_sheet(
        ("a", "tpl_welcome", "Ann", ""), ("b", "tpl_presenter", "Bo", ""), header=("id", "Template", "Name", "Company")
    )
    job = write_job(request=REQUEST, poll={"at_most_every": "0.05s", "budget": "1000/second"})

    assert main(["run", str(job), "--yes", "--quiet"]) == Exit.SOME_FAILED
    assert simulator.report()["creations"] == 1
    assert main(["run", str(job), "--yes", "--quiet"]) == Exit.SOME_FAILED
    assert simulator.report()["creations"] == 1


def test_a_misspelt_variable_is_told_together_with_the_one_that_is_missing(check: Check) -> None:
    """Both are seen at once, so that one correction does."""
    request = {"first_name": "{{ Name }}", "compny": "{{ Company? }}", "logo": None}
    with pytest.raises(InputError, match=r"also has company; .*; it does not have compny"):
        check(("1", "tpl_welcome", "Ann", ""), template_id="tpl_welcome", variables=request)


def test_a_template_that_is_not_there_names_the_nearest(check: Check) -> None:
    """Its list may leave templates out, so it was looked up before it is called unknown."""
    with pytest.raises(InputError, match="did you mean 'Welcome'"):
        check(("1", "tpl_welcome", "Ann", ""), template_id="Welcom")
