"""The files that the simulator serves: tiny, valid, and different for every video; and the links that lead to them."""

from __future__ import annotations

import hashlib
import hmac
import struct
import zlib
from collections.abc import Callable, Mapping

MEDIA_TYPES: Mapping[str, str] = {
    "mp4": "video/mp4",
    "webm": "video/webm",
    "png": "image/png",
    "gif": "image/gif",
    "wav": "audio/wav",
    "srt": "application/x-subrip",
    "vtt": "text/vtt",
}


class Links:
    """
    Signed links that stop working.

    Args:
        secret: What signatures are made with.
        life_s: For how many seconds a link works.
        clock: Unix seconds.
    """

    def __init__(self, secret: bytes, *, life_s: float, clock: Callable[[], float]) -> None:
        self._secret = secret
        self._life_s = life_s
        self._clock = clock

    def sign(self, base: str, name: str) -> str:
        """Return a link to a file such as `ab12.mp4` that works from now on."""
        expires = int(self._clock() + self._life_s)
        return f"{base}/files/{name}?Expires={expires}&Signature={self._signature(name, str(expires))}"

    def holds(self, name: str, *, expires: str, signature: str) -> bool:
        """Return whether the signature is ours and the link has not expired."""
        if not hmac.compare_digest(self._signature(name, expires), signature):
            return False
        return self._clock() <= int(expires)

    def _signature(self, name: str, expires: str) -> str:
        # A keyed hash of a short text: ten times as fast as HMAC, and a list signs hundreds of links.
        return hashlib.blake2b(f"{name} {expires}".encode(), key=self._secret, digest_size=16).hexdigest()


def content(name: str) -> bytes:
    """Return the bytes of a file; its name decides the kind, and makes its content unlike any other's."""
    stem, _, extension = name.rpartition(".")
    if extension == "mp4":
        return _mp4(stem)
    if extension == "webm":
        return _webm(stem)
    if extension == "wav":
        return _wav()
    if extension == "gif":
        return b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"
    if extension == "srt":
        return b"1\n00:00:00,000 --> 00:00:01,000\n" + stem.encode() + b"\n"
    if extension == "vtt":
        return b"WEBVTT\n\n00:00.000 --> 00:01.000\n" + stem.encode() + b"\n"
    return _png()


def sniffed(body: bytes) -> str | None:
    """Return the media type that the first bytes of an upload show; None when it is none that HeyGen takes."""
    for start, offset, kind in _MAGIC:
        if body[offset : offset + len(start)] == start:
            return kind
    if b" --> " in body[:4096]:
        return "application/x-subrip"
    return None


_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", 0, "image/png"),
    (b"\xff\xd8\xff", 0, "image/jpeg"),
    (b"ftyp", 4, "video/mp4"),
    (b"\x1aE\xdf\xa3", 0, "video/webm"),
    (b"ID3", 0, "audio/mpeg"),
    (b"\xff\xfb", 0, "audio/mpeg"),
    (b"WAVE", 8, "audio/wav"),
    (b"%PDF-", 0, "application/pdf"),
)


def _box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(body), kind) + body


def _mp4(stem: str) -> bytes:
    """Return a video of no tracks and one second: type, movie header, and data that names it."""
    matrix = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
    header = (
        struct.pack(">IIIIIIH10x", 0, 0, 0, 1000, 1000, 0x10000, 0x0100) + matrix + bytes(24) + struct.pack(">I", 1)
    )
    return (
        _box(b"ftyp", b"isom\x00\x00\x02\x00isomiso2mp41")
        + _box(b"moov", _box(b"mvhd", header))
        + _box(b"mdat", stem.encode() + bytes(2048))
    )


def _element(identity: str, body: bytes) -> bytes:
    """Return an EBML element; its size takes one byte or eight."""
    size = bytes([len(body) | 0x80]) if len(body) < 127 else (len(body) | 1 << 56).to_bytes(8, "big")
    return bytes.fromhex(identity) + size + body


def _webm(stem: str) -> bytes:
    """Return a video of one VP8 track and one second: EBML header, segment with its information and track, and data that names it."""
    kind = (
        _element("4286", b"\x01") + _element("42f7", b"\x01") + _element("42f2", b"\x04") + _element("42f3", b"\x08")
        + _element("4282", b"webm") + _element("4287", b"\x02") + _element("4285", b"\x02")
    )  # fmt: skip
    facts = (
        _element("2ad7b1", (1_000_000).to_bytes(3, "big")) + _element("4489", struct.pack(">d", 1000))
        + _element("4d80", b"batcher") + _element("5741", b"batcher") + _element("7ba9", stem.encode())
    )  # fmt: skip
    picture = _element("b0", b"\x02\x80") + _element("ba", b"\x01\x68")
    track = (
        _element("d7", b"\x01") + _element("73c5", b"\x01") + _element("83", b"\x01") + _element("86", b"V_VP8")
        + _element("e0", picture)
    )  # fmt: skip
    cluster = _element("e7", b"\x00") + _element("a3", b"\x81\x00\x00\x80" + bytes(2048))
    segment = _element("1549a966", facts) + _element("1654ae6b", _element("ae", track)) + _element("1f43b675", cluster)
    return _element("1a45dfa3", kind) + _element("18538067", segment)


def _png() -> bytes:
    """Return one grey pixel."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\x00\x80")) + chunk(b"IEND", b"")
    )


def _wav() -> bytes:
    """Return a tenth of a second of silence, 8 kHz, mono."""
    silence = b"\x80" * 800
    shape = struct.pack("<HHIIHH", 1, 1, 8000, 8000, 1, 8)
    return (
        b"RIFF" + struct.pack("<I", 36 + len(silence)) + b"WAVE"
        + b"fmt " + struct.pack("<I", 16) + shape
        + b"data" + struct.pack("<I", len(silence)) + silence
    )  # fmt: skip
