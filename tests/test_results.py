"""The sheet again, with links and reasons beside every row."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batcher.bound import BoundJob
from batcher.expiry import iso, signed_until
from batcher.ledger.sqlite import SqliteLedger
from batcher.lines import word_of
from batcher.model import State
from batcher.planner import make_plan
from batcher.results import Tally, count_rows, result_rows, write_results
from batcher.sheet import SheetSpec, clean, open_sheet

Bind = Callable[..., BoundJob]
Row = Callable[..., dict[str, str]]
Settle = Callable[..., None]
REQUEST = {"template_id": "t", "title": "always here", "variables": {"v": "{{ name }}"}}
SENT_AT = 1_800_000_000.0
DONE = {
    "outputs": {"video_url": "https://cdn.example.com/v.mp4?Expires=1800604800&Signature=x", "duration_s": "12.04"},
    "cost": 0.8671,
}


def plan(bound: BoundJob, ledger: SqliteLedger) -> None:
    """Bring the ledger in line with the sheet."""
    make_plan(bound, ledger, account="a", mark="m", at=SENT_AT)


def written(path: Path) -> list[dict[str, str]]:
    """The rows of a results file, by column."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def campaign(bind: Bind, make_row: Row, ledger: SqliteLedger, settle_rows: Settle) -> BoundJob:
    """Nine rows: one in each state, one blank, one left out, one never planned."""
    where = {"where": 'name != "nobody"'}
    rows = [make_row(id=f"r{n}") for n in range(1, 7)]
    rows += [make_row(id="bad", name=""), make_row(id="out", name="nobody"), {}]
    bound = bind(*rows, sheet=where, request=REQUEST)
    plan(bound, ledger)
    states = {"r2": State.SENDING, "r3": State.IN_PROGRESS, "r4": State.UNSURE}
    settle_rows(bound, {"r1": State.DONE, **states, "r5": State.WAITING}, **DONE)
    return bound


def test_every_row_has_its_word(campaign: BoundJob, ledger: SqliteLedger, tmp_path: Path) -> None:
    """In the order of the sheet; a blank row stays blank, a row that is being sent is in progress."""
    tally = write_results(campaign, ledger)
    words = [row["batcher_status"] for row in written(tmp_path / "results.csv")]
    assert words == ["done", "in progress", "in progress", "unsure", "waiting", "waiting", "invalid", "skipped", ""]
    assert tally.identity() == "9 rows = 1 done + 1 invalid + 2 in progress + 1 unsure + 2 waiting + 2 skipped ✓"


def test_a_done_row_has_links_times_and_cost(campaign: BoundJob, ledger: SqliteLedger, tmp_path: Path) -> None:
    """And the end of its link's life, as the link itself says."""
    write_results(campaign, ledger)
    done = written(tmp_path / "results.csv")[0]
    assert done["video_id"].startswith("vid_")
    assert (done["duration_s"], done["cost"], done["attempts"]) == ("12.04", "0.8671", "1")
    assert (done["submitted_at"], done["url_expires_at"]) == ("2027-01-15T08:00:00Z", "2027-01-22T08:00:00Z")
    assert (done["error"], done["what_to_do"]) == ("", "")


def test_an_invalid_row_says_which_cell_and_what_to_do(
    campaign: BoundJob, ledger: SqliteLedger, tmp_path: Path
) -> None:
    """The address without the file's name: the reader has the file before them."""
    write_results(campaign, ledger)
    invalid = written(tmp_path / "results.csv")[6]
    assert invalid["error"] == "B8: name is empty"
    assert invalid["what_to_do"] == "correct the cell, then run again"


def test_an_unsure_row_names_the_command_that_decides(campaign: BoundJob, ledger: SqliteLedger, tmp_path: Path) -> None:
    """Nobody guesses about money."""
    write_results(campaign, ledger)
    assert written(tmp_path / "results.csv")[3]["what_to_do"] == "decide with: batcher settle job.yaml"


