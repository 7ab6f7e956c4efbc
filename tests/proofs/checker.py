"""The one judge: ten invariants that hold after every fault, whatever was done to batcher."""

from __future__ import annotations

import csv
import json
import re
import sqlite3
import zipfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from proofs.books import Books, read_books, read_shared_books, read_table
from proofs.leaks import leaks_below, seen_in

_IDENTITY = re.compile(r"^(\d+) rows = (.*?)(?: ✓)?$", re.MULTILINE)
_FINAL = frozenset({"done", "failed"})
_KNOWN = frozenset({"sending", "in progress", "unsure", *_FINAL})
"""States in which the ledger knows that money may have been spent."""


@dataclass(frozen=True, kw_only=True)
class Before:
    """How things stood before a run that had nothing to do: POSTs that the server had seen, and the results' bytes."""

    posts: int
    results: bytes


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """
    All that is left after a fault.

    The title of every piece of work is its row id, in a chain with the step behind it, alone or with a token in brackets
    behind it, and begins with the job's label: so the server's books can be held against the sheet without asking batcher.

    Attributes:
        report: The simulator's: charges, posts_at, duplicates.
        exit: Of the last run; None when it was killed.
        said: stdout and stderr of all runs; the last word counts.
        key: The marked key.
        forced: How many charges a row may have that a person has asked for again; 1 for the others.
        windows: (count, seconds) of every rate that the account had to keep.
        before: Only when the last run had nothing to do.
        address: Of the database that the ledger is in; empty when it is a file in the state folder.
        watched: What a reader of the results file complained about while the runs went on.
    """

    job_file: Path
    state: Path
    sheet: Path
    results: Path
    report: Mapping[str, Any]
    exit: int | None
    said: str
    key: str
    forced: Mapping[str, int] = field(default_factory=dict)
    windows: Sequence[tuple[int, float]] = ()
    before: Before | None = None
    watched: Sequence[str] = ()
    address: str = ""

    @cached_property
    def job(self) -> str:
        """The job's label."""
        return str(json.loads(self.job_file.read_text(encoding="utf-8"))["job"])

    @cached_property
    def books(self) -> Books:
        """The ledger."""
        return read_shared_books(self.address, self.job) if self.address else read_books(self.state, self.job)

    @cached_property
    def charges(self) -> Mapping[str, Sequence[str]]:
        """Ids of the work that the server made, by row id."""
        found: dict[str, list[str]] = defaultdict(list)
        for charge in self.report["charges"]:
            title = str(charge["title"]).split(" [", maxsplit=1)[0]
            if title.startswith(f"{self.job}-"):
                found[title].append(charge["id"])
        return found

    @cached_property
    def rows(self) -> Sequence[Mapping[str, str]]:
        """The results, or nothing where none were written."""
        if not self.results.exists():
            return ()
        header, *records = read_table(self.results)
        if "batcher_status" not in header:  # a workbook that takes its own results, and has not yet
            return ()
        return [dict(zip(header, record, strict=True)) for record in records]


def paid_once(evidence: Evidence) -> Iterator[str]:
    """I1: no row is charged twice unless a person asked for it."""
    for row, ids in evidence.charges.items():
        if len(ids) > evidence.forced.get(row, 1):
            yield f"row {row} was charged {len(ids)} times"


def nothing_forgotten(evidence: Evidence) -> Iterator[str]:
    """I2: every charge is in the ledger, under its own row and, once accepted, under its own id."""
    by_row = {entry.row_id: entry for entry in evidence.books.entries}
    for row, ids in evidence.charges.items():
        entry = by_row.get(row)
        if entry is None:
            yield f"row {row} was charged, and the ledger does not know it"
        elif entry.state not in _KNOWN:
            yield f"row {row} was charged, and the ledger says {entry.state}"
        elif entry.remote_id and entry.remote_id not in ids:
            yield f"row {row} was made as {ids}, and the ledger says {entry.remote_id}"
    for row, entry in by_row.items():
        if entry.state == "done" and row not in evidence.charges:
            yield f"row {row} is done, and the server never made it"


def sheet_echoed(evidence: Evidence) -> Iterator[str]:
    """I3: every row of the sheet is in the results, in its order, its cells unchanged."""
    if not evidence.results.exists():
        if evidence.exit in (0, 3, 75):
            yield "there are no results"
        return
    wanted, found = read_table(evidence.sheet), read_table(evidence.results)
    width = len(wanted[0])
    if [record[:width] for record in found] != wanted:
        yield f"the results hold {len(found)} records that do not echo the sheet's {len(wanted)}"


def final_stays(evidence: Evidence) -> Iterator[str]:
    """I4: what is done or failed stays so, but for a person's word; the history ends where the task stands."""
    last: dict[str, str] = {}
    for move in evidence.books.moves:
        if move.before in _FINAL and move.after != move.before and move.source != "person":
            yield f"row {move.row_id} went from {move.before} to {move.after} by {move.source}"
        if move.before != last.get(move.row_id, move.before) and move.before != move.after:
            yield f"row {move.row_id} left {move.before}, but stood in {last[move.row_id]}"
        last[move.row_id] = move.after
    for entry in evidence.books.entries:
        if last.get(entry.row_id, entry.state) != entry.state:
            yield f"row {entry.row_id} is {entry.state}, but its history ends with {last[entry.row_id]}"


