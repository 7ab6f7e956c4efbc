"""One exchange over a real socket, with servers that do everything wrong."""

from __future__ import annotations

import contextlib
import gc
import gzip
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
import trustme
import urllib3
from support import http, raw_server, read_request

from batcher.api import wire
from batcher.api.wire import Answer, Break, Broken, Wire
from batcher.errors import LeaseLost

Exchange = Callable[[str], Answer]


@pytest.fixture
def exchange() -> Iterator[Exchange]:
    """One write to a base address."""
    wires: list[Wire] = []

    def do(url: str) -> Answer:
        wires.append(Wire(url, {"X-Api-Key": "canary-key"}))
        return wires[-1].exchange("POST", "/v3/x", body="{}", deadline_s=60.0)

    yield do
    for each in wires:
        each.close()


def how(exchange: Exchange, url: str) -> Break:
    """The way in which the exchange broke."""
    with pytest.raises(Broken) as caught:
        exchange(url)
    assert str(caught.value)
    assert "canary-key" not in str(caught.value)
    return caught.value.how


def test_the_last_question_is_asked_when_the_connection_stands_and_before_the_first_byte() -> None:
    """Connecting can take seconds, in which a right to send can end: whoever says no then has sent nothing."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(5)

        def refuse() -> None:
            connection, _ = listener.accept()  # waits in vain where nobody has connected yet
            with connection:
                connection.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    heard.append(connection.recv(1))
            raise LeaseLost("no longer ours")

        made = Wire(f"http://127.0.0.1:{listener.getsockname()[1]}", {})
        with pytest.raises(LeaseLost):
            made.exchange("POST", "/v3/x", body="{}", deadline_s=60.0, before=refuse)
        made.close()

    assert heard == []


# --- time


class Late:
    """
    A server that says a little at a time, for ever; after the third time the deadline of the exchange is over.

    So the time is up at the same place in every run, however slow the machine.
    """

    def __init__(self, first: bytes, drop: bytes) -> None:
        self._first, self._drop = first, drop
        self.wire: Wire | None = None

    def __call__(self, connection: socket.socket, request: bytes, over: threading.Event) -> None:
        connection.sendall(self._first + self._drop * 3)
        assert self.wire is not None
        watchdog = self.wire._watchdog
        with watchdog._condition:
            for deadline in watchdog._open:
                deadline.at = 0.0
            watchdog._condition.notify()
        while not over.wait(0.02):
            connection.sendall(self._drop)


def _run_late(first: bytes, drop: bytes, *, tls: ssl.SSLContext | None = None) -> Broken:
    late = Late(first, drop)
    with raw_server(late, tls=tls) as (url, heard):
        late.wire = Wire(url, {})
        with pytest.raises(Broken) as caught:
            late.wire.exchange("POST", "/v3/x", body="{}", deadline_s=60.0)
        late.wire.close()
        assert len(heard.requests) == 1
    return caught.value


DRIPS = {
    "body": (http(b"", length=10_000_000), b" "),
    "body without a length": (http(b"{", length=-1), b" "),
    "chunks": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "headers": (b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n"),
    "one header": (b"HTTP/1.1 200 OK\r\nX-A: ", b"b"),
    "status line": (b"HTTP/1.1 200 ", b"O"),
    "a long story of 100 Continue": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "nothing": (b"", b""),
}


@pytest.mark.parametrize("name", DRIPS)
def test_the_deadline_is_for_the_whole_exchange(name: str) -> None:
    """Time-outs of a socket never fire against a server that says something now and then (A28)."""
    assert _run_late(*DRIPS[name]).how is Break.LOST


def test_a_body_that_ends_because_the_time_was_up_is_not_whole() -> None:
    """Without a length, hanging up looks like the end: `{}` would be a perfect answer."""
    assert _run_late(http(b"{}", length=-1), b" ").how is Break.LOST


def test_a_struck_exchange_does_not_harm_the_next() -> None:
    """The same wire, the same thread, another connection."""
    late = Late(*DRIPS["body"])
    answers = iter([late, lambda connection, *_: connection.sendall(http(b'{"a": 1}'))])
    with raw_server(lambda *spoken: next(answers)(*spoken)) as (url, _):
        late.wire = Wire(url, {})
        with pytest.raises(Broken):
            late.wire.exchange("POST", "/", body="{}", deadline_s=60.0)
        assert late.wire.exchange("POST", "/", body="{}", deadline_s=60.0).value == {"a": 1}
        late.wire.close()


# --- size


def test_an_endless_answer_is_cut(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not read into memory until there is none."""
    monkeypatch.setattr(wire, "MAX_BYTES", 100_000)

    def pour(connection: socket.socket, request: bytes, over: threading.Event) -> None:
        connection.sendall(http(b"", length=-1))
        while not over.is_set():
            connection.sendall(b" " * 65536)

    with raw_server(pour) as (url, _):
        assert how(exchange, url) is Break.UNREADABLE


