"""The seam between our SQL and the database that runs it: the statements are written once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from msgspec import Struct


class Rows(Protocol):
    """What a statement brings."""

    @property
    def description(self) -> Any:
        """For each column a sequence that begins with its name."""

    def fetchone(self) -> Any:
        """The next row as a tuple; None when there is no more."""

    def fetchall(self) -> list[Any]:
        """All rows that are left."""

    def __iter__(self) -> Iterator[Any]:
        """Row by row."""


class Db(Protocol):
    """
    A database within a transaction, or for reading.

    Statements are those that SQLite and PostgreSQL both understand, with `?` for each value, or `:name` for named ones.
    """

    @property
    def claiming(self) -> str:
        """What a query ends with that picks rows to be changed next: others pass over them until the transaction ends."""

    @property
    def clocks_apart_s(self) -> float:
        """How far the clocks of two who write here may be apart."""

    def execute(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = (), /) -> Rows:
        """Run one statement."""

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]], /) -> object:
        """Run one statement for each of many rows."""

    def stream(self, sql: str, /) -> Iterator[Any]:
        """Rows of a query that may bring more than fits into memory."""


MANY = 60
"""Rows of one statement: their values stay below SQLite's oldest limit of 999 parameters."""


def insert_rows(db: Db, sql: str, rows: Sequence[Sequence[Any]]) -> list[Any]:
    """
    Insert many rows in few statements; returns what the statements return, in no particular order.

    Args:
        sql: With `{rows}` where the values belong.
        rows: All as long as the first.
    """
    found: list[Any] = []
    for start in range(0, len(rows), MANY):
        some = rows[start : start + MANY]
        marks = ", ".join([f"({', '.join('?' * len(some[0]))})"] * len(some))
        inserted = db.execute(sql.format(rows=marks), [value for row in some for value in row])
        if "RETURNING" in sql:
            found += inserted.fetchall()
    return found


def change_rows(db: Db, sql: str, values: Sequence[Any], ids: Sequence[int]) -> None:
    """
    Change many rows alike in few statements.

    Args:
        sql: With `{ids}` where the numbers of the rows belong, behind all other values.
    """
    for start in range(0, len(ids), 10 * MANY):
        some = ids[start : start + 10 * MANY]
        db.execute(sql.format(ids=", ".join("?" * len(some))), (*values, *some))


def among(db: Db, sql: str, values: Sequence[Any]) -> list[Any]:
    """What a query finds for any of many values, in groups; with `{values}` where they belong."""
    found: list[Any] = []
    for start in range(0, len(values), 10 * MANY):
        some = values[start : start + 10 * MANY]
        found += db.execute(sql.format(values=", ".join("?" * len(some))), some).fetchall()
    return found


class Touched(Struct, frozen=True, kw_only=True):
    """
    What a transaction is about to change. A database with one writer at a time need not be told; another one keeps
    everybody else away from it until the transaction ends.

    Attributes:
        jobs: Their records and their tasks.
        beside_others: Others may change other tasks of these jobs at the same time; not so while one is planned.
        account: Its windows, slots and hold-offs.
        attempts: These, their tasks and their jobs.
        everything: The whole ledger.
    """

    jobs: Sequence[str] = ()
    beside_others: bool = False
    account: str = ""
    attempts: Sequence[int] = ()
    everything: bool = False
