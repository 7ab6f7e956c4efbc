"""How the simulator behaves: speed, limits, money, and the faults it shows."""

from __future__ import annotations

import re
from collections.abc import Mapping

from msgspec import Struct

HOSTILE: Mapping[str, str] = {
    "regress": "a finished video is seen as completed, then as processing, then as completed again",
    "missing_pages": "pages of lists leave items out, repeat some and change their order",
    "unknown_words": "between creation and the end the status is a word nobody documented, or empty",
    "late_links": "the first three looks at a completed video show no link",
    "not_found": "the first two looks at an id that exists say that it does not",
    "token_loop": "the end of a list says that there is more: with the same token again, or with none",
    "lost_answers": "one POST in five is carried out and charged, then the connection is cut without an answer",
    "half_answers": "one answer in five breaks off in the middle although its Content-Length promises all of it",
    "errors_500": "one POST in ten answers 500, half of these after the work was made and charged",
    "storms_429": "the first POSTs (`storm` of them) are refused with 429",
    "html_200": "one answer in ten is a page of HTML with status 200; for half of the POSTs among them nothing was made",
    "duplicate_id": "every second creation answers with the id of the one before",
    "no_id": "one creation in five answers 200 without a usable id",
    "error_shapes": "a failure tells its reason as text, object, list, HTML, or not at all",
    "batch_key_ignored": "POST /v3/videos/batches does not know Idempotency-Key (undocumented for this route)",
    "cut_titles": "titles are kept without white space around them, and what is longer than 24 characters is cut off",
    "v2=alive": "v1 and v2 still answer; without it they are retired and say 410",
}
"""Every fault that can be switched on, and what it does. They can be combined."""

_RATE = re.compile(r"(\d+)\s*(?:/|per)\s*(second|minute|hour)")
_WINDOWS = {"second": 1.0, "minute": 60.0, "hour": 3600.0}


class Rate(Struct, frozen=True, kw_only=True):
    """
    At most so many POSTs in any window.

    Attributes:
        count: How many are let through.
        window_s: Length of the window in seconds.
    """

    count: int
    window_s: float


class Behaviour(Struct, frozen=True, kw_only=True):
    """
    What a simulator is told before it starts; some of it can be changed while it runs.

    Attributes:
        seed: Decides every id, render time and fault: the same seed and the same requests bring the same answers.
        render_s: Median render time in seconds.
        spread: Sigma of the log-normal distribution of render times; 0 makes all equal.
        in_flight: How many renders the account may have at once; one more is refused with 429.
        rate: Limit on POSTs such as `50/second`; empty for none.
        answer_s: Seconds that pass before each answer is sent.
        balance: Dollars in the wallet. The price is reserved at creation and given back when a render fails.
        link_life_s: Seconds for which a signed link works.
        storm: How many POSTs `storms_429` refuses.
        clones: How many voice clones the account may hold.
        hostile: Names from `HOSTILE`.
        key: The only API key that is accepted; empty accepts every key that is not empty.
    """

    seed: int = 0
    render_s: float = 4.0
    spread: float = 0.35
    in_flight: int = 10
    rate: str = ""
    answer_s: float = 0.0
    balance: float = 500.0
    link_life_s: float = 604800.0
    storm: int = 20
    clones: int = 10
    hostile: frozenset[str] = frozenset()
    key: str = ""

    def __post_init__(self) -> None:
        unknown = sorted(set(self.hostile) - set(HOSTILE))
        if unknown:
            raise ValueError(f"unknown hostile mode {', '.join(unknown)}; known are: {', '.join(HOSTILE)}")
        if self.in_flight < 1:
            raise ValueError(f"in_flight must be 1 or more, not {self.in_flight}")
        parsed_rate(self.rate)


def parsed_rate(text: str) -> Rate | None:
    """Return the limit that a text such as `50/second` states; None for an empty one. Raises ValueError."""
    if not text:
        return None
    match = _RATE.fullmatch(text.strip())
    if match is None or int(match[1]) < 1:
        raise ValueError(f"rate must look like 50/second, 100/minute or 1000/hour, not {text!r}")
    return Rate(count=int(match[1]), window_s=_WINDOWS[match[2]])
