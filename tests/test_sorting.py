"""Every way in which an exchange can go wrong, by table: a status, a code or an exception that is not here fails."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from email.utils import formatdate
from typing import Any

import pytest
import requests
import urllib3
from support import Heard, http, raw_server

from batcher.api import wire
from batcher.api.account import Account
from batcher.api.client import Client
from batcher.api.deadline import Deadline, Watchdog
from batcher.api.signing import KeySignature
from batcher.api.sorting import LONGEST_WAIT_S, retry_after, sort_answer, sort_break
from batcher.api.wire import Answer, Break, Broken, parse_json
from batcher.catalog.load import FOLDER, load_provider
from batcher.errors import ApiError, InDoubt, Rejected, StopEverything, Throttled, TryAgain

HEYGEN = load_provider(FOLDER / "heygen.yaml")
TEMPLATE = HEYGEN.operations["heygen.template"]
NOW = 1_800_000_000.0


def sort(
    status: int = 200, value: Any = None, *, is_write: bool = True, raw: bytes | None = None, **headers: str
) -> ApiError | None:
    """What an answer means; `Retry_After="5"` is a header."""
    body = raw if raw is not None else json.dumps(value if value is not None else {}).encode()
    found, is_json = parse_json(body)
    named = {name.lower().replace("_", "-"): text for name, text in headers.items()}
    answer = Answer(
        status=status, value=found, is_json=is_json, start=body[:200].decode("utf-8", "replace"), headers=named
    )
    return sort_answer(answer, HEYGEN.errors, is_write=is_write, now=NOW)


def envelope(code: str, message: str = "said") -> dict[str, Any]:
    """As HeyGen words a failure."""
    return {"error": {"code": code, "message": message, "param": None, "doc_url": None}}


# --- by status


def _expected(status: int) -> type[ApiError] | None:
    if 200 <= status < 300:
        return None
    if 300 <= status < 400 or status in (401, 402, 407):
        return StopEverything
    if status in (425, 429):
        return Throttled
    if status == 408 or not 400 <= status < 500:
        return InDoubt
    return Rejected


@pytest.mark.parametrize("status", range(100, 600))
def test_every_status_of_a_write_has_its_class(status: int) -> None:
    """What is neither a success nor a clear refusal may have been made."""
    found = sort(status)

    assert (type(found) if found else None) is _expected(status)
    assert found is None or found.status == status
    assert found is None or found.message


@pytest.mark.parametrize("status", range(100, 600))
def test_a_read_is_never_in_doubt(status: int) -> None:
    """Reading twice costs nothing."""
    expected = _expected(status)
    found = sort(status, is_write=False)

    assert (type(found) if found else None) is (TryAgain if expected is InDoubt else expected)


@pytest.mark.parametrize("status", [0, 99, 600, 799, 999])
def test_an_impossible_status_is_in_doubt(status: int) -> None:
    """Whoever says this has not said that nothing was made."""
    assert isinstance(sort(status), InDoubt)


# --- by code

CODES: dict[type[ApiError], str] = {
    StopEverything: "unauthorized authentication_failed insufficient_credit trial_limit_exceeded trial_video_limit_exceeded "
    "plan_upgrade_required subscription_required MOVIO_PAYMENT_INSUFFICIENT_CREDIT quota_exceeded",
    Throttled: "rate_limit_exceeded",
    InDoubt: "request_in_progress resource_not_ready asset_not_available internal_error voice_provider_error "
    "service_unavailable gateway_timeout",
    Rejected: "invalid_parameter template_not_found avatar_not_found avatar_group_not_found voice_not_found asset_not_found "
    "video_not_found not_found resource_not_found content_policy_violation download_failed voice_not_usable "
    "voice_unavailable voice_expired avatar_not_usable avatar_expired avatar_consent_required forbidden "
    "resource_access_denied ai_vendor_access_restricted script_too_short tts_text_invalid no_audio_track video_too_long "
    "unlimited_mode_disabled resource_limit_reached resource_limit_exceeded conflict payload_too_large rendering_failed "
    "10003 400014",
}
BY_CODE = [(code, kind) for kind, codes in CODES.items() for code in codes.split()]


def test_every_code_of_the_catalogue_is_in_the_table() -> None:
    """A new code needs a thought about money, here as well."""
    assert set(HEYGEN.errors.rules) == {code for code, _ in BY_CODE}


@pytest.mark.parametrize(("code", "kind"), BY_CODE)
@pytest.mark.parametrize("status", [200, 400, 403, 409, 429, 500])
def test_the_code_decides_whatever_the_status(code: str, kind: type[ApiError], status: int) -> None:
    """429 alone is three different things."""
    found = sort(status, envelope(code))

    assert type(found) is kind
    assert found.code == code
    assert found.message == "said"


def test_an_error_in_a_200_is_a_failure() -> None:
    """Also with a code that nobody knows (A22)."""
    assert isinstance(sort(200, envelope("brand_new")), Rejected)
    assert isinstance(sort(200, {"error": "just words"}), Rejected)
    assert sort(200, {"error": None, "data": {}}) is None


def test_an_unknown_code_leaves_the_word_to_the_status() -> None:
    """A 503 with a new code is still a 503."""
    assert isinstance(sort(503, envelope("brand_new")), InDoubt)
    assert isinstance(sort(429, envelope("brand_new")), Throttled)


def test_a_concurrency_limit_is_told_from_a_rate() -> None:
    """It lowers the slots, and does not hold the account off."""
    slots = sort(429, envelope("rate_limit_exceeded", "Concurrency limit reached: 10 videos"))
    rate = sort(429, envelope("rate_limit_exceeded", "Rate limit exceeded"))

    assert isinstance(slots, Throttled)
    assert isinstance(rate, Throttled)
    assert (slots.slots_only, rate.slots_only) == (True, False)


@pytest.mark.parametrize(
    "error",
    ["<b>no</b>", {"message": "m"}, {"message": {"deep": "m"}}, {"message": ["a", "b"]}, {"code": 7}, ["a"], 5, True],
)
def test_an_error_of_any_form_becomes_one_line(error: Any) -> None:
    """Text, object, list, number: never empty, never two lines (B5)."""
    found = sort(400, {"error": error})

    assert isinstance(found, Rejected)
    assert found.message
    assert "\n" not in found.message
    assert found.code


def test_what_the_api_says_is_cleaned_and_cut() -> None:
    """Terminal codes, line breaks, a megabyte (S10)."""
    said = sort(
        400, {"error": {"code": "c" * 9999, "message": "\x1b]0;evil\x07\n" + "x" * 10**6, "param": "p\x1b" * 999}}
    )

    assert said is not None
    assert said.message.isprintable()
    assert len(said.message) <= 500
    assert max(len(said.code), len(said.param)) <= 80


def test_a_refusal_names_field_and_request() -> None:
    """What the person corrects, and what the provider's support asks for."""
    value = {"error": {"code": "invalid_parameter", "message": "too long", "param": "title"}}
    found = sort(400, value, X_Request_Id="req_1\x1b[31m")

    assert found is not None
    assert (found.param, found.request_id) == ("title", "req_1\ufffd[31m")


