"""init: a folder to begin with, for every operation."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import click

from batcher.api.account import Account, open_account
from batcher.api.client import Client
from batcher.catalog.load import built_in_providers, load_provider
from batcher.catalog.model import Operation, Provider
from batcher.catalog.own import own_provider
from batcher.cli.options import surroundings
from batcher.cli.say import say
from batcher.errors import InputError, Problem
from batcher.lists import Lists
from batcher.schema import unknown_key
from batcher.starter import Begun, Wish, begin, write_folder
from batcher.starter.words import slug
from batcher.surroundings import Surroundings

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}\Z")


@click.command()
@click.argument("operation", required=False)
@click.argument("folder", required=False, type=click.Path(path_type=Path, file_okay=False))
@click.option("--template-id", default="", metavar="ID", help="The template, by its id or its name.")
@click.option("--name", default="", metavar="JOBNAME", help="Of the job and its files; one that fits when left out.")
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="The same for every row, such as type=image."
)
@click.option(
    "--variables", default="", metavar="NAMES", help="The template's variables, where the API cannot tell: a,b."
)
@click.option("--csv", "as_csv", is_flag=True, help="A CSV file instead of a workbook.")
@click.option("--catalog", type=click.Path(path_type=Path), metavar="FILE", help="A provider of your own.")
@click.option("--offline", is_flag=True, help="Use no network: no lists to pick from, no template's variables.")
def init(
    operation: str | None,
    folder: Path | None,
    *,
    template_id: str,
    name: str,
    settings: tuple[str, ...],
    variables: str,
    as_csv: bool,
    catalog: Path | None,
    offline: bool,
) -> int:
    """
    Make a workbook to fill in and the job file that belongs to it, in FOLDER (a new one when left out).

    Asks the API what a template needs and which voices, avatars and languages there are. Never writes over a file.
    Without OPERATION it lists the operations.

    \b
    Examples:
      batcher init
      batcher init heygen.template --template-id tpl_welcome
      batcher init heygen.translation courses --name spring-courses
      batcher init heygen.video --set type=image --csv --offline
    """
    providers = _providers(catalog, offline=offline)
    if operation is None:
        _list_operations(providers)
        return 0
    provider, found = _find(providers, operation)
    wish = Wish(
        name=_checked_name(name) or (slug(folder.name) if folder else ""),
        template_id=template_id.strip(),
        fixed=_fixed(settings),
        variables=tuple(each.strip() for each in variables.split(",") if each.strip()),
        as_csv=as_csv,
        catalog=os.path.relpath(catalog, folder or "new") if catalog else "",
    )
    with ExitStack() as stack:
        around = surroundings()
        folders = [*([folder] if folder else []), Path.cwd()]
        account = None if offline else _account(provider, folders, around)
        client = Client(account, clock=around.clock) if account else None
        if client:
            stack.callback(client.close)
        lists = Lists(account=account, client=client, state=around.state, clock=around.clock)
        begun = begin(provider, found, wish, lists=lists)
    _tell(begun, write_folder(begun, folder or Path(begun.name)))
    return 0


def _tell(begun: Begun, written: list[Path]) -> None:
    for note in begun.notes:
        say(f"Note     {note}")
    for path in written:
        say(f"Made     {path}")
    say(f"Next     fill in {written[0].name}, then: batcher check {written[-1]}")


def _providers(catalog: Path | None, *, offline: bool) -> list[Provider]:
    """The user's own first; its host must be allowed before anything is asked there."""
    if catalog is None:
        return list(built_in_providers())
    own = load_provider(catalog, is_own=True) if offline else own_provider(catalog, base_url="", environ=os.environ)
    return [own, *built_in_providers()]


def _list_operations(providers: list[Provider]) -> None:
    every = {name: operation for provider in providers for name, operation in provider.operations.items()}
    width = max(map(len, every))
    for name, operation in every.items():
        say(f"{name:<{width}}  {operation.title}{f' · {operation.state}' if operation.state else ''}")


def _find(providers: list[Provider], name: str) -> tuple[Provider, Operation]:
    every = {each: provider for provider in providers for each in provider.operations}
    if name not in every:
        said = unknown_key(name, every).replace("unknown key", "unknown operation", 1)
        raise InputError(Problem(where="", message=said.replace("known keys are", "there are", 1)))
    return every[name], every[name].operations[name]


def _account(provider: Provider, folders: list[Path], around: Surroundings) -> Account:
    """Whose templates and voices are asked for."""
    try:
        return open_account(
            provider, base_url="", environ=around.environ, folders=folders, state=around.state, clock=around.clock
        )
    except InputError as error:
        problem = error.problems[0]
        message = f"{problem.message}; or make it without lists of names: --offline"
        raise InputError(Problem(where=problem.where, message=message)) from error


def _checked_name(name: str) -> str:
    if name and not _NAME.match(name):
        message = f"'{name}' cannot be the name of a job: use 1 to 80 letters, digits, dots, hyphens and underscores"
        raise InputError(Problem(where="--name", message=message))
    return name


def _fixed(settings: tuple[str, ...]) -> Mapping[str, str]:
    fixed: dict[str, str] = {}
    for each in settings:
        place, equals, text = each.partition("=")
        if not equals or not place.strip() or not text.strip():
            raise InputError(
                Problem(where="--set", message=f"'{each}' is not of the form KEY=VALUE, such as type=image")
            )
        fixed[place.strip()] = text.strip()
    return fixed