def idle_is_idle(evidence: Evidence) -> Iterator[str]:
    """I5: a run with nothing to do sends nothing, and writes the same results byte for byte."""
    if evidence.before is None:
        return
    posts = len(evidence.report["posts_at"]) - evidence.before.posts
    if posts:
        yield f"a run with nothing to do sent {posts} POSTs"
    if evidence.results.read_bytes() != evidence.before.results:
        yield "a run with nothing to do changed the results"


def limits_kept(evidence: Evidence) -> Iterator[str]:
    """I6: at the server, no window of a rate ever held more than its count."""
    instants = sorted(evidence.report["posts_at"])
    for count, window_s in evidence.windows:
        for first, last in zip(instants, instants[count:], strict=False):
            if last - first < window_s:
                yield f"{count + 1} POSTs within {last - first:.4f} s, and {count} in {window_s:g} s are allowed"
                break


def secret_kept(evidence: Evidence) -> Iterator[str]:
    """I7: the key is in nothing that was written or said."""
    folders = {evidence.state, evidence.results.parent}
    for folder in sorted(folders):
        yield from (f"the key leaks: {leak}" for leak in leaks_below(folder, evidence.key))
    if form := seen_in(evidence.said.encode("utf-8", "replace"), evidence.key):
        yield f"the key was said {form}"


def reasons_given(evidence: Evidence) -> Iterator[str]:
    """I8: whatever did not become a video says why, and what a person can do."""
    for number, row in enumerate(evidence.rows, start=2):
        if row["batcher_status"] in ("failed", "invalid", "unsure"):
            for column in ("error", "what_to_do"):
                if not row[column].strip():
                    yield f"row {number} is {row['batcher_status']} and its {column} is empty"


def results_whole(evidence: Evidence) -> Iterator[str]:
    """I9: whoever opens the results at any moment finds a whole file; the ledger is one too."""
    yield from evidence.watched
    if evidence.books.damage:
        yield f"the ledger is damaged: {evidence.books.damage}"


def words_agree(evidence: Evidence) -> Iterator[str]:
    """I10: exit code, last words, results and ledger tell the same story."""
    if evidence.exit is None:
        return
    words = Counter(entry.state.replace("sending", "in progress") for entry in evidence.books.entries)
    open_ones = words["waiting"] + words["in progress"]
    wrong = words["failed"] + words["invalid"] + words["unsure"]
    if evidence.exit == 0 and (open_ones or wrong):
        yield f"exit code 0, but the ledger says {dict(words)}"
    if evidence.exit == 3 and (open_ones or not wrong):
        yield f"exit code 3, but the ledger says {dict(words)}"
    if evidence.exit == 1:
        yield f"exit code 1, a fault in batcher itself: {evidence.said[-500:]}"
    if evidence.exit in (0, 3) and (told := _told(evidence.said)) is not None:
        shown = Counter(row["batcher_status"] for row in evidence.rows)
        known = _by_row(evidence.books)
        if not told == dict(+known) == dict(+shown):
            yield f"said {told}, the ledger has {dict(+known)}, the results {dict(+shown)}"


def _by_row(books: Books) -> Counter[str]:
    """How many rows there are in each state; one whose steps differ is `mixed`."""
    states: dict[str, set[str]] = defaultdict(set)
    for entry in books.entries:
        states[entry.row_id.split(" ", maxsplit=1)[0]].add(entry.state)
    return Counter(each.pop() if len(each) == 1 else "mixed" for each in states.values())


def not_found_again(evidence: Evidence) -> Iterator[str]:
    """
    Beyond the ten: work that was made, and that a search of the API would show, is not left to a person.

    It holds only where later runs came after the write deadline, and the API's lists were honest.
    """
    for entry in evidence.books.entries:
        if entry.state in ("unsure", "sending") and entry.row_id in evidence.charges:
            yield f"row {entry.row_id} was made, could have been found again, and is still {entry.state}"


def _told(said: str) -> Mapping[str, int] | None:
    """The words of the last identity that was printed; None when there was none."""
    identities = _IDENTITY.findall(said)
    if not identities:
        return None
    parts = [part.split(" ", maxsplit=1) for part in identities[-1][1].split(" + ")]
    return {word: int(count) for count, word in parts}


INVARIANTS: Mapping[str, Callable[[Evidence], Iterator[str]]] = {
    "I1": paid_once,
    "I2": nothing_forgotten,
    "I3": sheet_echoed,
    "I4": final_stays,
    "I5": idle_is_idle,
    "I6": limits_kept,
    "I7": secret_kept,
    "I8": reasons_given,
    "I9": results_whole,
    "I10": words_agree,
}


def violations(evidence: Evidence) -> list[str]:
    """Every invariant that does not hold, and how."""
    found = []
    for name, judge in INVARIANTS.items():
        try:
            found += [f"{name}: {sentence}" for sentence in judge(evidence)]
        except (csv.Error, UnicodeDecodeError, ValueError, KeyError, zipfile.BadZipFile, sqlite3.Error) as error:
            found.append(f"{name}: cannot be judged, a file is not whole: {error}")
    return found


def assert_holds(evidence: Evidence, *, about: str = "") -> None:
    """Fail with every invariant that does not hold."""
    found = violations(evidence)
    if found:
        raise AssertionError("\n".join([f"after {about}:" if about else "invariants broken:", *found]))