# --- bodies that are no answer

UNREADABLE = {
    "a page of HTML": b"<!DOCTYPE html><h1>Sign in</h1>",
    "nothing": b"",
    "cut": b'{"data": {"video_id": "v',
    "NaN": b'{"data": NaN}',
    "Infinity": b'{"data": -Infinity}',
    "100,000 brackets": b"[" * 100_000,
    "nested deeper than its readers can follow": b'{"data": ' + b"[" * 150 + b"]" * 150 + b"}",
    "an integer of 5,000 digits": b"1" * 5000,
    "latin-1": '{"data": "é"}'.encode("latin-1"),
    "two values": b"{}{}",
    "bytes": bytes(range(256)),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_200_that_cannot_be_read_is_in_doubt(name: str) -> None:
    """It was accepted, perhaps: a write looks again, a read reads again (A25, A26)."""
    write, read = sort(raw=UNREADABLE[name]), sort(raw=UNREADABLE[name], is_write=False)

    assert isinstance(write, InDoubt)
    assert isinstance(read, TryAgain)
    assert write.message.startswith("the answer cannot be read: ")
    assert write.message.isprintable()
    assert len(write.message) < 160


def test_an_empty_answer_says_so() -> None:
    """Rather than nothing after the colon."""
    found = sort(204, raw=b"")
    assert found is not None
    assert found.message == "the answer cannot be read: it is empty"


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        (b'{"a": 1, "a": 2}', {"a": 2}),
        (b" [1e999] ", [float("inf")]),
        (b'{"a": "\\ud83d"}', {"a": "?"}),
        (b'{"a": "\\ud83d\\ude00"}', {"a": "😀"}),
        (b'{"\\udead": 1}', {"?": 1}),
        (b'[{"a": []}' + b', {"a": []}' * 500 + b"]", [{"a": []}] * 501),
    ],
)
def test_odd_json_is_read(raw: bytes, value: Any) -> None:
    """A byte order mark is harmless; half a character would break every file and every database."""
    assert parse_json(raw) == (value, True)


# --- Retry-After


