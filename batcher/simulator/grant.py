"""What a sign-in leaves behind: codes and refresh tokens, each good for one exchange."""

from __future__ import annotations

from msgspec import Struct


class Grant(Struct, frozen=True, kw_only=True):
    """
    What an authorization code or a refresh token stands for.

    Attributes:
        client_id: Who may use it.
        redirect_uri: Where the code was sent; empty for a refresh token.
        challenge: What the verifier must hash to; empty for a refresh token.
        ends_at: Unix seconds.
    """

    client_id: str
    redirect_uri: str = ""
    challenge: str = ""
    ends_at: float = float("inf")
