"""The calls that the verbs make, in the catalogue's terms."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import BinaryIO
from urllib.parse import quote, urlsplit

from msgspec import Struct

from batcher.api.account import Account
from batcher.api.sorting import sort_answer, sort_break
from batcher.api.wire import READ_S, WRITE_S, Answer, Broken, Wire
from batcher.catalog.model import Batch, Operation, ReadAtOnce, Retired, Settle
from batcher.catalog.outcome import read_outcome
from batcher.catalog.pick import as_number, as_text
from batcher.catalog.source import ChoiceList, ListSource, Pages, Paging
from batcher.errors import ApiError, InDoubt, Rejected, StopEverything, TryAgain
from batcher.hosts import host_of, is_loopback_host
from batcher.model import Json, Outcome, State

UNAUTHORISED = 401
MAX_ID = 500
MAX_PAGES = 200
"""Pages of one list that are read at most: a cursor that runs in circles must end."""


class Receipt(Struct, frozen=True, kw_only=True):
    """
    The answer to a write.

    Attributes:
        remote_id: The API's id.
        outcome: For a synchronous operation; None when the outcome has to be waited for. The state in the answer of an
            asynchronous write is of the time of creation, also in replays: never an outcome.
    """

    remote_id: str
    outcome: Outcome | None = None


class ListPage(Struct, frozen=True, kw_only=True):
    """
    One page of a list.

    Attributes:
        items: (id, item) in the order of the page.
        next_token: Where the next page begins; empty on the last one.
        is_conclusive: False when the page contradicts itself (more is said to follow, but no way leads there).
    """

    items: list[tuple[str, Json]]
    next_token: str
    is_conclusive: bool = True


class AccountInfo(Struct, frozen=True, kw_only=True):
    """
    Whose account it is and what is left in it; empty or None where the API does not say.

    Attributes:
        plan: How its work is paid for, as the API calls that.
    """

    name: str = ""
    plan: str = ""
    balance: float | None = None
    unit: str = ""


class Client:
    """
    The remote API, as batcher sees it: every failure is an `ApiError`, callers never see `requests`.

    May be used from several threads.

    Args:
        account: Where, and signed how.
        clock: Unix seconds.
    """

    def __init__(self, account: Account, *, clock: Callable[[], float] = time.time) -> None:
        self._account = account
        self._table = account.provider.errors
        self._wire = Wire(account.base_url, {})
        self._uploads = Wire(account.upload_url, {})
        self._clock = clock
        self.server_ahead_s = 0.0
        """How far the API's clock is ahead of ours, by the newest answer; negative when it is behind."""

    def submit(
        self, operation: Operation, *, path: str, body: str, key: str, before: Callable[[], None] | None = None
    ) -> Receipt:
        """
        Ask for one piece of paid work.

        Args:
            operation: What is asked for.
            path: Where, without the base address.
            body: JSON text, sent as it is.
            key: The idempotency key; sent where the operation has a place for it.
            before: Called when the connection stands and nothing has left yet; what it raises is raised, nothing is sent.

        Raises:
            Rejected: This request will never be accepted.
            Throttled: Too many requests, or no connection; nothing was made.
            InDoubt: May have been made; do *not* send again before looking.
            StopEverything: No request of this account will work now.
        """
        header = operation.repeat.key_header
        answer = self._exchange(
            "POST",
            path,
            body=body,
            headers={header: key} if header else {},
            deadline_s=WRITE_S,
            retired=operation.retired,
            before=before,
        )
        remote_id = usable_id(operation.id.find(answer.value)) if operation.id else ""
        if operation.outcome is not None:
            return Receipt(remote_id=remote_id, outcome=_read_at_once(operation.outcome, answer))
        if not remote_id:
            raise InDoubt("accepted, but the answer holds no id", code="no_id", status=answer.status)
        return Receipt(remote_id=remote_id)

    def submit_batch(
        self,
        batch: Batch,
        *,
        bodies: Sequence[str],
        key: str,
        retired: Retired | None = None,
        before: Callable[[], None] | None = None,
    ) -> str:
        """
        Ask for several pieces of paid work in one request.

        Args:
            batch: How they go together.
            bodies: JSON texts, sent as they are and in this order.
            key: The idempotency key of all of them together; sent where the batch has a place for it.
            retired: How the operation answers that is no longer there.
            before: As for `submit`.

        Returns:
            The API's id of the batch; what has become of each body is learned by looking into it.

        Raises:
            ApiError: As `submit`, for all of them together.
        """
        header = batch.repeat.key_header
        answer = self._exchange(
            "POST",
            batch.path,
            body=f'{{"{batch.wrap}":[{",".join(bodies)}]}}',
            headers={header: key} if header else {},
            deadline_s=WRITE_S,
            retired=retired,
            before=before,
        )
        batch_id = usable_id(batch.id.find(answer.value))
        if not batch_id:
            raise InDoubt("accepted, but the answer holds no id of the batch", code="no_id", status=answer.status)
        return batch_id

    def read(self, path: str) -> Json:
        """
        The answer to a look at any path, such as a template's.

        Raises:
            ApiError: Any but InDoubt.
        """
        return self._exchange("GET", path, deadline_s=READ_S).value

    def look_up(self, settle: Settle, remote_id: str) -> Outcome:
        """
        The state of one piece of work.

        Raises:
            ApiError: Any but InDoubt.
        """
        item = settle.get.item.find(self.read(with_id(settle.get.path, remote_id)))
        then = settle.get.then
        if then is not None and isinstance(item, dict) and then.when.holds(item):
            further = self.read(with_id(then.path, as_text(then.id.find(item))))
            item = {**item, then.into: then.item.find(further)}
        return read_outcome(settle, item)

    def states(self, settle: Settle, remote_ids: Collection[str]) -> Mapping[str, Json]:
        """
        The items of a bulk status by id; ids that the answer leaves out are not in it.

        Raises:
            ApiError: Any but InDoubt.
        """
        bulk = settle.bulk
        if bulk is None:
            raise ValueError("the operation has no bulk status")
        answer = self._exchange("GET", bulk.path, query={bulk.ids: ",".join(remote_ids)}, deadline_s=READ_S)
        items = bulk.items.find(answer.value)
        return {as_text(bulk.id.find(item)): item for item in items} if isinstance(items, list) else {}

    def list_page(self, source: ListSource, *, token: str = "", query: Mapping[str, str] | None = None) -> ListPage:
        """
        One page of the account's work, newest first.

        Raises:
            ApiError: Any but InDoubt.
        """
        answer = self._exchange(
            "GET", source.path, query={**_page_query(source.pages, token), **(query or {})}, deadline_s=READ_S
        )
        items = source.items.find(answer.value)
        found = [(as_text(source.id.find(item)), item) for item in items] if isinstance(items, list) else []
        following, is_conclusive = _following(source.pages, answer, token, len(found))
        return ListPage(items=found, next_token=following, is_conclusive=is_conclusive and isinstance(items, list))

    def choices(self, source: ChoiceList) -> Iterator[tuple[str, str]]:
        """
        All valid values of a field as (id, name).

        Raises:
            ApiError: Any but InDoubt.
        """
        for path in (source.path, *source.also):
            yield from self._choices(source, path)

    def _choices(self, source: ChoiceList, path: str) -> Iterator[tuple[str, str]]:
        token = ""
        for _ in range(MAX_PAGES):
            answer = self._exchange("GET", path, query=_page_query(source.pages, token), deadline_s=READ_S)
            items = source.items.find(answer.value)
            for item in items if isinstance(items, list) else []:
                value = as_text(source.id.find(item)) if source.id else as_text(item)
                yield value, (as_text(source.name.find(item)) if source.name else "") or value
            count = len(items) if isinstance(items, list) else 0
            following, is_conclusive = _following(source.pages, answer, token, count)
            if not following and is_conclusive:
                return
            if not following:
                break
            token = following
        raise TryAgain("the list contradicts itself", code="inconclusive_list")

    def account_info(self) -> AccountInfo:
        """
        Whose account it is, and what is left in it.

        Raises:
            ApiError: Any but InDoubt; StopEverything when the key is not accepted.
        """
        call = self._account.provider.account
        if call is None:
            return AccountInfo()
        value = self._exchange("GET", call.path, deadline_s=READ_S).value
        balance = call.balance.find(value) if call.balance else None
        return AccountInfo(
            name=as_text(call.name.find(value)) if call.name else "",
            plan=as_text(call.plan.find(value)).replace("_", " ") if call.plan else "",
            balance=as_number(balance),
            unit=as_text(call.unit.find(value)).upper() if call.unit else "",
        )

    def store(self, path: str, body: bytes | BinaryIO, *, headers: Mapping[str, str], deadline_s: float) -> Json:
        """
        Send a file to where the provider takes files; repeating it costs nothing.

        Raises:
            ApiError: As `submit`.
        """
        wire = self._uploads
        return self._exchange("POST", path, body=body, headers=headers, deadline_s=deadline_s, wire=wire).value

    def post_free(self, path: str, content: Json, *, remote_id: str = "") -> Json:
        """
        A write that costs nothing, however often it is made.

        Args:
            remote_id: What `{id}` in the path stands for.

        Raises:
            ApiError: As `submit`.
        """
        body = json.dumps(content, ensure_ascii=False)
        return self._exchange("POST", with_id(path, remote_id), body=body, deadline_s=WRITE_S).value

    def put_elsewhere(self, url: str, file: BinaryIO, *, headers: Mapping[str, str], deadline_s: float) -> None:
        """
        Put a file where the API has said, without our key.

        Raises:
            ApiError: As `submit`; StopEverything when the address is not safe.
        """
        parts = urlsplit(url)
        host = host_of(url)
        inner = is_loopback_host(host)
        if not host or parts.username or (not inner and parts.scheme != "https") or (inner and self._account.is_real):
            raise StopEverything("the API names no safe address for the upload", code="upload_address")
        wire = Wire(f"{parts.scheme}://{parts.netloc}", {})
        path = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        try:
            answer = wire.exchange("PUT", path, body=file, headers=headers, deadline_s=deadline_s)
        except Broken as broken:
            raise sort_break(broken, is_write=False) from broken
        finally:
            wire.close()
        if not 200 <= answer.status < 300:
            # a link that has run out, or a store that has a bad day: a new announcement brings a new link
            raise TryAgain(f"the store answers {answer.status}", code=f"http_{answer.status}", status=answer.status)

    def close(self) -> None:
        """Let go of what runs in the background."""
        self._wire.close()
        self._uploads.close()

    def _exchange(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: str | bytes | BinaryIO | None = None,
        headers: Mapping[str, str] | None = None,
        deadline_s: float,
        retired: Retired | None = None,
        wire: Wire | None = None,
        before: Callable[[], None] | None = None,
    ) -> Answer:
        is_write = method != "GET"

        def ask(signed: Mapping[str, str]) -> Answer:
            extra = {**signed, **(headers or {})}
            if body is not None and not isinstance(body, str | bytes):
                body.seek(0)
            try:
                return (wire or self._wire).exchange(
                    method, path, query=query, body=body, headers=extra, deadline_s=deadline_s, before=before
                )
            except Broken as broken:
                raise sort_break(broken, is_write=is_write) from broken

        signed = self._account.signature.headers()
        answer = ask(signed)
        if answer.status == UNAUTHORISED and self._account.signature.refused(signed):  # nothing was made
            answer = ask(self._account.signature.headers())
        now = self._clock()
        if (told := server_time(answer.headers.get("date", ""))) is not None:
            self.server_ahead_s = told - now
        failure: ApiError | None = sort_answer(answer, self._table, is_write=is_write, now=now, retired=retired)
        if failure is not None:
            raise failure
        return answer


