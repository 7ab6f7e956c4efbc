"""Where a download may go: every spelling of every inner address, redirects, rebinding, encryption, and what is sent."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.fetch.address import Network, inner, parse_address
from batcher.fetch.client import Fetched, Fetcher
from batcher.fetch.errors import Refused, TryLater
from batcher.simulator.media import content

trustme = pytest.importorskip("trustme")

PUBLIC = "93.184.215.14"
NAMES = {
    "cdn.example": [PUBLIC],
    "other.example": ["2606:2800:21f:cb07:6820:80da:af6b:8b2c"],
    "localhost": ["::1", "127.0.0.1"],
    "localtest.me": ["127.0.0.1"],
    "metadata.google.internal": ["169.254.169.254"],
    "half.example": [PUBLIC, "10.0.0.1"],
    "self-signed.example": [PUBLIC],
}


class World(Network):
    """
    A world of names whose every address is one server on this machine.

    Args:
        port: Of the server.
        peer: What the other end of every connection says it is; None for the address that was asked for.
    """

    def __init__(self, port: int = 0, *, peer: str | None = None) -> None:
        self.tried: list[str] = []
        self._port = port
        self._peer = peer
        self._addresses: dict[int, str] = {}

    def resolve(self, host: str, port: int) -> Sequence[str]:
        if host in NAMES:
            return NAMES[host]
        try:
            return [str(ipaddress.ip_address(host.partition("%")[0]))]
        except ValueError:
            return [socket.inet_ntoa(socket.inet_aton(host))]  # reads 127.1, 0x7f000001 and 017700000001 as C does

    def connect(self, address: str, port: int, *, timeout_s: float) -> socket.socket:
        self.tried.append(address)
        connected = socket.create_connection(("127.0.0.1", self._port), timeout_s)
        self._addresses[connected.getsockname()[1]] = address
        return connected

    def peer(self, connected: socket.socket) -> str:
        return self._peer or self._addresses[connected.getsockname()[1]]


class Server:
    """Answers over TLS with the answers for a path: a place to go on to, or the file; keeps the headers it got."""

    def __init__(self, context: ssl.SSLContext, jumps: Mapping[str, str]) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []
        asked = self.asked

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                asked.append((self.path, dict(self.headers)))
                body = content("a.mp4")
                self.send_response(302 if self.path in jumps else 200)
                if self.path in jumps:
                    self.send_header("Location", jumps[self.path])
                    body = b"on"
                self.send_header("Set-Cookie", "canary=1; Path=/")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None: ...

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: object, client_address: object) -> None: ...

            def get_request(self) -> tuple[socket.socket, Any]:
                plain, address = super().get_request()
                connections.append(address)
                plain.settimeout(10)
                return context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False), address

        connections: list[Any] = []
        self.connections = connections
        self._server = Quiet(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


JUMPS = {
    "/local": "https://localhost/a.mp4",
    "/local-http": "http://127.0.0.1/a.mp4",
    "/metadata": "https://169.254.169.254/latest/meta-data/",
    "/metadata-http": "http://169.254.169.254/latest/meta-data/",
    "/metadata-name": "https://metadata.google.internal/a.mp4",
    "/decimal": "https://2852039166/a.mp4",
    "/inner": "//10.0.0.1/a.mp4",
    "/file": "file:///etc/passwd",
    "/gopher": "gopher://127.0.0.1:6379/_FLUSHALL",
    "/plain": "http://cdn.example/a.mp4",
    "/user": "https://user:word@other.example/a.mp4",
    "/broken": "https://[::1/a.mp4",
    "/nowhere": "",
    "/loop": "/loop",
    "/1": "https://other.example/2",
    "/2": "3",
    "/3": "https://cdn.example/a.mp4",
    "/4": "/1",
    "/umlaut": "/größe.mp4",
}


@pytest.fixture(scope="module")
def authority() -> Any:
    return trustme.CA()


@pytest.fixture(scope="module")
def server(authority: Any) -> Iterator[Server]:
    """The whole world outside, for those names that have a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("cdn.example", "other.example").configure_cert(context)
    running = Server(context, JUMPS)
    yield running
    running.close()


