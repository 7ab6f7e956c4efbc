"""The ledger in PostgreSQL: what its contract does not say because a file cannot do it, or does it by itself."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import psycopg
import pytest
from support import ACCOUNT, JOB, accept, admit, asked, job_record, news, plan, prepare, rows, states, wish

from batcher.cluster.queue import Queue
from batcher.errors import Exit, LedgerError, LedgerUnreachable
from batcher.ledger.attendance import roster
from batcher.ledger.postgres import PostgresLedger
from batcher.ledger.schema import SCHEMA_VERSION
from batcher.ledger.server import CLOCKS_APART_S, connected, shown
from batcher.ledger.values import Admitted, Asked, Candidate, Prepared
from batcher.model import Attempt, State
from batcher.units import Rate
from cluster.server import Server

pytestmark = pytest.mark.cluster

T = TypeVar("T")
Open = Callable[[], PostgresLedger]


@pytest.fixture
def open_ledger(postgres: str, schema: str) -> Iterator[Open]:
    """Opens the test's ledger over a connection of its own, as another machine would."""
    opened: list[PostgresLedger] = []

    def open_it() -> PostgresLedger:
        opened.append(PostgresLedger(postgres, schema=schema))
        return opened[-1]

    yield open_it
    for each in opened:
        each.close()


@pytest.fixture
def raw(postgres: str, schema: str) -> Iterator[psycopg.Connection]:
    """What stands in the tables, without any code of ours in between."""
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"SET search_path = {schema}".encode())
        yield connection


def at_once(count: int, work: Callable[[int], T]) -> list[T]:
    """Do it in that many threads, which begin together."""
    begin = threading.Barrier(count)

    def wait_and_work(number: int) -> T:
        begin.wait(timeout=30)
        return work(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(wait_and_work, range(count)))


@pytest.fixture
def wait_for_lock(raw: psycopg.Connection) -> Callable[[PostgresLedger], None]:
    """Returns when the ledger's connection waits for a lock that another one has."""

    def wait(ledger: PostgresLedger) -> None:
        query = "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = %s"
        pid = ledger._connection.info.backend_pid
        assert any(raw.execute(query, (pid,)).fetchone() == (True,) for _ in range(50_000))

    return wait


# --- opening


def test_a_ledger_is_made_once_by_many_that_need_it(open_ledger: Open) -> None:
    """Workers start together, on the first day too."""
    ledgers = at_once(6, lambda _: open_ledger())
    plan(ledgers[0], *rows(1))

    assert all(states(each) == {"r1": State.WAITING} for each in ledgers)


def test_a_schema_of_somebody_else_is_left_alone(postgres: str, schema: str, raw: psycopg.Connection) -> None:
    """An address that points at something else must not be taken for an empty place."""
    raw.execute(f"CREATE SCHEMA {schema}".encode())
    raw.execute("CREATE TABLE recipes (name TEXT)")

    with pytest.raises(LedgerError, match="used, but not by a ledger of batcher; point BATCHER_STATE elsewhere"):
        PostgresLedger(postgres, schema=schema)
    assert raw.execute(
        "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = %s", (schema,)
    ).fetchone() == (1,)


def test_a_newer_ledger_is_refused(open_ledger: Open, raw: psycopg.Connection) -> None:
    """An older program would not understand what it must not send."""
    open_ledger()
    raw.execute("UPDATE ledger_version SET version = version + 1")

    with pytest.raises(LedgerError, match=rf"newer batcher \(version {SCHEMA_VERSION + 1}\); upgrade batcher"):
        open_ledger()


def test_commits_are_durable_whatever_the_server_prefers(postgres_server: Server, schema: str) -> None:
    """A commit that a power cut forgets is paid for twice."""
    address = postgres_server.new_database(f"d{schema}")
    with connected(address) as connection:
        connection.execute(f"ALTER DATABASE d{schema} SET synchronous_commit = off".encode())
    ledger = PostgresLedger(address)
    with ledger._reading() as db:
        (setting,) = db.execute("SELECT current_setting('synchronous_commit')").fetchone()
    ledger.close()

    assert setting == "on"


def test_a_database_that_cannot_keep_every_name_is_refused(postgres_server: Server, schema: str) -> None:
    """It would lose rows with an umlaut, or with an emoji, when they come."""
    with connected(postgres_server.address()) as connection:
        connection.execute(
            f"CREATE DATABASE l{schema} TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'".encode()
        )

    with pytest.raises(LedgerError, match="keeps text as LATIN1; a ledger needs one made as UTF8"):
        PostgresLedger(postgres_server.address(f"l{schema}"))


