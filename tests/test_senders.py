"""The pool of threads that carries requests out."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from batcher.errors import Stopped
from batcher.senders import ThreadedSenders


@pytest.fixture
def give_threads(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """From now on the machine gives only so many threads."""
    begin = threading.Thread.start

    def give(count: int) -> None:
        left = iter(range(count))

        def start(thread: threading.Thread) -> None:
            if next(left, None) is None:
                raise RuntimeError("can't start new thread")
            begin(thread)

        monkeypatch.setattr(threading.Thread, "start", start)

    return give


def test_a_machine_that_gives_few_threads_is_worked_with(give_threads: Callable[[int], None]) -> None:
    """Every errand is carried out all the same, and no more than these are begun at once from then on (L16)."""
    give_threads(3)
    senders, over = ThreadedSenders(8), threading.Event()
    for number in range(8):
        senders.send("me", number, over.wait)
    assert senders.free() < 0
    over.set()
    back: list[int] = []
    while senders.under_way():
        back += [each.about for each in senders.collect(wait_s=5.0)]

    assert sorted(back) == list(range(8))
    assert senders.free() == 3
    senders.close()


def test_a_machine_that_gives_no_thread_stops_the_run(give_threads: Callable[[int], None]) -> None:
    """With what to do about it; what was written down as being sent is looked for by the next run."""
    give_threads(0)
    senders = ThreadedSenders(8)
    with pytest.raises(Stopped, match="no thread can be started here"):
        senders.send("me", 1, lambda: None)
    assert senders.under_way() == 0