@lru_cache(maxsize=2)
def server_time(date: str) -> float | None:
    """Unix seconds of a Date header, which many answers of a second share; None when it is none."""
    try:
        return parsedate_to_datetime(date).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None


def usable_id(found: Json) -> str:
    """An id as text: what is no text and no number counted from one, or can stand in no address, is none at all."""
    text = found.strip() if isinstance(found, str) else str(found) if type(found) is int and found > 0 else ""
    return text if text.isprintable() and len(text) <= MAX_ID else ""


def with_id(path: str, remote_id: str) -> str:
    """The path of one piece of work; whatever the API calls it, its id stays one part of the path."""
    return path.replace("{id}", quote(remote_id, safe=""))


def _read_at_once(reading: ReadAtOnce, answer: Answer) -> Outcome:
    """The outcome that an answer is; a failure in it is raised like every other one."""
    outcome = read_outcome(reading, reading.item.find(answer.value))
    if outcome.state is State.FAILED:
        kind = StopEverything if outcome.stops else Rejected
        raise kind(outcome.error, code=outcome.error_code, status=answer.status)
    if outcome.state is not State.DONE:
        raise InDoubt("accepted, but the answer holds no result", code="no_result", status=answer.status)
    return outcome


def _page_query(pages: Pages | None, token: str) -> dict[str, str]:
    if pages is None:
        return {}
    query = {pages.size: str(pages.most)} if pages.size else {}
    if token:
        query[pages.place] = token
    return query


