"""The contract of `Ledger`, held against every implementation; what stands in its docstrings is tested here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from support import (
    ACCOUNT,
    JOB,
    OPERATION,
    accept,
    admit,
    asked,
    job_record,
    news,
    plan,
    planned,
    prepare,
    rows,
    states,
    task_key,
    wish,
)

from batcher.errors import InputError, NotFinished
from batcher.files import SeenFile
from batcher.ledger.protocol import Ledger
from batcher.ledger.sqlite import SqliteLedger
from batcher.ledger.values import (
    Approval,
    Candidate,
    FileRecord,
    Gate,
    Handed,
    JobRecord,
    Need,
    Planned,
    Prepared,
    Sample,
    Waiting,
)
from batcher.model import Asset, FileState, Length, Source, State
from batcher.units import Rate

Open = Callable[[], Ledger]


def _sqlite(request: pytest.FixtureRequest) -> Ledger:
    return SqliteLedger(request.getfixturevalue("tmp_path") / "ledger.db")


def _postgres(request: pytest.FixtureRequest) -> Ledger:
    from batcher.ledger.postgres import PostgresLedger

    return PostgresLedger(request.getfixturevalue("postgres"), schema=request.getfixturevalue("schema"))


LEDGERS = [
    pytest.param(_sqlite, id="sqlite"),
    pytest.param(_postgres, id="postgres", marks=pytest.mark.cluster),
]
"""Each opens the ledger of one test; called twice it opens the same one."""


@pytest.fixture(params=LEDGERS)
def open_ledger(request: pytest.FixtureRequest) -> Iterator[Open]:
    """Opens the test's ledger; as often as wanted."""
    opened: list[Ledger] = []

    def open_it() -> Ledger:
        opened.append(request.param(request))
        return opened[-1]

    yield open_it
    for each in opened:
        each.close()


@pytest.fixture
def ledger(open_ledger: Open) -> Ledger:
    return open_ledger()


# --- register, job


def test_an_unknown_job_is_none(ledger: Ledger) -> None:
    """What the ledger has never heard of, it does not make up."""
    assert ledger.job("nobody") is None


def test_a_registered_job_is_known(ledger: Ledger) -> None:
    """Before its first plan a job has no counts and no time of planning."""
    ledger.register(job_record(path="/jobs/a.yaml"))

    assert ledger.job(JOB) == job_record(path="/jobs/a.yaml", fingerprint="", rows=0, planned_at=None)


def test_a_label_belongs_to_the_job_file_that_still_exists(ledger: Ledger, tmp_path: Path) -> None:
    """Two job files of one label would take each other's rows for their own."""
    first = tmp_path / "first.yaml"
    first.touch()
    ledger.register(job_record(path=str(first)))

    with pytest.raises(InputError, match=rf"the label '{JOB}' already belongs to .*first.yaml"):
        ledger.register(job_record(path=str(tmp_path / "second.yaml")))

    assert ledger.job(JOB) == job_record(path=str(first))


def test_a_moved_job_file_keeps_its_state(ledger: Ledger, tmp_path: Path) -> None:
    """Moving a file is no reason to pay again."""
    plan(ledger, *rows(1), path=str(tmp_path / "gone.yaml"))
    ledger.register(job_record(path=str(tmp_path / "new.yaml")))

    assert states(ledger) == {"r1": State.WAITING}


def test_registering_again_keeps_what_was_planned(ledger: Ledger) -> None:
    """The fingerprint of the last plan survives a renewal of the record."""
    plan(ledger, *rows(2), fingerprint="f1")
    ledger.register(job_record(sheet="/sheets/other.csv"))

    found = ledger.job(JOB)
    assert found is not None
    assert (found.sheet, found.fingerprint, found.rows) == ("/sheets/other.csv", "f1", 2)


# --- plan


def test_new_tasks_wait(ledger: Ledger) -> None:
    """What can be sent waits; what cannot is invalid and says why."""
    plan(ledger, planned("r1"), planned("r2", flaws=(("people.csv!A3", "is empty"),), path="", body=""))

    assert states(ledger) == {"r1": State.WAITING, "r2": State.INVALID}
    assert ledger.standings(JOB, ["r2"])[0].flaws == (("people.csv!A3", "is empty"),)


def test_planning_twice_changes_nothing(ledger: Ledger) -> None:
    """A row is never made twice because it was planned twice."""
    plan(ledger, *rows(3))
    plan(ledger, *rows(3))

    assert len(ledger.standings(JOB)) == 3
    assert len(admit(ledger).attempts) == 3


def test_an_unsent_task_takes_its_newest_content(ledger: Ledger) -> None:
    """What was corrected before it was sent is sent as corrected."""
    plan(ledger, planned("r1", body='{"old":1}', input_hash="old"))
    plan(ledger, planned("r1", body='{"new":1}', input_hash="new"))

    assert [each.body for each in admit(ledger).attempts] == ['{"new":1}']


def test_a_mended_row_waits_again(ledger: Ledger) -> None:
    """Invalid is not for ever, and neither is waiting."""
    flaw = (("A2", "is empty"),)
    plan(ledger, planned("r1", flaws=flaw))
    plan(ledger, planned("r1"))
    assert states(ledger) == {"r1": State.WAITING}

    plan(ledger, planned("r1", flaws=flaw))
    assert states(ledger) == {"r1": State.INVALID}
    assert not admit(ledger).attempts


@pytest.mark.parametrize("state", [State.SENDING, State.IN_PROGRESS, State.UNSURE, State.DONE, State.FAILED])
def test_a_task_that_was_sent_keeps_its_state_when_its_row_changes(ledger: Ledger, state: State) -> None:
    """An edited row that was already made is reported, not made again."""
    plan(ledger, planned("r1", input_hash="old"))
    (attempt,) = admit(ledger).attempts
    if state is not State.SENDING:
        ledger.record([news(attempt, state, remote_id="v1" if state is State.IN_PROGRESS else "")])
    plan(ledger, planned("r1", input_hash="new", flaws=(("A2", "is empty"),)))

    (standing,) = ledger.standings(JOB)
    assert (standing.state, standing.changed) == (state, True)
    assert not admit(ledger, 1e6).attempts


def test_what_is_gone_from_the_sheet_is_never_sent(ledger: Ledger) -> None:
    """Taking a row out of the sheet takes it out of the run."""
    plan(ledger, *rows(3))
    plan(ledger, *rows(2))

    assert [each.task.row_id for each in admit(ledger).attempts] == ["r1", "r2"]
    assert ledger.row_ids(JOB) == ["r1", "r2"]
    assert ledger.counts(JOB) == {State.SENDING: 2}


def test_a_row_that_comes_back_goes_on(ledger: Ledger) -> None:
    """Gone is a mark, not a state: a row that was made is still made when it returns."""
    plan(ledger, *rows(2))
    (first, _) = admit(ledger).attempts
    ledger.record([news(first, State.DONE)])
    plan(ledger, planned("r2"))
    plan(ledger, *rows(2))

    assert states(ledger) == {"r1": State.DONE, "r2": State.SENDING}


def test_a_gone_member_of_a_row_that_was_never_sent_is_not_shown(ledger: Ledger) -> None:
    """A language taken out of its cell before it was sent must not keep the row waiting for ever."""
    plan(ledger, planned("r1", item="de"), planned("r1", item="fr"))
    plan(ledger, planned("r1", item="de"))

    assert [each.key.item for each in ledger.standings(JOB, ["r1"])] == ["de"]


def test_a_gone_member_that_was_made_stays_visible_beside_its_row(ledger: Ledger) -> None:
    """What was paid for is not hidden because its cell has changed."""
    plan(ledger, planned("r1", item="de"), planned("r1", item="fr"))
    _, french = admit(ledger).attempts
    ledger.record([news(french, State.DONE)])
    plan(ledger, planned("r1", item="de"))

    assert [each.key.item for each in ledger.standings(JOB, ["r1"])] == ["de", "fr"]


