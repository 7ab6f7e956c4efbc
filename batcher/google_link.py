"""Addresses of Google Sheets as people copy them."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from msgspec import Struct

_BEGINNING = re.compile(r"(?:https?://)?docs\.google\.com/spreadsheets", re.IGNORECASE)
_PATH = re.compile(r"/spreadsheets/(?:u/\d{1,3}/)?d/([A-Za-z0-9_-]{10,200})(?:/|\Z)")
_GID = re.compile(r"(?:\A|&)gid=(\d{1,20})(?:&|\Z)")


class GoogleLink(Struct, frozen=True, kw_only=True):
    """
    A tab of a Google Sheet.

    Attributes:
        key: Which spreadsheet.
        gid: Which of its tabs; Google's first has 0, unless it was deleted.
    """

    key: str
    gid: int = 0

    def __str__(self) -> str:
        return f"https://docs.google.com/spreadsheets/d/{self.key}/edit#gid={self.gid}"


def is_link(text: str) -> bool:
    """Whether a text is meant as the address of a Google Sheet."""
    return bool(_BEGINNING.match(text.strip()))


def parse_link(text: str) -> GoogleLink:
    """
    The tab that an address from the browser, or from the dialogue *Share*, leads to.

    Raises:
        ValueError: It leads to no spreadsheet; in words for the person.
    """
    parts = urlsplit(text.strip() if "://" in text else f"https://{text.strip()}")
    found = _PATH.match(parts.path)
    if found is None or found[1] == "e":
        raise ValueError(
            "this is no address of a Google Sheet; copy it from the browser while the sheet is open: "
            "https://docs.google.com/spreadsheets/d/…/edit#gid=0"
        )
    gid = _GID.search(parts.fragment) or _GID.search(parts.query)
    return GoogleLink(key=found[1], gid=int(gid[1]) if gid else 0)