def test_a_changed_row_is_told_beside_its_old_result(
    bind: Bind, make_row: Row, ledger: SqliteLedger, settle_rows: Settle, tmp_path: Path
) -> None:
    """The link belongs to what the row said before."""
    plan(bind(make_row(), request=REQUEST), ledger)
    settle_rows(bind(request=REQUEST), {"r1": State.DONE}, **DONE)
    bound = bind(make_row(name="Anne"), request=REQUEST)
    plan(bound, ledger)
    write_results(bound, ledger)
    (row,) = written(tmp_path / "results.csv")
    assert (row["batcher_status"], row["what_to_do"]) == ("done", "the row has changed since this was made")
    assert row["video_url"]


def test_a_row_that_the_plan_has_not_seen_is_waiting(
    bind: Bind, make_row: Row, ledger: SqliteLedger, tmp_path: Path
) -> None:
    """Somebody added it meanwhile: it is in the results all the same."""
    plan(bind(make_row(), request=REQUEST), ledger)
    write_results(bind(make_row(), make_row(id="r2"), request=REQUEST), ledger)
    assert [row["batcher_status"] for row in written(tmp_path / "results.csv")] == ["waiting", "waiting"]


def test_blank_rows_stay_where_they_are(bind: Bind, make_row: Row, ledger: SqliteLedger) -> None:
    """The results line up with the sheet, row by row."""
    bound = bind(make_row(), {}, make_row(id="r3"), {}, request=REQUEST)
    plan(bound, ledger)
    assert [row[0] for row in result_rows(bound, ledger)] == ["r1", "", "r3", ""]


def test_a_results_file_as_input_gives_the_same_results(
    bind: Bind, make_row: Row, ledger: SqliteLedger, settle_rows: Settle, tmp_path: Path
) -> None:
    """Our columns are replaced, not doubled, and no row is new or changed by them."""
    bound = bind(make_row(), make_row(id="r2"), request=REQUEST)
    plan(bound, ledger)
    settle_rows(bound, {"r1": State.DONE}, **DONE)
    write_results(bound, ledger)
    first = (tmp_path / "results.csv").read_bytes()
    again = bind(sheet={"file": "results.csv"}, results={"file": "again.csv"}, request=REQUEST)
    made = make_plan(again, ledger, account="a", mark="m", at=SENT_AT)
    assert (made.new, made.changed_count) == (0, 0)
    write_results(again, ledger)
    assert (tmp_path / "again.csv").read_bytes() == first


def test_a_prefix_keeps_the_users_own_column(bind: Bind, make_row: Row, ledger: SqliteLedger, tmp_path: Path) -> None:
    """Both `error` columns stand side by side, and the file is recognised when it comes back."""
    bound = bind(make_row(error="mine"), request=REQUEST, results={"prefix": "our "})
    plan(bound, ledger)
    write_results(bound, ledger)
    (row,) = written(tmp_path / "results.csv")
    assert (row["error"], row["our error"], row["our batcher_status"]) == ("mine", "", "waiting")
    again = bind(sheet={"file": "results.csv"}, results={"file": "again.csv", "prefix": "our "}, request=REQUEST)
    assert again.layout.header == bound.layout.header


def test_a_fan_out_has_one_line_per_member_and_counts_rows(
    bind: Bind, ledger: SqliteLedger, settle_rows: Settle, tmp_path: Path
) -> None:
    """The word of a row is the worst of its tasks'."""
    request = {"video": "https://x.de/v.mp4", "output_languages": ["{{ language }}"]}
    bound = bind(
        ["r1", "German; French"],
        ["r2", "German"],
        header=["id", "langs"],
        operation="heygen.translation",
        request=request,
        for_each={"language": {"column": "langs"}},
    )
    plan(bound, ledger)
    settle_rows(bound, {"r1": State.DONE})
    tally = write_results(bound, ledger)
    lines = [(row["id"], row["language"], row["batcher_status"]) for row in written(tmp_path / "results.csv")]
    assert lines == [("r1", "German", "done"), ("r1", "French", "done"), ("r2", "German", "waiting")]
    assert tally.identity() == "2 rows = 1 done + 1 waiting ✓"


