"""A PostgreSQL server of the tests' own: made new in a temporary folder, reached through a socket in it, gone afterwards."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

_DEBIAN = Path("/usr/lib/postgresql")
_SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",  # the tests kill programs, not machines
    "max_connections": "60",
    "log_min_messages": "warning",
    "deadlock_timeout": "100ms",
}


@dataclass(frozen=True, kw_only=True)
class Server:
    """
    A server that runs.

    Attributes:
        programs: Where `pg_ctl` is.
        folder: Data, socket and log; belongs to whom it runs as.
        runs_as: Another user, for `subprocess`; PostgreSQL refuses to run as root.
    """

    programs: Path
    folder: Path
    runs_as: dict[str, Any]

    def address(self, database: str = "postgres") -> str:
        """How a client finds it."""
        return f"postgresql://batcher@/{database}?host={self.folder}"

    def new_database(self, name: str) -> str:
        """Make an empty database; returns its address."""
        import psycopg

        with psycopg.connect(self.address(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'".encode())
        return self.address(name)

    def control(self, *arguments: str) -> None:
        """Run `pg_ctl`, and wait until it has done what it was asked for."""
        command = [str(self.programs / "pg_ctl"), "-D", str(self.folder / "data"), "-w", "-t", "60", *arguments]
        self.run(command)

    def start(self) -> None:
        """Start it."""
        settings = " ".join(f"-c {name}='{value}'" for name, value in _SETTINGS.items())
        self.control("-l", str(self.folder / "log"), "-o", f"{settings} -k {self.folder}", "start")

    def stop(self, how: str = "immediate") -> None:
        """Stop it: `immediate` is a crash, `fast` breaks connections politely."""
        self.control("-m", how, "stop")

    def run(self, command: Sequence[str]) -> None:
        """Run one of its programs."""
        done = subprocess.run(
            command, cwd="/", capture_output=True, text=True, timeout=120, check=False, stdin=subprocess.DEVNULL,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}, **self.runs_as,
        )  # fmt: skip
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"


def programs() -> Path | None:
    """Where the newest installed PostgreSQL is; None without one."""
    debian = sorted(_DEBIAN.glob("*/bin/pg_ctl"), key=lambda path: int(path.parts[-3]))
    found = str(debian[-1]) if debian else shutil.which("pg_ctl")
    return Path(found).resolve().parent if found else None


def _someone() -> dict[str, Any] | None:
    """Nothing when we are somebody; as root, the user that Debian's package makes."""
    if os.getuid() != 0:
        return {}
    try:
        user = pwd.getpwnam("postgres")
    except KeyError:
        return None
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


@contextmanager
def started() -> Iterator[Server]:
    """A new server; the test that asks for it skips where there is none to start."""
    pytest.importorskip("psycopg", reason="no psycopg: pip install 'batcher[cluster]'")
    where, runs_as = programs(), _someone()
    if where is None or runs_as is None:
        pytest.skip("no PostgreSQL on this machine: sh tests/cluster/install.sh")
    folder = Path(tempfile.mkdtemp(prefix="batcher-pg-", dir="/tmp"))
    if runs_as:
        os.chown(folder, runs_as["user"], runs_as["group"])
    folder.chmod(0o755)
    server = Server(programs=where, folder=folder, runs_as=runs_as)
    try:
        server.run(
            [str(where / "initdb"), "-D", str(folder / "data"), "-U", "batcher", "-A", "trust", "-E", "UTF8", "-N"]
        )
        server.start()
        yield server
        server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
