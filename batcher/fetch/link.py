"""From a link to an answer: every hop is checked, every failure becomes one of the room's own errors."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urljoin

from batcher.fetch.address import Gate
from batcher.fetch.connection import MOST_KEPT, Air, guarded_pools
from batcher.fetch.errors import LinkExpired, Refused, TryLater
from batcher.fetch.pulse import Pulse
from batcher.version import VERSION

MAX_REDIRECTS = 3
_BLOCK = 1 << 16
_LONGEST_WAIT_S = 3600.0
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_EXPIRED = frozenset({400, 401, 403, 404, 410})
"""S3 and CloudFront say 403 to a link whose time is up, Google (and S3 with a session) 400, an emptied bucket 404."""
_LATER = frozenset({408, 409, 423, 425, 429})


class Links:
    """
    Opens links; may be used from several threads.

    Args:
        gate: What connections must pass.
        ca_bundle: File of the certificates to trust; those that come with requests when empty.
        read_s: How long a single read may wait.
    """

    def __init__(self, gate: Gate, *, ca_bundle: str, read_s: float) -> None:
        self._allow_loopback = gate.allow_loopback
        self._air = Air()
        self._pools = guarded_pools(gate, self._air, ca_bundle=ca_bundle or _bundle(), read_s=read_s)

    def close(self) -> None:
        """Let go of idle connections."""
        for key in self._pools.pools.keys():  # noqa: SIM118 - urllib3's container cannot be iterated
            if (pool := self._pools.pools.get(key)) is not None:
                pool.close()  # clearing the manager alone leaves them to the garbage collector
        self._pools.clear()

    @contextlib.contextmanager
    def open(self, url: str, *, headers: Mapping[str, str], pulse: Pulse) -> Iterator[Any]:
        """
        The answer that a link leads to, over redirects that are each checked like the link itself.

        Its status is 200 or 206; 416 when the headers ask for a range.

        Raises:
            LinkExpired, TryLater, Refused: There is none with bytes to read.
        """
        self._air.pulse = pulse
        try:
            for _ in range(MAX_REDIRECTS + 1):
                response = self._send(url, headers, pulse)
                try:
                    if response.status not in _REDIRECTS:
                        _check_answer(response, is_part="Range" in headers)
                        yield response
                        return
                    url = _next_hop(url, response)
                finally:
                    response.close()
        finally:
            self._air.pulse = None
        raise Refused(f"the link leads on and on: more than {MAX_REDIRECTS} redirects")

    def _send(self, url: str, headers: Mapping[str, str], pulse: Pulse) -> Any:
        import urllib3

        check_link(url, allow_loopback=self._allow_loopback)
        # packed answers could neither be gone on with nor measured by their length
        own = {"User-Agent": f"batcher/{VERSION}", "Accept": "*/*", "Accept-Encoding": "identity", **headers}
        kept = MOST_KEPT
        while True:
            self._air.is_fresh = False
            try:
                return self._pools.request(
                    "GET", url, headers=own, redirect=False, preload_content=False, decode_content=False
                )
            except (urllib3.exceptions.HTTPError, OSError) as error:
                # the server may have closed a kept connection just now: no news about the link
                if self._air.is_fresh or pulse.failed or not kept:
                    raise _broken(error, pulse) from error
                kept -= 1


def next_block(response: Any, pulse: Pulse) -> bytes:
    """
    The next bytes as they come; empty at the end.

    Raises:
        TryLater: The connection broke, or was ended for want of a pulse.
    """
    import urllib3

    try:
        block: bytes = response.read1(_BLOCK) or b""
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise _broken(error, pulse) from error
    if pulse.failed:  # what was read after the strike may be anything
        raise TryLater(pulse.failed)
    return block


def check_link(url: str, *, allow_loopback: bool) -> None:
    """
    Refuse what is no link that can be fetched; where it leads is the gate's business.

    Args:
        url: A link, or where a redirect leads.
        allow_loopback: Whether it may be http, which the gate then lets through to this machine only.

    Raises:
        Refused: It is not.
    """
    import urllib3

    if not url.isprintable() or any(letter.isspace() for letter in url):
        raise Refused("the link has blanks or control characters in it")
    try:
        parts = urllib3.util.parse_url(url)
    except urllib3.exceptions.LocationParseError as error:
        raise Refused("the link is not an address that can be opened") from error
    if parts.scheme != "https" and not (allow_loopback and parts.scheme == "http"):
        raise Refused(f"the link begins with {(parts.scheme or 'nothing')[:20]}: only https is fetched")
    if not parts.host or parts.auth:
        raise Refused("the link carries a user name" if parts.auth else "the link names no host")


def _next_hop(url: str, response: Any) -> str:
    location = response.headers.get("location", "")
    with contextlib.suppress(UnicodeError):  # headers are read as Latin-1, links are mostly UTF-8
        location = location.encode("latin-1").decode("utf-8")
    try:
        return urljoin(url, location) if location else ""
    except ValueError as error:
        raise Refused("the link leads to something that is no address") from error


def _check_answer(response: Any, *, is_part: bool) -> None:
    status = response.status
    if status == 416 and is_part:
        return
    if status in (200, 206):
        packing = response.headers.get("content-encoding", "").strip().lower()
        if packing not in ("", "identity"):
            raise Refused(f"the server packs the file ({packing[:20]!r}), though it was asked not to")
        return
    if status in _EXPIRED:
        raise LinkExpired(f"the link does not work (any more): HTTP {status}")
    if status in _LATER or status >= 500:
        raise TryLater(f"the server cannot send it now: HTTP {status}", wait_s=_wait(response))
    raise Refused(f"the server refuses: HTTP {status}")


def _wait(response: Any) -> float | None:
    """Seconds of a Retry-After header; None where it is missing, or no number."""
    text = response.headers.get("retry-after", "").strip()
    try:
        return min(float(text), _LONGEST_WAIT_S) if text[:1].isdigit() else None
    except ValueError:
        return None


def _broken(error: Exception, pulse: Pulse) -> TryLater:
    import urllib3

    if pulse.failed:
        return TryLater(pulse.failed)
    if isinstance(error, urllib3.exceptions.SSLError):
        return TryLater("no safe connection: the server's certificate or encryption is not in order")
    if isinstance(error, urllib3.exceptions.TimeoutError | TimeoutError):
        return TryLater("no answer in time")
    inner = error.args[-1] if error.args else None
    if isinstance(inner, urllib3.exceptions.IncompleteRead):
        return TryLater(f"the transfer broke off: {inner.expected:,} bytes are missing")
    return TryLater(f"the transfer broke off ({type(error).__name__})")


def _bundle() -> str:
    import requests

    return str(requests.utils.DEFAULT_CA_BUNDLE_PATH)
