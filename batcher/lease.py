"""How long a worker may send: as long as the others believe it to be alive, and not a moment longer."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from msgspec import Struct

from batcher.errors import LedgerError
from batcher.ledger.protocol import Ledger

LEASE_S = 15.0
"""So long after its last sign a worker is believed to be alive; then others take over what it was sending."""

_RENEW_S = LEASE_S / 3


class Lease(Struct, kw_only=True):
    """
    The right of one slice to send, renewed while it goes on.

    Attributes:
        holder: Under which name its attempts are held.
        until: When it ends, unix seconds.
    """

    holder: str
    ledger: Ledger
    clock: Callable[[], float]
    until: float = 0.0
    _is_lost: bool = False

    def begin(self) -> None:
        """Take it."""
        now = self.clock()
        self.ledger.alive(self.holder, at=now, until=now + LEASE_S)
        self.until = now + LEASE_S

    def keep(self) -> bool:
        """Renew it when that is due; False once it is lost, for good."""
        now = self.clock()
        if not self.holds():
            self._is_lost = True
        elif now > self.until - LEASE_S + _RENEW_S:
            with suppress(LedgerError):  # there is time left to try again; without a sign it ends by itself
                self._is_lost = not self.ledger.alive(self.holder, at=now, until=now + LEASE_S)
                self.until = now + LEASE_S
        return not self._is_lost

    def holds(self) -> bool:
        """Whether something may be sent at this very moment; also asked by senders, without the ledger."""
        return not self._is_lost and self.clock() < self.until

    def end(self) -> None:
        """Let go: what is still in doubt is the next one's at once."""
        now = self.clock()
        with suppress(LedgerError):  # it ends by itself, then
            self.ledger.alive(self.holder, at=now, until=now)
