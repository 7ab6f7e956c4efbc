"""The report as a file: what it says, what it links, and what it must never hold."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batcher.errors import InputError
from batcher.report import Report, ReportRow, write_report
from batcher.report.causes import causes_of

Tags = list[tuple[str, dict[str, str | None]]]


class Page(HTMLParser):
    """The tags of a page with their attributes, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: Tags = []
        self.said: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] not in ("style", "script"):
            self.said.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.said).split())

    def links(self) -> list[str]:
        return [value for _, attributes in self.tags for name in ("href", "src") if (value := attributes.get(name))]


@pytest.fixture
def row() -> Callable[..., ReportRow]:
    """A finished row, with changes: `row(word="failed", error="…")`."""
    return lambda **changes: ReportRow(**{"title": "Hi Ann", "word": "done", "row_number": 2, **changes})


@pytest.fixture
def page(tmp_path: Path) -> Callable[..., Page]:
    """The page of these rows, with changes to the report."""

    def make(*rows: ReportRow, **changes: Any) -> Page:
        counts = {word: sum(row.word == word for row in rows) for word in {row.word for row in rows}}
        default = {
            "job": "welcome", "operation": "heygen.template", "is_real": True, "identity": f"{len(rows)} rows ✓", "counts": counts,
            "spent": "$2.10", "rows": rows, "made_at": 1_795_202_656.0,
        }  # fmt: skip
        write_report(tmp_path / "report.html", Report(**{**default, **changes}))
        return Page((tmp_path / "report.html").read_text("utf-8"))

    return make


def test_says_what_a_person_looks_for_first(page: Callable[..., Page], row: Callable[..., ReportRow]) -> None:
    """Rows, money, time and footage stand at the top."""
    rows = [
        row(took_s=60.0, duration_s=20.0),
        row(took_s=120.0, duration_s=30.0),
        row(took_s=600.0),
        row(word="waiting"),
    ]

    text = page(*rows).text

    assert "Real heygen.template as of 20 Nov 2026, 19:24 UTC welcome 4 rows ✓" in text
    assert "Done 3 of 4 rows" in text
    assert "Spent so far $2.10" in text
    assert "Time per video 2 min half took less; the slowest 10 min" in text
    assert "Footage 50 s to watch, 25 s each" in text


def test_a_rehearsal_is_called_one(page: Callable[..., Page], row: Callable[..., ReportRow]) -> None:
    """Nobody shows a rehearsal around as the real thing."""
    assert page(row(), is_real=False).text.split("Skip to the videos ")[1].startswith("Rehearsal ")


def test_the_earliest_end_of_a_link_is_told(page: Callable[..., Page], row: Callable[..., ReportRow]) -> None:
    """The page says until when it can be used."""
    made = page(row(links_expire_at=1_800_000_000.0), row(links_expire_at=1_795_802_656.0), row())

    assert "Links work until 27 Nov 2026" in made.text
    assert ("div", {"id": "expiry", "data-at": "1795802656.0"}) in made.tags


def test_a_single_failure_among_thousands_can_be_seen(page: Callable[..., Page], row: Callable[..., ReportRow]) -> None:
    """The bar's pieces have a least width, and together fill it."""
    made = page(row(), counts={"done": 99_999, "failed": 1})

    pieces = {
        str(a["data-word"]): (float(a["x"] or 0), float(a["width"] or 0)) for tag, a in made.tags if tag == "rect"
    }

    assert pieces["failed"][1] > 4
    assert pieces["failed"][0] + pieces["failed"][1] == pytest.approx(998)


def test_a_sheet_without_rows_has_a_page(page: Callable[..., Page]) -> None:
    """Nothing to show is said, not divided by."""
    assert "The sheet has no rows yet." in page().text


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)", "java\tscript:alert(1)", "\x01javascript:alert(1)", "data:text/html,x", "file:///etc/passwd",
        "//evil.example/x", "https://user:word@host/x", "https:///x", "https://host/a b", 'https://host/"x', "https://[::1/x", "https://host/\ud800",
        "vbscript:x",
    ],
)  # fmt: skip
def test_only_web_addresses_are_linked(page: Callable[..., Page], row: Callable[..., ReportRow], address: str) -> None:
    """A link of the API is a link of the web, or none."""
    made = page(row(video_url=address, page_url=address, thumbnail_url=address))

    assert [link for link in made.links() if not link.startswith("#")] == ["data:,"]


def test_signed_links_come_through_unharmed(page: Callable[..., Page], row: Callable[..., ReportRow]) -> None:
    """An ampersand or a tilde lost would be a video lost."""
    address = "https://files.heygen.ai/a%20b/v.mp4?Expires=1795802656&Signature=k~3J_-&Key-Pair-Id=K2#t"

    assert address in page(row(video_url=address)).links()


def policy_of(made: Page) -> str:
    return next(str(a["content"]) for _, a in made.tags if a.get("http-equiv") == "Content-Security-Policy")