def test_a_server_that_is_away_is_no_reason_to_edit_anything() -> None:
    """The same again goes on, later; and no password is told."""
    with pytest.raises(LedgerUnreachable, match="the ledger cannot be reached") as caught:
        PostgresLedger("postgresql://batcher:s3cret@127.0.0.1:1/ledger")

    assert caught.value.exit is Exit.NOT_FINISHED
    assert "s3cret" not in str(caught.value)
    assert str(caught.value).startswith("postgresql://127.0.0.1:1/ledger")


def test_a_server_that_does_not_let_us_in_wants_an_edit(postgres_server: Server) -> None:
    """To run again later would bring the same again."""
    with pytest.raises(LedgerError, match='database "nowhere" does not exist') as caught:
        PostgresLedger(postgres_server.address("nowhere"))

    assert caught.value.exit is Exit.EDIT


def test_a_user_without_rights_is_told_so(postgres_server: Server, schema: str) -> None:
    """By the ledger and by whoever asks for workers; it is no fault of batcher's, and no jargon of the database's."""
    address = postgres_server.new_database(schema)
    PostgresLedger(address).close()
    Queue(address).close()
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {schema}_guest LOGIN".encode())
    guest = address.replace("//batcher@", f"//{schema}_guest@")
    for ask in (lambda: PostgresLedger(guest), lambda: roster(guest)):
        with pytest.raises(LedgerError, match="the database does not let this user in") as caught:
            ask()
        assert caught.value.exit is Exit.EDIT
        assert "LINE" not in str(caught.value)


def test_an_address_that_cannot_be_read_is_told_without_its_password() -> None:
    """A mistake in it is often a special character of the password."""
    with pytest.raises(LedgerError, match="expected postgresql://user@host:5432/database") as caught:
        shown("postgresql://batcher:s3%cret@db/ledger")

    assert "cret" not in str(caught.value)


# --- many at once


def test_windows_and_tasks_are_exact_over_all_who_send(open_ledger: Open) -> None:
    """Eight machines ask at once, again and again: never more than the window holds, and no row twice."""
    plan(open_ledger(), *rows(300))

    def ask(number: int) -> list[Attempt]:
        ledger, got = open_ledger(), []
        for again in range(8):
            now = 100.0 + again * 0.01
            got += admit(ledger, now, at_most=5, windows=[Rate(count=120, window_s=60.0)], holder=f"w{number}").attempts
        return got

    sent = [attempt for got in at_once(8, ask) for attempt in got]

    assert len(sent) == 120
    assert len({each.task.row_id for each in sent}) == 120
    assert len({each.attempt_id for each in sent}) == 120


def test_a_window_is_kept_where_the_clocks_of_two_machines_differ(open_ledger: Open) -> None:
    """Who writes the answer down may be behind who asks next, by as much as clocks can be apart that one database has set."""
    here, there = open_ledger(), open_ledger()
    plan(here, *rows(2))
    window = [Rate(count=1, window_s=1.0)]
    (attempt,) = admit(here, 10.0, windows=window).attempts
    accept(here, attempt, at=10.5)

    early = admit(there, 11.5 + CLOCKS_APART_S / 2, windows=window)
    assert (early.attempts, early.until) == ([], pytest.approx(11.5 + CLOCKS_APART_S))
    assert len(admit(there, 11.5 + 2 * CLOCKS_APART_S, windows=window).attempts) == 1


def test_slots_are_exact_over_all_who_send(open_ledger: Open) -> None:
    """What one machine has in work, no other may have as well."""
    plan(open_ledger(), *rows(100))
    found = at_once(6, lambda _: [*admit(open_ledger(), at_most=10, in_flight=25).attempts])

    assert sum(map(len, found)) == 25


def test_a_budget_is_exact_over_all_accounts_of_a_job(open_ledger: Open) -> None:
    """Two keys work on one job: together they spend no more than it may."""
    plan(open_ledger(), *rows(100, estimate=1.0))
    found = at_once(6, lambda n: [*admit(open_ledger(), at_most=10, budget=30.0, account=f"key-{n}").attempts])

    assert sum(map(len, found)) == 30


