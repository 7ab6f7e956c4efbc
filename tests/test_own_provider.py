"""A provider that the user describes: the example of docs/providers.md, and what may not be done with such a file."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from stand_ins import Asked, JsonServer, Ran, json_server, run_job

from batcher.catalog.load import load_provider
from batcher.cli.main import main
from batcher.errors import Exit, InputError, Stopped
from batcher.job import load_job
from batcher.opening import opened
from batcher.surroundings import Surroundings

PAGE = (Path(__file__).parent.parent / "docs" / "providers.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"```yaml\n# ([a-z]+\.yaml)\n(.*?)```", PAGE, re.DOTALL))
CATALOG = FILES["rendermill.yaml"]
SHOWN_AT_ONCE = 3
"""The server shows fewer items than it is asked for."""


@dataclass(kw_only=True)
class Rendermill:
    """
    The made-up API.

    Attributes:
        renders: What was asked for, oldest first.
        uploads: The bytes of every file that came.
        lose: The next so many renders are made, and the answer is a 502.
        closed: Every write is refused with words that have no code.
    """

    renders: list[dict[str, Any]] = field(default_factory=list)
    uploads: list[bytes] = field(default_factory=list)
    looks: dict[int, int] = field(default_factory=dict)
    lose: int = 0
    closed: bool = False

    def answer(self, asked: Asked) -> tuple[int, Any]:
        """Answer one request."""
        if asked.headers.get("authorization", "").split(" ")[0] != "Token":
            return 200, _problem("E-KEY", "who are you?")
        if asked.method == "POST":
            return self._make(asked)
        if asked.path == "/me":
            return 200, {"ok": True, "who": "a cook", "coins": 900}
        if asked.path == "/templates":
            names = [("k1", "Goodbye"), ("k2", "Sale"), ("k3", "Autumn"), ("k4", "Welcome")]
            return 200, self._page(asked, "templates", [{"key": key, "title": title} for key, title in names])
        if asked.path == "/renders":
            items = [{**each, "phase": self._phase(each["no"])} for each in reversed(self.renders)]
            return 200, self._page(asked, "renders", items)
        return 200, self._one(int(asked.path.rsplit("/", 1)[-1]))

    def _make(self, asked: Asked) -> tuple[int, Any]:
        if self.closed:
            return 200, {"ok": False, "problem": {"words": "Sorry, the kitchen is closed"}}
        if asked.path == "/uploads":
            self.uploads.append(asked.body)
            return 200, {"ok": True, "stored": {"name": f"up-{len(self.uploads)}"}}
        if asked.path == "/speak":
            return 200, {"ok": True, "sound": {"address": "https://cdn.example.com/s.wav", "seconds": 2.0}}
        if asked.path != "/templates/k4/renders":
            return 200, _problem("E-TEMPLATE", f"{asked.path} is not on the menu")
        self.renders.append({"no": len(self.renders) + 1, "note": asked.body.get("note"), "body": asked.body})
        if self.lose > 0:
            self.lose -= 1
            return 502, {}
        return 202, {"ok": True, "render": {"no": len(self.renders)}}

    def _page(self, asked: Asked, name: str, items: list[Any]) -> Any:
        skip = int(asked.query.get("skip", 0))
        return {"ok": True, name: items[skip : skip + SHOWN_AT_ONCE], "of": len(items)}

    def _phase(self, no: int) -> str:
        self.looks[no] = self.looks.get(no, 0) + 1
        burnt = any("burn" in each["value"] for each in self.renders[no - 1]["body"]["fields"])
        return "brewing" if self.looks[no] < 2 else "burnt" if burnt else "plated"

    def _one(self, no: int) -> Any:
        phase = self._phase(no)
        told = {"no": no, "phase": phase, "why": {"id": "E-OVEN", "words": "too hot"} if phase == "burnt" else None}
        done = {"film": f"https://cdn.example.com/{no}.mp4", "seconds": 20} if phase == "plated" else {}
        return {"ok": True, "render": {**told, **done}}


def _problem(code: str, words: str) -> Any:
    return {"ok": False, "problem": {"id": code, "words": words}}


@pytest.fixture
def mill() -> Rendermill:
    """The API's insides."""
    return Rendermill()


