"""Brings the files of finished rows: in parallel, beside the run, by connections of their own."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial

from msgspec import Struct, field
from msgspec.structs import replace

from batcher.api.client import Client
from batcher.bound import BoundJob
from batcher.catalog.model import Settle
from batcher.errors import ApiError, LedgerError, Rejected
from batcher.expiry import signed_until
from batcher.fetch.client import Fetched, Fetcher
from batcher.fetch.errors import DiskTrouble, FetchError, LinkExpired, Occupied, Refused, TryLater
from batcher.fetch.forward import clear
from batcher.filenames import FileNames
from batcher.filing import FilePlace
from batcher.ledger.protocol import Ledger
from batcher.ledger.values import FileRecord, News, Standing
from batcher.model import FileState, Outcome, State, TaskKey
from batcher.open_job import OpenJob
from batcher.renewal import renewed
from batcher.senders import Returned, ThreadedSenders
from batcher.stores import Location, StoreError, Taken, located, look, rename, shown_from
from batcher.surroundings import Surroundings
from batcher.wanted import Shelf, is_lacking, wanted_files

FETCHERS = 6
"""Files that are fetched at once."""

QUEUED = 4 * FETCHERS
"""Handed to the fetchers at once, so that none is idle until the run looks again."""

TRIES = 4
"""How often a file is tried within a run; what is left is tried by the next one."""

MOST_TRIES = 20
"""After so many tries in vain only a person's word has a file tried again."""

RETRY_S = 2.0
_LONGEST_RETRY_S = 120.0


class Want(Struct, frozen=True, kw_only=True):
    """
    A file that is to be fetched.

    Attributes:
        standing: The finished task.
        target: Where it belongs.
        tries: How often it was tried in this run.
    """

    standing: Standing
    place: FilePlace
    target: Location
    tries: int = 0

    @property
    def link(self) -> str:
        """Where it is fetched from; a secret."""
        return self.standing.outputs[self.place.output]

    @property
    def key(self) -> tuple[int, str]:
        """Which file it is."""
        return self.standing.attempt_id, self.place.output


class Brought(Struct, frozen=True, kw_only=True):
    """
    What came of an errand.

    Attributes:
        fetched: The file; None when it could not be fetched.
        error: Why not.
        outcome: A newer answer of the API, with new links; None when it was not asked.
    """

    fetched: Fetched | None = None
    error: FetchError | None = None
    outcome: Outcome | None = None


