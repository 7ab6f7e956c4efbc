"""What a worker works with, and how it comes by the job that an order names."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from msgspec import Struct, field
from msgspec.structs import replace

from batcher.cluster.queue import Order, Queue, Task
from batcher.errors import BatcherError
from batcher.job import load_job
from batcher.ledger.place import has_ledger, open_ledger
from batcher.ledger.protocol import Ledger
from batcher.ledger.values import Handed
from batcher.open_job import OpenJob
from batcher.opening import opened
from batcher.ops.telling import tell_refusal
from batcher.progress import Progress
from batcher.surroundings import Surroundings


def worker_name() -> str:
    """What this process is called among all workers."""
    return f"{socket.gethostname()}:{os.getpid()}"


class Workplace(Struct, kw_only=True):
    """
    What a worker works with.

    Attributes:
        around: What comes from outside; its clock is the database's.
        queue: Where it puts what is to be done next.
        note: Receives what happens: an event, and what it is about.
        report: Receives the progress of a slice, by the job's label.
        witnessed: The job files whose results were held against the ledger; that reads all of them, and is done once.
    """

    around: Surroundings
    queue: Queue
    note: Callable[[str, Mapping[str, object]], None]
    report: Callable[[str, Progress], None] = lambda _job, _progress: None
    name: str = field(default_factory=worker_name)
    witnessed: set[str] = field(default_factory=set)

    def put(self, task: Task, path: str, *, in_s: float = 0.0, part: int = 0, parts: int = 1) -> None:
        """Ask for a task of a job."""
        self.queue.put(Order(task=task, path=path, part=part, parts=parts), in_s=in_s)

    @contextmanager
    def at(self, path: str) -> Iterator[tuple[OpenJob, Handed | None]]:
        """
        Open a job beside the other workers, as it was handed over; None when it never was.

        Raises:
            NotFinished: A run of its own holds it.
            InputError: It cannot be worked on.
        """

        def tell(said: str) -> None:
            self.note("said", {"path": path, "message": said})

        with opened(load_job(Path(path)), replace(self.around, tell=tell)) as at_hand, at_hand.held(tell, shared=True):
            yield at_hand, handed_of(at_hand)

    def refuse(self, path: str, error: BatcherError) -> None:
        """
        A job that cannot be worked on as it stands comes to its end, with the words for the person, who is told.

        One whose sheet is looked at again by itself is tried again at the next of its times, not before.
        """
        is_ours = False
        now, reason = self.around.clock(), f"{error} (at the worker {self.name})"
        for ledger in ledgers(self.around):
            for handed in ledger.handed():
                if handed.path == path and (handed.ended_at is None or handed.every_s is not None):
                    is_ours = True
                    at = now if handed.every_s is not None else handed.at
                    ledger.hand_over(replace(handed, at=at, ended_at=now, exit=int(error.exit), reason=reason))
        if is_ours:
            with suppress(BatcherError):  # a job file that cannot be read does not say whom to tell
                tell_refusal(load_job(Path(path)), error, self.around)


def handed_of(at_hand: OpenJob) -> Handed | None:
    """How a job was handed over; None when it never was."""
    return next((each for each in at_hand.ledger.handed() if each.job == at_hand.job.name), None)


def ledgers(around: Surroundings) -> Iterator[Ledger]:
    """The ledgers of the database, for real accounts and for simulators; each is open until the next is asked for."""
    for loopback in (False, True):
        if has_ledger(around.place, loopback=loopback):
            ledger = open_ledger(around.place, loopback=loopback)
            try:
                yield ledger
            finally:
                ledger.close()