@pytest.fixture
def bundle(authority: Any, tmp_path: Path) -> str:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return str(tmp_path / "ca.pem")


@pytest.fixture
def fetch(server: Server, bundle: str, tmp_path: Path) -> Callable[..., Fetched]:
    """Fetches a link in a world of one server."""

    def run(url: str, *, world: World | None = None, allow_loopback: bool = False, ca: str = bundle) -> Fetched:
        network = world or World(server.port)
        with Fetcher(allow_loopback=allow_loopback, network=network, ca_bundle=ca, spare_bytes=0) as fetcher:
            return fetcher.fetch(url, tmp_path / "videos/a.mp4", folder=tmp_path / "videos")

    server.asked.clear()
    server.connections.clear()
    return run


INNER = [
    "127.0.0.1", "127.0.0.0", "127.127.127.127", "127.0.1.3", "127.1", "127.0.1", "0", "0.0.0.0", "0.1.2.3",
    "2130706433", "3232235521", "3232235777", "2852039166", "017700000001",
    "0177.0.0.1", "0177.0.0.01", "0300.0250.0.1", "0x7f000001", "0x7f.0.0.1", "0x7f.1", "0xc0a80014", "0xa9fea9fe",
    "0xA9.0xFE.0xA9.0xFE", "0251.0376.0251.0376",
    "10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.0.1", "192.168.1.254", "100.64.0.1", "100.127.255.254",
    "169.254.169.254", "169.254.170.2", "100.100.100.200", "192.0.0.192", "168.63.129.16",
    "192.0.2.1", "198.51.100.1", "203.0.113.1", "198.18.0.1", "198.19.255.255", "192.88.99.1",
    "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255",
    "localhost", "localtest.me", "metadata.google.internal", "half.example",
    "[::]", "[::1]", "[0000::1]", "[0:0:0:0:0:0:0:1]", "[::127.0.0.1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]",
    "[0:0:0:0:0:ffff:127.0.0.1]",
    "[::ffff:169.254.169.254]", "[::ffff:0:127.0.0.1]", "[64:ff9b::7f00:1]", "[64:ff9b::169.254.169.254]", "[64:ff9b:1::1]",
    "[2002:7f00:1::]", "[2002:5db8:d822::1]", "[2001::1]", "[2001:0:7f00:1::]", "[2001:db8::1]", "[3fff::1]", "[100::1]", "[5f00::1]",
    "[fd00:ec2::254]", "[fc00::1]", "[fe80::1]", "[fe80::1%25lo]", "[fec0::1]", "[ff02::1]", "[ff0e::1]", "[4000::1]",
]  # fmt: skip


@pytest.mark.parametrize("host", INNER)
def test_no_spelling_of_an_inner_address_is_reached(host: str, fetch: Any, server: Server) -> None:
    """The numbers count, not the words; nothing inside is even knocked at."""
    world = World(server.port)

    with pytest.raises(Refused, match="nothing is fetched from there"):
        fetch(f"https://{host}/a.mp4", world=world)

    assert world.tried == []


