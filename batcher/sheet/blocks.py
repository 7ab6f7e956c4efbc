"""The XML of a tab in blocks of whole rows: it is looked through while it is unpacked, and never in memory whole."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import chain

from batcher.sheet.archive import Damaged

_HEAD = 65_536
"""Within so many bytes the XML says what it is."""
_ROOT = re.compile(rb"<([\w.-]+:)?worksheet\b")
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


def in_blocks(pieces: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """
    The namespace prefix of its elements, and the blocks, in the encoding that searches expect.

    The first holds what stands before the rows, the last what stands behind them; every other begins with a row.

    Raises:
        Damaged: It is not the XML of a tab.
    """
    head = b""
    for piece in pieces:
        head += piece
        if len(head) >= _HEAD:
            break
    if head.startswith(_UTF_16):
        head = b"".join([head, *pieces]).decode("utf-16", errors="replace").encode()
    if b"<!DOCTYPE" in head[:_HEAD]:
        raise Damaged("its XML declares a document type, which workbooks never do")
    root = _ROOT.search(head, 0, _HEAD)
    if not root:
        raise Damaged("the part of the tab holds no cells")
    prefix = root[1] or b""
    return prefix, _cut(chain((head,), pieces), b"<" + prefix + b"row ")


def _cut(pieces: Iterable[bytes], row: bytes) -> Iterator[bytes]:
    """The pieces, cut anew before the last row that begins in each; where none begins they are put together."""
    held: list[bytes] = []
    for piece in pieces:
        at = piece.rfind(row)
        if at < 0:
            held.append(piece)
        else:
            yield b"".join([*held, piece[:at]])
            held = [piece[at:]]
    yield b"".join(held)
