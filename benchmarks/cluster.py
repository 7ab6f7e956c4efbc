"""Workers and their ledger: rows a second, what a row costs beside a local ledger, what it leaves, and the time to claim."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter, time
from typing import Any

from benchmarks.stand import AT_ONCE, BATCHER, OPEN_POLL, VIDEO, report, simulator, timed, write_job
from benchmarks.table import Figure

TESTS = Path(__file__).parents[1] / "tests"
ROWS = 2000
SIZES = (10_000, 100_000, 1_000_000)
CLAIMED = 10
_FILL = """
INSERT INTO tasks (job, row_id, step, item, row_number, operation, state, input_hash, path, body)
SELECT 'grown', 'r' || n, '', '', n, 'heygen.template',
       CASE WHEN MOD(n, 4) = 0 THEN 'waiting' ELSE 'done' END, 'h', '/v3/t', '{"title": "' || n::text || '"}'
FROM generate_series(%s::int, %s::int) n"""
_SUBMITTED = """
INSERT INTO submissions (account, operation, key, first_sent_at)
SELECT 'a', 'heygen.template', 'k' || task_id, 0 FROM tasks WHERE state = 'done' AND row_number >= %s"""
_TRIED = """
INSERT INTO attempts (task_id, number, submission_id, account, operation, state, path, body, key, token)
SELECT t.task_id, 1, s.submission_id, 'a', t.operation, 'done', t.path, t.body, s.key, ''
FROM tasks t JOIN submissions s ON s.key = 'k' || t.task_id WHERE t.row_number >= %s"""
_SPACE = """
SELECT relname, pg_total_relation_size(oid), reltuples FROM pg_class
WHERE relkind = 'r' AND relnamespace = 'batcher_loopback'::regnamespace ORDER BY 2 DESC"""


@contextmanager
def _server() -> Iterator[Any]:
    """A PostgreSQL as the tests start it; None, with a sentence, where there is none."""
    sys.path.insert(0, str(TESTS))
    from cluster.server import programs, started

    if programs() is None:
        sys.stderr.write("left out: no PostgreSQL on this machine; sh tests/cluster/install.sh brings it\n")
        yield None
        return
    with started() as server:
        yield server


def _figure(runs: int, measure: Callable[[int], tuple[float, str]], **about: Any) -> Figure:
    from benchmarks.rows import figure

    return figure(runs, measure, **about)


def workers(runs: int, folder: Path) -> Iterator[Figure]:
    """One, two and four workers on one job without limits, and what its rows have left in the database."""
    with _server() as server:
        if server is None:
            return
        left: list[tuple[float, str]] = []
        for count in (1, 2, 4):

            def measure(number: int, count: int = count) -> tuple[float, str]:
                address = server.new_database(f"speed_{count}_{number}")
                speed = _speed(address, folder / f"{count}-{number}", count)
                left.append(_left(address))
                return speed, ""

            yield _figure(runs, measure, what=f"rows a second without limits, workers: {count}", goal="", unit="/s")
        space = [each for each, _ in left]
        yield Figure(what="what a task takes in PostgreSQL", goal="", values=space, unit="bytes", note=left[-1][1])


def _speed(address: str, folder: Path, count: int) -> float:
    """Rows a second, from the first submission to the last."""
    from cluster.crew import crew_for
    from proofs.scene import Scene, finish
    from proofs.standin import standing_in

    limits = {"submissions": "100000/second", "in_flight": 100_000}
    with standing_in(in_flight=100_000) as stand_in:
        scene = Scene(folder=folder, url=stand_in.url, name="speed", count=ROWS, limits=limits, address=address)
        with crew_for(scene, count=count) as crew:
            ran = finish(scene.begin("run", "--cluster", "--yes"), timeout_s=600)
            crew.dismiss()
        if ran.exit:
            raise RuntimeError(ran.stdout + ran.stderr)
        instants = sorted(stand_in.report()["posts_at"])
    return float((len(instants) - 1) / (instants[-1] - instants[0]))


def _left(address: str) -> tuple[float, str]:
    """Bytes of a task in all tables, and the rows that it has in each."""
    import psycopg

    with psycopg.connect(address, autocommit=True) as db:
        db.execute("ANALYZE")
        found = [(name, size, rows) for name, size, rows in db.execute(_SPACE).fetchall() if rows >= ROWS / 2]
    each = ", ".join(f"{name} {rows / ROWS:.1f} ({size / ROWS:.0f} bytes)" for name, size, rows in found)
    return sum(size for _, size, _ in found) / ROWS, f"rows of it: {each}"


def beside_a_file(runs: int, folder: Path) -> Iterator[Figure]:
    """The same run with the ledger in PostgreSQL and in a file."""
    with _server() as server:
        if server is None:
            return

        def measure(number: int) -> tuple[float, str]:
            took = [
                _run(folder / f"{kind}-{number}", state)
                for kind, state in (("file", ""), ("shared", server.new_database(f"beside_{number}")))
            ]
            each = [seconds / ROWS * 1000 for seconds in took]
            return took[1] / took[0], f"{each[0]:.2f} ms a row with a file, {each[1]:.2f} ms with PostgreSQL"

        yield _figure(runs, measure, what=f"{ROWS:,} rows with PostgreSQL beside a file", goal="", unit="x")


def _run(folder: Path, state: str) -> float:
    with simulator(**AT_ONCE) as url:
        job = write_job(folder, rows=ROWS, url=url, poll=OPEN_POLL, request=VIDEO)
        variables = {"BATCHER_STATE": state} if state else {}
        ran = timed((*BATCHER, "run", job, "--yes", "--quiet"), job.parent, **variables)
        if ran.exit or len(report(url)["posts_at"]) != ROWS:
            raise RuntimeError(f"the run ended with {ran.exit}: {ran.stdout}")
    return ran.took_s


def claims(runs: int, folder: Path) -> Iterator[Figure]:  # noqa: ARG001 - as all rows of the table
    """How long an admission takes as the ledger grows, and by which index it finds what waits."""
    with _server() as server:
        if server is None:
            return
        address = server.new_database("grown")
        before = 0
        for size in SIZES:
            _grow(address, before + 1, size)
            before = size

            def measure(_: int, size: int = size) -> tuple[float, str]:
                return _claim(address), f"of {size:,} tasks; {_plan(address)}"

            what = f"an admission of {CLAIMED}, committed, of {size:,} tasks in PostgreSQL"
            yield _figure(runs, measure, what=what, goal="", unit="ms")


def _grow(address: str, first: int, last: int) -> None:
    import psycopg

    from batcher.ledger.place import open_ledger

    open_ledger(address, loopback=True).close()
    with psycopg.connect(address, autocommit=True) as db:
        db.execute("SET search_path = batcher_loopback")
        db.execute(_FILL.encode(), (first, last))
        db.execute(_SUBMITTED.encode(), (first,))
        db.execute("ANALYZE tasks, submissions")
        db.execute(_TRIED.encode(), (first,))
        db.execute("VACUUM ANALYZE")


def _claim(address: str) -> float:
    """The median of ten admissions, in milliseconds."""
    from batcher.ledger.place import open_ledger
    from batcher.ledger.values import Admission, Prepared
    from batcher.units import Rate

    ledger, times = open_ledger(address, loopback=True), []
    windows = (Rate(count=1_000_000, window_s=1),)
    for number in range(10):
        wish = Admission(
            job="grown", account="a", now=time(), at_most=CLAIMED, windows=windows, in_flight=1_000_000, holder="w"
        )
        begun = perf_counter()
        sent = ledger.admit(wish, lambda each: Prepared(body=each.body, key=f"n{each.task_id}", token=""))
        times.append(perf_counter() - begun)
        if len(sent.attempts) != CLAIMED:
            raise RuntimeError(f"admission {number} brought {len(sent.attempts)}")
    ledger.close()
    return sorted(times)[len(times) // 2] * 1000


def _plan(address: str) -> str:
    """How PostgreSQL finds what waits, in the words of EXPLAIN."""
    import psycopg

    from batcher.ledger import admission
    from batcher.ledger.dialect import query_for_postgres

    # the very statement: a copy of it would prove nothing
    asked = admission._WAITING.format(only="1 = 1")
    with psycopg.connect(address) as db:
        db.execute("SET search_path = batcher_loopback")
        values = ("grown", time(), "a", time(), CLAIMED + 1)
        lines = [line.strip() for (line,) in db.execute(b"EXPLAIN " + query_for_postgres(asked), values).fetchall()]
    found = next((line for line in lines if "tasks" in line and "Scan" in line), lines[0])
    return found.removeprefix("->").split("  (cost")[0].strip()
