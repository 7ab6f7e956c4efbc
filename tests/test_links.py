"""`check --links`: what the addresses in a sheet really lead to, over real HTTP."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support import batcher, environment, http, raw_server

from batcher.fetch.duration import seconds
from batcher.fetch.probe import Probed, Prober
from batcher.simulator import Behaviour, Running, start
from batcher.simulator.media import content

VIDEO = content("abc.mp4")
SIGN_IN = b"<!DOCTYPE html><title>Sign in - Drive</title>" + b" " * 600


def _mdat_first(seconds_: int) -> bytes:
    """A video whose index stands behind 200,000 bytes of picture; it plays so many seconds."""
    moov = bytearray(VIDEO[VIDEO.index(b"moov") - 4 : VIDEO.index(b"mdat") - 4])
    at = moov.index(b"mvhd") + 4
    moov[at + 12 : at + 20] = (1000).to_bytes(4, "big") + (seconds_ * 1000).to_bytes(4, "big")
    start_ = VIDEO[: VIDEO.index(b"moov") - 4]
    return start_ + (8 + 200_000).to_bytes(4, "big") + b"mdat" + bytes(200_000) + bytes(moov)


def _ranged(body: bytes) -> Callable[[socket.socket, bytes, threading.Event], None]:
    def speak(connection: socket.socket, request: bytes, over: threading.Event) -> None:
        span = next(line for line in request.split(b"\r\n") if line.lower().startswith(b"range:")).split(b"=")[1]
        first, last = (int(part) for part in span.split(b"-"))
        part = body[first : last + 1]
        header = f"Content-Range: bytes {first}-{first + len(part) - 1}/{len(body)}"
        connection.sendall(http(part, status="206 Partial Content", headers=[header]))

    return speak


def probe(url: str, wants: str = "video") -> Probed:
    """One look."""
    prober = Prober(allow_loopback=True)
    try:
        return prober.probe(url, wants=wants)
    finally:
        prober.close()


@pytest.mark.parametrize(
    ("answer", "wants", "fault"),
    [
        (http(SIGN_IN), "picture", "opens a sign-in page, not a picture → share the file publicly"),
        (http(b"<html><body>My video" + b" " * 600), "video", "opens a web page, not a video"),
        (http(VIDEO), "picture", "is MP4, not a picture"),
        (http(b"", status="403 Forbidden"), "video", "cannot be opened without signing in, or is not there"),
        (http(b""), "video", "is empty"),
        (http(b"hello" * 200), "sound", "is not a sound file"),
        (http(b"", status="302 Found", headers=["Location: ftp://files.example.com/"]), "video", "only https"),
    ],
)
def test_what_is_not_the_wanted_file_is_told(answer: bytes, wants: str, fault: str) -> None:
    """Before the row is paid for, in words that say what to do."""
    with raw_server(answer) as (url, _):
        assert fault in probe(f"{url}/x", wants).fault


def test_a_few_bytes_tell_what_a_large_file_is() -> None:
    """Its size and length too, wherever its index stands; the rest of it is never read."""
    body = _mdat_first(95)
    with raw_server(_ranged(body)) as (url, heard):
        assert probe(f"{url}/x.mp4") == Probed(bytes=len(body), seconds=95.0)
    assert len(heard.requests) == 2


def test_lengths_of_sounds_are_read_from_their_headers() -> None:
    """A tenth of a second of WAV, and an MP3 of a constant bit rate."""
    assert seconds(content("x.wav"), None) == pytest.approx(0.1)
    frame = b"\xff\xfb\x90\x00" + bytes(413)  # MPEG 1, layer III, 128 kbit/s, 44.1 kHz
    assert seconds(frame * 10, 160_000) == pytest.approx(10.0)
    assert seconds(b"ID3\x04\x00\x00\x00\x00\x00\x0a" + bytes(10) + frame * 10, 160_020) == pytest.approx(10.0)


@pytest.mark.parametrize("cut", [*range(0, 60, 7), 200, 2000])
def test_a_header_that_ends_anywhere_is_no_fault(cut: int) -> None:
    """What comes from outside may be anything."""
    for name in ("x.mp4", "x.wav", "x.png"):
        for head, size in ((content(name)[:cut], cut), (content(name)[:8] + b"\xff" * cut, None)):
            told = seconds(head, size)
            assert told is None or told >= 0


@pytest.fixture
def simulator() -> Iterator[Running]:
    with start(Behaviour()) as running:
        yield running


def test_the_check_names_the_cell_and_knows_the_exact_price(tmp_path: Path, simulator: Running) -> None:
    """Each address is looked at once; the lengths that were measured replace the guess. Nothing is sent."""
    with raw_server(_ranged(_mdat_first(95))) as (good, heard), raw_server(http(SIGN_IN)) as (bad, _):
        sheet = f"id,Link\nr1,{good}/a.mp4\nr2,{bad}/b.mp4\nr3,{good}/a.mp4\n"
        (tmp_path / "clips.csv").write_text(sheet)
        job = {
            "job": "dubs",
            "operation": "heygen.translation",
            "sheet": {"file": "clips.csv", "row_id": "id"},
            "request": {"video": "{{ Link }}", "output_languages": ["German"]},
            "results": {"file": "out.csv"},
        }
        (tmp_path / "job.yaml").write_text(json.dumps(job))
        env = environment(tmp_path, simulator.url)
        done = batcher("check", "job.yaml", "--links", "--json", env=env, cwd=tmp_path)

    told = json.loads(done.stdout)
    assert done.returncode == 3
    assert told["problems"] == []
    assert told["links"] == [
        {"where": "clips.csv!B3", "message": "Link opens a sign-in page, not a video → share the file publicly"}
    ]
    assert told["cost"] == pytest.approx(0.0333 * (95 + 60 + 95), abs=0.01)
    assert "2 addresses looked at, the length of 1 known: 1.58 min" in told["notes"]
    assert len(heard.requests) == 2
    assert simulator.report()["posts_at"] == []
