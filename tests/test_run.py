"""Whole runs against a simulator over real HTTP: whatever goes wrong, each row is charged once at most and accounted for."""

from __future__ import annotations

import csv
import json
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from itertools import accumulate
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from msgspec.structs import replace
from support import Hurry, Killed, names, news, open_ledger, run_hurried, states, task_key, write_job

from batcher import dispatcher, reconciler
from batcher.api.client import Client, ListPage
from batcher.catalog.source import ListSource
from batcher.ending import Verbs
from batcher.errors import Exit, NotFinished
from batcher.ledger.sqlite import SqliteLedger
from batcher.ledger.values import News
from batcher.model import Source, State
from batcher.open_job import OpenJob
from batcher.results import Written
from batcher.run import TICK_S, Run
from batcher.simulator import HOSTILE, Behaviour, Running, start, videos
from batcher.simulator.paging import Shown
from batcher.simulator.wire import Refused
from batcher.simulator.work import Work
from batcher.simulator.world import Sight, World

ROWS = 24


class Site:
    """A folder with a job, a simulator, and a clock for both."""

    def __init__(self, folder: Path, simulator: Running, job: Path, rows: int) -> None:
        self.folder, self.simulator, self.job, self.rows = folder, simulator, job, rows
        self.clock = Hurry(simulator)

    def run(self, **changes: Any) -> Any:
        """Run the job once; returns its ending."""
        return run_hurried(self.job, self.simulator, self.clock, **changes)

    def results(self) -> list[dict[str, str]]:
        """The rows of the results file."""
        with (self.folder / "out.csv").open(encoding="utf-8-sig", newline="") as file:
            return list(csv.DictReader(file))

    def words(self) -> Counter[str]:
        """Rows by their word."""
        return Counter(row["batcher_status"] for row in self.results())

    def posts(self) -> int:
        """How many POSTs the server has seen."""
        return len(self.simulator.report()["posts_at"])

    def attempts(self) -> list[tuple[str, str, str, str]]:
        """(row id, state, key, remote id) of every attempt in the ledger."""
        db = sqlite3.connect(self.folder / "state" / "loopback.db")
        query = "SELECT row_id, a.state, a.key, a.remote_id FROM attempts a JOIN tasks USING (task_id)"
        found = db.execute(query).fetchall()
        db.close()
        return found

    def moves(self) -> list[str]:
        """The states that tasks have come to, in their order."""
        db = sqlite3.connect(self.folder / "state" / "loopback.db")
        found = db.execute("SELECT to_state FROM moves ORDER BY rowid").fetchall()
        db.close()
        return [state for (state,) in found]

    def unread_at_once(self) -> list[int]:
        """How many tasks were accepted and not done, after each move that the ledger tells of."""
        return list(accumulate({"sending": 1, "done": -1, "failed": -1}.get(state, 0) for state in self.moves()))


