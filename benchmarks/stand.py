"""Where the measuring happens: a simulator in a process of its own, a folder with a job, and commands that are timed."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BATCHER = (str(Path(sys.executable).with_name("batcher")),)
AT_ONCE = {"render_s": 0.0, "spread": 0.0, "in_flight": 1_000_000, "balance": 1e9}
"""A simulator that is never busy and never poor, and whose work is finished as it is asked for."""

OPEN_POLL = {"at_most_every": "0.2s", "budget": "1000/second"}
VIDEO = {"type": "avatar", "avatar_id": "look_abigail_office", "title": "For {{ id }}", "script": "Hello {{ name }}"}


@dataclass(frozen=True, kw_only=True)
class Ran:
    """How a command went: wall clock and processor seconds, peak memory in megabytes, and what it said."""

    took_s: float
    cpu_s: float
    peak_mb: float
    exit: int
    stdout: str


@contextmanager
def simulator(**behaviour: Any) -> Iterator[str]:
    """A simulator in its own process; yields its address."""
    arguments = [sys.executable, "-m", "benchmarks.simulator", json.dumps(behaviour)]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait(10)
        if process.stdout is not None:
            process.stdout.close()


def report(url: str, *, window_s: float = 1.0) -> dict[str, Any]:
    """What the simulator has seen from its side."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{url}/_simulator/report?window={window_s}", timeout=120) as answer:
        told: dict[str, Any] = json.load(answer)
    return told


def write_sheet(path: Path, rows: int) -> Path:
    """A sheet of so many people."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "name", "link"])
        writer.writerows(
            [f"r{number}", f"Person {number}", "https://files.example.com/v.mp4"] for number in range(1, rows + 1)
        )
    return path


def write_job(folder: Path, *, rows: int, url: str, **changes: Any) -> Path:
    """A job over a sheet of so many rows, at a simulator's address."""
    folder.mkdir(parents=True, exist_ok=True)
    write_sheet(folder / "people.csv", rows)
    job = {
        "job": "bench",
        "operation": "heygen.video",
        "account": {"base_url": url},
        "sheet": {"file": "people.csv", "row_id": "id"},
        "request": VIDEO,
        "limits": {"in_flight": 100_000},
        "poll": OPEN_POLL,
        "results": {"file": "out.csv"},
        **changes,
    }
    path = folder / "job.yaml"
    path.write_text(json.dumps(job, indent=1), encoding="utf-8")
    return path


def timed(command: Sequence[str | Path], folder: Path, **variables: str) -> Ran:
    """Run a command to its end."""
    environ = {
        **os.environ,
        "BATCHER_STATE": str(folder / "state"),
        "HEYGEN_API_KEY": "bench",
        "PYTHONDONTWRITEBYTECODE": "",  # as installed: compiled once
        **variables,
    }
    begun = time.perf_counter()
    process = subprocess.Popen(
        [str(part) for part in command], stdout=subprocess.PIPE, cwd=folder, env=environ, text=True
    )
    assert process.stdout is not None
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    took_s = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stdout.close()
    return Ran(
        took_s=took_s,
        cpu_s=usage.ru_utime + usage.ru_stime,
        peak_mb=usage.ru_maxrss / 1024,
        exit=process.returncode,
        stdout=said,
    )


def run_job(job: Path, *, command: str = "run") -> Ran:
    """Run a job as cron would; a run that leaves rows open is no measurement."""
    ran = timed((*BATCHER, command, job, "--yes", "--quiet"), job.parent)
    if ran.exit:
        raise RuntimeError(f"the run ended with {ran.exit}: {ran.stdout}")
    return ran


def watching_requests(told: Mapping[str, Any]) -> int:
    """How many requests were made to learn what became of work."""
    looks = ("GET /v3/videos", "GET /v3/video-translations", "GET /v3/lipsyncs")
    return sum(
        count for route, count in told["requests"].items() if route.startswith(looks) and "languages" not in route
    )