class Downloads(Struct, kw_only=True):
    """
    The files of one run; the run's thread calls, the fetchers work.

    Attributes:
        client: Asked for a fresh link where one has expired.
        takes: Whether a row, by its id, is this one's to fetch; others may be another worker's.
        filed: Receives the task of a file and what has become of that, once it is written down.
        stop: Why nothing more is fetched; empty while all is well.
        disk_trouble: What a person must mend before more can be fetched; mostly empty.
        fetched: How many files this run has brought.
        is_dirty: Something was written down since somebody last asked.
    """

    bound: BoundJob
    ledger: Ledger
    client: Client
    fetcher: Fetcher
    pool: ThreadedSenders
    clock: Callable[[], float]
    tell: Callable[[str], None]
    takes: Callable[[str], bool] = lambda _: True
    filed: Callable[[TaskKey, FileRecord], None] = lambda _task, _record: None
    stop: str = ""
    disk_trouble: str = ""
    fetched: int = 0
    is_dirty: bool = False
    _names: FileNames | None = None
    _queue: deque[Want] = field(default_factory=deque)
    _later: list[tuple[float, Want]] = field(default_factory=list)
    _taken: set[tuple[int, str]] = field(default_factory=set)

    def begin(self, *, again: bool = False) -> None:
        """
        Take up what is missing of finished rows.

        Args:
            again: Also what was given up, on a person's word.
        """
        self._want(self.ledger.standings(self.bound.job.name), again=again)

    def finished(self, row_ids: Iterable[str]) -> None:
        """Take up the files of rows in which something was finished just now, or whose links are new."""
        self._want(self.ledger.standings(self.bound.job.name, list(row_ids)), again=False)

    def _want(self, standings: Sequence[Standing], *, again: bool) -> None:
        shelf = Shelf(self.bound)
        by_row: dict[str, dict[str, Mapping[str, str]]] = {}
        for each in standings:
            by_row.setdefault(each.key.row_id, {})[each.key.step] = each.outputs
        for standing, place in wanted_files(self.bound, standings):
            record = standing.files.get(place.output)
            key = (standing.attempt_id, place.output)
            if (
                key in self._taken
                or not self.takes(standing.key.row_id)
                or (shelf.is_settled(standing, place) and not (again and is_lacking(record)))
            ):
                continue
            target = self._target(standing, place, by_row[standing.key.row_id])
            if target is not None:
                self._taken.add(key)
                self._queue.append(Want(standing=standing, place=place, target=target))

    def _target(
        self, standing: Standing, place: FilePlace, outputs: Mapping[str, Mapping[str, str]]
    ) -> Location | None:
        if self._names is None:
            self._names = FileNames(self.bound)
        return self._names.of(standing, place, outputs)

    @property
    def is_busy(self) -> bool:
        """Whether files are still to come."""
        return not self.stop and bool(self._queue or self._later or self.pool.under_way())

    @property
    def left(self) -> int:
        """How many files are still to come, those under way included."""
        return len(self._queue) + len(self._later) + self.pool.under_way()

    def step(self) -> None:
        """Hand out what the fetchers can take."""
        if self.stop:
            return
        now = self.clock()
        self._queue += [want for at, want in self._later if at <= now]
        self._later = [(at, want) for at, want in self._later if at > now]
        while self._queue and self.pool.under_way() < QUEUED:
            want = self._queue.popleft()
            self._make_way(want)
            settle = self.bound.operation(want.place.step).settle
            self.pool.send(self, want, partial(bring, self.fetcher, self.client, settle, want, now=now))

    def _make_way(self, want: Want) -> None:
        """A row that was made again gets its name back: what an earlier attempt has left there is called after it."""
        record = want.standing.files.get(want.place.output)
        if record is None or record.state is not FileState.HERE or record.attempt_id == want.standing.attempt_id:
            return
        older = located(self.bound.job.results.file.parent, record.path)
        with suppress(StoreError):  # then the name stays taken, and the fetch says so
            standing = look(older) if older == want.target else None
            if standing is not None and standing.size == record.bytes:
                self._set_aside(older)

    def _set_aside(self, older: Location) -> None:
        for number in range(1, 1000):
            aside = older.with_name(f"{older.stem}.before-{number}{older.suffix}")
            with suppress(Taken):
                rename(older, aside)
                self.tell(f"{older.name} was made again: the older file is now {aside.name}")
                return

    def collect(self, *, wait_s: float) -> None:
        """Write down what came back; waits up to `wait_s` seconds for the first."""
        files: list[FileRecord] = []
        news: list[News] = []
        filed: list[TaskKey] = []
        now = self.clock()
        for returned in self.pool.collect(wait_s=wait_s):
            want: Want = returned.about
            brought = self._brought(returned)
            if brought.outcome is not None:
                news.append(renewed(want.standing, brought.outcome, at=now))
            if (record := self._record(want, brought, now)) is not None:
                files.append(record)
                filed.append(want.standing.key)
        if news:
            self.ledger.record(news)
        if files:
            self.ledger.filed(files)
            for task, record in zip(filed, files, strict=True):
                self.filed(task, record)
        self.is_dirty = self.is_dirty or bool(files or news)

    def _brought(self, returned: Returned) -> Brought:
        if returned.error is not None:
            raise returned.error
        brought: Brought = returned.value
        return brought

    def _record(self, want: Want, brought: Brought, now: float) -> FileRecord | None:
        """What is written down about a file; None when it is tried again in this run, or the run is over."""
        path = shown_from(self.bound.job.results.file.parent, want.target)
        base = FileRecord(
            attempt_id=want.standing.attempt_id, output=want.place.output, state=FileState.HERE, path=path, at=now
        )
        if brought.fetched is not None:
            self.fetched += 1
            return replace(base, bytes=brought.fetched.bytes, reason=brought.fetched.note)
        error = brought.error
        if isinstance(error, DiskTrouble) and not self.disk_trouble:  # once is enough, also when several met it
            self._end(str(error))
            self.disk_trouble = f"no more files are fetched: {error}"
            self.tell(self.disk_trouble)
        if self.stop or error is None:
            return None
        if isinstance(error, Occupied):
            return replace(base, state=FileState.OCCUPIED, reason=str(error))
        if isinstance(error, Refused):
            return replace(base, state=FileState.REFUSED, reason=str(error))
        return self._try_again(want, brought, error, base, now)

    def _try_again(
        self, want: Want, brought: Brought, error: FetchError, base: FileRecord, now: float
    ) -> FileRecord | None:
        tries = want.tries + 1
        wait_s = max(getattr(error, "wait_s", None) or 0.0, RETRY_S * 4**want.tries)
        if tries < TRIES and wait_s <= _LONGEST_RETRY_S:
            standing = want.standing
            if brought.outcome is not None:
                standing = replace(standing, outputs={**standing.outputs, **brought.outcome.outputs})
            self._later.append((now + wait_s, replace(want, standing=standing, tries=tries)))
            return None
        before = want.standing.files.get(want.place.output)
        tries += before.tries if before and before.attempt_id == want.standing.attempt_id else 0
        state = FileState.REFUSED if tries >= MOST_TRIES else FileState.LATER
        return replace(base, state=state, tries=tries, reason=str(error))

    def end(self, reason: str) -> None:
        """Fetch nothing more: what is under way breaks off, and is gone on with by the next run."""
        self._end(reason)
        self.fetcher.halt(reason)
        while self.pool.under_way():
            self.collect(wait_s=1.0)

    def _end(self, reason: str) -> None:
        self.stop = self.stop or reason
        self._queue.clear()
        self._later.clear()

    def close(self) -> None:
        """
        Let go of threads and connections.

        Files are still under way only where something else has ended the run. A ledger that cannot be written takes
        nothing from what is said about that: the next run finds the files in their places.
        """
        try:
            if self.pool.under_way():
                with suppress(LedgerError):
                    self.end("the run is over")
        finally:
            self.pool.close()
            self.fetcher.close()


