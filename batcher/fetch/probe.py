"""A look at what a link leads to: its first bytes, its size, how long it plays; nothing of it is kept."""

from __future__ import annotations

import re
from typing import Any

from msgspec import Struct

from batcher import media
from batcher.fetch import duration
from batcher.fetch.address import Gate, Network
from batcher.fetch.errors import FetchError, LinkExpired
from batcher.fetch.link import Links, next_block
from batcher.fetch.pulse import Pulse, Watch

HEAD_BYTES = 65536
STALL_S = 15.0
_SIGN_IN = re.compile(rb"sign[ -]?in|log[ -]?in|password|accounts\.google|anmelden", re.IGNORECASE)
_SIZE = re.compile(r"bytes \d+-\d+/(\d{1,18})")
_SUFFIXES = {"picture": ".png", "video": ".mp4", "sound": ".mp3"}


class Probed(Struct, frozen=True, kw_only=True):
    """
    What a link leads to.

    Attributes:
        fault: Why it cannot be used, as the rest of a sentence that begins with what the cell is; empty when it can.
        bytes: Its size; None when the server does not say.
        seconds: How long it plays; None for pictures, and where its header does not tell.
    """

    fault: str = ""
    bytes: int | None = None
    seconds: float | None = None


class Prober:
    """
    Looks at links; may be used from several threads. It knows no key, and reaches only where downloads may go.

    Args:
        allow_loopback: Whether links may lead to this machine: only where the account's own base address is there.
        network: The way out.
    """

    def __init__(self, *, allow_loopback: bool, network: Network | None = None) -> None:
        gate = Gate(network=network or Network(), allow_loopback=allow_loopback)
        self._links = Links(gate, ca_bundle="", read_s=STALL_S)
        self._watch = Watch(stall_s=STALL_S)

    def close(self) -> None:
        """Let go of idle connections."""
        self._links.close()

    def probe(self, url: str, *, wants: str) -> Probed:
        """
        Look at a link.

        Args:
            url: An address that a cell holds.
            wants: `picture`, `video` or `sound`; empty where any of them will do.
        """
        try:
            with self._watch.transfer() as pulse:
                head, size = self._read(url, 0, pulse)
                if not head:
                    return Probed(fault="is empty", bytes=size)
                if fault := _fault(head, wants):
                    return Probed(fault=fault, bytes=size)
                seconds = duration.seconds(head, size)
                if seconds is None and media.sniff(head) is media.Kind.MP4 and (at := duration.index_at(head)):
                    seconds = duration.movie_seconds(self._read(url, at, pulse)[0])
                return Probed(bytes=size, seconds=seconds)
        except LinkExpired as error:
            return Probed(fault=f"cannot be opened without signing in, or is not there ({error}) → share it publicly")
        except FetchError as error:
            return Probed(fault=f"cannot be fetched: {error}")

    def _read(self, url: str, start: int, pulse: Pulse) -> tuple[bytes, int | None]:
        """Some bytes from a place on, and the size of the whole."""
        headers = {"Range": f"bytes={start}-{start + HEAD_BYTES - 1}"}
        with self._links.open(url, headers=headers, pulse=pulse) as response:
            if response.status == 416 or (start and response.status != 206):
                return b"", 0
            size = _size(response)
            data = b""
            while len(data) < HEAD_BYTES and (block := next_block(response, pulse)):
                data += block
                pulse.comes(len(block))
            return data, size


def _size(response: Any) -> int | None:
    if response.status == 206:
        match = _SIZE.fullmatch(response.headers.get("content-range", ""))
        return int(match[1]) if match else None
    length: int | None = response.length_remaining
    return length


def _fault(head: bytes, wants: str) -> str:
    """What it is instead of what is wanted; empty when it may be that."""
    what = media.foreign(head[: media.HEAD_BYTES], _SUFFIXES.get(wants, ""))
    thing = {"picture": "a picture", "video": "a video", "sound": "a sound file"}.get(wants, "a media file")
    if "HTML" in what:
        if _SIGN_IN.search(head):
            return f"opens a sign-in page, not {thing} → share the file publicly"
        return f"opens a web page, not {thing} → give the address of the file itself"
    return what
