"""What the API itself says about the templates that a job uses: one of the job, or one of each row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec.structs import replace

from batcher.api.client import Client
from batcher.bound import BoundJob
from batcher.bound_step import BoundStep
from batcher.catalog.extend import extended_body, extension_path, forgotten_entries, unknown_entries
from batcher.catalog.model import Operation
from batcher.errors import ApiError, InputError, Rejected, StopEverything, Stopped
from batcher.job import Step
from batcher.mapping.choice import Choices
from batcher.model import Json

LOOKED_UP = 20
"""So many templates of a sheet are looked up; the rest is told and not checked."""


def with_template(
    step: Step, operation: Operation, *, client: Client | None, choices: Mapping[str, Choices], notes: list[str]
) -> Operation:
    """
    The operation with what the API says about the one template of a job; unchanged where each row has its own.

    Args:
        client: None offline.
        choices: The lists of valid values by name.
        notes: Receives what could not be checked.

    Raises:
        InputError: There is no such template, or the request does not mention all that it has.
        Stopped: The key is not accepted.
    """

    def resolve(kind: str, text: str) -> str:
        return choices[kind].resolve(text) if kind in choices else text

    try:
        path = extension_path(operation, step.request, resolve=resolve)
    except ValueError as error:
        raise InputError(step.problem(("request", operation.path_fields[0]), str(error))) from error
    if not path:
        return operation
    try:
        answer = _asked(path, client, notes, what="the template")
    except Rejected as error:
        field = operation.path_fields[0]
        known = choices.get(operation.choices.get(field, ""))
        hint = known.hint(str(step.request[field])) if known else ""
        raise InputError(step.problem(("request", field), f"{error.message}{hint}")) from error
    if answer is None:
        return operation
    if operation.extends and (message := _forgotten(operation, answer, step.request)):
        raise InputError(step.problem(("request", operation.extends.field), message))
    return replace(operation, body=extended_body(operation, answer))


def learn_templates(bound: BoundJob, *, client: Client | None, notes: list[str]) -> None:
    """
    Look up the templates that stand in the sheet, so that each row is held against its own.

    A template that is not there, or that has more than the request mentions, is a flaw of its rows.

    Args:
        client: None offline.
        notes: Receives what could not be checked.

    Raises:
        Stopped: The key is not accepted.
    """
    for step in bound.steps.values():
        if not step.mapping.has_template_per_row:
            continue
        if client is None:
            notes.append("the templates of the rows are not checked offline")
            continue
        paths = list(template_paths(bound, step))
        for path in paths[:LOOKED_UP]:
            _learn(step, path, client, notes)
        if len(paths) > LOOKED_UP:
            notes.append(f"{LOOKED_UP} of the {len(paths)} templates in the sheet were looked up, the others not")


def template_paths(bound: BoundJob, step: BoundStep) -> Iterator[str]:
    """Where the API describes each template that stands in the sheet, once each, in the order of the rows."""
    seen: set[str] = set()
    for identified in bound.rows() if step.mapping.has_template_per_row else ():
        row = identified.row
        for item in step.items(row, lambda _: "")[0] if identified.row_id else ():
            path = step.mapping.template_path(row.cells, flaws=row.flaws, item=item)
            if path and path not in seen:
                seen.add(path)
                yield path


def _learn(step: BoundStep, path: str, client: Client, notes: list[str]) -> None:
    try:
        answer = _asked(path, client, notes, what=f"the template {path.rsplit('/', 1)[-1]}")
    except Rejected as error:
        step.mapping.learn(path, body=None, wrong=error.message)
        return
    if answer is not None:
        wrong = _forgotten(step.operation, answer, step.step.request)
        step.mapping.learn(path, body=extended_body(step.operation, answer), wrong=wrong)


def _asked(path: str, client: Client | None, notes: list[str], *, what: str) -> Json:
    """The API's answer; None when there is none, which is noted."""
    if client is None:
        notes.append(f"{what} is not checked offline")
        return None
    try:
        return client.read(path)
    except Rejected:
        raise
    except StopEverything as error:
        raise Stopped(f"the API refuses the account: {error.message}") from error
    except ApiError as error:
        notes.append(f"{what} could not be checked: {error.message}")
        return None


def _forgotten(operation: Operation, answer: Json, request: Mapping[str, Json]) -> str:
    """The complaint about what a template has and the request does not mention; empty when there is none."""
    forgotten = forgotten_entries(operation, answer, request)
    if not forgotten:
        return ""
    unknown = ", ".join(unknown_entries(operation, answer, request))
    return (
        f"the template also has {', '.join(forgotten)}; fill them, "
        f"or write `{forgotten[0]}:` with nothing behind it to leave one as it is"
        f"{f'; it does not have {unknown}' if unknown else ''}"
    )
