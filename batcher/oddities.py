"""What will most likely sound wrong when it is spoken: of a text, or of the cell that it comes from."""

from __future__ import annotations

import re
import unicodedata

_LEFTOVER = re.compile(r"\{\{|\}\}|\$\{")
# A break is how a pause is asked for; everything else in angle brackets would be read out.
_MARKUP = re.compile(r"</?(?!break\b)[A-Za-z][^<>]{0,80}>|&(?:[a-z]{2,8}|#\d{1,6});|\*\*", re.IGNORECASE)
_EMOJI = re.compile("[\u2600-\u27bf\U0001f000-\U0001faff]")
_SPACES = re.compile(r"\S[ \t\u00a0]{2,}\S")
_LOOSE = re.compile(r"\w +[,.!?;:](?:\s|\Z)|[,;] *[,;]")
_WORD = re.compile(r"[^\W\d_]+")
_SCRIPTS = frozenset({"LATIN", "CYRILLIC", "GREEK"})

SHOUTED = 4
"""Capitals from this many letters on are no abbreviation."""


def text_oddities(text: str) -> list[str]:
    """What is odd about a text that is spoken, one phrase for each kind; empty for most."""
    found = []
    if _LEFTOVER.search(text):
        found.append("holds what is left of a template")
    if _MARKUP.search(text):
        found.append("holds markup")
    if not text.isascii():
        if _EMOJI.search(text):
            found.append("holds an emoji")
        if any(_mixes_scripts(word) for word in _WORD.findall(text)):
            found.append("mixes scripts within a word")
    if _SPACES.search(text):
        found.append("holds double spaces")
    return found


def gap(text: str) -> str:
    """What shows that something is missing where cells were put together; empty for most."""
    return "has a gap where a cell is empty" if _SPACES.search(text) or _LOOSE.search(text) else ""


def cell_oddities(cell: str, *, is_name: bool, is_company: bool) -> list[str]:
    """
    What is odd about a cell whose text is spoken.

    Args:
        is_name: It is a person's name: digits are none.
        is_company: It is a company's name: capitals belong to many.
    """
    found = text_oddities(cell)
    if not is_company and cell.isupper() and sum(map(str.isalpha, cell)) >= SHOUTED:
        found.append("all capitals")
    if is_name and cell.strip().isdigit():
        found.append("digits only")
    return found


def _mixes_scripts(word: str) -> bool:
    """Whether a word that looks like one script holds letters of another: `Аnna` with a Cyrillic A."""
    if word.isascii():
        return False
    scripts = {unicodedata.name(letter, "").split(" ", 1)[0] for letter in word}
    return len(scripts & _SCRIPTS) > 1
