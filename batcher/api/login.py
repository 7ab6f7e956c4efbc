"""A sign-in that is kept: tokens in a file of the user's alone, renewed once whoever notices first."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from msgspec.structs import asdict, replace

from batcher.api import oauth
from batcher.api.signing import Guarded
from batcher.catalog.model import OAuth, Provider
from batcher.errors import InputError, Problem, StopEverything
from batcher.stores import replacing

RENEW_BEFORE_S = 120.0
"""A token is renewed so long before its end: a write may be on its way for two minutes."""


class Login(Guarded, frozen=True, kw_only=True):
    """
    A sign-in as it is kept.

    Attributes:
        base_url: Which address it is for.
        owner: Whose it is, as the API says; a name of our own where it does not. It stays over renewals.
        expires_at: When `access` ends, unix seconds.
    """

    base_url: str
    client_id: str
    owner: str
    access: str
    refresh: str
    expires_at: float


def login_file(state: Path, provider: Provider, base_url: str) -> Path:
    """Where the sign-in for an address of a provider is kept."""
    digest = hashlib.blake2b(base_url.encode(), digest_size=4).hexdigest()
    return state / "logins" / f"{provider.name}-{digest}.json"


def read_login(file: Path) -> Login | None:
    """
    The sign-in that a file holds; None when there is none.

    Raises:
        InputError: The file cannot be read as one.
    """
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
        return Login(**value)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        message = "the kept sign-in cannot be read; sign in again with: batcher login"
        raise InputError(Problem(where=str(file), message=message)) from error


def keep_login(file: Path, login: Login) -> None:
    """
    Write a sign-in down, readable by its owner alone, before anything is done with it.

    Raises:
        InputError: It cannot be written.
    """
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with replacing(file) as new:
        new.write_text(json.dumps(asdict(login)), encoding="utf-8")


class LoginSignature:
    """
    Signs with the tokens of a kept sign-in.

    Args:
        file: Where it is kept; other processes use and renew it too.
        clock: Unix seconds.
    """

    def __init__(self, file: Path, *, found: oauth.Endpoints, how: OAuth, clock: Callable[[], float]) -> None:
        self._file = file
        self._endpoints = found
        self._how = how
        self._clock = clock
        self._lock = threading.Lock()
        self._login: Login | None = None

    def headers(self) -> Mapping[str, str]:
        """See `Signature.headers`."""
        with self._lock:
            login = self._login or self._kept()
            if self._clock() > login.expires_at - RENEW_BEFORE_S:
                login = self._renewed(login.access)
            self._login = login
            return self._signed(login)

    def refused(self, headers: Mapping[str, str]) -> bool:
        """See `Signature.refused`."""
        with self._lock:
            login = self._login or self._kept()
            if self._signed(login) == headers:
                self._login = self._renewed(login.access)
            return True

    def _signed(self, login: Login) -> Mapping[str, str]:
        return {self._how.header: self._how.value.format(key=login.access)}

    def _kept(self) -> Login:
        login = read_login(self._file)
        if login is None:
            raise StopEverything("nobody is signed in any more; sign in with: batcher login", code="signed_out")
        return login

    def _renewed(self, used: str) -> Login:
        """The sign-in with another access token than `used`: from the file, when another process was quicker."""
        with _alone(self._file):
            login = self._kept()
            if login.access != used and self._clock() < login.expires_at - RENEW_BEFORE_S:
                return login
            if not login.refresh:
                raise StopEverything("the sign-in has ended; sign in again with: batcher login", code="signed_out")
            tokens = oauth.renew(self._endpoints, client_id=login.client_id, refresh=login.refresh)
            login = replace(
                login, access=tokens.access, refresh=tokens.refresh, expires_at=self._clock() + tokens.life_s
            )
            keep_login(self._file, login)
            return login


@contextmanager
def _alone(file: Path) -> Iterator[None]:
    """Wait until no other process renews: a refresh token is good for one renewal."""
    descriptor = os.open(file.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
