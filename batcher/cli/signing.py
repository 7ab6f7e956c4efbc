"""login and logout: signing in through the browser instead of with a key."""

from __future__ import annotations

import secrets

import click
from msgspec.structs import replace

from batcher.api import oauth
from batcher.api.account import Account, Settings, address_of, signed_in
from batcher.api.client import Client
from batcher.api.login import Login, keep_login, login_file, read_login
from batcher.api.redirect import Redirect
from batcher.catalog.model import Provider
from batcher.cli.listing import provider_named
from batcher.cli.options import Duration, surroundings, together
from batcher.cli.say import say
from batcher.errors import ApiError, Exit, InputError, Problem, Stopped
from batcher.surroundings import Surroundings

PROVIDER = click.option("--provider", "provider_name", default="heygen", show_default=True, help="Whose API.")


@click.command()
@together(
    PROVIDER,
    click.option("--client-id", default="", help="The id of your registered program; HEYGEN_CLIENT_ID does too."),
    click.option("--port", type=click.IntRange(0, 65535), default=0, help="Where the browser comes back to; 0: any."),
    click.option("--no-browser", is_flag=True, help="Only show the address."),
    click.option(
        "--wait", "wait_s", type=Duration(), default="5m", show_default=True, help="How long to wait for you."
    ),
)
def login(*, provider_name: str, client_id: str, port: int, no_browser: bool, wait_s: float) -> int:
    """
    Sign in through the browser, and keep the sign-in for all later commands; a key in the environment goes before it.

    \b
    Example:
      batcher login --client-id my-registered-app
    """
    provider, around = provider_named(provider_name), surroundings()
    address, found = _where(provider, around)
    client_id = client_id or around.environ.get(provider.oauth.client_variable if provider.oauth else "", "")
    if not client_id:
        variable = provider.oauth.client_variable if provider.oauth else ""
        message = f"needed: {provider.title} gives such ids to registered programs; or set {variable}"
        raise InputError(Problem(where="--client-id", message=message))
    tokens = _ask(found, client_id, port=port, opens=not no_browser, wait_s=wait_s)
    # kept before anything is asked: a refresh token that is lost cannot be had again
    kept = Login(
        base_url=address,
        client_id=client_id,
        owner=f"sign-in {secrets.token_hex(4)}",
        access=tokens.access,
        refresh=tokens.refresh,
        expires_at=around.clock() + tokens.life_s,
    )
    file = login_file(around.state, provider, address)
    keep_login(file, kept)
    account = signed_in(provider, address, state=around.state, clock=around.clock)
    owner = _owner(account) if account else ""
    if owner:
        keep_login(file, replace(read_login(file) or kept, owner=owner))
    say(f"signed in as {owner or 'an account that does not tell its name'} at {address}")
    if provider.oauth and provider.oauth.note:
        say(f"note: {provider.oauth.note}")
    if Settings(around.environ, [around.folder]).get(provider.key_variable):
        say(f"note: {provider.key_variable} is set, and goes before this sign-in")
    return int(Exit.DONE)


@click.command()
@together(PROVIDER)
def logout(*, provider_name: str) -> int:
    """
    Forget a sign-in, here and at the provider.

    \b
    Example:
      batcher logout
    """
    provider, around = provider_named(provider_name), surroundings()
    address, found = _where(provider, around)
    file = login_file(around.state, provider, address)
    kept = read_login(file)
    if kept is None:
        say("nobody was signed in")
        return int(Exit.DONE)
    told = [oauth.revoke(found, token) for token in (kept.refresh, kept.access) if token]
    file.unlink(missing_ok=True)
    say("signed out" if all(told) else "signed out here; the provider could not be told")
    return int(Exit.DONE)


def _where(provider: Provider, around: Surroundings) -> tuple[str, oauth.Endpoints]:
    """The account's address, and where one signs in for it."""
    address = address_of(provider, base_url="", environ=around.environ, folders=[around.folder])
    found = oauth.endpoints(provider, address)
    if found is None:
        message = f"{provider.title} knows no sign-in, only keys: set {provider.key_variable}"
        raise InputError(Problem(where="--provider", message=message))
    return address, found


def _ask(found: oauth.Endpoints, client_id: str, *, port: int, opens: bool, wait_s: float) -> oauth.Tokens:
    """Send the person to the browser, wait for the code and exchange it."""
    try:
        redirect = Redirect(port)
    except OSError as error:
        message = f"{port} cannot be used: {error.strerror or error}"
        raise InputError(Problem(where="--port", message=message)) from error
    try:
        request = oauth.Request(client_id=client_id, redirect_uri=redirect.uri, state=redirect.state)
        address = request.address(found)
        say(f"Open this address, and sign in there:\n  {address}")
        if opens:
            import webbrowser

            webbrowser.open(address)
        came = redirect.wait(wait_s)
    finally:
        redirect.close()
    if not came:
        raise Stopped("nobody signed in; nothing was changed")
    if not came.get("code"):
        raise Stopped(
            f"the sign-in was refused: {came.get('error_description') or came.get('error') or 'no code came back'}"
        )
    try:
        return oauth.exchange(found, request, came["code"])
    except ApiError as error:
        raise Stopped(error.message) from error


def _owner(account: Account) -> str:
    client = Client(account)
    try:
        return client.account_info().name
    except ApiError:
        return ""  # the sign-in is kept all the same; the account can be asked later
    finally:
        client.close()
