"""list and doctor: what a person asks of an account before the first job."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from conftest import TEST_KEY

from batcher.cli.main import main
from batcher.errors import Exit
from batcher.simulator import Running

pytestmark = pytest.mark.usefixtures("signed_in")

OF_WHEN = r"voices as of \d\d:\d\d"


def test_doctor_finds_everything_well(capsys: pytest.CaptureFixture[str]) -> None:
    """Ledger, key, host, account, clock, and the version that HeyGen has retired."""
    assert main(["doctor"]) == Exit.DONE
    said = capsys.readouterr().out
    assert "WRONG" not in said
    assert all(
        word in said
        for word in ("ledger", "key present", "can be reached", "paid by wallet, balance $", "clock", "has retired")
    )


def test_doctor_says_what_is_wrong_and_what_to_do(simulator: Running, capsys: pytest.CaptureFixture[str]) -> None:
    """An empty wallet is told before a campaign meets it."""
    simulator.behave(balance=0)
    assert main(["doctor"]) == Exit.EDIT
    assert "balance $0.00 → top it up" in capsys.readouterr().out


def test_list_shows_names_with_their_ids(capsys: pytest.CaptureFixture[str]) -> None:
    """All pages, sorted by name."""
    assert main(["list", "voices"]) == Exit.DONE
    lines = capsys.readouterr().out.splitlines()
    assert lines == sorted(lines, key=str.casefold)
    assert any(line.split() == ["Anna", "voice_anna"] for line in lines)


def test_list_writes_a_sheet(tmp_path: Path) -> None:
    """To fill cells from."""
    target = tmp_path / "languages.csv"
    assert main(["list", "languages", "--to", str(target)]) == Exit.DONE
    assert "Spanish (Spain)" in target.read_text(encoding="utf-8-sig")


def test_a_list_that_does_not_exist_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    """As every other misspelt word does."""
    assert main(["list", "voicess"]) == Exit.EDIT
    assert "did you mean 'voices'" in capsys.readouterr().err


Speech = Callable[[str], str]


@pytest.fixture
def speech(make_sheet: Callable[..., Path], write_job: Callable[..., Path]) -> Speech:
    """A job that needs the list of voices, by the voice that it names."""

    def write(voice: str) -> str:
        make_sheet({"id": "1", "Text": "Hello."})
        request = {"text": "{{ Text }}", "voice_id": voice}
        return str(write_job(operation="heygen.speech", request=request, estimate=None))

    return write


def test_a_list_is_kept_with_its_age(simulator: Running, speech: Speech, capsys: pytest.CaptureFixture[str]) -> None:
    """A look every minute does not read every page every minute, and says of when its list is."""
    assert main(["check", speech("Anna")]) == Exit.DONE
    asked = simulator.report()["requests"]["GET /v3/voices"]
    assert not re.search(OF_WHEN, capsys.readouterr().out)

    assert main(["check", speech("Anna")]) == Exit.DONE
    assert simulator.report()["requests"]["GET /v3/voices"] == asked
    assert re.search(OF_WHEN, capsys.readouterr().out)

    assert main(["check", speech("Anna"), "--fresh"]) == Exit.DONE
    assert simulator.report()["requests"]["GET /v3/voices"] == 2 * asked
    assert not re.search(OF_WHEN, capsys.readouterr().out)


def test_a_name_is_not_called_unknown_by_a_kept_list(simulator: Running, speech: Speech, tmp_path: Path) -> None:
    """A voice that was cloned a minute ago can be used at once; one that does not exist is still told."""
    assert main(["check", speech("Anna")]) == Exit.DONE
    body = {"audio": {"type": "url", "url": "https://files.example.com/zoe.wav"}, "voice_name": "Zoe Neu"}
    requests.post(
        f"{simulator.url}/v3/voices/clone", json=body, headers={"X-Api-Key": TEST_KEY}, timeout=30
    ).raise_for_status()
    simulator.advance(3600)

    assert main(["check", speech("Zoe Neu")]) == Exit.DONE
    assert main(["check", speech("Zoe Alt")]) == Exit.EDIT


def test_what_list_shows_is_what_check_goes_by(
    simulator: Running, speech: Speech, capsys: pytest.CaptureFixture[str]
) -> None:
    """Looking at the list is looking anew."""
    assert main(["list", "speech_voices"]) == Exit.DONE
    asked = simulator.report()["requests"]["GET /v3/voices"]
    assert main(["check", speech("Anna")]) == Exit.DONE
    assert simulator.report()["requests"]["GET /v3/voices"] == asked


@pytest.mark.parametrize("left", ["", "[]", '{"as_of": 1}', '{"as_of": "x", "members": [1], "catalog": ""}'])
def test_a_kept_list_that_is_broken_is_read_anew(left: str, speech: Speech, state: Path) -> None:
    """It only saves requests."""
    assert main(["check", speech("Anna")]) == Exit.DONE
    (file,) = (state / "lists").glob("*.json")
    file.write_text(left, encoding="utf-8")
    assert main(["check", speech("Anna")]) == Exit.DONE
    assert "voice_anna" in file.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("operation", "request_", "changes", "line"),
    [
        ("heygen.voice_clone", {"voice_name": "{{ Text }}"}, {}, "carry a short token"),
        ("heygen.voice_clone", {"voice_name": "{{ Text }}"}, {"title_token": False}, "carry no token: a row whose"),
        (
            "heygen.video",
            {"type": "cinematic_avatar", "prompt": "{{ Text }}", "avatar_id": ["Mei"]},
            {},
            "heygen.video: 7 USD a video",
        ),
    ],
)
def test_check_says_what_titles_carry_and_what_this_kind_costs(
    operation: str,
    request_: dict[str, object],
    changes: dict[str, object],
    line: str,
    make_sheet: Callable[..., Path],
    write_job: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A person decides by it: a token in the title is seen by others, and doing without it has a price."""
    make_sheet({"id": "1", "Text": "Hello."})
    if operation == "heygen.voice_clone":
        request_ = {**request_, "audio": "https://files.example.com/a.wav"}
    path = write_job(operation=operation, request=request_, estimate=None, **changes)

    assert main(["check", str(path)]) == Exit.DONE
    assert line in capsys.readouterr().out
