"""From values to one HTML file that needs nothing but itself and the media it links to."""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any, TypeGuard
from urllib.parse import urlsplit

from msgspec import Struct

from batcher.report.causes import causes_of
from batcher.report.model import Report, ReportRow
from batcher.sheet import clean
from batcher.stores import Location, replacing
from batcher.units import show_duration

WORDS = ("done", "failed", "invalid", "unsure", "in progress", "waiting", "held", "skipped")
"""The order in the bar: what is made, what needs a person, what is still to come."""

BAR = 1000
LEAST = 7
GAP = 2
"""The width of the bar, of its smallest piece and of what parts two pieces, in its own units."""

LINKED_ROWS = 40
"""So many rows of a cause are linked one by one; the others are behind its button."""

LONGEST = 2000
"""Characters of one text: an answer that is longer says nothing more."""

_HERE = Path(__file__).parent
_WEB = re.compile(r"https?://[^\s<>\"'`\\\x00-\x20\x7f-\x9f]+\Z", re.IGNORECASE)
_HOST = re.compile(r"[a-z0-9.-]+|\[[0-9a-f:]+\]")


class _Card(Struct, frozen=True, kw_only=True):
    """A row as the page shows it: texts only, every link checked."""

    title: str
    word: str
    row_number: int
    video: str
    page: str
    thumbnail: str
    error: str
    advice: str
    length: str
    completed: str
    cause: int


def write_report(path: Location, report: Report, *, like: Location | None = None) -> None:
    """
    Write the report whole, in place of an older one.

    Args:
        like: As for `replacing`: who may read a new file.

    Raises:
        InputError: The file cannot be written; an older one stands as it was.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    pieces = environment.get_template("page.html").stream(_context(report))
    pieces.enable_buffering(500)
    with replacing(path, like=like) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(pieces)


def _context(report: Report) -> dict[str, Any]:
    """Everything that the page's template names."""
    style, script = ((_HERE / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    causes = causes_of(report.rows)
    cause_of = {index: number for number, cause in enumerate(causes, 1) for index in cause.members}
    expires_at = min(
        (at for row in report.rows if (at := row.links_expire_at) is not None and _moment(at)), default=None
    )
    return {
        "policy": _policy(report.rows, style=style, script=script),
        "style": style,
        "script": script,
        "job": _text(report.job),
        "operation": _text(report.operation),
        "is_real": report.is_real,
        "identity": _text(report.identity),
        "made": _moment(report.made_at),
        "facts": list(_facts(report)),
        "expires_at": expires_at,
        "expires": _moment(expires_at),
        "bar": [(_text(word), begin, width) for word, begin, width in _bar(report)],
        "counts": [(_text(word), count) for word, count in _in_order(Counter(row.word for row in report.rows))],
        "total": len(report.rows),
        "causes": [
            {
                "word": cause.word,
                "message": _text(cause.message),
                "advice": _text(cause.advice),
                "count": len(cause.members),
                "rows": [(index + 1, report.rows[index].row_number) for index in cause.members[:LINKED_ROWS]],
            }
            for cause in causes
        ],
        "cards": (_card(row, cause=cause_of.get(index, 0)) for index, row in enumerate(report.rows)),
    }


def _in_order(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """The words that occur and how often, known ones first and in their order."""
    order = [*WORDS, *sorted(set(counts) - set(WORDS))]
    return [(word, counts[word]) for word in order if counts.get(word)]


def _facts(report: Report) -> Iterator[tuple[str, str, str]]:
    """The numbers that a person looks for first, as (name, value, remark)."""
    rows = sum(report.counts.values())
    yield "Done", f"{report.counts.get('done', 0):,}", f"of {rows:,} rows"
    if report.spent:
        yield "Spent so far", _text(report.spent), "by the price table" if report.is_real else "would have been"
    if took := [row.took_s for row in report.rows if _is_length(row.took_s)]:
        yield "Time per video", show_duration(median(took)), f"half took less; the slowest {show_duration(max(took))}"
    if lengths := [row.duration_s for row in report.rows if _is_length(row.duration_s)]:
        remark = f"to watch, {show_duration(sum(lengths) / len(lengths))} each"
        yield "Footage", show_duration(sum(lengths)), remark


def _bar(report: Report) -> Iterator[tuple[str, float, float]]:
    """The bar's pieces as (word, where it begins, how wide it is); one row among thousands can still be seen."""
    counted = _in_order(report.counts)
    total, begin = sum(count for _, count in counted), 0.0
    widths = [max(LEAST, BAR * count / total) for _, count in counted]
    for (word, _), width in zip(counted, widths, strict=True):
        piece = width * BAR / sum(widths)
        yield word, round(begin, 2), round(piece - GAP, 2)
        begin += piece


def _card(row: ReportRow, *, cause: int) -> _Card:
    return _Card(
        title=_text(row.title),
        word=_text(row.word),
        row_number=row.row_number,
        video=_link(row.video_url),
        page=_link(row.page_url),
        thumbnail=_link(row.thumbnail_url),
        error=_text(row.error),
        advice=_text(row.advice),
        length=_length(row.duration_s),
        completed=_moment(row.completed_at),
        cause=cause,
    )


def _text(text: str) -> str:
    """A text that can be encoded, of a length that a person reads; the template escapes it."""
    cut = text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
    return clean(cut)


def _link(address: str) -> str:
    """The address where it is one of the web and nothing else; else nothing."""
    if len(address) > LONGEST * 4 or not _WEB.match(address) or clean(address) != address:
        return ""
    try:
        parts = urlsplit(address)
    except ValueError:
        return ""
    return address if parts.hostname and "@" not in parts.netloc else ""


def _policy(rows: Sequence[ReportRow], *, style: str, script: str) -> str:
    """
    The Content-Security-Policy: our own style and script by their hashes, media, and nothing else.

    Media may come from any https address, since providers redirect to hosts of their own choice; an address without
    encryption is allowed by its name only.
    """
    plain = sorted({origin for row in rows for url in (row.video_url, row.thumbnail_url) if (origin := _origin(url))})
    media = " ".join(["https:", *plain[:20]])
    return "; ".join(
        [
            "default-src 'none'",
            f"img-src data: {media}",
            f"media-src {media}",
            f"style-src '{_hash(style)}'",
            f"script-src '{_hash(script)}'",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )


def _origin(address: str) -> str:
    """The origin of an unencrypted link that we show; else nothing."""
    if not _link(address).lower().startswith("http:"):
        return ""
    netloc = urlsplit(address).netloc.lower()
    host, _, port = netloc.rpartition(":") if re.search(r":\d{1,5}\Z", netloc) else (netloc, "", "")
    return f"http://{netloc}" if _HOST.fullmatch(host) and len(port) <= 5 else ""


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _moment(at: float | None) -> str:
    """An instant for people: `20 Nov 2026, 19:24 UTC`; nothing for none."""
    if at is None:
        return ""
    try:
        moment = datetime.fromtimestamp(at, UTC)
    except (OverflowError, ValueError, OSError):  # no moment that a calendar knows
        return ""
    return f"{moment.day} {moment:%b %Y, %H:%M} UTC"


def _is_length(seconds: float | None) -> TypeGuard[float]:
    """Whether it can be the length of something, and is not an accident of an API or a clock."""
    return seconds is not None and 0 <= seconds < 10_000_000


def _length(seconds: float | None) -> str:
    """The length of a video as players show it: `0:21`, `1:02:03`; nothing where it is not known."""
    if not _is_length(seconds):
        return ""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
