"""Who an attempt is to the outside: its idempotency key and its token."""

from __future__ import annotations

import base64
import hashlib
import re
import unicodedata
from collections.abc import Sequence

from batcher.model import TaskKey

TOKEN = re.compile(r"\bb[a-z2-7]{11}\b")
"""What an `attempt_token` looks like."""


def attempt_key(task: TaskKey, *, body: str, number: int) -> str:
    """
    The idempotency key: the same over every resend, restart and process, another one for another body or attempt.

    HeyGen replays a key for 24 hours even if the body changed, so the body is part of it. 35 characters out of
    `[a-z2-7-]`, which fits HeyGen's `^[A-Za-z0-9_\\-:.]{1,255}$`.
    """
    return "b1-" + _digest(task, body, number)[:32]


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
    return "b1-" + base64.b32encode(raw).decode("ascii").lower()


def attempt_token(task: TaskKey, *, body: str, number: int) -> str:
    """A short text, `b` and eleven letters and digits, that nobody else writes by chance and a search can find."""
    return "b" + _digest(task, body, number)[32:43]


def _digest(task: TaskKey, body: str, number: int) -> str:
    parts = (task.job, task.row_id, task.step, task.item, body, str(number))
    text = "\x1f".join(unicodedata.normalize("NFC", part) for part in parts)
    raw = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=30).digest()
    return base64.b32encode(raw).decode("ascii").lower()
