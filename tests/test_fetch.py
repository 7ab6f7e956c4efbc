"""Fetching finished files over real connections: cut, stalled, wrong, expired, and on disks that are full."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher import media
from batcher.fetch.client import Fetched, Fetcher
from batcher.fetch.errors import DiskTrouble, FetchError, LinkExpired, Occupied, Refused, TryLater
from batcher.fetch.pulse import GRACE_S, SLOWEST_BYTES_S, Pulse
from batcher.simulator.media import content

VIDEO = content("abc.mp4") + (8 + 200_000).to_bytes(4, "big") + b"free" + bytes(range(200)) * 1000
OTHER = VIDEO[:-1] + b"!"
PAGE = b"<!DOCTYPE html><title>Sign in</title>" + b" " * 600

Answer = bytes | Callable[["Site", socket.socket], None]


class Site:
    """Answers one request after the other with its answers, byte for byte, the last one for ever; closes after each."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []
        self.closing = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/v/abc.mp4?Expires=1&Signature=secret"
        self._threads = [threading.Thread(target=self._serve)]
        self._threads[0].start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            if self.closing.is_set():
                connection.close()
                return
            self._threads.append(threading.Thread(target=self._answer, args=(connection,)))
            self._threads[-1].start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            head = b""
            while b"\r\n\r\n" not in head:
                block = connection.recv(65536)
                if not block:
                    return
                head += block
            self.asked.append(head.decode("latin-1"))
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            with contextlib.suppress(OSError):  # the client has seen enough
                answer(self, connection) if callable(answer) else connection.sendall(answer)

    def close(self) -> None:
        self.closing.set()
        socket.create_connection(self._listener.getsockname()).close()
        for thread in self._threads:
            thread.join(10)
        self._listener.close()


def reply(body: bytes = VIDEO, *, status: str = "200 OK", length: int | None = None, **headers: str) -> bytes:
    """A whole answer; `length` says something else in Content-Length."""
    fields = {"Content-Length": str(len(body) if length is None else length), **headers}
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode() + body


def unmeasured(body: bytes) -> bytes:
    """An answer that ends when the connection does."""
    return b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body


def chunked(body: bytes, *, end: bytes = b"0\r\n\r\n") -> bytes:
    """An answer in one chunk."""
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n" % (len(body), body) + end


def rest(start: int, body: bytes = VIDEO, etag: str = '"v1"') -> bytes:
    """The part from a byte on."""
    span = f"bytes {start}-{len(body) - 1}/{len(body)}"
    return reply(body[start:], status="206 Partial Content", Content_Range=span, ETag=etag)


def cut(at: int, body: bytes = VIDEO, etag: str = '"v1"') -> bytes:
    """An answer that breaks off."""
    return reply(body[:at], length=len(body), ETag=etag)


@pytest.fixture
def make_site() -> Iterator[Callable[..., Site]]:
    """Starts sites."""
    sites: list[Site] = []

    def make(*answers: Answer) -> Site:
        sites.append(Site(*answers))
        return sites[-1]

    yield make
    for site in sites:
        site.close()


@pytest.fixture
def make_fetcher() -> Iterator[Callable[..., Fetcher]]:
    """Makes fetchers that may reach this machine."""
    fetchers: list[Fetcher] = []

    def make(**changes: Any) -> Fetcher:
        fetchers.append(Fetcher(**{"allow_loopback": True, "spare_bytes": 0, **changes}))
        return fetchers[-1]

    yield make
    for fetcher in fetchers:
        fetcher.close()


@pytest.fixture
def fetch(make_fetcher: Callable[..., Fetcher], tmp_path: Path) -> Callable[..., Fetched]:
    """Fetches to `videos/a.mp4`, or another name there."""

    def run(site: Site, name: str = "a.mp4", **changes: Any) -> Fetched:
        folder = tmp_path / "videos"
        return make_fetcher(**changes).fetch(site.url, folder / name, folder=folder)

    return run


def names(tmp_path: Path) -> list[str]:
    """What stands in the folder."""
    return sorted(path.name for path in (tmp_path / "videos").iterdir())