@pytest.fixture
def server(mill: Rendermill, monkeypatch: pytest.MonkeyPatch) -> Iterator[JsonServer]:
    """The API on loopback, where the environment says that it is."""
    with json_server(mill.answer) as running:
        monkeypatch.setenv("RENDERMILL_BASE_URL", running.url)
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The two files of the page, and a sheet for them."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    with (tmp_path / "films.csv").open("w", encoding="utf-8", newline="") as file:
        lines = [("id", "Title", "Line", "Logo")]
        lines += [(f"f{number}", f"Film {number}", "" if number % 2 else "and more", "") for number in range(1, 8)]
        lines += [("f8", "burn this", "", "https://x.example.com/logo.png"), ("f9", "x" * 41, "", "up7")]
        csv.writer(file).writerows(lines)
    return tmp_path


def films(folder: Path, server: JsonServer) -> Ran:
    """Run the job of the page."""
    return run_job(folder / "films.yaml", state=folder / "state", environ={"RENDERMILL_BASE_URL": server.url})


def test_example_of_the_page_runs_to_the_end(folder: Path, server: JsonServer, mill: Rendermill) -> None:
    """Other envelopes, other words, numbers as ids, a list by offset without links: all of it is data."""
    end = films(folder, server)

    assert dict(end.ending.tally.words) == {"done": 7, "failed": 1, "invalid": 1}
    assert len(mill.renders) == 8
    assert end.outputs[0]["film_url"].startswith("https://cdn.example.com/")
    assert end.standings[7].error == "too hot"
    assert end.standings[7].error_code == "E-OVEN"
    assert "has 41 characters; 40 are allowed" in str(end.standings[8].flaws)


def test_example_sends_the_shapes_of_the_page(folder: Path, server: JsonServer, mill: Rendermill) -> None:
    """A mapping became a list, an empty cell left its member out, a web address became a typed asset."""
    films(folder, server)

    bodies = {each["body"]["fields"][0]["value"]: each["body"] for each in mill.renders}
    assert bodies["Film 2"]["fields"] == [{"field": "title", "value": "Film 2"}, {"field": "line", "value": "and more"}]
    assert bodies["Film 1"]["fields"] == [{"field": "title", "value": "Film 1"}]
    assert bodies["burn this"]["logo"] == {"kind": "web", "address": "https://x.example.com/logo.png"}


def test_an_edit_of_the_shapes_alone_is_planned_anew(folder: Path, server: JsonServer, mill: Rendermill) -> None:
    """Rows that still wait are sent as the description says now, not as it said when they were planned."""
    around = Surroundings(
        environ={"RENDERMILL_BASE_URL": server.url, "BATCHER_STATE": str(folder / "state")}, folder=folder
    )

    def is_remembered() -> bool:
        with opened(load_job(folder / "films.yaml"), around) as at_hand:
            return at_hand.plan(at=around.clock()).is_remembered

    assert [is_remembered(), is_remembered()] == [False, True]
    page = folder / "rendermill.yaml"
    page.write_text(page.read_text("utf-8").replace("kind: web, address: $", "kind: upload, upload: $"), "utf-8")
    assert not is_remembered()