@pytest.mark.parametrize("where", ["tasks", "finish"])
def test_what_a_plan_meets_undoes_all_of_it(ledger: Ledger, where: str) -> None:
    """Half a plan would let half a sheet be paid for."""
    plan(ledger, planned("r1", body="old"), fingerprint="f1")

    def tasks() -> Iterator[object]:
        yield from asked(ledger, planned("r1", body="new"), *rows(1200)[1:])
        if where == "tasks":
            raise RuntimeError(where)

    def finish() -> JobRecord:
        raise RuntimeError(where)

    with pytest.raises(RuntimeError, match=where):
        ledger.plan(JOB, tasks(), finish, at=1.0)  # type: ignore[arg-type]

    found = ledger.job(JOB)
    assert found is not None
    assert found.fingerprint == "f1"
    assert [each.body for each in admit(ledger).attempts] == ["old"]


def test_the_ledger_answers_while_a_plan_is_read(ledger: Ledger) -> None:
    """Planning asks what is known of each group of rows on its way."""
    plan(ledger, *rows(1))
    seen = []

    def tasks() -> Iterator[object]:
        seen.append(ledger.known(JOB, ["r1"])[task_key("r1")].state)
        yield from asked(ledger, planned("r1"))

    ledger.plan(JOB, tasks(), job_record, at=1.0)  # type: ignore[arg-type]

    assert seen == [State.WAITING]


def test_large_plans_keep_the_order_of_the_sheet(ledger: Ledger) -> None:
    """Rows are looked up in groups; no border of a group is seen outside."""
    plan(ledger, *rows(1203))

    assert ledger.row_ids(JOB) == [f"r{number}" for number in range(1, 1204)]
    assert [each.task.row_id for each in admit(ledger, at_most=1203).attempts] == ledger.row_ids(JOB)


def test_two_jobs_do_not_know_each_others_rows(ledger: Ledger) -> None:
    """A row belongs to its job, whatever its id."""
    plan(ledger, planned("r1"))
    plan(ledger, planned("r1", job="other"), job="other")
    admit(ledger)

    assert states(ledger) == {"r1": State.SENDING}
    assert states(ledger, "other") == {"r1": State.WAITING}


# --- known, rows_made


def test_known_tells_state_and_both_hashes(ledger: Ledger) -> None:
    """The input of the last attempt is kept apart from the newest one; rows never seen are left out."""
    plan(ledger, planned("r1", input_hash="old"), planned("r2"))
    admit(ledger, at_most=1)
    plan(ledger, planned("r1", input_hash="new"), planned("r2"))

    known = ledger.known(JOB, ["r1", "r2", "r9"])
    assert set(known) == {task_key("r1"), task_key("r2")}
    first, second = known[task_key("r1")], known[task_key("r2")]
    assert (first.state, first.input_hash, first.made_hash) == (State.SENDING, "new", "old")
    assert (second.state, second.made_hash) == (State.WAITING, "")


def test_known_tells_what_a_plan_would_have_to_change(ledger: Ledger) -> None:
    """Where the row stands and whether it is held, also of what was sent."""
    plan(ledger, planned("r1", row_number=2))
    admit(ledger, at_most=1)
    plan(ledger, planned("r1", row_number=9, held=True, not_before=50.0))

    known = ledger.known(JOB, ["r1"])[task_key("r1")]
    assert (known.row_number, known.held, known.not_before) == (9, True, 50.0)


def test_rows_made_counts_rows_that_were_ever_sent(ledger: Ledger) -> None:
    """Two members of one row are one row; gone rows are left out."""
    plan(ledger, planned("r1", item="de"), planned("r1", item="fr"), planned("r2"), planned("r3"))
    admit(ledger, at_most=3)
    assert ledger.rows_made(JOB) == 2

    plan(ledger, planned("r2"), planned("r3"))
    assert ledger.rows_made(JOB) == 1


def test_a_row_that_was_proven_not_made_counts_as_never_sent(ledger: Ledger) -> None:
    """A refusal for lack of credit must not make the ledger say that the row was made."""
    plan(ledger, *rows(1))
    (attempt,) = admit(ledger).attempts
    ledger.record([news(attempt, State.WAITING)])

    assert ledger.rows_made(JOB) == 0
    assert ledger.known(JOB, ["r1"])[task_key("r1")].made_hash == ""


# --- admit: the decision itself is tested in test_admission


def test_an_admitted_attempt_holds_all_that_is_sent(ledger: Ledger) -> None:
    """Body, key, token and path come from the preparation, and are what a restart finds."""
    plan(ledger, planned("r1", path="/v3/here", estimate=2.5))
    (attempt,) = admit(ledger, 100.0).attempts
    (kept,) = ledger.in_doubt(JOB, ACCOUNT)

    assert kept == attempt
    assert (attempt.task, attempt.number, attempt.sends) == (task_key("r1"), 1, 1)
    assert (attempt.path, attempt.estimate) == ("/v3/here", 2.5)
    assert attempt.key.startswith("b1-")
    assert attempt.first_sent_at is not None
    assert attempt.first_sent_at.timestamp() == 100.0


def test_what_the_preparation_raises_admits_nothing(ledger: Ledger) -> None:
    """Not even those before it: nothing is sending that was not handed out."""
    plan(ledger, *rows(3))

    def broken(candidate: object) -> object:
        if candidate.key.row_id == "r3":  # type: ignore[attr-defined]
            raise RuntimeError("no")
        return prepare(candidate)  # type: ignore[arg-type]

    with pytest.raises(RuntimeError, match="no"):
        ledger.admit(wish(), broken)  # type: ignore[arg-type]

    assert set(states(ledger).values()) == {State.WAITING}


def test_nothing_waiting_says_so(ledger: Ledger) -> None:
    """A run ends by this word."""
    plan(ledger, *rows(1))

    assert admit(ledger).gate is Gate.NOTHING_WAITING
    assert admit(ledger).gate is Gate.NOTHING_WAITING


def test_rows_are_admitted_in_the_order_of_the_sheet(ledger: Ledger) -> None:
    """A person who watches sees the sheet fill from the top, also after it was reordered."""
    plan(ledger, planned("a", row_number=3), planned("b", row_number=2))

    assert [each.task.row_id for each in admit(ledger).attempts] == ["b", "a"]


# --- record


def test_an_accepted_attempt_is_in_flight(ledger: Ledger) -> None:
    """From here on the reconciler finds it, oldest first."""
    plan(ledger, *rows(2))
    first, second = admit(ledger).attempts
    accept(ledger, second, at=1.0)
    accept(ledger, first, at=2.0)

    flying = ledger.in_flight(JOB, ACCOUNT)
    assert [(each.attempt_id, each.remote_id, each.accepted_at) for each in flying] == [
        (second.attempt_id, f"v-{second.attempt_id}", 1.0),
        (first.attempt_id, f"v-{first.attempt_id}", 2.0),
    ]
    assert flying[0].body == second.body
    assert ledger.in_doubt(JOB, ACCOUNT) == []


def test_the_outcome_stands_beside_the_row(ledger: Ledger) -> None:
    """Everything that the results show comes from here."""
    plan(ledger, planned("r1", estimate=1.0))
    (attempt,) = admit(ledger, 10.0).attempts
    accept(ledger, attempt, 11.0)
    outputs = {"video_url": "https://v/1"}
    done = news(attempt, State.DONE, 50.0, outputs=outputs, cost=0.7, completed_at=49.0, word="completed", checked=True)
    ledger.record([done])

    (standing,) = ledger.standings(JOB)
    assert (standing.state, standing.outputs, standing.cost) == (State.DONE, outputs, 0.7)
    assert (standing.submitted_at, standing.completed_at, standing.links_at) == (10.0, 49.0, 50.0)
    assert (standing.remote_id, standing.word, standing.attempts) == (f"v-{attempt.attempt_id}", "completed", 1)