def test_a_file_comes_whole_and_alone(fetch: Any, make_site: Any, tmp_path: Path) -> None:
    """Nothing but the file is left, readable as the user's other files are."""
    (tmp_path / "plain").write_bytes(b"")

    fetched = fetch(make_site(reply()))

    assert fetched == Fetched(bytes=len(VIDEO), path=tmp_path / "videos" / "a.mp4")
    assert fetched.path.read_bytes() == VIDEO
    assert names(tmp_path) == ["a.mp4"]
    assert fetched.path.stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_folders_of_the_template_are_made(fetch: Any, make_site: Any, tmp_path: Path) -> None:
    """Sub-folders come from the job's template."""
    assert fetch(make_site(reply()), "de/2026/a.mp4").path == tmp_path / "videos/de/2026/a.mp4"


@pytest.mark.parametrize("answer", [unmeasured(VIDEO), chunked(VIDEO)], ids=["close", "chunked"])
def test_a_file_without_a_length_comes_too(answer: bytes, fetch: Any, make_site: Any) -> None:
    """The boxes of the video say that it is whole."""
    assert fetch(make_site(answer)).path.read_bytes() == VIDEO


def test_many_files_come_at_once(make_site: Any, make_fetcher: Any, tmp_path: Path) -> None:
    """One fetcher serves a pool of threads."""
    site, fetcher = make_site(reply()), make_fetcher()

    with ThreadPoolExecutor(8) as pool:
        targets = [tmp_path / f"{number}.mp4" for number in range(24)]
        done = list(pool.map(lambda target: fetcher.fetch(site.url, target, folder=tmp_path), targets))

    assert all(fetched.path.read_bytes() == VIDEO for fetched in done)


def test_a_connection_that_was_closed_unseen_is_no_trouble(make_site: Any, make_fetcher: Any, tmp_path: Path) -> None:
    """Servers close idle connections whenever they like: the next file goes over a new one."""

    def once(site: Site, connection: socket.socket) -> None:
        connection.sendall(reply())
        connection.recv(1)  # closes in the face of the second request

    site, fetcher = make_site(once), make_fetcher()

    for name in ("a.mp4", "b.mp4"):
        assert fetcher.fetch(site.url, tmp_path / name, folder=tmp_path).bytes == len(VIDEO)


def test_the_simulators_files_pass(make_simulator: Any, make_fetcher: Any, tmp_path: Path) -> None:
    """A rehearsal fetches what the simulator makes."""
    url = make_simulator().url

    for name in ("a.mp4", "a.png", "a.gif", "a.wav", "a.srt", "a.vtt"):
        fetched = make_fetcher().fetch(f"{url}/previews/{name}", tmp_path / name, folder=tmp_path)
        assert fetched == Fetched(bytes=len(content(name)), path=tmp_path / name)


# What breaks off


@pytest.mark.parametrize(
    "answer",
    [
        reply(VIDEO[:1000], length=len(VIDEO)),
        unmeasured(VIDEO[:-1]),
        unmeasured(VIDEO[:1000]),
        unmeasured(VIDEO[:24]),
        unmeasured(VIDEO[:3]),
        chunked(VIDEO[:-1]),
        chunked(VIDEO, end=b""),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n" + VIDEO[:500],
        reply(b""),
        unmeasured(b""),
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"SSH-2.0-OpenSSH_9.2\r\n",
    ],
)
def test_what_breaks_off_is_no_file(answer: bytes, fetch: Any, make_site: Any, tmp_path: Path) -> None:
    """Cut with and without a length: never taken for whole, and nothing is left that could not be gone on with."""
    with pytest.raises((TryLater, Refused)) as caught:
        fetch(make_site(answer))

    assert isinstance(caught.value, TryLater) or "not a video" in str(caught.value)
    assert "a.mp4" not in names(tmp_path)


