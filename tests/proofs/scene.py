"""A small job in a folder of its own, and the runs over it, each a process like any other."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import openpyxl

from proofs.checker import Before, Evidence
from proofs.standin import LAUNCH, StandIn, environment

KEY = "sk-canary_7Qz+/=x%marked~key"
"""The marked key: it has characters that every encoding writes differently."""

MARK = "Canary cell <&> Zürich"
"""Stands in every row's text: where it is *not* found, the search for the key would have found nothing either."""

_TEMPLATE = {
    "template_id": "tpl_welcome",
    "variables": {
        "first_name": "{{ name }}",
        "company": "Becker & Söhne",
        "logo": {"image": "https://files.example.com/logo.png"},
    },
}
REQUESTS: Mapping[str, Mapping[str, Any]] = {
    "heygen.template": {
        "template_id": "tpl_welcome",
        "variables": {"first_name": "{{ name }}", "company": None, "logo": None},
    },
    "heygen.translation": {"video": "{{ link }}", "output_languages": ["German"]},
    "heygen.video": {
        "type": "avatar",
        "avatar_id": "Abigail in the office",
        "script": "{{ name }}",
        "voice_id": "voice_anna",
    },
    "heygen.v2.template": {
        "template_id": "tpl_welcome",
        "variables": {"first_name": "{{ name }}", "company": None, "logo": None},
    },
}
"""The operations that are proven, and what each asks for; their titles are the row ids."""


_begun: list[subprocess.Popen[str]] = []


@dataclass(frozen=True, kw_only=True, slots=True)
class Ran:
    """How one run ended: exit code (negative: killed by that signal) and what it said."""

    exit: int
    stdout: str
    stderr: str


@dataclass(frozen=True, kw_only=True)
class Scene:
    """
    A job over a sheet of a few rows.

    Attributes:
        folder: Holds job, sheet, results and state; it is made here.
        url: Where the API is.
        name: The job's label; row ids, and so the titles of all its work, begin with it.
        count: Rows in the sheet.
        limits: The job's limits.
        extra: Further keys of the job file; None takes one out.
        variables: Further variables of the environment of every run.
        address: Of the database that the ledger is in; empty for a file in the state folder.
        link: What stands in every row's column `link`.
        workbook: The sheet is a workbook, and its own results.
    """

    folder: Path
    url: str
    name: str
    operation: str = "heygen.template"
    count: int = 3
    limits: Mapping[str, Any] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    state_folder: Path | None = None
    address: str = ""
    link: str = "https://files.example.com/v.mp4"
    workbook: bool = False

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        records = [["id", "name", "link"], *([row, MARK, self.link] for row in self.rows)]
        if not self.workbook:
            with self.sheet.open("w", encoding="utf-8", newline="") as file:
                csv.writer(file).writerows(records)
        elif not self.sheet.exists():
            self._write_workbook(records)
        self.job_file.write_text(json.dumps(self._job(), indent=1), encoding="utf-8")

    def _write_workbook(self, records: Sequence[Sequence[str]]) -> None:
        book = openpyxl.Workbook()
        for record in records:
            book.worksheets[0].append(record)
        book.save(self.sheet)
        shutil.copy(self.sheet, self._untouched)

    def _job(self) -> Mapping[str, Any]:
        job = {
            "job": self.name,
            "operation": self.operation,
            "account": {"base_url": self.url},
            "sheet": {"file": self.sheet.name, "row_id": "id"},
            "request": {**REQUESTS[self.operation], "title": "{{ id }}"},
            "limits": {"in_flight": 100, **self.limits},
            "poll": {"at_most_every": "0.1s", "budget": "1000/second"},
            "results": {"file": self.results.name},
            **self.extra,
        }
        return {key: value for key, value in job.items() if value is not None}

    @property
    def rows(self) -> Sequence[str]:
        """The row ids, which are also the titles."""
        return [f"{self.name}-r{number:05d}" for number in range(1, self.count + 1)]

    @property
    def sheet(self) -> Path:
        """The input."""
        return self.folder / ("people.xlsx" if self.workbook else "people.csv")

    @property
    def _untouched(self) -> Path:
        """The sheet as it was before any run, where runs write into it."""
        return self.folder / "before.xlsx" if self.workbook else self.sheet

    @property
    def job_file(self) -> Path:
        """The job."""
        return self.folder / "job.yaml"

    @property
    def results(self) -> Path:
        """The output."""
        return self.sheet if self.workbook else self.folder / "results.csv"

    @property
    def state(self) -> Path:
        """Ledger, locks and logs."""
        return self.state_folder or self.folder / "state"

    def begin(self, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        """Start a command over the job, in a process group of its own; without arguments a run."""
        command, *options = arguments or ("run",)
        return self._begin([command, str(self.job_file), *options], variables)

    def ask(self, *arguments: str) -> Ran:
        """Do a command that is about no job to its end."""
        return finish(self.begin_alone(*arguments))

    def begin_alone(self, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        """Start a command that is about no job."""
        return self._begin(arguments, variables)

    def _begin(self, arguments: Sequence[str], variables: Mapping[str, str]) -> subprocess.Popen[str]:
        own = {"HEYGEN_API_KEY": KEY, "BATCHER_STATE": self.address or str(self.state), "HOME": str(self.folder)}
        process = subprocess.Popen(
            [sys.executable, str(LAUNCH), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            env=environment(**{**own, **self.variables, **variables}),
            cwd=self.folder,
            start_new_session=True,
        )
        _begun.append(process)
        return process

    def run(self, *arguments: str, timeout_s: float = 120, **variables: str) -> Ran:
        """Do a command over the job to its end; without arguments a run."""
        return finish(self.begin(*arguments, **variables), timeout_s=timeout_s)

    def evidence(self, stand_in: StandIn, ran: Ran, **more: Any) -> Evidence:
        """All that is left after the run `ran`, for the checker; `more` as the fields of `Evidence`."""
        return Evidence(
            job_file=self.job_file,
            state=self.state,
            sheet=self._untouched,
            results=self.results,
            report=stand_in.report(),
            exit=ran.exit if ran.exit >= 0 else None,
            said=ran.stdout + ran.stderr,
            key=KEY,
            address=self.address,
            **more,
        )

    def before(self, stand_in: StandIn) -> Before:
        """How things stand now, before a run that has nothing to do."""
        return Before(posts=len(stand_in.report()["posts_at"]), results=self.results.read_bytes())


def finish(process: subprocess.Popen[str], *, timeout_s: float = 120) -> Ran:
    """Wait for the end of a run; one that takes longer than it may is killed, and fails the proof."""
    try:
        stdout, stderr = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        kill(process)
        stdout, stderr = process.communicate()
        raise AssertionError(f"a run did not end within {timeout_s:.0f} s:\n{stdout}\n{stderr}") from None
    return Ran(exit=process.returncode, stdout=stdout, stderr=stderr)


def kill(process: subprocess.Popen[str]) -> None:
    """The process and its children die at once, as under `kill -9`."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)


def end_all() -> None:
    """Kill whatever a failed proof has left running."""
    while _begun:
        process = _begun.pop()
        if process.returncode is None:
            kill(process)
            process.communicate()


def until(holds: Callable[[], bool], *, during: subprocess.Popen[str] | None = None, timeout_s: float = 30) -> None:
    """
    Wait until something that other processes bring about holds.

    Args:
        during: The run that is to bring it about: when it ends before, the proof fails with what it said.
    """
    end = monotonic() + timeout_s
    while not holds():
        if during is not None and during.poll() is not None:
            raise AssertionError(f"the run ended too early: {finish(during)}")
        if monotonic() > end:
            if during is not None:
                kill(during)
                finish(during)
            raise AssertionError(f"waited {timeout_s:.0f} s in vain")
        sleep(0.02)
