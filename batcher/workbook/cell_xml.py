"""A text or number of ours as the XML of a cell: nothing that it says can become a formula."""

from __future__ import annotations

import re
from html import unescape

from batcher.workbook.place import cell_name

_RISKY = ("=", "+", "-", "@", "\t", "\n", "＝", "＋", "－", "＠")
_ESCAPED = re.compile(r"_(?=x[0-9A-Fa-f]{4}_)")
_CODE = re.compile(r"_x([0-9A-Fa-f]{4})_")


def empty_cell(prefix: bytes, column: int, row: int, style: int) -> bytes:
    """A cell without a value; nothing at all when it has no format of its own either."""
    return b'<%bc r="%b" s="%d"/>' % (prefix, cell_name(column, row).encode(), style) if style else b""


def number_cell(prefix: bytes, column: int, row: int, style: int, text: str) -> bytes:
    """A cell with a number."""
    return b"<%bc %b><%bv>%b</%bv></%bc>" % (prefix, _place(column, row, style), prefix, text.encode(), prefix, prefix)


def text_cell(prefix: bytes, column: int, row: int, style: int, text: str) -> bytes:
    """
    A cell with a text, kept inside of it.

    Inside, and not among the strings that all tabs share: that part then stays as it is, and every program reads both.
    """
    shown = escaped(text).encode()
    space = b' xml:space="preserve"' if text != text.strip() or "\n" in text or "  " in text else b""
    return b'<%bc %b t="inlineStr"><%bis><%bt%b>%b</%bt></%bis></%bc>' % (
        prefix, _place(column, row, style), prefix, prefix, space, shown, prefix, prefix, prefix
    )  # fmt: skip


def is_risky(text: str) -> bool:
    """True when a person who edits the text and confirms it would make a formula of it."""
    return text.startswith(_RISKY)


def escaped(text: str) -> str:
    """The text as the bytes of a cell hold it."""
    return coded(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def coded(text: str) -> str:
    """The text as a workbook's XML means it: `_x0041_`, which spreadsheets would read as A, keeps its letters."""
    return _ESCAPED.sub("_x005F_", text) if "_x" in text else text


def unescaped(text: str) -> str:
    """The text that spreadsheets show for what the parsed XML holds."""
    return _CODE.sub(lambda code: chr(int(code[1], 16)), text) if "_x" in text else text


def raw_text(xml: bytes) -> str:
    """The text of a value that was cut out of the XML unparsed."""
    return unescaped(unescape(xml.decode()))


def _place(column: int, row: int, style: int) -> bytes:
    place = f'r="{cell_name(column, row)}"'
    return (f'{place} s="{style}"' if style else place).encode()