def test_an_id_may_come_with_what_became_of_it(ledger: Ledger) -> None:
    """Work of a batch is often finished when its id is learned: it was accepted before."""
    plan(ledger, *rows(1))
    (attempt,) = admit(ledger).attempts
    ledger.record(
        [news(attempt, State.DONE, 20.0, remote_id="v1", accepted_at=11.0, completed_at=12.0, checked=True, took_s=1.0)]
    )

    (standing,) = ledger.standings(JOB)
    assert (standing.state, standing.remote_id, standing.completed_at) == (State.DONE, "v1", 12.0)
    assert ledger.find(attempts=[attempt.attempt_id])[0].remote_id == "v1"


def test_an_id_of_others_tells_nothing_of_what_became_of_a_row(ledger: Ledger) -> None:
    """Neither its links and its cost, nor how long it took."""
    plan(ledger, *rows(2))
    first, second = admit(ledger).attempts
    accept(ledger, first, remote_id="same")
    told = {"outputs": {"video_url": "u"}, "cost": 1.0, "took_s": 3.0, "word": "completed"}
    (written,) = ledger.record([news(second, State.DONE, 9.0, remote_id="same", accepted_at=5.0, **told)])

    assert (written.state, ledger.render_times(ACCOUNT, OPERATION)) == (State.UNSURE, [])
    standing = ledger.standings(JOB, ["r2"])[0]
    assert (standing.outputs, standing.cost, standing.word) == ({}, None, "")


def test_nothing_is_in_progress_without_an_id(ledger: Ledger) -> None:
    """Nobody could look for it: that is a bug of whoever says so, and nothing is written."""
    plan(ledger, *rows(1))
    (attempt,) = admit(ledger).attempts
    with pytest.raises(ValueError, match="without an id"):
        ledger.record([news(attempt, State.IN_PROGRESS)])

    assert states(ledger) == {"r1": State.SENDING}


def test_outputs_are_merged_over_what_is_known(ledger: Ledger) -> None:
    """A later look that shows less takes nothing away."""
    plan(ledger, *rows(1))
    (attempt,) = admit(ledger).attempts
    accept(ledger, attempt)
    ledger.record([news(attempt, State.IN_PROGRESS, outputs={"page_url": "p", "video_url": "old"})])
    ledger.record([news(attempt, State.DONE, outputs={"video_url": "new"})])

    assert ledger.standings(JOB)[0].outputs == {"page_url": "p", "video_url": "new"}


def test_all_news_are_one_transaction(ledger: Ledger) -> None:
    """A bug in the second piece of news does not let the first one through alone."""
    plan(ledger, *rows(2))
    first, second = admit(ledger).attempts
    accept(ledger, second)

    with pytest.raises(ValueError, match="cannot move from in progress to invalid"):
        ledger.record([news(first, State.DONE), news(second, State.INVALID)])

    assert states(ledger) == {"r1": State.SENDING, "r2": State.IN_PROGRESS}


@pytest.mark.parametrize("final", [State.DONE, State.FAILED])
@pytest.mark.parametrize("later", [State.IN_PROGRESS, State.UNSURE, State.DONE, State.FAILED, State.WAITING])
def test_final_states_stay(ledger: Ledger, final: State, later: State) -> None:
    """A state that regresses is noted, never believed."""
    plan(ledger, *rows(1))
    (attempt,) = admit(ledger).attempts
    accept(ledger, attempt)
    ledger.record([news(attempt, final, outputs={"video_url": "v"})])
    ledger.record([news(attempt, later, source=Source.LIST, checked=True)])

    (standing,) = ledger.standings(JOB)
    assert (standing.state, standing.outputs) == (final, {"video_url": "v"})


def test_proven_not_made_waits_as_if_never_tried(ledger: Ledger) -> None:
    """The same number again means the same key again: even a server that was wrong about it charges once."""
    plan(ledger, *rows(1))
    (attempt,) = admit(ledger).attempts
    ledger.record([news(attempt, State.WAITING)])

    assert ledger.standings(JOB)[0].attempts == 0
    (again,) = admit(ledger, 1.0).attempts
    assert (again.number, again.key) == (1, attempt.key)


def test_a_resent_row_after_unsure_has_another_key(ledger: Ledger) -> None:
    """A person who says resend wants a new piece of work, not the replay of an old answer."""
    plan(ledger, *rows(1))
    (attempt,) = admit(ledger).attempts
    ledger.record([news(attempt, State.UNSURE)])
    assert [each.attempt_id for each in ledger.unsure(JOB)] == [attempt.attempt_id]

    ledger.record([news(attempt, State.WAITING, source=Source.PERSON)])
    assert ledger.unsure(JOB) == []
    (again,) = admit(ledger, 1.0).attempts
    assert again.number == 2
    assert again.key != attempt.key


def test_who_holds_the_places_of_an_account_is_known(ledger: Ledger) -> None:
    """What is finished or waits holds none."""
    plan(ledger, *rows(3))
    first, second, _ = admit(ledger).attempts
    ledger.record([news(first, State.UNSURE), news(second, State.FAILED)])

    assert ledger.places(ACCOUNT) == {JOB: 2}
    assert ledger.places("another") == {}


def test_an_unsure_row_that_is_found_is_in_progress(ledger: Ledger) -> None:
    """A person has found it in the dashboard."""
    plan(ledger, *rows(1))
    (attempt,) = admit(ledger).attempts
    ledger.record([news(attempt, State.UNSURE, error="lost")])
    ledger.record([news(attempt, State.IN_PROGRESS, 5.0, remote_id="v1", source=Source.PERSON)])

    assert [(each.remote_id, each.accepted_at) for each in ledger.in_flight(JOB, ACCOUNT)] == [("v1", 5.0)]
    assert ledger.standings(JOB)[0].error == ""


def test_one_id_for_two_rows_is_no_acceptance(ledger: Ledger) -> None:
    """The API has mixed two rows up: the second one must not show the first one's video."""
    plan(ledger, *rows(2))
    first, second = admit(ledger).attempts
    accept(ledger, first, remote_id="same")
    (written,) = ledger.record([news(second, State.IN_PROGRESS, remote_id="same")])

    assert written.state is State.UNSURE
    assert states(ledger) == {"r1": State.IN_PROGRESS, "r2": State.UNSURE}
    assert "row 2 has already" in ledger.standings(JOB, ["r2"])[0].error


def test_one_id_for_two_rows_flags_the_first_one_for_good(ledger: Ledger) -> None:
    """Whose work it is nobody knows: the row that had the id first keeps its state, and says so to the end."""
    plan(ledger, *rows(2))
    first, second = admit(ledger).attempts
    accept(ledger, first, remote_id="same")
    ledger.record([news(second, State.IN_PROGRESS, remote_id="same")])
    ledger.record([news(first, State.DONE, 9.0, remote_id="same")])

    standing = ledger.standings(JOB, ["r1"])[0]
    assert (standing.state, standing.remote_id, standing.error) == (State.DONE, "same", "")
    assert standing.flag == "the API gave its id same to row 3 as well: look whose work it is before you use it"
    assert [(each.invariant, each.row_number) for each in ledger.examine(JOB)] == [("I2", 2), ("I2", 3)]


@pytest.mark.parametrize("doubt", [State.SENDING, State.UNSURE, State.WAITING])
def test_a_doubt_about_what_another_process_has_settled_changes_nothing(ledger: Ledger, doubt: State) -> None:
    """Two processes looked after one attempt: what is known wins over what is not."""
    plan(ledger, *rows(1))
    (attempt,) = admit(ledger).attempts
    accept(ledger, attempt, remote_id="v1")
    (written,) = ledger.record([news(attempt, doubt, 7.0)])

    assert written.state is State.IN_PROGRESS
    assert [each.remote_id for each in ledger.in_flight(JOB, ACCOUNT)] == ["v1"]
    assert states(ledger) == {"r1": State.IN_PROGRESS}