def test_list_and_doctor_look_at_it(
    folder: Path, server: JsonServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A provider of one's own is asked as HeyGen is."""
    monkeypatch.setenv("BATCHER_STATE", str(folder / "state"))
    catalog = ["--catalog", str(folder / "rendermill.yaml")]
    assert main(["list", "templates", *catalog]) == Exit.DONE
    assert "Welcome" in capsys.readouterr().out
    assert main(["doctor", *catalog]) == Exit.DONE
    assert "Rendermill" in capsys.readouterr().out


def test_rule_of_the_page_is_told_at_its_cell(folder: Path, server: JsonServer, mill: Rendermill) -> None:
    """A row whose end comes before its beginning is not sent."""
    job = folder / "films.yaml"
    text = job.read_text(encoding="utf-8").replace("  template:", '  from: "{{ Title }}"\n  to: 10\n  template:')
    job.write_text(text.replace('title: "{{ Title }}", ', ""), encoding="utf-8")
    (folder / "films.csv").write_text("id,Title,Line,Logo\na,5,x,\nb,15,x,\n", encoding="utf-8")
    end = films(folder, server)

    assert dict(end.ending.tally.words) == {"done": 1, "invalid": 1}
    assert "films.csv!B3" in str(end.standings[1].flaws)
    assert "to: must be after from" in str(end.standings[1].flaws)


def test_files_go_where_the_page_says(folder: Path, server: JsonServer, mill: Rendermill) -> None:
    """As bare bytes, with the key, once; the render has the name that the answer gave them."""
    picture = b"\x89PNG\r\n\x1a\nlogo\x00\x00\x00\x00IEND\xaeB`\x82"
    (folder / "logo.png").write_bytes(picture)
    (folder / "films.csv").write_text("id,Title,Line,Logo\nf1,One,,logo.png\nf2,Two,,logo.png\n", encoding="utf-8")

    end = films(folder, server)

    assert end.ending.tally.words["done"] == 2
    assert mill.uploads == [picture]
    assert [each["body"]["logo"] for each in mill.renders] == [{"kind": "upload", "upload": "up-1"}] * 2


def test_host_for_files_must_be_allowed_too(folder: Path) -> None:
    """It gets the key as well."""
    text = CATALOG.replace("  path: /uploads\n", "  path: /uploads\n  base_url: https://files.evil.example\n")
    (folder / "rendermill.yaml").write_text(text, encoding="utf-8")
    environ = {"BATCHER_ALLOW_HOST": "api.rendermill.example", "RENDERMILL_KEY": "secret"}

    with pytest.raises(InputError, match=r"assets\.base_url: .* would go to files\.evil\.example"):  # noqa: SIM117
        with opened(load_job(folder / "films.yaml"), Surroundings(environ=environ, folder=folder)):
            pass


def test_list_by_offset_is_read_to_its_end(folder: Path, server: JsonServer) -> None:
    """The page is shorter than asked for: what follows begins where it ended, and the fourth template is found."""
    films(folder, server)

    skips = [each.query.get("skip") for each in server.asked if each.path == "/templates"]
    assert skips == [None, "3"]


def test_lost_answers_are_found_again_in_the_list(folder: Path, server: JsonServer, mill: Rendermill) -> None:
    """A 502 after the work was made: our token is searched for page by page, and nothing is made twice."""
    mill.lose = 2

    end = films(folder, server)

    assert end.ending.tally.words["done"] == 7
    assert len(mill.renders) == 8


def test_words_without_a_code_stop_the_run(folder: Path, server: JsonServer, mill: Rendermill) -> None:
    """A refusal that is known by its sentence alone leaves the rows waiting."""
    mill.closed = True

    end = films(folder, server).ending

    assert "the kitchen is closed: run again tomorrow" in end.reason
    assert end.tally.words["waiting"] == 8


def test_synchronous_operation_is_priced_by_its_text(folder: Path, server: JsonServer) -> None:
    """The answer of the submit is the outcome, and its price is known at once."""
    text = (folder / "films.yaml").read_text(encoding="utf-8")
    text = re.sub(r"settings:.*\n", "", text.replace("rendermill.film", "rendermill.words"))
    text = re.sub(r"request:\n.*?results:", 'request: { text: "{{ Title }}" }\nresults:', text, flags=re.DOTALL)
    (folder / "films.yaml").write_text(text, encoding="utf-8")

    end = films(folder, server)

    assert end.ending.tally.words["done"] == 9
    assert end.outputs[0]["sound_url"] == "https://cdn.example.com/s.wav"
    assert end.standings[0].estimate == pytest.approx(0.06)


def test_host_must_be_allowed_by_the_person(folder: Path) -> None:
    """A file that somebody else wrote cannot choose where keys go: the environment can."""
    job = load_job(folder / "films.yaml")
    around = Surroundings(environ={"RENDERMILL_KEY": "secret", "BATCHER_STATE": str(folder / "s")}, folder=folder)

    with pytest.raises(InputError, match=r"set BATCHER_ALLOW_HOST=api\.rendermill\.example in the environment"):  # noqa: SIM117
        with opened(job, around):
            pass


@pytest.mark.parametrize("allowed", ["", "evil.example"])
def test_key_of_a_built_in_provider_stays_there(folder: Path, allowed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job's catalogue that names HEYGEN_API_KEY and another host is refused, allowed or not."""
    monkeypatch.setenv("BATCHER_ALLOW_HOST", allowed)
    stolen = CATALOG.replace("RENDERMILL_KEY,", "HEYGEN_API_KEY,").replace("api.rendermill.example", "evil.example")
    (folder / "rendermill.yaml").write_text(stolen, encoding="utf-8")
    environ = {"HEYGEN_API_KEY": "secret", "BATCHER_ALLOW_HOST": allowed, "BATCHER_STATE": str(folder / "s")}

    with pytest.raises(InputError, match=r"HEYGEN_API_KEY is the key of HeyGen .* and evil\.example is not"):  # noqa: SIM117
        with opened(load_job(folder / "films.yaml"), Surroundings(environ=environ, folder=folder)):
            pass


def test_name_of_a_built_in_provider_is_taken(folder: Path) -> None:
    """Nobody's file can pass for HeyGen's."""
    text = CATALOG.replace("provider: rendermill ", "provider: heygen ").replace("  rendermill.", "  heygen.")
    (folder / "rendermill.yaml").write_text(text, encoding="utf-8")

    with pytest.raises(InputError, match="'heygen' comes with batcher; choose another name"):  # noqa: SIM117
        with opened(load_job(folder / "films.yaml"), Surroundings(environ={}, folder=folder)):
            pass


def test_error_with_status_200_is_an_error(folder: Path, server: JsonServer, mill: Rendermill) -> None:
    """A key that is not accepted stops the run, whatever the status says."""
    (folder / "rendermill.yaml").write_text(CATALOG.replace("Token {key}", "Bearer {key}"), encoding="utf-8")

    with suppress(Stopped):
        end = films(folder, server).ending
        assert "who are you?: check RENDERMILL_KEY and the coins left" in end.reason
        assert end.tally.words["waiting"] == 8
    assert mill.renders == []


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("    word: phase\n", "", r"rendermill.yaml:\d+:\d+: settle.film: 'word' is missing"),
        ("done: phase == 'plated'", "done: phase = 'plated'", r"settle\.film\.done: .* is not a JMESPath expression"),
        ("settle: film", "settle: flim", r"rendermill\.film\.settle: unknown name 'flim'; did you mean 'film'"),
        ("kind: wait", "kind: waits", r"errors\.kinds\.1\.kind: 'waits' is not one of: reject, wait, again, doubt, stop"),
        ("#/$defs/field", "#/$defs/felt", r"rendermill\.film\.body: unknown definition 'felt'; did you mean 'field'"),
        ("  rendermill.words:", "  words:", r"operations\.words: must begin with the provider's name: rendermill\.words"),
        ("offset: skip", "offsets: skip", r"pages: unknown key 'offsets'; did you mean 'offset'"),
        ("offset: skip, total: of", "total: of", r"pages: needs exactly one of: token \(with next\), offset, page"),
        ("logo: asset }", "logo: assets }", r"shape\.logo: unknown name 'assets'; did you mean 'asset'"),
        ("id: to_string(render.no) }", " }", r"rendermill\.film\.submit: 'id' is missing"),
        ("repeat: { free: true }\n", "repeat: { free: true }\n    settle: film\n", "needs either settle .* or outcome"),
        ("minItems: 1,", "minItems: one,", r"body\.properties\.fields\.minItems: is not JSON Schema: 'one' is not a whole number"),
        ('value: "Token {key}"', "value: Token", r"sign_in\.value: must hold \{key\}"),
        ("per: minute", "per: hour", r"price\.per: 'hour' is not one of: second, minute, character, video, call"),
        ("path: /speak", "path: speak", r"submit\.path: must be a path that begins with /"),
        ("submissions: 10/second", "submissions: often", r"limits\.submissions: 'often' is not a rate"),
        ("file: [png]", "file: [jpeg]", r"shapes\.asset\.1\.file\.0: assets\.types does not take jpeg"),
        ("types: { png:", "types: { pgn:", r"assets\.types.*pgn"),
        ("address: $ }", "address: $asst }", r"shapes\.asset\.0\.to: unknown shape 'asst'"),
        ("value: $ } }", "value: $asst } }", r"shapes\.fields\.0\.each: unknown shape 'asst'; did you mean 'asset'"),
        ("[film_url]", "[film_link]", r"links\.columns\.0: unknown name 'film_link'; did you mean"),
    ],
)  # fmt: skip
def test_broken_description_is_told_at_its_place(folder: Path, old: str, new: str, complaint: str) -> None:
    """Every message has file, line and column, and says what was expected."""
    assert CATALOG.count(old) >= 1
    path = folder / "rendermill.yaml"
    path.write_text(CATALOG.replace(old, new, 1), encoding="utf-8")

    with pytest.raises(InputError, match=complaint) as caught:
        load_provider(path)
    assert all(re.match(r"rendermill\.yaml:\d+:\d+$", problem.where) for problem in caught.value.problems)


