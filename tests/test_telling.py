"""What a run leaves for people besides its results, over real HTTP: the page."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html import escape
from pathlib import Path

from support import batcher, environment, write_job

from batcher.simulator import Running


def test_a_reason_without_its_cell_names_its_column(tmp_path: Path, make_simulator: Callable[..., Running]) -> None:
    """That fast is no number helps nobody who does not see which cell is meant."""
    job = {
        "job": "spoken",
        "operation": "heygen.speech",
        "sheet": {"file": "people.csv", "row_id": "id"},
        "request": {"text": "{{ name }}", "voice_id": "Anna", "speed": "{{ Pace? }}"},
        "results": {"file": "out.csv", "report": "out.html"},
    }
    (tmp_path / "job.yaml").write_text(json.dumps(job), encoding="utf-8")
    (tmp_path / "people.csv").write_text("id,name,Pace\nr1,Ann,fast\nr2,,1\n", encoding="utf-8")

    done = batcher("run", "job.yaml", env=environment(tmp_path, make_simulator().url), cwd=tmp_path)

    page = (tmp_path / "out.html").read_text(encoding="utf-8")
    for said in ("Pace: 'fast' is not a number", "name is empty"):
        assert f"1 × {said} (row" in done.stdout
        assert escape(said, quote=True).replace("&#x27;", "&#39;") in page


def test_the_page_says_of_each_row_what_the_results_say(tmp_path: Path, make_simulator: Callable[..., Running]) -> None:
    """A row that is kept back is held there too, and every button that chooses rows finds as many as it says."""
    job = write_job(tmp_path, [], results={"file": "out.csv", "report": "out.html"}, sheet={"where": 'name != "none"'})
    rows = ["id,name,not_before", "r1,Ann,", "r2,Bob,2999-01-01", "r3,none,", "r4,,2999-01-01"]
    (tmp_path / "people.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")

    done = batcher("run", job, env=environment(tmp_path, make_simulator().url), cwd=tmp_path)

    assert "4 rows = 1 done + 2 held + 1 skipped" in done.stdout
    page = (tmp_path / "out.html").read_text(encoding="utf-8")
    assert re.findall(r'class="card".*?data-word="([^"]*)"', page) == ["done", "held", "held"]
    assert re.findall(r'data-filter="(\w*)".*<b>(\d+)</b>', page) == [("", "3"), ("done", "1"), ("held", "2")]
