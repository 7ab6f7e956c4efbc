"""operations, schema: what there is to know before a job is written."""

from __future__ import annotations

import json
from pathlib import Path

import click

from batcher.catalog.load import built_in_providers, load_provider
from batcher.catalog.model import Batch, Operation, Price, Provider, Repeat
from batcher.cli.say import say
from batcher.errors import InputError, Problem
from batcher.job import job_schema
from batcher.schema import unknown_key


@click.command()
@click.argument("name", required=False)
@click.option(
    "--catalog",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Also those of a provider of your own; checks it.",
)
@click.option("--json", "as_json", is_flag=True, help="The JSON Schema of the operation's body, for programs.")
def operations(name: str | None, *, catalog: Path | None, as_json: bool) -> int:
    """
    List the operations of the catalogue; with NAME, show what one takes and gives.

    \b
    Examples:
      batcher operations
      batcher operations heygen.template
      batcher operations --catalog my_api.yaml
    """
    own = [load_provider(catalog, is_own=True)] if catalog else []
    providers = [*own, *built_in_providers()]
    found = {each: (provider, op) for provider in providers for each, op in provider.operations.items()}
    if name is None:
        width = max(map(len, found))
        for each, (_, operation) in found.items():
            say(f"{each:<{width}}  {operation.title}{f' · {operation.state}' if operation.state else ''}")
        return 0
    if name not in found:
        said = unknown_key(name, found).replace("unknown key", "unknown operation", 1)
        raise InputError(Problem(where="", message=said.replace("known keys are", "there are", 1)))
    provider, operation = found[name]
    say(json.dumps(operation.body, indent=2, ensure_ascii=False) if as_json else _describe(provider, operation))
    return 0


def _describe(provider: Provider, operation: Operation) -> str:
    lines = [
        f"{operation.name}: {operation.title}",
        f"  provider     {provider.title}",
        *([f"  state        {operation.state}"] if operation.state else []),
        *([f"  note         {provider.note}"] if provider.note else []),
        f"  key          {provider.key_variable}",
        f"  sent to      POST {operation.path}",
        f"  outcome      {'looked for until it is there' if operation.settle else 'in the answer itself'}",
        f"  lost answer  {_repeat_words(operation.repeat)}",
        *_batch_lines(operation.batch),
    ]
    if operation.price:
        lines.append(f"  price        {_price_words(operation.price)} ({provider.prices_as_of})")
    lines += ["", "request:", *(f"    {field} (required): part of the address" for field in operation.path_fields)]
    lines += list(_field_lines(operation))
    lines += _file_lines(provider, operation)
    if operation.rules:
        lines += ["", "rules:"]
        lines += [f"    {rule.fields[0]} {rule.say}" for rule in operation.rules]
    if operation.settings:
        lines += ["", "settings:"]
        lines += [f"    {name} ({each.default}) — {each.description}" for name, each in operation.settings.items()]
    return "\n".join([*lines, "", f"results: {', '.join(operation.columns)}"])


def _file_lines(provider: Provider, operation: Operation) -> list[str]:
    """Where a local file can stand instead of an address, and of which kinds."""
    found: dict[str, list[str]] = {}
    for place, name in operation.shape.items():
        for case in provider.shapes[name]:
            key = f"{place}.{case['key']}" if "key" in case else place
            found.setdefault(key, []).extend(provider.file_kinds(case))
    lines = [f"    {place} ({', '.join(kinds)})" for place, kinds in found.items() if kinds]
    return ["", "files: a path relative to the sheet does instead of a web address", *lines] if lines else []


def _price_words(price: Price) -> str:
    steps = f", in steps of {price.step_s:g} s" if price.step_s != 1 else ""
    return f"{price.amount:g} {price.currency} a {price.per}{steps}{f'; {price.note}' if price.note else ''}"


def _batch_lines(batch: Batch | None) -> list[str]:
    return (
        [f"  batches      up to {batch.most} in one request; lost answer: {_repeat_words(batch.repeat)}"]
        if batch
        else []
    )


def _repeat_words(repeat: Repeat) -> str:
    ways = []
    if repeat.has_key:
        where = repeat.key_header or repeat.key_field
        ways.append(f"sent again with the same {where} within {repeat.key_hours - 1:g} hours")
    if repeat.free:
        ways.append("sent again: repeating is free")
    if repeat.find:
        ways.append(f"searched for by batcher's token{' in the title' if repeat.find.in_title else ''}")
    return "; then ".join([*ways, "a person decides"])


def _field_lines(operation: Operation) -> list[str]:
    body = operation.body
    branches = [each.get("then", each) for key in ("oneOf", "allOf") for each in body.get(key, [])]
    named = [each["$ref"] for each in branches if "$ref" in each]
    forms = [body["$defs"][reference.rsplit("/", 1)[-1]] for reference in named] or [body]
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
    say(json.dumps(job_schema(), indent=2, ensure_ascii=False))
    return 0
