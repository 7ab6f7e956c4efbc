"""
OAuth 2.0 with PKCE, as HeyGen documents it (developers.heygen.com, read 20 Nov 2026): four small messages.

They go over our own wire, which follows no redirect and ends in time; a library would bring another one.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Mapping
from urllib.parse import urlencode, urlsplit

from msgspec import Struct, field

from batcher.api.signing import Guarded
from batcher.api.wire import READ_S, Answer, Break, Broken, Wire
from batcher.catalog.model import Provider
from batcher.catalog.pick import as_number
from batcher.errors import StopEverything, Throttled
from batcher.hosts import host_of, is_loopback_host

SHORTEST_LIFE_S = 60.0


class Endpoints(Struct, frozen=True, kw_only=True):
    """
    Where a sign-in takes place.

    Attributes:
        authorize: Opened in the browser.
        token, revoke: Asked by us; `revoke` is empty where there is no such thing.
        scope: What is asked for; may be empty.
    """

    authorize: str
    token: str
    revoke: str
    scope: str


class Tokens(Guarded, frozen=True, kw_only=True):
    """
    What the authorisation server gives.

    Attributes:
        refresh: Good for one renewal; empty where there is none.
        life_s: How long `access` is good, in seconds.
    """

    access: str
    refresh: str
    life_s: float


class Request(Guarded, frozen=True, kw_only=True):
    """
    One sign-in under way.

    Attributes:
        redirect_uri: Where the browser is sent back to.
        state: Comes back with the browser: an answer without it is not ours.
        verifier: Proves that who exchanges the code has asked for it.
    """

    client_id: str
    redirect_uri: str
    state: str
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))

    def address(self, endpoints: Endpoints) -> str:
        """What is opened in the browser."""
        hashed = hashlib.sha256(self.verifier.encode()).digest()
        query = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "state": self.state,
            "code_challenge": base64.urlsafe_b64encode(hashed).decode().rstrip("="),
            "code_challenge_method": "S256",
            **({"scope": endpoints.scope} if endpoints.scope else {}),
        }
        return f"{endpoints.authorize}?{urlencode(query)}"


def endpoints(provider: Provider, base_url: str) -> Endpoints | None:
    """
    Where one signs in for an address of a provider; None where only keys are known.

    A loopback address plays the authorisation server itself, under the same paths.
    """
    told = provider.oauth
    if told is None:
        return None
    here = is_loopback_host(host_of(base_url))

    def at(address: str) -> str:
        return base_url + urlsplit(address).path if here and address else address

    return Endpoints(authorize=at(told.authorize), token=at(told.token), revoke=at(told.revoke), scope=told.scope)


def exchange(found: Endpoints, request: Request, code: str) -> Tokens:
    """
    The tokens for the code that came back with the browser.

    Raises:
        StopEverything: The code is not accepted.
        Throttled: The server could not be asked.
    """
    form = {
        "grant_type": "authorization_code",
        "client_id": request.client_id,
        "code": code,
        "redirect_uri": request.redirect_uri,
        "code_verifier": request.verifier,
    }
    return _tokens(found.token, form, refusal="the sign-in was not accepted; begin again")


def renew(found: Endpoints, *, client_id: str, refresh: str) -> Tokens:
    """
    New tokens for a refresh token, which may be used up by this.

    Raises:
        StopEverything: The sign-in has ended.
        Throttled: The server could not be asked.
    """
    form = {"grant_type": "refresh_token", "client_id": client_id, "refresh_token": refresh}
    tokens = _tokens(found.token, form, refusal="the sign-in has ended; sign in again with: batcher login")
    return Tokens(access=tokens.access, refresh=tokens.refresh or refresh, life_s=tokens.life_s)


def revoke(found: Endpoints, token: str) -> bool:
    """Tell the server to forget a token; whether it was told."""
    if not found.revoke:
        return False
    try:
        return _post(found.revoke, {"token": token}).status == 200
    except Broken:
        return False


def _tokens(address: str, form: Mapping[str, str], *, refusal: str) -> Tokens:
    try:
        answer = _post(address, form)
    except Broken as broken:
        if broken.how is Break.LOST:  # a refresh token may be used up: the next try tells
            raise Throttled(f"the sign-in server did not answer: {broken}", code="sign_in_unanswered") from broken
        raise Throttled(f"the sign-in server cannot be reached: {broken}", code="sign_in_unreachable") from broken
    value = answer.value if isinstance(answer.value, dict) else {}
    if answer.status in (400, 401, 403):
        raise StopEverything(refusal, code="sign_in_refused", status=answer.status)
    access, life = value.get("access_token"), value.get("expires_in", 3600)
    if answer.status != 200 or not isinstance(access, str) or not access.isascii() or not access.isprintable():
        raise Throttled(f"the sign-in server answers with HTTP {answer.status} and no token", code="no_token")
    refresh = value.get("refresh_token")
    life_s = as_number(life)
    return Tokens(
        access=access,
        refresh=refresh if isinstance(refresh, str) else "",
        life_s=max(3600.0 if life_s is None else life_s, SHORTEST_LIFE_S),
    )


def _post(address: str, form: Mapping[str, str]) -> Answer:
    parts = urlsplit(address)
    wire = Wire(f"{parts.scheme}://{parts.netloc}", {})
    try:
        return wire.exchange(
            "POST",
            parts.path,
            body=urlencode(form),
            headers={"Content-Type": "application/x-www-form-urlencoded"},
            deadline_s=READ_S,
        )
    finally:
        wire.close()
