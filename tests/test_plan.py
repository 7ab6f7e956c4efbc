"""Sheet, job and ledger together: what is new, done, changed or invalid."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batcher.bound import BoundJob
from batcher.errors import InputError
from batcher.ledger.sqlite import SqliteLedger
from batcher.ledger.values import Admission, Prepared
from batcher.model import State
from batcher.plan import SHOWN, Plan
from batcher.planner import look, make_plan

Bind = Callable[..., BoundJob]
Row = Callable[..., dict[str, str]]
Settle = Callable[..., None]
REQUEST = {"template_id": "t", "title": "always here", "variables": {"v": "{{ name }}"}}


def plan(bound: BoundJob, ledger: SqliteLedger) -> Plan:
    """Bring the ledger in line with the sheet."""
    return make_plan(bound, ledger, account="a", mark="m", at=1_800_000_000.0)


def states(ledger: SqliteLedger) -> dict[str, State]:
    """Row id to state, of rows that are in the sheet."""
    return {each.key.row_id: each.state for each in ledger.standings("greetings")}


def admitted(ledger: SqliteLedger) -> list[str]:
    """The rows that would be sent now."""
    wish = Admission(job="greetings", account="a", now=1_800_000_001.0, at_most=1000)
    return [
        each.task.row_id
        for each in ledger.admit(wish, lambda each: Prepared(body=each.body, key="k", token="t")).attempts
    ]


def test_a_first_plan_has_only_new_and_invalid_rows(bind: Bind, make_row: Row, ledger: SqliteLedger) -> None:
    """An invalid row waits for its cell, the others for being sent."""
    made = plan(bind(make_row(), make_row(id="r2", name=""), make_row(id="r3"), request=REQUEST), ledger)
    assert (made.rows, made.new, made.to_send, made.skipped) == (3, 3, 2, 0)
    assert made.words == {State.WAITING: 2, State.INVALID: 1}
    assert [str(problem) for problem in made.problems] == ["people.csv!B3: name is empty"]
    assert states(ledger) == {"r1": State.WAITING, "r2": State.INVALID, "r3": State.WAITING}
    assert admitted(ledger) == ["r1", "r3"]


def test_looking_changes_nothing(bind: Bind, make_row: Row, ledger: SqliteLedger) -> None:
    """`check` sees the same plan and leaves the ledger as it was."""
    bound = bind(make_row(), make_row(id="r2", name=""), request=REQUEST)
    looked = look(bound, ledger)
    assert (ledger.standings("greetings"), ledger.job("greetings")) == ([], None)
    assert looked == plan(bound, ledger)


def test_planning_twice_makes_nothing_twice(bind: Bind, make_row: Row, ledger: SqliteLedger) -> None:
    """The second plan finds what the first has written."""
    bound = bind(make_row(), make_row(id="r2"), request=REQUEST)
    plan(bound, ledger)
    again = plan(bound, ledger)
    assert (again.new, again.to_send) == (0, 2)
    assert len(ledger.standings("greetings")) == 2


def test_done_rows_are_not_sent_again(bind: Bind, make_row: Row, ledger: SqliteLedger, settle_rows: Settle) -> None:
    """Only what is new waits."""
    plan(bind(make_row(), make_row(id="r2"), request=REQUEST), ledger)
    settle_rows(bind(request=REQUEST), {"r1": State.DONE, "r2": State.FAILED})
    again = plan(bind(make_row(), make_row(id="r2"), make_row(id="r3"), request=REQUEST), ledger)
    assert (again.new, again.to_send, again.changed_count) == (1, 1, 0)
    assert again.words == {State.DONE: 1, State.FAILED: 1, State.WAITING: 1}
    assert admitted(ledger) == ["r3"]


def test_a_made_row_that_has_moved_is_found_in_its_new_place(
    bind: Bind, make_row: Row, ledger: SqliteLedger, settle_rows: Settle
) -> None:
    """What was made is not worked out again, but where its row stands is kept; one that comes back is no new one."""
    video = {
        "operation": "heygen.video",
        "request": {"type": "avatar", "avatar_id": "a", "voice_id": "v", "script": "Hello {{ name }}"},
    }
    plan(bind(make_row(), make_row(id="r2"), make_row(id="r3"), **video), ledger)
    settle_rows(bind(**video), dict.fromkeys(("r1", "r2", "r3"), State.DONE))
    plan(bind(make_row(id="r3"), make_row(), **video), ledger)
    assert [(each.key.row_id, each.row_number) for each in ledger.standings("greetings")] == [("r3", 2), ("r1", 3)]
    back = plan(bind(make_row(id="r2"), make_row(id="r3"), make_row(name="Zoe"), **video), ledger)
    assert (back.new, back.to_send, back.changed, back.words) == (0, 0, [4], {State.DONE: 3})
    assert [(each.key.row_id, each.row_number) for each in ledger.standings("greetings")] == [
        ("r2", 2),
        ("r3", 3),
        ("r1", 4),
    ]


def test_a_changed_row_that_was_made_is_told_and_not_made_again(
    bind: Bind, make_row: Row, ledger: SqliteLedger, settle_rows: Settle
) -> None:
    """A corrected typo is not a second purchase; a remark in an unused column is no change at all."""
    plan(bind(make_row(), make_row(id="r2"), request=REQUEST), ledger)
    settle_rows(bind(request=REQUEST), {"r1": State.DONE, "r2": State.DONE})
    again = plan(bind(make_row(name="Anne"), make_row(id="r2", company="other"), request=REQUEST), ledger)
    assert (again.changed, again.changed_count, again.to_send) == ([2], 1, 0)
    assert [each.changed for each in ledger.standings("greetings")] == [True, False]
    assert admitted(ledger) == []


def test_a_made_row_that_has_become_invalid_keeps_its_state(
    bind: Bind, make_row: Row, ledger: SqliteLedger, settle_rows: Settle
) -> None:
    """What is paid for stays done, whatever the cell says now."""
    plan(bind(make_row(), make_row(id="r2"), request=REQUEST), ledger)
    settle_rows(bind(request=REQUEST), {"r1": State.DONE})
    again = plan(bind(make_row(name=""), make_row(id="r2"), request=REQUEST), ledger)
    assert again.words == {State.DONE: 1, State.WAITING: 1}
    assert again.changed == [2]


def test_an_unsent_row_takes_its_newest_content(bind: Bind, make_row: Row, ledger: SqliteLedger) -> None:
    """Mended, spoiled or reworded: what is sent is what the sheet says last."""
    plan(bind(make_row(name=""), make_row(id="r2"), make_row(id="r3"), request=REQUEST), ledger)
    plan(bind(make_row(name="Ann"), make_row(id="r2", name=""), make_row(id="r3", name="Cid"), request=REQUEST), ledger)
    assert states(ledger) == {"r1": State.WAITING, "r2": State.INVALID, "r3": State.WAITING}
    wish = Admission(job="greetings", account="a", now=1.0, at_most=10)
    sent = ledger.admit(wish, lambda each: Prepared(body=each.body, key=str(each.task_id), token="t")).attempts
    assert [json.loads(each.body)["variables"]["v"]["content"] for each in sent] == ["Ann", "Cid"]


def test_rows_that_leave_the_sheet_before_sending_are_never_sent(
    bind: Bind, make_row: Row, ledger: SqliteLedger
) -> None:
    """Nobody pays for a row that is no longer there; when it comes back, it waits again."""
    everyone = [make_row(id=name) for name in ("r1", "r2", "r3")]
    plan(bind(*everyone, request=REQUEST), ledger)
    plan(bind(everyone[1], request=REQUEST), ledger)
    assert list(states(ledger)) == ["r2"]
    assert admitted(ledger) == ["r2"]
    plan(bind(*everyone, request=REQUEST), ledger)
    assert admitted(ledger) == ["r1", "r3"]


def test_rows_that_where_leaves_out_are_never_sent(bind: Bind, make_row: Row, ledger: SqliteLedger) -> None:
    """A withdrawn consent counts from the next plan on."""
    where = {"where": 'consent == "yes"'}
    plan(bind(make_row(consent="yes"), make_row(id="r2", consent="yes"), sheet=where, request=REQUEST), ledger)
    made = plan(bind(make_row(consent="no"), make_row(id="r2", consent="yes"), sheet=where, request=REQUEST), ledger)
    assert (made.skipped, made.to_send) == (1, 1)
    assert admitted(ledger) == ["r2"]


def test_vanished_ids_with_new_ones_stop_the_plan(
    bind: Bind, make_row: Row, ledger: SqliteLedger, settle_rows: Settle
) -> None:
    """Renamed ids would be paid again: both sides are shown, and the ledger stays as it was."""
    plan(bind(make_row(), make_row(id="r2"), request=REQUEST), ledger)
    settle_rows(bind(request=REQUEST), {"r1": State.DONE, "r2": State.DONE})
    before = (ledger.standings("greetings"), ledger.job("greetings"))
    bound = bind(make_row(id="R-1"), make_row(id="r2"), request=REQUEST)
    for attempt in (look, plan):
        with pytest.raises(
            InputError, match=r"people\.csv, column id: 1 rows that were already made .*\(r1 …\).*\(R-1 …\)"
        ):
            attempt(bound, ledger)
    assert (ledger.standings("greetings"), ledger.job("greetings")) == before
    assert admitted(ledger) == []


def test_made_rows_may_vanish_and_new_ones_may_come(
    bind: Bind, make_row: Row, ledger: SqliteLedger, settle_rows: Settle
) -> None:
    """Each alone is the everyday life of a sheet."""
    plan(bind(make_row(), make_row(id="r2"), request=REQUEST), ledger)
    settle_rows(bind(request=REQUEST), {"r1": State.DONE, "r2": State.DONE})
    assert plan(bind(make_row(id="r2"), request=REQUEST), ledger).new == 0
    assert plan(bind(make_row(id="r2"), make_row(id="r3"), request=REQUEST), ledger).new == 1


def test_a_made_row_that_where_leaves_out_has_not_vanished(
    bind: Bind, make_row: Row, ledger: SqliteLedger, settle_rows: Settle
) -> None:
    """One consent is withdrawn, another row is added: nothing was renamed."""
    where = {"where": 'consent == "yes"'}
    plan(bind(make_row(consent="yes"), sheet=where, request=REQUEST), ledger)
    settle_rows(bind(sheet=where, request=REQUEST), {"r1": State.DONE})
    rows = [make_row(consent="no"), make_row(id="r2", consent="yes")]
    assert plan(bind(*rows, sheet=where, request=REQUEST), ledger).to_send == 1


def test_with_content_as_id_new_words_are_new_rows(
    bind: Bind, make_row: Row, ledger: SqliteLedger, settle_rows: Settle
) -> None:
    """The person has said that this is wanted."""
    plan(bind(make_row(), sheet={"row_id": "content"}, request=REQUEST), ledger)
    settle_rows(bind(sheet={"row_id": "content"}, request=REQUEST), dict.fromkeys(states(ledger), State.DONE))
    assert plan(bind(make_row(name="Ben"), sheet={"row_id": "content"}, request=REQUEST), ledger).to_send == 1


def test_a_label_of_another_job_file_is_refused(bind: Bind, make_row: Row, ledger: SqliteLedger) -> None:
    """Two files under one label would mix their rows; nothing is changed."""
    plan(bind(make_row(), request=REQUEST), ledger)
    other = bind(make_row(id="x1"), file="other.yaml", request=REQUEST)
    with pytest.raises(InputError, match=r"the label 'greetings' already belongs to .*job\.yaml, which still exists"):
        plan(other, ledger)
    assert list(states(ledger)) == ["r1"]


def test_a_moved_job_file_keeps_its_rows(
    bind: Bind, make_row: Row, ledger: SqliteLedger, settle_rows: Settle, tmp_path: Path
) -> None:
    """Where the old file is gone, the new one is the same job."""
    plan(bind(make_row(), request=REQUEST), ledger)
    settle_rows(bind(request=REQUEST), {"r1": State.DONE})
    shutil.move(tmp_path / "job.yaml", tmp_path / "gone.yaml")
    moved = plan(bind(make_row(), file="moved.yaml", request=REQUEST), ledger)
    assert (moved.new, moved.to_send) == (0, 0)


def test_one_task_per_row_and_language(bind: Bind, ledger: SqliteLedger, settle_rows: Settle) -> None:
    """A language that is added later is one more task of a row that is known."""
    fan: dict[str, Any] = {
        "operation": "heygen.translation",
        "header": ["id", "langs"],
        "request": {"video": "https://x.de/v.mp4", "output_languages": ["{{ language }}"]},
        "for_each": {"language": {"column": "langs"}},
    }
    assert plan(bind(["r1", "German; French"], **fan), ledger).to_send == 2
    settle_rows(bind(**{**fan, "header": ()}), {"r1": State.DONE})
    again = plan(bind(["r1", "German; French; Italian"], **fan), ledger)
    assert (again.rows, again.new, again.to_send) == (1, 0, 1)
    assert again.words == {State.WAITING: 1}


def test_the_estimated_cost_counts_what_waits(
    bind: Bind, make_row: Row, ledger: SqliteLedger, settle_rows: Settle
) -> None:
    """Neither invalid rows nor what is done already."""
    changes = {"request": REQUEST, "estimate": "20 seconds"}
    plan(bind(make_row(), **changes), ledger)
    settle_rows(bind(**changes), {"r1": State.DONE})
    again = plan(bind(make_row(), make_row(id="r2"), make_row(id="r3", name=""), **changes), ledger)
    assert again.cost == pytest.approx(20 * 0.0667)


def test_an_interrupted_plan_leaves_the_ledger_as_it_was(
    bind: Bind, make_row: Row, ledger: SqliteLedger, tmp_path: Path
) -> None:
    """A sheet that turns out to be ragged at its end changes nothing."""
    plan(bind(make_row(), request=REQUEST), ledger)
    bound = bind(make_row(id="r2"), request=REQUEST)
    with (tmp_path / "people.csv").open("a") as file:
        file.write(f"r3{',too many' * 20}\r\n")
    with pytest.raises(InputError):
        plan(bind(request=REQUEST), ledger)
    with pytest.raises(InputError, match="changed"):
        plan(bound, ledger)
    assert list(states(ledger)) == ["r1"]


def test_of_many_problems_the_first_are_kept(bind: Bind, make_row: Row, ledger: SqliteLedger) -> None:
    """A sheet of a million wrong rows does not fill the memory."""
    made = plan(bind(*(make_row(id=f"r{n}", name="") for n in range(50)), request=REQUEST), ledger)
    assert (made.problem_count, len(made.problems)) == (50, SHOWN)


ROWS = st.dictionaries(
    st.sampled_from([f"r{n}" for n in range(8)]), st.sampled_from(["Anna", "Ben", ""]), min_size=1, max_size=8
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(sheets=st.lists(ROWS, min_size=1, max_size=5))
def test_whatever_the_sheets_say_no_row_is_sent_twice(
    bind: Bind, make_row: Row, tmp_path_factory: pytest.TempPathFactory, sheets: list[dict[str, str]]
) -> None:
    """Over any edits of the sheet: a row that was ever sent is not admitted again by a plan."""
    ledger = SqliteLedger(tmp_path_factory.mktemp("state") / "ledger.db")
    sent: list[str] = []
    for rows in sheets:
        bound = bind(*(make_row(id=row_id, name=name) for row_id, name in rows.items()), request=REQUEST)
        try:
            made = plan(bound, ledger)
        except InputError as error:
            assert "already made" in str(error)
            continue
        assert sum(made.words.values()) + made.skipped == made.rows == len(rows)
        now = admitted(ledger)
        assert set(now) <= {row_id for row_id, name in rows.items() if name}
        sent += now
    ledger.close()
    assert len(sent) == len(set(sent))
