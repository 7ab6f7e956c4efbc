"""Requests and answers as plain values, and the table that finds who answers what."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Struct, field

Json = Any
"""A value that JSON can carry."""

H = TypeVar("H")


class Refused(Exception):
    """
    A request that is not carried out; becomes the error envelope of the API's version.

    Args:
        status: The HTTP status.
        code: The API's word for it.
        message: For the person.
        param: The field of the body or query that is wrong.
        retry_after_s: Seconds for the Retry-After header.
    """

    def __init__(
        self, status: int, code: str, message: str, *, param: str | None = None, retry_after_s: int | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.param = param
        self.retry_after_s = retry_after_s


def invalid(message: str, *, param: str | None = None) -> Refused:
    """Return the refusal of a request whose content is wrong."""
    return Refused(400, "invalid_parameter", message, param=param)


class Call(Struct, frozen=True, kw_only=True):
    """
    One request.

    Attributes:
        method: GET, POST, ...
        path: Without the query.
        query: The parameters of the query.
        headers: Looked up whatever their case.
        raw: The body.
        base: The simulator's own address, to build links from.
        route: The pattern that matched, such as `/v3/videos/{video_id}`.
        params: The values of the pattern's braces.
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    raw: bytes
    base: str
    route: str = ""
    params: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The idempotency key; empty without one."""
        return self.headers.get("Idempotency-Key", "")

    def body(self) -> dict[str, Json]:
        """Return the body as a JSON object."""
        try:
            body = json.loads(self.raw or b"{}")
        except (ValueError, RecursionError) as error:
            raise invalid("The request body is not valid JSON") from error
        if not isinstance(body, dict):
            raise invalid("The request body must be a JSON object")
        return body

    def limit(self, *, default: int, most: int) -> int:
        """Return the page size that is asked for."""
        text = self.query.get("limit", str(default))
        if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= most:
            raise invalid(f"limit must be between 1 and {most}", param="limit")
        return int(text)

    def ids(self, name: str) -> list[str]:
        """Return the comma-separated ids of a query parameter; at most 100."""
        found = [part.strip() for part in self.query.get(name, "").split(",") if part.strip()]
        if len(found) > 100:
            raise invalid(f"At most 100 {name} can be looked up in one request", param=name)
        return found


class Fate(str, Enum):
    """What becomes of an answer on its way."""

    SENT = "sent"
    """It arrives."""
    LOST = "lost"
    """The connection is cut before the first byte."""
    HALF = "half"
    """The connection is cut in the middle of the body."""


class Answer(Struct, frozen=True, kw_only=True):
    """
    What is sent back.

    Attributes:
        body: JSON value, or bytes that are sent as they are.
        status: The HTTP status.
        headers: Beyond those that every answer has.
        media_type: Of the body.
        fate: What becomes of it on its way.
    """

    body: Json
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    media_type: str = "application/json"
    fate: Fate = Fate.SENT

    def content(self) -> bytes:
        """Return the body as it is sent."""
        if isinstance(self.body, bytes):
            return self.body
        try:
            return msgspec.json.encode(self.body)
        except UnicodeEncodeError:  # half a character, which a title may have brought, can only be told as an escape
            return json.dumps(self.body, separators=(",", ":")).encode()


def data(value: Json, *, status: int = 200) -> Answer:
    """Return an answer in the envelope of version 3."""
    return Answer(body={"data": value}, status=status)


class Routes(Generic[H]):
    """
    Who answers which path; fixed segments win over braces.

    Args:
        table: Patterns such as `GET /v3/videos/{video_id}` and who answers them.
    """

    def __init__(self, table: Mapping[str, H]) -> None:
        self._fixed: dict[tuple[str, str], tuple[str, H]] = {}
        self._open: dict[tuple[str, int], list[tuple[list[str], str, H]]] = {}
        for pattern, handler in table.items():
            method, path = pattern.split(" ")
            if "{" not in path:
                self._fixed[method, path] = (path, handler)
                continue
            segments = path.split("/")
            self._open.setdefault((method, len(segments)), []).append((segments, path, handler))

    def find(self, method: str, path: str) -> tuple[str, Mapping[str, str], H] | None:
        """Return the pattern, its values and the handler; None when nothing matches."""
        fixed = self._fixed.get((method, path))
        if fixed is not None:
            return fixed[0], {}, fixed[1]
        given = path.split("/")
        for segments, route, handler in self._open.get((method, len(given)), ()):
            values = _match(segments, given)
            if values is not None:
                return route, values, handler
        return None


def _match(segments: list[str], given: list[str]) -> dict[str, str] | None:
    """Return the values of the braces; None when a fixed segment differs or a value is empty."""
    values: dict[str, str] = {}
    for segment, part in zip(segments, given, strict=True):
        if segment.startswith("{") and part:
            values[segment[1:-1]] = part
        elif segment != part:
            return None
    return values


Handler = Callable[[Any, Call], Answer]
"""Answers one kind of request; its first argument is the `World`."""