def test_attempts_are_found_by_job_account_key_and_number(ledger: Ledger) -> None:
    """In any state, oldest first."""
    plan(ledger, *rows(3))
    plan(ledger, planned("r9", job="other"), job="other")
    first, second, third = admit(ledger).attempts
    (other,) = admit(ledger, job="other", account="account-2").attempts
    ledger.record([news(first, State.DONE, remote_id="v1")])

    assert [each.key for each in ledger.find(job=JOB)] == [first.key, second.key, third.key]
    assert [each.key for each in ledger.find(account="account-2")] == [other.key]
    assert [each.remote_id for each in ledger.find(keys=[third.key, first.key, "strange"])] == ["v1", ""]
    assert [each.key for each in ledger.find(attempts=[third.attempt_id, first.attempt_id])] == [first.key, third.key]
    assert [each.key for each in ledger.find(attempts=[first.attempt_id], keys=[third.key])] == []
    assert len(ledger.find()) == 4
    assert list(ledger.find(keys=[])) == list(ledger.find(attempts=[])) == []


def test_a_ledger_that_agrees_with_itself_has_no_contradictions(ledger: Ledger) -> None:
    """Over retries, doubts, news of older attempts and remarks."""
    plan(ledger, *rows(4))
    one, two, three, _ = admit(ledger).attempts
    ledger.record([news(one, State.DONE, remote_id="v1"), news(two, State.UNSURE), news(three, State.WAITING)])
    ledger.record([news(two, State.WAITING, source=Source.PERSON), news(one, State.FAILED, 3.0)])
    ledger.again([one.task], cause="again", at=4.0)
    plan(ledger, *rows(4))
    again = {each.task.row_id: each for each in admit(ledger, 5.0).attempts}
    accept(ledger, again["r2"], 6.0)
    ledger.record([news(one, State.DONE, 7.0), news(again["r1"], State.FAILED, 8.0)])

    assert list(ledger.examine(JOB)) == []


def test_record_returns_the_news_as_written(ledger: Ledger) -> None:
    """Whoever goes on from here goes on from what stands in the ledger."""
    plan(ledger, *rows(1))
    (attempt,) = admit(ledger).attempts
    said = news(attempt, State.IN_PROGRESS, remote_id="v1")

    assert list(ledger.record([said])) == [said]
    assert list(ledger.record([])) == []


def test_news_of_an_older_attempt_does_not_move_the_task(ledger: Ledger) -> None:
    """A late word about the first try says nothing about the second."""
    plan(ledger, *rows(1))
    (first,) = admit(ledger).attempts
    ledger.record([news(first, State.FAILED)])
    ledger.again([task_key()], cause="again", at=1.0)
    (second,) = admit(ledger, 2.0).attempts
    ledger.record([news(first, State.FAILED, 3.0, error="later words")])

    assert states(ledger) == {"r1": State.SENDING}
    assert [each.attempt_id for each in ledger.in_doubt(JOB, ACCOUNT)] == [second.attempt_id]


def test_a_refreshed_final_attempt_leaves_a_task_that_waits_again(ledger: Ledger) -> None:
    """Links of a done attempt may be renewed while a person has already asked for it again."""
    plan(ledger, *rows(1))
    (attempt,) = admit(ledger).attempts
    ledger.record([news(attempt, State.DONE)])
    ledger.again([task_key()], cause="again", at=1.0)
    ledger.record([news(attempt, State.DONE, 2.0, outputs={"video_url": "fresh"})])

    assert states(ledger) == {"r1": State.WAITING}


def test_news_of_an_unknown_attempt_is_ignored(ledger: Ledger) -> None:
    """An answer that comes after its attempt was taken back has nothing to say."""
    ledger.record([news(4711, State.DONE)])
    assert ledger.standings(JOB) == []


# --- again


@pytest.mark.parametrize("final", [State.DONE, State.FAILED])
def test_again_is_a_new_attempt(ledger: Ledger, final: State) -> None:
    """On a person's word, with a key of its own, and the old attempt still counted."""
    plan(ledger, *rows(1))
    (first,) = admit(ledger).attempts
    ledger.record([news(first, final)])

    assert ledger.again([task_key()], cause="again", at=1.0) == 1
    (second,) = admit(ledger, 2.0).attempts
    assert (second.number, second.key != first.key) == (2, True)
    assert ledger.standings(JOB)[0].attempts == 2


def test_again_moves_only_what_is_finished(ledger: Ledger) -> None:
    """Waiting, sending, in progress, unsure and unknown tasks are left alone."""
    plan(ledger, *rows(4))
    first, second, _ = admit(ledger, at_most=3).attempts
    accept(ledger, first)
    ledger.record([news(second, State.UNSURE)])
    before = states(ledger)

    assert ledger.again([task_key(f"r{number}") for number in range(1, 6)], cause="again", at=1.0) == 0
    assert states(ledger) == before


# --- steps


def _blocked(row_id: str = "r1", **changes: Any) -> Planned:
    """The second step of a row; the first one is `speech`."""
    later = {"step": "video", "ready": False, "path": "", "body": "", "cells": {"Name": "Ann"}}
    return planned(row_id, **{**later, **changes})


def test_a_later_step_waits_and_is_not_admitted(ledger: Ledger) -> None:
    """However much room there is."""
    plan(ledger, planned("r1", step="speech"), _blocked())

    assert [each.task.step for each in admit(ledger).attempts] == ["speech"]
    assert admit(ledger).gate is Gate.NOTHING_WAITING
    (blocked,) = ledger.blocked(JOB)
    assert (blocked.key, blocked.cells) == (task_key("r1", step="video"), {"Name": "Ann"})
    assert ledger.blocked(JOB, ["r2"]) == []


def test_an_unblocked_step_is_sent_with_what_it_was_given(ledger: Ledger) -> None:
    """Its body could only be made once the earlier step was done."""
    plan(ledger, planned("r1", step="speech"), _blocked())
    admit(ledger)
    ledger.unblock([planned("r1", step="video", body='{"audio":"a"}', estimate=2.0)], at=1.0)

    assert ledger.blocked(JOB) == []
    assert [(each.body, each.estimate) for each in admit(ledger, 2.0).attempts] == [('{"audio":"a"}', 2.0)]


def test_a_step_that_cannot_be_made_becomes_invalid(ledger: Ledger) -> None:
    """What the earlier step gave does not fit: the row says so."""
    plan(ledger, planned("r1", step="speech"), _blocked())
    ledger.unblock([_blocked(flaws=(("A2", "too long"),))], at=1.0)

    assert states(ledger)["r1/video"] is State.INVALID
    assert ledger.blocked(JOB) == []


def test_only_what_is_blocked_is_unblocked(ledger: Ledger) -> None:
    """A step that was sent keeps what was sent."""
    plan(ledger, planned("r1", step="video", body="sent"))
    admit(ledger)
    ledger.unblock([planned("r1", step="video", body="other")], at=1.0)

    assert [each.body for each in ledger.in_doubt(JOB, ACCOUNT)] == ["sent"]


def test_planning_again_leaves_a_blocked_step_blocked(ledger: Ledger) -> None:
    """And one that was unblocked stays so, as long as its row is the same."""
    plan(ledger, planned("r1", step="speech"), _blocked())
    plan(ledger, planned("r1", step="speech"), _blocked())
    assert len(ledger.blocked(JOB)) == 1

    ledger.unblock([planned("r1", step="video", body="made")], at=1.0)
    plan(ledger, planned("r1", step="speech"), _blocked())
    assert ledger.blocked(JOB) == []
    assert [each.body for each in admit(ledger, 2.0).attempts if each.task.step == "video"] == ["made"]


