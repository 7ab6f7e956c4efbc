"""
The boxes in which notes are shown: VML, a language of 1998 that Excel still demands beside every note.

It is worked on as bytes, because Excel itself writes VML that is no sound XML (`<br>`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from html import escape

from batcher.workbook.place import Area

_NAMES = {
    "v": "urn:schemas-microsoft-com:vml",
    "o": "urn:schemas-microsoft-com:office:office",
    "x": "urn:schemas-microsoft-com:office:excel",
}
_DECLARED = "".join(f' xmlns:{prefix}="{name}"' for prefix, name in _NAMES.items())
_EMPTY = f'<xml{_DECLARED}><o:shapelayout v:ext="edit"><o:idmap v:ext="edit" data="1"/></o:shapelayout></xml>'.encode()
_SHAPE = re.compile(rb"<((?:[\w.-]+:)?shape)(?=[\s>])[^>]*>.*?</\1>\s*", re.DOTALL)
_NOTE = re.compile(rb"""\bObjectType\s*=\s*["']Note["']""")
_ROW = re.compile(rb"<(?:[\w.-]+:)?Row>\s*(\d+)\s*<")
_COLUMN = re.compile(rb"<(?:[\w.-]+:)?Column>\s*(\d+)\s*<")
_NUMBER = re.compile(rb"""\bid\s*=\s*["']_x0000_s(\d+)["']""")
_KIND_OF_NOTES = re.compile(rb"""<(?:[\w.-]+:)?shapetype(?=\s)[^>]*\bid\s*=\s*["']_x0000_t202["']""")
_END = re.compile(rb"</(?:[\w.-]+:)?xml\s*>\s*\Z")
_FIRST_NUMBER = 1025
_LINE_LENGTH, _WIDTH, _LINE_HEIGHT, _HIGHEST = 38, 210, 13, 320
"""Characters in a line of the box; the box in points."""


class NoShapes(Exception):
    """The part does not end as VML does: says so; never leaves this room."""


def reshaped(vml: bytes | None, *, gone: Collection[Area], new: Mapping[int, tuple[Area, str]]) -> bytes:
    """
    The drawing with the boxes of some notes taken out and others put in.

    Args:
        vml: The part; None makes a new one.

        gone: Cells whose note goes.

        new: Turn, from 0, to the cell of a new note and its text, which decides how large the box is.

    Raises:
        NoShapes: The part is not what it should be.
    """
    before = _EMPTY if vml is None else vml
    cells = {(cell.top - 1, cell.left) for cell in gone}
    kept = _SHAPE.sub(lambda shape: b"" if _cell_of(shape[0]) in cells else shape[0], before) if cells else before
    end = _END.search(kept)
    if end is None:
        raise NoShapes("the boxes of its notes cannot be told apart")
    numbers = [int(number) for number in _NUMBER.findall(kept)]
    first = max(numbers, default=_FIRST_NUMBER - 1) + 1
    declared = (
        "" if all(f'xmlns:{prefix}="{name}"'.encode() in _root(kept) for prefix, name in _NAMES.items()) else _DECLARED
    )
    shapes = [] if _KIND_OF_NOTES.search(kept) or not new else [_kind(declared)]
    shapes += [_shape(first + turn, cell, text, declared) for turn, (cell, text) in new.items()]
    return kept[: end.start()] + "".join(shapes).encode() + kept[end.start() :]


def _root(vml: bytes) -> bytes:
    """The opening tag of the drawing."""
    found = re.search(rb"<(?:[\w.-]+:)?xml(?=[\s>])[^>]*>", vml)
    return found[0] if found else b""


def _cell_of(shape: bytes) -> tuple[int, int] | None:
    """Row and column, counted from 0, of the cell whose note a box shows; None for the box of something else."""
    row, column = _ROW.search(shape), _COLUMN.search(shape)
    return (int(row[1]), int(column[1])) if _NOTE.search(shape) and row and column else None


def _kind(declared: str) -> str:
    return (
        f'<v:shapetype{declared} id="_x0000_t202" coordsize="21600,21600" o:spt="202" path="m,l,21600r21600,l21600,xe">'
        '<v:stroke joinstyle="miter"/><v:path gradientshapeok="t" o:connecttype="rect"/></v:shapetype>'
    )


def _shape(number: int, cell: Area, text: str, declared: str) -> str:
    lines = sum(1 + len(line) // _LINE_LENGTH for line in text.split("\n"))
    height = min(_HIGHEST, 12 + _LINE_HEIGHT * lines)
    style = f"position:absolute;margin-left:59.25pt;margin-top:1.5pt;width:{_WIDTH}pt;height:{height}pt;z-index:1;visibility:hidden"
    top = max(0, cell.top - 2)
    anchor = f"{cell.left + 1}, 15, {top}, 10, {cell.left + 4}, 40, {top + height // 15 + 1}, 4"
    return (
        f'<v:shape{declared} id="_x0000_s{number}" type="#_x0000_t202" style="{escape(style)}" fillcolor="#ffffe1" '
        'o:insetmode="auto"><v:fill color2="#ffffe1"/><v:shadow on="t" color="black" obscured="t"/>'
        '<v:path o:connecttype="none"/><v:textbox style="mso-direction-alt:auto"><div style="text-align:left"></div>'
        '</v:textbox><x:ClientData ObjectType="Note"><x:MoveWithCells/><x:SizeWithCells/>'
        f"<x:Anchor>{anchor}</x:Anchor><x:AutoFill>False</x:AutoFill><x:Row>{cell.top - 1}</x:Row>"
        f"<x:Column>{cell.left}</x:Column></x:ClientData></v:shape>"
    )