@pytest.mark.parametrize("first", [1, 100, 511, 512, 513, 70_000, len(VIDEO) - 1])
def test_a_broken_transfer_is_gone_on_with(first: int, fetch: Any, make_site: Any, tmp_path: Path) -> None:
    """Only what is missing is asked for, and only of the very same content."""
    site = make_site(cut(first), rest(first))
    with pytest.raises(TryLater, match=f"{len(VIDEO) - first:,} bytes are missing"):
        fetch(site)
    assert names(tmp_path) == ["a.mp4.part", "a.mp4.part.json"]

    assert fetch(site).path.read_bytes() == VIDEO

    assert f"\r\nRange: bytes={first}-\r\n" in site.asked[1]
    assert '\r\nIf-Range: "v1"\r\n' in site.asked[1]
    assert names(tmp_path) == ["a.mp4"]


def test_a_freshly_signed_link_goes_on_with_the_same_file(fetch: Any, make_site: Any) -> None:
    """Only the signature has changed: the place and the server's mark are the same."""
    site = make_site(cut(1000), rest(1000))
    with pytest.raises(TryLater):
        fetch(site)
    site.url = site.url.replace("secret", "fresh")

    assert fetch(site).path.read_bytes() == VIDEO
    assert "Range: bytes=1000-" in site.asked[1]


@pytest.mark.parametrize(
    "answer",
    [
        reply(OTHER, ETag='"v2"'),
        reply(OTHER),
        chunked(OTHER),
    ],
)
def test_a_file_that_has_changed_is_fetched_anew(answer: bytes, fetch: Any, make_site: Any) -> None:
    """If-Range answers 200 with all of the new content: no byte of the old one is in it."""
    site = make_site(cut(1000), answer)
    with pytest.raises(TryLater):
        fetch(site)

    assert fetch(site).path.read_bytes() == OTHER


@pytest.mark.parametrize(
    "part",
    [
        rest(900, OTHER),
        rest(1000, OTHER, etag='"v2"'),
        rest(1000, OTHER + b"...."),
        reply(OTHER[1000:], status="206 Partial Content", ETag='"v1"'),
        reply(b"", status="416 Range Not Satisfiable", Content_Range="bytes */5"),
    ],
    ids=["other start", "other mark", "other size", "no range", "no such range"],
)
def test_a_part_that_does_not_fit_is_not_joined(part: bytes, fetch: Any, make_site: Any) -> None:
    """Then all of it is asked for again."""
    site = make_site(cut(1000), part, reply(OTHER))
    with pytest.raises(TryLater):
        fetch(site)

    assert fetch(site).path.read_bytes() == OTHER
    assert "Range:" not in site.asked[2]


def test_another_place_is_never_joined(fetch: Any, make_site: Any) -> None:
    """A mark holds for one place only: two videos of one server may share it."""
    site = make_site(cut(1000), reply(OTHER))
    with pytest.raises(TryLater):
        fetch(site)
    site.url = site.url.replace("abc", "def")

    assert fetch(site).path.read_bytes() == OTHER
    assert "Range:" not in site.asked[1]


def test_without_a_mark_only_the_very_same_link_goes_on(fetch: Any, make_site: Any) -> None:
    """A length alone is no proof: two greetings can be equally long."""
    site = make_site(cut(1000, etag="W/weak"), cut(1000, etag="W/weak"), rest(1000, etag=""))
    with pytest.raises(TryLater):
        fetch(site)
    site.url = site.url.replace("secret", "fresh")
    with pytest.raises(TryLater):
        fetch(site)

    assert fetch(site).path.read_bytes() == VIDEO
    assert ["Range:" in request for request in site.asked] == [False, False, True]


@pytest.mark.parametrize("note", [b"", b"{}", b"[]", b"\xff", b'{"source":1,"link":2,"etag":3,"size":4}'])
def test_a_part_of_unknown_origin_is_not_gone_on_with(note: bytes, fetch: Any, make_site: Any, tmp_path: Path) -> None:
    """Whatever stands beside it, it is begun anew."""
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos/a.mp4.part").write_bytes(OTHER[:1000])
    (tmp_path / "videos/a.mp4.part.json").write_bytes(note)
    site = make_site(reply())

    assert fetch(site).path.read_bytes() == VIDEO
    assert "Range:" not in site.asked[0]
    assert names(tmp_path) == ["a.mp4"]


