"""Texts that are valid and most likely not what was meant: a person looks at them before money is spent."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

_SHORTENED = re.compile(r"[+-]?\d(?:[.,]\d+)?E\+\d{2,}", re.IGNORECASE)
# The first byte of a UTF-8 sequence and those that follow, as Windows-1252 and Latin-1 show them.
_MANGLED = re.compile("[Â-ô][\x80-\xbfŒœŠšŸŽžƒˆ˜–—‘’‚“”„†‡•…‰‹›€™]+")
# Zero-width joiners belong to emoji and to Persian and are left alone, as is a no-break space.
_CONTROL = re.compile("[\x00-\x08\x0b-\x0c\x0e-\x1f\x7f-\x9f]")
_INVISIBLE = re.compile("[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]")


def are_beyond_doubt(texts: Sequence[str]) -> bool:
    """Whether there is surely nothing doubtful about any of them, which of most rows takes no look at each."""
    text = "".join(texts)
    return text.isascii() and "+" not in text and text.isprintable()


def doubt_about(text: str) -> str:
    """What is doubtful about a cell; empty for most."""
    if not text.isprintable() and (found := _CONTROL.search(text)):
        return f"holds a control character (U+{ord(found[0]):04X})"
    if text.isascii():
        if "+" not in text or not _SHORTENED.fullmatch(text.strip()):
            return ""
        return "looks like a number that Excel has shortened; format the column as text"
    if found := _INVISIBLE.search(text):
        character = found[0]
        name = unicodedata.name(character, "a control character").lower()
        return f"holds an invisible character ({name}, U+{ord(character):04X})"
    for found in _MANGLED.finditer(text):
        if (meant := _meant(found[0])) is not None:
            return f"looks like text read in a wrong encoding: '{found[0]}' may have been '{meant}'"
    return ""


def _meant(mangled: str) -> str | None:
    """What was written, if it was UTF-8 read as Windows-1252; None when it was not."""
    for length in range(len(mangled), 1, -1):
        try:
            raw = b"".join(_byte(character) for character in mangled[:length])
            return raw.decode("utf-8")
        except UnicodeError:
            continue
    return None


def _byte(character: str) -> bytes:
    return character.encode("latin-1") if ord(character) < 256 else character.encode("cp1252")