@pytest.fixture
def make_site(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """A job over so many rows, or over these names, and a simulator that behaves as told."""
    running: list[Running] = []

    def make(rows: int | list[str] = ROWS, *, job: dict[str, Any] | None = None, **behaviour: Any) -> Site:
        running.append(start(Behaviour(**{"render_s": 30.0, "in_flight": 50, **behaviour})))
        people = names(rows) if isinstance(rows, int) else rows
        return Site(tmp_path, running[-1], write_job(tmp_path, people, **(job or {})), len(people))

    yield make
    for each in running:
        each.stop()


def check(site: Site, ending: Any) -> None:
    """The invariants I1, I2 and I3 of the promise, by the server's own log, and the identity."""
    report = site.simulator.report()
    charged = Counter(charge["title"] for charge in report["charges"])
    assert max(charged.values(), default=0) <= 1, charged
    assert report["duplicates"] == []

    known = {key: (state, remote_id) for _, state, key, remote_id in site.attempts()}
    for charge in report["charges"]:
        state, remote_id = known[charge["key"]]
        assert state in ("sending", "in progress", "unsure", "done", "failed")
        assert remote_id in (charge["id"], "") or state == "unsure"

    assert ending.tally.rows == site.rows
    assert ending.tally.identity().endswith("✓")
    rows = site.results()
    assert [row["id"] for row in rows] == [f"r{number}" for number in range(1, site.rows + 1)]
    assert sum(site.words().values()) == site.rows
    done = [row for row in rows if row["batcher_status"] == "done"]
    assert len({row["video_id"] for row in done}) == len(done)
    made = {charge["id"]: charge["title"] for charge in report["charges"]}
    assert all(made[row["video_id"]] == f"For {row['id']}" for row in done), "a row shows another row's video"
    assert all(row["video_url"].startswith("http") for row in done)
    assert all(row["error"] for row in rows if row["batcher_status"] in ("failed", "unsure", "invalid"))


def check_idle(site: Site) -> None:
    """I5: a second run has nothing to do, asks for nothing and changes nothing."""
    posts, before = site.posts(), (site.folder / "out.csv").read_bytes()
    site.simulator.behave(hostile=[])
    site.run()

    assert site.posts() == posts
    assert (site.folder / "out.csv").read_bytes() == before


# --- the straight road


def test_every_row_is_made_once(make_site: Callable[..., Site]) -> None:
    """One charge, one link, one line for each."""
    site = make_site()
    ending = site.run()

    assert ending.exit is Exit.DONE
    check(site, ending)
    assert site.simulator.report()["creations"] == ROWS
    check_idle(site)


def test_failures_stand_beside_their_rows(make_site: Callable[..., Site]) -> None:
    """Refused at once, or failed in the making: reason and advice in the row, the others go on."""
    site = make_site([*names(18), "[fail]", "[policy]"])
    ending = site.run()

    assert ending.exit is Exit.SOME_FAILED
    check(site, ending)
    assert site.words() == {"done": 18, "failed": 2}
    failed = {row["id"]: row for row in site.results() if row["batcher_status"] == "failed"}
    assert failed["r19"]["error_code"] == "rendering_failed"
    assert failed["r20"]["error_code"] == "content_policy_violation"
    assert all(row["what_to_do"] for row in failed.values())
    check_idle(site)


def test_an_invalid_row_never_blocks_the_others(make_site: Callable[..., Site]) -> None:
    """It is told, nothing is sent for it, and mended it is made by the next run alone."""
    site = make_site([*names(3), "", "Person 5"])
    ending = site.run()
    assert (ending.exit, site.words()) == (Exit.SOME_FAILED, {"done": 4, "invalid": 1})
    check(site, ending)

    sheet = site.folder / "people.csv"
    sheet.write_text(sheet.read_text().replace("r4,\n", "r4,Mended\n"))
    ending = site.run()
    assert (ending.exit, site.words()) == (Exit.DONE, {"done": 5})
    check(site, ending)
    assert site.posts() == 5


def test_a_changed_row_is_told_and_not_made_again(make_site: Callable[..., Site]) -> None:
    """An edited cell is not an order (A14)."""
    site = make_site(3)
    site.run()
    sheet = site.folder / "people.csv"
    sheet.write_text(sheet.read_text().replace("Person 2", "Person Two"))
    ending = site.run()

    assert site.posts() == 3
    check(site, ending)
    assert "has changed since this was made" in site.results()[1]["what_to_do"]


def test_rows_may_move_and_join(make_site: Callable[..., Site]) -> None:
    """A row is its id, wherever it stands (A33)."""
    site = make_site(3)
    site.run()
    (site.folder / "people.csv").write_text("id,name\nr3,Person 3\nnew,Person 4\nr1,Person 1\nr2,Person 2\n")
    site.run()

    assert site.posts() == 4
    assert [row["batcher_status"] for row in site.results()] == ["done"] * 4


# --- hostile servers, one by one

PEACEFUL = ("regress", "missing_pages", "unknown_words", "late_links", "not_found", "token_loop", "half_answers",
            "html_200", "lost_answers", "errors_500", "storms_429", "error_shapes")  # fmt: skip


@pytest.mark.parametrize("mode", PEACEFUL)
def test_every_row_is_made_once_in_spite_of(make_site: Callable[..., Site], mode: str) -> None:
    """A single fault, on all the time, and in the end everything is done and paid once."""
    site = make_site(hostile=frozenset({mode}), seed=3)
    ending = site.run()

    check(site, ending)
    assert (ending.exit, site.words()) == (Exit.DONE, {"done": ROWS})
    check_idle(site)


@pytest.mark.parametrize("mode", ["lost_answers", "errors_500", "html_200", "half_answers", "storms_429"])
def test_the_fault_was_really_there(make_site: Callable[..., Site], mode: str) -> None:
    """A test that meets no fault proves nothing; and what was charged unseen was answered again by its key."""
    site = make_site(hostile=frozenset({mode}), seed=3)
    site.run()

    report = site.simulator.report()
    assert report["faults"][mode] >= 2
    assert report["creations"] == ROWS
    if mode in ("lost_answers", "half_answers"):
        assert report["replays"] >= 1


@pytest.mark.parametrize("seed", range(4))
def test_all_faults_of_the_network_at_once(make_site: Callable[..., Site], seed: int) -> None:
    """A bad day: every seed another one."""
    modes = frozenset({"lost_answers", "errors_500", "html_200", "half_answers", "storms_429", "regress", "late_links",
                       "unknown_words", "not_found", "token_loop"})  # fmt: skip
    site = make_site(hostile=modes, seed=seed)
    for _ in range(10):
        ending = site.run()
        check(site, ending)
        if ending.exit is not Exit.NOT_FINISHED:
            break

    assert (ending.exit, site.words()) == (Exit.DONE, {"done": ROWS})
    check_idle(site)


def test_failures_of_any_shape_are_told(make_site: Callable[..., Site]) -> None:
    """A reason as text, object, list, HTML, or none at all."""
    site = make_site([*names(15), *["[fail]"] * 4], hostile=frozenset({"error_shapes"}))
    ending = site.run()

    check(site, ending)
    assert site.words() == {"done": 15, "failed": 4}
    check_idle(site)


def test_one_id_for_two_rows_is_flagged(make_site: Callable[..., Site]) -> None:
    """No row shows another row's video as its own (A24)."""
    site = make_site(6, job={"limits": {"submissions": "1/second"}}, hostile=frozenset({"duplicate_id"}))
    ending = site.run()

    check(site, ending)
    assert site.words() == {"done": 3, "unsure": 3}
    assert ending.exit is Exit.SOME_FAILED
    assert all("to row" in row["error"] for row in site.results() if row["batcher_status"] == "done"), (
        "both are flagged"
    )
    check_idle(site)


def test_what_another_process_settles_is_not_waited_for(make_site: Callable[..., Site]) -> None:
    """Attempts in doubt are read again from the ledger: an event or a person may have settled them there."""
    site = make_site(hostile=frozenset({"no_id"}))
    elsewhere = open_ledger(site.folder)

    def settle() -> bool:
        made = {each["key"]: each["id"] for each in site.simulator.report()["charges"]}
        open_ones = [each for each in elsewhere.find() if not each.remote_id and each.key in made]
        cause = {"source": Source.LIST, "answered": True}
        elsewhere.record(
            [news(each, State.IN_PROGRESS, site.clock(), remote_id=made[each.key], **cause) for each in open_ones]
        )
        return False

    ending = site.run(interrupted=settle)
    elsewhere.close()

    check(site, ending)
    assert (ending.exit, site.words()) == (Exit.DONE, {"done": ROWS})


def test_an_answer_without_an_id_is_never_a_reason_to_pay_twice(make_site: Callable[..., Site]) -> None:
    """The key brings the same useless answer again; after a day it is a person's matter (A23)."""
    site = make_site(hostile=frozenset({"no_id"}))
    ending = site.run()
    check(site, ending)
    nameless = site.simulator.report()["faults"]["no_id"]
    assert 0 < nameless < ROWS
    assert site.words()["done"] == ROWS - nameless

    site.clock.advance(24 * 3600)
    ending = site.run()
    check(site, ending)
    assert (ending.exit, site.words()) == (Exit.SOME_FAILED, {"done": ROWS - nameless, "unsure": nameless})
    check_idle(site)


def test_every_hostile_mode_of_the_simulator_is_met() -> None:
    """A new mode needs a test here."""
    elsewhere = {"batch_key_ignored", "cut_titles", "v2=alive"}
    assert set(HOSTILE) == {*PEACEFUL, "no_id", "duplicate_id"} | elsewhere


# --- kills and lost answers


@pytest.mark.parametrize("dies_after", [0, 1, 5, 9, 20, 25])
def test_a_killed_run_goes_on_where_it_was(make_site: Callable[..., Site], dies_after: int) -> None:
    """What it had sent is asked for again with the same key."""
    site = make_site()
    with pytest.raises(Killed):
        site.run(dies_after=dies_after)
    before = site.simulator.report()["creations"]
    assert before > 0
    ending = site.run()

    check(site, ending)
    assert (ending.exit, site.words()) == (Exit.DONE, {"done": ROWS})
    check_idle(site)


def test_killed_again_and_again(make_site: Callable[..., Site]) -> None:
    """Each run dies a little later, over a network that loses answers: still once each."""
    site = make_site(hostile=frozenset({"lost_answers", "errors_500"}), seed=1)
    for dies_after in range(40):
        try:
            ending = site.run(dies_after=dies_after)
        except Killed:
            continue
        break
    check(site, ending)
    assert (ending.exit, site.words()) == (Exit.DONE, {"done": ROWS})


def test_a_row_edited_after_a_kill_is_sent_as_it_was(make_site: Callable[..., Site]) -> None:
    """The stored body goes out again, never a new rendering: that would be a second purchase."""
    site = make_site(8)
    with pytest.raises(Killed):
        site.run(dies_after=0)
    sheet = site.folder / "people.csv"
    sheet.write_text(sheet.read_text().replace("Person", "Somebody"))
    ending = site.run()

    check(site, ending)
    assert site.simulator.report()["creations"] == 8


def test_a_key_too_old_leaves_the_row_unsure(make_site: Callable[..., Site]) -> None:
    """After a day the same key would be a second purchase (A15)."""
    site = make_site(8)
    with pytest.raises(Killed):
        site.run(dies_after=0)
    site.clock.advance(25 * 3600)
    ending = site.run()

    check(site, ending)
    assert (ending.exit, site.words()) == (Exit.SOME_FAILED, {"unsure": 8})
    assert site.posts() == 8
    check_idle(site)


def test_a_lost_row_is_found_by_its_token(make_site: Callable[..., Site]) -> None:
    """With the token in the title a search settles it, even after a day."""
    site = make_site(8, job={"title_token": True})
    with pytest.raises(Killed):
        site.run(dies_after=0)
    site.clock.advance(25 * 3600)
    ending = site.run()

    assert (ending.exit, site.words()) == (Exit.DONE, {"done": 8})
    assert site.posts() == site.simulator.report()["creations"] == 8


def test_two_pieces_of_work_with_one_token_are_a_persons_matter(make_site: Callable[..., Site]) -> None:
    """Somebody has made one of them once more by hand: which of the two is the row's cannot be known, and both are named (B8)."""
    site = make_site(3, job={"title_token": True})
    with pytest.raises(Killed):
        site.run(dies_after=0)
    with closing(sqlite3.connect(site.folder / "state" / "loopback.db")) as db:
        (body,) = db.execute("SELECT body FROM attempts").fetchone()
    headers = {"X-Api-Key": "test-key", "Content-Type": "application/json"}
    with urlopen(Request(f"{site.simulator.url}/v3/templates/tpl_welcome", body.encode(), headers), timeout=10):
        pass
    made, title = site.simulator.report()["charges"], json.loads(body)["title"]
    twins = [each["id"] for each in made if each["title"] == title]
    site.clock.advance(25 * 3600)
    ending = site.run()

    assert (ending.exit, site.words(), len(twins)) == (Exit.SOME_FAILED, {"done": 2, "unsure": 1}, 2)
    (unsure,) = [row for row in site.results() if row["batcher_status"] == "unsure"]
    assert "two pieces of work carry its token" in unsure["error"]
    assert all(each in unsure["error"] for each in twins)
    assert site.posts() == 4


def test_a_title_that_the_api_has_cut_costs_nothing_twice(make_site: Callable[..., Site]) -> None:
    """Only the token is compared, which white space around a title leaves alone; where it is cut off a person decides (B9)."""
    job = {"title_token": True, "request": {"title": " {{ name }} "}}
    site = make_site(["Ann", "Bartholomew of the long name"], job=job, hostile=frozenset({"cut_titles"}))
    with pytest.raises(Killed):
        site.run(dies_after=0)
    site.clock.advance(25 * 3600)
    ending = site.run()

    assert (ending.exit, [row["batcher_status"] for row in site.results()]) == (Exit.SOME_FAILED, ["done", "unsure"])
    assert site.posts() == site.simulator.report()["creations"] == 2


def test_a_row_that_was_never_made_is_probably_not_made(make_site: Callable[..., Site]) -> None:
    """The search was exhausted: the person is told so, and still decides."""
    site = make_site(4, job={"title_token": True}, hostile=frozenset({"storms_429"}), storm=100)
    with pytest.raises(Killed):
        site.run(dies_after=0)
    site.simulator.behave(hostile=[])
    site.clock.advance(25 * 3600)
    site.run()

    assert site.words() == {"unsure": 4}
    assert all("probably not made" in row["error"] for row in site.results())


def test_a_lost_row_is_sent_again_where_the_job_says_so(make_site: Callable[..., Site]) -> None:
    """`on_lost: resend` is the person's word, given beforehand; it is a new attempt with a new key."""
    site = make_site(4, job={"on_lost": "resend"})
    with pytest.raises(Killed):
        site.run(dies_after=0)
    site.clock.advance(25 * 3600)
    ending = site.run()

    assert (ending.exit, site.words()) == (Exit.DONE, {"done": 4})
    assert len({key for _, _, key, _ in site.attempts()}) == 8


def test_a_refused_resend_does_not_undo_what_the_first_send_made(make_site: Callable[..., Site]) -> None:
    """Charged, lost, and then 429 again and again: the row keeps its attempt, its key and its day."""
    site = make_site(6)
    with pytest.raises(Killed):
        site.run(dies_after=0)
    keys = {row_id: key for row_id, _, key, _ in site.attempts()}
    site.simulator.behave(hostile=["storms_429"], storm=30)
    ending = site.run()

    check(site, ending)
    assert {row_id: key for row_id, _, key, _ in site.attempts()} == keys
    assert site.words() == {"done": 6}


# --- stops


def test_a_wrong_key_stops_before_anything(make_site: Callable[..., Site]) -> None:
    """401 at the first look; the rows wait (A19)."""
    from batcher.errors import Stopped

    site = make_site(key="the-right-one")
    with pytest.raises(Stopped, match="refuses the account"):
        site.run()
    assert site.posts() == 0


def test_credit_that_runs_out_stops_and_a_later_run_goes_on(make_site: Callable[..., Site]) -> None:
    """402 in the middle: the rest stays waiting, and nothing hammers on (A18)."""
    site = make_site(balance=5.0)
    ending = site.run()
    check(site, ending)
    assert ending.exit is Exit.STOPPED
    assert "top it up" in ending.reason
    assert site.words()["failed"] == 0
    assert site.words()["waiting"] > 5
    assert site.simulator.report()["refused"]["402"] <= 8

    site.simulator.behave(balance=500)
    ending = site.run()
    check(site, ending)
    assert (ending.exit, site.words()) == (Exit.DONE, {"done": ROWS})


def test_credit_that_runs_out_in_the_making_stops_too(make_site: Callable[..., Site]) -> None:
    """A poll can say it as well."""
    site = make_site(["[credit]", *names(30)], job={"limits": {"in_flight": 2}})
    ending = site.run()

    assert ending.exit is Exit.STOPPED
    assert "insufficient" in ending.reason.lower() or "credit" in ending.reason.lower()
    assert site.words()["waiting"] > 0
    check(site, ending)


def test_a_refusal_of_every_row_stops_after_five(make_site: Callable[..., Site]) -> None:
    """The same error five times in a row: the rest waits instead of failing (A21)."""
    site = make_site([f"[policy] {name}" for name in names(60)])
    ending = site.run()

    assert ending.exit is Exit.STOPPED
    assert "the same error 5 times in a row" in ending.reason
    assert site.words()["failed"] < 20
    assert site.words()["waiting"] > 40


def test_the_budget_stops_a_run(make_site: Callable[..., Site]) -> None:
    """Not a cent more than the job may spend."""
    site = make_site(job={"limits": {"in_flight": 50, "budget": "3 USD"}})
    ending = site.run()

    assert ending.exit is Exit.STOPPED
    assert "budget" in ending.reason
    assert sum(charge["amount"] for charge in site.simulator.charges()) <= 3.0 * 1.2
    assert site.words()["waiting"] > 0
    check(site, ending)


def test_an_interrupted_run_finishes_what_is_in_the_air(make_site: Callable[..., Site]) -> None:
    """No row is left in doubt by a polite stop (A36)."""
    site = make_site(job={"limits": {"in_flight": 5}})
    asked = iter([False] * 12)
    ending = site.run(interrupted=lambda: next(asked, True))

    assert ending.exit is Exit.INTERRUPTED
    check(site, ending)
    ledger = open_ledger(site.folder)
    assert State.SENDING not in {each.state for each in ledger.standings("greetings")}
    ledger.close()
    ending = site.run()
    check(site, ending)
    assert (ending.exit, site.words()) == (Exit.DONE, {"done": ROWS})


def test_a_run_ends_in_time(make_site: Callable[..., Site]) -> None:
    """`--for`: what is in work stays in work, and the next run goes on."""
    site = make_site(job={"limits": {"in_flight": 5}})
    ending = site.run(deadline=site.clock() + 10)

    assert ending.exit is Exit.NOT_FINISHED
    assert site.words() == {"in progress": 5, "waiting": ROWS - 5}
    check(site, ending)
    assert site.run().exit is Exit.DONE


# --- limits, at the server


def test_the_cap_of_renders_holds_at_the_server(make_site: Callable[..., Site]) -> None:
    """No request is wasted on a refusal either."""
    site = make_site(in_flight=4, job={"limits": {"in_flight": 4}})
    ending = site.run()
    report = site.simulator.report()

    check(site, ending)
    assert report["peak_in_flight"] <= 4
    assert report["refused"] == {}


def test_of_many_in_flight_a_glance_tells_which_have_ended(make_site: Callable[..., Site]) -> None:
    """Slots are free before links are read; every row gets its own links all the same, for few requests."""
    people = [name if number % 20 else "[fail]" for number, name in enumerate(names(600))]
    site = make_site(people, in_flight=150, job={"limits": {"in_flight": 150, "stop_after": "90% failed"}})
    ending = site.run()
    report = site.simulator.report()

    check(site, ending)
    assert site.words() == {"done": 570, "failed": 30}
    assert report["peak_in_flight"] <= 150
    assert report["refused"] == {}
    assert report["requests"]["GET /v3/videos/statuses"] > 5
    assert any(moved > 150 for moved in site.unread_at_once())
    looks = sum(count for route, count in report["requests"].items() if route.startswith("GET /v3/videos"))
    assert looks < 0.5 * site.rows


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long runs wait for something to happen, in seconds, pass by pass."""
    told: list[float] = []
    wait = Run._wait

    def waited(run: Run, *about: Any) -> float:
        told.append(wait(run, *about))
        return told[-1]

    monkeypatch.setattr(Run, "_wait", waited)
    return told


def test_what_is_admitted_is_on_its_way_before_more_is(
    make_site: Callable[..., Site], waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The API works on the first requests while the next are written down, and nothing is waited for in between."""
    monkeypatch.setattr(dispatcher, "AT_ONCE", 3)
    site = make_site(8)
    check(site, site.run())

    with closing(sqlite3.connect(site.folder / "state" / "loopback.db")) as db:
        query = "SELECT COUNT(*) FROM moves WHERE to_state = 'sending' GROUP BY at ORDER BY at"
        together = [count for (count,) in db.execute(query)]
    assert together[:2] == [3, 3]
    assert max(together) == 3
    assert waits[:2] == [0.0, 0.0]


def test_a_run_that_only_sends_does_not_spin_over_looks_that_it_never_takes(
    make_site: Callable[..., Site], waits: list[float]
) -> None:
    """While a rate holds it, what it has sent becomes due: that wakes nobody who does not look."""
    site = make_site(20, job={"limits": {"in_flight": 50, "submissions": "10/minute"}})
    site.run(verbs=Verbs.SUBMIT)

    assert site.posts() == 20
    assert waits.count(0.001) < 5


def test_a_reconcile_does_not_spin_over_doubts_that_only_a_sender_settles(
    make_site: Callable[..., Site], waits: list[float]
) -> None:
    """What a run died over while sending it is due at once, and stays so: a long look is waited for all the same."""
    site = make_site()
    with pytest.raises(Killed):
        site.run(dies_after=ROWS // 2)
    waits.clear()
    site.run(verbs=Verbs.RECONCILE)

    assert "sending" in {state for _, state, _, _ in site.attempts()}
    assert waits
    assert 0.001 not in waits


def test_nothing_that_is_due_wakes_a_run_whose_senders_are_all_busy(
    make_site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requests that hang for minutes leave nobody to look or to search: the run waits for an answer, and does not spin."""
    waits: list[float] = []
    wait = Run._wait

    def waited(run: Run, *about: Any) -> float:
        with monkeypatch.context() as busy:
            busy.setattr(run.senders, "free", lambda: 0)
            waits.append(wait(run, *about))
        return wait(run, *about)

    monkeypatch.setattr(Run, "_wait", waited)
    site = make_site(hostile=frozenset({"lost_answers"}))
    check(site, site.run())

    assert set(waits) == {TICK_S}


@pytest.mark.parametrize(("looks_after_s", "looks_meanwhile"), [(reconciler.SENDING_S, False), (0.0, True)])
def test_nobody_looks_while_ids_are_still_to_come(
    make_site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch, looks_after_s: float, looks_meanwhile: bool
) -> None:
    """Without limits no slot waits for a look: each page of the list is read once, unless sending takes long."""
    monkeypatch.setattr(reconciler, "SENDING_S", looks_after_s)
    site = make_site(250, render_s=0.0, in_flight=1000, job={"limits": {"in_flight": 1000}})
    check(site, site.run())
    moves = site.moves()
    last_sent = max(place for place, state in enumerate(moves) if state == "sending")

    assert ("done" in moves[:last_sent]) == looks_meanwhile
    if not looks_meanwhile:
        looks = {
            name: n for name, n in site.simulator.report()["requests"].items() if name.startswith("GET /v3/videos")
        }
        assert looks == {"GET /v3/videos": 3}


def test_what_a_page_shows_is_written_down_before_the_next_one_is_read(
    make_site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list of ten thousand takes a minute: slots are filled again, and a kill forgets nothing, in the meantime."""
    site, written = make_site(150, in_flight=200, job={"limits": {"in_flight": 200}}), threading.Event()
    record, read = SqliteLedger.record, Client.list_page
    waited: list[bool] = []

    def recorded(ledger: SqliteLedger, news: Sequence[News]) -> Sequence[News]:
        found = record(ledger, news)
        if any(each.state is State.DONE for each in found):
            written.set()
        return found

    def page(client: Client, source: ListSource, **where: Any) -> ListPage:
        if where["token"] and site.clock() > begun + 60:
            waited.append(written.wait(60))
        return read(client, source, **where)

    begun = site.clock()
    site.run(verbs=Verbs.SUBMIT)
    site.clock.advance(3600)
    monkeypatch.setattr(SqliteLedger, "record", recorded)
    monkeypatch.setattr(Client, "list_page", page)
    check(site, site.run())

    assert waited == [True]


def test_failures_among_others_that_have_ended_are_not_a_row_of_failures(make_site: Callable[..., Site]) -> None:
    """A glance learns the reasons of a few failures at once, and the links of what is finished later: these count as well."""
    people = [name if number % 12 else "[fail]" for number, name in enumerate(names(300))]
    site = make_site(people, in_flight=300, job={"limits": {"in_flight": 300, "stop_after": "90% failed"}})
    ending = site.run()

    check(site, ending)
    assert (ending.reason, site.words()) == ("", {"done": 275, "failed": 25})
    assert site.simulator.report()["requests"]["GET /v3/videos/statuses"] > 1


def test_failures_whose_reasons_come_late_are_not_a_row_of_failures(make_site: Callable[..., Site]) -> None:
    """More of them in one look than a glance asks about: what has ended between them stays between them."""
    people = [name if number % 8 else "[fail]" for number, name in enumerate(names(600))]
    limits = {"in_flight": 300, "stop_after": "90% failed"}  # by chance the first few may fail more often than the rest
    site = make_site(people, in_flight=300, spread=0.05, job={"limits": limits})
    ending = site.run()

    check(site, ending)
    assert (ending.reason, site.words()) == ("", {"done": 525, "failed": 75})


def test_a_link_that_never_comes_keeps_nobody_waiting(
    make_site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Completed, and nothing to fetch for a day: the others are made meanwhile, and it is asked for ever more seldom. Where
    nothing changes the results are not written again."""
    look = World.look

    def linkless(world: World, work: Work) -> Sight:
        sight = look(world, work)
        return replace(sight, has_link=sight.has_link and work.number != 3)

    writes, write = [0], OpenJob.write_results

    def counted(opened: OpenJob) -> Written:
        writes[0] += 1
        return write(opened)

    monkeypatch.setattr(World, "look", linkless)
    monkeypatch.setattr(OpenJob, "write_results", counted)
    site = make_site(160, in_flight=120, job={"limits": {"in_flight": 120}})
    begun = site.clock()
    ending = site.run()

    assert site.words() == {"done": 159, "in progress": 1}
    assert (ending.exit, ending.reason[:9]) == (Exit.NOT_FINISHED, "1 overdue")
    assert 86_400 < site.clock() - begun < 90_000
    assert site.simulator.report()["requests"]["GET /v3/videos/{video_id}"] < 86_400 / 60
    assert writes[0] < 10


def test_work_that_ended_long_ago_does_not_slow_down_what_follows(
    make_site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that was killed, a night in which others have made more than a list shows: its age is no render time."""
    site = make_site(260, in_flight=130, job={"limits": {"in_flight": 130}})
    site.run(verbs=Verbs.SUBMIT)
    site.clock.advance(10 * 3600)
    monkeypatch.setattr(videos, "page_of", lambda *_, **__: Shown(items=[], has_more=False, next_token=None))
    begun = site.clock()
    ending = site.run()

    check(site, ending)
    assert (ending.exit, site.words()) == (Exit.DONE, {"done": 260})
    assert site.clock() - begun < 600


def test_a_look_that_fails_is_paid_for_like_every_other(
    make_site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`at_most_every` is a promise, whatever comes of a look."""

    def broken(*_: Any, **__: Any) -> Any:
        raise Refused(500, "internal_error", "Internal server error")

    monkeypatch.setattr(videos, "page_of", broken)
    site = make_site(2, job={"poll": {"at_most_every": "10 minutes"}})
    site.run(deadline=site.clock() + 3600)

    assert site.simulator.report()["requests"]["GET /v3/videos"] <= 6


def test_a_list_that_is_broken_all_day_keeps_nothing_from_being_collected(
    make_site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bulk status and single look-ups know it as well, and looks that bring something come no later for their failure."""

    def broken(*_: Any, **__: Any) -> Any:
        raise Refused(500, "internal_error", "Internal server error")

    monkeypatch.setattr(videos, "page_of", broken)
    site = make_site(200, in_flight=120, job={"limits": {"in_flight": 120}})
    begun = site.clock()
    ending = site.run(deadline=begun + 3600)

    check(site, ending)
    assert (ending.exit, site.words()) == (Exit.DONE, {"done": 200})
    assert site.clock() - begun < 600


def test_a_cap_lower_than_ours_is_obeyed(make_site: Callable[..., Site]) -> None:
    """A concurrency 429 makes a row wait, not fail."""
    site = make_site(in_flight=2, job={"limits": {"in_flight": 6}})
    ending = site.run()

    check(site, ending)
    assert (ending.exit, site.words()) == (Exit.DONE, {"done": ROWS})


def test_the_rate_holds_at_the_server(make_site: Callable[..., Site]) -> None:
    """Counted over every window there, on its own clock (I6)."""
    site = make_site(rate="3/second", job={"limits": {"in_flight": 50, "submissions": "3/second"}})
    ending = site.run()
    report = site.simulator.report()

    check(site, ending)
    assert report["max_posts_in_second"] <= 3
    assert report["refused"] == {}


def test_a_slower_server_is_waited_for(make_site: Callable[..., Site]) -> None:
    """429 with Retry-After holds the account for the whole of it."""
    site = make_site(rate="2/second")
    ending = site.run()

    check(site, ending)
    assert (ending.exit, site.words()) == (Exit.DONE, {"done": ROWS})


# --- submit and reconcile alone


def test_submit_and_reconcile_are_the_two_halves_of_a_run(make_site: Callable[..., Site]) -> None:
    """As cron calls them."""
    site = make_site(job={"limits": {"in_flight": 8}})
    ending = site.run(verbs=Verbs.SUBMIT)
    assert ending.exit is Exit.NOT_FINISHED
    assert site.words() == {"in progress": 8, "waiting": ROWS - 8}

    for _ in range(20):
        site.clock.advance(120)
        site.run(verbs=Verbs.RECONCILE)
        ending = site.run(verbs=Verbs.SUBMIT)
        check(site, ending)
        if ending.exit is Exit.DONE:
            break
    assert site.words() == {"done": ROWS}
    assert site.posts() == ROWS


def test_reconcile_sends_nothing(make_site: Callable[..., Site]) -> None:
    """Not even what an earlier run left in doubt."""
    site = make_site()
    with pytest.raises(Killed):
        site.run(dies_after=0)
    posts = site.posts()
    ending = site.run(verbs=Verbs.RECONCILE)

    assert site.posts() == posts
    assert ending.exit is Exit.NOT_FINISHED
    check(site, ending)


def test_a_second_run_leaves_while_the_first_holds_the_job(make_site: Callable[..., Site]) -> None:
    """One run per job (L1)."""
    from batcher.ledger.lock import job_lock

    site = make_site(2)
    with job_lock(site.folder / "state" / "locks", "greetings"), pytest.raises(NotFinished, match="another run"):
        site.run()
    assert site.posts() == 0


# --- late and lost


def test_a_late_video_is_collected_days_later(make_site: Callable[..., Site]) -> None:
    """Nothing in flight is ever forgotten."""
    site = make_site(["[slow]", "Person 2"], render_s=20_000.0, spread=0.0)
    ending = site.run(deadline=site.clock() + 3600)
    assert ending.exit is Exit.NOT_FINISHED

    site.clock.advance(6 * 86400)
    ending = site.run()
    check(site, ending)
    assert (ending.exit, site.words()) == (Exit.DONE, {"done": 2})


def test_a_run_does_not_wait_for_what_is_overdue(make_site: Callable[..., Site]) -> None:
    """A video that never comes holds up no run for ever: after a day each run looks once, and leaves it to the next."""
    site = make_site(["[stuck]", "Person 2"])
    site.run(deadline=site.clock() + 3600)

    site.clock.advance(25 * 3600)
    begun = site.clock()
    ending = site.run()
    assert (ending.exit, site.words()) == (Exit.NOT_FINISHED, {"in progress": 1, "done": 1})
    assert ending.reason.startswith("1 overdue: accepted long ago")
    assert site.clock() - begun < 600
    assert site.results()[0]["error"].startswith("overdue: sent ")
    assert "however late" in site.results()[0]["what_to_do"]


def test_finished_work_without_a_link_is_told_when_it_is_overdue(make_site: Callable[..., Site]) -> None:
    """Completed, it says, and nothing to fetch: never taken for done, marked with the API's own word, collected when it comes (B6)."""
    site = make_site(2, hostile=frozenset({"late_links"}))
    site.run(verbs=Verbs.SUBMIT)
    site.clock.advance(25 * 3600)
    site.run(verbs=Verbs.RECONCILE)
    assert site.words() == {"in progress": 2}
    assert all(row["error"].endswith("still 'completed'") for row in site.results())

    ending = [site.run() for _ in range(3)][-1]  # one look at what is overdue in each
    check(site, ending)
    assert (ending.exit, site.words()) == (Exit.DONE, {"done": 2})
    assert not any(row["error"] for row in site.results())


def test_work_that_the_api_never_knows_is_failed_after_a_day(make_site: Callable[..., Site]) -> None:
    """Not at once: lists and look-ups lag behind. In the end the row says what to ask, and is not made again by itself (B3)."""
    site = make_site(2)
    site.run(verbs=Verbs.SUBMIT)
    with closing(sqlite3.connect(site.folder / "state" / "loopback.db")) as db, db:
        db.execute("UPDATE attempts SET remote_id = 'nobody' WHERE task_id = 1")
    (site.folder / "out.csv").unlink()  # it shows the id that was
    site.clock.advance(23 * 3600)
    site.run(verbs=Verbs.RECONCILE)
    assert site.words() == {"in progress": 1, "done": 1}

    site.clock.advance(2 * 3600)
    ending = site.run()
    lost = site.results()[0]
    assert (ending.exit, site.words(), site.posts()) == (Exit.SOME_FAILED, {"failed": 1, "done": 1}, 2)
    assert (lost["error_code"], lost["error"]) == ("lost", "accepted as nobody, but the API no longer knows it")
    assert "before asking for it again: it may have been charged" in lost["what_to_do"]
    check_idle(site)


def test_work_sent_before_the_job_was_changed_is_collected(make_site: Callable[..., Site]) -> None:
    """Another operation stands in the job now: what is in flight is still looked at as what it was sent."""
    site = make_site(2)
    site.run(verbs=Verbs.SUBMIT)
    job = json.loads(site.job.read_text())
    request = {
        "video": "https://files.example.com/v.mp4",
        "output_languages": ["German"],
        "title": "{{ id }} {{ name }}",
    }
    site.job.write_text(json.dumps({**job, "operation": "heygen.translation", "request": request}))
    ending = site.run()

    assert (ending.exit, site.words()) == (Exit.DONE, {"done": 2})
    assert site.simulator.report()["creations"] == 2


def test_a_person_can_ask_for_a_row_again(make_site: Callable[..., Site]) -> None:
    """A new attempt with a new key, charged again because a person wanted it."""
    site = make_site(2)
    site.run()
    ledger = open_ledger(site.folder)
    assert ledger.again([task_key("r1")], cause="again", at=site.clock()) == 1
    assert states(ledger)["r1"] is State.WAITING
    ledger.close()
    site.run()

    assert site.simulator.report()["creations"] == 3
    assert [row["attempts"] for row in site.results()] == ["2", "1"]


def test_a_clock_set_back_in_between_pays_nothing_twice(make_site: Callable[..., Site]) -> None:
    """Two hours back after a kill: it cannot tell the age of the keys, so nothing is resent blindly (L11)."""
    site = make_site(8, job={"title_token": True})
    with pytest.raises(Killed):
        site.run(dies_after=0)
    site.clock._ahead_s -= 7200
    ending = site.run()

    assert (ending.exit, site.words()) == (Exit.DONE, {"done": 8})
    assert site.simulator.report()["creations"] == 8