def test_a_gzip_bomb_is_cut(exchange: Exchange) -> None:
    """200 KB that become 200 MB (A29)."""
    bomb = gzip.compress(bytes(200_000_000), 1)
    with raw_server(http(bomb, headers=["Content-Encoding: gzip"])) as (url, _):
        assert how(exchange, url) is Break.UNREADABLE


def test_a_redirect_is_not_read_without_bounds(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even told not to follow, requests reads the whole body of a redirect."""
    monkeypatch.setattr(wire, "MAX_BYTES", 100_000)

    def pour(connection: socket.socket, request: bytes, over: threading.Event) -> None:
        connection.sendall(b"HTTP/1.1 307 Moved\r\nLocation: /elsewhere\r\n\r\n")
        while not over.is_set():
            connection.sendall(b" " * 65536)

    with raw_server(pour) as (url, heard):
        assert how(exchange, url) is Break.UNREADABLE
        assert len(heard.requests) == 1


# --- answers that break


def _reset(after: bytes) -> Callable[[socket.socket, bytes, threading.Event], None]:
    def speak(connection: socket.socket, request: bytes, over: threading.Event) -> None:
        connection.sendall(after)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()

    return speak


LOST = {
    "hangs up without a word": b"",
    "cut before the end": http(b'{"data": 1}', length=500),
    "reset at once": _reset(b""),
    "reset in the body": _reset(http(b"{", length=500)),
    "no HTTP": b"SSH-2.0-OpenSSH_9.2\r\n",
    "a status of letters": b"HTTP/1.1 OK\r\n\r\n{}",
    "a status of four digits": b"HTTP/1.1 2000 OK\r\n\r\n{}",
    "200 headers": http(b"{}", headers=[f"X-{number}: x" for number in range(200)]),
    "a header of 100,000": http(b"{}", headers=["X-A: " + "x" * 100_000]),
    "a chunk of no length": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    "a chunk cut": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n20\r\n{}",
}


@pytest.mark.parametrize("name", LOST)
def test_a_broken_answer_is_a_lost_one(exchange: Exchange, name: str) -> None:
    """The request was seen: whatever it was, it may have been carried out (A7, A8, A31)."""
    with raw_server(LOST[name]) as (url, heard):
        assert how(exchange, url) is Break.LOST
        assert len(heard.requests) == 1, "never repeated by itself"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_two_different_lengths_are_a_lost_answer(exchange: Exchange) -> None:
    """The library calls it an invalid header, as if the request had been the wrong one; and leaves its socket open."""
    with raw_server(http(b"{}", headers=["Content-Length: 7"])) as (url, heard):
        assert how(exchange, url) is Break.LOST
        assert len(heard.requests) == 1
    gc.collect()


def test_an_answer_cut_in_its_headers_is_no_answer(exchange: Exchange) -> None:
    """The library takes it for a whole answer without a body: a 200 that cannot be read."""
    with raw_server(b"HTTP/1.1 200 OK\r\nContent-Le") as (url, _):
        assert not exchange(url).is_json


def test_wrongly_packed_is_unreadable(exchange: Exchange) -> None:
    """It says gzip and is none."""
    with raw_server(http(b"{}", headers=["Content-Encoding: gzip"])) as (url, _):
        assert how(exchange, url) is Break.UNREADABLE


@pytest.mark.parametrize(
    "said",
    [
        http(b'{"a": 1}', headers=["Content-Length: 8"]),
        http(b'{"a": 1}', length=-1),
        b"HTTP/1.0 200\r\n\r\n" + b'{"a": 1}',
        b"HTTP/1.1 100 Continue\r\n\r\n" + http(b'{"a": 1}'),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n" + b'{"a": 1}' + b"\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 8\n\n" + b'{"a": 1}',
        http(b'{"a": 1}', headers=["Content-Type: text/html"]),
    ],
    ids=["length twice", "no length", "HTTP/1.0", "100 first", "chunked", "bare line feeds", "wrong type"],
)
def test_an_odd_but_whole_answer_is_read(exchange: Exchange, said: bytes) -> None:
    """A wrong label is not a lost answer."""
    with raw_server(said) as (url, _):
        assert exchange(url).value == {"a": 1}


def test_more_than_was_promised_is_not_read(exchange: Exchange) -> None:
    """The length counts."""
    with raw_server(http(b'{"a": 1}garbage', length=8)) as (url, _):
        assert exchange(url).value == {"a": 1}


# --- before anything was sent


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "https://127.0.0.1:1", "http://nowhere.invalid"])
def test_no_connection_means_not_sent(exchange: Exchange, url: str) -> None:
    """Refused, and no such name: safe to try again (A9)."""
    assert how(exchange, url) is Break.NOT_SENT


def test_a_proxy_that_is_not_there_means_not_sent(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has forwarded anything."""
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    assert how(exchange, "https://api.example") is Break.NOT_SENT


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def _server_context(authority: trustme.CA, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment names a bundle that holds the test's own authority."""
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))


