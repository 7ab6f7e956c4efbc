"""The ledger as a file: durability, access rights, foreign and damaged files, several processes at once."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import JOB, admit, asked, news, plan, planned, rows, states

from batcher.errors import LedgerError, NotFinished
from batcher.ledger.lock import job_lock
from batcher.ledger.schema import APPLICATION_ID, SCHEMA_VERSION
from batcher.ledger.sqlite import SqliteLedger
from batcher.model import State

HERE = Path(__file__).parent


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "ledger.db"


@pytest.fixture
def filled(path: Path) -> Iterator[Path]:
    """A ledger of 400 rows, half of them sent, closed."""
    ledger = SqliteLedger(path)
    plan(ledger, *rows(400))
    admit(ledger, at_most=200)
    ledger.close()
    yield path


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# --- durability and rights


def test_a_commit_survives_a_power_cut(path: Path) -> None:
    """WAL with FULL: with NORMAL a power cut was measured to forget 453 of 453 charges."""
    ledger = SqliteLedger(path)
    settings = {name: ledger._db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")}
    ledger.close()

    assert settings == {"journal_mode": "wal", "synchronous": 2}


def test_settings_hold_on_every_opening(filled: Path) -> None:
    """`synchronous` is kept by the connection, not by the file."""
    ledger = SqliteLedger(filled)
    assert ledger._db.execute("PRAGMA synchronous").fetchone()[0] == 2
    assert ledger._db.execute("PRAGMA foreign_keys").fetchone()[0] == 1
    ledger.close()


def test_writes_begin_immediately(path: Path) -> None:
    """A deferred transaction that turns into a writer fails half-way instead of queueing."""
    said: list[str] = []
    ledger = SqliteLedger(path)
    ledger._db.set_trace_callback(said.append)
    plan(ledger, *rows(1))
    admit(ledger)
    ledger.record([news(1, State.DONE)])
    ledger.close()

    begun = [each for each in said if each.startswith("BEGIN")]
    assert len(begun) == 4
    assert set(begun) == {"BEGIN IMMEDIATE"}


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_only_its_owner_reads_a_ledger(path: Path, umask: int) -> None:
    """The file, what SQLite puts beside it, and the folder: whatever the umask says."""
    before = os.umask(umask)
    try:
        ledger = SqliteLedger(path)
        plan(ledger, *rows(3))
        modes = {each.name: _mode(each) for each in path.parent.iterdir()}
    finally:
        os.umask(before)
    ledger.close()

    assert modes == {"ledger.db": 0o600, "ledger.db-wal": 0o600, "ledger.db-shm": 0o600}
    assert _mode(path.parent) == 0o700


def test_locks_are_private_too(tmp_path: Path) -> None:
    """A job's label is nobody else's business."""
    with job_lock(tmp_path / "locks", "secret campaign"):
        (file,) = (tmp_path / "locks").iterdir()
        assert _mode(file) == 0o600
        assert _mode(tmp_path / "locks") == 0o700
        assert "secret" not in file.name


def test_a_ledger_is_known_by_its_header(filled: Path) -> None:
    """`file` and every SQLite tool can tell what it is."""
    db = sqlite3.connect(filled)
    assert db.execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID
    assert db.execute("PRAGMA user_version").fetchone()[0] == SCHEMA_VERSION
    db.close()


# --- files that must not be used


def test_another_programs_database_is_refused_and_left_alone(path: Path) -> None:
    """A path that points at something else must not destroy it."""
    path.parent.mkdir()
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE recipes (name)")
    db.commit()
    db.close()
    before = path.read_bytes()

    with pytest.raises(LedgerError, match="a database, but not a ledger of batcher; point BATCHER_STATE elsewhere"):
        SqliteLedger(path)
    assert path.read_bytes() == before


def test_a_newer_ledger_is_refused(filled: Path) -> None:
    """An older program would not understand what it must not send."""
    db = sqlite3.connect(filled)
    db.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    db.close()

    with pytest.raises(LedgerError, match=rf"newer batcher \(version {SCHEMA_VERSION + 1}\); upgrade batcher"):
        SqliteLedger(filled)


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda raw: b"This is a letter, not a ledger. " * 200, id="another file"),
        pytest.param(lambda raw: raw[: len(raw) // 2], id="cut in half"),
        pytest.param(lambda raw: raw[:4099], id="cut after a page"),
        pytest.param(lambda raw: raw[:50], id="cut in its header"),
        pytest.param(lambda raw: raw[:100] + bytes(3996) + raw[4096:], id="first page lost"),
    ],
)
def test_a_damaged_ledger_is_refused_before_anything_is_sent(filled: Path, damage: object) -> None:
    """In words that say what happened and what to do."""
    filled.write_bytes(damage(filled.read_bytes()))  # type: ignore[operator]

    with pytest.raises(LedgerError, match=r"the ledger is damaged .*; nothing is sent\. Restore it from a backup"):
        SqliteLedger(filled)


def test_every_torn_page_is_found_after_an_unclean_end(path: Path, tmp_path: Path) -> None:
    """Whichever page was torn: refused on opening, or by the first question; never sent over."""
    ledger = SqliteLedger(path)
    plan(ledger, *rows(60))
    admit(ledger, at_most=30)
    ledger._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    plan(ledger, *rows(60), at=1.0)  # leaves a log behind
    for index in range(1, path.stat().st_size // 4096):
        copy = tmp_path / f"copy{index}" / "ledger.db"
        shutil.copytree(path.parent, copy.parent)
        raw = bytearray(copy.read_bytes())
        raw[index * 4096 : (index + 1) * 4096] = b"\xa5" * 4096
        copy.write_bytes(raw)
        try:
            torn = SqliteLedger(copy)
        except LedgerError:
            continue
        # the page was renewed in the log: nothing is lost
        assert sorted(states(torn).values()) == [*[State.SENDING] * 30, *[State.WAITING] * 30], index
        torn.close()
    ledger.close()


def test_a_folder_in_its_place_is_told(path: Path) -> None:
    """Not a traceback."""
    path.mkdir(parents=True)

    with pytest.raises(LedgerError, match="cannot be opened: Is a directory"):
        SqliteLedger(path)


def test_a_file_where_the_folder_should_be_is_told(tmp_path: Path) -> None:
    """Not a traceback."""
    (tmp_path / "state").touch()

    with pytest.raises(LedgerError, match="cannot be opened"):
        SqliteLedger(tmp_path / "state" / "ledger.db")


FULL = """
import resource, signal, sys
from support import *
from batcher.ledger.sqlite import SqliteLedger
from batcher.errors import LedgerError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
ledger = SqliteLedger(Path(sys.argv[1]))
plan(ledger, *rows(20))
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
try:
    for again in range(100):
        plan(ledger, *rows(1000, body="x" * 100 + str(again)))
