"""One HTTP exchange, bounded in time and size; the only room that knows requests."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Mapping
from enum import Enum
from functools import cached_property
from typing import Any, BinaryIO

import msgspec
from msgspec import Struct, field

from batcher.api.deadline import Deadline, Watchdog
from batcher.api.line import Line, Way
from batcher.model import Json
from batcher.version import VERSION

READ_S = 30.0
"""Whole time of a request that changes nothing."""
WRITE_S = 120.0
"""Whole time of a request that may cost money: the 99th percentile of POST /v3/videos is about 31 s (heygen-cli)."""
CONNECT_S = 10.0
MAX_BYTES = 10_000_000
MAX_DEPTH = 100
"""How deeply lists and objects of an answer may be nested: what was just parsed must not overflow whoever reads it."""
_ERRNO = re.compile(r"\[Errno -?\d+\] ")
STALE_S = 3.0
"""Age of an idle connection from which a write gets a fresh one: the server may have closed it unseen."""


class Break(str, Enum):
    """How an exchange can end without an answer."""

    NOT_SENT = "not sent"
    """No connection: refused, no such host, TLS. The server has seen nothing."""
    LOST = "lost"
    """The connection broke, or the time was up, after the request may have been seen."""
    UNREADABLE = "unreadable"
    """An answer came, but not one that can be read: too large, cut, wrongly packed."""


class Broken(Exception):
    """An exchange without an answer."""

    def __init__(self, how: Break, message: str) -> None:
        super().__init__(message)
        self.how = how


class Answer(Struct, frozen=True, kw_only=True):
    """
    What came back.

    Attributes:
        value: The body as JSON; None when it is not JSON.
        is_json: Whether it was.
        start: The first characters of the body, for messages.
        headers: Names in lower case.
    """

    status: int
    value: Json
    is_json: bool
    start: str
    headers: Mapping[str, str] = field(default_factory=dict)


class Wire:
    """
    Sends requests to one base address, each from whatever thread calls.

    Never follows a redirect: requests would hand the key to the other host and send a POST twice. Never retries.

    Args:
        base_url: Where the API is.
        headers: Sent with every request.
    """

    def __init__(self, base_url: str, headers: Mapping[str, str]) -> None:
        self._base_url = base_url
        self._headers = {"User-Agent": f"batcher/{VERSION}", "Accept": "application/json", **headers}
        self._local = threading.local()
        self._lines: list[Line] = []
        self._watchdog = Watchdog()

    def exchange(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: str | bytes | BinaryIO | None = None,
        headers: Mapping[str, str] | None = None,
        deadline_s: float,
        before: Callable[[], None] | None = None,
    ) -> Answer:
        """
        Send one request and read its answer.

        Args:
            body: JSON when it is a text; otherwise the headers say what it is.
            before: Called when the connection stands and nothing has left yet; what it raises is raised, nothing is sent.

        Raises:
            Broken: There is no answer.
        """
        import requests
        import urllib3

        data = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body
        deadline = self._watchdog.watch(deadline_s, before=before)
        try:
            line = self._line(fresh=method != "GET")
            timeout = urllib3.Timeout(connect=CONNECT_S, read=deadline_s)
            response = line.send(method, path, query=query, data=data, headers=headers, timeout=timeout)
            try:
                return _answer(response, _read(response, deadline))
            finally:
                response.close()
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise _broken(error, deadline) from error
        finally:
            deadline.over()
            self._local.used_at = time.monotonic()

    @cached_property
    def _way(self) -> Way:
        return Way(self._base_url, self._headers)

    def _line(self, *, fresh: bool) -> Line:
        line: Line | None = getattr(self._local, "line", None)
        if line is None:
            line = self._local.line = Line(self._way)
            self._lines.append(line)
        elif fresh and time.monotonic() - self._local.used_at > STALE_S:
            line.close()
        return line

    def close(self) -> None:
        """Stop watching, and hang up where nothing is under way."""
        self._watchdog.close()
        for line in self._lines:
            line.close()


def _read(response: Any, deadline: Deadline) -> bytes:
    chunks: list[bytes] = []
    size = 0
    for chunk in response.stream(65536, decode_content=True):
        size += len(chunk)
        if size > MAX_BYTES:
            raise Broken(Break.UNREADABLE, f"the answer is larger than {MAX_BYTES // 1_000_000} MB")
        if deadline.passed:
            break
        chunks.append(chunk)
    if deadline.passed:  # a body without a length ends where the socket was shut down
        raise Broken(Break.LOST, "no whole answer in time")
    return b"".join(chunks)


def _answer(response: Any, raw: bytes) -> Answer:
    value, is_json = parse_json(raw)
    return Answer(
        status=response.status,
        value=value,
        is_json=is_json,
        start=raw[:200].decode("utf-8", "replace"),
        headers={name.lower(): text for name, text in response.headers.items()},
    )


def parse_json(raw: bytes) -> tuple[Json, bool]:
    """The value of a JSON text and True; (None, False) for everything that is not quite JSON, or is nested too deeply."""
    try:
        value = _parsed(raw)
    except (ValueError, RecursionError):
        return None, False
    brackets = raw.count(b"[") + raw.count(b"{")
    if brackets > MAX_DEPTH and _is_deep(value, at_most=brackets):
        return None, False
    return value, True


def _parsed(raw: bytes) -> Json:
    """What almost every answer is, read in a third of the time; the standard library is milder with the rest."""
    try:
        return msgspec.json.decode(raw)
    except msgspec.DecodeError:
        value = json.loads(raw.decode("utf-8-sig"), parse_constant=_refuse)
    # perhaps with half a character, which no file and no database takes
    return json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def _is_deep(value: Json, *, at_most: int) -> bool:
    """
    Whether anything stands deeper than it may.

    Args:
        value: Fresh from a parser, which makes no subclasses.
        at_most: So many lists and objects are in it: once all of them are seen, what they hold need not be looked at.
    """
    level = [value]
    for _ in range(MAX_DEPTH):
        at_most -= len(level)
        if at_most <= 0:
            return False
        level = [
            inner
            for each in level
            for inner in (each.values() if type(each) is dict else each)
            if type(inner) is dict or type(inner) is list
        ]
        if not level:
            return False
    return True


def _broken(error: Exception, deadline: Deadline) -> Broken:
    """
    What an exception means.

    Only the phase tells whether anything can have been made: the same exception of TLS, of a header or of a socket
    comes before the first byte has left and after the last.
    """
    from urllib3 import exceptions

    if not deadline.begun:
        return Broken(Break.NOT_SENT, _unsent(error, deadline))
    if deadline.passed:
        return Broken(Break.LOST, "no whole answer in time")
    if isinstance(error, exceptions.DecodeError):
        return Broken(Break.UNREADABLE, "the answer is wrongly packed")
    if isinstance(error, exceptions.TimeoutError):
        return Broken(Break.LOST, "no answer in time")
    return Broken(Break.LOST, f"the connection broke: {_reason(error)}")


def _unsent(error: Exception, deadline: Deadline) -> str:
    """Why a request was not sent; most specific first."""
    import requests
    from urllib3 import exceptions

    if deadline.passed:
        return "no connection in time"
    if isinstance(error, exceptions.SSLError):
        return f"no safe connection: {_reason(error)}"
    if isinstance(error, exceptions.ProxyError):
        return "the proxy cannot be reached"
    if isinstance(error, requests.exceptions.InvalidSchema):
        return "a SOCKS proxy cannot be used: name one that speaks HTTP"
    is_refused = isinstance(error, exceptions.NewConnectionError)
    if isinstance(error, exceptions.ConnectTimeoutError) and not is_refused:
        return f"no connection within {CONNECT_S:.0f} s"
    if is_refused or isinstance(error, exceptions.PoolError | exceptions.ProtocolError | OSError):
        return f"no connection: {_reason(error)}"
    return f"the request cannot be sent: {type(error).__name__}"


def _reason(error: Exception) -> str:
    """The innermost reason, without addresses and query strings."""
    text = str(_innermost(error))
    for mark in ("Caused by ", "): "):
        if mark in text:
            text = text.rsplit(mark, 1)[-1]
    text = text.replace("NewConnectionError(", "").strip("()'\" ")
    return _ERRNO.sub("", text.split(": ", 1)[-1])[:120] or type(error).__name__


def _innermost(error: BaseException) -> BaseException:
    """What urllib3 has wrapped, once or several times."""
    inside = (getattr(error, "reason", None), getattr(error, "original_error", None), *error.args)
    return next((_innermost(each) for each in inside if isinstance(each, BaseException)), error)