@pytest.mark.parametrize(
    ("text", "wait_s"),
    [
        (None, None), ("", None), ("   ", None), ("0", 0.0), ("5", 5.0), (" 7.5 ", 7.5), ("-5", 0.0), ("1e3", 1000.0),
        ("99999999", LONGEST_WAIT_S), ("inf", None), ("-inf", None), ("nan", None), ("1e999", None), ("soon", None),
        ("5, 6", None), ("5s", None), ("0x10", None), ("٥", 5.0), ("Ù¥", None), ("\x00", None), ("9" * 5000, None),
        (formatdate(NOW + 90, usegmt=True), 90.0), (formatdate(NOW - 90, usegmt=True), 0.0),
        (formatdate(NOW + 90, localtime=False).replace("-0000", ""), 90.0), ("Thu, 99 Foo 2026 00:00:00 GMT", None),
        ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST_WAIT_S), ("Mon, 01 Jan 0001 00:00:00 GMT", 0.0),
        ("Sat, 00 Jan 2026 99:99:99 GMT", None),
    ],
)  # fmt: skip
def test_retry_after_in_all_its_forms(text: str | None, wait_s: float | None) -> None:
    """Read leniently, clamped to a day, never an exception (A17)."""
    assert retry_after(text, now=NOW) == wait_s


def test_a_date_is_held_against_the_servers_clock() -> None:
    """Ours may be two hours off; the server's own is in the answer."""
    ours_is_late = {"Retry_After": formatdate(NOW + 7290, usegmt=True), "Date": formatdate(NOW + 7200, usegmt=True)}
    found = sort(429, **ours_is_late)
    assert isinstance(found, Throttled)
    assert found.wait_s == 90.0


def test_an_unreadable_date_leaves_our_clock() -> None:
    """Better than no wait."""
    found = sort(429, Retry_After=formatdate(NOW + 90, usegmt=True), Date="yesterday")
    assert isinstance(found, Throttled)
    assert found.wait_s == 90.0


# --- exceptions


def _subclasses(kind: type) -> Iterator[type]:
    yield kind
    for each in kind.__subclasses__():
        yield from _subclasses(each)


def _instance(kind: type[BaseException]) -> BaseException:
    error = kind.__new__(kind)
    error.args = ("said",)
    for name in ("partial", "expected", "length"):  # some show these when they are printed
        error.__dict__[name] = 0
    return error


def _exceptions() -> list[type[BaseException]]:
    found = [*_subclasses(requests.RequestException), *_subclasses(urllib3.exceptions.HTTPError), *_subclasses(OSError)]
    libraries = ("requests", "urllib3", "builtins", "socket", "ssl", "http.client")
    return sorted(
        {each for each in found if each.__module__.split(".")[0] in libraries or each.__module__ in libraries}, key=str
    )


def _deadline(*, begun: bool, passed: bool = False) -> Deadline:
    deadline = Deadline(Watchdog(), 0.0)
    deadline.begun, deadline.passed = begun, passed
    return deadline


@pytest.mark.parametrize("kind", _exceptions(), ids=lambda kind: f"{kind.__module__}.{kind.__qualname__}")
def test_no_exception_after_the_first_byte_is_safe_to_repeat(kind: type[Exception]) -> None:
    """Only the phase tells: TLS, headers and sockets raise the same before and after the request was seen."""
    error = _instance(kind)
    before = wire._broken(error, _deadline(begun=False))
    after = wire._broken(error, _deadline(begun=True))

    assert before.how is Break.NOT_SENT
    assert after.how in (Break.LOST, Break.UNREADABLE)
    assert str(before)
    assert str(after)
    assert isinstance(sort_break(before, is_write=True), Throttled)
    assert isinstance(sort_break(after, is_write=True), InDoubt)
    assert isinstance(sort_break(after, is_write=False), TryAgain)


@pytest.mark.parametrize(("begun", "how"), [(False, Break.NOT_SENT), (True, Break.LOST)])
def test_time_that_is_up_is_lost_only_when_something_was_sent(begun: bool, how: Break) -> None:
    """A connection that was never made has bought nothing."""
    assert wire._broken(OSError("x"), _deadline(begun=begun, passed=True)).how is how


@pytest.mark.parametrize("how", Break)
def test_every_break_is_sorted(how: Break) -> None:
    """For writes and for reads, with the words of the break."""
    write, read = sort_break(Broken(how, "why"), is_write=True), sort_break(Broken(how, "why"), is_write=False)

    assert (write.message, read.message) == ("why", "why")
    assert (type(write), type(read)) == ((Throttled, Throttled) if how is Break.NOT_SENT else (InDoubt, TryAgain))


# --- over a real socket

Submit = Callable[[bytes], tuple[Any, Heard]]


