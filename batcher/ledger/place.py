"""Where a ledger is: a file in the state folder, or a PostgreSQL database that many machines share."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Collection
from contextlib import closing
from functools import cache
from pathlib import Path

from batcher.errors import LedgerError
from batcher.ledger.sql import SqlLedger
from batcher.ledger.sqlite import SqliteLedger

_SCHEMES = ("postgresql://", "postgres://")
SCHEMAS = {False: "batcher", True: "batcher_loopback"}
"""Of a database, for real accounts and for addresses of its own machine."""


def is_address(place: str) -> bool:
    """Whether it names a database rather than a folder."""
    return place.startswith(_SCHEMES)


def file_name(*, loopback: bool) -> str:
    """What the ledger is called where it is a file."""
    return "loopback.db" if loopback else "ledger.db"


def wrong_place(place: str) -> str:
    """Why there can be no ledger at an address, such as of a bucket; empty when there can. No password is repeated."""
    if "://" not in place or is_address(place):
        return ""
    scheme, _, rest = place.partition("://")
    shown = f"{scheme}://{rest.partition('?')[0].rpartition('@')[2]}"
    return f"'{shown}' is neither a folder nor postgresql://user@host/database"


def _require_place(place: str) -> None:
    if wrong := wrong_place(place):
        raise LedgerError(f"BATCHER_STATE: {wrong}")


def open_ledger(place: str, *, loopback: bool) -> SqlLedger:
    """
    Open a ledger to work with it; it is made when it is not there.

    Args:
        place: The state folder, or the address of a database.
        loopback: The one for addresses of this machine: what a simulator has made never counts as done for a real
            account.

    Raises:
        LedgerError: It cannot be used, or lives elsewhere now.
    """
    ledger = open_anyway(place, loopback=loopback)
    try:
        ledger.require_here()
    except LedgerError:
        ledger.close()
        raise
    return ledger


def open_anyway(place: str, *, loopback: bool) -> SqlLedger:
    """
    Open a ledger, also one that lives elsewhere now.

    Raises:
        LedgerError: It cannot be used.
    """
    _require_place(place)
    if not is_address(place):
        return SqliteLedger(Path(place) / file_name(loopback=loopback))
    _need_psycopg()
    from batcher.ledger.postgres import PostgresLedger

    return PostgresLedger(place, schema=SCHEMAS[loopback])


def has_ledger(place: str, *, loopback: bool) -> bool:
    """
    Whether there is a ledger already.

    Raises:
        LedgerError: The database cannot be reached.
    """
    _require_place(place)
    if not is_address(place):
        return (Path(place) / file_name(loopback=loopback)).exists()
    _need_psycopg()
    from batcher.ledger.server import has_schema

    return has_schema(place, SCHEMAS[loopback])


def ids_known(place: str, remote_ids: Collection[str], *, loopback: bool) -> Collection[str]:
    """
    Those of some ids that any attempt of a ledger has; none where there is no ledger.

    Raises:
        LedgerError: It cannot be used.
    """
    if not has_ledger(place, loopback=loopback):
        return ()
    with closing(open_anyway(place, loopback=loopback)) as ledger:
        return ledger.known_ids(remote_ids)


def has_password(address: str) -> bool:
    """Whether the address of a database itself holds a password."""
    _need_psycopg()
    from batcher.ledger.server import settings_of

    return bool(settings_of(address).get("password"))


def shared_clock(address: str, clock: Callable[[], float]) -> Callable[[], float]:
    """
    A clock that goes as the database's does: machines that share rate windows must agree on what the time is.

    The database is asked when the clock is first looked at, which then raises what `open_ledger` would.
    """
    _need_psycopg()
    from batcher.ledger.server import ahead_s

    ahead = cache(lambda: ahead_s(address, clock))
    return lambda: clock() + ahead()


def _need_psycopg() -> None:
    if importlib.util.find_spec("psycopg") is None:
        raise LedgerError(
            "BATCHER_STATE: a ledger in PostgreSQL needs more than is installed; pip install 'batcher[cluster]'"
        )
