"""Google Sheets: read by their link, and given our columns through the API, against a stand-in on loopback."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from batcher.cli.main import main
from batcher.errors import Exit, InputError
from batcher.google_link import GoogleLink, is_link, parse_link
from batcher.job import load_job
from batcher.simulator import Running
from tests.sheets_standin import KEY, LINK, Google, stand_in

REQUEST = {"template_id": "tpl_welcome", "variables": {"first_name": "{{ name }}", "company": None, "logo": None}}


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch) -> Iterator[Google]:
    """A sheet with two rows, which everybody with the link may see."""
    with stand_in([["id", "name", "notes"], ["r1", "Ann", "=1+1"], ["r2", "Bob", ""]]) as google:
        monkeypatch.setenv("BATCHER_GOOGLE_URL", google.url)
        yield google


@pytest.fixture
def write(state: Path, write_job: Callable[..., Path]) -> Callable[..., Path]:
    """A job over that sheet: `write(results="out.csv")`."""

    def make(results: str = "out.csv", **changes: object) -> Path:
        poll = {"at_most_every": "0.05s", "budget": "1000/second"}
        return write_job(request=REQUEST, sheet={"file": LINK}, results={"file": results}, poll=poll, **changes)

    return make


def words(path: Path) -> dict[str, str]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return {row["id"]: row["batcher_status"] for row in csv.DictReader(file)}


# --- the address


@pytest.mark.parametrize(
    ("text", "gid"),
    [
        (f"https://docs.google.com/spreadsheets/d/{KEY}/edit#gid=0", 0),
        (f"https://docs.google.com/spreadsheets/d/{KEY}/edit?usp=sharing", 0),
        (f"https://docs.google.com/spreadsheets/d/{KEY}/edit?gid=12#gid=12", 12),
        (f"https://docs.google.com/spreadsheets/u/1/d/{KEY}/edit?pli=1&gid=3", 3),
        (f"docs.google.com/spreadsheets/d/{KEY}", 0),
    ],
)
def test_addresses_as_people_copy_them(text: str, gid: int) -> None:
    """From the browser, and from the dialogue Share."""
    assert is_link(text)
    assert parse_link(text) == GoogleLink(key=KEY, gid=gid)


@pytest.mark.parametrize(
    "text", ["https://docs.google.com/spreadsheets/u/0/", "https://docs.google.com/spreadsheets/d/e/2PACX-1vS/pub"]
)
def test_an_address_that_leads_to_no_sheet_is_told_at_its_place(write_job: Callable[..., Path], text: str) -> None:
    """With the way to the right one."""
    with pytest.raises(InputError, match=r"sheet\.file: this is no address of a Google Sheet"):
        load_job(write_job(sheet={"file": text}))


def test_results_go_into_no_other_google_sheet(write: Callable[..., Path]) -> None:
    """Only the sheet itself can take them."""
    with pytest.raises(
        InputError, match=r"results\.file: results can go into a Google Sheet only where it is the sheet"
    ):
        load_job(write(results=LINK.replace("gid=7", "gid=8")))


# --- reading


def test_a_shared_sheet_is_read_by_its_link(google: Google, write: Callable[..., Path], signed_in: Running) -> None:
    """Without any account; and as long as nothing changes there, the next run has nothing to do."""
    job_file = write()

    assert main(["run", str(job_file), "--quiet"]) == Exit.DONE
    assert main(["run", str(job_file), "--quiet"]) == Exit.DONE

    assert words(job_file.parent / "out.csv") == {"r1": "done", "r2": "done"}
    assert len(signed_in.charges()) == 2
    assert google.asked == [f"GET /spreadsheets/d/{KEY}/export"] * 2


def test_a_private_sheet_is_told_how_to_share(
    google: Google, write: Callable[..., Path], signed_in: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    """What comes is a sign-in page: it is never read as a sheet."""
    google.is_public = False

    assert main(["run", str(write())]) == Exit.EDIT

    said = capsys.readouterr().err
    assert "Anyone with the link" in said
    assert "batcher[gsheets]" in said
    assert not signed_in.charges()


def test_offline_the_sheet_is_as_it_was_last_read(
    google: Google, write: Callable[..., Path], signed_in: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    """Commands that use no network read the copy, and say of when it is."""
    job_file = write()
    assert main(["check", str(job_file), "--offline"]) == Exit.EDIT
    assert "was never read" in capsys.readouterr().err
    assert main(["check", str(job_file)]) == Exit.DONE
    google.cells.append(["r3", "Cid"])
    asked = len(google.asked)

    assert main(["check", str(job_file), "--offline"]) == Exit.DONE
    assert main(["status", str(job_file)]) == Exit.NOT_FINISHED

    said = capsys.readouterr().out
    assert "as it was read on" in said
    assert said.count("2 rows = 2 waiting") == 3
    assert len(google.asked) == asked


def test_cells_are_named_by_the_sheets_own_name(
    google: Google, write: Callable[..., Path], signed_in: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the person sees it, not as we keep it."""
    google.put(1, 1, "")

    assert main(["check", str(write())]) == Exit.SOME_FAILED
    assert "Campaign - Leads.csv!B2" in capsys.readouterr().out


def test_a_copy_is_its_owners_alone(
    google: Google, write: Callable[..., Path], state: Path, signed_in: Running
) -> None:
    """It holds what the sheet holds: names and addresses of people."""
    main(["check", str(write())])

    (copy,) = (state / "sheets").glob("*/*/*.csv")
    assert [path.stat().st_mode & 0o077 for path in (copy, copy.parent, copy.parent.parent)] == [0, 0, 0]


def test_another_address_is_only_on_this_machine(
    write: Callable[..., Path], signed_in: Running, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No environment sends rows, or the credentials, elsewhere."""
    monkeypatch.setenv("BATCHER_GOOGLE_URL", "https://sheets.example.com")

    assert main(["check", str(write())]) == Exit.EDIT
    assert "BATCHER_GOOGLE_URL: may only lead to this machine" in capsys.readouterr().err
