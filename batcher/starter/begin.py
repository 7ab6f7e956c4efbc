"""From an operation to everything that a folder to begin with holds; asks the API, writes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct, field

from batcher.catalog.model import Operation, Provider
from batcher.errors import InputError, Problem
from batcher.layout import AFTER, BEFORE
from batcher.lists import Lists
from batcher.starter.column import EXAMPLE_MARK, ROW_ID, column_for, kind_of, row_id_column
from batcher.starter.flat import flat_schema
from batcher.starter.instructions import instructions
from batcher.starter.job_text import JobFile
from batcher.starter.live import Live, listed
from batcher.starter.sketch import Entry, Sketch, sketch
from batcher.starter.words import header_for, slug
from batcher.workbook.form import ROWS_TAB, Form

IN_PLACE = True
"""Whether the results of a new workbook go into the workbook itself."""


class Wish(Struct, frozen=True, kw_only=True):
    """
    What a person has asked for.

    Attributes:
        name: The name of the job and of its files; empty for one that fits the operation.
        template_id: The template, by id or name; empty without one.
        fixed: Dotted place in the request to what is the same for every row.
        variables: Names of the template's variables, where the API does not tell them.
        as_csv: A CSV file instead of a workbook.
        catalog: The file of a provider of the user's own, as the job file will name it; empty without one.
    """

    name: str = ""
    template_id: str = ""
    fixed: Mapping[str, str] = field(default_factory=dict)
    variables: Sequence[str] = ()
    as_csv: bool = False
    catalog: str = ""


class Begun(Struct, frozen=True, kw_only=True):
    """
    What a folder to begin with holds.

    Attributes:
        name: The name of the job.
        sheet: The name of the file with the rows.
        job_text: The job file.
        form: What people fill in.
        notes: What the person who sets it up should know.
    """

    name: str
    sheet: str
    job_text: str
    form: Form
    notes: tuple[str, ...]


def begin(provider: Provider, operation: Operation, wish: Wish, *, lists: Lists) -> Begun:
    """
    Derive a workbook and a job file from what an operation asks for.

    Args:
        provider: Whose operation it is.
        operation: What will be asked for.
        wish: How the person wants it.
        lists: Of the account that is asked for the template and for names; without a client when the network must not
            be used.

    Raises:
        InputError: The wish does not fit the operation, or there is no such template.
        NotFinished: The API cannot be reached now.
        Stopped: The key is not accepted.
    """
    live = Live(lists=lists)
    fixed = live.resolved(operation, _with_template(operation, wish, live))
    entries = live.entries(operation, fixed) or {name: Entry() for name in wish.variables}
    taken = {each.casefold() for each in (ROW_ID, *BEFORE, *AFTER, *operation.output_names)}
    drawn = sketch(provider, operation, fixed=fixed, entries=entries, taken=taken)
    names = live.names(operation, fixed)
    name = (
        wish.name
        or slug(names.get(_template_place(operation), ""))
        or slug(f"{operation.name.rsplit('.', 1)[-1]} {wish.template_id}")
    )
    _add_title(operation, drawn, name)
    job = _job_file(provider, operation, wish, name=name, comments=_comments(operation, names))
    form = _form(operation, drawn, live, job=job)
    notes = (*_warnings(provider, operation, drawn), *live.notes)
    return Begun(name=name, sheet=job.sheet, job_text=job.text(drawn), form=form, notes=notes)


def _job_file(provider: Provider, operation: Operation, wish: Wish, *, name: str, comments: dict[str, str]) -> JobFile:
    kind = "csv" if wish.as_csv else "xlsx"
    sheet = f"{name}.{kind}"
    return JobFile(
        name=name,
        operation=operation,
        sheet=sheet,
        tab="" if wish.as_csv else ROWS_TAB,
        results=sheet if IN_PLACE and not wish.as_csv else f"{name}-results.{kind}",
        catalog=wish.catalog,
        is_simulated=provider.is_simulated,
        comments=comments,
    )


def _warnings(provider: Provider, operation: Operation, drawn: Sketch) -> Iterator[str]:
    if operation.state or provider.note:
        about = f"{operation.name}: {operation.state}" if operation.state else operation.name
        yield f"{about}. {provider.note}".rstrip(". ") + "."
    if drawn.unnamed:
        yield f"the names of {drawn.unnamed} are not known: 'text' stands for them; name them with --variables"


def _with_template(operation: Operation, wish: Wish, live: Live) -> dict[str, str]:
    """What is fixed, the template among it; an operation whose template decides the columns needs one."""
    place = _template_place(operation)
    fixed = dict(wish.fixed)
    if wish.template_id:
        if not place:
            raise InputError(Problem(where="--template-id", message=f"{operation.name} takes no template"))
        fixed[place] = wish.template_id
    if operation.extends and place and place not in fixed:
        known = live.choices(operation.choices[place], is_open=True) if place in operation.choices else None
        message = f"{operation.name} needs the template whose variables are filled in{listed(known)}"
        raise InputError(Problem(where="--template-id", message=message))
    return fixed


def _template_place(operation: Operation) -> str:
    """The key of the request that names a template; empty when there is none."""
    properties: Mapping[str, Any] = flat_schema(operation.body, operation.body, (), {}).get("properties", {})
    titles = {name: str(schema.get("title", "")) for name, schema in properties.items()}
    for name in (*operation.path_fields, *properties):
        is_listed = operation.choices.get(name) == "templates"
        words = {header_for(name).casefold(), titles.get(name, "").casefold()}
        if is_listed or words & {"template", "template id"}:
            return name
    return ""


def _add_title(operation: Operation, drawn: Sketch, name: str) -> None:
    """A title by which the work can be told apart at the provider, where it may have one."""
    title = operation.title_field
    if title in drawn.left_out:
        path = {each: drawn.request.pop(each) for each in operation.path_fields}
        rest = dict(drawn.request)
        drawn.request.clear()
        drawn.request.update({**path, title: f"{name} {{{{ {ROW_ID} }}}}", **rest})


def _form(operation: Operation, drawn: Sketch, live: Live, *, job: JobFile) -> Form:
    columns = [row_id_column()]
    for ask in drawn.asks():
        kind = kind_of(operation, ask)
        columns.append(column_for(ask, kind, live.choices(kind) if kind else None, has_lists=job.results == job.sheet))
    lines = instructions(operation.title, columns, sheet=job.sheet, results=job.results)
    return Form(columns=tuple(columns), example_mark=EXAMPLE_MARK, instructions=lines)


def _comments(operation: Operation, names: Mapping[str, str]) -> dict[str, str]:
    """What is said beside the keys of the request: whose id stands there, and what else a person should know."""
    comments = dict(names)
    if operation.title_field:
        comments[operation.title_field] = "how it is called at the provider"
    if operation.extends:
        comments[operation.extends.field] = "add ? behind a name to let an empty cell keep the template's own"
    return comments
