"""Which addresses a download may connect to, judged by number: names and spellings do not count."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence

from msgspec import Struct

from batcher.fetch.errors import Refused, TryLater

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_INNER_V4 = tuple(
    (ipaddress.IPv4Network(network), what)
    for network, what in (
        ("127.0.0.0/8", "this machine"),
        ("0.0.0.0/8", "this machine"),
        ("10.0.0.0/8", "a private network"),
        ("172.16.0.0/12", "a private network"),
        ("192.168.0.0/16", "a private network"),
        ("100.64.0.0/10", "a provider's inner network"),
        ("169.254.0.0/16", "a link-local or metadata address"),
        ("168.63.129.16/32", "a metadata address"),  # Azure's wire server looks like any public address
        ("192.0.0.0/24", "a reserved address"),
        ("192.0.2.0/24", "an address for examples"),
        ("192.88.99.0/24", "a tunnel"),
        ("198.18.0.0/15", "an address for benchmarks"),
        ("198.51.100.0/24", "an address for examples"),
        ("203.0.113.0/24", "an address for examples"),
        ("224.0.0.0/4", "a multicast address"),
        ("240.0.0.0/4", "a reserved address"),
    )
)
"""The special-purpose registry of IANA. Our own list: `is_global` differs between Python versions and calls multicast,
6to4 and NAT64 global (measured)."""

_PUBLIC_V6 = ipaddress.IPv6Network("2000::/3")
"""All that IANA has given out; loopback, link-local, unique local, mapped, multicast and what may come lie outside."""
_INNER_V6 = tuple(
    (ipaddress.IPv6Network(network), what)
    for network, what in (
        ("2001::/23", "a tunnel or reserved address"),  # Teredo, ORCHID, benchmarks
        ("2001:db8::/32", "an address for examples"),
        ("2002::/16", "a tunnel"),  # 6to4: carries any IPv4 address
        ("3fff::/20", "an address for examples"),
    )
)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
"""How networks without IPv4 reach all of it: judged by the address inside."""


def parse_address(text: str) -> Address:
    """
    The address behind a numeric text; an IPv4 address in IPv6 clothes (mapped, NAT64) is taken out of them.

    Raises:
        ValueError: Not a numeric address.
    """
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return ipaddress.IPv4Address(address.packed[-4:])
    return address


def inner(address: Address) -> str:
    """What an address leads to that is none of a download's business; empty for one out in the world."""
    if isinstance(address, ipaddress.IPv4Address):
        return next((what for network, what in _INNER_V4 if address in network), "")
    if address.is_loopback:
        return "this machine"
    if address not in _PUBLIC_V6:
        return "an inner or reserved address"
    return next((what for network, what in _INNER_V6 if address in network), "")


class Network:
    """The way out: looks up names and opens connections. Replaced in tests, so that the world can be played."""

    def resolve(self, host: str, port: int) -> Sequence[str]:
        """
        The numeric addresses of a host, best first.

        Raises:
            OSError: There is no such host, or no answer.
            ValueError: It cannot be the name of a host.
        """
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return [str(address[0]) for *_, address in found]

    def connect(self, address: str, port: int, *, timeout_s: float) -> socket.socket:
        """
        A connection to a numeric address.

        Raises:
            OSError: None could be made.
        """
        return socket.create_connection((address, port), timeout_s)

    def peer(self, connected: socket.socket) -> str:
        """
        The numeric address at the other end.

        Raises:
            OSError: The connection is gone.
        """
        return str(connected.getpeername()[0])


class Gate(Struct, frozen=True, kw_only=True):
    """
    Lets connections through to where downloads may go.

    Attributes:
        allow_loopback: Whether this machine may be reached: only where the account's own API is on it (a rehearsal).
    """

    network: Network
    allow_loopback: bool

    def connect(self, host: str, port: int, *, is_encrypted: bool, timeout_s: float) -> socket.socket:
        """
        A connection to the host over which nothing has been sent yet.

        Every address of the name is judged before it is tried, so that nothing inside is even knocked at; and the
        other end of the connection is judged again, since that is what counts.

        Raises:
            Refused: The host is inside, or is none.
            TryLater: It cannot be reached.
        """
        try:
            addresses = self.network.resolve(host, port)
        except OSError as error:
            raise TryLater(f"no such host, or no network: {host[:80]!r}") from error
        except ValueError as error:
            raise Refused(f"{host[:80]!r} is not the name of a host") from error
        for address in addresses:
            self._judge(host, address, is_encrypted=is_encrypted)
        reason: OSError | None = None
        for address in addresses:
            try:
                connected = self.network.connect(address, port, timeout_s=timeout_s)
            except OSError as error:
                reason = error
                continue
            try:
                self.check(connected, host, is_encrypted=is_encrypted)
            except BaseException:
                connected.close()
                raise
            return connected
        raise TryLater(f"no connection to {host}: {_why(reason)}") from reason

    def check(self, connected: socket.socket, host: str, *, is_encrypted: bool) -> None:
        """
        Judge the other end of a connection.

        Raises:
            Refused: It is inside.
            TryLater: The connection is gone.
        """
        try:
            peer = self.network.peer(connected)
        except OSError as error:
            raise TryLater(f"the connection to {host} broke: {_why(error)}") from error
        self._judge(host, peer, is_encrypted=is_encrypted)

    def _judge(self, host: str, text: str, *, is_encrypted: bool) -> None:
        address = parse_address(text)
        if self.allow_loopback and address.is_loopback:
            return
        what = inner(address)
        if what:
            raise Refused(f"the link leads to {host[:80]}, which is {what} ({address}): nothing is fetched from there")
        if not is_encrypted:
            raise Refused(f"the link leads to {host[:80]} without encryption (http): only https is fetched")


def _why(error: OSError | None) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return (error.strerror if error else "") or "it has no address"