# --- mark, written, waiting


def test_the_mark_changes_with_every_move_and_with_nothing_else(ledger: Ledger) -> None:
    """While it stays, the results file need not be written again."""
    plan(ledger, *rows(2))
    marks = [ledger.mark()]
    (attempt, _) = admit(ledger).attempts
    marks.append(ledger.mark())
    accept(ledger, attempt)
    marks.append(ledger.mark())
    ledger.record([news(attempt, State.DONE)])
    marks.append(ledger.mark())
    ledger.again([task_key("r1")], cause="again", at=1.0)
    marks.append(ledger.mark())

    assert len(set(marks)) == 5
    plan(ledger, *rows(2))
    ledger.hold_off(ACCOUNT, until=5.0, reason="429")
    assert ledger.mark() == marks[-1]


def test_what_the_results_show_is_kept_until_the_next_writing(ledger: Ledger) -> None:
    """Planning again does not forget it."""
    plan(ledger, *rows(1))
    ledger.written(JOB, "m1", renew_at=None)
    plan(ledger, *rows(1))

    record = ledger.job(JOB)
    assert record is not None
    assert record.written == "m1"


def test_what_waits_is_counted_with_its_price(ledger: Ledger) -> None:
    """Gone rows are left out; without any price there is none."""
    plan(ledger, *rows(4, estimate=1.5), planned("gone", estimate=9.0))
    plan(ledger, *rows(4, estimate=1.5))
    admit(ledger, at_most=1)
    assert ledger.waiting(JOB, now=0.0) == Waiting(now=3, later=0, cost=4.5)

    plan(ledger, *rows(2, job="other"), job="other")
    assert ledger.waiting("other", now=0.0) == Waiting(now=2, later=0, cost=None)
    assert ledger.waiting("nobody", now=0.0) == Waiting(now=0, later=0, cost=None)


def test_later_steps_are_counted_apart_and_not_at_all_behind_one_that_needs_a_person(ledger: Ledger) -> None:
    """What nobody is about to send is no part of what a run will cost."""
    flaws = (("people.csv!B2", "name is empty"),)
    chain = {"ready": False, "cells": {"id": "1"}, "estimate": 2.0, "step": "video"}
    plan(
        ledger,
        *(each for row in ("r1", "r2") for each in (planned(row, step="speech", estimate=1.0), planned(row, **chain))),
        *(planned("r3", step="speech", flaws=flaws), planned("r3", **chain)),
    )
    assert ledger.waiting(JOB, now=0.0) == Waiting(now=2, later=2, cost=6.0)

    first = admit(ledger, at_most=1).attempts[0]
    ledger.record([news(first, State.FAILED)])
    assert ledger.waiting(JOB, now=0.0) == Waiting(now=1, later=1, cost=3.0)


def test_what_a_later_step_was_made_from_is_kept(ledger: Ledger) -> None:
    """With what its earlier attempts have cost; asked for again, a step takes those that are not sent yet along."""
    speech = planned("r1", step="speech", estimate=1.0)
    video = planned("r1", step="video", ready=False, cells={"id": "1"})
    plan(ledger, speech, video)
    ledger.record([news(admit(ledger).attempts[0], State.DONE, cost=1.5)])
    ledger.unblock([replace(video, made_from={"speech": 1})], at=1.0)

    assert {each.key.step: each.made_from for each in ledger.standings(JOB)} == {"speech": {}, "video": {"speech": 1}}
    known = ledger.known(JOB, ["r1"])
    assert known[video.key].made_from == {"speech": 1}
    assert known[speech.key].attempts == 1
    assert ledger.blocked(JOB) == []

    ledger.again([speech.key], cause="test", at=2.0)
    assert [each.key for each in ledger.blocked(JOB)] == [video.key]
    assert next(each.paid_before for each in ledger.standings(JOB) if each.key == speech.key) == 1.5


def test_what_is_held_is_never_sent(ledger: Ledger) -> None:
    """Neither while a person keeps it back, nor before its day; the next plan lets it go."""
    plan(ledger, planned("r1", held=True, estimate=1.0), planned("r2", not_before=50.0, estimate=2.0), planned("r3"))
    assert ledger.waiting(JOB, now=10.0).now == 1
    assert ledger.held(JOB, now=10.0) == {State.WAITING: 2}
    assert [each.task.row_id for each in admit(ledger, 10.0).attempts] == ["r3"]
    assert [each.task.row_id for each in admit(ledger, 50.0).attempts] == ["r2"]

    plan(ledger, *rows(3))
    assert ledger.held(JOB, now=60.0) == {}
    assert [each.task.row_id for each in admit(ledger, 60.0).attempts] == ["r1"]


def test_a_row_is_held_as_a_whole_and_only_while_it_waits(ledger: Ledger) -> None:
    """An invalid row that is held counts as held; one in work does not."""
    flaws = (("people.csv!B2", "name is empty"),)
    plan(ledger, planned("r1", held=True, flaws=flaws), planned("r2"))
    admit(ledger)
    plan(ledger, planned("r1", held=True, flaws=flaws), planned("r2", held=True))

    assert ledger.held(JOB, now=0.0) == {State.INVALID: 1}


def test_writing_may_change_what_counts_as_planned(ledger: Ledger) -> None:
    """A sheet that takes its own results is another file after them, and no other sheet."""
    plan(ledger, *rows(1), fingerprint="f1")
    ledger.written(JOB, "m1", renew_at=None)
    assert getattr(ledger.job(JOB), "fingerprint", "") == "f1"
    ledger.written(JOB, "m2", renew_at=None, fingerprint="f2")
    assert getattr(ledger.job(JOB), "fingerprint", "") == "f2"


# --- adopt


def test_adopted_work_is_in_progress_and_is_not_sent(ledger: Ledger) -> None:
    """It was made elsewhere: here it is only followed, and counts for no rate."""
    flaws = (("people.csv!B2", "name is empty"),)
    plan(ledger, planned("r1"), planned("r2", flaws=flaws), planned("r3"))
    adopted = ledger.adopt({task_key("r1"): "v1", task_key("r2"): "v2"}, ACCOUNT, at=5.0)

    assert set(adopted) == {task_key("r1"), task_key("r2")}
    assert {each.remote_id for each in ledger.in_flight(JOB, ACCOUNT)} == {"v1", "v2"}
    assert [each.task.row_id for each in admit(ledger, 6.0, windows=[Rate(count=1, window_s=60)]).attempts] == ["r3"]
    ledger.record([news(adopted[task_key("r1")], State.DONE, 7.0)])
    assert states(ledger)["r1"] is State.DONE


def test_what_was_sent_from_here_is_not_adopted(ledger: Ledger) -> None:
    """Its own attempt knows better."""
    plan(ledger, *rows(1))
    admit(ledger)
    assert ledger.adopt({task_key("r1"): "v9", task_key("nobody"): "v8"}, ACCOUNT, at=5.0) == {}


def test_ids_are_known_whichever_attempt_of_whichever_job_has_them(ledger: Ledger) -> None:
    """Work of another job on the same ledger is no stranger."""
    plan(ledger, *rows(1, job="other"), job="other")
    (attempt,) = admit(ledger, job="other").attempts
    accept(ledger, attempt, remote_id="v1")

    assert set(ledger.known_ids(["v1", "v2", ""])) == {"v1"}


# --- hold_off


def test_hold_offs_have_an_end_and_a_reason(ledger: Ledger) -> None:
    """An account that nobody holds off is told as such."""
    assert ledger.held_off(ACCOUNT) == (0.0, "")
    ledger.hold_off(ACCOUNT, until=100.0, reason="429")
    assert ledger.held_off(ACCOUNT) == (100.0, "429")
    assert ledger.held_off("another") == (0.0, "")


