"""A job held against its operation and its sheet: who each row is."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from batcher.bound import BoundJob
from batcher.errors import InputError
from batcher.finding import find_operations, open_job_sheet
from batcher.ledger.values import Known
from batcher.marks import Mark
from batcher.model import State

Bind = Callable[..., BoundJob]
Row = Callable[..., dict[str, str]]
CONTENT = {"row_id": "content"}


def ids(bound: BoundJob) -> list[str]:
    """The ids of the rows, in order."""
    return [each.row_id for each in bound.rows()]


def flaws(bound: BoundJob) -> list[str]:
    """What is wrong with the ids."""
    return [f"{place}: {message}" for each in bound.rows() for place, message in each.flaws]


def test_rows_are_known_by_their_id(bind: Bind, make_row: Row) -> None:
    """Blanks around an id mean nothing; upper and lower case do."""
    assert ids(bind(make_row(id="C-1"), make_row(id=" c-1 "), make_row(id="007"))) == ["C-1", "c-1", "007"]


def test_an_empty_id_is_a_flaw_of_its_row(bind: Bind, make_row: Row) -> None:
    """The row is accounted for under an id that no cell can hold."""
    bound = bind(make_row(id="  "), make_row(id="r2"))
    assert flaws(bound) == ["people.csv!A2: id is empty, and it is what identifies the row"]
    assert ids(bound) == ["\0row 2", "r2"]


def test_an_empty_id_that_is_also_used_is_one_fault(bind: Bind, make_row: Row) -> None:
    """A person mends one cell, and is told of it once."""
    request = {"template_id": "tpl_welcome", "title": "Hi {{ id }}", "variables": {"first_name": "{{ name }}"}}
    bound = bind(make_row(id=""), request=request)
    ((task,),) = ([*bound.tasks(each)] for each in bound.rows())
    assert [message for _, message in task.flaws] == ["id is empty, and it is what identifies the row"]


def test_a_repeated_id_names_the_row_that_has_it(bind: Bind, make_row: Row) -> None:
    """The first keeps it; every further one waits for its own. Composed and decomposed umlauts are one."""
    bound = bind(make_row(id="ü"), make_row(id="x"), make_row(id=" u\u0308"), make_row(id="x"))
    assert flaws(bound) == [
        "people.csv!A4: id 'ü' stands also in row 2; every row needs its own",
        "people.csv!A5: id 'x' stands also in row 3; every row needs its own",
    ]
    assert ids(bound)[:2] == ["ü", "x"]


def test_many_repeats_are_told_without_reading_the_sheet_for_each(bind: Bind, make_row: Row) -> None:
    """Only for the first twenty repeats the earlier row is looked up."""
    said = flaws(bind(*(make_row(id=f"r{n}") for n in (*range(30), *range(30)))))
    assert len(said) == 30
    assert "stands also in row 21" in said[19]
    assert "stands more than once in the sheet" in said[20]


def test_the_content_can_be_the_id(bind: Bind, make_row: Row) -> None:
    """The cells that the job uses, and no others."""
    first, second, third = ids(
        bind(make_row(), make_row(name="Ben"), make_row(id="other", company="other"), sheet=CONTENT)
    )
    assert len({first, second}) == 2
    assert third.startswith(first)


def test_equal_rows_keep_their_ids_when_a_row_is_inserted(bind: Bind, make_row: Row) -> None:
    """The second of two equal rows is the second of them, wherever it stands: another id would be paid again."""
    before = ids(bind(make_row(), make_row(), sheet=CONTENT))
    assert ids(bind(make_row(name="Ben"), make_row(), make_row(), sheet=CONTENT))[1:] == before


def test_a_column_called_content_is_a_column(bind: Bind, make_row: Row) -> None:
    """The word means the cells only where no column is called so."""
    assert ids(bind(make_row(content="k1"), sheet=CONTENT)) == ["k1"]


@pytest.mark.parametrize("row_id", ["idd", "ID"])
def test_a_missing_id_column_names_the_nearest(bind: Bind, make_row: Row, row_id: str) -> None:
    """Without it a corrected typo would be a new row."""
    with pytest.raises(InputError, match=f'no column "{row_id}"; did you mean "id"'):
        bind(make_row(), sheet={"row_id": row_id})


def test_blank_rows_have_no_id(bind: Bind, make_row: Row) -> None:
    """They are kept, skipped and counted."""
    assert ids(bind(make_row(), ["", " ", "", ""], make_row(id="r3"), header=list(make_row()))) == ["r1", "", "r3"]


def test_an_unknown_operation_names_the_nearest(make_job: Callable[..., object]) -> None:
    """Its line in the job stands before it."""
    with pytest.raises(
        InputError,
        match=r"job\.yaml:3:3: operation: unknown operation 'heygen\.templte'; did you mean 'heygen\.template'\?",
    ):
        find_operations(make_job(operation="heygen.templte"))  # type: ignore[arg-type]


def test_faults_of_request_and_sheet_are_told_together(bind: Bind, make_row: Row) -> None:
    """A misspelt column in the request, in `where` and in `for_each`: one look at the job mends all three."""
    request = {"template_id": "t", "variables": {"v": "{{ nmae? }}"}}
    with pytest.raises(InputError) as caught:
        bind(make_row(), request=request, sheet={"where": "compny == 1"}, for_each={"language": {"column": "id2 "}})
    assert len(caught.value.problems) >= 1
    with pytest.raises(InputError) as caught:
        bind(make_row(), request=request, sheet={"where": "compny == 1"})
    assert [str(each).split(": ")[1] for each in caught.value.problems] == ["request.variables.v", "sheet.where"]


def test_the_sheet_of_a_job_is_opened_by_the_columns_that_it_needs(
    make_job: Callable[..., object], make_sheet: Callable[..., object]
) -> None:
    """A comma in every cell does not hide that semicolons separate them."""
    make_sheet(["r1", "Anna, Ben, Cid", "x"], header=["id", "name", "company"], delimiter=";")
    assert open_job_sheet(make_job()).header == ("id", "name", "company")  # type: ignore[arg-type]


def test_an_unusable_language_is_a_flaw_of_its_row(bind: Bind) -> None:
    """The other rows of a fan-out go on."""
    request = {"video": "https://x.de/v.mp4", "output_languages": ["{{ language }}"]}
    rows = [["r1", "German"], ["r2", " ; "]]
    bound = bind(
        *rows,
        header=["id", "langs"],
        operation="heygen.translation",
        request=request,
        for_each={"language": {"column": "langs"}},
    )
    found = [task for each in bound.rows() for task in bound.tasks(each)]
    assert [bool(task.body) for task in found] == [True, False]
    assert "people.csv!B3" in {place for place, _ in found[1].flaws}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
@given(cells=st.lists(st.sampled_from(["a", "b", " a", "", "ü", "u\u0308", "A", "0", "00"]), min_size=1, max_size=12))
def test_every_row_has_an_id_of_its_own(bind: Bind, make_row: Row, cells: list[str]) -> None:
    """Whatever stands in the column: no two rows ever share an id, and none is lost."""
    found = ids(bind(*(make_row(id=cell) for cell in cells)))
    assert len(set(found)) == len(found) == len(cells)


AVATAR = {"type": "avatar", "avatar_id": "look_1", "voice_id": "voice_1", "script": "Hello {{ name }}"}


def test_bodies_are_written_only_where_they_are_wanted(bind: Bind, make_row: Row) -> None:
    """All else about a task is the same, what it costs included; a row that cannot be sent has no body either way."""
    bound = bind(make_row(), make_row(id="r2", name=""), operation="heygen.video", request=AVATAR)
    for row in bound.rows():
        (whole,), (bare,) = bound.tasks(row), bound.tasks(row, with_bodies=False)
        assert bool(whole.body) is not bool(whole.flaws)
        assert bare == replace(whole, body="")


def test_what_was_made_from_the_same_cells_is_not_worked_out_again(bind: Bind, make_row: Row) -> None:
    """Of a million finished rows only who they are is needed; of anything else everything, as without a ledger."""
    bound = bind(make_row(), operation="heygen.video", request=AVATAR)
    (row,) = bound.rows()
    (whole,) = bound.tasks(row)
    made = Known(state=State.DONE, input_hash=whole.input_hash, made_hash=whole.input_hash)

    assert bound.tasks(row, known={whole.key: made}) == [replace(whole, path="", body="", estimate=None)]
    for other in (
        replace(made, made_hash="of other cells"),
        replace(made, state=State.WAITING),
        replace(made, state=State.INVALID),
    ):
        assert bound.tasks(row, known={whole.key: other}) == [whole]
    assert bound.tasks(replace(row, mark=Mark.AGAIN), known={whole.key: made}) == [whole]


@pytest.mark.parametrize("first", ["avatar_iii", "avatar_iv"])
def test_a_price_that_rows_decide_is_found_for_each(bind: Bind, make_row: Row, first: str) -> None:
    """What was found of one row is taken for all only where no cell decides it."""
    second = "avatar_iv" if first == "avatar_iii" else "avatar_iii"
    rows = (make_row(company=first), make_row(id="r2", company=second))
    request = {**AVATAR, "engine": {"type": "{{ company }}"}}
    bound = bind(*rows, operation="heygen.video", request=request, estimate="10 seconds")
    costs = {row.row.cells[bound.sheet.column("company") or 0]: bound.tasks(row)[0].estimate for row in bound.rows()}
    assert costs == {"avatar_iii": pytest.approx(0.167), "avatar_iv": pytest.approx(0.667)}
