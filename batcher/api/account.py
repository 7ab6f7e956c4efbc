"""Which account a job uses: address, credential, and whether it is real."""

from __future__ import annotations

import hashlib
import stat
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from msgspec import Struct

from batcher.api.login import LoginSignature, login_file, read_login
from batcher.api.oauth import endpoints
from batcher.api.signing import KeySignature, Signature
from batcher.catalog.model import Provider
from batcher.errors import InputError, Problem
from batcher.hosts import host_of, is_loopback_host

ALLOW_VARIABLE = "BATCHER_ALLOW_HOST"
REHEARSAL_KEY = "rehearsal"


class Account(Struct, frozen=True, kw_only=True):
    """
    A credential at a provider.

    Attributes:
        name: How the ledger knows it: a hash of provider, host and credential, or of whose sign-in it is.
        base_url: Without a slash at the end.
        signature: Signs its requests; never shown.
        signed_in_as: Whose kept sign-in it is; empty with a key.
        is_real: False on a loopback address: nothing there costs money.
        exposed: The file that holds its key, where everybody on this machine can read that; None otherwise.
    """

    name: str
    provider: Provider
    base_url: str
    signature: Signature
    is_real: bool
    signed_in_as: str = ""
    exposed: Path | None = None

    @property
    def upload_url(self) -> str:
        """Where files go: what was pointed elsewhere stays there with all it sends."""
        own = self.provider.assets.base_url if self.provider.assets else ""
        return own if own and self.base_url == self.provider.base_url else self.base_url

    @property
    def host(self) -> str:
        """Host, and port where it is not the usual one."""
        return urlsplit(self.base_url).netloc


def open_account(
    provider: Provider,
    *,
    base_url: str,
    environ: Mapping[str, str],
    folders: Sequence[Path],
    state: Path,
    clock: Callable[[], float] = time.time,
    offline: bool = False,
) -> Account:
    """
    Find the account's address and credential.

    Args:
        provider: Whose account.
        base_url: The job's `account.base_url`; empty when it has none.
        environ: The environment. A host that is not the provider's own must be allowed here, not in a file.
        folders: Where a `.env` file may stand; the first that has the variable wins, after the environment. Without
            a key there, a kept sign-in is used.
        state: The folder in which sign-ins are kept.
        clock: Unix seconds.
        offline: Nothing is sent, so no host has to be allowed.

    Raises:
        InputError: No credential, or an address that must not get it.
    """
    settings = Settings(environ, folders)
    address = address_of(provider, base_url=base_url, environ=environ, folders=folders, offline=offline)
    is_real = not is_loopback_host(host_of(address))
    credential = settings.get(provider.key_variable)
    if not credential and (account := signed_in(provider, address, state=state, clock=clock)):
        return account
    if not credential and not is_real:
        credential = REHEARSAL_KEY
    if not credential:
        message = f"no key for {provider.title}: set {provider.key_variable} in the environment or in a .env file"
        message += ", or sign in with: batcher login" if provider.oauth else ""
        raise InputError(Problem(where=provider.key_variable, message=message))
    if not credential.isascii() or not credential.isprintable():
        raise InputError(
            Problem(where=provider.key_variable, message="the key has characters that no key has; copy it again")
        )
    return Account(
        name=_name(provider.name, address, credential),
        provider=provider,
        base_url=address,
        signature=KeySignature(signed={provider.key_header: provider.key_value.format(key=credential)}),
        is_real=is_real,
        exposed=settings.exposed(provider.key_variable),
    )


def signed_in(provider: Provider, address: str, *, state: Path, clock: Callable[[], float]) -> Account | None:
    """
    The account of a kept sign-in; None when there is none for this address.

    Raises:
        InputError: The kept sign-in cannot be read.
    """
    file = login_file(state, provider, address)
    login, found = read_login(file), endpoints(provider, address)
    if login is None or found is None or provider.oauth is None:
        return None
    return Account(
        name=_name(provider.name, address, "signed in", login.owner),
        provider=provider,
        base_url=address,
        signature=LoginSignature(file, found=found, how=provider.oauth, clock=clock),
        is_real=not is_loopback_host(host_of(address)),
        signed_in_as=login.owner,
    )


def _name(*parts: str) -> str:
    return hashlib.blake2b("\x1f".join(parts).encode(), digest_size=6).hexdigest()


def address_of(
    provider: Provider, *, base_url: str, environ: Mapping[str, str], folders: Sequence[Path], offline: bool = False
) -> str:
    """
    The account's address, without a slash at the end; see `open_account`.

    Raises:
        InputError: It is none, or must not get a key.
    """
    found = base_url or Settings(environ, folders).get(provider.base_url_variable) or provider.base_url
    address = found.rstrip("/")
    _check_address(address, provider, environ, offline=offline)
    return address


def _check_address(address: str, provider: Provider, environ: Mapping[str, str], *, offline: bool) -> None:
    parts = urlsplit(address)
    host = host_of(address)
    if parts.scheme not in ("http", "https") or not host or parts.username or parts.query or parts.fragment:
        raise InputError(
            Problem(where="base_url", message=f"'{address}' is not a base address such as {provider.base_url}")
        )
    if is_loopback_host(host):
        return
    if parts.scheme != "https":
        raise InputError(Problem(where="base_url", message=f"'{address}' would carry the key unencrypted; use https"))
    own = host_of(provider.base_url)
    allowed = {each.strip().lower() for each in environ.get(ALLOW_VARIABLE, "").split(",")}
    if host != own and host not in allowed and not offline:
        message = f"'{host}' is not {own}: if it may have your key, set {ALLOW_VARIABLE}={host} in the environment"
        raise InputError(Problem(where="base_url", message=message))


class Settings:
    """The environment first, then the `.env` files of some folders."""

    def __init__(self, environ: Mapping[str, str], folders: Sequence[Path]) -> None:
        self._environ = environ
        self._files = [folder / ".env" for folder in folders]

    def get(self, variable: str) -> str:
        """The value of a variable; empty when it is nowhere."""
        return self._find(variable)[0]

    def exposed(self, variable: str) -> Path | None:
        """The file that a variable is read from, where everybody on this machine can read it too; None otherwise."""
        _, file = self._find(variable)
        return file if file is not None and file.stat().st_mode & stat.S_IROTH else None

    def _find(self, variable: str) -> tuple[str, Path | None]:
        """The value of a variable, and the file that it stands in."""
        if not variable:
            return "", None
        if value := self._environ.get(variable, "").strip():
            return value, None
        for file in self._files:
            if file.is_file():
                from dotenv import dotenv_values

                if value := (dotenv_values(file).get(variable) or "").strip():
                    return value, file
        return "", None
