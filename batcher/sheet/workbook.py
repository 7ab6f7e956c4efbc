"""XLSX and XLSM: values through calamine, doubts through the XML of the tab."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from io import BytesIO
from itertools import chain, islice
from pathlib import Path
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace
from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, SheetTypeEnum, SheetVisibleEnum

from batcher.errors import InputError, Problem
from batcher.model import Row
from batcher.sheet.address import letters
from batcher.sheet.archive import Archive, Damaged, listed_archive, unreadable
from batcher.sheet.cell_text import EXACT_DIGITS, flaw_of, text_of, texts_of
from batcher.sheet.clean import shown
from batcher.sheet.header import HEAD_ROWS, check_header, guard_nameless
from batcher.sheet.package import Tab, padded_styles, tabs, totals_rows
from batcher.sheet.source import NO_FLAWS, Sheet, SheetSpec, normalise
from batcher.sheet.xlsx_xml import Mark, Survey, survey

MAX_FILE_BYTES = 400_000_000
_NO_MARKS: Mapping[int, Mark] = {}
_NOTHING_KNOWN = Survey()
_LISTED = 10
_AT_ONCE = 256
"""Rows that become texts together: more would leave the processor's cache."""
T = TypeVar("T")


class Grid(Struct, frozen=True, kw_only=True):
    """
    The values of one tab, from row 1 and column A.

    Attributes:
        name: The tab.

        width: The number of columns down to the last that holds a value.

        height: The number of rows down to the last that holds a value.

        values: Makes a new pass over all rows from row 1.

        survey: What else is known about its cells.
    """

    name: str
    width: int
    height: int
    values: Callable[[], Iterator[Sequence[object]]]
    survey: Survey = _NOTHING_KNOWN

    @property
    def full_width(self) -> int:
        """The number of columns, those counted in which the reader sees nothing but the XML does."""
        marked = (column for marks in self.survey.marks.values() for column, mark in marks.items() if mark.text)
        return max(self.width, max(marked, default=-1) + 1)

    def rows(self) -> Iterator[Row]:
        """Every row from row 1 to the last with a value or formula, as texts with their flaws; all are equally long."""
        return chain.from_iterable(self._some_rows())

    def _some_rows(self) -> Iterator[Iterable[Row]]:
        """The same, those that become texts together in one."""
        marks, width = self.survey.marks, self.full_width
        values = self.values()
        done = 0
        while some := list(islice(values, _AT_ONCE)):
            yield _rows(some, marks, first=done + 1, width=width)
            done += len(some)
        beyond = range(done + 1, self.survey.last_row + 1)
        yield (_row(number, (), marks.get(number, _NO_MARKS), width) for number in beyond)


def _rows(
    lines: Sequence[Sequence[object]], marks: Mapping[int, Mapping[int, Mark]], *, first: int, width: int
) -> Iterable[Row]:
    """Consecutive rows: column by column, which is quicker, unless something is special about a cell of theirs."""
    numbers = range(first, first + len(lines))
    columns = _columns(lines, width) if marks.keys().isdisjoint(numbers) else []
    if columns:
        return (Row(number=number, cells=cells, flaws=NO_FLAWS) for number, cells in zip(numbers, zip(*columns)))
    return (_row(number, values, marks.get(number, _NO_MARKS), width) for number, values in zip(numbers, lines))


def _columns(lines: Sequence[Sequence[object]], width: int) -> list[Sequence[str]]:
    """The texts of each column; none when a number may have too many digits, or the lines differ in length."""
    try:
        upright = list(zip(*lines, strict=True))
    except ValueError:
        return []
    columns: list[Sequence[str]] = []
    for values in upright:
        texts = texts_of(values)
        if texts is not values and max(map(len, texts)) > EXACT_DIGITS and any(map(flaw_of, values)):
            return []
        columns.append(texts)
    return columns + [("",) * len(lines)] * (width - len(columns))


