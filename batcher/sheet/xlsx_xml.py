"""
What the reader of workbooks does not tell, found in the XML of a tab: errors, empty formulas, hidden and merged cells.

It is searched with regular expressions, not parsed: 200,000 rows take a fraction of a second instead of ten.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from functools import cached_property, lru_cache
from html import unescape
from itertools import islice, pairwise
from operator import lt

from msgspec import Struct, field

from batcher.sheet.address import column_index, letters
from batcher.sheet.archive import Damaged

MAX_CELLS = 40_000_000
"""Cells in the rectangle that holds all values: the reader lays it out in memory whole."""
_MERGED_LIMIT = 200_000
_ROOT = re.compile(rb"<([\w.-]+:)?worksheet\b")
_REF = re.compile(rb"""\br=["']([A-Za-z]{1,3})(\d{1,7})["']""")
_ERROR_TYPE = re.compile(rb"""t=["']e["']""")
_NUMBER = re.compile(rb"""\br=["'](\d+)["']""")
_HIDDEN = re.compile(rb"""\bhidden=["'](?:1|true)["']""")
_STYLE = re.compile(rb"""\bs=["'](\d+)["']""")
_TYPE = re.compile(rb"""\bt=["'](\w+)["']""")


class Mark(Struct, frozen=True, kw_only=True):
    """
    Something about one cell that its value does not say.

    Attributes:
        text: What stands in the cell instead of the reader's value; None leaves that.

        flaw: Why the cell must not be used; empty when it may.

        pad: Digits to which a number is filled up with zeros.
    """

    text: str | None = None
    flaw: str = ""
    pad: int = 0


class Survey(Struct, frozen=True, kw_only=True):
    """
    What the XML of one tab shows.

    Attributes:
        last_row: Number of the last row with a value or formula; 0 for an empty tab.

        last_valued: Number of the last row with a value; formulas that were never calculated do not count.

        hidden_rows: Numbers of the hidden rows that hold cells.

        hidden_columns: The hidden columns, counted from 0.

        merged: The merged ranges: `B5:B9`.

        marks: Row number to column to what is special there.
    """

    last_row: int = 0
    last_valued: int = 0
    hidden_rows: tuple[int, ...] = ()
    hidden_columns: tuple[int, ...] = ()
    merged: tuple[str, ...] = ()
    marks: Mapping[int, Mapping[int, Mark]] = field(default_factory=dict)


class _Patterns(Struct, frozen=True, kw_only=True):
    """The expressions for one namespace prefix."""

    row: re.Pattern[bytes]
    cell: re.Pattern[bytes]
    cell_start: re.Pattern[bytes]
    named: re.Pattern[bytes]
    unusual: re.Pattern[bytes]
    valued: re.Pattern[bytes]
    error: re.Pattern[bytes]
    formula: re.Pattern[bytes]
    styled: re.Pattern[bytes]
    column: re.Pattern[bytes]
    merge: re.Pattern[bytes]
    ends: tuple[bytes, ...]
    formula_ends: tuple[bytes, ...]
    formula_start: re.Pattern[bytes]
    cells_end: bytes


@lru_cache(maxsize=8)
def _patterns(prefix: bytes) -> _Patterns:
    def compiled(pattern: bytes) -> re.Pattern[bytes]:
        return re.compile(pattern.replace(b"@", re.escape(prefix)), re.DOTALL)

    return _Patterns(
        row=compiled(rb"<@row\b([^>]*)>"),
        cell=compiled(rb"<@c\b([^>]*)>"),
        cell_start=compiled(rb"<@c[\s/>]"),
        named=compiled(rb"""<@c\s[^>]*?\br=["']([A-Za-z]+)\d"""),
        unusual=compiled(rb"""<@c(?:[/>\t\r\n]| (?!r="[A-Za-z]\d))"""),
        valued=compiled(rb"<@c\b([^>]*)(?<!/)>(?!\s*</@c>)"),
        error=compiled(rb"""<@c\b([^>]*?\bt=["']e["'][^>]*)(?<!/)>(?:(?!</@c>).)*?<@v\b[^>]*>([^<]*)</@v>"""),
        formula=compiled(
            rb"<@c\b([^>]*)(?<!/)>\s*<@f\b[^>]*(?:(?<=/)>|>([^<]*)</@f>)\s*(<@v\s*/>|<@v>\s*</@v>)?\s*</@c>"
        ),
        styled=compiled(rb"""<@c\b([^>]*?\bs=["'](?:%b)["'][^>]*)(?<!/)>"""),
        column=compiled(rb"<@col\b([^>]*)>"),
        merge=compiled(rb"""<@mergeCell\b[^>]*\bref=["']([A-Za-z]+\d+:[A-Za-z]+\d+)["']"""),
        ends=(b"</" + prefix + b"v>", b"</" + prefix + b"is>"),
        formula_ends=(b"</" + prefix + b"f>", b"<" + prefix + b"f ", b"<" + prefix + b"f/>"),
        formula_start=compiled(rb"<@f[\s/>]"),
        cells_end=b"</" + prefix + b"sheetData>",
    )


def survey(xml: bytes, *, padded: Mapping[int, int], data_from: int) -> Survey:
    """
    Look through the XML of one tab.

    Args:
        xml: The whole part, unpacked.

        padded: Styles that fill numbers up with zeros, and to how many digits.

        data_from: Number of the first row below the header; merged cells above it are of no matter.

    Raises:
        Damaged: It is not the XML of a tab, its rows are out of order, or its values lie so far apart that the
            reader would run out of memory.
    """
    xml = _as_utf8(xml)
    root = _ROOT.search(xml, 0, 65_536)
    if not root:
        raise Damaged("the part of the tab holds no cells")
    found = _patterns(root[1] or b"")
    rows = _rows(xml, found)
    last_valued = rows.number_before(_last_value(xml, found))
    last_formula = _last(xml, found.formula_ends) if found.formula_start.search(xml) else -1
    last_row = max(last_valued, rows.number_before(last_formula))
    _require_compact(xml, found, rows, last_valued)
    end = max(0, xml.rfind(found.cells_end))  # merged cells are listed behind all cells, columns before them
    merged = tuple(match[1].decode() for match in found.merge.finditer(xml, end))
    marks: dict[int, dict[int, Mark]] = {}
    for number, column, mark in _marks(xml, found, rows, padded, has_formulas=last_formula >= 0):
        marks.setdefault(number, {})[column] = mark
    for number, column, mark in _covered(merged, data_from, last_row):
        marks.setdefault(number, {}).setdefault(column, mark)
    return Survey(
        last_row=last_row,
        last_valued=last_valued,
        hidden_rows=tuple(number for number in rows.hidden if data_from <= number <= last_row),
        hidden_columns=tuple(_hidden_columns(xml, found)),
        merged=merged,
        marks=marks,
    )


def _as_utf8(xml: bytes) -> bytes:
    """The XML in the encoding that the expressions expect."""
    if xml.startswith((b"\xff\xfe", b"\xfe\xff")):
        xml = xml.decode("utf-16", errors="replace").encode()
    if b"<!DOCTYPE" in xml[:65_536]:
        raise Damaged("its XML declares a document type, which workbooks never do")
    return xml


class _Rows(Struct, frozen=True, kw_only=True):
    """The rows in the XML, what numbers they have, and which are hidden."""

    xml: bytes
    tag: re.Pattern[bytes]
    numbers: list[int]
    hidden: list[int]

    @cached_property
    def starts(self) -> list[int]:
        """Where each begins; asked for only where a cell does not name its place."""
        return [match.start() for match in self.tag.finditer(self.xml)]

    def number_before(self, position: int) -> int:
        """As `number_at`, quick for positions near the end."""
        if position < 0:
            return 0
        index = len(self.numbers) - len(self.tag.findall(self.xml, position)) - 1
        return self.numbers[index] if index >= 0 else 0

    def number_at(self, position: int) -> int:
        """The number of the row that holds a position; 0 before the first."""
        index = bisect_right(self.starts, position) - 1
        return self.numbers[index] if index >= 0 else 0

    def start_at(self, position: int) -> int:
        """Where the row that holds a position begins."""
        return self.starts[max(0, bisect_right(self.starts, position) - 1)]


def _rows(xml: bytes, found: _Patterns) -> _Rows:
    """All rows; Damaged when their numbers do not rise, because the reader relies on it."""
    attributes = found.row.findall(xml)
    together = b" ".join(attributes)
    usual = _NUMBER.findall(together)
    numbers: list[int] = list(map(int, usual)) if len(usual) == len(attributes) else []
    if not numbers:
        for each in attributes:
            given = _NUMBER.search(each)
            numbers.append(int(given[1]) if given else (numbers[-1] if numbers else 0) + 1)
    if not all(map(lt, numbers, islice(numbers, 1, None))):
        raise Damaged("its rows are out of order")
    hidden = [
        number
        for number, each in (zip(numbers, attributes, strict=True) if b"hidden" in together else ())
        if _HIDDEN.search(each) and not each.endswith(b"/")
    ]
    return _Rows(xml=xml, tag=found.row, numbers=numbers, hidden=hidden)


def _last_value(xml: bytes, found: _Patterns) -> int:
    """Where the last value ends; `<v></v>`, as some writers leave it for a formula, is none."""
    value, text = found.ends
    at = xml.rfind(value)
    while at >= 0 and xml[at - 1 : at] == b">":
        at = xml.rfind(value, 0, at)
    return max(at, xml.rfind(text))


def _last(xml: bytes, ends: tuple[bytes, ...]) -> int:
    return max(xml.rfind(end) for end in ends)


def _require_compact(xml: bytes, found: _Patterns, rows: _Rows, last_row: int) -> None:
    """Damaged when the rectangle of all values is too large to lay out: one stray cell in the corner is enough."""
    widest = 16_384
    for narrower in (_widest_named, _widest_valued):
        if last_row * widest <= MAX_CELLS:
            return
        widest = narrower(xml, found, rows)
    if last_row * widest > MAX_CELLS:
        raise Damaged(f"its cells reach to {letters(widest - 1)}{last_row}: delete the stray cells, or save it as .csv")


def _widest_named(xml: bytes, found: _Patterns, rows: _Rows) -> int:  # noqa: ARG001 - the same shape as its slower twin
    """The number of columns that cells name, empty ones included: quick, and quicker where none is beyond column Z."""
    if not found.unusual.search(xml):
        return 26
    named = found.named.findall(xml)
    widest = max((column_index(name.decode()) + 1 for name in set(named)), default=1)
    return widest if len(named) == len(found.cell_start.findall(xml)) else 16_384


def _widest_valued(xml: bytes, found: _Patterns, rows: _Rows) -> int:
    """The number of columns that hold something; a cell that does not name its place is counted from the left."""
    refs = [_REF.search(attributes) for attributes in found.valued.findall(xml)]
    columns = {ref[1] for ref in refs if ref}
    widest = max((column_index(name.decode()) + 1 for name in columns), default=1)
    if None in refs:
        spans = pairwise([*rows.starts, len(xml)])
        widest = max(widest, *(len(found.cell_start.findall(xml, start, end)) for start, end in spans))
    return widest


def _marks(
    xml: bytes, found: _Patterns, rows: _Rows, padded: Mapping[int, int], *, has_formulas: bool
) -> Iterator[tuple[int, int, Mark]]:
    """What is special about single cells."""
    for match in found.error.finditer(xml) if _ERROR_TYPE.search(xml) else ():
        text = unescape(match[2].decode(errors="replace"))
        yield *_place(xml, match, found, rows), Mark(text=text, flaw=f"shows {text}: mend the formula")
    for match in found.formula.finditer(xml) if has_formulas else ():
        kind = _TYPE.search(match[1])
        if kind and (kind[1] == b"e" or (kind[1] == b"str" and match[3])):
            continue
        formula = "=" + unescape((match[2] or b"").decode(errors="replace"))
        flaw = "a formula without a value: open the file in Excel and save it, or paste the values"
        yield *_place(xml, match, found, rows), Mark(text=formula, flaw=flaw)
    if padded:
        styled = re.compile(found.styled.pattern % b"|".join(str(style).encode() for style in padded), re.DOTALL)
        for match in styled.finditer(xml):
            kind, style = _TYPE.search(match[1]), _STYLE.search(match[1])
            if style and (kind is None or kind[1] == b"n"):
                yield *_place(xml, match, found, rows), Mark(pad=padded[int(style[1])])


def _place(xml: bytes, match: re.Match[bytes], found: _Patterns, rows: _Rows) -> tuple[int, int]:
    """Row number and column of a cell, counted where it does not name its place."""
    ref = _REF.search(match[1])
    if ref:
        return int(ref[2]), column_index(ref[1].decode())
    column = -1
    for cell in found.cell.finditer(xml, rows.start_at(match.start()), match.start() + 2):
        named = _REF.search(cell[1])
        column = column_index(named[1].decode()) if named else column + 1
    return rows.number_at(match.start()), column + 1


def _hidden_columns(xml: bytes, found: _Patterns) -> Iterator[int]:
    """The hidden columns, those after the last letter that anybody uses left out."""
    begin = found.row.search(xml)
    for match in found.column.finditer(xml, 0, begin.start() if begin else len(xml)):
        first, last = (re.search(rb"""\b%b=["'](\d+)["']""" % name, match[1]) for name in (b"min", b"max"))
        if first and last and _HIDDEN.search(match[1]):
            yield from range(int(first[1]) - 1, min(int(last[1]), 16_384))


def _covered(merged: tuple[str, ...], data_from: int, last_row: int) -> Iterator[tuple[int, int, Mark]]:
    """The cells that a merged one covers, below the header: they look filled and are empty."""
    left = _MERGED_LIMIT
    for text in merged:
        (first, top), (last, bottom) = map(_corner, text.split(":"))
        mark = Mark(flaw=f"merged into {text}, of which only the first cell holds the text: split the cells")
        for number in range(max(top, data_from), min(bottom, last_row) + 1):
            for column in range(first, min(last, 16_383) + 1):
                if (number, column) == (top, first):
                    continue
                left -= 1
                if left < 0:
                    return
                yield number, column, mark


def _corner(ref: str) -> tuple[int, int]:
    """Column and row number of `B5`."""
    name = ref.rstrip("0123456789")
    return column_index(name), int(ref[len(name) :])
