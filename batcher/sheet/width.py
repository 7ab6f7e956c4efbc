"""How wide a column must be to be read."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

LOOKED_AT = 200
"""Rows by which a width is chosen."""
_NARROWEST, _WIDEST = 10, 45


def fitting(header: str, texts: Iterable[str]) -> int:
    """The width, in characters, in which most of a column can be read."""
    lines = [line for text in islice(texts, LOOKED_AT) for line in text.split("\n")]
    return min(_WIDEST, max(_NARROWEST, len(header) + 3, *(len(line) + 2 for line in lines), 0))
