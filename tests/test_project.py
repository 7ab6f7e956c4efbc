"""The project file says where the ledger of a folder's jobs is, wherever a command is called."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from batcher.cli.main import main
from batcher.errors import InputError
from batcher.job import load_job
from batcher.opening import opened
from batcher.project import PROJECT_FILE, find_project
from batcher.simulator import Running
from batcher.surroundings import Surroundings

Say = Callable[[str], Path]


@pytest.fixture(autouse=True)
def no_state_of_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The variable goes before the file, so it is not there; the user's own state folder lies below the test's."""
    monkeypatch.delenv("BATCHER_STATE", raising=False)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.fixture
def say(tmp_path: Path) -> Say:
    """Writes the project file beside the test's jobs."""

    def write(text: str) -> Path:
        path = tmp_path / PROJECT_FILE
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def usual(tmp_path: Path) -> Path:
    """The state folder without a project file."""
    return tmp_path / "home" / ".local" / "state" / "batcher"


@pytest.fixture
def job(
    simulator: Running, make_sheet: Callable[..., Path], write_job: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A job over one row, for the simulator."""
    monkeypatch.setenv("HEYGEN_BASE_URL", simulator.url)
    make_sheet()
    return write_job()


def test_the_ledger_is_where_the_project_has_it_wherever_the_command_is_called(
    say: Say, job: Path, usual: Path, tmp_path: Path, simulator: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run from another folder that looked into another ledger would pay for everything again."""
    say("state: kept")
    assert main(["run", str(job), "--yes"]) == 0
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert main(["run", str(job), "--yes"]) == 0

    assert (tmp_path / "kept" / "loopback.db").exists()
    assert not usual.exists()
    assert len(simulator.report()["charges"]) == 1


def test_the_variable_goes_before_the_file(
    say: Say, job: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for every other setting: what a machine says is nearer than what a folder says."""
    say("state: kept")
    monkeypatch.setenv("BATCHER_STATE", str(tmp_path / "told"))
    assert main(["run", str(job), "--yes"]) == 0

    assert (tmp_path / "told" / "loopback.db").exists()
    assert not (tmp_path / "kept").exists()


def test_the_nearest_project_counts_and_one_further_up_does_not(tmp_path: Path) -> None:
    """Beside the job, or one folder above: as for `.env`."""
    jobs = tmp_path / "a" / "jobs"
    jobs.mkdir(parents=True)
    job = jobs / "x.yaml"
    (tmp_path / PROJECT_FILE).write_text("state: far", encoding="utf-8")
    assert find_project(job, folder=tmp_path) is None

    (tmp_path / "a" / PROJECT_FILE).write_text("state: above", encoding="utf-8")
    assert getattr(find_project(job, folder=tmp_path), "state", "") == str(tmp_path / "a" / "above")
    (jobs / PROJECT_FILE).write_text("state: postgresql://batcher@db/batcher", encoding="utf-8")
    assert getattr(find_project(job, folder=tmp_path), "state", "") == "postgresql://batcher@db/batcher"
    assert getattr(find_project(None, folder=tmp_path), "state", "") == str(tmp_path / "far")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sate: kept\n", "batcher.yaml:1:1: unknown key 'sate'; did you mean 'state'?"),
        ("# ours\n", "batcher.yaml"),
        ("state:\n  - kept\n", "batcher.yaml:1:1: state: "),
        ("state: ''\n", "batcher.yaml:1:1: state: "),
        ("state: mysql://db/x\n", "batcher.yaml:1:1: state: 'mysql://db/x' is neither a folder nor postgresql://"),
        ("state: postgresql://b:s3cret@db/b\n", "batcher.yaml:1:1: state: holds a password"),
        ("state: postgresql://b@[::1/b\n", "batcher.yaml:1:1: state: the address of the database cannot be read"),
    ],
)
def test_what_is_wrong_with_the_file_is_told_with_its_place(text: str, said: str, say: Say, tmp_path: Path) -> None:
    """A ledger that is looked for in the wrong place costs everything once more."""
    if "postgresql" in text:
        pytest.importorskip("psycopg")
    say(text)
    with pytest.raises(InputError) as caught:
        find_project(None, folder=tmp_path)
    assert str(caught.value).startswith(said)
    assert "s3cret" not in str(caught.value)


def test_a_new_project_file_does_not_let_a_job_be_paid_for_again(
    say: Say, job: Path, usual: Path, tmp_path: Path, simulator: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    """What it has made so far stands in the user's own ledger, which is to be moved first."""
    assert main(["run", str(job), "--yes"]) == 0
    say("state: kept")
    assert main(["run", str(job), "--yes"]) == 2
    assert f"batcher ledger move {usual} {tmp_path / 'kept'}" in capsys.readouterr().err

    assert main(["ledger", "move", str(usual), str(tmp_path / "kept")]) == 0
    assert main(["run", str(job), "--yes"]) == 0
    assert len(simulator.report()["charges"]) == 1


def test_a_worker_that_was_started_elsewhere_does_not_take_the_job(say: Say, job: Path, tmp_path: Path) -> None:
    """It works with the ledger of the folder it was started in, and that one knows nothing of what is paid."""
    say("state: kept")
    around = Surroundings(environ={"HEYGEN_API_KEY": "k", "HOME": str(tmp_path)}, folder=tmp_path / "elsewhere")
    with pytest.raises(InputError, match="the ledger of this job is another one"), opened(load_job(job), around):
        pass


def test_a_state_that_is_no_place_is_refused_in_the_environment_too(
    job: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It was once taken for the name of a folder."""
    monkeypatch.setenv("BATCHER_STATE", "mysql://db/x")
    assert main(["run", str(job), "--yes"]) == 2
    assert "BATCHER_STATE: 'mysql://db/x' is neither a folder nor postgresql://" in capsys.readouterr().err
