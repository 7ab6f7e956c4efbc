"""The way to one address, and the connections of one thread over it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, BinaryIO

from batcher.api.deadline import watched_adapter

TARGETS = 64
"""Addresses of which it is remembered how they are written: most requests go to one of a few."""


class Way:
    """
    How an address is reached.

    requests decides once: over which proxy, with which certificates, with no .netrc, which would replace the key. Each
    exchange then goes straight over a pool of connections: what a session does anew for each request (cookies, hooks, a
    look at the environment, a response in its own form) takes longer than the sending.

    Args:
        base_url: Where the API is.
        headers: Sent with every request.
    """

    def __init__(self, base_url: str, headers: Mapping[str, str]) -> None:
        import requests

        self._base_url = base_url
        told = requests.Session().merge_environment_settings(base_url, {}, None, None, None)
        self._proxies = requests.utils.get_environ_proxies(base_url)
        self._verify = told["verify"] if told["verify"] is not None else True
        self._address = self._prepared("", ())
        self._writer = watched_adapter()
        checked = requests.PreparedRequest()
        checked.prepare_headers({**requests.utils.default_headers(), **headers})
        self.headers = dict(checked.headers)
        self.target = lru_cache(maxsize=TARGETS)(self._written)

    def open(self, adapter: Any) -> Any:
        """A pool of connections of an adapter."""
        pool = adapter.get_connection_with_tls_context(self._address, self._verify, proxies=self._proxies)
        adapter.cert_verify(pool, self._address.url, self._verify, None)
        return pool

    def _written(self, path: str, query: tuple[tuple[str, str], ...]) -> str:
        """How an address stands in the first line of a request."""
        written: str = self._writer.request_url(self._prepared(path, query), self._proxies)
        return written

    def _prepared(self, path: str, query: tuple[tuple[str, str], ...]) -> Any:
        import requests

        request = requests.PreparedRequest()
        request.prepare_url(self._base_url + path, dict(query))
        return request


class Line:
    """
    The connections of one thread, which never follow a redirect and never repeat anything.

    Args:
        way: Where they lead, and how.
    """

    def __init__(self, way: Way) -> None:
        import urllib3

        self._way = way
        self._adapter = watched_adapter()
        self._pool: Any = None
        self._never = urllib3.Retry(False)

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
            self._pool = self._way.open(self._adapter)
        return self._pool.urlopen(
            method,
            self._way.target(path, tuple(query.items()) if query else ()),
            body=data,
            headers={**self._way.headers, **about, **(headers or {})},
            retries=self._never,
            redirect=False,
            assert_same_host=False,
            preload_content=False,
            timeout=timeout,
        )

    def close(self) -> None:
        """Hang up; what is sent next goes over new connections."""
        self._pool = None
        self._adapter.close()


def _about(data: bytes | BinaryIO) -> dict[str, str]:
    """What the headers say of a body; the length of a file is told beforehand, not in chunks."""
    import requests

    length = {} if isinstance(data, bytes) else {"Content-Length": str(requests.utils.super_len(data))}  # type: ignore[no-untyped-call]
    return {"Content-Type": "application/json", **length}
