"""One worker: takes tasks from the queue until it is told to stop, or until there is nothing left to do now."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct, field

from batcher.cluster.care import care, finish, tend
from batcher.cluster.metrics import Metrics
from batcher.cluster.queue import (
    AT_ONCE,
    HEARTBEAT_S,
    POLL_S,
    STALLED_S,
    Order,
    Task,
    take_up_stalled,
    worker_app,
)
from batcher.cluster.slices import SLICES, Slice, carry_out
from batcher.cluster.workplace import Workplace
from batcher.errors import BatcherError, Fault, LedgerError
from batcher.fault import fault_of
from batcher.ledger.attendance import Attendance

AGAIN_S = 1.0
LONGEST_AGAIN_S = 15.0
"""While the database cannot be reached, it is tried again after this."""

_DOES: Mapping[Task, Slice] = {**SLICES, Task.TEND: tend, Task.FINISH: finish}


class Worker(Struct, kw_only=True):
    """
    A worker process.

    Attributes:
        address: Of the database.
        queues: What it takes; empty for everything.
        metrics: Counts, where somebody watches.
        stop: Set from outside when it is to end: what is in the air still comes back.
    """

    work: Workplace
    address: str
    queues: Sequence[str]
    metrics: Metrics | None
    stop: threading.Event
    _doing: dict[int, str] = field(default_factory=dict)
    _is_well: bool = True

    def go(self, *, drains: bool) -> None:
        """
        Work.

        Args:
            drains: End when nothing is left whose time has come; otherwise only when it is told to stop.

        Raises:
            LedgerError: There is no queue, and no waiting will bring it.
        """
        attendance = Attendance(self.address, name=self.work.name, queues=self.queues)
        thread = threading.Thread(target=self._sign_in, args=(attendance,), daemon=True, name="attendance")
        thread.start()
        try:
            self._go_on(drains=drains)
        finally:
            self.stop.set()
            thread.join(timeout=5)
            try:
                attendance.leave()
            except LedgerError as error:
                self.work.note("not signed out", {"error": str(error)})

    def is_well(self) -> bool:
        """Whether the database has answered to its last sign."""
        return self._is_well

    def _sign_in(self, attendance: Attendance) -> None:
        while True:
            try:
                attendance.sign(sorted(self._doing.values()))
                self._is_well = True
            except LedgerError as error:
                self._is_well = False
                self.work.note("no sign of life could be given", {"error": str(error)})
            if self.stop.wait(HEARTBEAT_S):
                return

    def _go_on(self, *, drains: bool) -> None:
        wait_s = AGAIN_S
        while not self.stop.is_set():
            try:
                care(self.work)
                asyncio.run(self._take(drains=drains))
                if drains and not self.work.queue.due():
                    return
                wait_s = AGAIN_S
            except LedgerError as error:
                if error.exit != 75:
                    raise
                self.work.note("the database cannot be reached", {"error": str(error), "again_in_s": wait_s})
                self.stop.wait(wait_s)
                wait_s = min(LONGEST_AGAIN_S, 2 * wait_s)

    async def _take(self, *, drains: bool) -> None:
        """Take tasks until there are none, it is told to stop, or the database has gone."""
        app = worker_app(self.address, self._carry_out)
        try:
            async with app.open_async():
                if drains:
                    await take_up_stalled(app)
                task = asyncio.create_task(
                    app.run_worker_async(
                        queues=list(self.queues) or None,
                        name=self.work.name,
                        concurrency=AT_ONCE,
                        wait=not drains,
                        fetch_job_polling_interval=POLL_S,
                        update_heartbeat_interval=HEARTBEAT_S,
                        stalled_worker_timeout=STALLED_S,
                        delete_jobs="always",
                        install_signal_handlers=False,
                        shutdown_graceful_timeout=None,
                    )
                )
                while not task.done():
                    await asyncio.wait([task], timeout=POLL_S)
                    if self.stop.is_set() and not task.done():
                        task.cancel()
                        await asyncio.wait([task])
                if not task.cancelled() and (error := task.exception()) is not None:
                    raise error
        except self.work.queue.trouble as error:
            self.work.note("the queue cannot be reached", {"error": str(error.__cause__ or error)})
            await asyncio.sleep(AGAIN_S)

    def _fail(self, fault: Fault, path: str, about: Mapping[str, object]) -> None:
        """A fault of ours would be met again by every other worker: the job ends, and says so."""
        self.work.note("fault", {**about, "error": str(fault)})
        if path and not self.stop.is_set():
            try:
                self.work.refuse(path, fault)
            except LedgerError as error:
                self.work.note("task failed", {**about, "error": str(error)})

    def _carry_out(self, order: Order, should_abort: Callable[[], bool]) -> None:
        """One task, in a thread of its own."""
        begun, clock = self.work.around.clock(), self.work.around.clock
        key, outcome = threading.get_ident(), "done"
        about: dict[str, Any] = {"task": order.task.value, "path": order.path, "part": order.part}
        self._doing[key] = f"{order.task.value} {order.path}".strip()
        try:
            if order.task is Task.CARE:
                care(self.work)
            else:
                carry_out(self.work, order, _DOES[order.task], lambda: self.stop.is_set() or should_abort())
        except BatcherError as error:
            outcome = "failed"
            self.work.note("task failed", {**about, "error": str(error)})
        except Exception as error:  # noqa: BLE001 - as for a run: a bug ends the job, and is told as one
            outcome = "fault"
            self._fail(fault_of(error, state=self.work.around.state), order.path, about)
        finally:
            self._doing.pop(key, None)
            took_s = clock() - begun
            if self.metrics is not None:
                self.metrics.done(order.task.value, outcome=outcome, took_s=took_s)
            if order.task not in (Task.CARE, Task.TEND) or outcome != "done":
                self.work.note("task over", {**about, "outcome": outcome, "took_s": round(took_s, 3)})
