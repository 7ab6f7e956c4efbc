"""A folder as the inbox: each file a run of its own, nothing taken half, nothing lost, nothing paid twice."""

from __future__ import annotations

import csv
import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from batcher import inbox
from batcher.cli.main import main
from batcher.cli.sheets import WORST_FIRST
from batcher.errors import Exit, InputError
from batcher.inbox import Dropped, job_of, look_inside, put_away
from batcher.job import Job, load_job
from batcher.ledger.lock import job_lock
from batcher.sheet import write_xlsx
from batcher.simulator import Running

HEADER = ("id", "name")
HOUR = 3600.0
REQUEST = {"template_id": "tpl_welcome", "variables": {"first_name": "{{ name }}", "company": None, "logo": None}}
Drop = Callable[..., Path]


@pytest.fixture
def job_file(tmp_path: Path, state: Path, write_job: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A job over an empty inbox; the second look comes at once."""
    monkeypatch.setattr(inbox, "LOOK_AGAIN_S", 0.0)
    (tmp_path / "inbox").mkdir()
    return write_job(
        request=REQUEST,
        sheet={"file": "inbox/*.csv"},
        results={"file": "outbox/*.csv"},
        poll={"at_most_every": "0.05s", "budget": "1000/second"},
    )


@pytest.fixture
def job(job_file: Path) -> Job:
    return load_job(job_file)


@pytest.fixture
def drop(job_file: Path) -> Drop:
    """Puts a file into the inbox: `drop("a.csv", ("r1", "Ann"))`."""

    def put(name: str, *rows: tuple[str, str]) -> Path:
        path = job_file.parent / "inbox" / name
        if path.suffix == ".xlsx":
            write_xlsx(path, HEADER, rows, ours_from=len(HEADER))
        else:
            with path.open("w", encoding="utf-8", newline="") as file:
                csv.writer(file).writerows([HEADER, *rows])
        return path

    return put


def reasons(dropped: list[Dropped]) -> dict[str, str]:
    return {each.path.name: each.reason for each in dropped}


def look(job: Job, *, meanwhile: Callable[[], Any] = lambda: None, age_s: float = 0.0) -> dict[str, str]:
    """The files and why they are left alone, with something happening between the two looks."""
    newest = max((path.stat().st_ctime for path in job.sheet.file.parent.iterdir()), default=0.0)
    return reasons(look_inside(job, clock=lambda: newest + age_s, sleep=lambda _: meanwhile()))


def words(path: Path) -> dict[str, str]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return {row["id"]: row["batcher_status"] for row in csv.DictReader(file)}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


# --- a whole run


def test_every_file_is_a_run_of_its_own(job_file: Path, drop: Drop, signed_in: Running) -> None:
    """Two files with the same row ids: two rows are made, each has its results, both files are put away."""
    drop("a.csv", ("r1", "Ann"))
    drop("b.csv", ("r1", "Bob"))

    assert main(["run", str(job_file), "--quiet"]) == Exit.DONE

    folder = job_file.parent
    assert len(signed_in.charges()) == 2
    assert words(folder / "outbox" / "a.csv") == words(folder / "outbox" / "b.csv") == {"r1": "done"}
    assert (names(folder / "inbox"), names(folder / "done")) == ([], ["a.csv", "b.csv"])


def test_a_corrected_file_dropped_again_goes_on(job_file: Path, drop: Drop, signed_in: Running) -> None:
    """The state goes by the file's name: only the row that is new is made, and the old file is not written over."""
    drop("a.csv", ("r1", "Ann"), ("r2", ""))
    assert main(["run", str(job_file), "--quiet"]) == Exit.SOME_FAILED
    drop("A.csv", ("r1", "Ann"), ("r2", "Bob"))

    assert main(["run", str(job_file), "--quiet"]) == Exit.DONE

    assert len(signed_in.charges()) == 2
    assert len(names(job_file.parent / "done")) == 2
    assert words(job_file.parent / "outbox" / "A.csv") == {"r1": "done", "r2": "done"}


def test_a_file_from_done_is_known_by_its_first_name(job: Job, drop: Drop) -> None:
    """What was added to its name when it was put away names no new work."""
    plain, again = drop("a.csv"), drop("a (done 2026-11-20 23.05.01 2).csv")

    assert job_of(job, plain).name == job_of(job, again).name
    assert job_of(job, again).results.file.name == "a.csv"


def test_a_broken_file_does_not_block_the_others(job_file: Path, drop: Drop, signed_in: Running) -> None:
    """Its reasons stand beside it until it is mended, and the exit code is the worst of all."""
    broken = drop("a.csv", ("r1", "Ann"))
    broken.write_text('id,name\nr1,"Ann\n')
    drop("b.csv", ("r1", "Bob"))

    assert main(["run", str(job_file), "--quiet"]) == Exit.EDIT

    assert names(broken.parent) == ["a.csv", "a.csv.problem.txt"]
    assert "row 2" in (broken.parent / "a.csv.problem.txt").read_text("utf-8")
    assert names(job_file.parent / "done") == ["b.csv"]
    drop("a.csv", ("r1", "Ann"))
    assert main(["run", str(job_file), "--quiet"]) == Exit.DONE
    assert names(broken.parent) == []


def test_what_is_wrong_for_all_files_stands_beside_none(
    job_file: Path, drop: Drop, capsys: pytest.CaptureFixture[str]
) -> None:
    """A missing key is no fault of a file."""
    path = drop("a.csv", ("r1", "Ann"))

    assert main(["run", str(job_file)]) == Exit.EDIT

    assert names(path.parent) == ["a.csv"]
    assert capsys.readouterr().err.count("no key for") == 1


def test_new_ids_under_an_old_name_are_not_made_blindly(job_file: Path, drop: Drop, signed_in: Running) -> None:
    """They may be the old rows renumbered: the file stays, and its reasons say how to have them made."""
    drop("a.csv", ("r1", "Ann"))
    main(["run", str(job_file), "--quiet"])
    path = drop("a.csv", ("x1", "Ann"))

    assert main(["run", str(job_file), "--quiet"]) == Exit.EDIT

    assert len(signed_in.charges()) == 1
    assert "another name" in (path.parent / "a.csv.problem.txt").read_text("utf-8")


def test_an_empty_inbox_is_quick_and_silent(job_file: Path, state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No key, no network, no ledger, not a word."""
    assert main(["run", str(job_file), "--quiet", "--for", "10m"]) == Exit.DONE

    assert capsys.readouterr() == ("", "")
    assert not state.exists()


def test_every_command_goes_over_the_files(
    job_file: Path, drop: Drop, signed_in: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    """check, submit, status, results and settle tell each file's own account."""
    drop("a.csv", ("r1", "Ann"))
    drop("b.csv", ("r1", "Bob"), ("r2", "Bea"))
    for command in ("check", "submit", "status", "results", "settle"):
        code = main([command, str(job_file)])
        said = capsys.readouterr().out
        assert code in (Exit.DONE, Exit.NOT_FINISHED), command
        assert said.count("1 rows =") + said.count("no row is unsure") >= 1, command
    assert main(["reconcile", str(job_file), "--file", "b.csv", "--json"]) in (Exit.DONE, Exit.NOT_FINISHED)
    assert '"greetings/b.csv"' in capsys.readouterr().out


def test_rows_are_of_one_file(job_file: Path, drop: Drop, capsys: pytest.CaptureFixture[str]) -> None:
    """A row number means another row in each file."""
    drop("a.csv", ("r1", "Ann"))
    drop("b.csv", ("r1", "Bob"))

    assert main(["retry", str(job_file), "--rows", "2"]) == Exit.EDIT
    assert "--file: a.csv, b.csv" in capsys.readouterr().err
    assert main(["status", str(job_file), "--file", "c.csv"]) == Exit.EDIT
    assert "there is a.csv, b.csv" in capsys.readouterr().err


def test_a_workbook_takes_its_own_results_before_it_is_put_away(
    job_file: Path, drop: Drop, write_job: Callable[..., Path], signed_in: Running
) -> None:
    """The inbox as the workplace: dropped, filled in place, found in done; `again` in it and back counts once."""
    path = drop("a.xlsx", ("r1", "Ann"))
    own = write_job(request=REQUEST, sheet={"file": "inbox/*.xlsx"}, results={"file": "inbox/*.xlsx"})

    assert main(["run", str(own), "--quiet"]) == Exit.DONE

    done = job_file.parent / "done" / "a.xlsx"
    book = openpyxl.load_workbook(done)
    assert [cell.value for cell in book.active[1]][:3] == ["id", "name", "batcher_status"]
    assert (book.active["C2"].value, names(path.parent)) == ("done", [])
    book.active["C2"].value = "again"
    book.save(path)
    assert main(["run", str(own), "--quiet"]) == Exit.DONE
    assert len(signed_in.charges()) == 2
    assert len(names(done.parent)) == 2


def test_a_workbook_that_is_opened_meanwhile_stays(
    job_file: Path, drop: Drop, write_job: Callable[..., Path], signed_in: Running
) -> None:
    """Its results stand beside it, are never taken for a new file, and go in once it is closed."""
    path = drop("a.xlsx", ("r1", "Ann"))
    lock = path.with_name("~$a.xlsx")
    own = write_job(request=REQUEST, sheet={"file": "inbox/*.xlsx"}, results={"file": "inbox/*.xlsx"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inbox, "_reason", lambda *_: lock.touch() or "")
        assert main(["run", str(own), "--quiet"]) == Exit.DONE
    assert names(path.parent) == ["a.results.xlsx", "a.xlsx", "~$a.xlsx"]
    assert main(["run", str(own), "--quiet"]) == Exit.NOT_FINISHED
    lock.unlink()

    assert main(["run", str(own), "--quiet"]) == Exit.DONE

    book = openpyxl.load_workbook(job_file.parent / "done" / "a.xlsx")
    assert book.active["C2"].value == "done"
    assert len(signed_in.charges()) == 1


def test_a_rehearsal_moves_nothing(job_file: Path, drop: Drop) -> None:
    """Its rows never count as done, so its files are not finished."""
    path = drop("a.csv", ("r1", "Ann"))

    assert main(["run", str(job_file), "--rehearse", "--quiet"]) == Exit.DONE
    assert names(path.parent) == ["a.csv"]
    assert words(job_file.parent / "outbox" / "a.rehearsal.csv") == {"r1": "done"}


def test_a_file_that_another_run_works_on_is_left_to_it(
    job_file: Path, state: Path, drop: Drop, signed_in: Running
) -> None:
    """Two ticks at once share the files, never one of them."""
    drop("a.csv", ("r1", "Ann"))
    drop("b.csv", ("r1", "Bob"))

    with job_lock(state / "locks", "greetings/a.csv"):
        assert main(["run", str(job_file), "--quiet"]) == Exit.NOT_FINISHED

    assert (names(job_file.parent / "inbox"), names(job_file.parent / "done")) == (["a.csv"], ["b.csv"])


@pytest.mark.parametrize("call", ["link", "unlink"])
def test_killed_while_it_is_put_away(job_file: Path, drop: Drop, signed_in: Running, call: str) -> None:
    """After the results, before or in the middle of the move: the next run moves it, and pays nothing."""
    path = drop("a.csv", ("r1", "Ann"))
    child = os.fork()
    if not child:
        target = inbox.os if call == "link" else Path
        real = getattr(target, call)

        def die(file: Path, *args: object, **rest: object) -> object:
            return os.kill(os.getpid(), signal.SIGKILL) if file == path else real(file, *args, **rest)

        setattr(target, call, die)
        main(["run", str(job_file), "--quiet"])
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert path.exists()

    assert main(["run", str(job_file), "--quiet"]) == Exit.DONE

    assert len(signed_in.charges()) == 1
    assert (names(path.parent), names(job_file.parent / "done")) == ([], ["a.csv"])


def test_the_worst_exit_code_is_that_of_the_readme() -> None:
    """One order for the rows of a file and for the files of an inbox."""
    readme = (Path(__file__).parent.parent / "README.md").read_text("utf-8")
    told = re.search(r"When several hold, the first of ([\d, ]+)\.", readme)

    assert told is not None
    assert [int(code) for code in WORST_FIRST] == [int(code) for code in told[1].split(",")]


# --- which files are taken


def test_a_file_that_grows_between_two_looks_is_left_alone(job: Job, drop: Drop) -> None:
    """It is still being copied."""
    path = drop("a.csv", ("r1", "Ann"))

    def grow() -> None:
        with path.open("a") as file:
            file.write("r2,Bob\n")

    assert look(job, meanwhile=grow) == {"a.csv": "is still being copied"}
    assert look(job) == {"a.csv": ""}


@pytest.mark.skipif(sys.platform != "linux", reason="leases are Linux's own")
def test_a_file_that_a_program_has_open_for_writing_is_left_alone(job: Job, drop: Drop) -> None:
    """However long the copying has paused."""
    path = drop("a.csv", ("r1", "Ann"))
    with path.open("a"):
        assert look(job, age_s=HOUR) == {"a.csv": "is still being copied"}
    assert look(job, age_s=HOUR) == {"a.csv": ""}


def test_an_old_file_needs_no_second_look(job: Job, drop: Drop) -> None:
    """A tick over files that are in work does not wait."""

    def fail() -> None:
        raise AssertionError("waited")

    drop("a.csv", ("r1", "Ann"))
    assert look(job, meanwhile=fail, age_s=HOUR) == {"a.csv": ""}


@pytest.mark.parametrize("beside", ["~$a.csv", ".~lock.a.csv#", "a.csv.part", "a.csv.crdownload"])
def test_a_file_that_somebody_works_on_is_left_alone(job: Job, drop: Drop, beside: str) -> None:
    """A lock or an unfinished transfer lies beside it."""
    path = drop("a.csv", ("r1", "Ann"))
    path.with_name(beside).touch()

    assert list(look(job)) == ["a.csv"]
    assert look(job)["a.csv"]


@pytest.mark.parametrize("name", [".hidden.csv", "~$a.csv", "b.xlsx", "a.results.csv", "a.rehearsal.csv", "b.csv.part"])
def test_what_is_no_sheet_of_the_inbox_is_never_taken(job: Job, drop: Drop, name: str) -> None:
    """Locks, hidden files, other kinds, and what we write ourselves."""
    drop("b.csv", ("r1", "Ann")).rename(job.sheet.file.parent / name)

    assert look(job) == {}


def test_two_files_with_one_state_are_not_both_taken(job: Job, drop: Drop) -> None:
    """`A.csv` and `a.csv` would be each other's rows."""
    drop("A.csv", ("r1", "Ann"))
    drop("a.csv", ("r1", "Ann"))

    assert look(job) == {"A.csv": "", "a.csv": "has the name of A.csv: give one of them another name"}


def test_brackets_are_letters_and_case_of_the_ending_does_not_count(write_job: Callable[..., Path], drop: Drop) -> None:
    """`leads [final].CSV` is a file like any other."""
    drop("leads [final].CSV", ("r1", "Ann"))
    job = load_job(write_job(sheet={"file": "inbox/leads [*.csv"}, results={"file": "outbox/*.csv"}))

    assert look(job) == {"leads [final].CSV": ""}


# --- putting away


def test_nothing_is_ever_written_over(job: Job, drop: Drop) -> None:
    """A further file of a name gets the time added, and a number when need be."""
    for name in ("one", "two", "three"):
        path = drop("a.csv", ("r1", name))
        put_away(path, fingerprint=inbox._sha256(path), at=0.0)

    done = job.sheet.file.parent.parent / "done"
    assert len({path.read_text() for path in done.iterdir()}) == 3
    assert all(job_of(job, path).name == "greetings/a.csv" for path in done.iterdir())


def test_a_file_that_has_changed_since_stays(drop: Drop) -> None:
    """Its new rows were not worked on."""
    path = drop("a.csv", ("r1", "Ann"))

    assert put_away(path, fingerprint="0" * 64, at=0.0) is None
    assert path.exists()


def test_another_disk_is_no_hindrance(drop: Drop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no second name can be given, the file is copied whole."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(inbox.os, "link", refuse)
    path = drop("a.csv", ("r1", "Ann"))
    text = path.read_text()

    target = put_away(path, fingerprint=inbox._sha256(path), at=0.0)

    assert target is not None
    assert (path.exists(), target.read_text()) == (False, text)


# --- the job file


@pytest.mark.parametrize(
    ("sheet", "results", "complaint"),
    [
        ("inbox/*.csv", {"file": "out.csv"}, "results.file: each file of the inbox needs its own"),
        ("inbox/*.csv", {"file": "inbox/*-done.csv"}, "results.file: the results would be taken for new files"),
        ("*.csv", {"file": "outbox/*.csv"}, "sheet.file: the inbox needs a folder of its own"),
        ("in*/*.csv", {"file": "outbox/*.csv"}, "sheet.file: only the name of the file"),
        ("a.csv", {"file": "outbox/*.csv"}, "results.file: * stands for the name of a file of an inbox"),
        ("inbox/*.csv", {"file": "outbox/*.csv", "download": "v/{{ id }}.mp4"}, "results.download: each file"),
        ("inbox/*.csv", {"file": "outbox/*.csv", "report": "r.html"}, "results.report: each file"),
    ],
)
def test_an_inbox_that_cannot_work_is_told(
    write_job: Callable[..., Path], sheet: str, results: dict[str, str], complaint: str
) -> None:
    """At its place in the job file, before anything is looked for."""
    with pytest.raises(InputError) as error:
        load_job(write_job(sheet={"file": sheet}, results=results))

    assert complaint in str(error.value)


def test_a_folder_that_is_not_there_is_told(job_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelt inbox would otherwise be empty for ever."""
    (job_file.parent / "inbox").rmdir()

    assert main(["run", str(job_file)]) == Exit.EDIT
    assert "sheet.file: the inbox" in capsys.readouterr().err