@pytest.mark.parametrize("name", ["results.csv", "results.tsv", "results.xlsx"])
def test_every_format_holds_the_same_texts(
    bind: Bind, make_row: Row, ledger: SqliteLedger, settle_rows: Settle, tmp_path: Path, name: str
) -> None:
    """Read again, a workbook says what the CSV says."""
    rows = [
        make_row(id="007", name="=1+1"),
        make_row(id="1e5", name=" Ann "),
        make_row(id="00123456789012345678", name="Zeile 1\nZeile 2"),
    ]
    bound = bind(*rows, request=REQUEST, results={"file": name})
    plan(bound, ledger)
    settle_rows(
        bound, {"007": State.DONE, "1e5": State.FAILED}, **DONE, error_code="x", error="because of\n\x1b[31m it"
    )
    write_results(bound, ledger)
    sheet = open_sheet(SheetSpec(path=tmp_path / name))
    assert sheet.header == tuple(bound.layout.header)
    assert [list(row.cells) for row in sheet.rows()] == [list(row) for row in result_rows(bound, ledger)]


def test_what_the_api_says_is_cleaned(
    bind: Bind, make_row: Row, ledger: SqliteLedger, settle_rows: Settle, tmp_path: Path
) -> None:
    """No control character and no formula of theirs reaches a spreadsheet."""
    bound = bind(make_row(), request=REQUEST)
    plan(bound, ledger)
    settle_rows(bound, {"r1": State.FAILED}, error_code="=cmd()", error="@SUM(1)\x07\x1b]0;x", advice="-1")
    write_results(bound, ledger)
    (row,) = written(tmp_path / "results.csv")
    assert row["error_code"] == "'=cmd()"
    assert row["error"] == "'@SUM(1)\ufffd\ufffd]0;x"


NASTY = st.sampled_from(
    [
        "=1+1",
        "+1",
        "-1",
        "@x",
        "'",
        '"',
        ",",
        ";",
        "\n",
        "\r\n",
        "\t",
        " ",
        "NA",
        "null",
        "007",
        "1e5",
        "{{ name }}",
        "ü",
        "u\u0308",
        "\u00a0",
        "\u202e",
        "😀",
        "\ufeff",
        "|",
    ]
)
CELL = st.lists(
    NASTY | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=4), max_size=4
).map("".join)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(
    rows=st.lists(st.tuples(CELL, CELL), min_size=1, max_size=6),
    suffix=st.sampled_from(["csv", "tsv", "xlsx"]),
    first=st.booleans(),
)
def test_input_cells_come_back_untouched_and_in_order(
    bind: Bind, ledger: SqliteLedger, tmp_path: Path, rows: Sequence[tuple[str, str]], suffix: str, first: bool
) -> None:
    """Whatever texts they hold, in whatever format: every cell of every row, blank rows included."""
    header = ["id", "a", "b"] if first else ["a", "b", "id"]
    table = [[f"r{n}", *cells] if first else [*cells, f"r{n}"] for n, cells in enumerate(rows)]
    changes = {"request": {**REQUEST, "variables": {"v": "x{{ a? }}"}}, "sheet": {"delimiter": "comma"}}
    bound = bind(*table, header=header, results={"file": f"out.{suffix}"}, **changes)
    write_results(bound, ledger)
    delimiter = {"csv": ",", "tsv": "\t", "xlsx": ""}[suffix]
    back = [row.cells[:3] for row in open_sheet(SheetSpec(path=tmp_path / f"out.{suffix}", delimiter=delimiter)).rows()]
    # XML has no form for control characters, and one line end only
    fit = clean if suffix == "xlsx" else str
    assert back == [tuple(map(fit, row.cells)) for row in bound.sheet.rows()]
    if suffix != "xlsx":
        assert back == [tuple(row) for row in table]


