"""The file beside the ledger in which answers are kept that it could not take, and the room that makes this rare."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import JOB, admit, news, plan, rows, states

from batcher.errors import LedgerError
from batcher.ledger.reserve import RESERVE_BYTES, Reserve
from batcher.ledger.sqlite import SqliteLedger
from batcher.ledger.unrecorded import Unrecorded, line_of
from batcher.model import State


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqliteLedger]:
    opened = SqliteLedger(tmp_path / "ledger.db")
    yield opened
    opened.close()


def line(ledger: SqliteLedger) -> tuple[Unrecorded, str]:
    """The only row is sent, and its answer is in hand."""
    plan(ledger, *rows(1))
    (attempt,) = admit(ledger).attempts
    done = news(attempt, State.DONE, 5.0, remote_id="v-1", outputs={"video_url": "https://files.example.com/ü.mp4"})
    return Unrecorded(ledger._path, JOB), line_of(attempt, done)


def test_an_answer_is_read_back_as_it_was(ledger: SqliteLedger) -> None:
    """State, id, outputs and time; then the file is gone, and reading again finds nothing."""
    unrecorded, kept = line(ledger)
    unrecorded.keep([kept])

    assert unrecorded.read_back(ledger) == 1
    (standing,) = ledger.standings(JOB)
    assert (standing.state, standing.remote_id, standing.completed_at) == (State.DONE, "v-1", None)
    assert standing.outputs == {"video_url": "https://files.example.com/ü.mp4"}
    assert unrecorded.read_back(ledger) == 0


def test_what_was_settled_meanwhile_stays(ledger: SqliteLedger) -> None:
    """A file that could not be removed after its ids were read is read again without harm."""
    unrecorded, kept = line(ledger)
    ledger.record([news(1, State.FAILED, 1.0)])
    unrecorded.keep([kept])

    unrecorded.read_back(ledger)

    assert states(ledger) == {"r1": State.FAILED}


def test_a_line_that_is_none_of_ours_stops_everything(ledger: SqliteLedger) -> None:
    """A file that was cut or edited is not silently thrown away: it may hold the only trace of a payment."""
    unrecorded, kept = line(ledger)
    unrecorded.keep([kept, kept[:40]])

    with pytest.raises(LedgerError, match=r"\.jsonl:2: ids of paid work are kept here, and this line is none"):
        unrecorded.read_back(ledger)
    assert unrecorded.path.exists()


def test_the_reserve_is_real_room_and_only_its_owners(tmp_path: Path) -> None:
    """A file with holes would reserve nothing."""
    reserve = Reserve(tmp_path / "ledger.db")
    reserve.hold()

    (file,) = tmp_path.iterdir()
    assert file.stat().st_blocks * 512 >= RESERVE_BYTES
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert reserve.release()
    assert not reserve.release()
