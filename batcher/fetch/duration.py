"""How long a sound or video plays, told by its first bytes where its header says so."""

from __future__ import annotations

import struct

from batcher.media import Kind, sniff

_MP3_RATES = {
    3: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    2: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""Kilobits per second of layer III by the header's index: of MPEG 1, and of MPEG 2 and 2.5."""
_MP3_SAMPLES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}


def seconds(head: bytes, size: int | None) -> float | None:
    """
    How long a file plays; None where its first bytes do not tell.

    Args:
        head: Its first bytes: some ten thousand are enough for most.
        size: Of the whole file; None when it is not known.
    """
    kind = sniff(head)
    if kind is Kind.MP4:
        return movie_seconds(head)
    if kind is Kind.WAV:
        return _wav(head)
    return _mp3(head, size) if kind is Kind.MP3 else None


def movie_seconds(data: bytes) -> float | None:
    """The length in an MP4's index, when that begins within these boxes; None otherwise."""
    start, end = _find(data, 0, b"moov")
    if start < 0:
        return None
    at, _ = _find(data[:end], start, b"mvhd")
    header = data[at : at + 32] if at >= 0 else b""
    if len(header) < 32:
        return None
    if header[0] == 1:
        scale, length = struct.unpack(">IQ", header[20:32])
    else:
        scale, length = struct.unpack(">II", header[12:20])
    return length / scale if scale else None


def index_at(head: bytes) -> int | None:
    """Where the box begins that follows those in `head`: the index of an MP4 that has it at its end. None where none."""
    position = 0
    while position + 16 <= len(head):
        position, previous = position + _box(head, position), position
        if position <= previous:
            return None
    return position if position > len(head) else None


def _box(data: bytes, position: int) -> int:
    """The size of the box that begins here; 0 for none."""
    length: int = struct.unpack(">I", data[position : position + 4])[0]
    if length == 1:
        length = struct.unpack(">Q", data[position + 8 : position + 16])[0]
    return length if length >= 8 else 0


def _find(data: bytes, position: int, name: bytes) -> tuple[int, int]:
    """Where the content of a box begins and ends; -1 when it is not here."""
    while position + 16 <= len(data):
        length = _box(data, position)
        if not length:
            break
        if data[position + 4 : position + 8] == name:
            return position + 8, position + length
        position += length
    return -1, -1


def _wav(head: bytes) -> float | None:
    position, rate = 12, 0
    while position + 8 <= len(head):
        name, length = struct.unpack("<4sI", head[position : position + 8])
        if name == b"fmt " and position + 20 <= len(head):
            rate = struct.unpack("<I", head[position + 16 : position + 20])[0]
        if name == b"data":
            return length / rate if rate and length < 0xFFFFFFFF else None
        position += 8 + length + length % 2
    return None


def _mp3(head: bytes, size: int | None) -> float | None:
    """By the count of frames where the encoder has left one, otherwise by a bit rate that is taken as constant."""
    start = 0
    if head.startswith(b"ID3") and len(head) >= 10:
        start = 10 + sum((byte & 0x7F) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
    frame = head[start : start + 4]
    if len(frame) < 4 or frame[0] != 0xFF or frame[1] & 0xE6 != 0xE2:  # only layer III
        return None
    version, rate, sample = frame[1] >> 3 & 3, frame[2] >> 4, frame[2] >> 2 & 3
    rates, samples = _MP3_RATES[3 if version == 3 else 2], _MP3_SAMPLES.get(version)
    if samples is None or sample == 3 or not 0 < rate < len(rates):
        return None
    for mark in (b"Xing", b"Info"):
        at = head.find(mark, start, start + 200)
        if at >= 0 and len(head) >= at + 12 and head[at + 7] & 1:
            frames: int = struct.unpack(">I", head[at + 8 : at + 12])[0]
            return frames * (1152 if version == 3 else 576) / samples[sample]
    return (size - start) * 8 / (rates[rate] * 1000) if size else None