def test_a_later_end_that_is_known_stays(ledger: Ledger) -> None:
    """The answer of a slower request must not shorten what another was told."""
    ledger.hold_off(ACCOUNT, until=100.0, reason="long")
    ledger.hold_off(ACCOUNT, until=50.0, reason="short")
    assert ledger.held_off(ACCOUNT) == (100.0, "long")
    ledger.hold_off(ACCOUNT, until=150.0, reason="longer")
    assert ledger.held_off(ACCOUNT) == (150.0, "longer")


# --- counts, spent, standings, render_times


def test_a_rows_word_is_the_worst_of_its_tasks(ledger: Ledger) -> None:
    """Every row is counted once."""
    plan(ledger, planned("r1", item="a"), planned("r1", item="b"), planned("r2"), planned("r3", flaws=(("A4", "no"),)))
    one, other, _ = admit(ledger).attempts
    ledger.record([news(one, State.DONE), news(other, State.FAILED)])

    assert ledger.counts(JOB) == {State.FAILED: 1, State.SENDING: 1, State.INVALID: 1}
    assert sum(ledger.counts(JOB).values()) == 3


def test_spent_tells_what_is_paid_and_what_is_expected(ledger: Ledger) -> None:
    """The true cost where it is known, the estimate elsewhere; failed work costs nothing."""
    plan(ledger, *rows(5, estimate=1.0))
    first, second, third, _ = admit(ledger, at_most=4).attempts
    ledger.record([news(first, State.DONE, cost=0.25), news(second, State.DONE), news(third, State.FAILED)])

    assert ledger.spent(JOB) == (1.25, 1.0)
    assert ledger.spent("other") == (0.0, 0.0)


def test_standings_of_some_rows(ledger: Ledger) -> None:
    """Only what is asked for, also for more rows than fit into one query."""
    plan(ledger, *rows(1100))

    assert [each.key.row_id for each in ledger.standings(JOB, ["r3", "r1"])] == ["r1", "r3"]
    assert len(ledger.standings(JOB, [f"r{number}" for number in range(1, 1101)])) == 1100
    assert ledger.standings(JOB, []) == []


def test_what_is_finished_comes_in_the_order_of_the_sheet(ledger: Ledger) -> None:
    """A few rows at a time, all tasks of a row together; what is not done, gone or of another job is left out."""
    plan(ledger, planned("a", job="other"), job="other")
    ledger.record([news(each, State.DONE) for each in admit(ledger, job="other", at_most=5).attempts])
    tasks = [planned(f"r{number}", item=item) for number in range(600, 0, -1) for item in ("de", "fr")]
    plan(ledger, *tasks)
    attempts = admit(ledger, at_most=2000).attempts
    ledger.record([news(each, State.DONE) for each in attempts[:-1]])
    plan(ledger, *tasks[2:])

    found = [(each.key.row_id, each.key.item) for each in ledger.finished(JOB)]

    expected = [(f"r{number}", item) for number in range(1, 600) for item in ("de", "fr")]
    assert sorted(found) == sorted(expected)
    assert [row_id for row_id, _ in found] == [row_id for row_id, _ in expected]
    assert list(ledger.finished("nobody's")) == []


def test_render_times_are_newest_first_and_at_most_a_hundred(ledger: Ledger) -> None:
    """Only work of this account and operation counts, and only where its time is known well."""
    plan(ledger, *rows(120))
    for number, attempt in enumerate(admit(ledger, at_most=120).attempts):
        accept(ledger, attempt, at=100.0)
        state = State.FAILED if number == 119 else State.DONE
        ledger.record(
            [
                news(
                    attempt,
                    state,
                    300.0,
                    completed_at=101.0 + number,
                    took_s=1.0 + number if state is State.DONE else None,
                )
            ]
        )

    times = ledger.render_times(ACCOUNT, OPERATION)
    assert (len(times), times[0], times[-1]) == (100, 119.0, 20.0)
    assert ledger.render_times("another", OPERATION) == []
    assert ledger.render_times(ACCOUNT, "heygen.video") == []


# --- durability


def test_everything_survives_reopening(open_ledger: Open) -> None:
    """A ledger that forgets is no ledger."""
    ledger = open_ledger()
    plan(ledger, *rows(3), fingerprint="f")
    first, second = admit(ledger, at_most=2, windows=[Rate(count=2, window_s=60)]).attempts
    accept(ledger, first)
    ledger.hold_off(ACCOUNT, until=9.0, reason="429")
    ledger.close()
    ledger = open_ledger()

    assert [each.attempt_id for each in ledger.in_doubt(JOB, ACCOUNT)] == [second.attempt_id]
    assert [each.attempt_id for each in ledger.in_flight(JOB, ACCOUNT)] == [first.attempt_id]
    assert states(ledger) == {"r1": State.IN_PROGRESS, "r2": State.SENDING, "r3": State.WAITING}
    assert ledger.held_off(ACCOUNT) == (9.0, "429")
    record = ledger.job(JOB)
    assert record is not None
    assert record.fingerprint == "f"


def test_two_open_ledgers_see_each_other(open_ledger: Open) -> None:
    """What one process has admitted, another does not admit again."""
    one, other = open_ledger(), open_ledger()
    plan(one, *rows(2))

    assert [each.task.row_id for each in admit(one, at_most=1).attempts] == ["r1"]
    assert [each.task.row_id for each in admit(other, at_most=2).attempts] == ["r2"]


def test_what_another_account_has_in_work_is_not_touched(ledger: Ledger) -> None:
    """A key of one account means nothing at another: sending there again would be paid again."""
    plan(ledger, *rows(2))
    first, _ = admit(ledger, at_most=2).attempts
    accept(ledger, first)

    assert ledger.in_doubt(JOB, "another") == []
    assert ledger.in_flight(JOB, "another") == []
    assert ledger.claim(JOB, "another", "") == 2


def test_a_new_key_of_the_same_owner_takes_over_what_is_open(ledger: Ledger) -> None:
    """Keys are renewed; the account behind them is the same."""
    plan(ledger, *rows(2))
    first, second = admit(ledger, at_most=2).attempts
    accept(ledger, first)
    assert ledger.claim(JOB, ACCOUNT, "anna@acme.com") == 0
    assert ledger.claim(JOB, "stranger", "ben@acme.com") == 2
    assert ledger.claim(JOB, "renewed", "anna@acme.com") == 0

    assert [each.attempt_id for each in ledger.in_flight(JOB, "renewed")] == [first.attempt_id]
    assert [each.attempt_id for each in ledger.in_doubt(JOB, "renewed")] == [second.attempt_id]


# --- locks and leases


def test_one_run_holds_a_job_at_a_time(open_ledger: Open) -> None:
    """Two runs of a job would plan over each other; another job is none of their business."""
    one, other = open_ledger(), open_ledger()
    with one.lock(JOB):
        with pytest.raises(NotFinished, match=f"another run of '{JOB}' is under way"), other.lock(JOB):
            pass
        with other.lock("another"):
            pass
    with other.lock(JOB):
        pass


def test_a_run_that_dies_lets_go_of_its_job(open_ledger: Open) -> None:
    """Nobody has to clean up."""
    one, other, third = open_ledger(), open_ledger(), open_ledger()
    held = ExitStack()
    held.enter_context(one.lock(JOB))
    held.close()
    one.close()

    with other.lock(JOB), pytest.raises(NotFinished), third.lock(JOB):
        pass


