"""What is written into a Google Sheet: our cells beside their rows, wherever these stand by then, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from sheets_standin import LINK, OWNER, Google, stand_in, write_key_file

from batcher.errors import InputError
from batcher.google_link import parse_link
from batcher.gsheets.api import Tab, open_tab
from batcher.gsheets.door import Door
from batcher.gsheets.merging import Line, Wanted, compare

HEADER = ["id", "name"]
OURS = ["batcher_status", "video_url"]


def wanted(*rows: tuple[str, str], status: str = "done", read: str = "", row_id: str = "id") -> Wanted:
    """Our columns beside these rows."""
    lines = [
        Line(cells=row, row_id=row[0] if row_id else "", status=read, texts=[status, f"https://v/{row[0]}"])
        for row in rows
    ]
    return Wanted(
        where="Leads",
        header_row=1,
        kept=[*HEADER],
        ours=OURS,
        status=0,
        words=frozenset({"again", "hold", "sample"}),
        row_id=row_id,
        lines=lines,
    )


def apply(google: Google, want: Wanted) -> bool:
    """Write into a list of cells as the API would; whether the person's cells are as they were read."""
    changes = compare(google.cells, want, strays={})
    for block in changes.blocks:
        for offset, text in enumerate(block.cells):
            if text is not None:
                google.put(block.row - 1 + offset, block.column, text)
    return changes.is_same


def test_our_columns_stand_at_the_right_and_a_second_time_nothing_changes() -> None:
    """Beside each row, also where the sheet is wider than its header."""
    google = Google(cells=[[*HEADER], ["r1", "Ann", "a note"], ["r2", "Bob"]])
    want = wanted(("r1", "Ann"), ("r2", "Bob"))

    assert apply(google, want)

    assert google.cells[0] == [*HEADER, "", *OURS]
    assert google.cells[1] == ["r1", "Ann", "a note", "done", "https://v/r1"]
    assert compare(google.cells, want, strays={}).blocks == []


@given(
    order=st.permutations(["r1", "r2", "r3", "new", ""]),
    columns=st.permutations([*HEADER, *OURS, "notes"]),
    row_id=st.sampled_from(["id", ""]),
)
def test_rows_are_found_wherever_they_have_been_moved_to(
    order: Sequence[str], columns: Sequence[str], row_id: str
) -> None:
    """Sorted, moved to other columns, with rows put in and taken out: only cells of ours beside rows of ours change."""
    cells = {"id": lambda key: key, "name": lambda key: key and "Ann", "notes": lambda key: f"note {key}"}
    google = Google(cells=[[*columns], *([cells.get(name, lambda _: "")(key) for name in columns] for key in order)])

    apply(google, wanted(("r1", "Ann"), ("r2", "Ann"), ("r3", "Ann"), ("gone", "Ann"), row_id=row_id))

    at = {name: columns.index(name) for name in columns}
    for key, row in zip(order, google.cells[1:], strict=True):
        link = f"https://v/{key}" if key.startswith("r") else ""
        assert [row[at[name]] for name in ("id", "notes", "video_url")] == [key, f"note {key}", link]


def test_a_word_that_is_new_is_left_for_the_next_run() -> None:
    """It was written while we worked; one that was read has been obeyed."""
    google = Google(cells=[[*HEADER, *OURS], ["r1", "Ann", "Again", ""]])

    assert not apply(google, wanted(("r1", "Ann"), read="done"))
    assert google.cells[1] == ["r1", "Ann", "Again", "https://v/r1"]
    assert apply(google, wanted(("r1", "Ann"), read="Again"))
    assert google.cells[1][2] == "done"


def test_what_landed_beside_a_row_put_in_between_is_taken_away() -> None:
    """Its row must not look as if it had been made."""
    want = wanted(("r1", "Ann"))
    google = Google(cells=[[*HEADER, *OURS], ["new", "Cid", "done", "https://v/r1"], ["r1", "Ann", "", ""]])

    changes = compare(google.cells, want, strays={2: ["done", "https://v/r1"]})

    assert [list(block.cells) for block in changes.blocks] == [["", "done"], ["", "https://v/r1"]]
    assert not changes.is_same


