"""The second tab: how to fill the workbook in, in words for a person who has never seen a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from batcher.layout import STATUS
from batcher.model import HELD, State
from batcher.starter.column import EXAMPLE_MARK
from batcher.workbook.form import ROWS_TAB, FormColumn, Line, LineKind
from batcher.workbook.update import COLOURS

_WORDS = (
    ("again", "Make this row once more, also when it is done already. Making it again is paid again."),
    ("hold", "Keep this row back until the word is gone."),
    ("sample", "Take this row when a few are made first as a sample."),
)
_COLOURS = (
    (State.DONE.value, "Ready: the links stand in the row."),
    (State.IN_PROGRESS.value, "Being made. Nothing to do."),
    (State.WAITING.value, "Not begun yet."),
    (HELD, "Kept back: by the word hold, or until its date."),
    (State.FAILED.value, 'Did not work. The reason stands in the row: correct it, then write "again".'),
    (
        State.INVALID.value,
        "Something in the row is not right yet. The reason stands in the row: correct it, nothing else.",
    ),
    (
        State.UNSURE.value,
        'It is not known whether it was made. Ask the person who looks after this; do not write "again".',
    ),
    ("skipped", "Left out on purpose, as the example rows are."),
)


def instructions(title: str, columns: Sequence[FormColumn], *, sheet: str, results: str) -> tuple[Line, ...]:
    """
    The lines of the instructions.

    Args:
        title: What is made of each row.
        columns: What there is to fill in.
        sheet: The name of the file that is filled in.
        results: That of the file with the links: the same for a workbook, which has lists, notes and colours as well.
    """
    return tuple(_lines(title, columns, sheet=sheet, results=results))


def _lines(title: str, columns: Sequence[FormColumn], *, sheet: str, results: str) -> Iterator[Line]:
    is_workbook = results == sheet
    yield Line(kind=LineKind.TITLE, texts=("How to fill in this sheet",))
    yield from _filling_in(title, is_workbook=is_workbook, results=results)
    yield _heading("The columns")
    yield Line(kind=LineKind.HEAD, texts=("Column", "Needed", "What goes in", "Example"))
    words = ("yes", "no") if is_workbook else ("needed", "may stay empty")
    yield from (_column(column, words) for column in columns)
    yield from _words(is_workbook=is_workbook, sheet=sheet, results=results)
    yield _heading("Questions")
    yield _text("Ask the person who gave you this file. Name and address:")
    yield Line(kind=LineKind.CELLS, texts=("", "", "____________________________________"))


def _filling_in(title: str, *, is_workbook: bool, results: str) -> Iterator[Line]:
    yield _text(f"Each row becomes one piece of work: {title[:1].lower()}{title[1:]}.")
    yield _heading("Filling in")
    where = f"the tab {ROWS_TAB}" if is_workbook else "the sheet"
    steps = [
        f"Fill in one row for each piece of work in {where}, under the names in the first row.",
        "Give every row an id of its own in the first column, and do not change it later.",
        f'The rows whose id begins with "{EXAMPLE_MARK}" show how it is meant. They are never made: delete or leave them.',
        "Do not rename the columns in the first row. You may add columns of your own, sort rows, and hide what you like.",
    ]
    if is_workbook:
        hint = "Dark columns are needed, lighter ones may stay empty. Point at a column's name to read what goes in."
        steps.insert(1, hint)
        where = "at the right of your columns"
    else:
        where = f"in the file {results}, at the right of the same columns"
    steps.append(f"Save and close the file when you are done. After a while the links stand {where}.")
    for number, step in enumerate(steps, 1):
        yield _text(f"{number}. {step}")


def _words(*, is_workbook: bool, sheet: str, results: str) -> Iterator[Line]:
    yield _heading(f"What you can write into {STATUS}")
    where = "at the right once the sheet has been read" if is_workbook else f"in {results}"
    yield _text(f"This column appears {where}. It is written for you, but for these words of yours:")
    yield Line(kind=LineKind.HEAD, texts=("Word", "", "What happens"))
    for word, meaning in _WORDS:
        yield Line(kind=LineKind.CELLS, texts=(word, "", meaning))
    if not is_workbook:
        yield _text(
            f"Write the word beside the row in {results}, and save that file as {sheet}, in place of the old one."
        )
    yield _text(
        "To wait for a day, add a column with the name not_before and write a date into it, such as 2027-01-31."
    )
    yield _heading("What the colours say" if is_workbook else "What the words mean")
    yield Line(kind=LineKind.HEAD, texts=("Word", "", "What it means"))
    for word, meaning in _COLOURS:
        yield Line(kind=LineKind.CELLS, texts=(word.replace("_", " "), "", meaning), fill=COLOURS.get(word, ""))


def _column(column: FormColumn, words: tuple[str, str]) -> Line:
    """
    What goes into a column.

    Args:
        words: For one that is needed, and for one that may stay empty.
    """
    said = [line.removeprefix("Required.").strip() for line in column.note.splitlines()]
    said = [line for line in said if line and line != "May be empty." and not line.startswith("For example:")]
    example = next((each for each in column.examples if each), "")
    needed = words[0] if column.is_required else words[1]
    return Line(kind=LineKind.CELLS, texts=(column.header, needed, " ".join(said), example))


def as_text(lines: Sequence[Line]) -> str:
    """The instructions as a text file, for those who have no workbook."""
    return "\n".join(_plain(line) for line in lines if line.kind is not LineKind.HEAD) + "\n"


def _plain(line: Line) -> str:
    if line.kind is LineKind.CELLS:
        first, *rest = [text for text in line.texts if text]
        return f"  {first}: {' · '.join(rest)}" if rest else f"  {first}"
    return f"\n{line.texts[0]}\n" if line.kind is LineKind.HEADING else line.texts[0]


def _heading(text: str) -> Line:
    return Line(kind=LineKind.HEADING, texts=(text,))


def _text(text: str) -> Line:
    return Line(kind=LineKind.TEXT, texts=(text,))
