"""Workers are asked for where there can be none: said in one line, before anything is touched."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from batcher.cli.main import main


@pytest.mark.parametrize("command", [("worker", "--drain"), ("workers",)])
def test_workers_need_a_shared_ledger(
    command: tuple[str, ...], state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file on this machine is nobody else's."""
    assert main(list(command)) == 2
    assert "workers share a ledger in PostgreSQL: set BATCHER_STATE=postgresql://" in capsys.readouterr().err


def test_a_job_is_not_handed_over_without_a_shared_ledger(
    state: Path, make_sheet: Callable[..., Path], write_job: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing has been planned or sent then."""
    make_sheet()

    assert main(["run", str(write_job()), "--cluster"]) == 2
    assert "workers share a ledger in PostgreSQL" in capsys.readouterr().err
    assert not list(state.rglob("*.db"))


@pytest.mark.parametrize("options", [("--every", "1h"), ("--cluster", "--rehearse"), ("--cluster", "--no-download")])
def test_what_does_not_go_together_is_refused(
    options: tuple[str, ...], state: Path, write_job: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Before the job is looked at."""
    assert main(["run", str(write_job()), *options]) == 2
    assert "--cluster" in capsys.readouterr().err
