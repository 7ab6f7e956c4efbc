"""Who an attempt is to the outside: its idempotency key and its token."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Sequence

from batcher.model import TaskKey

TOKEN = re.compile(r"\bb[a-z2-7]{11}\b")
"""What the token of an attempt looks like."""

_LETTERS = bytes.maketrans(bytes(range(32)), b"abcdefghijklmnopqrstuvwxyz234567")
_LOWER = [
    (width, sum(((1 << 5 * width) - 1) << 8 * start for start in range(0, 64, 2 * width)))
    for width in (32, 16, 8, 4, 2, 1)
]
"""Masks of the lower halves by which a number of 64 letters is pulled apart: in two, in four, and so on."""


def attempt_names(task: TaskKey, *, body: str, number: int) -> tuple[str, str]:
    """
    The idempotency key and the token: the same over every resend, restart and process, others for another body or attempt.

    HeyGen replays a key for 24 hours even if the body changed, so the body is part of it. The key has 35 characters out
    of `[a-z2-7-]`, which fits HeyGen's `^[A-Za-z0-9_\\-:.]{1,255}$`. The token is short, `b` and eleven letters and
    digits, so that nobody else writes it by chance and a search can find it.
    """
    text = "\x1f".join((task.job, task.row_id, task.step, task.item, body, str(number)))
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    letters = _base32(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=30).digest())
    return f"b1-{letters[:32]}", f"b{letters[32:43]}"


def batch_key(keys: Sequence[str], *, times: int) -> str:
    """
    The idempotency key of a batch: of these attempts in this order, and nothing else but a count.

    Items of an accepted batch may turn out never to have been made. Sent together once more they are a new batch, while
    the old key would bring the old one again. A ledger that was lost begins to count anew, and is led along the batches
    that there were, one after the other.

    Args:
        keys: Of the attempts, in their order.
        times: How many batches the API has made of just these.
    """
    raw = hashlib.blake2b("\x1f".join([*keys, str(times)]).encode("ascii"), digest_size=20).digest()
    return f"b1-{_base32(raw)}"


def _base32(raw: bytes) -> str:
    """As base64.b32encode in lower case, for a multiple of five bytes up to forty; that one takes three times as long."""
    number = int.from_bytes(raw, "big")
    for width, mask in _LOWER:  # the five bits of each letter move into a byte of their own
        lower = number & mask
        number = lower | (number ^ lower) << 3 * width
    return number.to_bytes(len(raw) // 5 * 8, "big").translate(_LETTERS).decode()
