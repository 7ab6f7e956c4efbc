"""The report in a real Chromium: what a person sees, clicks and types, and what the page asks the network for."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from msgspec.structs import replace

from batcher.report import Report, ReportRow, write_report
from batcher.simulator.media import content

TAKE_PICTURES = bool(os.environ.get("BATCHER_PICTURES"))
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs Debian's chromium and chromium-driver")

FLAGS = (
    "headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", "no-first-run", "disable-quic", "disable-sync",
    "disable-background-networking", "disable-component-update", "no-proxy-server", "hide-scrollbars",
    "disable-features=MediaRouter,OptimizationHints,Translate", "host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
)  # fmt: skip
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
TAB, SHIFT, ENTER, SPACE, ESCAPE = "\ue004", "\ue008", "\ue007", " ", "\ue00c"
MADE_AT = 1_795_202_656.0
FAR = 4_000_000_000.0
PEOPLE = (
    "Anna Becker", "Jürgen Weiß", "Chloé Martin", "María Núñez", "Omar Haddad", "Yuki Tanaka", "Priya Raman", "Lars Østergård",
    "Zoë van Dijk", "Nikos Papadakis", "Sofia Rossi", "Tom O’Brien", "Agnieszka Wójcik", "Ben Carter", "Inês Duarte", "Li Wei",
)  # fmt: skip
COLOURS = (
    "#31536b #7fb0c4",
    "#5a3d5c #c493a8",
    "#27584a #8cc0a2",
    "#6b4a2b #d8ac78",
    "#3b3f6e #949bd0",
    "#6a3236 #d18f86",
)


def picture(number: int) -> str:
    """A thumbnail: somebody before a coloured wall."""
    dark, light = COLOURS[number % len(COLOURS)].split()
    x, skin, hair = (
        130 + number * 37 % 60,
        ("#e8c4a4", "#b98763", "#7f5539", "#f2d7bd")[number % 4],
        ("#2a211c", "#6b4a2f", "#111")[number % 3],
    )
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 320 180"><rect width="320" height="180" fill="{light}"/>
    <path d="M0 180L320 40V180z" fill="{dark}" opacity=".35"/><rect x="20" y="24" width="64" height="84" rx="4" fill="#fff" opacity=".18"/>
    <path d="M{x - 62} 180c2-46 26-62 62-62s60 16 62 62z" fill="{dark}"/><path d="M{x - 15} 100h30v24q-15 14-30 0z" fill="{skin}"/>
    <ellipse cx="{x}" cy="80" rx="29" ry="35" fill="{skin}"/>
    <path d="M{x - 31} 78q-4-42 31-42t31 42q-8-22-24-24-22 6-38 24z" fill="{hair}"/></svg>"""


class Media(BaseHTTPRequestHandler):
    """Serves pictures, something that plays, and something that does not."""

    def do_GET(self) -> None:
        name = urlsplit(self.path).path.rsplit("/", 1)[-1]
        stem, _, kind = name.partition(".")
        if kind == "svg":
            self._answer(picture(int(stem)).encode(), "image/svg+xml")
        elif kind == "mp4" and stem != "gone":
            self._answer(content("sound.wav"), "audio/wav")
        else:
            self.send_error(403)

    def _answer(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="module")