def test_workers_share_a_job_and_keep_a_run_of_its_own_out(open_ledger: Open) -> None:
    """Slices of a job go on side by side; a run, which holds all of it, waits until the last has ended."""
    one, other = open_ledger(), open_ledger()
    with one.lock(JOB, shared=True), other.lock(JOB, shared=True):
        pass
    with one.lock(JOB, shared=True), pytest.raises(NotFinished), other.lock(JOB):
        pass
    with one.lock(JOB), pytest.raises(NotFinished), other.lock(JOB, shared=True):
        pass
    with other.lock(JOB):
        pass


def test_a_worker_that_goes_leaves_what_it_held_at_once(ledger: Ledger) -> None:
    """The next slice settles what this one was in doubt about, and does not wait for a lease to end."""
    plan(ledger, *rows(2))
    ledger.alive("w1", at=0.0, until=30.0)
    left = admit(ledger, at_most=2, holder="w1").attempts

    assert ledger.alive("w1", at=5.0, until=5.0)
    assert list(ledger.take_over(JOB, ACCOUNT, "w2", at=5.0)) == list(left)


def test_what_was_handed_over_is_kept_as_it_was_said_last(open_ledger: Open) -> None:
    """Workers that begin after everything else has died find in it what they are to do."""
    first = Handed(job="b", path="/jobs/b.yaml", at=1.0, until=9.5, every_s=3600.0, failed_before=2, finished_before=7)
    ledger = open_ledger()
    ledger.hand_over(first)
    ledger.hand_over(Handed(job="a", path="/jobs/a.yaml", at=2.0))
    assert list(ledger.handed()) == [Handed(job="a", path="/jobs/a.yaml", at=2.0), first]

    stopped = replace(first, stop="no credit", stop_exit=4, ended_at=5.0, exit=4, reason="no credit")
    ledger.hand_over(stopped)
    assert list(open_ledger().handed())[1] == stopped


def test_what_a_living_worker_sends_is_nobody_elses(ledger: Ledger) -> None:
    """Taking it over would be to look for something that is just on its way."""
    plan(ledger, *rows(3))
    assert ledger.alive("w1", at=0.0, until=30.0)
    mine = admit(ledger, at_most=2, holder="w1").attempts

    assert ledger.take_over(JOB, ACCOUNT, "w2", at=30.0) == []
    assert [each.attempt_id for each in ledger.in_doubt(JOB, ACCOUNT)] == [each.attempt_id for each in mine]


def test_what_a_dead_worker_has_left_is_taken_over_once(ledger: Ledger) -> None:
    """Two that looked for the same lost work could both come to send it again."""
    plan(ledger, *rows(3))
    ledger.alive("w1", at=0.0, until=30.0)
    left = admit(ledger, at_most=2, holder="w1").attempts
    ledger.alive("w2", at=0.0, until=90.0)
    ledger.alive("w3", at=0.0, until=90.0)

    assert list(ledger.take_over(JOB, ACCOUNT, "w2", at=31.0)) == list(left)
    assert ledger.take_over(JOB, ACCOUNT, "w3", at=31.0) == []
    assert ledger.take_over("another", ACCOUNT, "w3", at=99.0) == []
    assert ledger.take_over(JOB, "another", "w3", at=99.0) == []


def test_what_a_run_without_a_lease_has_left_is_anybodys(ledger: Ledger) -> None:
    """It held the job's lock, and whoever asks holds it now."""
    plan(ledger, *rows(1))
    left = admit(ledger).attempts

    assert list(ledger.take_over(JOB, ACCOUNT, "", at=0.0)) == list(left)
    assert list(ledger.take_over(JOB, ACCOUNT, "w1", at=0.0)) == list(left)


def test_only_what_is_sending_is_taken_over(ledger: Ledger) -> None:
    """Accepted work needs no holder: everybody may look after it."""
    plan(ledger, *rows(1))
    (attempt,) = admit(ledger).attempts
    accept(ledger, attempt)

    assert ledger.take_over(JOB, ACCOUNT, "w1", at=0.0) == []


def test_a_worker_that_slept_beyond_its_lease_is_told(ledger: Ledger) -> None:
    """It must not go on as if nothing had happened: another may have taken over what it held."""
    assert ledger.alive("w1", at=0.0, until=30.0)
    assert ledger.alive("w1", at=30.0, until=60.0)
    assert not ledger.alive("w1", at=61.0, until=91.0)
    assert not ledger.alive("w1", at=62.0, until=92.0)
    assert ledger.alive("w1-again", at=62.0, until=92.0)


def test_what_postgresql_cannot_keep_is_no_reason_to_lose_an_answer(ledger: Ledger) -> None:
    """An API may put a NUL into its words: the row is recorded all the same."""
    plan(ledger, *rows(1))
    (attempt,) = admit(ledger).attempts
    ledger.record([news(attempt, State.FAILED, error="broken\0words", cause="100 % ? broken")])

    (standing,) = ledger.standings(JOB)
    assert standing.state is State.FAILED
    assert standing.error in ("broken\0words", "broken\ufffdwords")


# --- wanted, assets, uploaded, unusable, forget_assets, files, saw


def need(digest: str = "d1", **changes: Any) -> Need:
    """A file that a task needs."""
    return Need(
        **{"digest": digest, "path": f"/sheets/{digest}.png", "size": 10, "place": f"people.csv!{digest}", **changes}
    )


def held(digest: str = "d1", **changes: Any) -> Asset:
    """A file that an account holds."""
    return Asset(**{"digest": digest, "asset_id": f"asset-{digest}", **changes})


def test_a_task_waits_for_all_its_files(ledger: Ledger) -> None:
    """It is admitted with what the account calls them, and no other task waits for it."""
    plan(ledger, planned("r1", needs=(need("d1"), need("d2"))), planned("r2"))
    assert [each.task.row_id for each in admit(ledger).attempts] == ["r2"]
    ledger.uploaded(ACCOUNT, held("d1"))
    assert admit(ledger).gate is Gate.NOTHING_WAITING
    ledger.uploaded(ACCOUNT, held("d2", url="https://x"))
    given = []

    def see(candidate: Candidate) -> Prepared:
        given.append(candidate.assets)
        return prepare(candidate)

    assert [each.task.row_id for each in ledger.admit(wish(), see).attempts] == ["r1"]
    assert given == [{"d1": held("d1"), "d2": held("d2", url="https://x")}]


def test_files_of_another_account_do_not_count(ledger: Ledger) -> None:
    """An asset belongs to the account that it was sent to."""
    plan(ledger, planned("r1", needs=(need(),)))
    ledger.uploaded("another", held())

    assert not admit(ledger).attempts
    assert ledger.assets(ACCOUNT, ["d1"], at=0.0) == {}


def test_a_file_that_may_be_gone_is_wanted_again(ledger: Ledger) -> None:
    """From the end that the API states on; what comes anew replaces what was known."""
    plan(ledger, planned("r1", needs=(need(),)))
    ledger.uploaded(ACCOUNT, held(expires_at=100.0))

    assert (ledger.wanted(JOB, ACCOUNT, at=99.0), ledger.wanted(JOB, ACCOUNT, at=100.0)) == ([], [need()])
    assert not admit(ledger, 100.0).attempts
    ledger.uploaded(ACCOUNT, held(asset_id="newer"))
    assert ledger.assets(ACCOUNT, ["d1", "d9"], at=100.0) == {"d1": held(asset_id="newer")}


def test_each_content_is_wanted_once(ledger: Ledger) -> None:
    """In the order of the rows, for those that wait and are still in the sheet."""
    first = [
        planned("r1", needs=(need("b"),)),
        planned("r2", needs=(need("b"), need("a"))),
        planned("r3", needs=(need("c"),)),
    ]
    plan(ledger, *first)
    assert [each.digest for each in ledger.wanted(JOB, ACCOUNT, at=0.0)] == ["b", "a", "c"]

    plan(ledger, planned("r2", needs=(need("z"),)))
    assert [each.digest for each in ledger.wanted(JOB, ACCOUNT, at=0.0)] == ["z"]