def test_no_signature_is_written_down(fetch: Any, make_site: Any, tmp_path: Path) -> None:
    """Signed links are secrets, in messages and in what is kept beside a part."""
    with pytest.raises(TryLater) as caught:
        fetch(make_site(cut(1000)))

    assert "secret" not in str(caught.value)
    assert "secret" not in (tmp_path / "videos/a.mp4.part.json").read_text()


# What stalls


def drip(site: Site, connection: socket.socket) -> None:
    """A byte now and then, for ever."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while not site.closing.wait(0.01):
        connection.sendall(b"\0")


def drip_header(site: Site, connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Endless: ")
    while not site.closing.wait(0.01):
        connection.sendall(b"a")


def drip_chunk_size(site: Site, connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;")
    while not site.closing.wait(0.01):
        connection.sendall(b"a")


def fall_silent(site: Site, connection: socket.socket) -> None:
    connection.sendall(cut(1000))
    site.closing.wait(60)


def never_answer(site: Site, connection: socket.socket) -> None:
    site.closing.wait(60)


@pytest.mark.parametrize("answer", [drip, drip_header, drip_chunk_size, fall_silent, never_answer])
def test_a_transfer_without_a_pulse_is_given_up(answer: Answer, fetch: Any, make_site: Any) -> None:
    """Time-outs of a socket never fire while a byte comes now and then."""
    with pytest.raises(TryLater, match=r"stalled|no answer in time"):
        fetch(make_site(answer), stall_s=0.2)


def test_a_stalled_transfer_is_gone_on_with(fetch: Any, make_site: Any) -> None:
    """What has come is kept."""
    site = make_site(fall_silent, rest(1000))
    with pytest.raises(TryLater):
        fetch(site, stall_s=0.2)

    assert fetch(site).path.read_bytes() == VIDEO


def test_a_transfer_may_last_as_long_as_its_size_allows() -> None:
    """Slow but steady is fine up to a total time that grows with the size."""
    pulse = Pulse(stall_s=30, now=0)
    pulse.expects(SLOWEST_BYTES_S * 1000)

    for now in range(10, int(GRACE_S) + 1001, 10):
        pulse.comes(SLOWEST_BYTES_S * 5)
        assert pulse.judge(now) == ""
    assert "too slow" in pulse.judge(GRACE_S + 1001)


def test_each_window_wants_its_bytes() -> None:
    """Many bytes once do not excuse silence afterwards."""
    pulse = Pulse(stall_s=30, now=0)
    pulse.comes(10_000_000)

    assert pulse.judge(29) == ""
    assert pulse.judge(30) == ""
    assert pulse.judge(59) == ""
    assert pulse.judge(60) == "stalled: 0 bytes in 30 s"


# What is not the file


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (PAGE, "web page"),
        (b"\xef\xbb\xbf\n <html>" + bytes(9), "web page"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "XML"),
        (b'{"error": "expired"}', "JSON"),
        (b'[{"a": 1}]', "JSON"),
        (b"Access denied", "not a video"),
        (bytes(2000), "not a video"),
        (content("a.png"), "PNG, not a video"),
        (content("a.wav"), "WAV, not a video"),
    ],
)
def test_a_page_with_status_200_is_no_video(body: bytes, word: str, fetch: Any, make_site: Any, tmp_path: Path) -> None:
    """It is refused with what it is, and nothing of it is kept."""
    with pytest.raises(Refused, match=word):
        fetch(make_site(reply(body, Content_Type="video/mp4")))

    assert names(tmp_path) == []


def begin(body: bytes, *, length: int) -> Answer:
    """An answer of which only the beginning ever comes."""

    def answer(site: Site, connection: socket.socket) -> None:
        connection.sendall(reply(body, length=length))
        site.closing.wait(60)

    return answer


def test_a_long_page_is_refused_from_its_first_bytes(fetch: Any, make_site: Any) -> None:
    """Its end, which never comes, is not waited for."""
    with pytest.raises(Refused, match="web page"):
        fetch(make_site(begin(PAGE, length=5_000_000_000)), spare_bytes=-5_000_000_000)


def test_what_a_length_says_is_enough(fetch: Any, make_site: Any, tmp_path: Path) -> None:
    """Too large, no room, or another file than the one that stands there: seen before the first byte."""
    with pytest.raises(Refused, match="larger than"):
        fetch(make_site(begin(b"", length=20_000_000_000)))
    with pytest.raises(DiskTrouble, match="MB are wanted"):
        fetch(make_site(begin(b"", length=9_000_000_000)), spare_bytes=10**18)
    (tmp_path / "videos/a.mp4").write_bytes(b"mine")
    with pytest.raises(Occupied):
        fetch(make_site(begin(b"", length=5)))


def test_a_whole_answer_of_a_damaged_video_is_refused(fetch: Any, make_site: Any) -> None:
    """Asking again would bring the same."""
    with pytest.raises(Refused, match="damaged where it comes from: it is 1 bytes short"):
        fetch(make_site(reply(VIDEO[:-1])))


def test_a_video_without_an_index_is_refused(fetch: Any, make_site: Any) -> None:
    """It has all its bytes and cannot be played."""
    with pytest.raises(Refused, match="moov"):
        fetch(make_site(reply(VIDEO.replace(b"moov", b"free"))))


def test_a_picture_of_another_kind_is_told(fetch: Any, make_site: Any) -> None:
    """It is of use, but not what its name says."""
    assert fetch(make_site(reply(content("a.png"))), "a.jpg").note == "is PNG inside, though its name ends in .jpg"


def test_what_is_too_large_is_refused(fetch: Any, make_site: Any, tmp_path: Path) -> None:
    """With a length before a byte of it is written, without one as soon as it is."""
    for answer in (reply(), unmeasured(VIDEO), chunked(VIDEO)):
        with pytest.raises(Refused, match="larger than 1,000 bytes"):
            fetch(make_site(answer), max_bytes=1000)

    assert names(tmp_path) == []


def test_what_comes_packed_is_refused(fetch: Any, make_site: Any) -> None:
    """A few bytes could unpack into a full disk."""
    with pytest.raises(Refused, match="packs the file"):
        fetch(make_site(reply(Content_Encoding="gzip")))


EBML = b"\x1aE\xdf\xa3\x84abcd"
WHOLE: dict[str, bytes] = {
    ".mp4": VIDEO,
    ".m4a": VIDEO,
    ".mov": VIDEO,
    ".webm": EBML + b"\x18S\x80g\x01" + (100).to_bytes(7, "big") + bytes(100),
    ".wav": content("a.wav"),
    ".png": content("a.png"),
    ".gif": content("a.gif"),
    ".jpg": b"\xff\xd8\xff\xe0" + bytes(50) + b"\xff\xd9",
    ".webp": b"RIFF" + (54).to_bytes(4, "little") + b"WEBP" + bytes(50),
}
ENDLESS: dict[str, bytes] = {
    ".webm": EBML + b"\x18S\x80g\x01" + b"\xff" * 7 + bytes(50),
    ".wav": b"RIFF\xff\xff\xff\xffWAVE" + bytes(50),
    ".mp3": b"ID3\x04" + bytes(50),
    ".aac": b"\xff\xf1" + bytes(50),
    ".ogg": b"OggS" + bytes(50),
    ".flac": b"fLaC" + bytes(50),
    ".srt": b"\xef\xbb\xbf1\r\n00:00:01,000 --> 00:00:02,000\r\nHello\r\n",
    ".vtt": b"\xef\xbb\xbfWEBVTT\n\n00:01.000 --> 00:02.000\nHello\n",
    ".txt": b"whatever",
}


@pytest.mark.parametrize(("suffix", "body"), [*WHOLE.items(), *ENDLESS.items()])
def test_every_kind_of_output_is_known(suffix: str, body: bytes) -> None:
    """Videos, sound, pictures, captions, and what we know nothing of."""
    assert media.foreign(body[: media.HEAD_BYTES], suffix) == ""
    assert media.mismatch(body[: media.HEAD_BYTES], suffix) == ""
    assert media.unwhole(io.BytesIO(body), len(body)) == ""


@pytest.mark.parametrize(("suffix", "body"), WHOLE.items())
def test_a_missing_end_is_seen_in_the_file_itself(suffix: str, body: bytes) -> None:
    """Of every kind that tells its length or has an end."""
    for lost in (1, 2, 9, 20):
        assert media.unwhole(io.BytesIO(body[:-lost]), len(body) - lost)


@pytest.mark.parametrize("suffix", [*WHOLE, *(suffix for suffix in ENDLESS if suffix != ".txt"), ".txt", ".MP4", ""])
def test_pages_are_no_output_of_any_kind(suffix: str) -> None:
    """Also where captions are wanted, which are text too."""
    for page in (PAGE, b"<?xml version='1.0'?><Error/>", b'{"error": 1}', b" \n<HTML>"):
        assert media.foreign(page, suffix)


@given(st.sampled_from([*WHOLE.values(), *ENDLESS.values()]), st.integers(0, 60), st.binary(max_size=60))
def test_no_bytes_confuse_the_check(body: bytes, at: int, other: bytes) -> None:
    """Whatever the sizes in it say: an answer, never a crash."""
    mixed = body[:at] + other + body[at + len(other) :]

    assert isinstance(media.unwhole(io.BytesIO(mixed), len(mixed)), str)
    assert isinstance(media.foreign(mixed, ".mp4"), str)


# What a status means

STATUSES: list[tuple[int, type[FetchError]]] = [
    *((status, LinkExpired) for status in (400, 401, 403, 404, 410)),
    *((status, TryLater) for status in (206, 408, 409, 423, 425, 429, 500, 502, 503, 504, 520, 599)),
    *((status, Refused) for status in (201, 204, 300, 304, 305, 402, 405, 406, 412, 416, 418, 451)),
]


@pytest.mark.parametrize(("status", "error"), STATUSES)
def test_every_status_says_what_to_do_next(
    status: int, error: type[FetchError], fetch: Any, make_site: Any, tmp_path: Path
) -> None:
    """Expired links are asked for again, busy servers later, the rest never."""
    with pytest.raises(error):
        fetch(make_site(reply(b"x", status=f"{status} Word")))

    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("text", "wait_s"),
    [("7", 7.0), ("7.5", 7.5), ("1e9", 3600.0), ("-5", None), ("", None), ("soon", None), ("7 s", None)],
)
def test_a_busy_servers_wish_is_told(text: str, wait_s: float | None, fetch: Any, make_site: Any) -> None:
    """Retry-After in seconds, however odd, at most an hour."""
    with pytest.raises(TryLater) as caught:
        fetch(make_site(reply(b"", status="503 Busy", Retry_After=text)))

    assert caught.value.wait_s == wait_s


def test_an_expired_link_keeps_what_has_come(fetch: Any, make_site: Any) -> None:
    """The fresh link goes on with it."""
    site = make_site(cut(1000), reply(b"", status="403 Forbidden"), rest(1000))
    for error in (TryLater, LinkExpired):
        with pytest.raises(error):
            fetch(site)

    assert fetch(site).path.read_bytes() == VIDEO


def test_no_connection_is_for_later(fetch: Any, make_site: Any) -> None:
    """Nobody listens any more."""
    site = make_site(reply())
    with socket.create_server(("127.0.0.1", 0)) as listener:
        site.url = f"http://127.0.0.1:{listener.getsockname()[1]}/a.mp4"

    with pytest.raises(TryLater, match=r"no connection to 127\.0\.0\.1: Connection refused"):
        fetch(site)


def test_a_link_to_a_host_that_is_none_is_for_later(make_fetcher: Any, tmp_path: Path) -> None:
    """The network may be down."""
    with pytest.raises(TryLater, match="no such host"):
        make_fetcher().fetch("https://nowhere.invalid/a.mp4", tmp_path / "a.mp4", folder=tmp_path)


# What stands there already


def test_an_equal_file_is_left_as_it_is(fetch: Any, make_site: Any, tmp_path: Path) -> None:
    """Fetching twice is harmless."""
    before = fetch(make_site(reply())).path.stat()

    fetched = fetch(make_site(reply()))

    assert fetched.path.stat().st_ino == before.st_ino
    assert names(tmp_path) == ["a.mp4"]


@pytest.mark.parametrize("answer", [reply(), chunked(VIDEO)], ids=["length", "chunked"])
@pytest.mark.parametrize("standing", [b"mine", OTHER], ids=["other length", "same length"])
def test_a_different_file_is_never_replaced(
    standing: bytes, answer: bytes, fetch: Any, make_site: Any, tmp_path: Path
) -> None:
    """Whoever put it there wants it."""
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos/a.mp4").write_bytes(standing)

    with pytest.raises(Occupied, match="a different file stands there already"):
        fetch(make_site(answer))

    assert (tmp_path / "videos/a.mp4").read_bytes() == standing
    assert names(tmp_path) == ["a.mp4"]


def test_a_file_that_appears_meanwhile_is_not_replaced(fetch: Any, make_site: Any, tmp_path: Path) -> None:
    """The name is taken in one move that fails when somebody was faster."""

    def slip_in(site: Site, connection: socket.socket) -> None:
        (tmp_path / "videos/a.mp4").write_bytes(OTHER)
        connection.sendall(reply())

    with pytest.raises(Occupied):
        fetch(make_site(slip_in))

    assert (tmp_path / "videos/a.mp4").read_bytes() == OTHER


def test_disks_without_hard_links_take_files_too(
    fetch: Any, make_site: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """USB sticks and some shares know none; a different file is still not replaced."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)

    assert fetch(make_site(reply())).path.read_bytes() == VIDEO
    with pytest.raises(Occupied):
        fetch(make_site(chunked(OTHER)))
    assert names(tmp_path) == ["a.mp4"]