def test_the_policy_allows_our_own_style_and_script_and_media(
    page: Callable[..., Page], row: Callable[..., ReportRow], tmp_path: Path
) -> None:
    """By hash, so that nothing else may run; an unencrypted host only by its name."""
    made = page(row(video_url="http://127.0.0.1:8000/v.mp4", thumbnail_url="https://files.example/x.png"))

    html = (tmp_path / "report.html").read_text("utf-8")
    hashes = {}
    for tag in ("style", "script"):
        (content,) = re.findall(f"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        hashes[tag] = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
    assert policy_of(made) == (
        "default-src 'none'; img-src data: https: http://127.0.0.1:8000; media-src https: http://127.0.0.1:8000; "
        f"style-src 'sha256-{hashes['style']}'; script-src 'sha256-{hashes['script']}'; base-uri 'none'; form-action 'none'"
    )


def test_a_link_cannot_widen_the_policy(page: Callable[..., Page], row: Callable[..., ReportRow]) -> None:
    """A host with a semicolon is no host."""
    made = page(
        row(video_url="http://x;script-src*/v.mp4", thumbnail_url="http://a,b/x"),
        row(video_url="http://é.example:99999999/"),
    )

    assert "media-src https:;" in policy_of(made)


HOSTILE = (*"<>\"'&/={}%#!- \n\x00\x0b\u2028\u202eäx\ud800\uffff", "<script>", "</style>", "-->", "{{", "{%")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(text=st.lists(st.sampled_from(HOSTILE)).map("".join))
def test_no_text_changes_the_page(page: Callable[..., Page], text: str) -> None:
    """Whatever stands in a cell or an answer, the page has the same tags as with a harmless word."""

    def tags(word: str) -> list[tuple[str, list[str]]]:
        row = ReportRow(
            title=word,
            word="failed",
            row_number=2,
            error=word,
            advice=word,
            video_url=word,
            page_url="https://h/x",
            thumbnail_url=word,
        )
        made = page(row, job=word, operation=word, identity=word, spent=word, counts={word: 1})
        return [(tag, sorted(attributes)) for tag, attributes in made.tags]

    assert tags(f"x{text}") == tags("x")


def test_an_endless_text_is_cut(page: Callable[..., Page], row: Callable[..., ReportRow]) -> None:
    """An API that answers with a whole page does not fill ours with it."""
    assert len(page(row(word="failed", error="x" * 100_000)).text) < 10_000


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -1e30, 1e30])
def test_absurd_numbers_are_left_out(page: Callable[..., Page], row: Callable[..., ReportRow], number: float) -> None:
    """A wrong clock or a strange answer costs a figure, not the page."""
    text = page(row(took_s=number, duration_s=number, completed_at=number, links_expire_at=number)).text

    assert "Time per video" not in text
    assert "Links work" not in text


def test_failures_with_one_cause_are_one(row: Callable[..., ReportRow]) -> None:
    """What differs from row to row does not part them; the most frequent stands first."""
    rows = [
        row(word="failed", error="Refused by the content policy", advice="reword"),
        row(word="invalid", error='C3: "ftp://x" is no web address', advice="correct the cell"),
        row(),
        row(word="invalid", error='C5: "none" is no web address', advice="correct the cell"),
    ]

    first, second = causes_of(rows)

    assert (first.word, first.message, first.advice, first.members) == (
        "invalid",
        "… is no web address",
        "correct the cell",
        [1, 3],
    )
    assert (second.message, second.members) == ("Refused by the content policy", [0])


def test_failures_with_other_causes_or_advice_stay_apart(row: Callable[..., ReportRow]) -> None:
    """HTTP 404 is not HTTP 502, and failed is not invalid."""
    rows = [
        row(word="failed", error="HTTP 404"), row(word="failed", error="HTTP 502"), row(word="invalid", error="HTTP 502"),
        row(word="invalid", error="HTTP 502", advice="wait"), row(word="done", error="a watermark was added"), row(word="unsure"),
    ]  # fmt: skip

    assert [cause.message for cause in causes_of(rows)] == [
        "HTTP 404", "HTTP 502", "HTTP 502", "HTTP 502", "the answer was lost: it may have been made and charged",
    ]  # fmt: skip


def test_a_cause_leads_to_its_rows_and_says_what_to_do(
    page: Callable[..., Page], row: Callable[..., ReportRow]
) -> None:
    """Row numbers as the spreadsheet shows them; of many, the first forty."""
    rows = [row(word="failed", row_number=number, error="refused", advice="reword it") for number in range(101, 151)]

    made = page(*rows)

    assert "50 failed refused → reword it rows 101 , 102 ," in made.text
    assert "and 10 more Show these" in made.text
    assert made.links().count("#r1") == 1
    assert any(attributes.get("data-cause") == "1" and attributes.get("id") == "r50" for _, attributes in made.tags)


def test_an_older_report_stays_when_the_new_one_cannot_be_written(
    page: Callable[..., Page], row: Callable[..., ReportRow], tmp_path: Path
) -> None:
    """Never half a page: the folder holds the old one, or the new one, and nothing else."""
    page(row(title="old"))
    broken = Report(
        job="x", operation="", is_real=True, identity="", counts={}, spent="", rows=[row(title=None)], made_at=0.0
    )

    with pytest.raises(TypeError):
        write_report(tmp_path / "report.html", broken)
    with pytest.raises(InputError, match="cannot be written"):
        write_report(tmp_path / "missing" / "report.html", broken)

    assert "old" in (tmp_path / "report.html").read_text("utf-8")
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
