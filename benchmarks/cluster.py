"""
Workers and their ledger measured: rows a second with one, two and four of them, bytes per task, time to claim.

Called by hand where PostgreSQL is installed: `python -m benchmarks.cluster [ROWS]`; the same servers as the tests start.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

TESTS = Path(__file__).parents[1] / "tests"
SIZES = (10_000, 100_000, 1_000_000)
_FILL = """
INSERT INTO batcher_loopback.tasks (job, row_id, step, item, row_number, operation, state, input_hash, path, body)
SELECT 'grown', 'r' || n, '', '', n, 'heygen.template',
       CASE WHEN MOD(n, 10) = 0 THEN 'waiting' ELSE 'done' END, 'h', '/v3/t', '{"title": "' || n::text || '"}'
FROM generate_series(%s::int, %s::int) n"""
_CLAIM = """
SELECT task_id FROM batcher_loopback.tasks
WHERE job = 'grown' AND state = 'waiting' AND ready = 1 AND gone = 0 AND held = 0 AND not_before <= 0
ORDER BY row_number, task_id LIMIT 32 FOR UPDATE SKIP LOCKED"""


def main(rows: int) -> None:
    """Print every figure as it is known."""
    sys.path.insert(0, str(TESTS))
    from cluster.server import started

    with started() as server:
        for workers in (1, 2, 4):
            print(f"{workers} workers: {speed(server, workers, rows):.0f} rows/s without limits", flush=True)
        claims(server)


def speed(server: Any, workers: int, rows: int) -> float:
    """Rows a second, from the first submission to the last, at a simulator in a process of its own."""
    from cluster.crew import crew_for
    from proofs.scene import Scene, finish
    from proofs.standin import standing_in

    with standing_in(in_flight=100_000) as stand_in, tempfile.TemporaryDirectory() as folder:
        limits = {"submissions": "100000/second", "in_flight": 100_000}
        address = server.new_database(f"speed{workers}")
        scene = Scene(folder=Path(folder), url=stand_in.url, name="speed", count=rows, limits=limits, address=address)
        with crew_for(scene, count=workers) as crew:
            ran = finish(scene.begin("run", "--cluster", "--yes"), timeout_s=600)
            crew.dismiss()
        if ran.exit:
            raise RuntimeError(ran.stdout + ran.stderr)
        instants = sorted(stand_in.report()["posts_at"])
        return float((len(instants) - 1) / (instants[-1] - instants[0]))


def claims(server: Any) -> None:
    """How long it takes to claim 32 rows as the ledger grows, by which index, and what a task takes on disk."""
    import psycopg

    from batcher.ledger.place import open_ledger

    address = server.new_database("grown")
    open_ledger(address, loopback=True).close()
    before = 0
    with psycopg.connect(address, autocommit=True) as db:
        for size in SIZES:
            db.execute(_FILL.encode(), (before + 1, size))
            db.execute("ANALYZE batcher_loopback.tasks")
            before = size
            times = []
            for _ in range(20):
                begun = perf_counter()
                db.execute(_CLAIM.encode()).fetchall()
                times.append(perf_counter() - begun)
            plan = "\n".join(line for (line,) in db.execute(b"EXPLAIN " + _CLAIM.encode()))
            used = db.execute("SELECT pg_total_relation_size('batcher_loopback.tasks')").fetchone() or (0,)
            index = "tasks_by_state" if "tasks_by_state" in plan else f"no index:\n{plan}"
            print(
                f"{size:>9,} tasks: claim {sorted(times)[10] * 1000:.2f} ms by {index}, {used[0] / size:.0f} bytes a task"
            )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000)