def _following(pages: Pages | None, answer: Answer, token: str, count: int) -> tuple[str, bool]:
    """
    Where the next page begins, and whether the answer is one piece: its parts agree and the list goes on.

    Args:
        pages: How the list is read; None when it is one page.
        answer: The page.
        token: Where it began; empty for the first page.
        count: How many items it holds.
    """
    if pages is None:
        return "", True
    if pages.kind is not Paging.TOKEN:
        return _numbered(pages, answer, token, count)
    following = as_text(pages.next.find(answer.value)) if pages.next else ""
    more = pages.more.holds(answer.value) if pages.more else bool(following)
    if following == token and following:
        return "", False
    return (following, True) if more == bool(following) else (following if more else "", False)


def _numbered(pages: Pages, answer: Answer, token: str, count: int) -> tuple[str, bool]:
    """As `_following`, by counting. A list that does not say where it ends has ended with an empty page."""
    begin = int(token) if token else (pages.first if pages.kind is Paging.PAGE else 0)
    following = begin + (1 if pages.kind is Paging.PAGE else count)
    if pages.more is not None:
        more = pages.more.holds(answer.value)
    elif pages.total is not None and isinstance(total := pages.total.find(answer.value), int | float):
        more = following < total
    elif pages.last is not None and isinstance(last := pages.last.find(answer.value), int | float):
        more = following <= last
    else:
        more = count > 0
    if not count:
        return "", not more
    return (str(following) if more else ""), True
