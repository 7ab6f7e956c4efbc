"""
Why a file could not be fetched, as a tree whose branches are chosen by what the caller does next.

    FetchError
    ├── LinkExpired      ask the API for a fresh link, once, and fetch again
    ├── TryLater         the same again, after a while; what has come is kept where it can be gone on with
    ├── Refused          never: the link or what it leads to is not what we fetch
    ├── Occupied         a different file stands at the target: another name, or a person
    └── DiskTrouble      fetch nothing more until a person has made room
"""

from __future__ import annotations

from batcher.errors import BatcherError


class FetchError(BatcherError):
    """A file could not be fetched; the message names the host but never the link, whose signature is a secret."""


class LinkExpired(FetchError):
    """The link does not work any more, or never did."""


class TryLater(FetchError):
    """
    No whole file this time.

    Args:
        wait_s: Seconds to hold off, as the server said, at most an hour; None when it did not say.
    """

    def __init__(self, message: str, *, wait_s: float | None = None) -> None:
        super().__init__(message)
        self.wait_s = wait_s


class Refused(FetchError):
    """The link must not be followed, or leads to something that is not the wanted file."""


class Occupied(FetchError):
    """Something else stands where the file belongs; it is untouched."""


class DiskTrouble(FetchError):
    """The file cannot be written: no room, too large for the disk, or no permission."""
