"""Plans and endings on a terminal: lines that fit its width, colours where they are wanted."""

from __future__ import annotations

import os
import re
import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping

from batcher.cli.say import harmless, put, say

LABEL = 9
"""Characters before the text of a line: `Account  `."""

NARROWEST = 40
"""Below this width lines are left to the terminal."""

_STYLES: Mapping[str, str] = {"red": "31", "green": "32", "yellow": "33", "bold": "1"}
_WORDS = (
    (re.compile(r"^(Invalid|Failed|Unsure|Why)\b"), "red"),
    (re.compile(r"^(Look again|Sounds like|Changed|Again|Held)\b"), "yellow"),
    (re.compile(r"^(Account|Sheet|Cost|Time|Next|Spent|Files|Results|Links|Sample|Rest)\b"), "bold"),
    (re.compile(r"\bREAL\b"), "red"),
    (re.compile(r"\bREHEARSAL\b"), "green"),
    (re.compile(r"✓$"), "green"),
    (re.compile(r"✗.*$"), "red"),
)


def say_lines(lines: Iterable[str]) -> None:
    """Say lines as the place suits where they go: a file gets them whole and plain."""
    if not sys.stdout.isatty():
        say("\n".join(lines))
        return
    colour = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    put("\n".join(painted(map(harmless, lines), width=shutil.get_terminal_size().columns, colour=colour)))


def painted(lines: Iterable[str], *, width: int, colour: bool) -> Iterator[str]:
    """Lines that are no wider than so many characters, what is left over under the text of its line."""
    for line in lines:
        for part in line.split("\n"):
            for piece in _wrapped(part, width):
                yield _coloured(piece) if colour else piece


def _wrapped(line: str, width: int) -> list[str]:
    if len(line) <= width or width < NARROWEST:
        return [line]
    indent = len(line) - len(line.lstrip()) or (LABEL if line[LABEL - 1 : LABEL] == " " else 2)
    # addresses and paths stay whole, so that they can be clicked and copied
    return textwrap.wrap(
        line,
        width,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
        drop_whitespace=True,
        replace_whitespace=False,
    )


def _coloured(line: str) -> str:
    for pattern, style in _WORDS:
        line = pattern.sub(lambda found, code=_STYLES[style]: f"\x1b[{code}m{found[0]}\x1b[0m", line)  # type: ignore[misc]
    return line