def test_links_and_folders_at_the_target_are_left_alone(fetch: Any, make_site: Any, tmp_path: Path) -> None:
    """A link is not followed, not even one to nowhere."""
    folder = tmp_path / "videos"
    (folder / "d.mp4").mkdir(parents=True)
    (folder / "l.mp4").symlink_to(tmp_path / "elsewhere.mp4")
    (folder / "f").write_bytes(b"a file")

    for name in ("d.mp4", "l.mp4", "f/a.mp4"):
        with pytest.raises(Occupied):
            fetch(make_site(reply()), name)

    assert not (tmp_path / "elsewhere.mp4").exists()
    assert names(tmp_path) == ["d.mp4", "f", "l.mp4"]


def test_links_at_the_parts_place_are_not_written_through(fetch: Any, make_site: Any, tmp_path: Path) -> None:
    """Neither a link nor a second name of a file, nor a pipe."""
    folder, mine = tmp_path / "videos", tmp_path / "mine"
    folder.mkdir()
    mine.write_bytes(b"mine")
    (folder / "a.mp4.part").symlink_to(mine)
    (folder / "a.mp4.part.json").symlink_to(mine)
    (tmp_path / "mine too").write_bytes(b"mine")
    os.link(tmp_path / "mine too", folder / "b.mp4.part")
    os.mkfifo(folder / "c.mp4.part")

    for name in ("a.mp4", "b.mp4", "c.mp4"):
        assert fetch(make_site(reply()), name).path.read_bytes() == VIDEO

    assert mine.read_bytes() == (tmp_path / "mine too").read_bytes() == b"mine"
    assert names(tmp_path) == ["a.mp4", "b.mp4", "c.mp4"]


