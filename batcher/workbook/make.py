"""A workbook for people to fill in, made with openpyxl: columns with notes and lists, example rows, instructions."""

from __future__ import annotations

import math
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from batcher.sheet import letters
from batcher.sheet.write_xlsx import MAX_ROWS, MAX_TEXT, fit
from batcher.workbook.form import ROWS_TAB, Form, FormColumn, Line, LineKind

LISTS_TAB = "Lists"
INSTRUCTIONS_TAB = "Instructions"
_HEADER_FILL, _OPTIONAL_FILL, _HEAD_FILL = "1F4E78", "5B7F9F", "D9E2EC"
_EXAMPLE_GREY = "808080"
_FONT = "Calibri"
_AUTHOR = "About this column"
"""Not the author of the notes that an update in place makes: those go with their reasons, these stay."""
_WIDTHS = (24, 10, 84, 44)
"""Of the instructions' columns, in characters."""
MAX_NUMBER = 10**12
_ERROR_LENGTH, _LIST_ROWS = 220, MAX_ROWS - 1


def make_workbook(form: Form, path: Path) -> None:
    """
    Write a new workbook with the tabs Rows, Instructions and, hidden, Lists.

    Raises:
        OSError: The file cannot be written.
    """
    from openpyxl import Workbook

    book = Workbook()
    book.properties.creator = "batcher"
    rows: Any = book.active
    rows.title = ROWS_TAB
    _fill_rows(rows, form)
    _fill_instructions(book.create_sheet(INSTRUCTIONS_TAB), form.instructions)
    if any(column.choices for column in form.columns):
        _fill_lists(book.create_sheet(LISTS_TAB), rows, form.columns)
    for index, column in enumerate(form.columns):
        if not column.choices:
            _limit(rows, column, letters(index))
    book.save(path)


def _fill_rows(tab: Any, form: Form) -> None:
    for index, column in enumerate(form.columns):
        _head(tab, column, index)
    for number, texts in enumerate(form.example_rows, 2):
        for index, (text, column) in enumerate(zip(texts, form.columns, strict=True)):
            _example(tab.cell(row=number, column=index + 1), text, column)
    tab.row_dimensions[1].height = 30
    tab.freeze_panes = "B2"
    tab.sheet_view.zoomScale = 110
    tab.print_title_rows = "1:1"
    tab.page_setup.orientation = "landscape"
    _fit_to_width(tab)
    _grey_examples(tab, form)


def _head(tab: Any, column: FormColumn, index: int) -> None:
    """A column's name with its note; dark where something is needed."""
    from openpyxl.styles import Alignment, Border, Font, PatternFill, Side

    cell = tab.cell(row=1, column=index + 1)
    _put(cell, column.header)
    cell.font = Font(name=_FONT, bold=True, color="FFFFFF")
    cell.fill = PatternFill("solid", fgColor=_HEADER_FILL if column.is_required else _OPTIONAL_FILL)
    cell.alignment = Alignment(vertical="center", wrap_text=True)
    cell.border = Border(right=Side(style="thin", color="FFFFFF"))
    cell.comment = _comment(column.note)
    dimension = tab.column_dimensions[letters(index)]
    dimension.width = _width(column)
    if column.is_text:
        dimension.number_format = "@"


def _example(cell: Any, text: str, column: FormColumn) -> None:
    from openpyxl.styles import Alignment

    _put(cell, text, is_number=column.is_number)
    cell.number_format = "@" if column.is_text else "General"
    cell.alignment = Alignment(vertical="top", wrap_text=True)


def _put(cell: Any, text: str, *, is_number: bool = False) -> None:
    """A text, whatever it looks like: `=1+1` is no formula, 007 no number. Only numbers are numbers."""
    if not text:
        return
    if is_number:
        with suppress(ValueError):
            cell.value = float(text)
            return
    cell.value = fit(text)
    cell.data_type = "s"


