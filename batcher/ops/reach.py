"""Whether hosts and ports can be reached from here, and what to open in the firewall when they cannot."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterator, Sequence
from enum import Enum

from msgspec import Struct

WAIT_S = 10.0
_COOKIE = bytes.fromhex("2112a442")


class Finding(Struct, frozen=True, kw_only=True):
    """
    One thing that was looked at.

    Attributes:
        advice: What to do; empty when all is well.
    """

    is_well: bool
    what: str
    advice: str = ""


class Transport(str, Enum):
    """What a door speaks."""

    TLS = "TCP"
    """A safe connection over TCP."""
    TCP = "TCP without TLS"
    """A plain connection."""
    UDP = "UDP"
    """Datagrams; a STUN server answers them."""


class Door(Struct, frozen=True, kw_only=True):
    """
    A host and a port that must be open.

    Attributes:
        family: The name under which the firewall page has it, such as `*.livekit.cloud`; empty for one of its own.
        purpose: What stands still without it; empty where that is plain.
    """

    host: str
    port: int
    transport: Transport
    family: str = ""
    purpose: str = ""

    def __str__(self) -> str:
        return f"{self.host}:{self.port}{' (UDP)' if self.transport is Transport.UDP else ''}"


STREAMING = (
    Door(host="api.heygen.com", port=443, transport=Transport.TLS, purpose="the API and its signals"),
    Door(
        host="heygen-feapbkvq.livekit.cloud",
        port=443,
        transport=Transport.TLS,
        family="*.livekit.cloud",
        purpose="signals of a session",
    ),
    Door(
        host="heygen-feapbkvq.turn.livekit.cloud",
        port=443,
        transport=Transport.TLS,
        family="*.turn.livekit.cloud",
        purpose="picture and sound where UDP is blocked",
    ),
    Door(
        host="heygen-feapbkvq.host.livekit.cloud",
        port=3478,
        transport=Transport.UDP,
        family="*.host.livekit.cloud",
        purpose="finding the way for picture and sound",
    ),
)
"""What interactive avatars need: docs.heygen.com/docs/firewall-configuration, read 20 Nov 2026. It names families of hosts."""


def look_at_streaming(doors: Sequence[Door] = STREAMING, *, wait_s: float = WAIT_S) -> Iterator[Finding]:
    """Try every door, and name what cannot be tried without a session."""
    for door in doors:
        yield reach(door, wait_s=wait_s)
    yield Finding(
        is_well=True,
        what="not tested, recommended for picture and sound: UDP 50000-60000 and TCP 7881 to all hosts, UDP hole-punching",
    )


def reach(door: Door, *, wait_s: float = WAIT_S) -> Finding:
    """Knock at a door, and nothing more."""
    needed = f", needed for {door.purpose}" if door.purpose else ""
    rule = f"let the firewall pass {door.transport.value} {door.port} to {door.family or door.host}"
    advice = f"check the network and the proxy, or {rule}"
    try:
        _knock(door, wait_s)
    except ssl.SSLError as error:
        advice = "check the clock and the company's certificates"
        return Finding(is_well=False, what=f"no safe connection to {door} ({error.reason}){needed}", advice=advice)
    except socket.gaierror as error:
        if door.family:  # the page names families: that no host is called so proves nothing
            what = f"not tested: no host of {door.family} is known by the name {door.host}{needed}"
            return Finding(is_well=True, what=what)
        return Finding(is_well=False, what=f"{door} cannot be reached ({error}){needed}", advice=advice)
    except TimeoutError:
        return Finding(is_well=False, what=f"{door} gives no answer within {wait_s:g} s{needed}", advice=advice)
    except OSError as error:
        return Finding(is_well=False, what=f"{door} cannot be reached ({error}){needed}", advice=advice)
    return Finding(is_well=True, what=f"{door} can be reached")


def _knock(door: Door, wait_s: float) -> None:
    if door.transport is Transport.UDP:
        _ask_stun(door, wait_s)
        return
    with socket.create_connection((door.host, door.port), timeout=wait_s) as plain:
        if door.transport is Transport.TLS:
            ssl.create_default_context().wrap_socket(plain, server_hostname=door.host).close()


def _ask_stun(door: Door, wait_s: float) -> None:
    """Send a binding request (RFC 8489) and wait for any answer to it; a lost datagram is sent twice more."""
    asked = b"\x00\x01\x00\x00" + _COOKIE + os.urandom(12)
    address = socket.getaddrinfo(door.host, door.port, type=socket.SOCK_DGRAM)[0]
    with socket.socket(address[0], socket.SOCK_DGRAM) as plain:
        plain.settimeout(wait_s / 3)
        plain.connect(address[4])
        for attempt in range(3):
            plain.send(asked)
            try:
                while plain.recv(2048)[4:20] != asked[4:20]:
                    pass
            except TimeoutError:
                if attempt == 2:
                    raise
            else:
                return
