"""A provider of the user's own: from a file beside the job, and only to hosts that the person has allowed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from batcher.catalog.load import load_provider
from batcher.catalog.model import Provider
from batcher.errors import InputError, Problem
from batcher.hosts import host_of, is_loopback_host

ALLOW_VARIABLE = "BATCHER_ALLOW_HOST"


def own_provider(path: Path, *, base_url: str, environ: Mapping[str, str], offline: bool = False) -> Provider:
    """
    Read a provider file of the user's own.

    A job and its catalogue may come from somebody else, and they name the variable whose content is sent: so the host
    has to be allowed in the environment, and the key of a provider that comes with batcher stays with that provider.

    Args:
        path: The file.
        base_url: The job's `account.base_url`; empty when it has none.
        environ: The environment.
        offline: Nothing is sent, so no host has to be allowed.

    Raises:
        InputError: It is no provider file, takes the name of a built-in one, or would send a key where it must not go.
    """
    provider = load_provider(path, is_own=True)
    if offline:
        return provider
    address = base_url or environ.get(provider.base_url_variable, "") or provider.base_url
    uploads = provider.assets.base_url if provider.assets else ""
    allowed = {each.strip().lower() for each in environ.get(ALLOW_VARIABLE, "").split(",")}
    for key, each in (("base_url", address), ("assets.base_url", uploads or address)):
        host = host_of(each)
        if not is_loopback_host(host) and host not in allowed:
            message = f"work and {provider.key_variable} would go to {host}: if they may, set {ALLOW_VARIABLE}={host} in the environment"
            raise _problem(path, key, message)
        if not is_loopback_host(host) and not each.startswith("https://"):
            raise _problem(path, key, f"'{each}' would carry the key unencrypted; use https")
    return provider


def _problem(path: Path, key: str, message: str) -> InputError:
    return InputError(Problem(where=path.name, message=f"{key}: {message}"))
