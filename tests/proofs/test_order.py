"""By trace: what must be on disk is on disk before anything that relies on it happens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from proofs import tracing
from proofs.books import Entry, read_books
from proofs.operations import each_of
from proofs.scene import Scene
from proofs.standin import StandIn
from proofs.tracing import Call

pytestmark = pytest.mark.skipif(bool(tracing.why_not()), reason=tracing.why_not() or "can be traced")

ORDERED = "?pwrite64,?fdatasync,?fsync,?sendto,?sendmsg,?rename,?renameat,?renameat2"
ROWS = 8


@pytest.mark.parametrize("operation", each_of("heygen.template", "heygen.v2.template"))
def test_an_attempt_is_on_disk_before_its_first_byte_leaves(operation: str, stand_in: StandIn, tmp_path: Path) -> None:
    """Written to the ledger's log, the log synced, and only then sent: in this order for every single row."""
    scene = Scene(folder=tmp_path / "job", url=stand_in.url, name="order", operation=operation, count=ROWS)

    calls = _trace(scene, tmp_path / "calls.trace")

    entries = read_books(scene.state, "order").entries
    assert len(entries) == ROWS
    assert not [sentence for entry in entries for sentence in _out_of_order(entry, calls)]


def test_results_are_on_disk_before_they_take_the_old_ones_place(stand_in: StandIn, tmp_path: Path) -> None:
    """fsync of the new file, rename, fsync of the folder: a power cut leaves the old results or the new ones."""
    scene = Scene(folder=tmp_path / "job", url=stand_in.url, name="order")

    calls = _trace(scene, tmp_path / "calls.trace")

    moves = [call for call in calls if call.name.startswith("rename") and f'{scene.results}"' in call.arguments]
    assert moves, "the results were never moved into place"
    for move in moves:
        temporary = move.arguments.split('"')[1]
        assert _synced(calls, temporary, until=move.begun), f"{temporary} was moved before it was synced"
        assert _synced(calls, str(scene.folder), since=move.ended), "the folder was not synced after the move"


def _trace(scene: Scene, log: Path) -> Sequence[Call]:
    ran = tracing.traced(scene, ["-e", f"trace={ORDERED}"], log=log)
    assert ran.exit == 0, ran.stderr
    return tracing.read_calls(log)


def _out_of_order(entry: Entry, calls: Sequence[Call]) -> Iterator[str]:
    """What is wrong with the order in which one attempt was written, synced and sent."""
    posts = [call for call in calls if call.name.startswith("send") and entry.token in call.arguments]
    if not posts:
        yield f"row {entry.row_id}: its token {entry.token} was never sent"
        return
    first_byte = _request_begun(calls, posts[0])
    written = [c for c in calls if c.name == "pwrite64" and _is_ledger(c) and entry.token in c.arguments]
    if not any(_ledger_synced(calls, since=write.ended, until=first_byte) for write in written):
        yield f"row {entry.row_id}: sent before its attempt was written and synced"


def _request_begun(calls: Sequence[Call], body: Call) -> int:
    """When the headers of a request began to leave: the last POST line of the body's thread up to the body."""
    return max(
        call.begun
        for call in calls
        if call.thread == body.thread and call.begun <= body.begun and '"POST ' in call.arguments
    )


def _is_ledger(call: Call) -> bool:
    return "/loopback.db" in call.arguments.split(",")[0]


def _ledger_synced(calls: Sequence[Call], *, since: int, until: int) -> bool:
    return any(
        call.name in ("fdatasync", "fsync") and _is_ledger(call) and _within(call, since, until) for call in calls
    )


def _synced(calls: Sequence[Call], path: str, *, since: int = -1, until: int = 10**9) -> bool:
    return any(
        call.name in ("fdatasync", "fsync") and f"<{path}>" in call.arguments and _within(call, since, until)
        for call in calls
    )


def _within(call: Call, since: int, until: int) -> bool:
    return call.succeeded and since < call.begun and call.ended < until
