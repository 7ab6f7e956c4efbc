"""Fetches one file from one link, whole and checked, or says what to do next."""

from __future__ import annotations

import os
import re
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from batcher import media
from batcher.fetch.address import Gate, Network
from batcher.fetch.errors import Refused, TryLater
from batcher.fetch.forward import send, stored_after
from batcher.fetch.link import Links, next_block
from batcher.fetch.part import Origin, Part, check_room, disk_trouble, occupied, open_part
from batcher.fetch.pulse import Pulse, Watch
from batcher.stores import CloudPath, Location, local

MAX_BYTES = 10_000_000_000
STALL_S = 30.0
SPARE_BYTES = 64_000_000
"""Room that is left on the disk: the ledger writes there too."""
_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})")


class Fetched(Struct, frozen=True, kw_only=True):
    """
    A file that is whole and in its place.

    Attributes:
        bytes: Its size.
        path: Where it stands, with links in the folders of this machine resolved.
        note: What a person may want to know about it ("is PNG inside, though its name ends in .jpg"); mostly empty.
    """

    bytes: int
    path: Location
    note: str = ""


class Fetcher:
    """
    Fetches finished files; may be used from several threads.

    Knows no key: it sends no credentials and no cookies, reads no `.netrc`, uses no proxy.

    Args:
        allow_loopback: Whether links may lead to this machine, then also by http: only where the account's own base
            address is there.
        max_bytes: Larger files are refused.
        stall_s: A transfer that brings next to nothing for so long is given up.
        spare_bytes: Room to leave on the disk.
        scratch: A folder of this machine for files on their way into the cloud; made when it is needed.
        ca_bundle: File of the certificates to trust; those that come with requests when empty.
        network: The way out.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        *,
        allow_loopback: bool,
        max_bytes: int = MAX_BYTES,
        stall_s: float = STALL_S,
        spare_bytes: int = SPARE_BYTES,
        scratch: Path | None = None,
        ca_bundle: str = "",
        network: Network | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        gate = Gate(network=network or Network(), allow_loopback=allow_loopback)
        self._links = Links(gate, ca_bundle=ca_bundle, read_s=stall_s)
        self._watch = Watch(stall_s=stall_s, clock=clock)
        self._max_bytes = max_bytes
        self._spare_bytes = spare_bytes
        self._scratch = scratch or Path(tempfile.gettempdir()) / "batcher-downloads"
        self._mode = 0o666 & ~_umask()

    def __enter__(self) -> Fetcher:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of idle connections."""
        self._links.close()

    def halt(self, reason: str) -> None:
        """End what is being fetched, and whatever is asked for from now on; what has come is kept to be gone on with."""
        self._watch.halt(reason)

    def fetch(self, url: str, target: Location, *, folder: Location) -> Fetched:
        """
        Bring a file to its place, going on from what an earlier try has left.

        Until it is whole it stands beside the target as `NAME.part`; a file for the cloud, until it has arrived there
        whole, in a folder of this machine. An equal file that is there already is fine.

        Args:
            url: As the API gave it; never shown.
            target: Where the file belongs; its suffix says what it must be. Folders on the way are made.
            folder: Which the target must not leave, whatever links stand in it.

        Raises:
            LinkExpired: Ask the API for a fresh link.
            TryLater: The same again, after a while.
            Refused: Never.
            Occupied: A different file stands there.
            DiskTrouble: Fetch nothing more.
        """
        if isinstance(target, CloudPath):
            return self._fetch_for(url, target)
        return self._fetch(url, target, folder=local(folder))

    def _fetch_for(self, url: str, goal: CloudPath) -> Fetched:
        """Fetch a file as every other, then let it take its place in the cloud."""
        with stored_after(goal, scratch=self._scratch) as (file, standing):
            fetched = self._fetch(url, file, folder=self._scratch, standing=standing)
            send(file, goal)
        return replace(fetched, path=goal)

    def _fetch(self, url: str, target: Path, *, folder: Path, standing: int | None = None) -> Fetched:
        """
        Args:
            standing: Size of what stands already where the file goes from here; None when nothing does.
        """
        with open_part(target, folder=folder, standing=standing) as part:
            with self._watch.transfer() as pulse:
                is_length_known = self._bring(url, part, pulse)
            note = _check(part, is_length_known=is_length_known)
            with disk_trouble(part.target):
                part.finish(mode=self._mode)
            return Fetched(bytes=part.size, path=part.target, note=note)

    def _bring(self, url: str, part: Part, pulse: Pulse) -> bool:
        """Fill the part; returns whether the server said how long the file is."""
        origin = part.origin
        if origin is not None and origin.goes_on(url) and 0 < part.size < origin.size:
            headers = {"Range": f"bytes={part.size}-", **({"If-Range": origin.etag} if origin.etag else {})}
            with self._links.open(url, headers=headers, pulse=pulse) as response:
                if response.status == 206 and _continues(response, part, origin):
                    self._read(response, part, pulse)
                    return True
                if response.status == 200:  # it has changed, or the server knows no ranges
                    return self._read_all(url, response, part, pulse)
        with self._links.open(url, headers={}, pulse=pulse) as response:
            if response.status != 200:
                raise TryLater("the server sent a part of the file, though all of it was asked for")
            return self._read_all(url, response, part, pulse)

    def _read_all(self, url: str, response: Any, part: Part, pulse: Pulse) -> bool:
        size = response.length_remaining
        if size is not None and part.standing not in (None, size):
            raise occupied(part.target)
        self._check_size(size or 0)
        origin = Origin.of(url, etag=response.headers.get("etag", ""), size=size) if size else None
        with disk_trouble(part.target):
            part.restart(origin)
        self._read(response, part, pulse)
        return size is not None

    def _read(self, response: Any, part: Part, pulse: Pulse) -> None:
        """Append the body to the part, as long as it looks like the wanted file, fits, and keeps coming."""
        size = response.length_remaining
        pulse.expects(size)
        with disk_trouble(part.target):
            check_room(part.target, size or 0, spare=self._spare_bytes)
        whole = None if size is None else part.size + size
        is_looked_at = part.size >= media.HEAD_BYTES
        while block := next_block(response, pulse):
            pulse.comes(len(block))
            self._check_size(part.size + len(block))
            with disk_trouble(part.target):
                part.append(block)
            if not is_looked_at and part.size >= media.HEAD_BYTES:
                is_looked_at = True
                _look(part)
        if whole is not None and part.size != whole:
            raise TryLater(f"the transfer broke off: {whole - part.size:,} bytes are missing")

    def _check_size(self, size: int) -> None:
        if size > self._max_bytes:
            raise Refused(f"the file is larger than {self._max_bytes:,} bytes")


