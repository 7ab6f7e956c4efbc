"""Sign-in in the browser, approved at once: authorization code with PKCE, refresh, revocation."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlencode, urlsplit

from batcher.simulator.grant import Grant
from batcher.simulator.wire import Answer, Call, Handler, Json
from batcher.simulator.world import World

ACCESS_LIFE_S = 3600
_CODE_LIFE_S = 600


def authorize(world: World, call: Call) -> Answer:
    """GET /oauth/authorize: the person says yes at once, the browser is sent back with a code."""
    query = call.query
    redirect_uri = query.get("redirect_uri", "")
    if not query.get("client_id") or urlsplit(redirect_uri).hostname not in ("127.0.0.1", "localhost", "::1"):
        return _error("invalid_request")
    if query.get("response_type") != "code" or query.get("code_challenge_method") != "S256":
        return _error("unsupported_response_type")
    code = world.next_upload_id()
    world.grants[code] = Grant(
        client_id=query["client_id"],
        redirect_uri=redirect_uri,
        challenge=query.get("code_challenge", ""),
        ends_at=world.clock() + _CODE_LIFE_S,
    )
    back = urlencode({"code": code, "state": query.get("state", "")})
    location = f"{redirect_uri}{'&' if '?' in redirect_uri else '?'}{back}"
    return Answer(body=b"", status=302, headers={"Location": location}, media_type="text/html")


def token(world: World, call: Call) -> Answer:
    """POST /v1/oauth/token, form-encoded; a code and a refresh token work once."""
    form = dict(parse_qsl(call.raw.decode("ascii", "replace")))
    kind = form.get("grant_type")
    if kind not in ("authorization_code", "refresh_token"):
        return _error("unsupported_grant_type")
    grant = world.grants.pop(form.get("code" if kind == "authorization_code" else "refresh_token", ""), None)
    if grant is None or grant.client_id != form.get("client_id") or world.clock() > grant.ends_at:
        return _error("invalid_grant")
    if kind == "authorization_code" and not _proves(grant, form):
        return _error("invalid_grant")
    access, refresh = world.next_upload_id(), world.next_upload_id()
    world.access_tokens[access] = world.clock() + ACCESS_LIFE_S
    world.grants[refresh] = Grant(client_id=grant.client_id)
    body = {"access_token": access, "refresh_token": refresh, "expires_in": ACCESS_LIFE_S, "token_type": "Bearer"}
    return Answer(body={**body, "scope": "openid profile email"})


def revoke(world: World, call: Call) -> Answer:
    """POST /v1/oauth/revoke: silent about tokens that it does not know."""
    given = dict(parse_qsl(call.raw.decode("ascii", "replace"))).get("token", "")
    world.access_tokens.pop(given, None)
    world.grants.pop(given, None)
    return Answer(body={})


def _proves(grant: Grant, form: Mapping[str, str]) -> bool:
    """Return whether the verifier belongs to the challenge, and the address to the code."""
    hashed = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
    challenge = base64.urlsafe_b64encode(hashed).decode().rstrip("=")
    return challenge == grant.challenge and form.get("redirect_uri") == grant.redirect_uri


def _error(name: str) -> Answer:
    body: Json = {"error": name}
    return Answer(body=body, status=400)


ROUTES: Mapping[str, Handler] = {
    "GET /oauth/authorize": authorize,
    "POST /v1/oauth/token": token,
    "POST /v1/oauth/revoke": revoke,
}
