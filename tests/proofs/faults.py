"""What can happen to an answer on its way back; each fault is a function from an exchange to the bytes that arrive."""

from __future__ import annotations

from collections.abc import Mapping
from time import sleep
from typing import NoReturn

from proofs.proxy import Cut, Exchange, Fault, head, honest


def _cut(*, reset: bool) -> NoReturn:
    raise Cut(reset=reset)


def lost_after_charge(exchange: Exchange) -> bytes:
    """Everything is done and charged, and the connection ends without a byte of an answer."""
    exchange.forward()
    _cut(reset=exchange.rng.random() < 0.5)


def closed_before(exchange: Exchange) -> bytes:
    """The request is read and never reaches the API; the connection ends with an empty answer or a reset."""
    _cut(reset=exchange.rng.random() < 0.5)


def never_answered(exchange: Exchange) -> bytes:
    """Everything is done and charged, and the answer does not come for a minute: time to kill whoever waits for it."""
    exchange.forward()
    sleep(60)
    _cut(reset=True)


def half_answer(exchange: Exchange) -> bytes:
    """The connection ends in the middle of the answer, wherever that is, status line and headers included."""
    whole = honest(exchange.forward())
    exchange.trickle(whole[: exchange.rng.randrange(1, len(whole))])
    _cut(reset=exchange.rng.random() < 0.5)


def too_long_promised(exchange: Exchange) -> bytes:
    """Content-Length promises more than comes."""
    reply = exchange.forward()
    exchange.trickle(head(reply.status, len(reply.body) + 50) + reply.body)
    _cut(reset=False)


def too_short_promised(exchange: Exchange) -> bytes:
    """Content-Length promises less than comes: the JSON ends too early, and rubbish follows on the connection."""
    reply = exchange.forward()
    exchange.trickle(head(reply.status, max(1, len(reply.body) - 9)) + reply.body)
    _cut(reset=False)


def server_error(exchange: Exchange) -> bytes:
    """500, 502, 503 or 504, before or after the work was made; as HTML, JSON or nothing."""
    if exchange.rng.random() < 0.5:
        exchange.forward()
    status = exchange.rng.choice([500, 502, 503, 504])
    body = exchange.rng.choice([b"", b"<html><h1>Bad gateway</h1></html>", b'{"error": {"message": "oops"}}'])
    return head(status, len(body), Content_Type="text/html") + body


def html_page(exchange: Exchange) -> bytes:
    """A page of HTML with status 200, before or after the work was made."""
    if exchange.rng.random() < 0.5:
        exchange.forward()
    body = "<!DOCTYPE html><title>Sign in — Größe</title>".encode()
    return head(200, len(body), Content_Type="text/html") + body


def drip(exchange: Exchange) -> bytes:
    """The answer comes whole, a few bytes at a time."""
    whole = honest(exchange.forward())
    step = max(1, len(whole) // 40)
    for start in range(0, len(whole), step):
        exchange.trickle(whole[start : start + step])
        sleep(0.01)
    return b""


RETRY_AFTER = ("0", "1", "0.5", "-5", "", "1e0", "soon", "Thu, 01 Jan 2015 00:00:00 GMT", "¹", "1, 2")
"""Forms of Retry-After that have been met or may be met; none asks for long."""


def too_many(exchange: Exchange) -> bytes:
    """429 with one form of Retry-After or another; nothing was made."""
    body = b'{"error": {"code": "rate_limit_exceeded", "message": "Too many requests"}}'
    return head(429, len(body), Retry_After=exchange.rng.choice(RETRY_AFTER)) + body


def rubbish(exchange: Exchange) -> bytes:
    """Not HTTP, or not as it should be: after the work was made."""
    reply = exchange.forward()
    many = {f"X_{number}": "y" for number in range(150)}
    exchange.trickle(
        exchange.rng.choice(
            [
                b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
                b"HTTP/9.9 abc\r\n\r\n",
                head(200, len(reply.body), **many) + reply.body,
                b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 9\r\n\r\n{}",
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n" + reply.body,
                b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope",
                head(200, 2) + b"[]",
                head(200, 19) + b'{"data": {"id": NaN',
                head(200, 0),
                head(204, 0),
            ]
        )
    )
    _cut(reset=False)


def moved(exchange: Exchange) -> bytes:
    """A redirect to another host: whoever follows it hands over the key and asks a second time."""
    return head(exchange.rng.choice([301, 302, 307, 308]), 0, Location="http://127.0.0.2:1/v3/videos")


FAULTS: Mapping[str, Fault] = {
    "lost after charge": lost_after_charge,
    "closed before": closed_before,
    "half answer": half_answer,
    "too long promised": too_long_promised,
    "too short promised": too_short_promised,
    "server error": server_error,
    "html page": html_page,
    "drip": drip,
    "429 storm": too_many,
    "rubbish": rubbish,
}
"""What can happen to an answer; a redirect is proven apart, since it ends the run."""
