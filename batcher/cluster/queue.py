"""The queue: tasks that wait for workers, in a schema of their own beside the ledger's."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

from msgspec import Struct

from batcher.errors import LedgerError, LedgerUnreachable

LONGEST_S = 30.0
"""Nothing waits longer in the queue than this: it is looked at again, and the ledger says whether it is time."""

STALLED_S = 15.0
HEARTBEAT_S = 3.0
POLL_S = 0.5
AT_ONCE = 4
"""Tasks that one worker carries out at once; most of their time they wait for answers."""

Clock = Callable[[], float]
"""Gives unix seconds."""


class Task(str, Enum):
    """What a worker can be asked for; the names are also those of the queues."""

    CARE = "care"
    """Look which jobs need something, and take up what a dead worker has left; of all jobs."""
    TEND = "tend"
    """See what one job needs now, and ask for it."""
    PLAN = "plan"
    """Bring the ledger in line with the sheet."""
    DISPATCH = "dispatch"
    """Send for some seconds."""
    RECONCILE = "reconcile"
    """Look once at what is in work, and renew links."""
    FETCH = "fetch"
    """Fetch one share of the files."""
    WRITE = "write"
    """Write the results."""
    FINISH = "finish"
    """Write the results for the last time, and tell those who are to be told."""


class Order(Struct, frozen=True, kw_only=True):
    """
    One task for one job.

    Attributes:
        path: Of the job file; empty for what concerns all jobs.
        part, parts: Which share of it, where several workers share it.
    """

    task: Task
    path: str = ""
    part: int = 0
    parts: int = 1

    @property
    def lock(self) -> str:
        """One like it at a time is carried out, and one waits."""
        return f"{self.task.value} {self.part} {self.path}"


class Queue:
    """
    The queue, for those who put something into it.

    Args:
        address: Of the database that the ledger is in.
    """

    def __init__(self, address: str) -> None:
        need_cluster()
        from procrastinate import App, SyncPsycopgConnector
        from procrastinate.exceptions import ConnectorException

        from batcher.ledger.attendance import make_queue

        self.trouble: type[Exception] = ConnectorException
        """What a worker's own connection to the queue raises."""
        make_queue(address, version=_version(), script=_script)
        self._app = App(connector=SyncPsycopgConnector(**_connecting(address)))
        self._app.open()

    def put(self, order: Order, *, in_s: float = 0.0) -> None:
        """Have it carried out in so many seconds; one that waits already stays as it is."""
        from procrastinate.exceptions import AlreadyEnqueued

        later = datetime.now(UTC) + timedelta(seconds=min(in_s, LONGEST_S)) if in_s > 0 else None
        deferrer = self._app.configure_task(
            order.task.value,
            queue=order.task.value,
            lock=order.lock,
            queueing_lock=order.lock,
            schedule_at=later,
        )
        try:
            deferrer.defer(path=order.path, part=order.part, parts=order.parts)
        except AlreadyEnqueued:
            return
        except self.trouble as error:
            raise LedgerUnreachable(
                f"the queue of the workers cannot be reached: {error.__cause__ or error}"
            ) from error

    def due(self) -> int:
        """How many tasks wait whose time has come."""
        try:
            now = datetime.now(UTC)
            return sum(
                each.scheduled_at is None or each.scheduled_at <= now
                for each in self._app.job_manager.list_jobs(status="todo")
            )
        except self.trouble as error:
            raise LedgerUnreachable(
                f"the queue of the workers cannot be reached: {error.__cause__ or error}"
            ) from error

    def close(self) -> None:
        """Let go of the connection."""
        self._app.close()


@contextmanager
def queue_at(address: str) -> Iterator[Queue]:
    """A queue, closed afterwards."""
    queue = Queue(address)
    try:
        yield queue
    finally:
        queue.close()


def _connecting(address: str) -> Mapping[str, Any]:
    from batcher.ledger.attendance import QUEUE_SCHEMA

    return {
        "conninfo": address,
        "kwargs": {"options": f"-c search_path={QUEUE_SCHEMA}"},
        "min_size": 1,
        "max_size": AT_ONCE,
        "timeout": 15.0,
    }


def worker_app(address: str, carry_out: Callable[[Order, Callable[[], bool]], None]) -> Any:
    """
    The queue, for a worker.

    Args:
        address: Of the database.
        carry_out: Does what an order asks for; also given a question whether it should come to an end.
    """
    from procrastinate import App, JobContext, PsycopgConnector

    app = App(connector=PsycopgConnector(**_connecting(address)))

    def make(task: Task) -> None:
        @app.task(name=task.value, queue=task.value, pass_context=True)
        def do(context: JobContext, *, path: str, part: int, parts: int) -> None:
            carry_out(Order(task=task, path=path, part=part, parts=parts), context.should_abort)

    for task in Task:
        if task is not Task.CARE:
            make(task)

    @app.periodic(cron="* * * * * */5", queue=Task.CARE.value, queueing_lock=Task.CARE.value)
    @app.task(name=Task.CARE.value, queue=Task.CARE.value)
    async def care(timestamp: int) -> None:  # noqa: ARG001 - the scheduler says when
        import asyncio

        await take_up_stalled(app)
        await asyncio.to_thread(carry_out, Order(task=Task.CARE), lambda: False)

    return app


async def take_up_stalled(app: Any) -> int:
    """
    Tasks of workers that give no sign any more wait again; returns how many.

    One that is asked for again already is only taken out of the way of its successor.
    """
    from procrastinate.exceptions import UniqueViolation
    from procrastinate.jobs import Status

    stalled = list(await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=STALLED_S))
    for job in stalled:
        try:
            await app.job_manager.retry_job(job)
        except UniqueViolation:
            await app.job_manager.finish_job(job, status=Status.FAILED, delete_job=True)
    return len(stalled)


def need_cluster() -> None:
    """
    Make sure that what workers need is installed.

    Raises:
        LedgerError: It is not.
    """
    if importlib.util.find_spec("procrastinate") is None or importlib.util.find_spec("psycopg") is None:
        raise LedgerError("workers need more than is installed; pip install 'batcher[cluster]'")


def _version() -> str:
    from importlib.metadata import version

    return ".".join(version("procrastinate").split(".")[:2])


def _script() -> str:
    from procrastinate.schema import SchemaManager

    return str(SchemaManager.get_schema())