def _row(number: int, values: Sequence[object], marks: Mapping[int, Mark], width: int) -> Row:
    """The texts of one row, and what is wrong with them; cells that the line lacks are empty."""
    cells: list[str] = []
    flaws: dict[int, str] = {}
    for value in values:
        if type(value) is str:
            cells.append(value)
            continue
        text = text_of(value)
        if len(text) > EXACT_DIGITS and (flaw := flaw_of(value)):  # a shorter one cannot have too many digits
            flaws[len(cells)] = flaw
        cells.append(text)
    for column, mark in marks.items():
        if column >= len(cells):
            if not mark.text:
                continue
            cells += [""] * (column + 1 - len(cells))
        if mark.text is not None:
            cells[column] = mark.text
        if mark.flaw:
            flaws[column] = mark.flaw
        if mark.pad and cells[column].isdecimal():
            cells[column] = cells[column].zfill(mark.pad)
    cells += [""] * (width - len(cells))
    return Row(number=number, cells=tuple(cells), flaws=flaws or NO_FLAWS)


def open_workbook(spec: SheetSpec, needs: Collection[str]) -> Sheet:
    """
    Open a tab of a workbook in XML.

    Raises:
        InputError: The file is damaged or a bomb, the tab cannot be told, its header is not sound, or there is no row.
    """
    data = read_whole(spec.path)
    try:
        archive = listed_archive(data)
        padded = padded_styles(archive)
        tab, found, others = _choose(archive, spec, padded)
        totals = totals_rows(archive, tab, header_row=spec.header_row)
        archive.check_rest()
    except Damaged as exc:
        raise unreadable(spec.path.name, str(exc)) from exc
    grid = calamine_grid(data, tab.name, spec.path.name, found)
    if grid.height < found.last_valued:
        reason = f"the reader sees {grid.height} rows, but there are values down to row {found.last_valued}"
        raise unreadable(spec.path.name, reason)
    fingerprint = hashlib.sha256(data).hexdigest()
    notes = [*others, *(f"row {number} adds up the table" for number in totals)]
    return replace(sheet_of(grid, spec, needs, fingerprint=fingerprint, notes=notes), totals=totals)