def test_news_from_many_sides_never_wait_for_each_other_in_a_circle(open_ledger: Open) -> None:
    """Sweeps of several workers see the same videos, each in its own order; every one is recorded once."""
    ledger = open_ledger()
    plan(ledger, *rows(40))
    sent = admit(ledger, at_most=40).attempts
    for each in sent:
        accept(ledger, each)

    def tell(number: int) -> None:
        mine = open_ledger()
        for turn in range(5):
            order = sorted(sent, key=lambda each: hash((each.attempt_id * 7919, number, turn)))
            mine.record([news(each, State.DONE, 5.0) for each in order])

    at_once(6, tell)

    assert set(states(ledger).values()) == {State.DONE}
    with ledger._reading() as db:
        assert db.execute("SELECT COUNT(*) FROM moves WHERE to_state = 'done' AND from_state <> 'done'").fetchone() == (
            40,
        )


def test_a_job_that_is_planned_is_not_sent_before_its_plan_is_whole(
    open_ledger: Open, wait_for_lock: Callable[[PostgresLedger], None]
) -> None:
    """Another worker that asks in the middle waits, and then sends what the new plan says."""
    ledger, other = open_ledger(), open_ledger()
    plan(ledger, *rows(3, body='{"old":1}'))
    record = job_record(rows=3)

    with ThreadPoolExecutor(1) as pool:
        answers: list[Future[Admitted]] = []

        def tasks() -> Iterator[Asked]:
            new = list(asked(ledger, *rows(3, body='{"new":1}', input_hash="new")))
            yield new[0]
            answers.append(pool.submit(admit, other))
            wait_for_lock(other)
            yield from new[1:]

        ledger.plan(JOB, tasks(), lambda: record, at=1.0)
        (answer,) = answers

    assert [each.body for each in answer.result().attempts] == ['{"new":1}'] * 3


def test_of_several_who_find_the_same_dead_worker_one_takes_over(open_ledger: Open) -> None:
    """Each piece of lost work is looked for by one of them."""
    ledger = open_ledger()
    plan(ledger, *rows(20))
    ledger.alive("dead", at=0.0, until=10.0)
    left = admit(ledger, at_most=20, holder="dead").attempts

    def take(number: int) -> list[int]:
        mine = open_ledger()
        mine.alive(f"w{number}", at=20.0, until=90.0)
        return [each.attempt_id for each in mine.take_over(JOB, ACCOUNT, f"w{number}", at=20.0)]

    taken = [each for mine in at_once(5, take) for each in mine]

    assert sorted(taken) == sorted(each.attempt_id for each in left)


def test_the_mark_changes_with_a_move_that_is_committed_late(open_ledger: Open, raw: psycopg.Connection) -> None:
    """Its number is lower than that of a move that could be seen before: results must not be complete over it."""
    ledger = open_ledger()
    plan(ledger, *rows(2))
    with raw.transaction():
        raw.execute(
            "INSERT INTO moves (task_id, at, from_state, to_state, source, cause) VALUES (1, 0, '', '', '', '')"
        )
        admit(ledger)
        before = ledger.mark()
    after = ledger.mark()

    assert before != after
    assert after == ledger.mark()


# --- when the connection breaks


def _break(raw: psycopg.Connection) -> None:
    raw.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
    )


def test_a_broken_connection_undoes_what_was_begun_and_is_told(open_ledger: Open, raw: psycopg.Connection) -> None:
    """Nothing of it was sent: the run ends and is started again."""
    ledger = open_ledger()
    plan(ledger, *rows(3))

    def break_off(candidate: Candidate) -> Prepared:
        _break(raw)
        return prepare(candidate)

    with pytest.raises(LedgerUnreachable, match="the connection is lost"):
        ledger.admit(wish(), break_off)
    assert set(states(open_ledger()).values()) == {State.WAITING}


def test_with_the_connection_the_job_is_let_go_and_nothing_more_is_written(
    open_ledger: Open, raw: psycopg.Connection
) -> None:
    """A run that has lost its lock cannot write beside the one that holds it now."""
    ledger = open_ledger()
    plan(ledger, *rows(3))
    with ledger.lock(JOB):
        _break(raw)
        other = open_ledger()
        with other.lock(JOB):
            with pytest.raises(LedgerUnreachable):
                admit(ledger)
            assert len(admit(other).attempts) == 3