except LedgerError as error:
    print(error)
print(sorted(states(ledger)) == sorted(f"r{n}" for n in range(1, 21)) or len(states(ledger)))
"""


def test_a_full_disk_is_a_ledger_error_and_undoes_what_was_begun(path: Path) -> None:
    """Before a send this stops the run (L5): what could not be written down is not sent."""
    done = subprocess.run([sys.executable, "-c", FULL, str(path)], cwd=HERE, capture_output=True, text=True, timeout=60)

    assert "the ledger cannot be used: " in done.stdout, done.stderr
    assert "rollback" not in done.stdout
    ledger = SqliteLedger(path)
    assert len(states(ledger)) in (20, 1000)
    ledger.close()


# --- several processes

WORKER = """
import sys
from support import *
from batcher.ledger.sqlite import SqliteLedger
ledger = SqliteLedger(Path(sys.argv[1]))
sys.stdin.readline()
taken = []
while attempts := admit(ledger, at_most=3).attempts:
    taken += [each.task.row_id for each in attempts]
    ledger.record([news(each, State.DONE) for each in attempts])
print(*taken)
"""


def _begin(script: str, *arguments: str) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-c", script, *arguments], cwd=HERE, stdin=pipe, stdout=pipe, text=True)


def test_two_processes_share_a_ledger_without_sharing_a_row(path: Path) -> None:
    """Each row is admitted to one of them, and none is refused with a busy database (L4)."""
    ledger = SqliteLedger(path)
    plan(ledger, *rows(300))
    workers = [_begin(WORKER, str(path)) for _ in range(2)]
    told = [worker.communicate("go\n", timeout=60)[0].split() for worker in workers]

    assert sorted(told[0] + told[1]) == sorted(f"r{number}" for number in range(1, 301))
    assert set(states(ledger).values()) == {State.DONE}
    ledger.close()


CREATOR = """
import sys
from support import *
from batcher.ledger.sqlite import SqliteLedger
sys.stdin.readline()
print(SqliteLedger(Path(sys.argv[1])).row_ids("x"))
"""


def test_many_processes_create_one_ledger(path: Path) -> None:
    """The first run of two jobs at once: one makes the tables, nobody fails."""
    creators = [_begin(CREATOR, str(path)) for _ in range(6)]

    assert [each.communicate("go\n", timeout=60)[0].strip() for each in creators] == ["[]"] * 6


LOCKER = """
import sys
from pathlib import Path
from batcher.errors import NotFinished
from batcher.ledger.lock import job_lock
sys.stdin.readline()
try:
    with job_lock(Path(sys.argv[1]), "job"):
        print("won", flush=True)
        sys.stdin.readline()