ODD = [
    "",
    "/a.mp4",
    "//cdn.example/a.mp4",
    "cdn.example/a.mp4",
    "https:",
    "https://",
    "https:///a.mp4",
    "http://cdn.example/a.mp4",
    "HTTP://127.0.0.1/a.mp4",
    "file:///etc/passwd",
    "file://cdn.example/etc/passwd",
    "ftp://cdn.example/a.mp4",
    "sftp://cdn.example/a.mp4",
    "tftp://cdn.example/a.mp4",
    "dict://127.0.0.1:11211/stat",
    "gopher://127.0.0.1:6379/_FLUSHALL",
    "ldap://127.0.0.1/",
    "jar:https://127.0.0.1!/a.mp4",
    "netdoc:///etc/passwd",
    "data:video/mp4;base64,AAAA",
    "javascript:alert(1)",
    "https://①②⑦.⓪.⓪.①/a.mp4",
    "https://127。0。0。1/a.mp4",
    "https://user@cdn.example/a.mp4",
    "https://user:word@cdn.example/a.mp4",
    "https://cdn.example@127.0.0.1/a.mp4",
    "https://127.0.0.1@cdn.example/a.mp4",
    "https://cdn.example:80@127.0.0.1/a.mp4",
    "https://127.0.0.1\\@cdn.example/a.mp4",
    "https://1.1.1.1 &@2.2.2.2# @3.3.3.3/",
    "https://127.0.0.1:80\t@cdn.example/",
    "https://cdn.example\r\nHost: 127.0.0.1/a.mp4",
    "https://cdn.example/a.mp4\r\nX-Api-Key: 1",
    "https://cdn.example\0.evil/a.mp4",
    "https://cdn.example/a b.mp4",
    "https://cdn.example:99999/a.mp4",
    "https://cdn.example:x/a.mp4",
    "https://[::1/a.mp4",
    "https://[cdn.example]/a.mp4",
    f"https://{'a' * 300}.example/a.mp4",
    "https://cdn..example/a.mp4",
    "https://\ud800.example/a.mp4",
]


@pytest.mark.parametrize("url", ODD)
def test_what_is_no_https_link_is_never_opened(url: str, fetch: Any, server: Server) -> None:
    """Other schemes, user names, blanks, and texts that two programs could read in two ways."""
    world = World(server.port)

    with pytest.raises((Refused, TryLater)) as caught:
        fetch(url, world=world)

    assert world.tried == []
    assert isinstance(caught.value, Refused) or "no such host" in str(caught.value)


@pytest.mark.parametrize("peer", ["127.0.0.1", "169.254.169.254", "10.1.2.3", "::1", "::ffff:10.0.0.1", "fe80::1%eth0"])
def test_a_name_that_changes_its_mind_is_caught_at_the_connection(peer: str, fetch: Any) -> None:
    """DNS rebinding: the look-up was fine, the other end is not; not even the greeting of TLS is sent."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        with pytest.raises(Refused, match="nothing is fetched from there"):
            fetch("https://cdn.example/a.mp4", world=World(listener.getsockname()[1], peer=peer))

        connection, _ = listener.accept()
        with connection:
            assert connection.recv(1) == b""


def test_a_kept_connection_is_judged_for_every_request(server: Server, bundle: str, tmp_path: Path) -> None:
    """Not even an open connection is trusted blindly."""
    world = World(server.port)
    with Fetcher(allow_loopback=False, network=world, ca_bundle=bundle, spare_bytes=0) as fetcher:
        fetcher.fetch("https://cdn.example/a.mp4", tmp_path / "1.mp4", folder=tmp_path)
        fetcher.fetch("https://cdn.example/a.mp4", tmp_path / "2.mp4", folder=tmp_path)
        assert len(world.tried) == 1
        world._peer = "127.0.0.1"
        with pytest.raises(Refused):
            fetcher.fetch("https://cdn.example/a.mp4", tmp_path / "3.mp4", folder=tmp_path)


@pytest.mark.parametrize("path", [path for path in JUMPS if path not in ("/1", "/2", "/3", "/4", "/umlaut")])
def test_every_redirect_is_checked_like_the_link(path: str, fetch: Any, server: Server) -> None:
    """A good link may lead anywhere: inside, to files, on and on in a circle."""
    world = World(server.port)

    with pytest.raises(Refused):
        fetch(f"https://cdn.example{path}", world=world)

    assert set(world.tried) == {PUBLIC}
    assert {asked for asked, _ in server.asked} == {path}


def test_three_redirects_are_followed_and_a_fourth_is_not(fetch: Any) -> None:
    """As many as a CDN needs, also to other hosts."""
    assert fetch("https://cdn.example/1").bytes == len(content("a.mp4"))
    with pytest.raises(Refused, match="more than 3 redirects"):
        fetch("https://cdn.example/4")


def test_a_redirect_in_utf_8_is_read_as_meant(fetch: Any, server: Server) -> None:
    """Headers are Latin-1 by the book, and UTF-8 in the world."""
    fetch("https://cdn.example/umlaut")

    assert server.asked[-1][0] == "/gr%C3%B6%C3%9Fe.mp4"


def test_no_secret_goes_along(fetch: Any, server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No key, no cookie of an earlier answer, no password of `.netrc`, no proxy: four headers, whatever surrounds us."""
    (tmp_path / ".netrc").write_text("default login canary password canary\n")
    for name, value in {
        "HOME": str(tmp_path),
        "NETRC": str(tmp_path / ".netrc"),
        "HEYGEN_API_KEY": "canary",
        "HTTPS_PROXY": "http://canary:canary@127.0.0.1:1",
        "ALL_PROXY": "http://canary:canary@127.0.0.1:1",
    }.items():
        monkeypatch.setenv(name, value)

    fetch("https://cdn.example/1")

    assert [path for path, _ in server.asked] == ["/1", "/2", "/3", "/a.mp4"]
    for _, headers in server.asked:
        assert set(headers) == {"Host", "User-Agent", "Accept", "Accept-Encoding"}
        assert "canary" not in str(headers)


