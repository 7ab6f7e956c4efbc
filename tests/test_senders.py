"""The pool of threads that carries requests out."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from batcher.errors import Stopped
from batcher.senders import Returned, ThreadedSenders


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


def test_what_an_errand_brings_bit_by_bit_comes_back_at_once() -> None:
    """Somebody may go on with the first of it while the rest is under way, which counts as one errand all the time."""
    senders, go_on = ThreadedSenders(1), threading.Event()

    def bits() -> Iterator[int]:
        yield 1
        assert go_on.wait(60)
        yield 2

    senders.send("me", "bits", bits)
    (first,) = senders.collect(wait_s=60.0)
    assert (first.value, first.is_last, senders.under_way(), senders.free()) == (1, False, 1, 0)
    go_on.set()
    rest: list[Returned] = []
    while senders.under_way():
        rest += senders.collect(wait_s=60.0)

    assert [(each.value, each.is_last, each.error) for each in rest] == [(2, False, None), (None, True, None)]
    senders.close()


def test_an_errand_that_fails_half_way_has_brought_what_came_before() -> None:
    """The failure comes last, and ends it."""

    def bits() -> Iterator[int]:
        yield 1
        raise ValueError("half way")

    senders = ThreadedSenders(1)
    senders.send("me", "bits", bits)
    back: list[Returned] = []
    while senders.under_way():
        back += senders.collect(wait_s=60.0)

    assert [(each.value, str(each.error), each.is_last) for each in back] == [
        (1, "None", False),
        (None, "half way", True),
    ]
    senders.close()
