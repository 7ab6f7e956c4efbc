"""What lies beside the code is true: sample jobs, sample sheets and the schema of a job."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from batcher.bound import BoundJob
from batcher.errors import Exit
from batcher.finding import find_operations, open_job_sheet
from batcher.job import Job, job_schema, load_job
from batcher.lines import SKIPPED
from batcher.marks import Mark
from batcher.workbook.update import COLOURS

ROOT = Path(__file__).parents[1]
JOBS = sorted((ROOT / "jobs").glob("*.yaml"))
SHEETS = sorted(
    path for path in (ROOT / "sample_data").rglob("*") if path.is_file() and not path.name.startswith((".", "~"))
)


def name(path: Path) -> str:
    """How a case is called."""
    return path.stem


def bound(job: Job) -> BoundJob:
    """A job with its operation and its sheet, as an offline check sees it."""
    provider, operations = find_operations(job, environ={"BATCHER_ALLOW_HOST": "*"})
    return BoundJob(job, provider=provider, operations=operations, sheet=open_job_sheet(job), choices={})


def test_there_are_sample_jobs_and_sheets() -> None:
    """The tests below are about something."""
    assert len(JOBS) >= 3
    assert len(SHEETS) >= 3


@pytest.mark.parametrize("path", JOBS, ids=name)
def test_every_sample_job_loads_and_its_operations_exist(path: Path) -> None:
    """It is what people copy from."""
    job = load_job(path)
    provider, operations = find_operations(job, environ={"BATCHER_ALLOW_HOST": "*"})
    assert {operation.name for operation in operations} <= set(provider.operations)


@pytest.mark.parametrize("path", JOBS, ids=name)
def test_every_sample_job_fits_its_sheet(path: Path) -> None:
    """Columns, request and operation belong together, and most rows are valid."""
    made = bound(load_job(path))
    tasks = [task for each in made.rows() if each.row_id for task in made.tasks(each)]
    valid = sum(not task.flaws for task in tasks)
    assert valid
    assert valid >= len(tasks) / 2


@pytest.mark.parametrize("path", JOBS, ids=name)
def test_every_sample_job_tells_editors_its_schema(path: Path) -> None:
    """The comment leads to the schema from where the job lies."""
    found = re.match(r"# yaml-language-server: \$schema=(\S+)\n", path.read_text(encoding="utf-8"))
    assert found
    assert json.loads((path.parent / found[1]).read_text(encoding="utf-8")) == job_schema()


def test_every_sample_job_has_a_label_of_its_own() -> None:
    """Two under one label would share their rows in the ledger."""
    labels = [load_job(path).name for path in JOBS]
    assert len(labels) == len(set(labels))


@pytest.mark.parametrize("path", SHEETS, ids=lambda path: path.name)
def test_every_sample_sheet_is_used(path: Path) -> None:
    """A file that nobody reads is a question without an answer; what lies in a folder of its own is named by a sheet."""
    files = {load_job(each).sheet.file for each in JOBS}
    texts = [*JOBS, *(each for each in SHEETS if each in files)] if path.parent.name == "files" else JOBS
    mentioned = any(path.name.encode() in each.read_bytes() for each in texts)
    assert path in files or mentioned


def test_the_command_prints_the_schema_of_a_job() -> None:
    """`batcher schema` says what `job.schema.json` says."""
    command = [sys.executable, "-c", "from batcher.cli.main import entry; entry()", "schema"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=True, timeout=60)
    assert json.loads(done.stdout) == json.loads((ROOT / "batcher" / "job.schema.json").read_text(encoding="utf-8"))
    assert done.stderr == ""


def _options() -> dict[str, set[str]]:
    """Every command with the options that it takes."""
    import click

    from batcher.cli.commands import batcher

    with click.Context(batcher) as context:
        commands = {name: batcher.get_command(context, name) for name in batcher.list_commands(context)}
    return {
        name: {option for each in command.params for option in each.opts if option.startswith("--")}
        for name, command in commands.items()
        if command is not None
    }


def test_every_command_and_option_stands_in_the_readme_and_the_other_way_round() -> None:
    """What is not written down is not found; what does not exist is not promised."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    table = readme[readme.index("## Commands") : readme.index("## What is guaranteed")]
    options = _options()
    known = {option for each in options.values() for option in each}

    assert {name for name in options if f"`{name}" not in table} == set()
    assert {option for option in known if option not in table} == set()
    assert set(re.findall(r"--[a-z][a-z-]+", readme)) - known <= {"--help", "--version"}


def test_every_exit_code_stands_in_the_readme() -> None:
    """With the number that a script sees."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    table = readme[readme.index("## Exit codes") : readme.index("## Where things are kept")]
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", table, re.M)} == {int(each) for each in Exit}


def test_the_operators_guide_is_for_people_without_a_terminal() -> None:
    """It has its pictures, every word of the status column with its colour, and none of the terminal's."""
    guide = (ROOT / "docs" / "operators.md").read_text(encoding="utf-8")
    words = {
        f"`{word.replace('_', ' ')}`" for word in [*COLOURS, SKIPPED, *(mark.value for mark in Mark if mark.value)]
    }

    assert {each for each in words - {"`sending`"} if each not in guide} == set()
    assert not re.search(
        r"\b(yaml|cron|terminal|command|ledger|json|csv|api|exit code)\b|--\w|batcher [a-z]", guide, re.I
    )


@pytest.mark.parametrize("page", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], ids=name)
def test_every_link_of_a_document_leads_somewhere(page: Path) -> None:
    """Pages and pictures that are named are there."""
    links = re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8"))
    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []
