"""Files that rows need, brought to the account before the rows are sent."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path

from msgspec import Struct, field

from batcher.api.client import Client
from batcher.api.upload import Changed, upload
from batcher.bound import BoundJob
from batcher.errors import ApiError, Rejected, StopEverything, Throttled
from batcher.ledger.protocol import Ledger
from batcher.ledger.values import Need, News
from batcher.model import Asset
from batcher.senders import Returned, Senders

AT_ONCE = 3
"""Uploads that go on at the same time: rows that need no file go on beside them."""

MAX_TRIES = 6
"""Tries at one file within a run; after that its rows wait for the next one."""

FIRST_WAIT_S = 5.0
"""How long to wait after the first failure, where nothing says how long; doubled each time."""


class _Wanted(Struct, frozen=True, kw_only=True):
    """
    A file to upload.

    Attributes:
        at: When it is tried next, unix seconds.
        tries: How often it has been tried in this run.
    """

    need: Need
    at: float
    tries: int = 0


class Uploads(Struct, kw_only=True):
    """
    Brings files to the account, each content once.

    An upload may be repeated without a charge, so nothing is written down before it: a kill costs at most a second
    copy. The ledger admits a row as soon as the account holds everything that it needs.

    Attributes:
        stop: Why nothing more may be sent; empty while all is well.
        later: Why files are left to the next run; empty while none is.
        arrived: Files have arrived, so that rows may be sent that could not before.
        rows: The ids of the only rows whose files are uploaded; None for all of them.
    """

    bound: BoundJob
    account: str
    client: Client
    ledger: Ledger
    senders: Senders
    clock: Callable[[], float]
    tell: Callable[[str], None]
    rows: Collection[str] | None = None
    stop: str = ""
    later: str = ""
    arrived: bool = False
    _wanted: dict[str, _Wanted] = field(default_factory=dict)
    _under_way: set[str] = field(default_factory=set)
    _over: set[str] = field(default_factory=set)

    def look(self) -> None:
        """Find out which files are needed now."""
        now = self.clock()
        for need in self.ledger.wanted(self.bound.job.name, self.account, at=now, rows=self.rows):
            if need.digest not in self._under_way | self._over:
                self._wanted.setdefault(need.digest, _Wanted(need=need, at=now))

    @property
    def under_way(self) -> int:
        """How many files are being sent: nobody has to wait for them, since sending them again is free."""
        return len(self._under_way)

    @property
    def due_at(self) -> float | None:
        """When the next file can be tried; None when none is left to this run, or enough are under way."""
        if self.stop or len(self._under_way) >= AT_ONCE:
            return None
        return min((each.at for each in self._wanted.values()), default=None)

    def step(self) -> None:
        """Send the files whose time has come."""
        assets, now = self.bound.provider.assets, self.clock()
        due = [each for each in self._wanted.values() if each.at <= now]
        if self.stop or assets is None or not due:
            return
        held_until, _ = self.ledger.held_off(self.account)
        for each in due:
            if held_until > now:
                self._put_off(each, until=held_until)
            elif self.senders.free() > 0 and len(self._under_way) < AT_ONCE:
                digest = each.need.digest
                self._under_way.add(self._wanted.pop(digest).need.digest)
                send = partial(upload, self.client, assets, Path(each.need.path), digest=digest, now=now)
                self.senders.send(self, each, send)

    def take(self, returned: Returned) -> list[News]:
        """What came of an upload; never news of an attempt."""
        wanted: _Wanted = returned.about
        self._under_way.discard(wanted.need.digest)
        if returned.error is None:
            asset: Asset = returned.value
            self.ledger.uploaded(self.account, asset)
            self.arrived = True
        elif isinstance(returned.error, Changed):
            self._leave(wanted, str(returned.error))
        elif isinstance(returned.error, ApiError):
            self._failed(wanted, returned.error)
        else:
            raise returned.error
        return []

    def _failed(self, wanted: _Wanted, error: ApiError) -> None:
        now, name = self.clock(), Path(wanted.need.path).name
        if isinstance(error, StopEverything):
            advice = self.bound.provider.errors.advice(error.code)
            self.stop = f"{error.message}: {advice}" if advice else error.message
            self._leave(wanted, error.message)
        elif isinstance(error, Rejected):
            self._over.add(wanted.need.digest)
            reason = f"{name} was refused when it was uploaded: {error.message}"
            count = self.ledger.unusable(self.bound.job.name, wanted.need.digest, reason=reason, at=now)
            self.tell(f"{reason}; {count} rows need it")
        elif wanted.tries + 1 >= MAX_TRIES:
            self._leave(wanted, f"{name} could not be uploaded: {error.message}")
        else:
            self._again(wanted, error, now)

    def _again(self, wanted: _Wanted, error: ApiError, now: float) -> None:
        """The same once more, after a wait; a rate that is told holds for the whole account."""
        wait = FIRST_WAIT_S * 2**wanted.tries
        if isinstance(error, Throttled) and error.wait_s is not None:
            wait = max(error.wait_s, 0.2)
            self.ledger.hold_off(self.account, until=now + wait, reason=error.message)
        self._wanted[wanted.need.digest] = _Wanted(need=wanted.need, at=now + wait, tries=wanted.tries + 1)

    def _put_off(self, wanted: _Wanted, *, until: float) -> None:
        self._wanted[wanted.need.digest] = _Wanted(need=wanted.need, at=until, tries=wanted.tries)

    def _leave(self, wanted: _Wanted, reason: str) -> None:
        """Its rows wait for another run."""
        self._over.add(wanted.need.digest)
        self.later = self.later or reason
        self.tell(f"{reason}; the rows that need it wait")