def bring(fetcher: Fetcher, client: Client, settle: Settle | None, want: Want, *, now: float) -> Brought:
    """
    Fetch one file, with a fresh link where the old one has expired; carried out by a fetcher.

    Args:
        settle: How the API is asked again; None where it cannot be.
        now: Unix seconds.
    """
    expires = signed_until(want.link)
    if settle is None or expires is None or expires > now:
        try:
            return Brought(fetched=fetcher.fetch(want.link, want.target, folder=want.place.folder))
        except LinkExpired as error:
            if settle is None:
                return Brought(error=Refused(f"{error}; it cannot be asked for again"))
        except FetchError as error:
            return Brought(error=error)
    try:
        outcome = client.look_up(settle, want.standing.remote_id)
    except Rejected as error:
        return Brought(error=Refused(f"the link has expired, and the API says: {error.message}"))
    except ApiError as error:
        return Brought(error=TryLater(f"the link has expired, and the API could not be asked: {error.message}"))
    link = outcome.outputs.get(want.place.output, "")
    if outcome.state is not State.DONE or not link:
        return Brought(error=TryLater("the link has expired, and the API gives no new one"))
    try:
        return Brought(fetched=fetcher.fetch(link, want.target, folder=want.place.folder), outcome=outcome)
    except FetchError as error:
        return Brought(error=error, outcome=outcome)


def open_downloads(opened: OpenJob, around: Surroundings) -> Downloads:
    """What fetches the files of a job: it knows no key, and reaches this machine only where the account's API does."""
    scratch = opened.state / "downloads"
    clear(scratch, now=time.time())
    return Downloads(
        bound=opened.bound,
        ledger=opened.ledger,
        client=opened.online(),
        fetcher=Fetcher(allow_loopback=not opened.is_real, scratch=scratch),
        pool=ThreadedSenders(FETCHERS),
        clock=around.clock,
        tell=around.tell,
    )