def read_whole(path: Path) -> bytes:
    """All bytes of a workbook: what is hashed, measured and parsed is then the same."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            message = f"larger than {MAX_FILE_BYTES // 1_000_000} MB: save the sheet as .csv"
            raise InputError(Problem(where=path.name, message=message))
        return path.read_bytes()
    except OSError as exc:
        raise InputError(Problem(where=path.name, message=f"cannot be read: {exc.strerror or exc}")) from exc


def calamine_grid(data: bytes, tab: str, name: str, found: Survey) -> Grid:
    """The values of a tab as calamine reads them; it leaves out empty columns at the left, which are put back."""
    sheet: CalamineSheet = guarded(name, lambda: CalamineWorkbook.from_filelike(BytesIO(data)).get_sheet_by_name(tab))
    start, end = sheet.start, sheet.end
    if start is None or end is None:
        return Grid(name=tab, width=0, height=0, values=lambda: iter(()), survey=found)
    left: list[object] = [""] * start[1]

    def values() -> Iterator[Sequence[object]]:
        return ([*left, *row] for row in sheet.iter_rows()) if left else iter(sheet.iter_rows())

    return Grid(name=tab, width=end[1] + 1, height=end[0] + 1, values=values, survey=found)


def guarded(name: str, read: Callable[[], T]) -> T:
    """What calamine reads; every way in which it fails becomes the one refusal."""
    try:
        return read()
    except (CalamineError, OSError, ValueError, OverflowError) as exc:
        raise unreadable(name, str(exc)) from exc
    except BaseException as exc:
        if type(exc).__name__ != "PanicException":  # a Rust panic is no Exception, and has no importable name
            raise
        raise unreadable(name, "the reader gave up on it") from exc


def _choose(archive: Archive, spec: SheetSpec, padded: Mapping[int, int]) -> tuple[Tab, Survey, tuple[str, ...]]:
    """The tab to read, what its XML shows, and a note on those left out."""
    found = tabs(archive)
    if spec.tab:
        name = pick(spec, [tab.name for tab in found])
        tab = next(tab for tab in found if tab.name == name)
        return tab, _survey(archive, tab, spec, padded), (f"tab {tab.name} is hidden",) * tab.hidden
    surveys = {tab.name: _survey(archive, tab, spec, padded) for tab in found}
    filled = [tab for tab in found if surveys[tab.name].last_row]
    name = only([(tab.name, tab.hidden) for tab in filled], spec)
    tab = next(tab for tab in filled if tab.name == name)
    return tab, surveys[name], left_out([other.name for other in filled if other.name != name])


def _survey(archive: Archive, tab: Tab, spec: SheetSpec, padded: Mapping[int, int]) -> Survey:
    return survey(lambda: archive.pieces(tab.part), padded=padded, data_from=spec.header_row + 1)


def pick(spec: SheetSpec, names: Sequence[str]) -> str:
    """The tab that the job names, exactly or else without regard to case; InputError listing what there is."""
    if spec.tab in names:
        return spec.tab
    wanted = normalise(spec.tab).casefold()
    alike = [name for name in names if normalise(name).casefold() == wanted]
    if len(alike) == 1:
        return alike[0]
    near = difflib.get_close_matches(spec.tab, names, n=1)
    guess = f"; did you mean {shown(near[0])}?" if near else "."
    message = f"no tab {shown(spec.tab)}{guess} The tabs are: {', '.join(names)}"
    raise InputError(Problem(where=spec.path.name, message=message))


def only(filled: Sequence[tuple[str, bool]], spec: SheetSpec) -> str:
    """The only visible tab that holds anything; hidden ones, such as lists for drop-downs, do not compete."""
    visible = [name for name, hidden in filled if not hidden]
    candidates = visible or [name for name, _ in filled]
    if not candidates:
        raise InputError(Problem(where=spec.path.name, message="no rows: every tab is empty"))
    if len(candidates) > 1:
        message = f"several tabs hold something: write tab: with one of {', '.join(candidates)}"
        raise InputError(Problem(where=spec.path.name, message=message))
    return candidates[0]


def left_out(names: Sequence[str]) -> tuple[str, ...]:
    """A note on hidden tabs that were not read; nothing when there are none."""
    return (f"hidden tabs are not read: {', '.join(names[:_LISTED])}",) if names else ()


def listed_tabs(workbook: CalamineWorkbook) -> list[tuple[str, bool]]:
    """Name of each tab that can hold rows, and whether it is hidden, as calamine tells it."""
    return [
        (tab.name, tab.visible != SheetVisibleEnum.Visible)
        for tab in workbook.sheets_metadata
        if tab.typ == SheetTypeEnum.WorkSheet
    ]


def sheet_of(
    grid: Grid, spec: SheetSpec, needs: Collection[str], *, fingerprint: str, notes: Sequence[str] = ()
) -> Sheet:
    """The sheet made of a grid; InputError when its header is not sound or no row stands below it."""
    head = [row.cells for row in islice(grid.rows(), max(HEAD_ROWS, spec.header_row))]
    if not any(any(map(normalise, cells)) for cells in head) and not any(not row.is_blank for row in grid.rows()):
        raise InputError(Problem(where=grid.name, message="no rows: the tab is empty"))
    header = head[spec.header_row - 1] if spec.header_row <= len(head) else ("",) * grid.full_width
    check_header(header, needs, where=grid.name, number=spec.header_row, head=head)
    if all(row.is_blank for row in islice(grid.rows(), spec.header_row, None)):
        raise InputError(Problem(where=grid.name, message="no rows: there is nothing below the column names"))
    return Sheet(
        name=spec.path.name,
        header=header,
        notes=(*notes, *_notes(grid, header)),
        fingerprint=fingerprint,
        tab=grid.name,
        read=lambda: guard_nameless(islice(grid.rows(), spec.header_row, None), header, where=grid.name),
    )


def _notes(grid: Grid, header: Sequence[str]) -> Iterator[str]:
    """What a person does not see in the spreadsheet and pays for all the same."""
    hidden = len(grid.survey.hidden_rows)
    if hidden:
        yield "1 hidden row included" if hidden == 1 else f"{hidden} hidden rows included"
    columns = [column for column in grid.survey.hidden_columns if column < len(header)]
    if columns:
        names = ", ".join(normalise(header[column]) or letters(column) for column in columns[:_LISTED])
        yield f"hidden columns: {names}" + (", …" if len(columns) > _LISTED else "")
    if grid.survey.merged:
        more = ", …" if len(grid.survey.merged) > _LISTED else ""
        yield f"merged cells: {', '.join(grid.survey.merged[:_LISTED])}{more}"
