"""The Sheets API: the only module that knows gspread, its credentials and its errors."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from msgspec import Struct

from batcher.errors import InputError, Problem
from batcher.google_link import GoogleLink
from batcher.gsheets.door import CREDENTIALS_VARIABLE, Door
from batcher.sheet import letters

SCOPES = ("https://www.googleapis.com/auth/spreadsheets",)
TIMEOUT_S = (10.0, 120.0)
WAITS_S = (1.0, 2.0, 4.0, 8.0, 16.0)
"""
Between tries when Google asks to wait; each by chance up to twice as long.

developers.google.com/workspace/sheets/api/limits, read November 2026: 60 reads and 60 writes a minute and person; what
is refused with 429 is to be tried again after growing waits. A run writes every 30 seconds at most.
"""
_LONGEST_WAIT_S = 64.0
_GOOGLE = "https://sheets.googleapis.com"


class Block(Struct, frozen=True, kw_only=True):
    """
    Cells of one column, from a row downwards.

    Attributes:
        column: Counted from 0.
        row: Of the first, as the spreadsheet shows it.
        cells: Texts; None leaves a cell as it is.
    """

    column: int
    row: int
    cells: Sequence[str | None]


class Tab:
    """
    One tab of a spreadsheet; made by `open_tab`.

    Attributes:
        title: The tab's name.
        document: The spreadsheet's name.
    """

    def __init__(self, client: Any, link: GoogleLink, *, where: str, owner: str) -> None:
        self._client, self._link, self._where, self._owner = client, link, where, owner
        with _border(where, owner):
            found = client.fetch_sheet_metadata(link.key)
        tabs: list[Mapping[str, Any]] = [each["properties"] for each in found["sheets"]]
        mine = next((each for each in tabs if each.get("sheetId", 0) == link.gid), None)
        if mine is None:
            names = ", ".join(f"{each['title']} (gid={each.get('sheetId', 0)})" for each in tabs)
            raise InputError(Problem(where=where, message=f"there is no such tab; there are: {names}"))
        self.title: str = mine["title"]
        self.document: str = found["properties"]["title"]
        self._columns: int = mine["gridProperties"]["columnCount"]

    def values(self) -> list[list[str]]:
        """All cells as they are shown, row by row; rows end with their last cell that holds anything."""
        with _border(self._where, self._owner):
            found = self._client.values_get(
                self._link.key, self._quoted, params={"valueRenderOption": "FORMATTED_VALUE"}
            )
        return [[str(cell) for cell in row] for row in found.get("values", [])]

    def write(self, blocks: Sequence[Block]) -> None:
        """
        Write cells, all in one request, as the texts that they are: nothing becomes a formula, a number or a date.

        Raises:
            InputError: Google refuses, or does not answer; what is then in the sheet is not known.
        """
        lacking = max((block.column + 1 for block in blocks), default=0) - self._columns
        with _border(self._where, self._owner):
            if lacking > 0:
                grow = {"sheetId": self._link.gid, "dimension": "COLUMNS", "length": lacking}
                self._client.batch_update(self._link.key, {"requests": [{"appendDimension": grow}]})
                self._columns += lacking
            data = [
                {"range": self._range(block), "majorDimension": "COLUMNS", "values": [list(block.cells)]}
                for block in blocks
            ]
            self._client.values_batch_update(self._link.key, {"valueInputOption": "RAW", "data": data})

    @property
    def _quoted(self) -> str:
        return "'" + self.title.replace("'", "''") + "'"

    def _range(self, block: Block) -> str:
        column = letters(block.column)
        return f"{self._quoted}!{column}{block.row}:{column}{block.row + len(block.cells) - 1}"


def open_tab(
    link: GoogleLink, door: Door, *, sleep: Callable[[float], None] = time.sleep, rng: random.Random | None = None
) -> Tab:
    """
    Open a tab with the service account of the environment.

    Raises:
        InputError: gspread is not installed, there is no usable key file, or the sheet is not shared with the account.
    """
    where = f"Google Sheet {link.key} (gid {link.gid})"
    try:
        from google.auth.exceptions import GoogleAuthError
        from google.auth.transport.requests import Request
        from google.oauth2.service_account import Credentials
        from gspread.http_client import HTTPClient
        from requests import Session
    except ImportError as error:
        message = 'to write into it install what it needs: pip install "batcher[gsheets]"'
        raise InputError(Problem(where=where, message=message)) from error
    if door.credentials is None:
        message = f"set it to the key file (JSON) of a service account with which {where} is shared as an editor"
        raise InputError(Problem(where=CREDENTIALS_VARIABLE, message=message))
    try:
        credentials = Credentials.from_service_account_file(str(door.credentials), scopes=SCOPES)  # type: ignore[no-untyped-call]
    except (OSError, ValueError, GoogleAuthError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no key file of a service account (JSON)"
        message = f"{door.credentials} cannot be used: {reason}"
        raise InputError(Problem(where=CREDENTIALS_VARIABLE, message=message)) from error

    session = Session()
    refresher = Request(session)

    class Client(HTTPClient):
        def request(self, method: str, endpoint: str, *args: Any, **kwargs: Any) -> Any:
            address = door.api + endpoint.removeprefix(_GOOGLE)

            def call() -> Any:
                # google-auth's own session would also ask a third host about the account
                if not credentials.valid:
                    credentials.refresh(refresher)
                kwargs["headers"] = {"Authorization": f"Bearer {credentials.token}"}
                return super(Client, self).request(method, address, *args, **kwargs)

            return _patient(call, sleep, rng or random.Random())

    client = Client(credentials, session=session)
    client.timeout = TIMEOUT_S
    return Tab(client, link, where=where, owner=credentials.service_account_email)


def _patient(call: Callable[[], Any], sleep: Callable[[float], None], rng: random.Random) -> Any:
    """The call, again after growing waits while Google asks for patience; all our requests may be repeated."""
    from gspread.exceptions import APIError

    for wait_s in WAITS_S:
        try:
            return call()
        except APIError as error:
            status = error.response.status_code
            if status != 429 and status < 500:
                raise
            told = error.response.headers.get("Retry-After", "")
            asked_s = min(float(told), _LONGEST_WAIT_S) if told.isdigit() else 0.0
            sleep(max(asked_s, wait_s * (1 + rng.random())))
    return call()


@contextmanager
def _border(where: str, owner: str) -> Iterator[None]:
    """Every failure in words for the person, without a header or an answer's body."""
    from google.auth.exceptions import GoogleAuthError
    from gspread.exceptions import APIError, GSpreadException

    try:
        yield
    except APIError as error:
        raise InputError(Problem(where=where, message=_refusal(error.response.status_code, error, owner))) from error
    except GoogleAuthError as error:
        message = f"Google does not accept the service account {owner}; make a new key for it"
        raise InputError(Problem(where=where, message=message)) from error
    except (GSpreadException, OSError, ValueError) as error:
        message = f"Google does not answer as it should ({type(error).__name__}); run again later"
        raise InputError(Problem(where=where, message=message)) from error


def _refusal(status: int, error: Any, owner: str) -> str:
    if status in (401, 403):
        return f"share it with {owner} as an editor (Share › add the address), and switch the Google Sheets API on for its project"
    if status == 404:
        return f"there is no such sheet, or it is not shared with {owner}"
    if status == 429 or status >= 500:
        return f"Google asks to wait (HTTP {status}); run again later"
    said = " ".join(str(error.error.get("message", "")).split())[:200]
    return f"Google refuses (HTTP {status}): {said}"