def test_a_link_out_of_the_folder_is_refused(fetch: Any, make_site: Any, tmp_path: Path) -> None:
    """A sub-folder may be a link, as long as it stays inside."""
    folder, outside = tmp_path / "videos", tmp_path / "outside"
    (folder / "inside").mkdir(parents=True)
    outside.mkdir()
    (folder / "near").symlink_to("inside")
    (folder / "far").symlink_to(outside)
    (folder / "inside" / "up").symlink_to("../..")

    assert fetch(make_site(reply()), "near/a.mp4").path == folder / "inside/a.mp4"
    for name in ("far/a.mp4", "far/deeper/a.mp4", "near/up/a.mp4", "inside/up/videos/../x/a.mp4", "../a.mp4"):
        with pytest.raises(Refused, match=r"leads out of|is not inside"):
            fetch(make_site(reply()), name)

    assert list(outside.iterdir()) == []


def test_two_never_write_the_same_part(fetch: Any, make_site: Any) -> None:
    """The second one is told that another run is at it."""
    inside, go_on = threading.Event(), threading.Event()

    def wait(site: Site, connection: socket.socket) -> None:
        inside.set()
        go_on.wait(60)
        connection.sendall(reply())

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(fetch, make_site(wait))
        assert inside.wait(60)
        with pytest.raises(TryLater, match="another run is fetching it"):
            fetch(make_site(reply(OTHER)))
        go_on.set()
        assert first.result().path.read_bytes() == VIDEO


