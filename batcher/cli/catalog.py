"""operations, schema: what there is to know before a job is written."""

from __future__ import annotations

import json

import click

from batcher.catalog.load import built_in_providers
from batcher.catalog.model import Operation, Provider
from batcher.errors import InputError, Problem
from batcher.job import job_schema
from batcher.schema import unknown_key


@click.command()
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="The JSON Schema of the operation's body, for programs.")
def operations(name: str | None, *, as_json: bool) -> int:
    """
    List the operations of the catalogue; with NAME, show what one takes and gives.

    \b
    Examples:
      batcher operations
      batcher operations heygen.template
    """
    found = {each: (provider, op) for provider in built_in_providers() for each, op in provider.operations.items()}
    if name is None:
        width = max(map(len, found))
        for each, (_, operation) in found.items():
            click.echo(f"{each:<{width}}  {operation.title}")
        return 0
    if name not in found:
        said = unknown_key(name, found).replace("unknown key", "unknown operation", 1)
        raise InputError(Problem(where="", message=said.replace("known keys are", "there are", 1)))
    provider, operation = found[name]
    click.echo(json.dumps(operation.body, indent=2, ensure_ascii=False) if as_json else _describe(provider, operation))
    return 0


def _describe(provider: Provider, operation: Operation) -> str:
    lines = [
        f"{operation.name}: {operation.title}",
        f"  provider   {provider.title}",
        f"  sent to    POST {operation.path}",
    ]
    lines.append(f"  lost answer  {_repeat_words(operation)}")
    if operation.price:
        price = operation.price
        lines.append(
            f"  price      {price.amount:g} {price.currency} a {price.per} ({provider.prices_as_of}; {price.note})"
        )
    lines += ["", "request:", *(f"  {field}: (in the address)" for field in operation.path_fields)]
    lines += list(_field_lines(operation))
    if operation.settle:
        lines += ["", f"results: {', '.join(operation.settle.columns)}"]
    return "\n".join(lines)


def _repeat_words(operation: Operation) -> str:
    repeat = operation.repeat
    ways = []
    if repeat.key_header:
        ways.append(f"sent again with the same {repeat.key_header} within {repeat.key_hours - 1:g} hours")
    if repeat.free:
        ways.append("sent again: repeating is free")
    if repeat.find:
        ways.append("searched for by batcher's token")
    return "; then ".join([*ways, "a person decides"])


def _field_lines(operation: Operation) -> list[str]:
    body = operation.body
    forms = [body["$defs"][each["$ref"].rsplit("/", 1)[-1]] for each in body.get("oneOf", [])] or [body]
    lines = []
    for form in forms:
        if len(forms) > 1:
            lines.append(f"  type: {form['properties']['type']['const']}")
        for field, schema in form.get("properties", {}).items():
            if len(forms) > 1 and field == "type":
                continue
            need = "required" if field in form.get("required", ()) else "optional"
            words = f", one of {', '.join(map(str, schema['enum']))}" if "enum" in schema else ""
            text = f" — {schema['description']}" if "description" in schema else ""
            lines.append(f"    {field} ({need}{words}){text}")
    return lines


@click.command()
def schema() -> int:
    """
    Print the JSON Schema of a job file.

    Editors use it to complete and check while you type. Begin the job with a comment that says where it is:

    \b
      # yaml-language-server: $schema=./job.schema.json

    \b
    Example:
      batcher schema > jobs/job.schema.json
    """
    click.echo(json.dumps(job_schema(), indent=2, ensure_ascii=False))
    return 0
