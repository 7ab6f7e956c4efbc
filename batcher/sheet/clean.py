"""Texts from elsewhere, made fit to stand in a file or in a message."""

from __future__ import annotations

import re

REPLACEMENT = "\ufffd"
_LINE_END = re.compile("\r\n?")
_UNFIT = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def clean(text: str) -> str:
    """
    The text with control characters and lone surrogates shown as U+FFFD.

    Line breaks become a plain newline and tabs stay: both are legitimate in a cell. What remains can be encoded as
    UTF-8 and stand in XML.
    """
    if text.isprintable():  # nothing of all that is: most texts by far
        return text
    return _UNFIT.sub(REPLACEMENT, _LINE_END.sub("\n", text))


def shown(text: str, limit: int = 40) -> str:
    """The text in quotation marks, on one line and shortened: how messages quote a cell."""
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    return '"' + clean(cut).replace("\n", "↵").replace("\t", "⇥") + '"'