@pytest.fixture
def submit() -> Iterator[Submit]:
    """Submits once to a server that says the bytes; what came of it, and what the server has heard."""
    clients = []

    def do(said: bytes) -> tuple[Any, Heard]:
        with raw_server(said) as (url, heard):
            headers = {"X-Api-Key": "canary-key"}
            client = Client(
                Account(name="a", provider=HEYGEN, base_url=url, signature=KeySignature(signed=headers), is_real=False)
            )
            clients.append(client)
            try:
                return client.submit(TEMPLATE, path="/v3/templates/t", body="{}", key="k1"), heard
            except ApiError as error:
                return error, heard

    yield do
    for each in clients:
        each.close()


def test_a_write_carries_key_and_idempotency_key(submit: Submit) -> None:
    """Once, over the wire."""
    receipt, heard = submit(http(b'{"data": {"video_id": "v1"}}'))

    assert receipt.remote_id == "v1"
    assert len(heard.requests) == 1
    assert "Idempotency-Key: k1" in heard.text
    assert "X-Api-Key: canary-key" in heard.text


@pytest.mark.parametrize(
    "found",
    [
        "null",
        '""',
        "{}",
        "[]",
        "0",
        "-1",
        "true",
        "false",
        "1.5",
        '"  "',
        '{"id": "x"}',
        '"a\\u0000"',
        f'"{"9" * 501}"',
    ],
)
def test_a_200_without_a_usable_id_is_in_doubt(submit: Submit, found: str) -> None:
    """Charged, perhaps, and nameless: it is looked for, not believed (A23)."""
    error, _ = submit(http(f'{{"data": {{"video_id": {found}}}}}'.encode()))

    assert isinstance(error, InDoubt)
    assert error.code == "no_id"


@pytest.mark.parametrize(("found", "remote_id"), [('"v1"', "v1"), ("17", "17")])
def test_an_id_may_be_a_number(submit: Submit, found: str, remote_id: str) -> None:
    """Kept as its text."""
    receipt, _ = submit(http(f'{{"data": {{"video_id": {found}}}}}'.encode()))
    assert receipt.remote_id == remote_id


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
@pytest.mark.parametrize("body", [b"", b"{}"])
def test_a_redirect_is_never_followed_and_the_key_never_leaves(submit: Submit, status: int, body: bytes) -> None:
    """requests would hand `X-Api-Key` to the other host and post a second time on 307 and 308 (A27)."""
    with raw_server(http(b'{"data": {"video_id": "stolen"}}')) as (elsewhere, told):
        error, heard = submit(http(body, status=f"{status} Moved", headers=[f"Location: {elsewhere}/v3?x=secret"]))

    assert isinstance(error, StopEverything)
    assert "the base address is wrong" in error.message
    assert elsewhere in error.message
    assert "secret" not in error.message
    assert len(heard.requests) == 1
    assert told.requests == []


@pytest.mark.parametrize("location", ["", "//", "http://[", "http://\x01", "https://a.example:99999999/", "é" * 9000])
def test_a_redirect_to_nonsense_is_still_a_redirect(submit: Submit, location: str) -> None:
    """Not an exception from the library that would look like a lost answer or a fault of ours."""
    error, _ = submit(http(status="302 Found", headers=[f"Location: {location}"]).decode("utf-8").encode("utf-8"))

    assert isinstance(error, StopEverything)
    assert error.message.isprintable()


def test_a_packed_answer_is_read(submit: Submit) -> None:
    """gzip is what every server uses."""
    receipt, _ = submit(http(gzip.compress(b'{"data": {"video_id": "v1"}}'), headers=["Content-Encoding: gzip"]))
    assert receipt.remote_id == "v1"


@pytest.mark.parametrize("name", UNREADABLE)
def test_over_the_wire_an_unreadable_200_is_in_doubt_too(submit: Submit, name: str) -> None:
    """The same as by table, through requests."""
    error, _ = submit(http(UNREADABLE[name]))
    assert isinstance(error, InDoubt)


def test_nobody_there_means_nothing_was_made() -> None:
    """Refused, and no such host: wait and go on (A9)."""
    for url, said in (
        ("http://127.0.0.1:1", r"no connection: Connection refused\Z"),
        ("http://nowhere.invalid", "no connection: "),
    ):
        client = Client(
            Account(name="a", provider=HEYGEN, base_url=url, signature=KeySignature(signed={}), is_real=False)
        )
        with pytest.raises(Throttled, match=said) as caught:
            client.submit(TEMPLATE, path="/v3/templates/t", body="{}", key="k1")
        assert caught.value.wait_s is None
        client.close()


def test_a_proxy_of_the_environment_is_used_and_a_netrc_is_not(
    submit: Submit, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """A .netrc would replace the key with whatever stands there for this host (A32)."""
    (tmp_path / ".netrc").write_text("default login somebody password canary-password\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    _, heard = submit(http(b'{"data": {"video_id": "v1"}}'))

    assert "Authorization" not in heard.text
    assert "X-Api-Key: canary-key" in heard.text
