"""list: the names and ids that a job or a cell can hold."""

from __future__ import annotations

from pathlib import Path

import click

from batcher.api.account import open_account
from batcher.api.client import Client
from batcher.catalog.load import built_in_providers
from batcher.catalog.model import Provider
from batcher.cli.options import surroundings
from batcher.cli.say import say
from batcher.errors import InputError, Problem
from batcher.schema import unknown_key
from batcher.sheet import write_rows


@click.command("list")
@click.argument("kind")
@click.option("--provider", "provider_name", default="heygen", show_default=True, help="Whose.")
@click.option("--to", "target", type=click.Path(path_type=Path), help="Write a .csv, .tsv or .xlsx file instead.")
def list_(kind: str, *, provider_name: str, target: Path | None) -> int:
    """
    List what the account has, all pages of it: templates, avatars, voices, languages.

    \b
    Examples:
      batcher list templates
      batcher list voices --to voices.xlsx
    """
    provider = provider_named(provider_name)
    if kind not in provider.choices:
        said = unknown_key(kind, provider.choices).replace("unknown key", f"{provider_name} has no list of", 1)
        raise InputError(Problem(where="list", message=said.replace("known keys are", "there are", 1)))
    around = surroundings()
    account = open_account(
        provider, base_url="", environ=around.environ, folders=[around.folder], state=around.state, clock=around.clock
    )
    client = Client(account)
    try:
        found = sorted(client.choices(provider.choices[kind]), key=lambda each: (each[1].casefold(), each[0]))
    finally:
        client.close()
    rows = [(name, each) if name != each else (name,) for each, name in found]
    header = ("name", "id") if any(len(row) == 2 for row in rows) else ("name",)
    if target is not None:
        write_rows(target, header, ([*row, *[""] * (len(header) - len(row))] for row in rows), ours_from=0)
        say(f"{len(rows)} {kind} → {target}")
        return 0
    width = max((len(row[0]) for row in rows), default=0)
    for row in rows:
        say(f"{row[0]:<{width}}  {row[1]}" if len(row) == 2 else row[0])
    return 0


def provider_named(name: str) -> Provider:
    """
    A built-in provider.

    Raises:
        InputError: There is none of that name.
    """
    providers = {provider.name: provider for provider in built_in_providers()}
    if name not in providers:
        said = unknown_key(name, providers).replace("unknown key", "unknown provider", 1)
        raise InputError(Problem(where="--provider", message=said.replace("known keys are", "there are", 1)))
    return providers[name]
