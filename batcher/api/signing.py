"""How requests are signed: with a key that lasts, or by a sign-in whose tokens are renewed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


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


@dataclass(frozen=True, kw_only=True, slots=True)
class KeySignature:
    """
    A key in a header, the same for every request.

    Attributes:
        signed: The header and its value.
    """

    signed: Mapping[str, str] = field(repr=False)

    def headers(self) -> Mapping[str, str]:
        """See `Signature.headers`."""
        return self.signed

    def refused(self, headers: Mapping[str, str]) -> bool:  # noqa: ARG002 - another try with the same key brings nothing
        """See `Signature.refused`."""
        return False