# --- proxies


def _tunnel(context: ssl.SSLContext, answer: bytes) -> Callable[[socket.socket, bytes, threading.Event], None]:
    """A proxy that stands for the server behind it as well: it reads one request through its tunnel, and says this."""

    def speak(connection: socket.socket, request: bytes, over: threading.Event) -> None:
        assert request.startswith(b"CONNECT api.test:443 ")
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with context.wrap_socket(connection, server_side=True) as talk:
            assert read_request(talk).startswith(b"POST /v3/x ")
            talk.sendall(answer)

    return speak


def test_an_answer_that_is_lost_behind_a_proxy_is_lost(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    """That it was not sent is believed, and the row sent once more: it had been said of whatever went over a proxy."""
    with raw_server(b"") as (proxy, heard):
        monkeypatch.setenv("http_proxy", proxy)
        found = how(exchange, "http://api.test")

    assert heard.requests[0].startswith(b"POST http://api.test/v3/x ")
    assert found is Break.LOST


@pytest.mark.parametrize(("answer", "found"), [(b"", Break.LOST), (http(b"{}"), None)])
@pytest.mark.usefixtures("trusted")
def test_a_tunnel_of_a_proxy_is_watched_too(
    exchange: Exchange, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch, answer: bytes, found: Break | None
) -> None:
    """TLS goes through it: what is lost behind it is lost, and what is answered is read."""
    with raw_server(_tunnel(_server_context(authority, "api.test"), answer)) as (proxy, _):
        monkeypatch.setenv("https_proxy", proxy)
        if found is None:
            assert exchange("https://api.test").value == {}
        else:
            assert how(exchange, "https://api.test") is found


def test_the_last_question_is_asked_before_the_first_byte_for_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who says no has sent nothing."""

    def refuse() -> None:
        raise LeaseLost("no longer ours")

    with raw_server(b"") as (proxy, heard):
        monkeypatch.setenv("http_proxy", proxy)
        made = Wire("http://api.test", {})
        with pytest.raises(LeaseLost):
            made.exchange("POST", "/v3/x", body="{}", deadline_s=60.0, before=refuse)
        made.close()

    assert heard.requests == []


def test_the_deadline_holds_over_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that says a little at a time is hung up on."""
    late = Late(*DRIPS["body"])
    with raw_server(late) as (proxy, _):
        monkeypatch.setenv("http_proxy", proxy)
        late.wire = Wire("http://api.test", {})
        with pytest.raises(Broken) as caught:
            late.wire.exchange("POST", "/v3/x", body="{}", deadline_s=60.0)
        late.wire.close()

    assert caught.value.how is Break.LOST


def test_a_proxy_that_nobody_could_watch_is_not_used(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    """SOCKS has connections of its own: whether a request has left could not be told."""
    monkeypatch.setenv("http_proxy", "socks5://127.0.0.1:1")
    with pytest.raises(Broken, match="a SOCKS proxy cannot be used: name one that speaks HTTP") as caught:
        exchange("http://api.test")

    assert caught.value.how is Break.NOT_SENT


# --- TLS


def test_a_certificate_nobody_signed_means_not_sent(exchange: Exchange, authority: trustme.CA) -> None:
    """And the key has not left."""
    with raw_server(http(), tls=_server_context(authority, "127.0.0.1")) as (url, heard):
        assert how(exchange, url) is Break.NOT_SENT
        assert heard.requests == []


@pytest.mark.usefixtures("trusted")
def test_a_certificate_of_another_host_means_not_sent(exchange: Exchange, authority: trustme.CA) -> None:
    """Somebody else's server never sees the key (S11)."""
    with raw_server(http(), tls=_server_context(authority, "other.example")) as (url, heard):
        assert how(exchange, url) is Break.NOT_SENT
        assert heard.requests == []


def test_a_server_that_speaks_no_tls_means_not_sent(exchange: Exchange) -> None:
    """https to a plain port."""
    with raw_server(b"HTTP/1.1 400 Bad Request\r\n\r\n", listens=False) as (url, _):
        assert how(exchange, url.replace("http:", "https:")) is Break.NOT_SENT


@pytest.mark.usefixtures("trusted")
def test_tls_works_with_the_bundle_of_the_environment(exchange: Exchange, authority: trustme.CA) -> None:
    """Companies have authorities of their own."""
    with raw_server(http(b'{"a": 1}'), tls=_server_context(authority, "127.0.0.1")) as (url, _):
        assert exchange(url).value == {"a": 1}


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("said", [b"", http(b"{", length=500)], ids=["no answer", "half an answer"])
def test_tls_that_breaks_after_the_request_is_a_lost_answer(
    exchange: Exchange, authority: trustme.CA, said: bytes
) -> None:
    """An error of TLS is no proof that nothing was sent: sending again could pay twice."""

    def speak(connection: socket.socket, request: bytes, over: threading.Event) -> None:
        connection.sendall(said)
        with socket.socket(fileno=connection.detach()) as bare:
            bare.sendall(b"\x17\x03\x03\x00\x20" + b"no valid TLS record, 32 bytes ok")

    with raw_server(speak, tls=_server_context(authority, "127.0.0.1")) as (url, heard):
        assert how(exchange, url) is Break.LOST
        assert len(heard.requests) == 1


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("name", DRIPS)
def test_the_deadline_holds_over_tls(authority: trustme.CA, name: str) -> None:
    """Striking a TLS socket from another thread ends the exchange, nothing else."""
    assert _run_late(*DRIPS[name], tls=_server_context(authority, "127.0.0.1")).how is Break.LOST


@pytest.mark.parametrize("first", [b"", b"\x16\x03\x03"], ids=["says nothing", "begins a record"])
def test_the_deadline_holds_while_tls_is_agreed_on(first: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that takes the connection and is silent: the deadline ends it, not only the time to connect."""
    monkeypatch.setattr(wire, "CONNECT_S", 5.0)
    late = Late(first, b"")
    with raw_server(late, listens=False) as (url, _):
        late.wire = Wire(url.replace("http:", "https:"), {})
        with pytest.raises(Broken, match="no connection in time") as caught:
            late.wire.exchange("POST", "/v3/x", body="{}", deadline_s=50.0)
        late.wire.close()
    assert caught.value.how is Break.NOT_SENT
    by_time = (requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError)
    assert not isinstance(caught.value.__cause__, by_time), "only the time to connect has ended it"


# --- kept connections


def _closing_server(answers: int) -> contextlib.AbstractContextManager[tuple[str, list[bytes], threading.Semaphore]]:
    """Keeps each connection for so many answers without saying that it will close it."""

    @contextlib.contextmanager
    def serving() -> Iterator[tuple[str, list[bytes], threading.Semaphore]]:
        listener = socket.create_server(("127.0.0.1", 0))
        heard: list[bytes] = []
        hung_up = threading.Semaphore(0)

        def work() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        for _ in range(answers):
                            if not (request := read_request(connection)):
                                break
                            heard.append(request)
                            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
                    hung_up.release()

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", heard, hung_up
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()

    return serving()


def test_a_stale_connection_is_not_used_for_a_write() -> None:
    """The server has closed it without a word: the next write goes out whole, once, on a fresh one (A30)."""
    with _closing_server(answers=1) as (url, heard, hung_up):
        kept = Wire(url, {})
        for number in range(5):
            assert kept.exchange("POST", f"/{number}", body="{}", deadline_s=60.0).status == 200
            assert hung_up.acquire(timeout=30)
        kept.close()

    assert [request.split()[1] for request in heard] == [b"/0", b"/1", b"/2", b"/3", b"/4"]


def test_an_idle_connection_is_renewed_before_a_write() -> None:
    """It may have been closed unseen by whatever stands between; a read may try it."""
    connections: list[str] = []

    def speak(connection: socket.socket, request: bytes, over: threading.Event) -> None:
        connections.append(request.split()[1].decode())
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        while more := read_request(connection):
            connections[-1] += more.split()[1].decode()
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    with raw_server(speak) as (url, _):
        kept = Wire(url, {})
        kept.exchange("POST", "/a", body="{}", deadline_s=60.0)
        kept.exchange("POST", "/b", body="{}", deadline_s=60.0)
        kept._local.used_at -= wire.STALE_S + 1
        kept.exchange("GET", "/c", deadline_s=60.0)
        kept._local.used_at -= wire.STALE_S + 1
        kept.exchange("POST", "/d", body="{}", deadline_s=60.0)
        kept.close()
    assert connections == ["/a/b/c", "/d"]


def test_a_wire_is_shared_by_threads() -> None:
    """Each thread has a session of its own."""
    with raw_server(http(b'{"a": 1}')) as (url, heard):
        shared = Wire(url, {})
        results: list[object] = []
        threads = [
            threading.Thread(target=lambda: results.append(shared.exchange("GET", "/", deadline_s=60.0).value))
            for _ in range(8)
        ]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        shared.close()

    assert results == [{"a": 1}] * 8
    assert len(heard.requests) == 8
