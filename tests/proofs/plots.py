"""What a run that is killed was doing: one small job for every way in which batcher spends money or writes files."""

from __future__ import annotations

import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from proofs import clock
from proofs.checker import Evidence
from proofs.scene import REQUESTS, Scene
from proofs.standin import StandIn
from proofs.tracing import FETCHING, LEDGER, SENDING

ROWS = 3
_PICTURE = b"\x89PNG\r\n\x1a\n" + b"a logo" + b"\x00\x00\x00\x00IEND\xaeB`\x82"


def _nothing_more(evidence: Evidence) -> Iterator[str]:
    yield from ()


def _files_whole(evidence: Evidence) -> Iterator[str]:
    """Beside every finished row lies its file, as it is at the API, and nothing that was begun."""
    folder = evidence.results.parent / "videos"
    for row in evidence.rows:
        file = folder / f"{row['id']}.mp4"
        if row["batcher_status"] == "done":
            with urllib.request.urlopen(row["video_url"], timeout=30) as answer:
                if not file.exists() or file.read_bytes() != answer.read():
                    yield f"row {row['id']} is done, and its file is not what the API has"
    wanted = {f"{row['id']}.mp4" for row in evidence.rows}
    if folder.is_dir() and (left := sorted({path.name for path in folder.iterdir()} - wanted)):
        yield f"beside the files lies {left}"


def _workbook_whole(evidence: Evidence) -> Iterator[str]:
    """Nothing lies beside the workbook but what a kill has left of its successor, which a run an hour later takes away."""
    ours = {"before.xlsx", "people.xlsx", "job.yaml", "state"}
    beside = {path.name for path in evidence.results.parent.iterdir() if not path.match(".people.*.part.xlsx")}
    if left := sorted(beside - ours):
        yield f"beside the workbook lies {left}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Plot:
    """
    A job of three rows.

    Attributes:
        is_keyed: Its submissions carry an idempotency key; otherwise they are found again by a token in their title.
        changes: Of the scene, as `Scene` has them.
        prepare: Makes what the job needs, in its folder.
        judge: What must hold beyond the invariants when the work is done.
        moments: From which the calls of a run are counted, so that every thread's come first once.
    """

    name: str
    is_keyed: bool = True
    changes: Mapping[str, Any] = field(default_factory=dict)
    prepare: Callable[[Path], object] = lambda folder: None
    judge: Callable[[Evidence], Iterator[str]] = _nothing_more
    moments: Sequence[str] = (LEDGER, SENDING)

    def scene(self, name: str, stand_in: StandIn, folder: Path) -> Scene:
        """The job in a folder of its own: one row after the other, unless they go together."""
        changes = {"limits": {"in_flight": 1}, **self.changes}
        made = Scene(folder=folder / name, url=stand_in.url, name=name, count=ROWS, **changes)
        self.prepare(made.folder)
        return made


_BATCH = {"in_flight": ROWS, "batch": ROWS}
_CHAIN = {
    "video": {"operation": "heygen.template", "request": {**REQUESTS["heygen.template"], "title": "{{ id }} video"}},
    "abroad": {
        "operation": "heygen.translation",
        "request": {"video": "{{ video.video_url }}", "output_languages": ["German"], "title": "{{ id }} abroad"},
    },
}
_WITH_PICTURE = {
    "template_id": "tpl_welcome",
    "title": "{{ id }}",
    "variables": {"first_name": "{{ name }}", "company": None, "logo": {"image": "{{ link }}"}},
}

USUAL = (
    Plot(name="template-v3"),
    Plot(name="template-v2", is_keyed=False, changes={"operation": "heygen.v2.template"}),
    Plot(name="translations-in-a-batch", changes={"operation": "heygen.translation", "limits": _BATCH}),
)
"""Killed at some points in every run of the tests, and at every point in `make chaos`."""

FURTHER = (
    Plot(name="videos-in-a-batch", is_keyed=False, changes={"operation": "heygen.video", "limits": _BATCH}),
    Plot(
        name="downloads",
        changes={"extra": {"results": {"file": "results.csv", "download": "videos/{{ id }}.mp4"}}},
        judge=_files_whole,
        moments=(LEDGER, SENDING, FETCHING),
    ),
    Plot(
        name="uploads",
        changes={"link": "logo.png", "extra": {"request": _WITH_PICTURE}},
        prepare=lambda folder: (folder / "logo.png").write_bytes(_PICTURE),
    ),
    Plot(
        name="workbook-in-place",
        changes={"workbook": True, "extra": {"results": {"file": "people.xlsx"}}},
        judge=_workbook_whole,
    ),
    Plot(name="chain", changes={"extra": {"steps": _CHAIN, "operation": None, "request": None}}),
)
"""Killed only in `make chaos`."""


def each_plot() -> list[object]:
    """Parameters for a test over all of them; what cannot be done here is skipped with its reason."""
    found = []
    for plot in (*USUAL, *FURTHER):
        why = "" if plot.is_keyed else clock.why_not()
        found.append(pytest.param(plot, id=plot.name, marks=pytest.mark.skipif(bool(why), reason=why)))
    return found
