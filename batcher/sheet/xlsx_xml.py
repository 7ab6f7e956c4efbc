"""
What the reader of workbooks does not tell, found in the XML of a tab: errors, empty formulas, hidden and merged cells.

It is searched with regular expressions, not parsed: 200,000 rows take a fraction of a second instead of ten. It is
searched in blocks, while it is unpacked; each holds whole rows, so that nothing that belongs together is cut in two.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from html import unescape
from itertools import chain, pairwise
from operator import lt

from msgspec import Struct, field

from batcher.sheet.address import column_index, letters
from batcher.sheet.archive import Damaged
from batcher.sheet.blocks import in_blocks

MAX_CELLS = 40_000_000
"""Cells in the rectangle that holds all values: the reader lays it out in memory whole."""
_MERGED_LIMIT = 200_000
_REF = re.compile(rb"""\br=["']([A-Za-z]{1,3})(\d{1,7})["']""")
_ERROR_TYPE = re.compile(rb"""=["']e["']""")
_PLAIN_ERROR_TYPE = re.compile(rb'="e"')
"""The same where there is no other kind of quotation mark: quicker."""
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
        unusual=compiled(rb"""<@c(?! r="[A-Za-z]\d)[\s/>]"""),
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


def survey(part: Callable[[], Iterable[bytes]], *, padded: Mapping[int, int], data_from: int) -> Survey:
    """
    Look through the XML of one tab.

    Args:
        part: Unpacks it anew, piece by piece.

        padded: Styles that fill numbers up with zeros, and to how many digits.

        data_from: Number of the first row below the header; merged cells above it are of no matter.

    Raises:
        Damaged: It is not the XML of a tab, its rows are out of order, or its values lie so far apart that the
            reader would run out of memory.
    """
    pieces = iter(part())
    try:
        prefix, blocks = in_blocks(pieces)
        found = _patterns(prefix)
        seen = _seen(blocks, found, padded)
    except Damaged:
        deque(pieces, maxlen=0)  # what is wrong with the archive itself is said first
        raise
    _require_compact(part, found, seen)
    last_row = max(seen.last_valued, seen.last_formula)
    for number, column, mark in _covered(seen.merged, data_from, last_row):
        seen.marks.setdefault(number, {}).setdefault(column, mark)
    return Survey(
        last_row=last_row,
        last_valued=seen.last_valued,
        hidden_rows=tuple(number for number in seen.hidden_rows if data_from <= number <= last_row),
        hidden_columns=seen.hidden_columns,
        merged=seen.merged,
        marks=seen.marks,
    )


class _Seen(Struct, kw_only=True):
    """What was seen in the blocks so far; `widest` is the number of columns that cells name, empty ones included."""

    last_valued: int = 0
    last_formula: int = 0
    widest: int = 0
    hidden_rows: list[int] = field(default_factory=list)
    hidden_columns: tuple[int, ...] = ()
    merged: tuple[str, ...] = ()
    marks: dict[int, dict[int, Mark]] = field(default_factory=dict)


def _seen(blocks: Iterable[bytes], found: _Patterns, padded: Mapping[int, int]) -> _Seen:
    """All blocks looked through, each once for everything."""
    seen = _Seen()
    styled = _styled(found, padded)
    before, block = -1, b""
    for index, block in enumerate(blocks):
        rows = _rows(block, found, before)
        before = rows.last
        if not index:
            seen.hidden_columns = tuple(_hidden_columns(block, found))
        seen.hidden_rows += rows.hidden
        seen.last_valued = rows.number_before(_last_value(block, found)) or seen.last_valued
        # A single letter is sought ten times as quickly as an expression, and most sheets have none of it.
        has_formulas = b"f" in block and found.formula_start.search(block) is not None
        if has_formulas:
            seen.last_formula = rows.number_before(_last(block, found.formula_ends)) or seen.last_formula
        seen.widest = max(seen.widest, _widest_named(block, found))
        for number, column, mark in _marks(rows, found, styled, padded, has_formulas=has_formulas):
            seen.marks.setdefault(number, {})[column] = mark
    end = max(0, block.rfind(found.cells_end))  # merged cells are listed behind all cells, thus in the last block
    seen.merged = tuple(match[1].decode() for match in found.merge.finditer(block, end))
    return seen


class _Rows(Struct, frozen=True, kw_only=True, dict=True):
    """The rows in a block, what numbers they have, which are hidden, and the number of the last before them, or -1."""

    xml: bytes
    tag: re.Pattern[bytes]
    numbers: Sequence[int]
    hidden: list[int]
    before: int

    @property
    def last(self) -> int:
        """The number of the last row up to the end of the block; -1 without any."""
        return self.numbers[-1] if self.numbers else self.before

    @cached_property
    def starts(self) -> list[int]:
        """Where each begins; asked for only where a cell does not name its place."""
        return [match.start() for match in self.tag.finditer(self.xml)]

    def number_before(self, position: int) -> int:
        """As `number_at`, quick for positions near the end; 0 for -1, which stands for none."""
        if position < 0:
            return 0
        index = len(self.numbers) - len(self.tag.findall(self.xml, position)) - 1
        return self.numbers[index] if index >= 0 else max(0, self.before)

    def number_at(self, position: int) -> int:
        """The number of the row that holds a position; 0 before the first of all."""
        index = bisect_right(self.starts, position) - 1
        return self.numbers[index] if index >= 0 else max(0, self.before)

    def start_at(self, position: int) -> int:
        """Where the row that holds a position begins."""
        return self.starts[max(0, bisect_right(self.starts, position) - 1)]


def _rows(xml: bytes, found: _Patterns, before: int) -> _Rows:
    """
    All rows of a block; Damaged when their numbers do not rise, because the reader relies on it.

    Args:
        before: The number of the last row before the block; -1 without any.
    """
    attributes = found.row.findall(xml)
    together = b" ".join(attributes)
    first = max(0, before) + 1
    following = range(first, first + len(attributes))
    if together == b" ".join([b' r="%d"'] * len(attributes)) % tuple(following):  # as programs write them
        return _Rows(xml=xml, tag=found.row, numbers=following, hidden=[], before=before)
    usual = _NUMBER.findall(together)
    numbers: list[int] = list(map(int, usual)) if len(usual) == len(attributes) else []
    if not numbers:
        for each in attributes:
            given = _NUMBER.search(each)
            numbers.append(int(given[1]) if given else numbers[-1] + 1 if numbers else first)
    if not all(map(lt, chain((before,), numbers), numbers)):
        raise Damaged("its rows are out of order")
    hidden = [
        number
        for number, each in (zip(numbers, attributes, strict=True) if b"hidden" in together else ())
        if _HIDDEN.search(each) and not each.endswith(b"/")
    ]
    return _Rows(xml=xml, tag=found.row, numbers=numbers, hidden=hidden, before=before)


def _last_value(xml: bytes, found: _Patterns) -> int:
    """Where the last value ends; `<v></v>`, as some writers leave it for a formula, is none."""
    value, text = found.ends
    at = xml.rfind(value)
    while at >= 0 and xml[at - 1 : at] == b">":
        at = xml.rfind(value, 0, at)
    return max(at, xml.rfind(text))


def _last(xml: bytes, ends: tuple[bytes, ...]) -> int:
    return max(xml.rfind(end) for end in ends)


def _require_compact(part: Callable[[], Iterable[bytes]], found: _Patterns, seen: _Seen) -> None:
    """Damaged when the rectangle of all values is too large to lay out: one stray cell in the corner is enough."""
    last_row = seen.last_valued
    if last_row * min(seen.widest, 16_384) <= MAX_CELLS:
        return
    _, blocks = in_blocks(iter(part()))
    widest = max(_widest_valued(block, found) for block in blocks)
    if last_row * widest > MAX_CELLS:
        raise Damaged(f"its cells reach to {letters(widest - 1)}{last_row}: delete the stray cells, or save it as .csv")


def _widest_named(xml: bytes, found: _Patterns) -> int:
    """The number of columns that cells name, empty ones included: quick, and quicker where none is beyond column Z."""
    if not found.unusual.search(xml):
        return 26
    named = found.named.findall(xml)
    widest = max((column_index(name.decode()) + 1 for name in set(named)), default=1)
    return widest if len(named) == len(found.cell_start.findall(xml)) else 16_384


def _widest_valued(xml: bytes, found: _Patterns) -> int:
    """The number of columns that hold something; a cell that does not name its place is counted from the left."""
    refs = [_REF.search(attributes) for attributes in found.valued.findall(xml)]
    columns = {ref[1] for ref in refs if ref}
    widest = max((column_index(name.decode()) + 1 for name in columns), default=1)
    if None in refs:
        spans = pairwise([*(match.start() for match in found.row.finditer(xml)), len(xml)])
        widest = max([widest, *(len(found.cell_start.findall(xml, start, end)) for start, end in spans)])
    return widest


def _styled(found: _Patterns, padded: Mapping[int, int]) -> re.Pattern[bytes] | None:
    """What finds cells in one of these styles; None without any."""
    if not padded:
        return None
    return re.compile(found.styled.pattern % b"|".join(str(style).encode() for style in padded), re.DOTALL)


def _marks(
    rows: _Rows, found: _Patterns, styled: re.Pattern[bytes] | None, padded: Mapping[int, int], *, has_formulas: bool
) -> Iterator[tuple[int, int, Mark]]:
    """What is special about single cells of a block."""
    xml = rows.xml
    error_type = _ERROR_TYPE if b"'" in xml else _PLAIN_ERROR_TYPE
    for match in found.error.finditer(xml) if error_type.search(xml) else ():
        text = unescape(match[2].decode(errors="replace"))
        yield *_place(match, found, rows), Mark(text=text, flaw=f"shows {text}: mend the formula")
    for match in found.formula.finditer(xml) if has_formulas else ():
        kind = _TYPE.search(match[1])
        if kind and (kind[1] == b"e" or (kind[1] == b"str" and match[3])):
            continue
        formula = "=" + unescape((match[2] or b"").decode(errors="replace"))
        flaw = "a formula without a value: open the file in Excel and save it, or paste the values"
        yield *_place(match, found, rows), Mark(text=formula, flaw=flaw)
    for match in styled.finditer(xml) if styled else ():
        kind, style = _TYPE.search(match[1]), _STYLE.search(match[1])
        if style and (kind is None or kind[1] == b"n"):
            yield *_place(match, found, rows), Mark(pad=padded[int(style[1])])


def _place(match: re.Match[bytes], found: _Patterns, rows: _Rows) -> tuple[int, int]:
    """Row number and column of a cell, counted where it does not name its place."""
    ref = _REF.search(match[1])
    if ref:
        return int(ref[2]), column_index(ref[1].decode())
    column = -1
    for cell in found.cell.finditer(rows.xml, rows.start_at(match.start()), match.start() + 2):
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
