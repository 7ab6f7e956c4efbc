"""A ledger moves into a database and back, and nothing in it is lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support import ACCOUNT, JOB, accept, admit, batcher, environment, news, plan, planned, rows, states

from batcher.errors import LedgerError, NotFinished
from batcher.files import SeenFile
from batcher.ledger.place import open_ledger
from batcher.ledger.postgres import PostgresLedger
from batcher.ledger.relocation import relocate
from batcher.ledger.schema import key_of_tables
from batcher.ledger.sql import SqlLedger
from batcher.ledger.sqlite import SqliteLedger
from batcher.ledger.values import Approval, FileRecord, Handed, Need, Sample
from batcher.model import Asset, FileState, State
from batcher.units import Rate
from cluster.server import Server

pytestmark = pytest.mark.cluster


def fill(ledger: SqlLedger) -> None:
    """A bit of everything: states, attempts, sends, hold-offs, fan-outs, odd characters."""
    flawed = planned("r50", flaws=(("people.csv!A3", "is empty"),), path="", body="")
    plan(
        ledger, *rows(40, estimate=0.1), flawed, planned("r60", item="Türkçe 😀"), fingerprint="f", path="/jobs/a.yaml"
    )
    sent = admit(ledger, now=1e9 + 0.123456, at_most=30, windows=[Rate(count=99, window_s=60)]).attempts
    for each in sent[:25]:
        accept(ledger, each, at=1e9 + 1 / 3)
    ledger.record([news(each, State.DONE, 2.5, outputs={"video_url": "https://x/ü"}, cost=0.1) for each in sent[:20]])
    ledger.record([news(sent[21], State.FAILED, 3.0, error="broken\0words 100 %", error_code="x")])
    ledger.record([news(sent[29], State.WAITING, 3.0)])
    ledger.filed(
        [
            FileRecord(
                attempt_id=sent[1].attempt_id,
                output="video_url",
                state=FileState.HERE,
                path="ä/1.mp4",
                bytes=2**40,
                at=3.5,
            )
        ]
    )
    ledger.again([sent[0].task], cause="again", at=4.0)
    ledger.hold_off(ACCOUNT, until=2e9, reason="429")
    ledger.claim(JOB, ACCOUNT, "anna@acme.com")
    ledger.alive("w1", at=0.0, until=30.0)
    ledger.keep_sample(JOB, Sample(row_ids=("r1",), priced=1.5))
    ledger.approve(JOB, Approval(account=ACCOUNT, digest="d", tasks=3, cost=4.5, currency="USD", by="anna", at=4.0))
    ledger.hand_over(Handed(job=JOB, path="/jobs/a.yaml", at=4.0, every_s=3600.0))
    need = Need(digest="d1", path="/sheets/logo.png", size=10, place="people.csv!D2")
    plan(ledger, planned("r1", job="files", needs=(need,)), job="files")
    ledger.uploaded(ACCOUNT, Asset(digest="d1", asset_id="asset-d1", expires_at=9e9))
    ledger.saw("files", [SeenFile(path="/sheets/logo.png", size=10, mtime_ns=1_700_000_000_123_456_789, digest="d1")])


def dump(ledger: SqlLedger) -> dict[str, list[tuple[object, ...]]]:
    """Everything in the tables; NUL as PostgreSQL keeps it."""

    def plain(value: object) -> object:
        return value.replace("\0", "\ufffd") if isinstance(value, str) else value

    found = {}
    with ledger._reading() as db:
        for table, key in key_of_tables().items():
            rows = db.execute(f"SELECT * FROM {table} ORDER BY {key}")
            names = [each[0] for each in rows.description]
            found[table] = [tuple(plain(v) for n, v in zip(names, row, strict=True) if n != "rowid") for row in rows]
    return found


@pytest.fixture
def file(tmp_path: Path) -> Iterator[SqliteLedger]:
    ledger = SqliteLedger(tmp_path / "a" / "ledger.db")
    fill(ledger)
    yield ledger
    ledger.close()


@pytest.fixture
def database(postgres: str, schema: str) -> Iterator[PostgresLedger]:
    ledger = PostgresLedger(postgres, schema=schema)
    yield ledger
    ledger.close()


def test_nothing_is_lost_on_the_way_into_a_database_and_back(
    file: SqliteLedger, database: PostgresLedger, tmp_path: Path
) -> None:
    """Every table, row by row; and all the answers that are made of them."""
    before, standings = dump(file), [repr(each).replace("\\x00", "\ufffd") for each in file.standings(JOB)]
    counts = relocate(file, database, at=5.0)
    there = dump(database)
    back = SqliteLedger(tmp_path / "b" / "ledger.db")
    relocate(database, back, at=6.0)

    assert {table: len(rows) for table, rows in before.items() if table != "moved"} == counts
    assert min(counts.values()) > 0
    assert there == before == dump(back)
    assert [repr(each) for each in back.standings(JOB)] == standings
    assert database.moved_to() == back.name
    back.close()


def test_work_goes_on_where_the_ledger_is_now(file: SqliteLedger, database: PostgresLedger) -> None:
    """Numbers that were given out before are not given out again, and what was in doubt still is."""
    doubtful = [each.key for each in file.in_doubt(JOB, ACCOUNT)]
    relocate(file, database, at=5.0)
    highest = max(row[0] for row in dump(database)["attempts"])
    fresh = admit(database, now=3e9, at_most=3).attempts

    assert [each.key for each in database.in_doubt(JOB, ACCOUNT)][:-3] == doubtful
    assert min(each.attempt_id for each in fresh) > highest


def test_the_old_ledger_refuses_from_then_on(file: SqliteLedger, database: PostgresLedger, tmp_path: Path) -> None:
    """Whoever forgets to change the setting must not pay for everything again."""
    relocate(file, database, at=5.0)

    with pytest.raises(LedgerError, match=r"has been moved to postgresql://.*; let BATCHER_STATE say so"):
        open_ledger(str(tmp_path / "a"), loopback=False)
    with pytest.raises(LedgerError, match="has been moved to postgresql://"):
        plan(file, *rows(1))  # a program that had opened it before


def test_a_ledger_that_is_in_use_is_not_written_over(file: SqliteLedger, database: PostgresLedger) -> None:
    """Two histories cannot be put together."""
    plan(database, *rows(1), job="another")
    before = dump(file)

    with pytest.raises(LedgerError, match="a ledger moves into an empty one"):
        relocate(file, database, at=5.0)
    assert dump(file) == before
    assert database.jobs() == ["another"]


def test_a_ledger_does_not_move_to_where_it_is(file: SqliteLedger) -> None:
    """It would wait for itself."""
    same = SqliteLedger(Path(file.name))
    with pytest.raises(LedgerError, match="the ledger is there already"):
        relocate(file, same, at=5.0)
    same.close()


def test_nothing_moves_while_a_run_is_under_way(file: SqliteLedger, database: PostgresLedger) -> None:
    """It would go on in the old place."""
    with file.lock(JOB), pytest.raises(NotFinished, match="another run"):
        relocate(file, database, at=5.0)
    assert (file.moved_to(), database.jobs()) == ("", [])


def test_whoever_has_opened_the_ledger_before_it_moved_cannot_work_with_it_after(
    file: SqliteLedger, database: PostgresLedger
) -> None:
    """What it would send from the old place, the new one would send again; and who only watches would wait for ever."""
    relocate(file, database, at=5.0)
    with pytest.raises(LedgerError, match="this ledger has been moved to"), file.lock(JOB):
        pytest.fail("it got the lock")
    with pytest.raises(LedgerError, match="this ledger has been moved to"):
        file.handed()

    again = SqliteLedger(Path(file.name).with_name("back.db"))
    relocate(database, again, at=6.0)
    with pytest.raises(LedgerError, match="this ledger has been moved to"), database.lock(JOB, shared=True):
        pytest.fail("it got the lock")
    again.close()


def test_a_move_that_died_half_way_is_done_again(file: SqliteLedger, database: PostgresLedger) -> None:
    """The old ledger was closed already, the new one was not complete yet."""
    before = dump(file)
    file.exclusively(lambda db: db.execute("INSERT INTO moved (place, at) VALUES (?, 1.0)", (database.name,)))
    relocate(file, database, at=5.0)

    assert {**dump(database), "moved": []} == before
    with pytest.raises(LedgerError, match=r"has been moved to postgresql://.* already"):
        relocate(file, database, at=6.0)


def test_a_ledger_can_come_home(file: SqliteLedger, database: PostgresLedger) -> None:
    """What the old place still holds lives on in the new one, and may be written over."""
    relocate(file, database, at=5.0)
    admit(database, now=3e9, at_most=1)
    there = dump(database)
    relocate(database, file, at=6.0)

    assert dump(file) == there
    assert file.moved_to() == ""


def test_the_command_moves_what_is_in_a_state_folder(postgres_server: Server, schema: str, tmp_path: Path) -> None:
    """Both ledgers, with one command, in the words of BATCHER_STATE."""
    for name in ("ledger.db", "loopback.db"):
        ledger = SqliteLedger(tmp_path / "state" / name)
        plan(ledger, *rows(3))
        ledger.close()
    address = postgres_server.new_database(schema)

    done = batcher("ledger", "move", tmp_path / "state", address, env=environment(tmp_path), cwd=tmp_path)
    again = batcher("ledger", "move", tmp_path / "state", address, env=environment(tmp_path), cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    assert done.stdout.count(": 3 tasks, 0 attempts") == 2
    assert "let BATCHER_STATE name the new place" in done.stdout
    for loopback in (False, True):
        ledger = open_ledger(address, loopback=loopback)
        assert set(states(ledger).values()) == {State.WAITING}
        ledger.close()
    assert (again.returncode, "already" in again.stderr) == (2, True)