def media() -> Iterator[str]:
    """The address of a server with thumbnails and videos."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Media)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


class Browser:
    """A Chromium behind the WebDriver protocol, which is JSON over HTTP."""

    def __init__(self, address: str, profile: Path) -> None:
        options = {"binary": CHROMIUM, "args": [*FLAGS, f"user-data-dir={profile}", "window-size=1200,900"]}
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}
        self._http = requests.Session()
        self._http.trust_env = False
        self._root = f"{address}/session"
        made = self._post("", {"capabilities": {"alwaysMatch": wanted}})
        self._root = f"{address}/session/{made['sessionId']}"

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        answer = self._http.post(self._root + path, json=body, timeout=60).json()["value"]
        if isinstance(answer, dict) and "error" in answer:
            raise AssertionError(f"{answer['error']}: {answer['message']}")
        return answer

    def open(self, path: Path) -> None:
        self.logs("browser")
        self.logs("performance")
        self._post("/url", {"url": path.as_uri()})

    def run(self, script: str) -> Any:
        """What a piece of JavaScript returns; promises are waited for."""
        return self._post("/execute/sync", {"script": script, "args": []})

    def click(self, selector: str) -> None:
        found = self._post("/element", {"using": "css selector", "value": selector})
        self._post(f"/element/{found[ELEMENT]}/click", {})

    def press(self, *keys: str) -> None:
        actions = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self._post("/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})

    def devtools(self, command: str, **params: Any) -> Any:
        return self._post("/goog/cdp/execute", {"cmd": command, "params": params})

    def light(self, scheme: str) -> None:
        """A device that is `light` or `dark`, of a person who wants no motion."""
        wishes = {"prefers-color-scheme": scheme, "prefers-reduced-motion": "reduce"}
        self.devtools("Emulation.setEmulatedMedia", features=[{"name": n, "value": v} for n, v in wishes.items()])

    def logs(self, kind: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._post("/se/log", {"type": kind})
        return found

    def requests(self) -> list[str]:
        """The addresses that were asked for since the page was opened."""
        events = [json.loads(each["message"])["message"] for each in self.logs("performance")]
        return [each["params"]["request"]["url"] for each in events if each["method"] == "Network.requestWillBeSent"]

    def shot(self) -> bytes:
        return base64.b64decode(self._http.get(self._root + "/screenshot", timeout=60).json()["value"])

    def focused(self) -> str:
        """The text or name of what has the focus."""
        script = "const e = document.activeElement; return e.getAttribute('aria-label') || e.id || e.textContent.trim()"
        return str(self.run(script))

    def settle(self, condition: str) -> Any:
        """Wait inside the page, frame by frame, until a condition holds; what it was then."""
        look = f"const it = {condition}; it ? done(it) : requestAnimationFrame(look)"
        return self.run(f"return new Promise((done) => {{ const look = () => {{ {look} }}; look() }})")

    def visible(self) -> list[str]:
        return list(self.run("return [...document.querySelectorAll('.card:not([hidden]) h3')].map(e => e.textContent)"))

    def close(self) -> None:
        self._http.delete(self._root, timeout=60)
        self._http.close()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for all tests of this file; each opens its own page."""
    folder = tmp_path_factory.mktemp("browser")
    environ = {**os.environ, "HOME": str(folder), "TZ": "UTC", "LANG": "C.UTF-8"}
    command = [str(DRIVER), "--port=0", "--log-level=SEVERE"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environ) as driver:
        try:
            assert driver.stdout
            found = next(match for line in driver.stdout if (match := re.search(r"successfully on port (\d+)", line)))
            opened = Browser(f"http://127.0.0.1:{found[1]}", folder / "profile")
            opened.devtools("Page.setBypassCSP", enabled=False)
            yield opened
            opened.close()
        finally:
            driver.terminate()


@pytest.fixture
def page(browser: Browser) -> Browser:
    """The browser as a desktop in daylight."""
    browser.devtools("Emulation.clearDeviceMetricsOverride")
    browser.light("light")
    return browser


def campaign(media: str, *, size: int = 16, expire_at: float = FAR) -> Report:
    """A report as a real campaign would give it."""
    signed = f"?Expires={expire_at:.0f}&Signature=k3J&Key-Pair-Id=K2"
    rows = []
    for index in range(size):
        who = f"Welcome {PEOPLE[index % len(PEOPLE)]}"
        row = ReportRow(title=who, word="done", row_number=index + 2)
        if index in (4, 9):
            error = f"C{index + 2}: Logo opens a sign-in page, not a picture"
            row = ReportRow(
                title=who,
                word="invalid",
                row_number=index + 2,
                error=error,
                advice="share the file publicly and save",
            )
        elif index == 6:
            row = ReportRow(
                title=who,
                word="failed",
                row_number=8,
                error="The script was refused by the content policy.",
                advice="reword the text, then write “again” in batcher_status",
            )
        elif index in (13, 15):
            row = ReportRow(title=who, word="in progress", row_number=index + 2)
        else:
            row = ReportRow(
                title=who, word="done", row_number=index + 2, video_url=f"{media}/video/{index}.mp4{signed}",
                page_url=f"https://app.heygen.com/videos/{index}", thumbnail_url=f"{media}/thumb/{index}.svg{signed}",
                duration_s=19 + index * 7 % 12,
                took_s=95 + index * 31 % 160, completed_at=MADE_AT - 3600 + index * 47, links_expire_at=expire_at,
            )  # fmt: skip
        rows.append(row)
    counts = {word: sum(row.word == word for row in rows) for word in ("done", "failed", "invalid", "in progress")}
    identity = f"{size} rows = {' + '.join(f'{count} {word}' for word, count in counts.items())} ✓"
    return Report(
        job="welcome-videos", operation="heygen.template", is_real=True, identity=identity, counts=counts,
        spent="≈ $18.34", rows=rows, made_at=MADE_AT,
    )  # fmt: skip


