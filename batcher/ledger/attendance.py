"""What stands beside the ledger in its database: the schema of the queue, and which workers are there."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence

import psycopg
from msgspec import Struct

from batcher.errors import LedgerError, LedgerUnreachable
from batcher.ledger.place import SCHEMAS
from batcher.ledger.server import connected, shown, told, words_of

QUEUE_SCHEMA = "batcher_queue"
PRESENT_S = 15.0
"""So long after its last sign a worker counts as being there."""

_LOCK = "SELECT pg_advisory_lock(hashtext('batcher queue'))"
_TABLE = """
CREATE TABLE workers (
    name TEXT PRIMARY KEY,
    queues TEXT NOT NULL,
    since TIMESTAMPTZ NOT NULL DEFAULT now(),
    seen TIMESTAMPTZ NOT NULL DEFAULT now(),
    doing TEXT NOT NULL DEFAULT '[]'
)"""
_SIGN = f"""
INSERT INTO {QUEUE_SCHEMA}.workers (name, queues, doing) VALUES (%s, %s, %s)
ON CONFLICT (name) DO UPDATE SET seen = now(), doing = excluded.doing"""
_ROSTER = f"""
SELECT name, queues, EXTRACT(EPOCH FROM now() - since)::float8, EXTRACT(EPOCH FROM now() - seen)::float8, doing
FROM {QUEUE_SCHEMA}.workers WHERE seen > now() - INTERVAL '1 hour' ORDER BY name"""
_HELD = """
SELECT s.holder, COUNT(*) FROM {schema}.attempts a JOIN {schema}.submissions s USING (submission_id)
WHERE a.state = 'sending' AND s.holder <> '' GROUP BY s.holder"""
_FORGET = f"DELETE FROM {QUEUE_SCHEMA}.workers WHERE name = %s OR seen < now() - INTERVAL '1 day'"
_COMMENT = "SELECT obj_description(to_regnamespace(%s), 'pg_namespace')"


class Present(Struct, frozen=True, kw_only=True):
    """
    A worker.

    Attributes:
        queues: What it takes; empty for everything.
        since_s, seen_s: How long ago it began, and gave its last sign.
        doing: What it is at, in words.
        held: How many tasks it is sending, or was when it died.
    """

    name: str
    queues: str
    since_s: float
    seen_s: float
    doing: Sequence[str]
    held: int = 0

    @property
    def is_alive(self) -> bool:
        """Whether it is believed to be there."""
        return self.seen_s <= PRESENT_S


def make_queue(address: str, *, version: str, script: Callable[[], str]) -> None:
    """
    Make the queue when it is not there.

    Args:
        address: Of the database.
        version: Of the queue's own tables; what another one has made is not touched.
        script: Makes its tables.

    Raises:
        LedgerError: The queue is of another version.
    """
    with connected(address) as connection, told(shown(address), connection):
        if _made_by(connection) == version:
            return
        connection.execute(_LOCK)
        made_by = _made_by(connection)
        if made_by and made_by != version:
            raise LedgerError(
                f"{shown(address)}: the queue of the workers was made for version {made_by}, this is {version}: stop all "
                f"workers, then DROP SCHEMA {QUEUE_SCHEMA} CASCADE; nothing is lost, it is made again from the ledger"
            )
        if not made_by:
            with connection.transaction():
                connection.execute(f"CREATE SCHEMA {QUEUE_SCHEMA}".encode())
                connection.execute(f"SET LOCAL search_path = {QUEUE_SCHEMA}".encode())
                connection.execute(script().encode())
                connection.execute(_TABLE.encode())
                connection.execute(f"COMMENT ON SCHEMA {QUEUE_SCHEMA} IS '{version}'".encode())


def _made_by(connection: psycopg.Connection) -> str:
    found = connection.execute(_COMMENT, (QUEUE_SCHEMA,)).fetchone()
    return str(found[0] or "") if found else ""


class Attendance:
    """
    Where one worker signs in, over a connection of its own that is made again when it breaks.

    Args:
        address: Of the database.
        name: The worker's.
        queues: What it takes; empty for everything.
    """

    def __init__(self, address: str, *, name: str, queues: Sequence[str]) -> None:
        self._address = address
        self._name = name
        self._queues = ", ".join(queues)
        self._connection: psycopg.Connection | None = None

    def sign(self, doing: Sequence[str]) -> None:
        """
        Be there, at these tasks.

        Raises:
            LedgerUnreachable: There is no connection; the next time there may be.
        """
        self._do(_SIGN, (self._name, self._queues, json.dumps(list(doing), ensure_ascii=False)))

    def leave(self) -> None:
        """Be there no longer."""
        self._do(_FORGET, (self._name,))
        if self._connection is not None:
            self._connection.close()

    def _do(self, sql: str, values: Sequence[str]) -> None:
        try:
            if self._connection is None or self._connection.closed:
                self._connection = connected(self._address)
            self._connection.execute(sql.encode(), values)
        except psycopg.Error as error:
            self._connection = None
            raise LedgerUnreachable(f"{shown(self._address)}: {words_of(error)}") from error


def roster(address: str) -> Sequence[Present]:
    """The workers of the last hour; none where there is no queue."""
    with connected(address) as connection, told(shown(address), connection):
        if not _made_by(connection):
            return ()
        held = _held(connection)
        return [
            Present(name=name, queues=queues, since_s=since_s, seen_s=seen_s, doing=json.loads(doing), held=held[name])
            for name, queues, since_s, seen_s, doing in connection.execute(_ROSTER.encode())
        ]


def _held(connection: psycopg.Connection) -> Counter[str]:
    """How many tasks each worker is sending; a slice holds them under the worker's name and one of its own."""
    found: Counter[str] = Counter()
    for schema in SCHEMAS.values():
        if connection.execute("SELECT to_regclass(%s)", (f"{schema}.holders",)).fetchone() != (None,):
            for holder, count in connection.execute(_HELD.format(schema=schema).encode()):
                found[holder.rpartition(":")[0]] += count
    return found
