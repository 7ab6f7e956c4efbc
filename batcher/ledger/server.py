"""A PostgreSQL server as it is found: its address, a connection to it, its clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import psycopg
from psycopg.conninfo import conninfo_to_dict

from batcher.clocks import difference_s
from batcher.errors import LedgerError, LedgerUnreachable

CONNECT_S = 15
CLOCKS_APART_S = 0.005
"""How far two clocks may be apart that this server's has set, where its quickest answers come within this time."""

_REFUSED = (
    "does not exist",
    "authentication failed",
    "no pg_hba.conf entry",
    "no password supplied",
    "permission denied",
)
"""A server that says so will say so again: somebody must edit something."""


def settings_of(address: str) -> dict[str, Any]:
    """
    The parts of an address.

    Raises:
        LedgerError: It has no such parts.
    """
    try:
        return dict(conninfo_to_dict(address))
    except psycopg.Error:  # its words may hold a piece of the password
        raise LedgerError(
            "BATCHER_STATE: the address of the database cannot be read; expected postgresql://user@host:5432/database, "
            "with the password in ~/.pgpass, or its special characters as %40"
        ) from None


def shown(address: str) -> str:
    """An address as it may be shown to anybody: without user and password."""
    found = settings_of(address)
    host = str(found.get("host") or "localhost")
    port = f":{found['port']}" if found.get("port") else ""
    return f"postgresql://{quote(host, safe='')}{port}/{found.get('dbname') or ''}"


def ahead_s(address: str, clock: Callable[[], float]) -> float:
    """
    How far the database's clock is ahead of ours, to half the time of the quickest of several round trips.

    Raises:
        LedgerUnreachable: There is no connection.
    """
    with connected(address) as connection:

        def theirs() -> float:
            found = connection.execute("SELECT EXTRACT(EPOCH FROM clock_timestamp())::float8").fetchone()
            return float(found[0]) if found else clock()

        return difference_s(theirs, clock)


def has_schema(address: str, schema: str) -> bool:
    """
    Whether the database has a schema of that name.

    Raises:
        LedgerUnreachable: There is no connection.
    """
    with connected(address) as connection:
        return connection.execute("SELECT to_regnamespace(%s)", (schema,)).fetchone() != (None,)


def connected(address: str) -> psycopg.Connection:
    """
    A new connection, each statement a transaction of its own.

    Raises:
        LedgerUnreachable: There is none to be had now.
        LedgerError: The server does not let us in.
    """
    password = settings_of(address).get("password")
    try:
        return psycopg.connect(address, autocommit=True, connect_timeout=CONNECT_S)
    except psycopg.Error as error:
        text = words_of(error).replace(password or "\0", "***")
        if any(words in text for words in _REFUSED):
            raise LedgerError(f"{shown(address)}: the ledger cannot be opened: {text}") from None
        raise LedgerUnreachable(f"{shown(address)}: the ledger cannot be reached: {text}") from None


@contextmanager
def told(name: str, connection: psycopg.Connection) -> Iterator[None]:
    """
    What the server refuses is told in words of ours.

    Raises:
        LedgerUnreachable: The connection is lost.
        LedgerError: The server does not do what it is asked for.
    """
    try:
        yield
    except psycopg.Error as error:
        raise trouble_of(error, name=name, is_lost=connection.broken) from error


def trouble_of(error: psycopg.Error, *, name: str, is_lost: bool) -> LedgerError:
    """What an error of the server is to us: the connection is gone, its user may not, or something else is wrong."""
    words = words_of(error)
    if is_lost:
        return LedgerUnreachable(f"{name}: the connection is lost: {words}; what is recorded is safe")
    if isinstance(error, (psycopg.errors.InsufficientPrivilege, psycopg.errors.InvalidSchemaName)):
        return LedgerError(
            f"{name}: the database does not let this user in ({words}); name the user whose tables these are in the "
            "address, or let who owns the database give it the rights"
        )
    return LedgerError(f"{name}: the ledger cannot be used: {words}")


def words_of(error: psycopg.Error) -> str:
    """What went wrong, in one line; without the statement, which is ours."""
    return " ".join((error.diag.message_primary or str(error)).split()) or type(error).__name__