def written(tmp_path: Path, report: Report) -> Path:
    write_report(tmp_path / "report.html", report)
    return tmp_path / "report.html"


def test_asks_for_media_only_and_complains_about_nothing(page: Browser, media: str, tmp_path: Path) -> None:
    """The page is complete in itself: no script, font, style or counter comes from elsewhere."""
    path = written(tmp_path, campaign(media))

    page.open(path)
    page.settle("[...document.images].slice(0, 4).every(i => i.complete && i.naturalWidth)")

    asked = [url for url in page.requests() if not url.startswith("data:")]
    assert asked[0] == path.as_uri()
    assert asked[1:]
    assert all(url.startswith(f"{media}/thumb/") for url in asked[1:])
    assert page.logs("browser") == []


def test_a_click_plays_the_video_in_its_place(page: Browser, media: str, tmp_path: Path) -> None:
    """Nobody leaves the page to watch; a second video takes the first one's turn."""
    page.open(written(tmp_path, campaign(media)))

    page.click("#r1 [data-play]")
    page.settle("document.querySelector('#r1 video[controls]').readyState > 0")
    page.click("#r2 [data-play]")

    assert page.run("return [...document.querySelectorAll('video')].map(v => v.closest('.card').id)") == ["r2"]
    assert any("/video/0.mp4" in url for url in page.requests())
    assert page.logs("browser") == []


def test_the_keyboard_reaches_and_plays_everything(page: Browser, media: str, tmp_path: Path) -> None:
    """Tab goes in reading order, Enter and Space play, Escape gives the place back."""
    page.open(written(tmp_path, campaign(media)))

    page.press(TAB)
    assert page.focused() == "Skip to the videos"
    page.press(ENTER, TAB)
    assert page.focused() == "Play Welcome Anna Becker"
    page.press(SPACE)
    assert page.run("return document.activeElement.matches('#r1 video[controls]')")
    page.press(ESCAPE)
    assert page.focused() == "Play Welcome Anna Becker"
    page.press(ENTER)
    assert page.run("return document.activeElement.matches('#r1 video')")


def test_the_focus_can_be_seen(page: Browser, media: str, tmp_path: Path) -> None:
    """Every stop of the Tab key has an outline."""
    page.open(written(tmp_path, campaign(media)))
    outline = "const s = getComputedStyle(document.activeElement); return s.outlineStyle === 'solid' && s.outlineWidth"

    widths = []
    for _ in range(16):
        page.press(TAB)
        widths.append(page.run(outline))

    assert widths == ["3px"] * 16


def test_a_word_narrows_the_rows(page: Browser, media: str, tmp_path: Path) -> None:
    """The legend of the bar is the filter, and says what it did."""
    page.open(written(tmp_path, campaign(media)))

    page.click("[data-filter='invalid']")

    assert page.visible() == ["Welcome Omar Haddad", "Welcome Nikos Papadakis"]
    assert page.run("return document.getElementById('told').textContent") == "2 of 16 shown"
    assert page.run("return document.querySelector('[aria-pressed=true]').dataset.filter") == "invalid"


def test_search_finds_titles_and_reasons(page: Browser, media: str, tmp_path: Path) -> None:
    """A slash opens the search; all its words must be in a row."""
    page.open(written(tmp_path, campaign(media)))

    page.press("/", *"POLICY priya")

    page.settle("document.getElementById('told').textContent")
    assert page.visible() == ["Welcome Priya Raman"]


def test_a_cause_leads_to_its_rows(page: Browser, media: str, tmp_path: Path) -> None:
    """From what went wrong to all of its rows, or to one of them, even when it was hidden."""
    page.open(written(tmp_path, campaign(media)))

    page.click("[data-show-cause]")
    assert page.visible() == ["Welcome Omar Haddad", "Welcome Nikos Papadakis"]
    page.click(".where a[href='#r7']")

    assert page.run("return document.activeElement.id") == "r7"
    assert len(page.visible()) == 16


def test_a_link_that_no_longer_works_is_told(page: Browser, media: str, tmp_path: Path) -> None:
    """A dead video says why, and the page says that its links are too old."""
    report = campaign(media, expire_at=MADE_AT - 10**8)
    dead = ReportRow(title="dead", word="done", row_number=2, video_url=f"{media}/video/gone.mp4", links_expire_at=1.0)
    page.open(written(tmp_path, replace(report, rows=[dead])))

    page.click("#r1 [data-play]")

    assert "expired" in page.settle("document.querySelector('#r1 [role=alert]')?.textContent")
    assert page.run("return !document.getElementById('expired').hidden")


