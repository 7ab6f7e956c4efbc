"""Which columns of a sheet are the user's own, and which are ours."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from batcher.bound import BoundJob
from batcher.errors import InputError
from batcher.layout import AFTER, BEFORE

Bind = Callable[..., BoundJob]
OUTPUTS = ("video_id", "video_url", "page_url", "thumbnail_url", "duration_s")
OURS = (*BEFORE, *OUTPUTS, *AFTER)


def header(bind: Bind, columns: Sequence[str], **changes: object) -> list[str]:
    """The header of the results over a sheet with these columns."""
    return list(bind([f"c{n}" for n, _ in enumerate(columns)], header=columns, **changes).layout.header)


def test_our_columns_stand_at_the_right(bind: Bind) -> None:
    """The user's columns come first, in their order, spelled as they are."""
    assert header(bind, ["id", "name", " Notes "]) == ["id", "name", " Notes ", *OURS]


def test_a_results_file_as_input_gets_its_columns_replaced(bind: Bind) -> None:
    """They are recognised and not doubled, wherever they stand."""
    assert header(bind, ["id", "name", *OURS]) == ["id", "name", *OURS]
    assert header(bind, ["id", *OURS, "name", "added later"]) == ["id", "name", "added later", *OURS]


def test_a_results_file_under_a_prefix_is_recognised_too(bind: Bind) -> None:
    """The prefix belongs to the names."""
    ours = [f"our {name}" for name in OURS]
    assert header(bind, ["id", "name", *ours], results={"prefix": "our "}) == ["id", "name", *ours]


@pytest.mark.parametrize("column", ["error", "cost", "video_url", " attempts "])
def test_a_users_column_of_our_name_is_an_error_that_proposes_a_prefix(bind: Bind, column: str) -> None:
    """Nothing of the user's is ever overwritten."""
    with pytest.raises(InputError, match=r"columns of its own called .*; set results\.prefix") as caught:
        header(bind, ["id", "name", column])
    assert str(caught.value).startswith("job.yaml:1")
    assert header(bind, ["id", "name", column], results={"prefix": "our "}) == [
        "id",
        "name",
        column,
        *(f"our {name}" for name in OURS),
    ]


def test_the_status_column_alone_is_there_for_words(bind: Bind) -> None:
    """Nobody else calls a column so: a person may write `hold` before the first run."""
    bound = bind(["1", "Ann", "hold"], header=["id", "name", "batcher_status"])
    assert bound.layout.own == {"batcher_status": 2}
    assert list(bound.layout.header) == ["id", "name", *OURS]


def test_deleted_columns_of_ours_come_back(bind: Bind) -> None:
    """A person who has no use for costs deletes the column, and the others are still ours."""
    fewer = [name for name in OURS if name not in ("cost", "what_to_do")]
    assert header(bind, ["id", "name", *fewer]) == ["id", "name", *OURS]


def test_all_clashes_are_told_at_once(bind: Bind) -> None:
    """One prefix mends them all."""
    with pytest.raises(InputError, match="called 'error', 'cost', as ours are"):
        header(bind, ["id", "name", "error", "cost"])


def test_one_of_our_columns_that_the_job_reads_belongs_to_the_user(bind: Bind) -> None:
    """The videos of one job may be the input of the next, which then needs a prefix for its own."""
    changes = {"request": {"template_id": "t", "variables": {"v": {"video": "{{ video_url }}"}}}}
    with pytest.raises(InputError, match=r"set results\.prefix"):
        header(bind, ["id", "name", *OURS], **changes)
    assert header(bind, ["id", "name", *OURS], results={"prefix": "b "}, **changes)[: 2 + len(OURS)] == [
        "id",
        "name",
        *OURS,
    ]


def test_a_fan_out_has_a_column_for_its_member(bind: Bind) -> None:
    """Before all others of ours; it must not be called as one of them."""
    changes = {
        "operation": "heygen.translation",
        "request": {"video": "https://x.de/v.mp4", "output_languages": ["{{ language }}"]},
    }
    made = header(bind, ["id", "name"], for_each={"language": ["German"]}, **changes)
    assert made[2:4] == ["language", "batcher_status"]
    changes["request"] = {"video": "https://x.de/v.mp4", "output_languages": ["{{ error }}"]}
    with pytest.raises(InputError, match=r"for_each\.error: 'error' is a column of the results already"):
        header(bind, ["id", "name"], for_each={"error": ["German"]}, **changes)
