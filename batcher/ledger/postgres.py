"""The ledger in a PostgreSQL database, shared by many machines."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, ClassVar

import psycopg
from psycopg.types.string import StrDumperUnknown

from batcher.errors import LedgerError, NotFinished
from batcher.ledger.db import Db, Rows, Touched
from batcher.ledger.dialect import ddl_for_postgres, query_for_postgres
from batcher.ledger.schema import MIGRATIONS, SCHEMA_VERSION, TABLES, key_of_tables
from batcher.ledger.server import CLOCKS_APART_S, connected, shown, trouble_of
from batcher.ledger.sql import SqlLedger, T

TRIES = 5
"""How often a transaction is begun that PostgreSQL undoes for the sake of another one."""

STREAMED = 2000
"""Rows that are fetched at once where there may be very many."""

_SETTINGS = """
SET client_encoding = 'UTF8';
SET search_path = {schema};
SET idle_in_transaction_session_timeout = '60s';
SET tcp_keepalives_idle = 30;
SET tcp_keepalives_interval = 10;
SET tcp_keepalives_count = 3"""
"""A program that is frozen within a transaction, or whose machine has died, must not hold up all others."""

_SAFE = "SELECT current_setting('synchronous_commit') <> 'off', current_setting('server_encoding')"
_VERSION = "CREATE TABLE ledger_version (version BIGINT NOT NULL)"
_JOBS = """
SELECT DISTINCT t.job FROM attempts a JOIN tasks t USING (task_id) WHERE a.attempt_id = ANY(%s) ORDER BY t.job"""
# In the order of their numbers: two transactions that want the same tasks queue, and never wait for each other.
_TASKS = """
SELECT task_id FROM tasks WHERE task_id IN (SELECT task_id FROM attempts WHERE attempt_id = ANY(%s))
ORDER BY task_id FOR UPDATE"""
# Numbers are given out before they can be seen: while others are writing, only the whole snapshot names the state.
_MARK = "SELECT (SELECT COALESCE(MAX(rowid), 0) FROM moves), pg_current_snapshot()::text"


_NUMBERED = """
SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = ? AND is_identity = 'YES'"""


class _Text(StrDumperUnknown):
    """Text as PostgreSQL can keep it: it knows no NUL."""

    def dump(self, obj: str) -> Any:
        return super().dump(obj.replace("\0", "\ufffd"))


class _Db:
    """A `Db` over one connection."""

    claiming: ClassVar[str] = " FOR UPDATE SKIP LOCKED"
    clocks_apart_s: ClassVar[float] = CLOCKS_APART_S

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection

    def execute(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = (), /) -> Rows:
        return self._connection.execute(query_for_postgres(sql), parameters)

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]], /) -> None:
        with self._connection.cursor() as cursor:
            cursor.executemany(query_for_postgres(sql), parameters)

    def stream(self, sql: str, /) -> Iterator[Any]:
        with self._connection.cursor(name=f"stream_{uuid.uuid4().hex}") as cursor:
            cursor.itersize = STREAMED
            yield from cursor.execute(query_for_postgres(sql))


class PostgresLedger(SqlLedger):
    """
    A `Ledger` in one schema of a database.

    Who writes tells first what it touches: a job that is planned is its planner's alone; admissions of an account
    queue, so that windows and slots are exact over all machines; what is recorded holds the tasks it is about.

    The connection, the locks and the right to write are one: when the connection breaks, the locks are gone, and
    nothing that was begun under them can be written any more.

    Args:
        address: `postgresql://user@host:5432/database`; all that libpq takes, also a password file and TLS settings.
        schema: The schema within the database; made when it is not there.

    Raises:
        LedgerError: It is not a ledger, or of a newer version.
        LedgerUnreachable: There is no connection.
    """

    def __init__(self, address: str, *, schema: str = "batcher") -> None:
        self.name = f"{shown(address)} ({schema})"
        self._schema = schema
        self._connection = connected(address)
        self._db = _Db(self._connection)
        try:
            self._open()
        except psycopg.Error as error:
            self._connection.close()
            raise self._trouble(error) from error
        except LedgerError:
            self._connection.close()
            raise

    def _open(self) -> None:
        connection = self._connection
        connection.adapters.register_dumper(str, _Text)
        is_durable, encoding = connection.execute(_SAFE).fetchone() or (True, "")
        if encoding != "UTF8":
            raise LedgerError(f"{self.name}: the database keeps text as {encoding}; a ledger needs one made as UTF8")
        if not is_durable:
            connection.execute("SET synchronous_commit = on")  # a commit that a power cut forgets is paid for twice
        connection.execute(_SETTINGS.format(schema=self._schema).encode())
        version = self._version()
        if version > SCHEMA_VERSION:
            raise LedgerError(
                f"{self.name}: written by a newer batcher (version {version}); upgrade batcher on this machine"
            )
        if version < SCHEMA_VERSION:
            self._make_or_migrate()

    def _version(self) -> int:
        """Of the tables that are there; 0 when there are none."""
        names = "SELECT table_name FROM information_schema.tables WHERE table_schema = %s"
        tables = {name for (name,) in self._connection.execute(names, (self._schema,))}
        if "ledger_version" in tables:
            found = self._connection.execute("SELECT version FROM ledger_version").fetchone()
            return int(found[0]) if found else 0
        if tables:
            raise LedgerError(
                f"{self.name}: this schema is used, but not by a ledger of batcher; point BATCHER_STATE elsewhere"
            )
        return 0

    def _make_or_migrate(self) -> None:
        """Make the tables, or bring those of an older batcher up to date; all of it or nothing."""
        with self._connection.transaction():
            self._keep_others_out("schema", self._schema)
            version = self._version()
            if version == 0:
                found = self._connection.execute("SELECT to_regnamespace(%s)", (self._schema,)).fetchone()
                if found == (None,):
                    self._connection.execute(f"CREATE SCHEMA {self._schema}".encode())
                scripts: Iterable[str] = (TABLES, _VERSION, "INSERT INTO ledger_version (version) VALUES (0)")
            else:
                scripts = (each for older in range(version, SCHEMA_VERSION) for each in MIGRATIONS[older])
            for script in scripts:
                for statement in ddl_for_postgres(script):
                    self._connection.execute(statement.encode())
            self._connection.execute("UPDATE ledger_version SET version = %s", (SCHEMA_VERSION,))

    def _trouble(self, error: psycopg.Error) -> LedgerError:
        return trouble_of(error, name=self.name, is_lost=self._connection.broken)

    def _write(self, work: Callable[[Db], T], touched: Touched | None = None, *, repeats: bool = False) -> T:
        """See `SqlLedger._write`."""
        try:
            for _ in range(TRIES - 1 if repeats else 0):
                with suppress(psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure):
                    return self._once(work, touched or Touched())
            return self._once(work, touched or Touched())
        except psycopg.Error as error:
            raise self._trouble(error) from error

    def _once(self, work: Callable[[Db], T], touched: Touched) -> T:
        with self._connection.transaction():
            self._hold(touched)
            return work(self._db)

    def _hold(self, touched: Touched) -> None:
        """Keep others away, always in the same order: jobs, the account, tasks."""
        if touched.everything:
            self._connection.execute("SET LOCAL lock_timeout = '60s'")  # for ever, where both sides are the same ledger
            self._connection.execute(f"LOCK TABLE {', '.join(key_of_tables())} IN EXCLUSIVE MODE".encode())
        jobs, beside_others = sorted(set(touched.jobs)), touched.beside_others
        if touched.attempts:
            jobs = [job for (job,) in self._connection.execute(_JOBS, (list(touched.attempts),))]
            beside_others = True
        for job in jobs:
            self._keep_others_out("job", job, shared=beside_others)
        if touched.account:
            self._keep_others_out("account", touched.account)
        if touched.attempts:
            self._connection.execute(_TASKS, (list(touched.attempts),))

    def _keep_others_out(self, scope: str, name: str, *, shared: bool = False) -> None:
        """Until the transaction ends; from those who share, only those who do not are kept out."""
        function = b"pg_advisory_xact_lock_shared" if shared else b"pg_advisory_xact_lock"
        self._connection.execute(b"SELECT %b(%%s)" % function, (self._number(scope, name),))

    def _number(self, scope: str, name: str) -> int:
        """What PostgreSQL knows a lock by."""
        text = f"batcher\0{self._schema}\0{scope}\0{name}".encode("utf-8", "surrogatepass")
        return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big", signed=True)

    @contextmanager
    def _reading(self) -> Iterator[_Db]:
        """See `SqlLedger._reading`."""
        try:
            yield self._db
        except psycopg.Error as error:
            raise self._trouble(error) from error

    def mark(self) -> str:
        """See `Ledger.mark`."""
        with self._reading():
            newest, snapshot = self._connection.execute(_MARK).fetchone() or (0, "")
        oldest, following, _ = snapshot.split(":")
        return str(newest) if oldest == following else f"{newest}@{snapshot}"

    @contextmanager
    def locked(self, job: str, *, shared: bool = False) -> Iterator[None]:
        """See `SqlLedger.locked`: held by the connection, on all machines."""
        number, suffix = self._number("run", job), b"_shared" if shared else b""
        with self._reading():
            ask = b"SELECT pg_try_advisory_lock%b(%%s)" % suffix
            found = self._connection.execute(ask, (number,)).fetchone()
        if found != (True,):
            raise NotFinished(f"another run of '{job}' is under way, or workers are at it; this one does nothing")
        try:
            yield
        finally:
            with suppress(psycopg.Error):  # with the connection, the lock is gone as well
                self._connection.execute(b"SELECT pg_advisory_unlock%b(%%s)" % suffix, (number,))

    def numbers_taken(self, db: Db) -> None:
        """See `SqlLedger.numbers_taken`."""
        for table, column in db.execute(_NUMBERED, (self._schema,)).fetchall():
            db.execute(
                f"SELECT setval(pg_get_serial_sequence('{table}', '{column}'), COALESCE(MAX({column}), 0) + 1, false) "
                f"FROM {table}"
            )

    def close(self) -> None:
        """See `Ledger.close`."""
        self._connection.close()