def test_an_unusable_file_makes_its_rows_invalid(ledger: Ledger) -> None:
    """Each with the place where it is named; a row that was sent is past that."""
    plan(ledger, planned("r1", needs=(need(place="A1"),)), planned("r2"), planned("r3", needs=(need(place="A3"),)))

    assert ledger.unusable(JOB, "d1", reason="no picture", at=5.0) == 2
    flaws = {each.key.row_id: list(each.flaws) for each in ledger.standings(JOB)}
    assert flaws == {"r1": [("A1", "no picture")], "r2": [], "r3": [("A3", "no picture")]}
    assert states(ledger)["r1"] is State.INVALID
    assert ledger.unusable(JOB, "d1", reason="no picture", at=5.0) == 0


def test_assets_of_an_attempt_are_forgotten(ledger: Ledger) -> None:
    """Those of its task, at its account."""
    plan(ledger, planned("r1", needs=(need("d1"),)))
    for digest in ("d1", "d2"):
        ledger.uploaded(ACCOUNT, held(digest))
    ledger.uploaded("another", held("d1"))
    (attempt,) = admit(ledger).attempts

    ledger.forget_assets(attempt.attempt_id)

    assert set(ledger.assets(ACCOUNT, ["d1", "d2"], at=0.0)) == {"d2"}
    assert set(ledger.assets("another", ["d1"], at=0.0)) == {"d1"}


def test_files_are_those_of_the_last_plan(ledger: Ledger) -> None:
    """Of one job, and none that it has stopped to name."""
    one, two = (SeenFile(path=f"/{name}", size=1, mtime_ns=10**18 + 1, digest="d") for name in "ab")
    ledger.saw(JOB, [one, two])
    ledger.saw("another", [one])
    ledger.saw(JOB, [two])

    assert (list(ledger.files(JOB)), list(ledger.files("another"))) == ([two], [one])


# --- filed, block, renewed links


def _done(ledger: Ledger, count: int = 1) -> list[int]:
    """Rows that are done; returns their attempts."""
    plan(ledger, *rows(count))
    attempts = admit(ledger).attempts
    for attempt in attempts:
        accept(ledger, attempt)
        ledger.record([news(attempt, State.DONE, outputs={"video_url": "https://x/1"}, cost=2.0)])
    return [attempt.attempt_id for attempt in attempts]


def _file(attempt_id: int, **changes: Any) -> FileRecord:
    values = {"output": "video_url", "state": FileState.HERE, "path": "videos/r1.mp4", "bytes": 7, "at": 5.0}
    return FileRecord(attempt_id=attempt_id, **{**values, **changes})


def test_what_became_of_a_file_stands_beside_its_task(open_ledger: Open) -> None:
    """The newer record replaces the older, over a restart too; the state of the task stays, the mark does not."""
    ledger = open_ledger()
    first, second = _done(ledger, 2)
    before = ledger.mark()
    later = _file(first, state=FileState.LATER, bytes=0, tries=2, reason="no answer in time")
    ledger.filed([later, _file(first, output="subtitle_url", path="r1.srt"), _file(10_000)])
    assert ledger.mark() != before
    ledger.filed([_file(first)])

    again = open_ledger()
    for standings in (again.standings(JOB), again.standings(JOB, ["r1", "r2"])):
        assert [each.attempt_id for each in standings] == [first, second]
        assert [each.state for each in standings] == [State.DONE, State.DONE]
        assert standings[0].files == {
            "video_url": _file(first),
            "subtitle_url": _file(first, output="subtitle_url", path="r1.srt"),
        }
        assert standings[1].files == {}


def test_renewed_links_change_nothing_else(ledger: Ledger) -> None:
    """A finished task keeps its cost and its time; the results are to be written again."""
    (attempt_id,) = _done(ledger)
    before, mark = ledger.standings(JOB)[0], ledger.mark()
    ledger.record([news(attempt_id, State.DONE, 50.0, outputs={"video_url": "https://x/2"}, checked=True)])

    after = ledger.standings(JOB)[0]
    assert (after.state, after.outputs, after.links_at) == (State.DONE, {"video_url": "https://x/2"}, 50.0)
    assert (after.cost, after.completed_at) == (before.cost, before.completed_at)
    assert ledger.mark() != mark


def test_later_steps_can_be_made_to_wait_again(ledger: Ledger) -> None:
    """Only those that once waited and are not sent: their bodies hold what may have grown old."""
    later = planned("r1", step="two", ready=False, path="", body="")
    plan(ledger, planned("r1", step="one"), later, planned("r2", step="one"))
    ledger.unblock([planned("r1", step="two", body="old")], at=1.0)
    assert ledger.blocked(JOB) == []

    assert ledger.block(JOB, ["r1", "r2"]) == 1
    assert [each.key for each in ledger.blocked(JOB)] == [later.key]
    assert len(admit(ledger).attempts) == 2


def test_when_links_are_to_be_renewed_is_kept(ledger: Ledger) -> None:
    """So that a tick with nothing to do looks at one number."""
    plan(ledger, *rows(1))
    ledger.written(JOB, "m1", renew_at=77.0)
    record = ledger.job(JOB)
    assert record is not None
    assert record.renew_at == 77.0


# --- samples, approvals


def test_only_the_rows_that_are_wanted_are_admitted(ledger: Ledger) -> None:
    """The others wait; what the gate says is about the wanted ones."""
    plan(ledger, *rows(4))
    admitted = admit(ledger, rows=["r3", "r2", "nobody"])

    assert [each.task.row_id for each in admitted.attempts] == ["r2", "r3"]
    assert admitted.gate is Gate.NOTHING_WAITING
    assert [each.task.row_id for each in admit(ledger, rows=[]).attempts] == []
    assert [each.task.row_id for each in admit(ledger).attempts] == ["r1", "r4"]


def test_only_files_of_the_rows_that_are_wanted_are_wanted(ledger: Ledger) -> None:
    """A sample of three uploads no four hundred pictures."""
    needs = [Need(digest=f"d{number}", path=f"/{number}", size=1) for number in (1, 2)]
    plan(ledger, planned("r1", needs=(needs[0],)), planned("r2", needs=(needs[1],)))

    assert ledger.wanted(JOB, ACCOUNT, at=0.0, rows=["r2"]) == [needs[1]]
    assert ledger.wanted(JOB, ACCOUNT, at=0.0) == needs


def test_a_sample_is_kept_whole(ledger: Ledger, open_ledger: Open) -> None:
    """Another process finds what was chosen and measured; keeping again replaces it."""
    assert ledger.sample(JOB) == Sample()
    kept = Sample(row_ids=("ä, 1", "r2"), lengths={"": Length(rows=2, seconds=7.5)}, priced=1.5, charged=None)
    ledger.keep_sample(JOB, Sample(row_ids=("r9",), charged=2.0))
    ledger.keep_sample(JOB, kept)

    assert open_ledger().sample(JOB) == kept
    assert ledger.sample("another") == Sample()


def test_an_approval_counts_what_was_begun_since(ledger: Ledger) -> None:
    """Failed work costs nothing; what came before was no part of it; withdrawn, there is none."""
    given = Approval(account=ACCOUNT, digest="d", tasks=3, cost=9.0, currency="USD", by="anna", at=50.0)
    plan(ledger, *rows(4, estimate=2.0))
    admit(ledger, 10.0, at_most=1)
    ledger.approve(JOB, given)
    assert ledger.approval(JOB) == given

    first, second, _ = admit(ledger, 60.0).attempts
    ledger.record([news(first, State.FAILED, 61.0), news(second, State.DONE, 61.0, cost=2.5)])
    found = ledger.approval(JOB)
    assert found is not None
    assert (found.sent, found.spent) == (3, 4.5)

    ledger.approve(JOB, None)
    assert ledger.approval(JOB) is None
