"""Google Sheets: read by their link, and given our columns through the API, against a stand-in on loopback."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sheets_standin import KEY, LINK, Google, stand_in, write_key_file

from batcher.cli.main import main
from batcher.errors import Exit, InputError
from batcher.google_link import GoogleLink, is_link, parse_link
from batcher.gsheets import api
from batcher.job import load_job
from batcher.simulator import Running

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


# --- writing


@pytest.fixture
def account(google: Google, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Google:
    """The sheet is private, and shared with the service account of the environment; nobody waits for Google."""
    google.is_public = False
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(write_key_file(tmp_path / "key.json", google)))
    monkeypatch.setattr(api, "WAITS_S", (0.0,))
    return google


def test_results_go_into_the_sheet_and_the_next_run_has_nothing_to_do(
    account: Google, write: Callable[..., Path], signed_in: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only cells of ours are written; what we wrote ourselves is no news."""
    job_file = write(LINK)

    assert main(["run", str(job_file)]) == Exit.DONE

    assert f"Results  {LINK}" in capsys.readouterr().out
    assert account.column("batcher_status") == {"r1": "done", "r2": "done"}
    assert account.column("notes") == {"r1": "=1+1", "r2": ""}
    assert all(link.startswith("http") for link in account.column("video_url").values())
    written = len(account.written)
    assert main(["run", str(job_file), "--quiet"]) == Exit.DONE
    assert (len(account.written), len(signed_in.charges())) == (written, 2)
    assert capsys.readouterr() == ("", "")


def test_again_in_the_sheet_is_obeyed_once(account: Google, write: Callable[..., Path], signed_in: Running) -> None:
    """The same words as in a workbook."""
    job_file = write(LINK)
    main(["run", str(job_file), "--quiet"])
    account.put(2, account.cells[0].index("batcher_status"), "again")
    before = [list(row) for row in account.cells]

    assert main(["run", str(job_file), "--quiet"]) == Exit.DONE
    assert account.column("batcher_status") == {"r1": "done", "r2": "done"}
    assert account.column("attempts") == {"r1": "1", "r2": "2"}
    assert len(signed_in.charges()) == 3

    account.cells = before  # an older version of the sheet is brought back
    assert main(["run", str(job_file), "--quiet"]) == Exit.DONE
    assert len(signed_in.charges()) == 3


def test_a_row_put_in_while_we_write_gets_nothing_of_its_neighbour(
    account: Google, write: Callable[..., Path], signed_in: Running
) -> None:
    """Results are read back and set right; the new row is made by the next run."""
    job_file = write(LINK)
    account.before_write = [lambda: account.cells.insert(1, ["r0", "Zoe"])]

    assert main(["run", str(job_file), "--quiet"]) == Exit.DONE
    assert account.column("batcher_status") == {"r0": "", "r1": "done", "r2": "done"}
    assert account.column("video_url")["r0"] == ""

    assert main(["run", str(job_file), "--quiet"]) == Exit.DONE
    assert account.column("batcher_status") == {"r0": "done", "r1": "done", "r2": "done"}
    assert len(signed_in.charges()) == 3


def test_while_google_does_not_answer_the_results_stand_beside(
    account: Google, write: Callable[..., Path], signed_in: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is lost and nothing paid again; the next run brings them into the sheet."""
    job_file = write(LINK)
    assert main(["submit", str(job_file)]) in (Exit.DONE, Exit.NOT_FINISHED)
    account.before_write = [lambda: account.refusals.extend([503] * 200)]
    account.put(0, 5, "another column")

    assert main(["run", str(job_file)]) == Exit.DONE
    beside = job_file.parent / "greetings.results.csv"
    assert words(beside) == {"r1": "done", "r2": "done"}
    assert "Google asks to wait" in capsys.readouterr().out

    account.refusals.clear()
    assert main(["run", str(job_file), "--quiet"]) == Exit.DONE
    assert account.column("batcher_status") == {"r1": "done", "r2": "done"}
    assert len(signed_in.charges()) == 2


def test_without_a_key_file_it_is_told_what_to_set(
    google: Google, write: Callable[..., Path], signed_in: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is sent."""
    assert main(["run", str(write(LINK))]) == Exit.EDIT
    assert "GOOGLE_APPLICATION_CREDENTIALS: set it to the key file" in capsys.readouterr().err
    assert not signed_in.charges()


def test_the_service_account_s_key_is_nowhere(
    account: Google, write: Callable[..., Path], state: Path, signed_in: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither the key nor a token is shown or kept."""
    main(["run", str(write(LINK)), "--verbose"])

    said = capsys.readouterr()
    kept = b"".join(path.read_bytes() for path in state.rglob("*") if path.is_file())
    for secret in ("PRIVATE KEY", "stand-in-token"):
        assert secret not in said.out + said.err
        assert secret.encode() not in kept
