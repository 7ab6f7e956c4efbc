"""Rows that go together in one request: paid once each, whatever becomes of the request, its answer, or its items."""

from __future__ import annotations

import json
import shutil
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from support import Hurry, Killed, accept, admit, names, news, plan, rows, states, write_job
from test_run import Site, check_idle

from batcher import dispatcher, reconciler
from batcher.answers import items_read
from batcher.api.batch import BatchSeen, Item
from batcher.api.client import Client
from batcher.catalog.load import provider_of
from batcher.ending import Verbs
from batcher.errors import Exit, InputError, LedgerError, NotRecorded
from batcher.ledger.sqlite import SqliteLedger
from batcher.ledger.unrecorded import Unrecorded, line_of
from batcher.ledger.values import News
from batcher.model import Attempt, Outcome, State, TaskKey
from batcher.senders import Returned, ThreadedSenders
from batcher.simulator import Behaviour, Running, contract, start
from batcher.simulator.limits import LIMITS

ROWS = 24
VIDEO = {"type": "avatar", "avatar_id": "look_abigail_office", "title": "For {{ id }}", "script": "{{ name }}"}
TRANSLATION = {
    "video": "https://files.example.com/v.mp4",
    "output_languages": ["German"],
    "title": "For {{ id }} {{ name }}",
}
REQUESTS = {"heygen.video": VIDEO, "heygen.translation": TRANSLATION}


@pytest.fixture
def make_site(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """A job that sends ten rows in one request, and a simulator that behaves as told."""
    running: list[Running] = []

    def make(people: list[str] | None = None, *, operation: str = "heygen.translation", **behaviour: Any) -> Site:
        running.append(start(Behaviour(**{"render_s": 30.0, "in_flight": 50, **behaviour})))
        people = people or names(ROWS)
        job = write_job(tmp_path, people, operation=operation, limits={"batch": 10})
        text = job.read_text().replace('"template_id": "tpl_welcome",', "")
        job.write_text(_with_request(text, REQUESTS[operation]))
        return Site(tmp_path, running[-1], job, len(people))

    yield make
    for each in running:
        each.stop()


def _with_request(job: str, request: dict[str, Any]) -> str:
    return json.dumps({**json.loads(job), "request": request})


def check(site: Site, ending: Any) -> None:
    """No row is charged twice, none forgotten, none shows another's work, and the rows add up."""
    charges = site.simulator.report()["charges"]
    charged = Counter(charge["title"].split()[1] for charge in charges)
    assert max(charged.values(), default=0) <= 1, charged
    rows = {row["id"]: row for row in site.results()}
    assert all(rows[row_id]["batcher_status"] not in ("waiting", "invalid") for row_id in charged)
    made = {charge["id"]: charge["title"].split()[1] for charge in charges}
    assert all(made[row["video_id"]] == row["id"] for row in rows.values() if row["batcher_status"] == "done")
    assert ending.tally.identity().endswith("✓")


def requests(site: Site, route: str) -> int:
    """How often it was asked."""
    asked: int = site.simulator.report()["requests"].get(route, 0)
    return asked


# --- the straight road


@pytest.mark.parametrize("operation", REQUESTS)
def test_rows_go_together_and_each_is_made_once(make_site: Callable[..., Site], operation: str) -> None:
    """24 rows in batches of ten are three requests."""
    site = make_site(operation=operation)
    ending = site.run()

    check(site, ending)
    assert (ending.exit, site.words()) == (Exit.DONE, {"done": ROWS})
    assert site.posts() == 3
    check_idle(site)


def test_answers_to_a_batch_that_could_not_be_recorded_are_read_back(ledger: SqliteLedger, tmp_path: Path) -> None:
    """Its attempts share one key: each id finds its own row again, and the batch its own id."""
    plan(ledger, *rows(3))
    attempts = admit(ledger, batch={"heygen.template": 3}).attempts
    kept = Unrecorded(tmp_path / "ledger.db", "greetings")
    said = [news(attempts[0], State.SENDING, batch_id="b-1")]
    said += [news(attempt, State.IN_PROGRESS, remote_id=f"v{attempt.place}") for attempt in attempts[1:]]
    kept.keep([line_of(attempt, each) for attempt, each in zip(attempts, said, strict=True)])

    assert kept.read_back(ledger) == 3
    assert [(each.key.row_id, each.remote_id) for each in ledger.in_flight("greetings", "account-1")] == [
        ("r2", "v1"), ("r3", "v2")
    ]  # fmt: skip
    assert [(each.task.row_id, each.batch_id) for each in ledger.in_doubt("greetings", "account-1")] == [("r1", "b-1")]


def test_a_window_counts_a_batch_as_one_request_and_slots_count_its_items(ledger: SqliteLedger) -> None:
    """What the API limits is requests a second, and work at once."""
    plan(ledger, *rows(9))
    admitted = admit(ledger, batch={"heygen.template": 4}, in_flight=6, at_most=2)
    assert [(attempt.place, attempt.size) for attempt in admitted.attempts] == [
        (0, 4), (1, 4), (2, 4), (3, 4), (0, 2), (1, 2)
    ]  # fmt: skip
    assert len({attempt.key for attempt in admitted.attempts}) == 2


def test_a_budget_counts_the_items_of_a_batch(ledger: SqliteLedger) -> None:
    """The batch is as large as the money reaches."""
    plan(ledger, *rows(9, estimate=1.0))
    assert len(admit(ledger, batch={"heygen.template": 100}, budget=3.0).attempts) == 3


def test_a_batch_is_sent_again_whole_and_in_its_order(ledger: SqliteLedger) -> None:
    """The same bodies in the same order under the same key, whichever of them is in doubt; counted once."""
    plan(ledger, *rows(5))
    first = admit(ledger, batch={"heygen.template": 5}).attempts
    doubtful = [first[3].attempt_id, first[1].attempt_id]
    again = admit(ledger, 1.0, batch={"heygen.template": 5}, resend=doubtful).attempts

    assert [(each.body, each.key, each.place) for each in again] == [
        (each.body, each.key, each.place) for each in first
    ]
    assert {each.sends for each in again} == {2}


def test_a_batch_that_was_never_made_is_a_new_one_the_next_time(ledger: SqliteLedger) -> None:
    """The old key would bring the old answer again: that its items could not be made. What never was a batch has no old answer."""
    plan(ledger, *rows(2))

    def begin(batch_id: str) -> tuple[str, list[str]]:
        attempts = admit(ledger, batch={"heygen.template": 2}).attempts
        said = [news(attempt, State.SENDING, batch_id=batch_id) for attempt in attempts if batch_id]
        ledger.record([*said, *(news(attempt, State.WAITING) for attempt in attempts)])
        return attempts[0].key, [each.body for each in attempts]

    refused, first, second = begin(""), begin("b-1"), begin("b-2")
    assert refused == first
    assert second[1] == first[1]
    assert second[0] != first[0]


@pytest.mark.parametrize("credit", [500.0, 12.0])
def test_a_lost_ledger_costs_nothing_where_rows_went_together(make_site: Callable[..., Site], credit: float) -> None:
    """
    The key of a batch is that of its rows. Where the credit ran out on some of them, the batches that there were come
    back one after the other, each with what it had to say.
    """
    site = make_site(balance=credit)
    site.run()
    site.simulator.behave(balance=500.0)
    site.run()
    made = site.simulator.report()["creations"]

    shutil.rmtree(site.folder / "state")
    (site.folder / "out.csv").unlink()
    endings = [site.run() for _ in range(1 if credit == 500.0 else 2)]

    check(site, endings[-1])
    assert (made, site.simulator.report()["creations"]) == (ROWS, ROWS)
    assert (endings[-1].exit, site.words()) == (Exit.DONE, {"done": ROWS})


def test_the_id_of_a_batch_outlives_the_process(tmp_path: Path) -> None:
    """Its items have no ids yet; where to ask for them is known."""
    ledger = SqliteLedger(tmp_path / "ledger.db")
    plan(ledger, *rows(3))
    attempts = admit(ledger, batch={"heygen.template": 3}).attempts
    ledger.record([news(attempts[0], State.SENDING, batch_id="b-1")])
    accept(ledger, attempts[1])
    ledger.close()

    reopened = SqliteLedger(tmp_path / "ledger.db")
    left = reopened.in_doubt("greetings", "account-1")
    assert [(each.batch_id, each.place, each.size) for each in left] == [("b-1", 0, 3), ("b-1", 2, 3)]
    reopened.close()


# --- refusals


def test_a_refused_item_fails_alone(make_site: Callable[..., Site]) -> None:
    """With the reason and the advice that a request of its own would have brought."""
    site = make_site([*names(8), "[policy]", *names(8)])
    ending = site.run()

    check(site, ending)
    assert (ending.exit, site.words()) == (Exit.SOME_FAILED, {"done": 16, "failed": 1})
    failed = site.results()[8]
    assert (failed["error_code"], bool(failed["what_to_do"])) == ("content_policy_violation", True)
    check_idle(site)


@pytest.fixture
def short_titles(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A simulator that has become stricter than our catalogue knows."""
    for route, at in (("", ""), ("/batches", "video_translations.[].")):
        name = f"POST /v3/video-translations{route}"
        monkeypatch.setitem(LIMITS, name, {**LIMITS[name], f"{at}title": {"maxLength": 250}})  # type: ignore[misc]
    contract._validator.cache_clear()
    yield
    contract._validator.cache_clear()


@pytest.mark.usefixtures("short_titles")
def test_a_batch_that_is_refused_whole_goes_one_by_one(make_site: Callable[..., Site]) -> None:
    """One body of a form that the API forbids must not fail the others: each gets an answer of its own."""
    site = make_site([*names(8), "x" * 300, *names(18)])
    ending = site.run()

    check(site, ending)
    assert (ending.exit, site.words()) == (Exit.SOME_FAILED, {"done": 26, "failed": 1})
    assert site.results()[8]["error"].startswith("title")
    assert requests(site, "POST /v3/video-translations") == 10


def test_items_for_which_the_credit_does_not_reach_wait(make_site: Callable[..., Site]) -> None:
    """They were never made: filled up, the wallet pays for them, and only for them."""
    site = make_site(balance=12.0)
    ending = site.run()
    assert ending.exit is Exit.STOPPED
    check(site, ending)
    assert set(site.words()) == {"done", "waiting"}

    site.simulator.behave(balance=500.0)
    ending = site.run()
    check(site, ending)
    assert (ending.exit, site.words()) == (Exit.DONE, {"done": ROWS})


# --- items whose ids come late


def test_items_that_wait_for_their_turn_get_their_ids_later(make_site: Callable[..., Site]) -> None:
    """The API takes a batch that is larger than its slots; what it has not begun has no id."""
    site = make_site(in_flight=3)
    ending = site.run()

    check(site, ending)
    assert (ending.exit, site.words()) == (Exit.DONE, {"done": ROWS})
    assert requests(site, "POST /v3/video-translations/batches") == 3


def test_reconcile_collects_the_ids_that_submit_did_not_wait_for(make_site: Callable[..., Site]) -> None:
    """Sent, looked at once, and left to the next command."""
    site = make_site(in_flight=3)
    assert site.run(verbs=Verbs.SUBMIT).exit is Exit.NOT_FINISHED
    posts = site.posts()
    for _ in range(30):
        site.clock.advance(60.0)
        ending = site.run(verbs=Verbs.RECONCILE)
        if ending.exit is Exit.DONE:
            break
    check(site, ending)
    assert (site.words(), site.posts()) == ({"done": ROWS}, posts)


def test_an_item_that_is_finished_by_then_is_written_down_with_its_id(make_site: Callable[..., Site]) -> None:
    """Once instead of twice; when it was accepted is known all the same, and nothing is asked twice for it."""
    site = make_site(render_s=0.0, spread=0.0)
    ending = site.run()

    check(site, ending)
    assert (ending.exit, site.words()) == (Exit.DONE, {"done": ROWS})
    assert column(site, "SELECT DISTINCT from_state || ' > ' || to_state FROM moves WHERE from_state <> ''") == [
        "waiting > sending",
        "sending > done",
    ]
    assert column(site, "SELECT 1 FROM attempts WHERE accepted_at > completed_at OR remote_id = ''") == []
    check_idle(site)


def test_ids_are_written_down_while_the_items_are_in_the_making(make_site: Callable[..., Site]) -> None:
    """A second after they came, or as the run ends: whoever looks into the ledger meanwhile finds them there."""
    site = make_site()
    site.run(deadline=site.clock() + 10.0)
    assert column(site, "SELECT state FROM attempts WHERE remote_id = ''") == []

    site.clock.advance(60.0)
    ending = site.run()
    check(site, ending)
    assert column(site, "SELECT COUNT(*) FROM moves WHERE from_state = 'sending' AND to_state = 'in progress'") == [
        ROWS
    ]


def test_of_two_items_with_one_id_it_is_the_first_ones(
    make_site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Although the ledger has heard of neither: the second one is a person's matter."""
    site, look = make_site(), dispatcher.look_into

    def mixed_up(*args: Any) -> BatchSeen:
        found = look(*args)
        return replace(found, items={**found.items, 1: found.items[0]})

    monkeypatch.setattr(dispatcher, "look_into", mixed_up)
    site.run()

    words = {row["id"]: row["batcher_status"] for row in site.results()}
    assert [row_id for row_id, word in words.items() if word == "unsure"] == ["r2", "r12", "r22"]
    assert set(words.values()) == {"done", "unsure"}


@pytest.mark.parametrize("render_s", [0.0, 300.0])
def test_an_id_that_a_finished_row_has_is_not_taken_from_it(make_site: Callable[..., Site], render_s: float) -> None:
    """Whether the work behind it is finished when the id comes, or much later: the row is a person's matter."""
    site = make_site(render_s=render_s, spread=0.0)
    site.run(verbs=Verbs.SUBMIT)
    with closing(sqlite3.connect(site.folder / "state" / "loopback.db")) as db, db:
        one, other = (
            db.execute(
                "SELECT attempt_id, task_id, remote_id FROM attempts WHERE place = ? LIMIT 1", (place,)
            ).fetchone()
            for place in (0, 1)
        )
        db.execute("UPDATE attempts SET state = 'done', remote_id = ? WHERE attempt_id = ?", (other[2], one[0]))
        db.execute("UPDATE tasks SET state = 'done' WHERE task_id = ?", (one[1],))
        db.execute("UPDATE attempts SET state = 'sending', remote_id = '' WHERE attempt_id = ?", (other[0],))
        db.execute("UPDATE tasks SET state = 'sending' WHERE task_id = ?", (other[1],))
    (site.folder / "out.csv").unlink()  # it shows the ids as they were
    ending = site.run()

    assert ending.tally.words == {"done": ROWS - 1, "unsure": 1}
    (unsure,) = [row for row in site.results() if row["batcher_status"] == "unsure"]
    assert (unsure["error_code"], unsure["video_id"], unsure["video_url"]) == ("duplicate_id", "", "")
    check_idle(site)


@pytest.mark.parametrize("render_s", [0.0, 300.0])
def test_a_ledger_that_fails_for_an_instant_costs_no_id(
    make_site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch, render_s: float
) -> None:
    """It fails as ids are to be written down, and works again when a look comes back that was under way."""
    site = make_site(render_s=render_s, spread=0.0)
    failed = threading.Event()
    look, record = reconciler.look_at_all, SqliteLedger.record

    def late(looks: Any) -> Any:
        failed.wait(60)
        yield from look(looks)

    def failing(ledger: SqliteLedger, news: Sequence[News]) -> Sequence[News]:
        if not failed.is_set() and any(each.remote_id for each in news):
            failed.set()
            raise LedgerError("cannot be written for an instant")
        return record(ledger, news)

    monkeypatch.setattr(reconciler, "look_at_all", late)
    monkeypatch.setattr(SqliteLedger, "record", failing)
    with pytest.raises(LedgerError, match="for an instant"):
        site.run()
    assert column(site, "SELECT state FROM attempts WHERE remote_id = '' AND state <> 'sending'") == []

    site.clock.advance(400.0)
    ending = site.run()
    check(site, ending)
    assert (ending.exit, site.words()) == (Exit.DONE, {"done": ROWS})


@pytest.mark.parametrize("failures", [1, 1000])
def test_a_ledger_that_cannot_be_read_costs_no_id(
    make_site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch, failures: int
) -> None:
    """It fails over the first id of all, while the answer to another batch has come back with it."""
    site = make_site(render_s=300.0)
    looked, left, posts = threading.Event(), iter(range(failures)), iter(range(3))
    submit, look, collect = Client.submit_batch, dispatcher.look_into, ThreadedSenders.collect

    def submitted(client: Client, *args: Any, **kwargs: Any) -> str:
        is_last, batch_id = next(posts) == 2, submit(client, *args, **kwargs)
        if is_last:
            looked.wait(60)
        return batch_id

    def seen(*args: Any) -> BatchSeen:
        found = look(*args)
        looked.set()
        return found

    def together(senders: ThreadedSenders, *, wait_s: float) -> list[Returned]:
        got = collect(senders, wait_s=wait_s)
        while looked.is_set() and senders.under_way():
            got += collect(senders, wait_s=1.0)
        return got

    def failing(*_: object) -> Sequence[float]:
        if next(left, None) is None:
            return ()
        raise LedgerError("cannot be read")

    with monkeypatch.context() as patch:
        patch.setattr(Client, "submit_batch", submitted)
        patch.setattr(dispatcher, "look_into", seen)
        patch.setattr(ThreadedSenders, "collect", together)
        patch.setattr(SqliteLedger, "render_times", failing)
        with pytest.raises(LedgerError):
            site.run()

    site.clock.advance(400.0)
    ending = site.run()
    check(site, ending)
    assert (ending.exit, site.words(), site.posts()) == (Exit.DONE, {"done": ROWS}, 3)


def test_ids_that_cannot_be_written_down_are_kept_beside_the_ledger(
    make_site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that have waited, and those that come while the run ends; the next one reads them back."""
    site = make_site(render_s=300.0)
    record, is_full = SqliteLedger.record, threading.Event()

    def full(ledger: SqliteLedger, news: Sequence[News]) -> Sequence[News]:
        if is_full.is_set() or any(each.remote_id for each in news):
            is_full.set()
            raise LedgerError("full")
        return record(ledger, news)

    with monkeypatch.context() as patch:
        patch.setattr(SqliteLedger, "record", full)
        with pytest.raises(NotRecorded, match=f"{ROWS} answers could not be recorded"):
            site.run()
    (kept,) = (site.folder / "state").glob("*-unrecorded-*.jsonl")
    ids = {json.loads(line)["remote_id"] for line in kept.read_text().splitlines()}
    assert ids == {charge["id"] for charge in site.simulator.report()["charges"]}

    site.clock.advance(400.0)
    check(site, site.run())
    assert site.words() == {"done": ROWS}


def column(site: Site, query: str) -> list[Any]:
    """The first column of what the ledger tells."""
    with closing(sqlite3.connect(site.folder / "state" / "loopback.db")) as db:
        return [value for (value,) in db.execute(query)]


@pytest.mark.parametrize("is_shown", [True, False])
def test_an_item_that_never_gets_an_id_is_a_persons_matter(make_site: Callable[..., Site], is_shown: bool) -> None:
    """A day after it was taken it is unsure, with the batch to ask about; `on_lost: resend` is not for what was accepted."""
    site = make_site(in_flight=3, render_s=40 * 3600.0, spread=0.0)
    site.job.write_text(json.dumps({**json.loads(site.job.read_text()), "on_lost": "resend"}))
    assert site.run(verbs=Verbs.SUBMIT).exit is Exit.NOT_FINISHED
    site.clock.advance(23 * 3600.0)
    site.run(verbs=Verbs.RECONCILE)
    assert set(site.words()) == {"in progress"}

    site.clock.advance(2 * 3600.0)
    if not is_shown:
        with closing(sqlite3.connect(site.folder / "state" / "loopback.db")) as db, db:
            db.execute("UPDATE submissions SET batch_id = 'b_none'")
    site.run(verbs=Verbs.RECONCILE)
    ending = site.run(deadline=site.clock() + 60.0)

    check(site, ending)
    assert site.words() == {"in progress": 3, "unsure": ROWS - 3}
    assert site.posts() == 3
    why = {row["error"] for row in site.results() if row["batcher_status"] == "unsure"}
    assert all("its id has never come (accepted in batch" in each and "never resent blindly" in each for each in why)


# --- lost answers and kills

FAULTS = (
    "lost_answers",
    "half_answers",
    "errors_500",
    "html_200",
    "storms_429",
    "regress",
    "late_links",
    "missing_pages",
)


@pytest.mark.parametrize("mode", FAULTS)
def test_every_item_is_made_once_in_spite_of(make_site: Callable[..., Site], mode: str) -> None:
    """The key of the batch brings the same batch again."""
    site = make_site(hostile=frozenset({mode}), seed=5)
    ending = site.run()

    check(site, ending)
    assert (ending.exit, site.words()) == (Exit.DONE, {"done": ROWS})
    check_idle(site)


@pytest.mark.parametrize("seed", range(4))
def test_without_a_key_a_lost_batch_is_never_sent_again(make_site: Callable[..., Site], seed: int) -> None:
    """It is searched for by the tokens in its titles; what is not found is a person's matter."""
    site = make_site(operation="heygen.video", hostile=frozenset({"lost_answers", "batch_key_ignored"}), seed=seed)
    ending = site.run()

    check(site, ending)
    assert set(site.words()) <= {"done", "unsure"}
    assert site.posts() == 3


def test_one_id_for_two_batches_is_a_persons_matter(make_site: Callable[..., Site]) -> None:
    """A batch that shows other rows' work in its places: no row takes what another has (A24)."""
    site = make_site(hostile=frozenset({"duplicate_id"}))
    job = json.loads(site.job.read_text())
    site.job.write_text(json.dumps({**job, "limits": {**job["limits"], "submissions": "1/second"}}))
    ending = site.run()

    check(site, ending)
    assert (ending.exit, site.words()) == (Exit.SOME_FAILED, {"done": 14, "unsure": 10})


@pytest.mark.parametrize("dies_after", range(9))
@pytest.mark.parametrize("operation", REQUESTS)
def test_a_killed_run_goes_on_where_it_was(make_site: Callable[..., Site], operation: str, dies_after: int) -> None:
    """After any answer: the POST's, the look into the batch, the sweep."""
    site = make_site(operation=operation)
    with pytest.raises(Killed):
        site.run(dies_after=dies_after)
    ending = site.run()

    check(site, ending)
    assert (ending.exit, site.words()) == (Exit.DONE, {"done": ROWS})


# --- answers that do not fit

BATCH = "b-1"


def batch_of(size: int) -> list[Attempt]:
    """The attempts of an accepted batch."""
    return [
        Attempt(
            attempt_id=place + 1,
            task=TaskKey(job="j", row_id=f"r{place}"),
            row_number=place + 2,
            operation="heygen.video",
            number=1,
            path="/",
            body="{}",
            key="k",
            token="t",
            place=place,
            size=size,
            batch_id=BATCH,
            submission_id=1,
        )
        for place in range(size)
    ]


def item(remote_id: str) -> Item:
    """An item under way."""
    return Item(remote_id=remote_id, outcome=Outcome(state=State.IN_PROGRESS, word="processing"))


def read(seen: BatchSeen, size: int = 3) -> dict[int, tuple[State, str]]:
    """Place to what becomes of it; what is left open is not in it."""
    provider = provider_of("heygen.video")
    assert provider is not None
    found = items_read(batch_of(size), seen, provider.errors, now=0.0)
    return {each.attempt_id - 1: (each.state, each.remote_id) for each in found.news}


def test_items_are_known_by_their_index_and_not_by_their_order() -> None:
    """A mixed-up answer mixes up nothing."""
    seen = BatchSeen(items={2: item("c"), 0: item("a"), 1: item("b")}, total=3)
    assert {place: remote_id for place, (_, remote_id) in read(seen).items()} == {0: "a", 1: "b", 2: "c"}


def test_an_answer_that_is_short_is_asked_for_again() -> None:
    """Nothing is concluded about an item that is not shown."""
    assert read(BatchSeen(items={1: item("b")}, total=3)) == {1: (State.IN_PROGRESS, "b")}


@pytest.mark.parametrize("total", [2, 4])
def test_a_batch_of_another_size_is_a_persons_matter(total: int) -> None:
    """Where the API counts other items than were sent, no index can be trusted."""
    seen = BatchSeen(items={place: item(f"v{place}") for place in range(total)}, total=total)
    assert set(read(seen).values()) == {(State.UNSURE, "")}


def test_two_items_in_one_place_are_a_persons_matter() -> None:
    """The others are not."""
    seen = BatchSeen(items={place: item(f"v{place}") for place in range(3)}, twice=frozenset({1}), total=3)
    assert read(seen) == {0: (State.IN_PROGRESS, "v0"), 1: (State.UNSURE, ""), 2: (State.IN_PROGRESS, "v2")}


def test_one_id_for_two_items_is_flagged(ledger: SqliteLedger) -> None:
    """Within one answer as over two."""
    plan(ledger, *rows(2))
    one, two = admit(ledger, batch={"heygen.template": 2}).attempts
    ledger.record([news(one, State.IN_PROGRESS, remote_id="same"), news(two, State.IN_PROGRESS, remote_id="same")])
    assert states(ledger) == {"r1": State.IN_PROGRESS, "r2": State.UNSURE}


def test_batches_are_refused_where_the_operation_has_none(tmp_path: Path) -> None:
    """With the place in the job file."""
    from support import run_job

    job = write_job(tmp_path, names(2), limits={"batch": 10})
    with start(Behaviour()) as simulator, pytest.raises(InputError, match="has no batches"):
        run_job(job, simulator.url, clock=Hurry(simulator))