def _comment(note: str) -> Any:
    from openpyxl.comments import Comment

    comment = Comment(note, _AUTHOR)
    comment.width = 320
    lines = sum(1 + len(line) // 48 for line in note.splitlines())
    comment.height = 24 + 17 * lines
    return comment


def _width(column: FormColumn) -> float:
    """Wide enough for the header and for what usually goes in, and never the whole screen."""
    texts = [column.header, *column.examples, *column.choices[:200]]
    longest = max(len(text) for text in texts)
    return min(max(longest + 3, 14), 60 if (column.longest or 0) > 200 else 44)


def _grey_examples(tab: Any, form: Form) -> None:
    """Example rows are grey as long as their id says that they are examples, and no longer."""
    from openpyxl.formatting.rule import FormulaRule
    from openpyxl.styles import Font

    mark = form.example_mark
    last = letters(len(form.columns) - 1)
    make: Any = FormulaRule
    rule = make(formula=[f'LEFT(TRIM($A2),{len(mark)})="{mark}"'], font=Font(italic=True, color=_EXAMPLE_GREY))
    tab.conditional_formatting.add(f"A2:{last}{MAX_ROWS}", rule)


def _fill_lists(tab: Any, rows: Any, columns: Iterable[FormColumn]) -> None:
    """Each list in a column of its own on a hidden tab, and the cells that pick from it; equal lists stand once."""
    from openpyxl.styles import Font
    from openpyxl.worksheet.datavalidation import DataValidation

    tab.sheet_state = "hidden"
    places: dict[tuple[str, ...], str] = {}
    for index, column in enumerate(columns):
        choices = tuple(column.choices)[:_LIST_ROWS]
        if not choices:
            continue
        if choices not in places:
            at = len(places)
            places[choices] = letters(at)
            _put(tab.cell(row=1, column=at + 1), column.header)
            tab.cell(row=1, column=at + 1).font = Font(name=_FONT, bold=True)
            tab.column_dimensions[letters(at)].width = 40
            for number, text in enumerate(choices, 2):
                _put(tab.cell(row=number, column=at + 1), text)
        letter = places[choices]
        rule = DataValidation(type="list", formula1=f"'{LISTS_TAB}'!${letter}$2:${letter}${len(choices) + 1}")
        message = "Pick one of the list." if column.is_closed else "This is not in the list. An id is right as well."
        _add(rows, rule, column, letters(index), message=message, stops=column.is_closed)


def _limit(tab: Any, column: FormColumn, letter: str) -> None:
    """What a cell without a list can check by itself: a repeated id, a length, a number."""
    from openpyxl.worksheet.datavalidation import DataValidation

    if column.is_unique:
        rule = DataValidation(type="custom", formula1=f"COUNTIF({letter}:{letter},{letter}2)=1")
        _add(tab, rule, column, letter, message="Another row has this already.", stops=True)
    elif column.is_number:
        _add(tab, _range(column), column, letter, message="See the note on the column for what goes in.", stops=True)
    elif column.longest and column.longest < MAX_TEXT:
        rule = DataValidation(type="textLength", operator="lessThanOrEqual", formula1=column.longest)
        _add(tab, rule, column, letter, message=f"At most {column.longest:,} characters fit.", stops=False)


def _range(column: FormColumn) -> Any:
    from openpyxl.worksheet.datavalidation import DataValidation

    least = -MAX_NUMBER if column.least is None else column.least
    most = MAX_NUMBER if column.most is None else column.most
    bounds: dict[str, Any] = {"formula1": least, "formula2": most}
    return DataValidation(type="decimal", operator="between", **bounds)


def _add(tab: Any, rule: Any, column: FormColumn, letter: str, *, message: str, stops: bool) -> None:
    rule.allow_blank = True
    rule.errorStyle = "stop" if stops else "warning"
    rule.showErrorMessage = True
    rule.errorTitle = column.header[:30]
    rule.error = message[:_ERROR_LENGTH]
    rule.add(f"{letter}2:{letter}{MAX_ROWS}")
    tab.add_data_validation(rule)


def _fill_instructions(tab: Any, lines: Iterable[Line]) -> None:
    for index, width in enumerate(_WIDTHS):
        tab.column_dimensions[letters(index)].width = width
    for number, line in enumerate(lines, 1):
        _line(tab, number, line)
    tab.sheet_view.showGridLines = False
    tab.page_setup.orientation = "landscape"
    _fit_to_width(tab)


def _line(tab: Any, number: int, line: Line) -> None:
    from openpyxl.styles import Alignment, Font, PatternFill

    fonts = {
        LineKind.TITLE: Font(name=_FONT, bold=True, size=18, color=_HEADER_FILL),
        LineKind.HEADING: Font(name=_FONT, bold=True, size=13, color=_HEADER_FILL),
        LineKind.HEAD: Font(name=_FONT, bold=True),
    }
    is_table = line.kind in (LineKind.HEAD, LineKind.CELLS)
    for index, text in enumerate(line.texts):
        cell = tab.cell(row=number, column=index + 1)
        _put(cell, text)
        cell.alignment = Alignment(vertical="top", wrap_text=is_table)
        if line.kind in fonts:
            cell.font = fonts[line.kind]
        elif is_table and index == 0:
            cell.font = Font(name=_FONT, bold=True)
        if line.kind is LineKind.HEAD:
            cell.fill = PatternFill("solid", fgColor=_HEAD_FILL)
    if line.fill:
        tab.cell(row=number, column=1).fill = PatternFill("solid", fgColor=line.fill)
    heights = {LineKind.TITLE: 30.0, LineKind.HEADING: 28.0}
    tab.row_dimensions[number].height = heights.get(line.kind) or 16.0 * _rows_needed(line)
    if line.kind is LineKind.HEADING:
        tab.cell(row=number, column=1).alignment = Alignment(vertical="bottom")


def _rows_needed(line: Line) -> int:
    if line.kind is LineKind.TEXT:
        return 1
    return max(math.ceil(len(text) / (1.1 * width)) or 1 for text, width in zip(line.texts, _WIDTHS, strict=False))


def _fit_to_width(tab: Any) -> None:
    from openpyxl.worksheet.properties import PageSetupProperties

    tab.sheet_properties.pageSetUpPr = PageSetupProperties(fitToPage=True)
    tab.page_setup.fitToHeight = 0
