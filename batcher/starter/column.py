"""One thing that people fill in, as a column of the workbook: note, list, limits and examples."""

from __future__ import annotations

from batcher.catalog.model import Operation
from batcher.catalog.pick import as_text
from batcher.mapping.choice import Choices
from batcher.mapping.tree import matches
from batcher.starter.sketch import Ask
from batcher.starter.words import keeps_digits, usual_examples
from batcher.workbook.form import FormColumn

ROW_ID = "Row id"
MOST_NAMED = 40
"""Values that are named one by one where no list can offer them."""
EXAMPLE_MARK = "example"
"""How the ids of example rows begin: the job file leaves such rows out, so that nobody pays for an example."""


def kind_of(operation: Operation, ask: Ask) -> str:
    """The name of the list that holds its valid values; empty without one."""
    return next((kind for pattern, kind in operation.choices.items() if matches(pattern, ask.path)), "")


def row_id_column() -> FormColumn:
    """The first column of every workbook."""
    lines = [
        "What this row is called: a customer number, an e-mail address, any text that no other row has.",
        "Required. Do not change it later: a row with another id is a new row, and is made and paid again.",
        f'Rows whose id begins with "{EXAMPLE_MARK}" are never made.',
    ]
    examples = (f"{EXAMPLE_MARK}-1", f"{EXAMPLE_MARK}-2")
    return FormColumn(header=ROW_ID, note="\n".join(lines), is_text=True, is_unique=True, examples=examples)


def column_for(ask: Ask, kind: str, known: Choices | None, *, has_lists: bool) -> FormColumn:
    """
    The column of something that people fill in.

    Args:
        ask: What it is.
        kind: The list of its valid values; empty without one.
        known: That list; None when it is not to be had.
        has_lists: The cells of the form can offer what there is to pick from.
    """
    schema = ask.schema
    labels = known.labels if known else ()
    words = tuple(as_text(each) for each in schema.get("enum", ()))
    if schema.get("type") == "boolean":
        words = ("yes", "no")
    examples = _examples(ask, kind, labels, words)
    return FormColumn(
        header=ask.header,
        note="\n".join(_note(ask, kind, examples, picks=labels or words, has_lists=has_lists)),
        is_required=ask.is_required,
        is_text=keeps_digits(ask.name),
        choices=labels or words,
        is_closed=bool(words),
        is_number=schema.get("type") in ("integer", "number"),
        longest=schema.get("maxLength"),
        least=schema.get("minimum"),
        most=schema.get("maximum"),
        examples=examples,
    )


def _examples(ask: Ask, kind: str, labels: tuple[str, ...], words: tuple[str, ...]) -> tuple[str, ...]:
    """Two values: of the list, of the template, of the catalogue, or what is usual."""
    given = [as_text(each) for each in ask.schema.get("examples", ())]
    shown = [ask.entry.example] if ask.entry and ask.entry.example else []
    if labels:
        best = [each for each in given if each in labels] or list(labels[:2])
    elif kind:
        best = given
    else:
        best = list(usual_examples(ask.header)) or shown or given or list(words[:2])
    if not best and ask.is_required:
        best = ["1" if ask.schema.get("type") in ("integer", "number") else "Example"]
    return tuple(best[index % len(best)] for index in range(2)) if best else ()


def _note(ask: Ask, kind: str, examples: tuple[str, ...], *, picks: tuple[str, ...], has_lists: bool) -> list[str]:
    schema = ask.schema
    lines = [str(schema["description"])] if "description" in schema else []
    if ask.entry is not None:
        lines.append(f"Goes into the template's {ask.entry.type or 'entry'} '{ask.name}'.")
    if ask.is_required:
        lines.append("Required.")
    else:
        lines.append("May be empty: the template's own is then kept." if ask.entry else "May be empty.")
    if picks and has_lists:
        lines.append("Pick from the list in the cell.")
    elif picks and len(picks) <= MOST_NAMED:
        lines.append(f"One of these: {', '.join(picks)}.")
    elif kind:
        lines.append(f"A name or an id, as the account's list of {kind} has it.")
    if ask.files:
        kinds = ", ".join(ask.files)
        lines.append(f"A file in the folder of this sheet does as well: files/example.{ask.files[0]} ({kinds}).")
    lines += _limits(ask)
    if examples and examples[0] and len(examples[0]) <= 200:
        lines.append(f"For example: {examples[0]}")
    return lines


def _limits(ask: Ask) -> list[str]:
    schema = ask.schema
    longest, least, most = schema.get("maxLength"), schema.get("minimum"), schema.get("maximum")
    lines = [f"At most {longest:,} characters."] if longest else []
    if least is not None and most is not None:
        lines.append(f"A number from {least:g} to {most:g}.")
    elif least is not None or most is not None:
        lines.append(f"A number of at {'least' if most is None else 'most'} {least if most is None else most:g}.")
    return lines