KINDS = st.sampled_from([*State, "blank", "left out", "unplanned"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(kinds=st.lists(KINDS, max_size=12).filter(lambda kinds: set(kinds) - {"blank"}))
def test_the_identity_adds_up(
    bind: Bind, make_row: Row, settle_rows: Settle, tmp_path_factory: pytest.TempPathFactory, kinds: Sequence[Any]
) -> None:
    """For any mixture of states: every row is in exactly one word."""
    ledger = SqliteLedger(tmp_path_factory.mktemp("state") / "ledger.db")
    names = {"left out": "nobody", State.INVALID: ""}
    rows = [
        {} if kind == "blank" else make_row(id=f"r{n}", name=names.get(kind, "Anna")) for n, kind in enumerate(kinds)
    ]
    changes = {"sheet": {"where": 'name != "nobody"'}, "request": REQUEST, "header": list(make_row())}
    known = [row for row, kind in zip(rows, kinds, strict=True) if kind != "unplanned"]
    if any(known):
        bound = bind(*known, **changes)
        plan(bound, ledger)
        states = {
            f"r{n}": kind for n, kind in enumerate(kinds) if isinstance(kind, State) and kind is not State.INVALID
        }
        settle_rows(bound, states, into=ledger)
    tally = count_rows(bind(*rows, **changes), ledger)
    ledger.close()
    shown = {"blank": "skipped", "left out": "skipped", "unplanned": "waiting"}
    assert tally.words == Counter(shown.get(kind) or word_of(kind) for kind in kinds)
    assert tally.identity().endswith("✓")


def test_an_identity_that_does_not_add_up_says_so() -> None:
    """The sum is checked, not assumed."""
    assert "do not add up" in Tally(rows=3, words=Counter({"done": 2})).identity()


# --- how long links live


@pytest.mark.parametrize(
    ("link", "until"),
    [
        ("https://x.cloudfront.net/v.mp4?Expires=1800604800&Signature=abc&Key-Pair-Id=K", 1800604800),
        ("https://s3.amazonaws.com/b/v.mp4?AWSAccessKeyId=A&Expires=1800604800&Signature=abc", 1800604800),
        (
            "https://b.s3.amazonaws.com/v.mp4?X-Amz-Date=20270115T080000Z&X-Amz-Expires=604800&X-Amz-Signature=a",
            1800604800,
        ),
        ("https://storage.googleapis.com/b/v.mp4?X-Goog-Date=20270115T080000Z&X-Goog-Expires=3600", 1800003600),
        ("https://x.de/v.mp4", None),
        ("https://x.de/v.mp4?expires=soon", None),
        ("https://x.de/v.mp4?Expires=3600", None),
        ("https://x.de/v.mp4?Expires=1800604800000", None),
        ("https://x.de/v.mp4?Expires=" + "9" * 400, None),
        ("https://x.de/v.mp4?X-Amz-Date=yesterday&X-Amz-Expires=1", None),
        ("https://x.de/v.mp4?X-Amz-Expires=1", None),
        ("https://[/v.mp4?Expires=1800604800", None),
        ("not a link", None),
    ],
)
def test_a_signed_link_says_until_when_it_works(link: str, until: float | None) -> None:
    """CloudFront, both forms of S3, and Google; anything else says nothing."""
    assert signed_until(link) == until


ODD = (None, -1.0, 1e20, float("inf"), float("nan"))


@pytest.mark.parametrize(
    ("moment", "shown"),
    [(0.0, "1970-01-01T00:00:00Z"), (1800000000.9, "2027-01-15T08:00:00Z"), *((odd, "") for odd in ODD)],
)
def test_instants_are_iso_dates_and_impossible_ones_are_left_out(moment: float | None, shown: str) -> None:
    """An API's odd number never stops the results from being written."""
    assert iso(moment) == shown


def test_a_link_without_a_date_lives_as_long_as_the_catalogue_says(
    bind: Bind, make_row: Row, ledger: SqliteLedger, settle_rows: Settle, tmp_path: Path
) -> None:
    """Seven days from when it was read."""
    bound = bind(make_row(), request=REQUEST)
    plan(bound, ledger)
    settle_rows(bound, {"r1": State.DONE}, outputs={"video_url": "https://x.de/v.mp4"})
    write_results(bound, ledger)
    assert written(tmp_path / "results.csv")[0]["url_expires_at"] == "2027-01-22T08:00:00Z"


def test_the_first_link_to_expire_counts(
    bind: Bind, make_row: Row, ledger: SqliteLedger, settle_rows: Settle, tmp_path: Path
) -> None:
    """After it the row is no longer whole."""
    bound = bind(make_row(), request=REQUEST)
    plan(bound, ledger)
    links = {"video_url": "https://x.de/v?Expires=1800604800", "thumbnail_url": "https://x.de/t?Expires=1800003600"}
    settle_rows(bound, {"r1": State.DONE}, outputs=links)
    write_results(bound, ledger)
    assert written(tmp_path / "results.csv")[0]["url_expires_at"] == "2027-01-15T09:00:00Z"
