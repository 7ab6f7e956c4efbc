"""A ledger that changes its place: everything in it is copied, and the old one is closed for good."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from itertools import islice

from batcher.errors import LedgerError
from batcher.ledger.db import Db
from batcher.ledger.schema import key_of_tables
from batcher.ledger.sql import SqlLedger

GROUP = 2000
_ABOUT_THE_PLACE = "moved"
"""The one table that stays where it is."""


def relocate(source: SqlLedger, target: SqlLedger, *, at: float) -> Mapping[str, int]:
    """
    Copy a ledger into an empty one, and close it: at no moment are there two that could be used.

    The old one is closed before the new one is complete; should it all die in between, the same again finishes it.

    Args:
        target: Empty, or one that was itself moved away: what it held lives on elsewhere.

    Returns:
        The number of rows in each table.

    Raises:
        NotFinished: A run of one of its jobs is under way.
        LedgerError: One of the two cannot be used for this; nothing was changed.
    """
    if source.name == target.name:
        raise LedgerError(f"{source.name}: the ledger is there already")
    with ExitStack() as held:
        for job in source.jobs():
            held.enter_context(source.locked(job))
        return target.exclusively(
            lambda new: source.exclusively(lambda old: _relocate(source, old, target, new, at=at))  # commits first
        )


def _relocate(source: SqlLedger, old: Db, target: SqlLedger, new: Db, *, at: float) -> Mapping[str, int]:
    before, is_free = source.moved_to(), bool(target.moved_to())
    tables = {table: key for table, key in key_of_tables().items() if table != _ABOUT_THE_PLACE}
    if before and (before != target.name or target.jobs()):
        raise LedgerError(f"{source.name}: has been moved to {before} already")
    for table in reversed([*tables, _ABOUT_THE_PLACE]) if is_free else ():
        new.execute(f"DELETE FROM {table}")
    if target.jobs():
        raise LedgerError(
            f"{target.name}: there is a ledger already, and it is in use; a ledger moves into an empty one"
        )
    counts = {table: _copy(table, _columns(old, table, key), old, new) for table, key in tables.items()}
    target.numbers_taken(new)
    if not before:
        old.execute("INSERT INTO moved (place, at) VALUES (?, ?)", (target.name, at))
    return counts


def _columns(db: Db, table: str, key: str) -> Sequence[str]:
    """The columns of a table; the order of what came in is one of them."""
    names = [each[0] for each in db.execute(f"SELECT * FROM {table} WHERE 1 = 0").description]
    return names if key in names else [key, *names]


def _copy(table: str, columns: Sequence[str], old: Db, new: Db) -> int:
    """
    Copy a table, and read the copy again.

    Raises:
        LedgerError: It does not hold what was written.
    """
    marks = ", ".join("?" * len(columns))
    insert = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})"
    rows = old.stream(_select(table, columns))
    while some := list(islice(rows, GROUP)):
        new.executemany(insert, some)
    (count, there), (_, here) = _seal(table, columns, old), _seal(table, columns, new)
    if there != here:
        raise LedgerError(f"the copy of {table} differs from what was copied; nothing was changed")
    return count


def _select(table: str, columns: Sequence[str]) -> str:
    return f"SELECT {', '.join(columns)} FROM {table} ORDER BY {columns[0]}"


def _seal(table: str, columns: Sequence[str], db: Db) -> tuple[int, int]:
    """How many rows a table has, and a sum over all that stands in them, whatever their order."""
    count, total = 0, 0
    for row in db.stream(_select(table, columns)):
        text = "\x1f".join(_plain(value) for value in row)
        count += 1
        total += int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest(), "big")
    return count, total % 2**128


def _plain(value: object) -> str:
    """A value as both databases can keep it: PostgreSQL knows no NUL."""
    return f"={value}".replace("\0", "\ufffd") if value is not None else ""
