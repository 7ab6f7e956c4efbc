"""CSV and its relatives: the csv module, strict, with every complaint placed."""

from __future__ import annotations

import csv
import re
from collections.abc import Collection, Iterator, Sequence
from itertools import islice

from msgspec import Struct

from batcher.errors import InputError, Problem
from batcher.model import Row
from batcher.sheet.address import letters
from batcher.sheet.clean import shown
from batcher.sheet.encoding import TextFile, identity, look_through
from batcher.sheet.header import HEAD_ROWS, check_header, guard_nameless, missing
from batcher.sheet.source import NO_FLAWS, Sheet, SheetSpec, normalise

DELIMITERS = ",;\t|"
CELL_LIMIT = 1 << 24
"""Characters in one cell. Far above what any API takes; it bounds the memory that an unclosed quote can eat."""
_LISTED = 20
_SEP = re.compile(r'sep=([^\r\n"])(?:\r\n|\r|\n)?\Z', re.IGNORECASE)
_NAMES = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|"}


class Layout(Struct, frozen=True, kw_only=True):
    """
    How a text file falls into cells.

    Attributes:
        delimiter: What stands between two cells.

        header_row: Number of the record with the column names, the line `sep=;` counted.

        head: The first records, as far as they could be read.

        complaint: What was wrong with the record after them; None when nothing was.
    """

    delimiter: str
    header_row: int
    head: Sequence[Sequence[str]]
    complaint: InputError | None = None

    @property
    def header(self) -> Sequence[str]:
        """The record with the column names; empty when the file has no such record."""
        return self.head[self.header_row - 1] if self.header_row <= len(self.head) else ()

    @property
    def width(self) -> int:
        """The number of columns when all records looked at agree on it, otherwise 0."""
        below = {len(cells) for cells in self.head[self.header_row - 1 :] if cells}
        return below.pop() if len(below) == 1 and not self.complaint else 0


def open_delimited(spec: SheetSpec, needs: Collection[str]) -> Sheet:
    """
    Open a text file: encoding, delimiter and header are settled, its rows not yet checked.

    Raises:
        InputError: One of them cannot be settled, or there is no row.
    """
    text = look_through(spec.path, spec.encoding)
    name = spec.path.name
    if text.holds_nul:
        raise _nul_refusal(text, spec)
    layout = _layout(text, spec, needs)
    if layout.complaint and layout.header_row > len(layout.head):
        raise layout.complaint
    if not any(any(map(normalise, cells)) for cells in layout.head):
        raise _no_rows(name)
    check_header(layout.header, needs, where=name, number=layout.header_row, head=layout.head)
    header = tuple(layout.header)
    if not any(any(map(str.strip, cells)) for _, cells in _below(text, layout)):
        raise _no_rows(name)
    usual = "\t" if spec.path.suffix.lower() in (".tsv", ".tab") else ","
    said = "" if layout.delimiter == usual else f"delimiter {layout.delimiter if layout.delimiter != chr(9) else 'tab'}"
    return Sheet(
        name=name,
        header=header,
        notes=tuple(note for note in (text.note, said) if note),
        fingerprint=text.fingerprint,
        read=lambda: guard_nameless(_rows(text, layout, header, needs), header, where=name),
    )


def _rows(text: TextFile, layout: Layout, header: tuple[str, ...], needs: Collection[str]) -> Iterator[Row]:
    """Every row that fits the header; those that do not are listed in one InputError at the end."""
    width = len(header)
    may_lack = set(map(normalise, header)) - set(map(normalise, needs)) if needs else set()
    misfits: list[Problem] = []
    count = 0
    for number, cells in _below(text, layout):
        if len(cells) != width:
            cells, complaint = _fitted(cells, header, may_lack)
            if complaint:
                count += 1
                if count <= _LISTED:
                    misfits.append(Problem(where=f"{text.path.name} row {number}", message=complaint))
                continue
        yield Row(number=number, cells=tuple(cells), flaws=NO_FLAWS)
    if count > _LISTED:
        misfits.append(Problem(where=text.path.name, message=f"… and {count - _LISTED} more rows like these"))
    if misfits:
        raise InputError(*misfits)


def _fitted(cells: list[str], header: Sequence[str], may_lack: Collection[str]) -> tuple[list[str], str]:
    """
    The cells brought to the header's width where nothing is lost by it; otherwise what is wrong with them.

    Excel ends a line after its last filled cell, so what stands at the right and is not asked for may be missing.
    """
    width = len(header)
    if not cells:
        return [""] * width, ""
    extra = [cell for cell in cells[width:] if cell.strip()]
    if extra:
        return cells, (
            f"{_counted(len(cells))}, but the header has {width} columns; too much: {shown(extra[0])} "
            "(a text that holds the delimiter must stand in quotation marks)"
        )
    lacking = [name for name in header[len(cells) :] if normalise(name) and normalise(name) not in may_lack]
    if lacking:
        return cells, f"{_counted(len(cells))}, but the header has {width} columns: nothing for {shown(lacking[0])}"
    return (cells + [""] * width)[:width], ""


def _counted(cells: int) -> str:
    return "1 cell" if cells == 1 else f"{cells} cells"


def _below(text: TextFile, layout: Layout) -> Iterator[tuple[int, list[str]]]:
    """The records below the header, with their numbers."""
    return _records(text, layout.delimiter, after=layout.header_row)


