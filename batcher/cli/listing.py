"""list: the names and ids that a job or a cell can hold."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from batcher.api.account import open_account
from batcher.api.client import Client
from batcher.catalog.load import built_in_providers
from batcher.catalog.model import Provider
from batcher.catalog.own import own_provider
from batcher.cli.options import surroundings, together
from batcher.cli.say import say
from batcher.errors import InputError, Problem
from batcher.lists import Lists
from batcher.schema import unknown_key
from batcher.sheet import write_rows

WHOSE = (
    click.option("--provider", "provider_name", default="heygen", show_default=True, help="Whose."),
    click.option("--catalog", type=click.Path(path_type=Path), metavar="FILE", help="That of a provider of your own."),
)


@click.command("list")
@click.argument("kind")
@together(
    *WHOSE,
    click.option("--to", "target", type=click.Path(path_type=Path), help="Write a .csv, .tsv or .xlsx file instead."),
)
def list_(kind: str, *, provider_name: str, catalog: Path | None, target: Path | None) -> int:
    """
    List what the account has, all pages of it: templates, avatars, voices, languages.

    Always as it is now; `check` and `run` then go by it for ten minutes.

    \b
    Examples:
      batcher list templates
      batcher list voices --to voices.xlsx
      batcher list templates --catalog my_api.yaml
    """
    around = surroundings()
    provider = provider_meant(provider_name, catalog, around.environ)
    if kind not in provider.choices:
        said = unknown_key(kind, provider.choices).replace("unknown key", f"{provider.name} has no list of", 1)
        raise InputError(Problem(where="list", message=said.replace("known keys are", "there are", 1)))
    account = open_account(
        provider, base_url="", environ=around.environ, folders=[around.folder], state=around.state, clock=around.clock
    )
    client = Client(account)
    try:
        members = Lists(account=account, client=client, state=around.state, clock=around.clock).read(kind)
    finally:
        client.close()
    found = sorted(members, key=lambda each: (each.name.casefold(), each.id))
    rows = [(each.name, each.id) if each.name != each.id else (each.name,) for each in found]
    header = ("name", "id") if any(len(row) == 2 for row in rows) else ("name",)
    if target is not None:
        write_rows(target, header, ([*row, *[""] * (len(header) - len(row))] for row in rows), ours_from=0)
        say(f"{len(rows)} {kind} → {target}")
        return 0
    width = max((len(row[0]) for row in rows), default=0)
    for row in rows:
        say(f"{row[0]:<{width}}  {row[1]}" if len(row) == 2 else row[0])
    return 0


def provider_meant(name: str, catalog: Path | None, environ: Mapping[str, str]) -> Provider:
    """
    The provider of a file of the user's, or a built-in one by its name.

    Raises:
        InputError: There is none of that name, or the file is no provider's.
    """
    return own_provider(catalog, base_url="", environ=environ) if catalog else provider_named(name)


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
