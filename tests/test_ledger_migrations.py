"""A ledger of every released version opens with today's program, and nothing in it is lost."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from batcher.errors import LedgerError
from batcher.ledger import sqlite
from batcher.ledger.schema import SCHEMA_VERSION
from batcher.ledger.sqlite import SqliteLedger
from batcher.model import State

RELEASED = sorted((Path(__file__).parent / "ledgers").glob("version_*.sql"))


def _restored(path: Path, dump: Path) -> Path:
    db = sqlite3.connect(path)
    db.executescript(dump.read_text(encoding="utf-8"))
    db.close()
    return path


def _shape(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Columns, keys and indexes of every table, whatever the order in which they came."""
    db = sqlite3.connect(path)
    names = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
    shape: dict[str, list[tuple[object, ...]]] = {}
    for name in names:
        columns = [row[1:] for row in db.execute(f"PRAGMA table_xinfo({name})")]
        indexes = [
            (index[2], index[4], tuple(row[2] for row in db.execute(f"PRAGMA index_info({index[1]})")))
            for index in db.execute(f"PRAGMA index_list({name})")
        ]
        shape[name] = sorted(columns, key=str) + sorted(indexes, key=str)
    db.close()
    return shape


def test_a_ledger_of_every_earlier_version_is_kept() -> None:
    """Without one, its migration would be a guess."""
    assert [path.stem for path in RELEASED] == [f"version_{number}" for number in range(1, SCHEMA_VERSION)]


@pytest.mark.parametrize("dump", RELEASED, ids=lambda path: path.stem)
def test_an_older_ledger_becomes_what_a_new_one_is(dump: Path, tmp_path: Path) -> None:
    """A migration that forgets a column would fail at the first statement that names it, on a person's machine."""
    old = _restored(tmp_path / "old.db", dump)
    SqliteLedger(old).close()
    SqliteLedger(tmp_path / "new.db").close()

    assert _shape(old) == _shape(tmp_path / "new.db")


@pytest.mark.parametrize("dump", RELEASED, ids=lambda path: path.stem)
def test_rows_of_an_older_ledger_stand_where_they_stood(dump: Path, tmp_path: Path) -> None:
    """What was paid under an older version is not paid again under this one."""
    ledger = SqliteLedger(_restored(tmp_path / "old.db", dump))

    assert ledger.counts("welcome-videos") == {State.DONE: 10, State.INVALID: 1, State.WAITING: 29}
    assert ledger.counts("product-tour") == {State.IN_PROGRESS: 2}
    assert len({each.remote_id for each in ledger.standings("welcome-videos") if each.remote_id}) == 10
    ledger.close()


def test_a_migration_that_fails_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old ledger can still be opened by the old program."""
    old = _restored(tmp_path / "old.db", RELEASED[0])
    before = _shape(old)
    monkeypatch.setattr(sqlite, "MIGRATIONS", {1: ("ALTER TABLE jobs ADD COLUMN late TEXT", "nonsense")})
    with pytest.raises(LedgerError, match="nonsense"):
        SqliteLedger(old)

    assert _shape(old) == before
