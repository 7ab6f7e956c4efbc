"""A loopback address that the browser is sent back to when somebody has signed in."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qsl, urlsplit

_PAGE = b"""<!doctype html><meta charset="utf-8"><title>batcher</title>
<body style="font: 1.2em system-ui; margin: 4em"><p>%s</p></body>"""
_SAID = b"You can close this window and go back to the terminal."
_OTHER = b"There is nothing here."


class Redirect:
    """
    Waits for one visit of the browser.

    Args:
        port: 0 takes any free one.

    Attributes:
        state: What the browser must bring back; a visit without it is not the one that is waited for.

    Raises:
        OSError: The port is in use.
    """

    def __init__(self, port: int) -> None:
        self.state = secrets.token_urlsafe(24)
        self._found: dict[str, str] = {}
        self._came = threading.Event()
        self._server = HTTPServer(("127.0.0.1", port), self._handler())
        threading.Thread(target=self._server.serve_forever, args=(0.1,), name="redirect", daemon=True).start()

    @property
    def uri(self) -> str:
        """What the authorisation server sends the browser to."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/callback"

    def wait(self, timeout_s: float) -> Mapping[str, str]:
        """
        What the visit brought: a code, or an error; empty when nobody came in time.

        Visits without the right `state` are answered and forgotten: any page can send a browser here.
        """
        self._came.wait(timeout_s)
        return self._found

    def close(self) -> None:
        """Listen no longer."""
        self._server.shutdown()
        self._server.server_close()

    def _take(self, path: str) -> bool:
        """Whether it was the visit that is waited for."""
        parts = urlsplit(path)
        query = dict(parse_qsl(parts.query))
        if parts.path != "/callback" or not secrets.compare_digest(
            query.get("state", "").encode(), self.state.encode()
        ):
            return False
        self._found = self._found or query
        self._came.set()
        return True

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        take = self._take

        class Handler(BaseHTTPRequestHandler):
            timeout = 10

            def do_GET(self) -> None:
                is_ours = take(self.path)
                self.send_response(200 if is_ours else 404)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.end_headers()
                self.wfile.write(_PAGE % (_SAID if is_ours else _OTHER))

            def log_message(self, *_: object) -> None:
                """The path holds the code: it is written nowhere."""

        return Handler
