"""Hosts of addresses, and which of them are this machine."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit


def host_of(address: str) -> str:
    """The host of an address in lower case; empty when it has none."""
    return (urlsplit(address).hostname or "").lower()


def is_loopback_host(host: str) -> bool:
    """Whether a host name is this machine by definition; names that merely resolve to it do not count."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