def _records(text: TextFile, delimiter: str, *, after: int = 0) -> Iterator[tuple[int, list[str]]]:
    """
    The records after record `after`, with their numbers.

    Raises:
        InputError: A record cannot be read; it names the record, which is where an unclosed quote was opened.
    """
    csv.field_size_limit(CELL_LIMIT)
    number = 0
    with text.open() as file:
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        try:
            for _ in islice(reader, after):
                number += 1
            for number, cells in enumerate(reader, after + 1):
                yield number, cells
        except csv.Error as exc:
            raise _broken(text, delimiter, number + 1, str(exc)) from exc
        except UnicodeDecodeError as exc:
            raise text.changed() from exc
        except OSError as exc:
            raise InputError(Problem(where=text.path.name, message=f"cannot be read: {exc.strerror or exc}")) from exc
        if identity(file) != text.identity:
            raise text.changed()


def _broken(text: TextFile, delimiter: str, number: int, reason: str) -> InputError:
    """What the csv module complains about, in words for the person who has to mend it."""
    if "unexpected end" in reason:
        message = 'a quotation mark (") is opened in this row and never closed'
    elif "field larger" in reason:
        message = f'a cell of more than {CELL_LIMIT:,} characters: probably a quotation mark (") that is never closed'
    elif "expected after" in reason:
        message = 'text after a closing quotation mark ("): a quotation mark inside a cell is written twice ("")'
    else:
        message = reason
    line = _line_of(text, delimiter, number)
    place = f"{text.path.name} row {number}" + (f" (line {line})" if line != number else "")
    return InputError(Problem(where=place, message=message))


def _line_of(text: TextFile, delimiter: str, number: int) -> int:
    """The line of the file on which a record begins: more than its number once cells hold line breaks."""
    with text.open() as file:
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        for _ in islice(reader, number - 1):
            pass
        return reader.line_num + 1


def _layout(text: TextFile, spec: SheetSpec, needs: Collection[str]) -> Layout:
    """The delimiter under which the file makes sense, and the first records under it."""
    declared, after = _declared(text), spec.header_row
    if declared:
        after = max(2, after)
    fixed = _named(spec) or declared
    layouts = [_head(text, delimiter, after) for delimiter in (fixed or DELIMITERS)]
    if len(layouts) == 1:
        return layouts[0]
    return _with_needs(layouts, needs, spec) if needs else _widest(layouts, spec)


def _declared(text: TextFile) -> str:
    """The delimiter in a first line `sep=;`, which Excel honours; empty when there is none."""
    with text.open() as file:
        match = _SEP.match(file.readline(16))
    return match[1] if match else ""


def _named(spec: SheetSpec) -> str:
    """The delimiter that the job names; empty when it names none."""
    delimiter = _NAMES.get(spec.delimiter.lower(), spec.delimiter)
    if len(delimiter) > 1 or delimiter in ('"', "\r", "\n", "\0"):
        message = f"delimiter: {shown(spec.delimiter)} is not one character: write one of , ; | or tab"
        raise InputError(Problem(where=spec.path.name, message=message))
    return delimiter


def _head(text: TextFile, delimiter: str, header_row: int) -> Layout:
    """The first records under one delimiter, as far as they can be read."""
    head: list[list[str]] = []
    complaint = None
    try:
        for _, cells in islice(_records(text, delimiter), max(HEAD_ROWS, header_row + 1)):
            head.append(cells)
    except InputError as exc:
        complaint = exc
    return Layout(delimiter=delimiter, header_row=header_row, head=head, complaint=complaint)


def _with_needs(layouts: Sequence[Layout], needs: Collection[str], spec: SheetSpec) -> Layout:
    """The layout whose header holds the needed columns; failing that, the one that comes nearest, to complain about."""
    holders = [layout for layout in layouts if not missing(layout.header, needs)]
    if len({tuple(layout.header) for layout in holders}) > 1:
        choices = " or ".join("tab" if layout.delimiter == "\t" else layout.delimiter for layout in holders)
        message = f"the header can be read with the delimiter {choices}: write delimiter: under sheet:"
        raise InputError(Problem(where=spec.path.name, message=message))
    if holders:
        return _widest(holders, spec)
    anywhere = [layout for layout in layouts if any(not missing(cells, needs) for cells in layout.head)]
    lacking = [len(missing(layout.header, needs)) for layout in layouts]
    nearest = [layout for layout, count in zip(layouts, lacking, strict=True) if count == min(lacking)]
    return _widest(anywhere or nearest, spec)


def _widest(layouts: Sequence[Layout], spec: SheetSpec) -> Layout:
    """The layout with most columns among those whose records agree; the usual delimiter when none stands out."""
    usual = "\t" if spec.path.suffix.lower() in (".tsv", ".tab") else ","
    return max(layouts, key=lambda layout: (layout.width if layout.width > 1 else 0, layout.delimiter == usual))


def _no_rows(name: str) -> InputError:
    return InputError(Problem(where=name, message="no rows: there is nothing below the column names"))


def _nul_refusal(text: TextFile, spec: SheetSpec) -> InputError:
    """Where a NUL character stands, or the likelier reason for there being many."""
    with text.open() as file:
        start = file.read(200)
    for half, codec in ((start[1::2], "utf-16-le"), (start[0::2], "utf-16-be")):
        if len(half) > 3 and half.count("\0") > 0.8 * len(half):
            message = f"looks like UTF-16 without a byte order mark: write encoding: {codec} under sheet:"
            return InputError(Problem(where=spec.path.name, message=message))
    advice = "holds a NUL character, which no text has: the file is damaged or not a text file"
    for number, cells in _records(text, _named(spec) or _declared(text) or ","):
        for index, cell in enumerate(cells):
            if "\0" in cell:
                return InputError(Problem(where=f"{spec.path.name}!{letters(index)}{number}", message=advice))
    return InputError(Problem(where=spec.path.name, message=advice))
