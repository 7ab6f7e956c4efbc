"""What the terminal is told holds nothing that a terminal obeys, wherever it comes from."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from support import batcher, environment, names, write_job

from batcher.cli.say import harmless
from batcher.simulator import Running

EVIL = "\x1b]0;evil\x07\u202e\u2028"
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u202e]")


@pytest.mark.parametrize(
    ("header", "rows", "job"),
    [
        ("id,name", [f'1,"{EVIL}Ann"'], {}),
        ("id,name", [f'"{EVIL}",Ann', f'"{EVIL}",Ben'], {}),
        (f'id,name,"{EVIL}"', ["1,Ann,x"], {}),
        (f'id,"na{EVIL}me"', ["1,Ann"], {}),
        ("id,name", [f'1,Ann,"{EVIL}"'], {}),
        ("id,name", ["1,Ann"], {"limits": {"budget": EVIL}}),
        ("id,name", ["1,Ann"], {EVIL: 1}),
        ("id,name", ["1,Ann"], {"sheet": {"file": "people.csv", "row_id": "id", "delimiter": f"\n{EVIL}"}}),
    ],
    ids=["a cell", "an id", "a header", "a needed header", "too much", "a value", "a key", "a word of the job"],
)
@pytest.mark.parametrize("options", [(), ("--json",)], ids=["for people", "for machines"])
def test_no_cell_and_no_job_speaks_to_the_terminal(
    header: str, rows: list[str], job: dict[str, object], options: tuple[str, ...], signed_in: Running, tmp_path: Path
) -> None:
    """Nobody's sheet sets the title of the window, clears it, or turns a line around (S10)."""
    path = write_job(tmp_path, names(1), **job)
    sheet = tmp_path / json.loads(path.read_text(encoding="utf-8"))["sheet"]["file"]
    sheet.write_text("\n".join([header, *rows, ""]), encoding="utf-8")

    done = batcher("check", path, *options, env=environment(tmp_path, signed_in.url), cwd=tmp_path)

    assert done.returncode in (0, 2, 3), done.stderr
    assert done.stdout + done.stderr
    assert not OBEYED.search(done.stdout + done.stderr)
    assert all(line.startswith(("batcher: ", " ")) or options or done.stdout for line in done.stderr.splitlines())


def test_what_is_written_out_is_what_json_says() -> None:
    """Whoever reads the words of a machine gets the text itself."""
    said = json.dumps({"name": f"Zoë {EVIL}"}, ensure_ascii=False)
    assert json.loads(harmless(said)) == {"name": f"Zoë {EVIL}"}
