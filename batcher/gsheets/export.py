"""A sheet that anyone with the link may see, as Google exports it: CSV, fetched through the safe wire."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote

from msgspec import Struct

from batcher.errors import InputError, Problem
from batcher.fetch.address import Gate, Network
from batcher.fetch.errors import FetchError, LinkExpired, TryLater
from batcher.fetch.link import Links, next_block
from batcher.fetch.pulse import Pulse, Watch
from batcher.google_link import GoogleLink
from batcher.gsheets.door import CREDENTIALS_VARIABLE, Door

MAX_BYTES = 500_000_000
"""Far above the ten million cells that a Google Sheet can have in practice."""
STALL_S = 60.0
"""Google computes the export of a large sheet before its first byte comes."""
_TITLE = re.compile(r"filename\*\s*=\s*UTF-8''([^;]+)", re.IGNORECASE)
SHARE = (
    "in Google Sheets: Share › General access › Anyone with the link; or keep it private, install batcher[gsheets], "
    f"set {CREDENTIALS_VARIABLE} and share it with that service account"
)


class SignInWantedError(InputError):
    """Nobody but those whom the owner has named may see the sheet."""


class Exported(Struct, frozen=True, kw_only=True):
    """
    What was fetched.

    Attributes:
        sha256: Of the bytes, in hexadecimal.
        title: The spreadsheet's and the tab's name, as Google gives them; empty when it gives none.
    """

    sha256: str
    title: str


def export(link: GoogleLink, target: Path, door: Door) -> Exported:
    """
    Fetch a tab as CSV.

    Args:
        target: A new file; it may be left unfinished.

    Raises:
        SignInWantedError: It is not shared with anyone with the link.
        InputError: It cannot be had for another reason.
    """
    address = f"{door.export}/spreadsheets/d/{link.key}/export?format=csv&gid={link.gid}"
    links = Links(Gate(network=Network(), allow_loopback=bool(door.stand_in)), ca_bundle="", read_s=STALL_S)
    try:
        with target.open("wb") as file, Watch(stall_s=STALL_S).transfer() as pulse:
            return _fetched(links, address, file, pulse, link)
    except LinkExpired as error:
        message = f"the sheet cannot be seen ({error}); check the address and its #gid, and share it: {SHARE}"
        raise SignInWantedError(_problem(link, message)) from error
    except TryLater as error:
        raise InputError(_problem(link, f"Google does not answer as it should: {error}; run again later")) from error
    except FetchError as error:
        raise InputError(_problem(link, f"cannot be read: {error}")) from error
    finally:
        links.close()


def _fetched(links: Links, address: str, file: BinaryIO, pulse: Pulse, link: GoogleLink) -> Exported:
    digest, size = hashlib.sha256(), 0
    with links.open(address, headers={}, pulse=pulse) as response:
        if "html" in response.headers.get("content-type", "").lower():
            raise SignInWantedError(_problem(link, f"Google asks for a sign-in: share the sheet {SHARE}"))
        length = response.length_remaining
        pulse.expects(length)
        while block := next_block(response, pulse):
            pulse.comes(len(block))
            size += len(block)
            if size > MAX_BYTES:
                raise InputError(_problem(link, f"is larger than {MAX_BYTES:,} bytes; split it"))
            digest.update(block)
            file.write(block)
        if length is not None and size != length:
            raise TryLater("the transfer broke off")
        title = _TITLE.search(response.headers.get("content-disposition", ""))
    return Exported(sha256=digest.hexdigest(), title=unquote(title[1]).removesuffix(".csv") if title else "")


def _problem(link: GoogleLink, message: str) -> Problem:
    return Problem(where=f"Google Sheet {link.key} (gid {link.gid})", message=message)
