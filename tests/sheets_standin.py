"""A small stand-in for Google Sheets over real HTTP on loopback: the CSV export, the sign-in, and the Sheets API v4."""

from __future__ import annotations

import csv
import io
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

KEY = "1stand-in_for-a_spreadsheet"
LINK = f"https://docs.google.com/spreadsheets/d/{KEY}/edit#gid=7"
OWNER = "batcher@stand-in.iam.gserviceaccount.com"
_RANGE = re.compile(r"'((?:[^']|'')+)'(?:!([A-Z]+)(\d+):([A-Z]+)(\d+))?\Z")


@dataclass
class Google:
    """
    One spreadsheet with one tab.

    Attributes:
        cells: What is shown, row by row.
        is_public: Whether anyone with the link may see it.
        is_shared: Whether the service account may write.
        refusals: Statuses of the next answers of the API.
        columns: How wide the tab is; cells beyond are refused.
        asked: Method and path of every request.
        before_write: Called before a batch of cells is written: somebody else at work in the sheet.
    """

    cells: list[list[str]]
    is_public: bool = True
    is_shared: bool = True
    columns: int = 26
    refusals: list[int] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    written: list[dict[str, Any]] = field(default_factory=list)
    before_write: list[Any] = field(default_factory=list)
    url: str = ""

    def column(self, name: str) -> dict[str, str]:
        """The first cell of each row to the cell under a header."""
        at = self.cells[0].index(name)
        return {row[0]: (row[at] if at < len(row) else "") for row in self.cells[1:]}

    def put(self, row: int, column: int, text: str) -> None:
        """Write one cell, counted from 0."""
        while len(self.cells) <= row:
            self.cells.append([])
        self.cells[row] += [""] * (column + 1 - len(self.cells[row]))
        self.cells[row][column] = text


def _column(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return number - 1


class _Handler(BaseHTTPRequestHandler):
    google: Google
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Tests are silent."""

    def do_GET(self) -> None:
        path = urlsplit(self.path)
        self.google.asked.append(f"GET {path.path}")
        if path.path.endswith("/export"):
            self._export(parse_qs(path.query))
        elif path.path == "/ServiceLogin":
            self._send(200, b"<!doctype html><title>Sign in - Google Accounts</title>", kind="text/html; charset=utf-8")
        elif self._is_let_in():
            found = re.fullmatch(rf"/v4/spreadsheets/{KEY}(?:/values/(.+))?", unquote(path.path))
            if found is None:
                self._fail(404, "Requested entity was not found.")
            elif found[1]:
                self._json({"range": found[1], "majorDimension": "ROWS", "values": self._trimmed()})
            else:
                grid = {"rowCount": 1000, "columnCount": self.google.columns}
                tab = {"sheetId": 7, "title": "Bob's leads", "gridProperties": grid}
                self._json({"properties": {"title": "Campaign"}, "sheets": [{"properties": tab}]})

    def do_POST(self) -> None:
        path = urlsplit(self.path).path
        self.google.asked.append(f"POST {path}")
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if path == "/token":
            assert parse_qs(body.decode())["assertion"][0].count(".") == 2
            self._json({"access_token": "stand-in-token", "expires_in": 3600, "token_type": "Bearer"})
        elif self._is_let_in():
            asked = json.loads(body)
            if path.endswith("values:batchUpdate"):
                self._write(asked)
            else:
                for each in asked["requests"]:
                    self.google.columns += each["appendDimension"]["length"]
                self._json({"replies": [{}]})

    def _is_let_in(self) -> bool:
        if self.google.refusals:
            self._fail(self.google.refusals.pop(0), "Quota exceeded for quota metric 'Write requests'")
            return False
        if self.headers.get("Authorization") != "Bearer stand-in-token" or not self.google.is_shared:
            self._fail(403, "The caller does not have permission")
            return False
        return True

    def _trimmed(self) -> list[list[str]]:
        rows = [list(row) for row in self.google.cells]
        for row in rows:
            while row and row[-1] == "":
                row.pop()
        while rows and not rows[-1]:
            rows.pop()
        return rows

    def _write(self, asked: dict[str, Any]) -> None:
        if self.google.before_write:
            self.google.before_write.pop(0)()
        assert asked["valueInputOption"] == "RAW"
        for each in asked["data"]:
            found = _RANGE.fullmatch(each["range"])
            assert found is not None
            assert found[1].replace("''", "'") == "Bob's leads"
            assert each["majorDimension"] == "COLUMNS"
            assert len(each["values"][0]) == int(found[5]) - int(found[3]) + 1
            if _column(found[2]) >= self.google.columns:
                self._fail(400, f"Range ({each['range']}) exceeds grid limits.")
                return
            for offset, cell in enumerate(each["values"][0]):
                if cell is not None:
                    self.google.put(int(found[3]) - 1 + offset, _column(found[2]), cell)
        self.google.written.append(asked)
        self._json({"spreadsheetId": KEY})

    def _export(self, query: dict[str, list[str]]) -> None:
        if not self.google.is_public:
            self.send_response(307)
            self.send_header("Location", "/ServiceLogin")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if query != {"format": ["csv"], "gid": ["7"]}:
            self._send(400, b"Bad Request", kind="text/html")
            return
        text = io.StringIO()
        width = max(map(len, self.google.cells))
        csv.writer(text).writerows([*row, *[""] * (width - len(row))] for row in self.google.cells)
        title = "attachment; filename=\"Campaign-Leads.csv\"; filename*=UTF-8''Campaign%20-%20Leads.csv"
        self._send(200, text.getvalue().encode(), kind="text/csv", disposition=title)

    def _json(self, value: Any) -> None:
        self._send(200, json.dumps(value).encode(), kind="application/json; charset=UTF-8")

    def _fail(self, status: int, message: str) -> None:
        body = {"error": {"code": status, "message": message, "status": "REFUSED"}}
        self._send(status, json.dumps(body).encode(), kind="application/json; charset=UTF-8")

    def _send(self, status: int, body: bytes, *, kind: str, disposition: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if disposition:
            self.send_header("Content-Disposition", disposition)
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def stand_in(cells: list[list[str]]) -> Iterator[Google]:
    """A spreadsheet with these cells."""
    google = Google(cells=cells)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"google": google}))
    google.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield google
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def write_key_file(path: Path, google: Google) -> Path:
    """A service account's key file whose tokens come from the stand-in."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    value = {"type": "service_account", "client_email": OWNER, "private_key": pem, "private_key_id": "1"}
    path.write_text(json.dumps({**value, "token_uri": f"{google.url}/token", "project_id": "stand-in"}))
    return path
