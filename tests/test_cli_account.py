"""list and doctor: what a person asks of an account before the first job."""

from __future__ import annotations

from pathlib import Path

import pytest

from batcher.cli.main import main
from batcher.errors import Exit
from batcher.simulator import Running

pytestmark = pytest.mark.usefixtures("signed_in")


def test_doctor_finds_everything_well(capsys: pytest.CaptureFixture[str]) -> None:
    """Ledger, key, host, account, clock, and the version that HeyGen has retired."""
    assert main(["doctor"]) == Exit.DONE
    said = capsys.readouterr().out
    assert "WRONG" not in said
    assert all(
        word in said for word in ("ledger", "key present", "can be reached", "balance $", "clock", "has retired")
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
