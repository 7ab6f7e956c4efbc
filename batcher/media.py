"""What a file is, told by its bytes, and whether all of it is there."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Mapping
from enum import Enum
from typing import BinaryIO

HEAD_BYTES = 512
"""As many first bytes as `sniff` and `foreign` look at."""
_TAIL_BYTES = 64
"""Some programs write a little behind the end of a picture."""
_MOST_BOXES = 1_000_000
"""Fragments of a video of a day; beyond that a file is made to keep us busy."""


class Kind(str, Enum):
    """A kind of file that is recognised."""

    MP4 = "MP4"
    WEBM = "WebM"
    MP3 = "MP3"
    AAC = "AAC"
    WAV = "WAV"
    OGG = "Ogg"
    FLAC = "FLAC"
    PNG = "PNG"
    JPEG = "JPEG"
    GIF = "GIF"
    WEBP = "WebP"
    SRT = "SRT"
    VTT = "WebVTT"
    PDF = "PDF"


_VIDEO = frozenset({Kind.MP4, Kind.WEBM})
_SOUND = frozenset({Kind.MP3, Kind.AAC, Kind.WAV, Kind.OGG, Kind.FLAC, Kind.MP4, Kind.WEBM})
_PICTURE = frozenset({Kind.PNG, Kind.JPEG, Kind.GIF, Kind.WEBP})
_CAPTIONS = frozenset({Kind.SRT, Kind.VTT})

_BY_SUFFIX: Mapping[str, tuple[Kind, frozenset[Kind], str]] = {
    ".mp4": (Kind.MP4, _VIDEO, "a video"),
    ".m4v": (Kind.MP4, _VIDEO, "a video"),
    ".mov": (Kind.MP4, _VIDEO, "a video"),
    ".webm": (Kind.WEBM, _VIDEO, "a video"),
    ".mp3": (Kind.MP3, _SOUND, "a sound file"),
    ".m4a": (Kind.MP4, _SOUND, "a sound file"),
    ".aac": (Kind.AAC, _SOUND, "a sound file"),
    ".wav": (Kind.WAV, _SOUND, "a sound file"),
    ".ogg": (Kind.OGG, _SOUND, "a sound file"),
    ".flac": (Kind.FLAC, _SOUND, "a sound file"),
    ".png": (Kind.PNG, _PICTURE, "a picture"),
    ".jpg": (Kind.JPEG, _PICTURE, "a picture"),
    ".jpeg": (Kind.JPEG, _PICTURE, "a picture"),
    ".gif": (Kind.GIF, _PICTURE, "a picture"),
    ".webp": (Kind.WEBP, _PICTURE, "a picture"),
    ".srt": (Kind.SRT, _CAPTIONS, "captions"),
    ".vtt": (Kind.VTT, _CAPTIONS, "captions"),
}
"""Suffix to the kind it promises, the kinds that do as well, and the word for them."""

_MAGIC: tuple[tuple[Kind, re.Pattern[bytes]], ...] = (
    (Kind.MP4, re.compile(rb"....ftyp", re.DOTALL)),
    (Kind.WEBM, re.compile(rb"\x1aE\xdf\xa3")),
    (Kind.WAV, re.compile(rb"RIFF....WAVE", re.DOTALL)),
    (Kind.WEBP, re.compile(rb"RIFF....WEBP", re.DOTALL)),
    (Kind.PNG, re.compile(rb"\x89PNG\r\n\x1a\n")),
    (Kind.JPEG, re.compile(rb"\xff\xd8\xff")),
    (Kind.GIF, re.compile(rb"GIF8[79]a")),
    (Kind.OGG, re.compile(rb"OggS")),
    (Kind.FLAC, re.compile(rb"fLaC")),
    (Kind.PDF, re.compile(rb"%PDF-")),
    (Kind.VTT, re.compile(rb"(?:\xef\xbb\xbf)?WEBVTT(?:\s|$)")),
    (Kind.AAC, re.compile(rb"\xff[\xf0\xf1\xf8\xf9]|ADIF")),
    (Kind.MP3, re.compile(rb"ID3|\xff[\xe2-\xef\xf2-\xf7\xfa-\xff]")),
    (Kind.SRT, re.compile(rb"(?:\xef\xbb\xbf)?\s*\d+\s*\n\s*\d\d?:\d\d:\d\d[,.]\d+\s*-->")),
)

_PAGES: tuple[tuple[str, re.Pattern[bytes]], ...] = (
    ("a web page (HTML)", re.compile(rb"<(?:!doctype\s+html|html|head|body|title|script|meta)\b", re.IGNORECASE)),
    ("an XML document, probably an error message", re.compile(rb"<[?!a-zA-Z]")),
    ("JSON, probably an error message", re.compile(rb'\{\s*(?:"|\}|$)|\[\s*(?:["\[{\d]|\]|$)')),
)


def sniff(head: bytes) -> Kind | None:
    """The kind of a file by its first bytes; None when it is none that we know."""
    return next((kind for kind, start in _MAGIC if start.match(head)), None)


def foreign(head: bytes, suffix: str) -> str:
    """
    What a file is instead of what its name promises, as the rest of a sentence; empty when it may be it.

    Args:
        head: The first `HEAD_BYTES`, or all there is.
        suffix: Of the wanted name, with its dot.
    """
    kind = sniff(head)
    promised = _BY_SUFFIX.get(suffix.lower())
    if kind is None:
        text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
        for what, start in _PAGES:
            if start.match(text) and suffix.lower() not in (".html", ".xml", ".json"):
                return f"is {what}"
        return f"is not {promised[2]}" if promised else ""
    if promised and kind not in promised[1]:
        return f"is {kind.value}, not {promised[2]}"
    return ""


def mismatch(head: bytes, suffix: str) -> str:
    """A word where a file is of use but not quite what its name promises; empty where it is."""
    kind, promised = sniff(head), _BY_SUFFIX.get(suffix.lower())
    if kind is None or promised is None or kind is promised[0]:
        return ""
    return f"is {kind.value} inside, though its name ends in {suffix}"


def unwhole(file: BinaryIO, size: int) -> str:
    """
    What is missing from a file, as the rest of a sentence; empty when it is whole, as far as its kind tells.

    Args:
        file: Open for reading, anywhere.
        size: Of the file, in bytes.
    """
    file.seek(0)
    kind = sniff(file.read(HEAD_BYTES))
    check = _WHOLENESS.get(kind) if kind else None
    return check(file, size) if check else ""


def _mp4_lacks(file: BinaryIO, size: int) -> str:
    """Boxes one after the other, each beginning with its size and name, must fill the file to the byte."""
    position, names = 0, set[bytes]()
    for _ in range(_MOST_BOXES):
        if position == size:
            return "" if b"moov" in names else "has no index (moov): it cannot be played"
        file.seek(position)
        header = file.read(16)
        if len(header) < 8:
            return "ends within the header of a box"
        length, name = struct.unpack(">I4s", header[:8])
        least = 8
        if length == 1 and len(header) == 16:
            length, least = struct.unpack(">Q", header[8:])[0], 16
        elif length == 0:  # to the end of the file, whatever that is: says nothing about what is missing
            length = size - position
        if length < least:
            return f"has a box of an impossible size at byte {position:,}"
        if position + length > size:
            return f"is {position + length - size:,} bytes short"
        names.add(name)
        position += length
    return "has too many parts"


def _webm_lacks(file: BinaryIO, size: int) -> str:
    """The header element and the segment, whose size may be unknown (a live recording)."""
    position = 0
    for identifier in (b"\x1aE\xdf\xa3", b"\x18S\x80g"):
        file.seek(position)
        start = file.read(12)
        if not start.startswith(identifier) or len(start) < 5 or not start[4]:
            return "has no content (segment)"
        width = 9 - start[4].bit_length()
        length = int.from_bytes(start[4 : 4 + width], "big") & ((1 << 7 * width) - 1)
        if length == (1 << 7 * width) - 1:
            return ""
        position += 4 + width + length
    return "" if position <= size else f"is {position - size:,} bytes short"


def _riff_lacks(file: BinaryIO, size: int) -> str:
    file.seek(4)
    length = int.from_bytes(file.read(4), "little")
    if length in (0, 0xFFFFFFFF) or length + 8 <= size:  # streamed sound does not know its length beforehand
        return ""
    return f"is {length + 8 - size:,} bytes short"


def _ends_with(mark: bytes, *, within: int) -> Callable[[BinaryIO, int], str]:
    def lacks(file: BinaryIO, size: int) -> str:
        file.seek(max(0, size - within))
        return "" if mark in file.read(within) else "has no end"

    return lacks


_WHOLENESS: Mapping[Kind, Callable[[BinaryIO, int], str]] = {
    Kind.MP4: _mp4_lacks,
    Kind.WEBM: _webm_lacks,
    Kind.WAV: _riff_lacks,
    Kind.WEBP: _riff_lacks,
    Kind.PNG: _ends_with(b"IEND\xaeB`\x82", within=_TAIL_BYTES),
    Kind.JPEG: _ends_with(b"\xff\xd9", within=_TAIL_BYTES),
    Kind.GIF: _ends_with(b"\x3b", within=1),
}
