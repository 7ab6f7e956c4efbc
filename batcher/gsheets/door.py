"""Where Google is, and the credentials for it: from the environment, and never shown."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from batcher.errors import InputError, Problem
from batcher.hosts import host_of, is_loopback_host

URL_VARIABLE = "BATCHER_GOOGLE_URL"
"""Another address for Google's, for tests and rehearsals: only on this machine, so that no sheet goes elsewhere."""
CREDENTIALS_VARIABLE = "GOOGLE_APPLICATION_CREDENTIALS"

_EXPORT = "https://docs.google.com"
_API = "https://sheets.googleapis.com"


class Door(Struct, frozen=True, kw_only=True):
    """
    The way to Google Sheets.

    Attributes:
        stand_in: An address on this machine in place of Google's; empty for Google itself.
        credentials: The service account's key file; None without one.
    """

    stand_in: str = ""
    credentials: Path | None = None

    @property
    def export(self) -> str:
        """Where sheets are exported that anyone with the link may see."""
        return self.stand_in or _EXPORT

    @property
    def api(self) -> str:
        """Where the Sheets API is."""
        return self.stand_in or _API


def find_door(environ: Mapping[str, str]) -> Door:
    """
    The way that the environment shows.

    Raises:
        InputError: The address is not on this machine.
    """
    stand_in = environ.get(URL_VARIABLE, "").rstrip("/")
    if stand_in and not is_loopback_host(host_of(stand_in)):
        message = "may only lead to this machine, such as http://127.0.0.1:8322"
        raise InputError(Problem(where=URL_VARIABLE, message=message))
    path = environ.get(CREDENTIALS_VARIABLE, "")
    return Door(stand_in=stand_in, credentials=Path(path).expanduser() if path else None)
