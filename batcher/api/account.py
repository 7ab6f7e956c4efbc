"""Which account a job uses: address, credential, and whether it is real."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from batcher.catalog.model import Provider
from batcher.errors import InputError, Problem

ALLOW_VARIABLE = "BATCHER_ALLOW_HOST"
REHEARSAL_KEY = "rehearsal"


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """
    A credential at a provider.

    Attributes:
        name: How the ledger knows it: a hash of provider, host and credential.
        base_url: Without a slash at the end.
        headers: The signed headers; never shown.
        is_real: False on a loopback address: nothing there costs money.
    """

    name: str
    provider: Provider
    base_url: str
    headers: Mapping[str, str] = field(repr=False)
    is_real: bool

    @property
    def host(self) -> str:
        """Host, and port where it is not the usual one."""
        return urlsplit(self.base_url).netloc


def open_account(provider: Provider, *, base_url: str, environ: Mapping[str, str], folders: Sequence[Path]) -> Account:
    """
    Find the account's address and credential.

    Args:
        provider: Whose account.
        base_url: The job's `account.base_url`; empty when it has none.
        environ: The environment. A host that is not the provider's own must be allowed here, not in a file.
        folders: Where a `.env` file may stand; the first that has the variable wins, after the environment.

    Raises:
        InputError: No credential, or an address that must not get it.
    """
    settings = Settings(environ, folders)
    address = (base_url or settings.get(provider.base_url_variable) or provider.base_url).rstrip("/")
    is_loopback = _check_address(address, provider, environ)
    credential = settings.get(provider.key_variable)
    if not credential and is_loopback:
        credential = REHEARSAL_KEY
    if not credential:
        message = f"no key for {provider.title}: set {provider.key_variable} in the environment or in a .env file"
        raise InputError(Problem(where=provider.key_variable, message=message))
    if not credential.isascii() or not credential.isprintable():
        raise InputError(
            Problem(where=provider.key_variable, message="the key has characters that no key has; copy it again")
        )
    identity = "\x1f".join((provider.name, address, credential)).encode()
    return Account(
        name=hashlib.blake2b(identity, digest_size=6).hexdigest(),
        provider=provider,
        base_url=address,
        headers={provider.key_header: provider.key_value.format(key=credential)},
        is_real=not is_loopback,
    )


def _check_address(address: str, provider: Provider, environ: Mapping[str, str]) -> bool:
    """
    Whether the address is a loopback one; refuses those that must not get the key.
    """
    parts = urlsplit(address)
    host = (parts.hostname or "").lower()
    if parts.scheme not in ("http", "https") or not host or parts.username or parts.query or parts.fragment:
        raise InputError(
            Problem(where="base_url", message=f"'{address}' is not a base address such as {provider.base_url}")
        )
    if is_loopback_host(host):
        return True
    if parts.scheme != "https":
        raise InputError(Problem(where="base_url", message=f"'{address}' would carry the key unencrypted; use https"))
    own = (urlsplit(provider.base_url).hostname or "").lower()
    allowed = {each.strip().lower() for each in environ.get(ALLOW_VARIABLE, "").split(",")}
    if host != own and host not in allowed:
        message = f"'{host}' is not {own}: if it may have your key, set {ALLOW_VARIABLE}={host} in the environment"
        raise InputError(Problem(where="base_url", message=message))
    return False


def is_loopback_host(host: str) -> bool:
    """Whether a host name is this machine by definition; names that merely resolve to it do not count."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Settings:
    """The environment first, then the `.env` files of some folders."""

    def __init__(self, environ: Mapping[str, str], folders: Sequence[Path]) -> None:
        self._environ = environ
        self._files = [folder / ".env" for folder in folders]

    def get(self, variable: str) -> str:
        """The value of a variable; empty when it is nowhere."""
        if not variable:
            return ""
        if value := self._environ.get(variable, "").strip():
            return value
        for file in self._files:
            if file.is_file():
                from dotenv import dotenv_values

                if value := (dotenv_values(file).get(variable) or "").strip():
                    return value
        return ""