# Disks

_CHILD = """
import resource, sys
from pathlib import Path
from batcher.fetch.client import Fetcher
from batcher.fetch.errors import FetchError
url, folder, limit, spare = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
with Fetcher(allow_loopback=True, spare_bytes=spare) as fetcher:
    try:
        fetcher.fetch(url, folder / "a.mp4", folder=folder)
    except FetchError as error:
        print(type(error).__name__, error, sorted(path.name for path in folder.iterdir()), sep="|")
"""


def child(*arguments: object, before: tuple[str, ...] = ()) -> str:
    command = [*before, sys.executable, "-W", "error", "-c", _CHILD, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if before and done.returncode and "unshare" in done.stderr + done.stdout:
        pytest.skip(f"no mounts here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_file_beyond_the_limit_is_taken_away(make_site: Any, tmp_path: Path) -> None:
    """EFBIG in the middle of it: nothing of it is left, and the error says why."""
    said = child(make_site(reply()).url, tmp_path, 100_000, 0)

    assert re.fullmatch(r"DiskTrouble\|a.mp4: cannot be written: the file is too large for this disk .*\|\[\]", said)


@pytest.mark.parametrize(
    ("answer", "word"), [(reply(), "MB are free"), (chunked(VIDEO), "No space left on device")], ids=["before", "amid"]
)
def test_a_full_disk_stops_the_fetching(answer: bytes, word: str, make_site: Any, tmp_path: Path) -> None:
    """Seen before where the length is known, else met: nothing of the file is left."""
    mount = f'mount -t tmpfs -o size=64k none {tmp_path} && exec "$@"'
    before = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, "sh")

    said = child(make_site(answer).url, tmp_path, 0, 0, before=before)

    assert re.fullmatch(rf"DiskTrouble\|a.mp4: .*{word}.*\|\[\]", said)


@pytest.mark.skipif(not shutil.which("strace"), reason="no strace here")
def test_a_file_is_on_disk_before_it_has_its_name(make_site: Any, tmp_path: Path) -> None:
    """And its folder after: a power cut leaves the whole file, or none."""
    trace = tmp_path / "trace"

    child(
        make_site(reply()).url,
        tmp_path / "videos",
        0,
        0,
        before=("strace", "-f", "-y", "-o", str(trace), "-e", "trace=fsync,link,linkat,rename"),
    )

    calls = [line for line in trace.read_text().splitlines() if "/videos" in line]
    assert [re.sub(r".*? (\w+)\(.*", r"\1", line) for line in calls] in (
        ["fsync", "linkat", "fsync"],
        ["fsync", "link", "fsync"],
    )


def test_room_is_left_for_the_ledger(fetch: Any, make_site: Any, tmp_path: Path) -> None:
    """A disk is not filled to the brim."""
    with pytest.raises(DiskTrouble, match="are wanted"):
        fetch(make_site(reply()), spare_bytes=10**18)

    assert names(tmp_path) == []


def test_a_folder_that_cannot_be_written_stops_the_fetching(make_site: Any, make_fetcher: Any) -> None:
    """A place where nobody may make a file."""
    folder = Path("/proc/self")

    with pytest.raises(DiskTrouble, match="cannot be written"):
        make_fetcher().fetch(make_site(reply()).url, folder / "a.mp4", folder=folder)
