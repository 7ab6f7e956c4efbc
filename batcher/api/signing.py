"""How requests are signed: with a key that lasts, or by a sign-in whose tokens are renewed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from msgspec import Struct


class Guarded(Struct, frozen=True, kw_only=True):
    """A value that holds a secret: whoever prints it, or meets it in a traceback, sees its name alone."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"


class Signature(Protocol):
    """Signs the requests of one account; asked by several threads."""

    def headers(self) -> Mapping[str, str]:
        """
        The headers of the next request; never shown.

        Raises:
            StopEverything: The sign-in has ended.
            Throttled: It could not be renewed now; nothing was sent.
        """

    def refused(self, headers: Mapping[str, str]) -> bool:
        """Take note that the API does not accept these headers; True when others are worth one more try."""


class KeySignature(Guarded, frozen=True, kw_only=True):
    """
    A key in a header, the same for every request.

    Attributes:
        signed: The header and its value.
    """

    signed: Mapping[str, str]

    def headers(self) -> Mapping[str, str]:
        """See `Signature.headers`."""
        return self.signed

    def refused(self, headers: Mapping[str, str]) -> bool:  # noqa: ARG002 - another try with the same key brings nothing
        """See `Signature.refused`."""
        return False
