"""What a worker shows to those who watch it: `/metrics` for Prometheus and `/healthz`, where it was asked to."""

from __future__ import annotations

import importlib.util
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from batcher.errors import InputError, LedgerError, Problem
from batcher.progress import Progress

LOOKED_S = 90.0
"""So long a look at what is in flight counts; workers never wait longer than a third of it before the next one."""


class Metrics:
    """
    Counts what one worker does.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        if importlib.util.find_spec("prometheus_client") is None:
            raise LedgerError("--metrics needs more than is installed; pip install 'batcher[cluster]'")
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

        self._registry = CollectorRegistry()
        self._tasks = Counter(
            "batcher_tasks", "Tasks carried out, by what came of them.", ["task", "outcome"], registry=self._registry
        )
        self._took = Histogram(
            "batcher_task_seconds", "How long tasks took.", ["task"], registry=self._registry,
            buckets=(0.1, 0.5, 1, 2, 5, 10, 20, 60),
        )  # fmt: skip
        self._sent = Counter("batcher_rows_accepted", "Rows that the API took.", ["job"], registry=self._registry)
        self._finished = Counter(
            "batcher_rows_finished", "Rows that came to their end.", ["job"], registry=self._registry
        )
        self._in_flight = Gauge(
            "batcher_rows_in_flight",
            "Rows in work, as this worker has seen it within the last 90 seconds.",
            ["job"],
            registry=self._registry,
        )
        self._before: dict[int, tuple[int, int]] = {}
        self._clock = clock
        self._looked: dict[str, float] = {}

    def done(self, task: str, *, outcome: str, took_s: float) -> None:
        """A task came to its end."""
        self._tasks.labels(task=task, outcome=outcome).inc()
        self._took.labels(task=task).observe(took_s)

    def progress(self, job: str, progress: Progress) -> None:
        """A slice has come further."""
        key = threading.get_ident()
        sent, finished = self._before.get(key, (0, 0))
        if progress.sent < sent or progress.finished < finished:
            sent = finished = 0  # another slice, carried out by the same thread
        self._before[key] = progress.sent, progress.finished
        self._sent.labels(job=job).inc(progress.sent - sent)
        self._finished.labels(job=job).inc(progress.finished - finished)
        self._in_flight.labels(job=job).set(progress.in_flight)
        self._looked[job] = self._clock()

    def shown(self) -> bytes:
        """As Prometheus reads it."""
        from prometheus_client import generate_latest

        now = self._clock()
        for job, at in list(self._looked.items()):
            if now - at > LOOKED_S:  # by now others may have brought it to its end
                self._looked.pop(job, None)
                self._in_flight.remove(job)
        return bytes(generate_latest(self._registry))


@contextmanager
def served(where: str, metrics: Metrics, *, is_well: Callable[[], bool]) -> Iterator[str]:
    """
    Serve both pages in the background.

    Args:
        where: A port of this machine alone, or `host:port`; port 0 takes a free one.
        metrics: What is shown.
        is_well: Whether `/healthz` says 200 or 503.

    Yields:
        The address.

    Raises:
        InputError: It cannot be served there.
    """

    class _Pages(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            pages: dict[str, Callable[[], tuple[int, bytes]]] = {
                "/metrics": lambda: (200, metrics.shown()),
                "/healthz": lambda: (200, b"ok\n") if is_well() else (503, b"the database gives no answer\n"),
            }
            status, body = pages.get(self.path, lambda: (404, b"/metrics or /healthz\n"))()
            self.send_response(status)
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the library calls it
            """Probes come every few seconds and are nobody's news."""

    host, _, port = where.rpartition(":")
    try:
        server = ThreadingHTTPServer((host or "127.0.0.1", int(port)), _Pages)
    except (OSError, ValueError, OverflowError) as error:
        raise InputError(Problem(where="--metrics", message=f"cannot be served at '{where}': {error}")) from error
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True, name="metrics").start()
    try:
        yield f"http://{host or '127.0.0.1'}:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