except NotFinished as error:
    print(error, flush=True)
"""


def test_of_twenty_starts_exactly_one_wins(tmp_path: Path) -> None:
    """The others leave at once and politely (L1)."""
    starts = [_begin(LOCKER, str(tmp_path / "locks")) for _ in range(20)]
    for each in starts:
        each.stdin.write("go\n")  # type: ignore[union-attr]
        each.stdin.flush()  # type: ignore[union-attr]
    said = [each.stdout.readline().strip() for each in starts]  # type: ignore[union-attr]
    for each in starts:
        each.communicate("end\n", timeout=60)

    assert said.count("won") == 1
    assert said.count("another run of 'job' is under way; this one does nothing") == 19


def test_a_lock_dies_with_its_process(tmp_path: Path) -> None:
    """After kill -9 nothing has to be cleaned up (L2)."""
    holder = _begin(LOCKER, str(tmp_path))
    holder.stdin.write("go\n")  # type: ignore[union-attr]
    holder.stdin.flush()  # type: ignore[union-attr]
    assert holder.stdout.readline() == "won\n"  # type: ignore[union-attr]
    with pytest.raises(NotFinished), job_lock(tmp_path, "job"):
        pass
    holder.kill()
    holder.communicate(timeout=60)

    with job_lock(tmp_path, "job"), job_lock(tmp_path, "another job"):
        pass


def test_a_lock_is_not_inherited(tmp_path: Path) -> None:
    """A child that outlives its parent must not keep the job locked."""
    with job_lock(tmp_path, "job"):
        child = _begin("import sys; sys.stdin.readline()")
    with job_lock(tmp_path, "job"):
        assert child.poll() is None, "the child lives, and holds nothing"
        child.communicate("end\n", timeout=60)


def test_a_half_done_plan_is_not_seen_by_others(path: Path) -> None:
    """A reader sees the sheet as it was or as it is."""
    ledger, other = SqliteLedger(path), SqliteLedger(path)
    plan(ledger, *rows(2))
    seen = []

    def tasks() -> Iterator[object]:
        yield from asked(ledger, *rows(700))
        seen.append(len(other.standings(JOB)))

    plan_record = ledger.job(JOB)
    ledger.plan(JOB, tasks(), lambda: plan_record, at=1.0)  # type: ignore[arg-type, return-value]

    assert seen == [2]
    assert len(other.standings(JOB)) == 700
    ledger.close()
    other.close()


def test_the_tables_name_a_row_once(filled: Path) -> None:
    """Job, row id, step and item are one task, whatever a program tries."""
    ledger = SqliteLedger(filled)
    with pytest.raises(LedgerError, match="UNIQUE"):
        plan(ledger, planned("twice"), planned("twice"))
    assert len(states(ledger)) == 400
    ledger.close()
