"""The connections of one thread to one address."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, BinaryIO

from batcher.api.deadline import watched_adapter

TARGETS = 64
"""Addresses of which a thread remembers how they are written: most requests go to one of a few."""


class Line:
    """
    The connections of one thread, which never follow a redirect and never repeat anything.

    requests decides once how the address is reached: which proxy, which certificates, no .netrc, which would replace the
    key. Each exchange then goes straight over its pool of connections: what a session does anew for each request
    (cookies, hooks, a look at the environment, a response in its own form) takes longer than the sending.

    Args:
        base_url: Where the API is.
        headers: Sent with every request.
    """

    def __init__(self, base_url: str, headers: Mapping[str, str]) -> None:
        import requests
        import urllib3

        self._base_url = base_url
        told = requests.Session().merge_environment_settings(base_url, {}, None, None, None)
        self._proxies = requests.utils.get_environ_proxies(base_url)
        self._verify = told["verify"] if told["verify"] is not None else True
        self._adapter = watched_adapter()
        self._pool: Any = None
        checked = requests.PreparedRequest()
        checked.prepare_headers({**requests.utils.default_headers(), **headers})
        self._headers = dict(checked.headers)
        self._never = urllib3.Retry(False)
        self._target = lru_cache(maxsize=TARGETS)(self._written)

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None,
        data: bytes | BinaryIO | None,
        headers: Mapping[str, str] | None,
        timeout: Any,
    ) -> Any:
        """
        The response, of which only the head has been read.

        Args:
            timeout: As urllib3 has it.
        """
        about = _about(data) if data is not None else {}
        if self._pool is None:
            self._pool = self._opened()
        return self._pool.urlopen(
            method,
            self._target(path, tuple(query.items()) if query else ()),
            body=data,
            headers={**self._headers, **about, **(headers or {})},
            retries=self._never,
            redirect=False,
            assert_same_host=False,
            preload_content=False,
            timeout=timeout,
        )

    def _opened(self) -> Any:
        address = self._prepared("", ())
        pool = self._adapter.get_connection_with_tls_context(address, self._verify, proxies=self._proxies)
        self._adapter.cert_verify(pool, address.url, self._verify, None)
        return pool

    def _written(self, path: str, query: tuple[tuple[str, str], ...]) -> str:
        """How an address stands in the first line of a request."""
        written: str = self._adapter.request_url(self._prepared(path, query), self._proxies)
        return written

    def _prepared(self, path: str, query: tuple[tuple[str, str], ...]) -> Any:
        import requests

        request = requests.PreparedRequest()
        request.prepare_url(self._base_url + path, dict(query))
        return request

    def close(self) -> None:
        """Hang up; what is sent next goes over new connections."""
        self._pool = None
        self._adapter.close()


def _about(data: bytes | BinaryIO) -> dict[str, str]:
    """What the headers say of a body; the length of a file is told beforehand, not in chunks."""
    import requests

    length = {} if isinstance(data, bytes) else {"Content-Length": str(requests.utils.super_len(data))}  # type: ignore[no-untyped-call]
    return {"Content-Type": "application/json", **length}