def test_hostile_texts_run_nothing(page: Browser, media: str, tmp_path: Path) -> None:
    """Cells and answers are shown as they are: no tag, address or template in them comes to life."""
    evil = "</script><script>window.hit=1</script><img src=x onerror='window.hit=2'>{{ 7*7 }}\u202e\x00\ud800\"'>"
    row = ReportRow(
        title=evil, word="failed", row_number=2, video_url="javascript:window.hit=3", error=evil, advice=evil,
        page_url='https://x.example/"onclick="window.hit=4', thumbnail_url=f"data:text/html,{evil}",
    )  # fmt: skip
    report = Report(
        job=evil, operation=evil, is_real=True, identity=evil, counts={evil: 1}, spent=evil, rows=[row], made_at=0.0
    )

    page.open(written(tmp_path, report))
    page.click("#r1 h3")

    assert page.run("return window.hit") is None
    assert page.run("return document.querySelectorAll('script').length") == 1
    assert "{{ 7*7 }}" in page.visible()[0]
    assert page.logs("browser") == []


def test_no_script_but_ours_may_run(page: Browser, media: str, tmp_path: Path) -> None:
    """Should escaping ever fail, the policy still stands."""
    path = written(tmp_path, campaign(media))
    path.write_text(path.read_text("utf-8").replace("</main>", "<script>window.hit=1</script></main>"), "utf-8")

    page.open(path)

    assert page.run("return window.hit") is None
    assert "Content Security Policy" in page.logs("browser")[0]["message"]


def test_night_has_its_own_colours(page: Browser, media: str, tmp_path: Path) -> None:
    """The page follows what the device asks for, without a switch."""
    page.open(written(tmp_path, campaign(media)))
    paper = "return getComputedStyle(document.body).backgroundColor"
    day = page.run(paper)

    page.light("dark")

    assert (day, page.run(paper)) == ("rgb(246, 247, 249)", "rgb(17, 19, 23)")
    (tmp_path / "dark.png").write_bytes(page.shot())


def test_a_phone_shows_everything_without_scrolling_sideways(page: Browser, media: str, tmp_path: Path) -> None:
    """At 320 pixels nothing sticks out, and what is pressed is large enough for a finger."""
    page.devtools("Emulation.setDeviceMetricsOverride", width=320, height=700, deviceScaleFactor=2, mobile=True)
    page.open(written(tmp_path, campaign(media)))

    assert page.run("return document.documentElement.scrollWidth") == 320
    assert (
        page.run("return Math.min(...[...document.querySelectorAll('.chips button')].map(b => b.offsetHeight))") >= 40
    )
    (tmp_path / "phone.png").write_bytes(page.shot())


def test_ten_thousand_rows_load_few_pictures_and_can_be_searched(page: Browser, media: str, tmp_path: Path) -> None:
    """Pictures come when they are looked at, and a search still finds the one."""
    page.open(written(tmp_path, campaign(media, size=10_000)))
    page.settle("document.images[0].complete")

    page.press("/", *"9,999 2000")  # the two parts of no row
    page.settle("document.getElementById('told').textContent === '0 of 10,000 shown'")
    page.run("const s = document.getElementById('search'); s.value = 'row 9999'; s.dispatchEvent(new Event('input'))")
    page.settle("document.getElementById('told').textContent === '1 of 10,000 shown'")

    assert len(page.requests()) < 300


def test_the_picture_of_the_readme(page: Browser, media: str, tmp_path: Path) -> None:
    """The picture that the documents show is small enough; BATCHER_PICTURES=1 takes it anew."""
    page.devtools("Emulation.setDeviceMetricsOverride", width=1200, height=1330, deviceScaleFactor=1, mobile=False)
    then = page.devtools("Page.addScriptToEvaluateOnNewDocument", source=f"Date.now = () => {MADE_AT}e3")
    page.open(written(tmp_path, campaign(media, size=24, expire_at=MADE_AT + 7 * 86400)))
    page.devtools("Page.removeScriptToEvaluateOnNewDocument", **then)
    page.settle("[...document.images].slice(0, 8).every(i => i.complete && i.naturalWidth)")
    shown = Path(__file__).parent.parent / "docs" / "pictures" / "report.png"

    shot = page.shot()
    if TAKE_PICTURES:
        shown.parent.mkdir(parents=True, exist_ok=True)
        shown.write_bytes(shot)

    assert len(shot) < 200_000
    assert shown.stat().st_size < 200_000