def _continues(response: Any, part: Part, origin: Origin) -> bool:
    """Whether a partial answer is what was asked for: from the right byte, of a file of the right size and mark."""
    match = _RANGE.fullmatch(response.headers.get("content-range", ""))
    etag = response.headers.get("etag", "")
    if match is None or (origin.etag and etag and etag != origin.etag):
        return False
    first, last, size = (int(number) for number in match.groups())
    length = response.length_remaining
    return (first, last, size) == (part.size, origin.size - 1, origin.size) and length in (None, size - first)


def _look(part: Part) -> bytes:
    """
    The first bytes.

    Raises:
        Refused: They are not of what the name promises.
    """
    with disk_trouble(part.target):
        part.file.seek(0)
        head = part.file.read(media.HEAD_BYTES)
    if reason := media.foreign(head, part.target.suffix):
        raise Refused(f"what the link leads to {reason}")
    return head


def _check(part: Part, *, is_length_known: bool) -> str:
    """
    See that the file is what its name promises, and whole; returns what a person may want to know.

    Raises:
        Refused: It is not what was wanted, or the server itself has it only damaged.
        TryLater: Its end is missing, or all of it.
    """
    if not part.size:
        raise TryLater("the file is empty")
    head = _look(part)
    with disk_trouble(part.target):
        lack = media.unwhole(part.file, part.size)
    if not lack:
        return media.mismatch(head, part.target.suffix)
    part.discard()
    if is_length_known:
        raise Refused(f"the file is damaged where it comes from: it {lack}")
    raise TryLater(f"the transfer broke off: the file {lack}")


def _umask() -> int:
    """The process's mask; for a moment the strictest one holds, which harms nobody."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
