"""Is everything in place? One finding per line, each with what to do."""

from __future__ import annotations

import os
from collections.abc import Iterator
from urllib.parse import urlsplit

from msgspec.structs import replace

from batcher.api.account import Account, open_account
from batcher.api.client import Client
from batcher.catalog.load import built_in_providers
from batcher.catalog.model import Provider
from batcher.errors import ApiError, BatcherError, InputError, StopEverything
from batcher.ledger.disk import SAFE_PLACE, risk_of
from batcher.ledger.place import is_address, open_ledger
from batcher.ops.reach import Door, Finding, Transport, reach
from batcher.surroundings import Surroundings
from batcher.units import Money

SKEW_S = 300
"""A clock further off than this makes the ages of keys and links wrong."""


def examine(provider: Provider, around: Surroundings) -> Iterator[Finding]:
    """Look at ledger, key, host, account, clock and older versions, in this order; later ones are left out when they cannot be known."""
    yield _ledger(around)
    try:
        account = open_account(
            provider,
            base_url="",
            environ=around.environ,
            folders=[around.folder],
            state=around.state,
            clock=around.clock,
        )
    except InputError as error:
        yield Finding(is_well=False, what="no usable key or address", advice=str(error))
        return
    where = "REAL" if account.is_real else "a rehearsal: loopback"
    yield Finding(is_well=True, what=f"{provider.title} at {account.host} ({where}), {_signed(account)}")
    reachable = reach(_door(account))
    yield reachable
    if reachable.is_well:
        client = Client(account, clock=around.clock)
        try:
            yield from _account(client)
        finally:
            client.close()
        yield from _retired(provider, account, around)


def _signed(account: Account) -> str:
    if not account.signed_in_as:
        return "key present"
    note = account.provider.oauth.note if account.provider.oauth else ""
    return f"signed in as {account.signed_in_as}: {note}"


def _ledger(around: Surroundings) -> Finding:
    try:
        ledger = open_ledger(around.place, loopback=False)
        ledger.close()
    except BatcherError as error:
        return Finding(is_well=False, what="the ledger cannot be used", advice=str(error))
    if is_address(around.place):
        return Finding(is_well=True, what=f"ledger {ledger.name}, shared by all who use it")
    path = around.state / "ledger.db"
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        return Finding(is_well=False, what=f"{path} can be read by others", advice=f"chmod 600 {path}")
    if risk := risk_of(path.parent):
        return Finding(is_well=False, what=risk, advice=SAFE_PLACE)
    free = os.statvfs(path.parent)
    if free.f_bavail * free.f_frsize < 50_000_000:
        return Finding(
            is_well=False, what=f"little room for the ledger in {path.parent}", advice="free some disk space"
        )
    return Finding(is_well=True, what=f"ledger {path}")


def _door(account: Account) -> Door:
    parts = urlsplit(account.base_url)
    is_safe = parts.scheme == "https"
    return Door(
        host=parts.hostname or "",
        port=parts.port or (443 if is_safe else 80),
        transport=Transport.TLS if is_safe else Transport.TCP,
    )


def _retired(provider: Provider, account: Account, around: Surroundings) -> Iterator[Finding]:
    """Whether an older generation of the same API still answers."""
    for older in built_in_providers():
        if older.errors.retired is None or older is provider or older.base_url != provider.base_url:
            continue
        client = Client(replace(account, provider=older), clock=around.clock)
        try:
            client.account_info()
            yield Finding(is_well=True, what=f"{older.title}: still answers for this account")
        except ApiError as error:
            yield Finding(is_well=True, what=f"{older.title}: {error.message}")
        finally:
            client.close()


def _account(client: Client) -> Iterator[Finding]:
    try:
        info = client.account_info()
    except StopEverything as error:
        yield Finding(
            is_well=False,
            what=f"the key is not accepted: {error.message}",
            advice="make a new key in the account's settings",
        )
        return
    except ApiError as error:
        yield Finding(
            is_well=False, what=f"the account could not be asked: {error.message}", advice="try again in a minute"
        )
        return
    left = "" if info.balance is None else f", balance {Money(amount=info.balance, currency=info.unit or 'CREDITS')}"
    empty = info.balance is not None and info.balance <= 0
    paid = f", paid by {info.plan}" if info.plan else ""
    yield Finding(
        is_well=not empty,
        what=f"account {info.name or '(no name told)'}{paid}{left}",
        advice="top it up" if empty else "",
    )
    ahead = client.server_ahead_s
    yield Finding(
        is_well=abs(ahead) < SKEW_S,
        what=f"clock {abs(ahead):.0f} s {'behind' if ahead > 0 else 'ahead of'} the API's",
        advice="" if abs(ahead) < SKEW_S else "set this machine's clock: ages of keys and links depend on it",
    )
