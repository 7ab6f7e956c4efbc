"""`where:`, the rows that a job is about."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.bound import BoundJob
from batcher.errors import InputError
from batcher.mapping.expression import ExpressionError
from batcher.mapping.filter import Cell, compile_filter

Bind = Callable[..., BoundJob]


def holds(condition: str, **cells: str) -> bool:
    """Whether a condition is true of a row with these cells."""
    header = list(cells)
    lookup = {name: index for index, name in enumerate(header)}.get
    return compile_filter(condition, lookup=lookup, headers=header)(list(cells.values()))


def test_headers_in_brackets_may_follow_words() -> None:
    """`not [First name]` and `a and [B]` are what people write."""
    cells = {"First name": "", "consent": "yes"}

    assert holds('consent == "yes" and not [First name]', **cells)
    assert not holds('[First name] or [consent] == "no"', **cells)
    with pytest.raises(ExpressionError, match="square brackets hold the text of a header"):
        holds("consent[0]", **cells)


@pytest.mark.parametrize(
    ("cell", "condition", "answer"),
    [
        ("yes", 'c == "yes"', True),
        (" YES\u00a0", 'c == "yes"', True),
        ("yes", 'c == " Yes "', True),
        ("STRASSE", 'c == "straße"', True),
        ("no", 'c != "yes"', True),
        ("", 'c == ""', True),
        ("  ", "c", False),
        ("x", "c", True),
        ("", "not c", True),
        ("10", "c > 9", True),
        ("10", 'c > "9"', True),
        ("1.50", "c == 1.5", True),
        ("007", "c == 7", True),
        ("+7", "c == 7", True),
        (".5", "c < 1", True),
        ("-3", "c < 0", True),
        ("ten", "c > 9", True),
        ("1e3", "c == 1000", False),
        ("1_000", "c == 1000", False),
        ("nan", "c == c", True),
        ("b", 'c >= "a" and c <= "C"', True),
        ("true", "c == true", True),
        ("FALSE", "c == false", True),
        ("Berlin, Mitte", '"berlin" in c', True),
        ("de", 'c in ("DE", "at")', True),
        ("ch", 'c not in ["DE", "at"]', True),
    ],
)
def test_cells_are_compared_as_people_mean_it(cell: str, condition: str, answer: bool) -> None:
    """Trimmed and caseless, and as numbers where both sides are numbers."""
    if "[" in condition:
        with pytest.raises(ExpressionError):
            holds(condition, c=cell)
        return
    assert holds(condition, c=cell) is answer


def test_columns_are_compared_with_columns() -> None:
    """Both sides may be cells."""
    assert holds("[sent on] == [due]", **{"sent on": "5", "due": "5.0"})
    assert not holds("a < b", a="10", b="9")
    assert holds('a == "x" or not b', a="y", b=" ")


@given(left=st.integers(-(10**9), 10**9), right=st.integers(-(10**9), 10**9))
def test_numbers_order_as_numbers(left: int, right: int) -> None:
    """Never as texts, in which 10 stands before 9."""
    cell = Cell(f" {left} ")
    assert (cell < right, cell <= right, cell > right, cell >= right) == (
        left < right,
        left <= right,
        left > right,
        left >= right,
    )
    assert (cell == str(right)) is (left == right)


@given(st.text(), st.text())
def test_exactly_one_order_holds(left: str, right: str) -> None:
    """Less, equal or more: one of them, for any two texts."""
    assert [Cell(left) < Cell(right), Cell(left) == Cell(right), Cell(left) > Cell(right)].count(True) == 1


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ('conset == "yes"', "no column 'conset'; did you mean 'consent'?"),
        ('consent = "yes"', "is not an expression"),
        ("consent ==", "is not an expression"),
        ("consent.format(1)", "unsafe"),
        ("consent.upper", "gives neither a text nor a number"),
        ("'x' * 10**9", "works on numbers only"),
    ],
)
def test_a_condition_that_cannot_be_read_is_refused(condition: str, said: str) -> None:
    """A misspelt column names the nearest; a slip is told before any row is looked at, or at the first."""
    with pytest.raises(ExpressionError, match=said.replace("?", r"\?")):
        holds(condition, consent="yes")


def test_a_wrong_condition_is_told_at_its_line(bind: Bind, make_row: Callable[..., dict[str, str]]) -> None:
    """The person sees where in the job it stands."""
    with pytest.raises(InputError, match=r"job\.yaml:7:5: sheet\.where: no column 'consnt'; did you mean 'consent'\?"):
        bind(make_row(consent="yes"), sheet={"where": 'consnt == "yes"'})


def test_rows_that_are_left_out_are_skipped(bind: Bind, make_row: Callable[..., dict[str, str]]) -> None:
    """They have no id, so that nothing can be asked for them."""
    rows = [make_row(id="r1", consent="Yes"), make_row(id="r2", consent="no"), make_row(id="r3", consent=" yes ")]
    bound = bind(*rows, sheet={"where": 'consent == "yes"'})
    assert [each.row_id for each in bound.rows()] == ["r1", "", "r3"]


def test_a_condition_that_fails_for_a_row_stops_before_anything_is_sent(
    bind: Bind, make_row: Callable[..., dict[str, str]]
) -> None:
    """Whether a row may be sent must never be guessed."""
    bound = bind(make_row(), sheet={"where": "name / 2 > 1"})
    with pytest.raises(InputError, match=r"people\.csv row 2: where: 'name / 2 > 1' fails here"):
        list(bound.rows())