def test_a_server_that_cannot_prove_its_name_is_not_asked(fetch: Any, server: Server) -> None:
    """A certificate for another name, and one of an authority that nobody trusts."""
    with pytest.raises(TryLater, match="certificate"):
        fetch("https://self-signed.example/a.mp4")
    with pytest.raises(TryLater, match="certificate"):
        fetch("https://cdn.example/a.mp4", ca="")

    assert server.asked == []


def test_a_rehearsal_reaches_this_machine_and_nothing_else_inside(fetch: Any, server: Server) -> None:
    """Loopback, where the account's own API is there; http only to it."""
    for url in ("https://10.0.0.1/a.mp4", "http://10.0.0.1/a.mp4", "https://0.0.0.0/a.mp4", "http://169.254.169.254/"):
        with pytest.raises(Refused, match="nothing is fetched from there"):
            fetch(url, allow_loopback=True)
    with pytest.raises(Refused, match="without encryption"):
        fetch("http://cdn.example/a.mp4", allow_loopback=True)
    assert server.connections == []

    assert fetch("https://cdn.example/a.mp4", allow_loopback=True).bytes
    with pytest.raises(TryLater):  # it is reached, but has no certificate for this name
        fetch("https://localhost/a.mp4", allow_loopback=True)


def test_this_machine_is_not_reached_by_default(tmp_path: Path) -> None:
    """With the real network: a listener that hears nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener, Fetcher(allow_loopback=False) as fetcher:
        listener.settimeout(0)
        for scheme in ("http", "https"):
            url = f"{scheme}://127.0.0.1:{listener.getsockname()[1]}/a.mp4"
            with pytest.raises(Refused):
                fetcher.fetch(url, tmp_path / "a.mp4", folder=tmp_path)
        with pytest.raises(BlockingIOError):
            listener.accept()


@given(st.ip_addresses(v=4))
def test_what_python_calls_inner_is_inner(address: ipaddress.IPv4Address) -> None:
    """Our list is at least as strict as the standard library's."""
    if not address.is_global or address.is_multicast or address.is_reserved or address.is_link_local:
        assert inner(address)


@given(st.ip_addresses(v=6))
def test_what_python_calls_inner_is_inner_in_ipv6_too(address: ipaddress.IPv6Address) -> None:
    """IPv4 in IPv6 clothes is judged by what is inside."""
    judged = parse_address(str(address))
    if isinstance(judged, ipaddress.IPv6Address) and (not address.is_global or address.is_multicast):
        assert inner(judged)


@pytest.mark.parametrize(
    "text",
    [
        "1.1.1.1",
        PUBLIC,
        "99.84.0.1",
        "172.32.0.1",
        "2606:4700::1111",
        "2a00:1450::1",
        "::ffff:1.1.1.1",
        "64:ff9b::101:101",
    ],
)
def test_addresses_out_in_the_world_pass(text: str) -> None:
    """Also through the translation of a network that has no IPv4."""
    assert inner(parse_address(text)) == ""