PAGES: list[tuple[str, dict[str, Any]]] = [
    ("page: p", {}),
    ("page: p, first: 0", {"first": 0}),
    ("page: p, last: pages", {"last": True}),
    ("offset: p", {"offset": True}),
    ("offset: p, more: more", {"offset": True, "more": True}),
]


@pytest.mark.parametrize(("pages", "how"), PAGES, ids=[text for text, _ in PAGES])
def test_every_way_of_pages_is_read_to_the_end(
    folder: Path, pages: str, how: dict[str, Any], make_client: Callable[..., Any]
) -> None:
    """By number or offset, with a last page, a word for more, or nothing but an empty page at the end."""
    items = [{"key": f"k{number}", "title": f"T{number}"} for number in range(7)]

    def answer(asked: Asked) -> tuple[int, Any]:
        at = int(asked.query.get("p", 0 if how.get("offset") else how.get("first", 1)))
        start = at if how.get("offset") else (at - how.get("first", 1)) * 3
        page = {"templates": items[start : start + 3]}
        if how.get("last"):
            page["pages"] = 3  # type: ignore[assignment]
        if how.get("more"):
            page["more"] = start + 3 < len(items)  # type: ignore[assignment]
        return 200, page

    path = folder / "rendermill.yaml"
    path.write_text(
        CATALOG.replace("size: take, most: 50, offset: skip, total: of", f"most: 3, {pages}"), encoding="utf-8"
    )
    provider = load_provider(path)
    with json_server(answer) as running, make_client(provider, running.url) as client:
        found = [name for _, name in client.choices(provider.choices["templates"])]

    assert found == [item["title"] for item in items]


@pytest.fixture
def make_client() -> Callable[..., Any]:
    """A client for a provider at an address."""
    from contextlib import closing

    from batcher.api.account import open_account
    from batcher.api.client import Client

    return lambda provider, url: closing(
        Client(open_account(provider, base_url=url, environ={}, folders=[], state=Path("nowhere")))
    )


@pytest.mark.parametrize("elsewhere", ["", "https://render.example.net/v1"])
def test_offline_check_needs_no_host_to_be_allowed(
    folder: Path, elsewhere: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is sent, so nobody has to be trusted; with the network the host has to be allowed as before."""
    job = load_job(folder / "films.yaml")
    environ = {"BATCHER_STATE": str(folder / "state"), "RENDERMILL_KEY": "k", "RENDERMILL_BASE_URL": elsewhere}
    around = Surroundings(environ={key: value for key, value in environ.items() if value}, folder=folder)
    with opened(job, around, offline=True) as at_hand:
        assert len(list(at_hand.bind(checked=True).rows())) == 9
    with pytest.raises(InputError, match="BATCHER_ALLOW_HOST="), opened(job, around):
        pass