def test_rows_with_one_id_take_theirs_in_order() -> None:
    """The second of them is invalid, and says so in its own row."""
    google = Google(cells=[[*HEADER], ["r1", "Ann"], ["r1", "Bob"]])
    want = wanted(("r1", "Ann"), ("r1", "Bob"))
    second = replace(want.lines[1], texts=["invalid", ""])

    apply(google, replace(want, lines=[want.lines[0], second]))

    assert google.column("batcher_status") == {"r1": "invalid"}
    assert google.cells[1][2] == "done"


def test_without_the_column_of_ids_nothing_is_written() -> None:
    """Whose row is whose cannot be told any more."""
    with pytest.raises(InputError, match="the column id is no longer in row 1"):
        compare([["name"], ["Ann"]], wanted(("r1", "Ann")), strays={})


# --- over HTTP


def tab_of(google: Google, folder: Path, waits: list[float]) -> Tab:
    door = Door(stand_in=google.url, credentials=write_key_file(folder / "key.json", google))
    return open_tab(parse_link(LINK), door, sleep=waits.append)


def test_formulas_are_texts_and_the_sheet_grows(tmp_path: Path) -> None:
    """One request for all cells, and one before it where the tab is too narrow."""
    with stand_in([[*HEADER], ["r1", "Ann"]]) as google:
        google.columns = 2
        tab = tab_of(google, tmp_path, [])
        want = wanted(("r1", "Ann"), status="=HYPERLINK(1)")

        tab.write(compare(tab.values(), want, strays={}).blocks)

        assert google.cells[1] == ["r1", "Ann", "=HYPERLINK(1)", "https://v/r1"]
        assert (len(google.written), google.columns) == (1, 4)
        assert (tab.title, tab.document) == ("Bob's leads", "Campaign")


def test_google_is_given_time(tmp_path: Path) -> None:
    """A refusal for too many requests, or a fault of Google's, is waited out; the waits grow."""
    waits: list[float] = []
    with stand_in([[*HEADER]]) as google:
        tab = tab_of(google, tmp_path, waits)
        google.refusals = [429, 503, 429]

        assert tab.values() == [[*HEADER]]
        assert waits == sorted(waits)
        assert len(waits) == 3
        google.refusals = [429] * 6
        with pytest.raises(InputError, match="Google asks to wait"):
            tab.values()


def test_who_may_not_write_is_told_whom_to_share_with(tmp_path: Path) -> None:
    """The account's address is what the dialogue Share wants; nothing of the key is shown."""
    with stand_in([[*HEADER]]) as google:
        google.is_shared = False
        with pytest.raises(InputError) as error:
            tab_of(google, tmp_path, [])

    assert f"share it with {OWNER} as an editor" in str(error.value)
    assert "PRIVATE" not in str(error.value)


@pytest.mark.parametrize("text", ["", "{}", '{"type": "service_account", "private_key": "secret-key"}'])
def test_a_key_file_that_is_none_is_told(tmp_path: Path, text: str) -> None:
    """By its path, and without a word of what it holds."""
    path = tmp_path / "key.json"
    path.write_text(text)

    with pytest.raises(InputError, match="no key file of a service account") as error:
        open_tab(parse_link(LINK), Door(credentials=path))
    assert "secret-key" not in str(error.value)


def test_a_tab_that_is_not_there_is_told(tmp_path: Path) -> None:
    """With those that are."""
    with stand_in([[*HEADER]]) as google:
        door = Door(stand_in=google.url, credentials=write_key_file(tmp_path / "key.json", google))
        with pytest.raises(InputError, match=r"there are: Bob's leads \(gid=7\)"):
            open_tab(parse_link(LINK.replace("gid=7", "gid=8")), door)
