"""The workbook as the whole interface: results in place, words in the status column, and nothing paid twice for them."""

from __future__ import annotations

import html
import json
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import xlsxwriter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openpyxl.styles import Font
from support import (
    Hurry,
    Killed,
    admit,
    batcher,
    environment,
    open_ledger,
    run_hurried,
    run_job,
    surroundings,
    write_job,
)

from batcher.answers import unsure
from batcher.errors import Exit, InputError
from batcher.inplace import write_in_place
from batcher.job import load_job
from batcher.ledger.values import Admission, News, Prepared
from batcher.model import Source, State
from batcher.opening import opened
from batcher.results import Tally
from batcher.simulator import Behaviour, Running, start

needs_office = pytest.mark.skipif(shutil.which("soffice") is None, reason="LibreOffice (soffice) is not installed")
Make = Callable[..., Running]


@pytest.fixture
def simulate() -> Iterator[Make]:
    """Starts simulators with quick renders of one length."""
    running: list[Running] = []

    def make(**changes: Any) -> Running:
        running.append(start(Behaviour(**{"render_s": 0.05, "spread": 0.0, "in_flight": 50, **changes})))
        return running[-1]

    yield make
    for each in running:
        each.stop()


class Book:
    """A job over a workbook that takes its own results, and a person who edits it."""

    def __init__(self, folder: Path, names: list[str], **job: Any) -> None:
        self.folder, self.path = folder, folder / "leads.xlsx"
        self.job = write_job(folder, [], **{"sheet": {"file": "leads.xlsx"}, "results": {"file": "leads.xlsx"}, **job})
        book = openpyxl.Workbook()
        tab = book.active
        tab.title = "Leads"
        tab.append(["id", "name", "Notes"])
        for number, name in enumerate(names, 1):
            tab.append([f"r{number}", name, f"note {number}"])
        tab["C2"].font = Font(bold=True, color="FF0000FF")
        book.save(self.path)

    def change_job(self, **keys: Any) -> Book:
        """Replace keys of the job file; None takes one out."""
        value = {**json.loads(self.job.read_text(encoding="utf-8")), **keys}
        self.job.write_text(json.dumps({key: each for key, each in value.items() if each is not None}, indent=1))
        return self

    def cells(self) -> list[dict[str, Any]]:
        tab = openpyxl.load_workbook(self.path)["Leads"]
        header, *rows = tab.iter_rows(values_only=True)
        return [dict(zip(header, row, strict=True)) for row in rows]

    def words(self) -> list[str]:
        return [row["batcher_status"] for row in self.cells()]

    def edit(self, row: int, column: str, value: object) -> None:
        """As a person does it: open, type, save."""
        book = openpyxl.load_workbook(self.path)
        tab = book["Leads"]
        names = [cell.value for cell in tab[1]]
        if column not in names:
            tab.cell(1, len(names) + 1, column)
            names.append(column)
        tab.cell(row, names.index(column) + 1).value = value
        book.save(self.path)

    def __call__(self, simulator: Running | None, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command on the job."""
        command, *rest = arguments
        env = environment(self.folder, simulator.url if simulator else "")
        return batcher(command, self.job, *rest, env=env, cwd=self.folder)

    def run(self, simulator: Running) -> Tally:
        """One run within this process; returns how the rows stand."""
        tally: Tally = run_job(self.job, simulator.url).tally
        return tally


FAN_OUT: dict[str, Any] = {
    "operation": "heygen.translation",
    "for_each": {"language": ["German (Germany)", "French (France)"]},
    "request": {"video": "https://example.com/{{ name }}.mp4", "output_languages": ["{{ language }}"]},
    "estimate": None,
}
CHAIN: dict[str, Any] = {
    "speech": {"operation": "heygen.speech", "request": {"text": "{{ name }}", "voice_id": "Anna"}},
    "video": {
        "operation": "heygen.video",
        "request": {"type": "avatar", "avatar_id": "Abigail in the office", "audio_url": "{{ speech.audio_url }}"},
    },
}


def created(simulator: Running) -> int:
    count: int = simulator.report()["creations"]
    return count


# --- results in place


def test_results_stand_in_the_persons_own_workbook(simulate: Make, tmp_path: Path) -> None:
    """Links, colours, a note on the very cell that is wrong; the person's cells and formats are as they were."""
    book = Book(tmp_path, ["Ann", "", "[fail]"])
    done = book(simulate(), "run")

    assert done.returncode == Exit.SOME_FAILED, done.stderr
    assert f"Results  {book.path}" in done.stdout
    tab = openpyxl.load_workbook(book.path)["Leads"]
    header = [cell.value for cell in tab[1]]
    assert header[:4] == ["id", "name", "Notes", "batcher_status"]
    assert book.words() == ["done", "invalid", "failed"]
    assert tab.cell(2, header.index("video_url") + 1).hyperlink.target.startswith("http")
    assert tab["D2"].fill.fgColor.rgb.endswith("C6EFCE")
    assert "name is empty" in tab["B3"].comment.text
    assert tab["C2"].font.bold
    assert tab["C2"].value == "note 1"


def notes(path: Path) -> dict[str, str]:
    """Every note below the header, by its cell."""
    tab = openpyxl.load_workbook(path)["Leads"]
    return {cell.coordinate: cell.comment.text for row in tab.iter_rows(min_row=2) for cell in row if cell.comment}


def test_a_failure_stands_as_a_note_on_the_cell_that_caused_it(simulate: Make, tmp_path: Path) -> None:
    """What the API refuses or fails to fetch is led back to its column; where it names nothing, to the row's word."""
    variables = {"first_name": "{{ name }}", "company": None, "logo": {"image": "https://example.com/{{ Notes }}.png"}}
    book = Book(tmp_path, ["Ann", "[policy]", "[fail]", "Dan"], request={"variables": variables})
    for row, picture in enumerate(("ann", "bob", "cem", "missing/dan"), 2):
        book.edit(row, "Notes", picture)
    book.run(simulate())

    assert book.words() == ["done", "failed", "failed", "failed"]
    found = notes(book.path)
    assert sorted(found) == ["B3", "C5", "D4"]
    assert "content policy" in found["B3"] and "reword it" in found["B3"]
    assert "Failed to download" in found["C5"]
    assert "Rendering failed" in found["D4"]


def test_workbook_and_page_speak_to_the_person_who_fills_in_the_sheet(simulate: Make, tmp_path: Path) -> None:
    """What to do is said in words for the sheet: nobody there runs anything, and there is no terminal."""
    book = Book(tmp_path, ["", "[policy]", "Ann"], results={"file": "leads.xlsx", "report": "page.html"})
    book(simulate(), "run")
    page = html.unescape((tmp_path / "page.html").read_text(encoding="utf-8"))
    invalid, failed, done = (row["what_to_do"] for row in book.cells())

    assert invalid == "correct the cell and save"
    assert failed.endswith('reword it (write "again" in batcher_status and save)')
    assert done is None
    assert invalid in page and failed in page
    assert not re.search(r"run again|batcher (retry|settle|run)", page)


def test_an_unsure_row_is_left_to_the_person_who_looks_after_the_work(tmp_path: Path) -> None:
    """The person at the sheet cannot decide it, and must not ask for it again."""
    book = Book(tmp_path, ["Ann"])
    with opened(load_job(book.job), surroundings(tmp_path, "http://127.0.0.1:9"), offline=True) as at_hand:
        at_hand.plan(at=0.0)
        (attempt,) = admit(at_hand.ledger, job=at_hand.job.name, account=at_hand.account_name).attempts
        at_hand.ledger.record(unsure(attempt, "read timed out", resend_lost=False, now=1.0))
        at_hand.write_results()

    (row,) = book.cells()
    advice = "ask the person who looks after this; do not write again"
    assert (row["batcher_status"], row["what_to_do"]) == ("unsure", advice)
    assert advice in notes(book.path)["D2"]


def test_status_tells_what_held_rows_wait_for(simulate: Make, tmp_path: Path) -> None:
    """How many a person keeps back, and how many wait for which day."""
    simulator, book = simulate(), Book(tmp_path, ["Ann", "Bob", "Cem", "Dan"])
    book.edit(2, "batcher_status", "hold")
    for row, day in ((3, "2099-01-31"), (4, "2099-01-31"), (5, "31.12.2098")):
        book.edit(row, "not_before", day)
    book(simulator, "run")
    told = book(simulator, "status").stdout
    summary = json.loads(book(simulator, "status", "--json").stdout)

    assert "4 rows = 4 held" in told
    assert "Held     1 by the word hold, 1 until 2098-12-31, 2 until 2099-01-31" in told
    assert summary["held"] == {"hold": 1, "2098-12-31": 1, "2099-01-31": 2}


def test_the_note_of_a_failure_goes_when_it_is_made_again(simulate: Make, tmp_path: Path) -> None:
    """A mended cell carries no old reason."""
    simulator, book = simulate(), Book(tmp_path, ["[policy]"])
    book.run(simulator)
    before = notes(book.path)
    book.edit(2, "name", "Ann")
    book.edit(2, "batcher_status", "again")
    book.run(simulator)

    assert list(before) == ["B2"]
    assert book.words() == ["done"]
    assert notes(book.path) == {}


def test_a_misspelt_word_is_told_at_its_cell_for_as_long_as_it_matters(simulate: Make, tmp_path: Path) -> None:
    """The word is put back, and the note that says so outlives later writings; a word that counts takes it away."""
    simulator, book = simulate(), Book(tmp_path, ["[fail]", "Bob"])
    book.run(simulator)
    book.edit(2, "batcher_status", "agian")
    book.run(simulator)
    told = notes(book.path)["D2"]
    book.edit(3, "batcher_status", "again")
    book.run(simulator)
    later = notes(book.path)["D2"]
    book.edit(2, "name", "Ann")
    book.edit(2, "batcher_status", "again")
    book.run(simulator)

    assert "'agian' is none of the words that count here (again, hold, sample); put back to: failed" in told
    assert "Rendering failed" in told
    assert later == told
    assert book.words() == ["done", "done"]
    assert notes(book.path) == {}


def test_a_tick_after_our_own_writing_has_nothing_to_do(simulate: Make, tmp_path: Path) -> None:
    """What we wrote is no change of the sheet: no network, and the file stays as it is."""
    simulator, book = simulate(), Book(tmp_path, ["Ann", "Bob"])
    book(simulator, "run")
    before, asked = book.path.read_bytes(), simulator.report()["requests"]
    done = book(simulator, "run")

    assert "NOTHING TO DO" in done.stdout
    assert book.path.read_bytes() == before
    assert simulator.report()["requests"] == asked


def test_our_columns_are_no_input_for_rows_that_are_their_content(simulate: Make, tmp_path: Path) -> None:
    """With `row_id: content` a row stays the same row after we have written beside it."""
    simulator, book = simulate(), Book(tmp_path, ["Ann", "Bob"], sheet={"file": "leads.xlsx", "row_id": "content"})
    book.run(simulator)
    book.edit(2, "Notes", "another note")  # not a cell that the job uses
    book.run(simulator)

    assert created(simulator) == 2
    assert "batcher_status" not in book(simulator, "check").stdout


def test_a_row_of_which_only_our_cells_are_left_is_blank(simulate: Make, tmp_path: Path) -> None:
    """A person who empties a row means it; our old words beside it go too."""
    simulator, book = simulate(), Book(tmp_path, ["Ann", "Bob"])
    book.run(simulator)
    for column in ("id", "name", "Notes"):
        book.edit(3, column, None)
    tally = book.run(simulator)

    assert tally.words == {"done": 1, "skipped": 1}
    assert book.cells()[1] == dict.fromkeys(book.cells()[1])


def test_an_open_workbook_gets_its_results_beside_and_later_in_place(simulate: Make, tmp_path: Path) -> None:
    """Excel has it open: nothing is lost, a quiet run says where the results are, and the next tick asks no API."""
    simulator, book = simulate(), Book(tmp_path, ["Ann"])
    before = book.path.read_bytes()
    lock = tmp_path / "~$leads.xlsx"
    lock.touch()
    done = book(simulator, "run", "--quiet")

    assert done.returncode == Exit.DONE, done.stderr
    assert "leads.xlsx: is open in Excel" in done.stdout
    assert "until then the results stand in leads.results.xlsx" in done.stdout
    assert book.path.read_bytes() == before
    beside = openpyxl.load_workbook(tmp_path / "leads.results.xlsx").active
    assert [cell.value for cell in beside[2]][3] == "done"

    verified = book(simulator, "verify")
    assert verified.returncode == Exit.DONE, verified.stdout

    lock.unlink()
    asked = simulator.report()["requests"]
    assert book(simulator, "run").returncode == Exit.DONE
    assert book.words() == ["done"]
    assert simulator.report()["requests"] == asked
    assert "NOTHING TO DO" in book(simulator, "run").stdout


def test_a_protected_tab_is_told_once_and_left_alone(simulate: Make, tmp_path: Path) -> None:
    """The results stand beside it; ticks stay quiet until the person changes the workbook."""
    simulator, book = simulate(), Book(tmp_path, ["Ann"])
    plain = openpyxl.load_workbook(book.path)
    plain["Leads"].protection.enable()
    plain.save(book.path)
    done = book(simulator, "run")
    assert "the tab Leads is protected" in done.stdout
    assert book(simulator, "verify").returncode == Exit.DONE
    stamp = (tmp_path / "leads.results.xlsx").stat().st_mtime_ns
    assert book(simulator, "run").returncode == Exit.DONE
    assert (tmp_path / "leads.results.xlsx").stat().st_mtime_ns == stamp

    plain["Leads"].protection.disable()
    plain.save(book.path)
    book(simulator, "run")
    assert book.words() == ["done"]


def test_a_strangers_file_beside_is_never_replaced(simulate: Make, tmp_path: Path) -> None:
    """The name may be taken already."""
    book = Book(tmp_path, ["Ann"])
    shutil.copy(book.path, tmp_path / "leads.results.xlsx")
    (tmp_path / "~$leads.xlsx").touch()
    done = book(simulate(), "run")
    assert done.returncode == Exit.EDIT
    assert "leads.results.xlsx: is there and was not written by batcher" in done.stdout
    assert openpyxl.load_workbook(tmp_path / "leads.results.xlsx").active.max_column == 3


def test_what_a_person_saves_during_a_run_is_not_written_over(simulate: Make, tmp_path: Path) -> None:
    """The run writes beside; the next one reads the new cells and writes in place."""
    simulator, book = simulate(), Book(tmp_path, ["Ann"])
    job = load_job(book.job)
    with opened(job, surroundings(tmp_path, simulator.url)) as at_hand:
        at_hand.plan(at=1.0)
        book.edit(2, "Notes", "saved meanwhile")
        written = at_hand.write_results()
    assert "has changed since it was read" in written.note
    assert book.cells()[0]["Notes"] == "saved meanwhile"
    assert book.run(simulator).words == {"done": 1}
    assert book.cells()[0]["Notes"] == "saved meanwhile"
    assert book.words() == ["done"]


def test_a_crash_between_workbook_and_ledger_costs_a_plan_and_nothing_else(simulate: Make, tmp_path: Path) -> None:
    """The new workbook is there, but the ledger has not heard of it."""
    simulator, book = simulate(), Book(tmp_path, ["Ann", "[fail]"])
    book.run(simulator)
    book.edit(3, "batcher_status", "again")
    with opened(load_job(book.job), surroundings(tmp_path, simulator.url)) as at_hand:
        at_hand.obey(at_hand.plan(at=1.0), at=1.0)
        write_in_place(at_hand.bound, at_hand.ledger, fingerprint=at_hand.sheet.fingerprint)
    assert book.words() == ["done", "waiting"]
    book.run(simulator)
    assert created(simulator) == 3
    assert book.words() == ["done", "failed"]


def test_a_fan_out_becomes_columns_in_place(simulate: Make, tmp_path: Path) -> None:
    """Several lines for one row do not fit into the person's sheet."""
    book = Book(tmp_path, ["a"]).change_job(**FAN_OUT)
    assert book.run(simulate()).words == {"done": 1}
    row = book.cells()[0]
    assert (row["batcher_status_German (Germany)"], row["batcher_status_French (France)"]) == ("done", "done")
    tab = openpyxl.load_workbook(book.path)["Leads"]
    links = [
        cell.hyperlink
        for cell in tab[2]
        if str(cell.value).startswith("http") and "_url_" in tab.cell(1, cell.column).value
    ]
    assert links
    assert all(links)

    long = book.change_job(results={"file": "leads.xlsx", "fan_out": "long"})
    with pytest.raises(InputError, match=r"job\.yaml:\d+:\d+: results\.fan_out: .* one line per row"):
        load_job(long.job)


def test_only_a_workbook_takes_its_own_results(tmp_path: Path) -> None:
    """A CSV has nowhere to keep the person's own words apart from ours."""
    job = write_job(tmp_path, ["Ann"], results={"file": "people.csv"})
    before = (tmp_path / "people.csv").read_bytes()
    done = batcher("run", job, env=environment(tmp_path), cwd=tmp_path)
    assert done.returncode == Exit.EDIT
    assert "only a workbook (.xlsx, .xlsm) can take" in done.stderr
    assert (tmp_path / "people.csv").read_bytes() == before


CRASH = """
import os, signal, sys
swap, before = os.replace, sys.argv.pop(1) == "before"
def dying(source, target, **rest):
    if not before:
        swap(source, target, **rest)
    os.kill(os.getpid(), signal.SIGKILL)
os.replace = dying
from batcher.cli.main import main
sys.exit(main(sys.argv[1:]))
"""
"""The command, killed at the moment when the new workbook takes the old one's place."""


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_kill_at_the_swap_leaves_a_whole_workbook_and_pays_nothing_twice(
    simulate: Make, tmp_path: Path, moment: str
) -> None:
    """The old one or the new one, and the next run finishes."""
    simulator, book = simulate(), Book(tmp_path, ["Ann", "[fail]"])
    book.run(simulator)
    book.edit(3, "batcher_status", "again")
    old = book.cells()
    command = [sys.executable, "-c", CRASH, moment, "run", book.job]
    killed = subprocess.run(command, env=environment(tmp_path, simulator.url), capture_output=True, timeout=60)

    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert (book.cells() == old) == (moment == "before")
    assert book.run(simulator).words == {"done": 1, "failed": 1}
    assert created(simulator) == 3
    assert (book.words(), book.cells()[1]["attempts"]) == (["done", "failed"], 2)


# --- words


def test_again_makes_a_failed_row_once_more_and_tells_its_price(simulate: Make, tmp_path: Path) -> None:
    """Before anything is sent; afterwards the cell is ours again."""
    simulator, book = simulate(), Book(tmp_path, ["Ann", "[fail]"])
    book.run(simulator)
    book.edit(3, "name", "Bob")
    book.edit(3, "batcher_status", " Again ")
    assert "1 row again: ≈ $" in book(simulator, "check").stdout
    assert created(simulator) == 2

    book.run(simulator)
    assert created(simulator) == 3
    assert book.words() == ["done", "done"]
    assert book.cells()[1]["attempts"] == 2


def test_again_beside_a_done_row_counts_too_and_only_once(simulate: Make, tmp_path: Path) -> None:
    """A person who does not like a video asks for another one; further ticks do not."""
    simulator, book = simulate(), Book(tmp_path, ["Ann"])
    book.run(simulator)
    book.edit(2, "batcher_status", "again")
    for _ in range(3):
        book.run(simulator)
    assert created(simulator) == 2


def test_a_refused_price_obeys_nothing_and_forgets_nothing(simulate: Make, tmp_path: Path) -> None:
    """The word stays, the row stays done; emptied, the cell asks nothing."""
    simulator, book = simulate(), Book(tmp_path, ["Ann"])
    book.run(simulator)
    book.edit(2, "batcher_status", "again")
    for _ in range(2):
        with opened(load_job(book.job), surroundings(tmp_path, simulator.url)) as at_hand:
            plan = at_hand.plan(at=1.0)  # and no word from the person
            assert (plan.again_count, plan.to_send) == (1, 1)
            assert not plan.is_remembered
    book(simulator, "results")
    assert book.words() == ["again"]
    book.edit(2, "batcher_status", None)
    book.run(simulator)
    assert created(simulator) == 1
    assert book.words() == ["done"]


def test_an_old_copy_of_the_workbook_asks_nothing(simulate: Make, tmp_path: Path) -> None:
    """Last week's file, with words that were obeyed last week, is put back: nobody pays for them again."""
    simulator, book = simulate(), Book(tmp_path, ["Ann", "[fail]"])
    book.run(simulator)
    for row in (2, 3):
        book.edit(row, "batcher_status", "again")
    copy = shutil.copy(book.path, tmp_path / "copy.xlsx")
    book.run(simulator)
    assert created(simulator) == 4

    shutil.copy(copy, book.path)
    assert "Unheard  'again' in rows 2, 3" in book(simulator, "check").stdout
    book.run(simulator)
    assert created(simulator) == 4
    assert book.words() == ["done", "failed"]


@pytest.mark.parametrize("word", [" Again ", "AGAIN!", "“again”", "'again'", "again."])
def test_a_word_is_understood_as_people_write_it(simulate: Make, tmp_path: Path, word: str) -> None:
    """Copied from the instructions with its quotes, or shouted."""
    simulator, book = simulate(), Book(tmp_path, ["Ann"])
    book.run(simulator)
    book.edit(2, "batcher_status", word)
    book.run(simulator)
    assert created(simulator) == 2


def test_a_word_that_means_nothing_is_told(simulate: Make, tmp_path: Path) -> None:
    """A slip is replaced by our word, as everything else there, but not without saying so."""
    simulator, book = simulate(), Book(tmp_path, ["Ann", "[fail]", ""])
    book.run(simulator)
    assert "Misread" not in book(simulator, "check").stdout
    book.edit(3, "batcher_status", "agian")
    assert "no word that means anything stands in row 3 of" in book(simulator, "check").stdout
    book.run(simulator)
    assert (created(simulator), book.words()) == (2, ["done", "failed", "invalid"])


def test_a_results_sheet_as_next_input_asks_in_the_same_way(simulate: Make, tmp_path: Path) -> None:
    """A person works in the CSV results, saves them as the next input, and keeps the old ones."""
    simulator = simulate()
    job = write_job(tmp_path, ["Ann", "[fail]"])
    run_job(job, simulator.url)
    lines = (tmp_path / "out.csv").read_text(encoding="utf-8-sig").splitlines()
    (tmp_path / "people.csv").write_text("\n".join([lines[0], lines[1], lines[2].replace(",failed,", ",again,")]))
    for _ in range(2):
        run_job(job, simulator.url)
    assert created(simulator) == 3


@pytest.mark.parametrize("answers", range(1, 5))
def test_a_kill_between_obeying_and_rewriting_makes_no_second_attempt(
    simulate: Make, tmp_path: Path, answers: int
) -> None:
    """The cell still says `again` after the crash, at whatever answer it comes."""
    simulator, book = simulate(), Book(tmp_path, ["Ann"])
    clock = Hurry(simulator)
    run_hurried(book.job, simulator, clock)
    book.edit(2, "batcher_status", "again")
    try:
        run_hurried(book.job, simulator, clock, dies_after=answers)
    except Killed:
        assert book.words() == ["again"]
    run_hurried(book.job, simulator, clock)
    assert created(simulator) == 2
    assert book.words() == ["done"]


def test_with_a_fan_out_again_means_what_failed(simulate: Make, tmp_path: Path) -> None:
    """The languages that are there are not paid again; when none has failed, all are meant."""
    simulator, book = simulate(), Book(tmp_path, ["a"]).change_job(**FAN_OUT)
    book.run(simulator)
    book.edit(2, "batcher_status", "again")
    book.run(simulator)
    assert created(simulator) == 4


def test_again_on_a_chain_makes_later_steps_from_the_new_earlier_ones(simulate: Make, tmp_path: Path) -> None:
    """A video must not be made once more with the old sound."""
    simulator = simulate()
    book = Book(tmp_path, ["Hello"]).change_job(steps=CHAIN, operation=None, request=None, estimate=None)
    assert book.run(simulator).words == {"done": 1}, book.cells()
    book.edit(2, "batcher_status", "again")
    book.run(simulator)
    sounds = [body["audio_url"] for body in bodies(book, "video")]
    assert len(set(sounds)) == 2


def bodies(book: Book, step: str) -> list[dict[str, Any]]:
    """What the attempts at a step have sent."""
    db = sqlite3.connect(book.folder / "state" / "loopback.db")
    query = "SELECT a.body FROM attempts a JOIN tasks t USING (task_id) WHERE t.step = ? ORDER BY a.number"
    found = [json.loads(body) for (body,) in db.execute(query, (step,))]
    db.close()
    return found


def test_hold_keeps_a_row_back_until_the_word_is_gone(simulate: Make, tmp_path: Path) -> None:
    """We show it as `held`; emptied, the row is sent."""
    simulator, book = simulate(), Book(tmp_path, ["Ann", "Bob"])
    book.edit(3, "batcher_status", "HOLD")
    done = book(simulator, "run")
    assert done.returncode == Exit.DONE
    assert "2 rows = 1 done + 1 held ✓" in done.stdout
    assert book.words() == ["done", "held"]
    assert "1 held" in book(simulator, "run").stdout
    assert created(simulator) == 1

    book.edit(3, "batcher_status", None)
    book.run(simulator)
    assert book.words() == ["done", "done"]


def test_a_day_in_not_before_is_waited_for(simulate: Make, tmp_path: Path) -> None:
    """The unchanged sheet is planned from memory, and the row goes out when its day has come."""
    simulator, book = simulate(), Book(tmp_path, ["Ann", "Bob", "Cy"])
    book.edit(2, "not_before", datetime(2199, 12, 1))
    book.edit(3, "not_before", "soon")
    book.edit(4, "not_before", "1.12.2019")
    tally = book.run(simulator)
    assert tally.words == {"held": 1, "invalid": 1, "done": 1}
    assert book.words() == ["held until 2199-12-01", "invalid", "done"]
    assert "'soon' is no day" in book.cells()[1]["error"]
    clock = Hurry(simulator)
    clock.advance((2200 - 2020) * 366 * 86400.0)
    assert run_job(book.job, simulator.url, clock=lambda: clock() + 1).tally.words["done"] == 2


def test_sample_marks_rows_and_stays_while_they_wait(simulate: Make, tmp_path: Path) -> None:
    """The plan knows them."""
    simulator, book = simulate(), Book(tmp_path, ["Ann", "Bob"])
    book.edit(3, "batcher_status", "sample")
    with opened(load_job(book.job), surroundings(tmp_path, simulator.url)) as at_hand:
        assert at_hand.plan(at=1.0).samples == ["r2"]
        at_hand.write_results()
    assert book.words() == ["waiting", "sample"]
    book.run(simulator)
    assert book.words() == ["done", "done"]


def test_changed_rows_are_made_again_where_the_job_says_so(simulate: Make, tmp_path: Path) -> None:
    """`on_change: resubmit`, once for each change; by default they are only shown."""
    simulator, book = simulate(), Book(tmp_path, ["Ann"])
    book.run(simulator)
    book.edit(2, "name", "Anna")
    book.run(simulator)
    assert created(simulator) == 1
    again = write_job(tmp_path, [], sheet={"file": "leads.xlsx"}, results={"file": "leads.xlsx"}, on_change="resubmit")
    for _ in range(3):
        run_job(again, simulator.url)
    assert created(simulator) == 2


ACTIONS = st.lists(
    st.tuples(st.sampled_from(["run", "again", "clear", "save", "restore"]), st.integers(0, 1)), max_size=12
)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(actions=ACTIONS)
def test_no_order_of_words_runs_and_old_copies_pays_more_than_was_asked(
    actions: list[tuple[str, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Every typed `again` is worth at most one attempt; typed into the newest file, exactly one."""
    folder = tmp_path_factory.mktemp("orders")
    book, copies = Book(folder, ["Ann", "Bob"]), list[Path]()
    play_run(book)
    typed, is_newest = [0, 0], True
    for action, row in actions:
        number = row + 2
        if action == "again":
            typed[row] += 1
            book.edit(number, "batcher_status", "again")
        elif action == "clear":
            book.edit(number, "batcher_status", None)
        elif action == "save":
            copies.append(Path(shutil.copy(book.path, folder / f"copy{len(copies)}.xlsx")))
        elif action == "restore" and copies:
            shutil.copy(copies[row % len(copies)], book.path)
            is_newest = False
        elif action == "run":
            asked = [word == "again" for word in book.words()] if is_newest else None
            before = attempts(book)
            play_run(book)
            if asked is not None:
                assert [now - then for now, then in zip(attempts(book), before, strict=True)] == asked
            is_newest = True
            assert book.words() == ["done", "done"]
        assert all(made <= 1 + asked for made, asked in zip(attempts(book), typed, strict=True))


def play_run(book: Book, at: float = 1_800_000_000.0) -> None:
    """A run whose API says *done* at once: the real plan, ledger and workbook, without the wire."""
    with opened(load_job(book.job), surroundings(book.folder, "http://127.0.0.1:9"), offline=True) as at_hand:
        at_hand.obey(at_hand.plan(at=at), at=at)
        sent = at_hand.ledger.admit(
            Admission(job=at_hand.job.name, account=at_hand.account_name, now=at, at_most=100),
            lambda each: Prepared(body=each.body, key=f"k{each.task_id}-{each.number}", token=""),
        )
        at_hand.ledger.record(
            [
                News(
                    attempt_id=each.attempt_id,
                    state=State.DONE,
                    source=Source.ANSWER,
                    cause="played",
                    at=at,
                    answered=True,
                    remote_id=f"v-{each.attempt_id}",
                    completed_at=at,
                )
                for each in sent.attempts
            ]
        )
        at_hand.write_results()


def attempts(book: Book) -> list[int]:
    ledger = open_ledger(book.folder)
    found = [each.attempts for each in ledger.standings("greetings")]
    ledger.close()
    return found


def test_retry_tells_what_it_will_cost(simulate: Make, tmp_path: Path) -> None:
    """Also for rows that failed, about which it does not ask."""
    simulator, book = simulate(), Book(tmp_path, ["Ann", "[fail]"])
    book.run(simulator)
    assert book(simulator, "retry", "--failed").stdout == "1 will be made again by the next run, ≈ $0.67\n"
    asked = batcher(
        "retry",
        book.job,
        "--rows",
        "2",
        env=environment(tmp_path, simulator.url),
        cwd=tmp_path,
        input="n\n",
        stdin=None,
    )
    assert "1 of these rows are done and would be paid for again, ≈ $0.67" in asked.stdout


def test_formulas_of_the_persons_own_are_escaped_in_csv_when_asked(simulate: Make, tmp_path: Path) -> None:
    """By default their cells leave as they came."""
    simulator = simulate()
    for escape, shown in ((False, "=1+1"), (True, "'=1+1")):
        job = write_job(tmp_path, ["=1+1"], results={"file": "out.csv", "escape_formulas": escape})
        run_job(job, simulator.url)
        batcher("results", job, env=environment(tmp_path, simulator.url), cwd=tmp_path)
        assert f",{shown}," in (tmp_path / "out.csv").read_text(encoding="utf-8-sig")


# --- ids that the ledger does not know


def test_work_of_another_machine_stops_the_plan_and_is_adopted(simulate: Make, tmp_path: Path) -> None:
    """The workbook was filled elsewhere: nothing is made, or paid, again."""
    simulator, book = simulate(), Book(tmp_path, ["Ann", "[fail]", "Cy"])
    book.run(simulator)
    book.edit(4, "video_id", None)
    shutil.rmtree(tmp_path / "state")
    done = book(simulator, "run", "--yes")
    assert done.returncode == Exit.EDIT
    assert "leads.xlsx: 2 rows show ids of work that this ledger does not know (rows 2, 3)" in done.stderr
    assert "batcher adopt job.yaml" in done.stderr
    assert created(simulator) == 3

    adopted = book(simulator, "adopt")
    assert (adopted.returncode, adopted.stdout) == (Exit.DONE, "2 taken over\n")
    assert book.run(simulator).words == {"done": 2, "failed": 1}
    assert created(simulator) == 3  # the row that showed no id was sent, with the key that it had there, too
    assert book.words() == ["done", "failed", "done"]


def test_work_of_a_fan_out_is_adopted_language_by_language(simulate: Make, tmp_path: Path) -> None:
    """More than one sweep can look at one by one; a language that shows no id is left to the next run."""
    simulator, book = simulate(), Book(tmp_path, [f"a{n}" for n in range(13)]).change_job(**FAN_OUT)
    book.run(simulator)
    book.edit(2, "video_id_German (Germany)", None)
    shutil.rmtree(tmp_path / "state")
    assert book(simulator, "adopt").stdout == "25 taken over\n"
    ledger = open_ledger(tmp_path)
    assert ledger.counts("greetings") == {State.DONE: 12, State.WAITING: 1}
    ledger.close()


def test_an_id_that_the_api_does_not_know_is_not_adopted(simulate: Make, tmp_path: Path) -> None:
    """It stays a reason to stop until a person empties the cell."""
    simulator, book = simulate(), Book(tmp_path, ["Ann"])
    book.run(simulator)
    shutil.rmtree(tmp_path / "state")
    book.edit(2, "video_id", "0123456789abcdef0123456789abcdef")
    adopted = book(simulator, "adopt")
    assert adopted.returncode == Exit.EDIT
    assert "the API does not know the ids in rows 2" in adopted.stdout
    assert book(simulator, "run").returncode == Exit.EDIT
    assert created(simulator) == 1


def test_a_rehearsal_takes_no_notice_of_ids(simulate: Make, tmp_path: Path) -> None:
    """It has a ledger of its own, in which nothing was ever made, and leaves the workbook alone."""
    simulator, book = simulate(), Book(tmp_path, ["Ann"])
    book.run(simulator)
    before = book.path.read_bytes()
    assert book(simulator, "run", "--rehearse").returncode == Exit.DONE
    assert book.path.read_bytes() == before
    assert (tmp_path / "leads.rehearsal.xlsx").exists()


# --- other programs


@needs_office
def test_a_workbook_from_libreoffice_goes_through_all_of_it(simulate: Make, tmp_path: Path) -> None:
    """Made and saved again by LibreOffice between the runs, with a formula that keeps its value."""
    book = Book(tmp_path, [])
    plain = xlsxwriter.Workbook(str(tmp_path / "raw.xlsx"))
    tab = plain.add_worksheet("Leads")
    tab.write_row(0, 0, ["id", "name", "Sum"])
    tab.write_row(1, 0, ["r1", "Ann"])
    tab.write_row(2, 0, ["r2", "[fail]"])
    tab.write_formula(1, 2, "=1+1")
    plain.close()
    office(tmp_path / "raw.xlsx", book.path)
    simulator = simulate()
    book.run(simulator)
    assert book.words() == ["done", "failed"]

    book.edit(3, "batcher_status", "again")
    office(book.path, book.path)
    book.run(simulator)
    assert created(simulator) == 3
    assert openpyxl.load_workbook(book.path, data_only=True)["Leads"]["C2"].value == 2


def office(source: Path, target: Path) -> None:
    """LibreOffice opens and saves a workbook."""
    folder = target.parent / "saved"
    command = ["soffice", "--headless", f"-env:UserInstallation=file://{target.parent}/office", "--convert-to", "xlsx"]
    subprocess.run([*command, "--outdir", folder, source], check=True, capture_output=True, timeout=120)
    shutil.move(folder / f"{source.stem}.xlsx", target)
