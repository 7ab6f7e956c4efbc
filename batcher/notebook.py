"""
batcher for notebooks: the verbs of the command line on a job file, or on a dictionary with a DataFrame as its sheet.

    from batcher import notebook as batcher

    batcher.check("jobs/welcome.yaml")
    batcher.run({"job": "demo", "operation": …, "sheet": {"row_id": "id"}, "request": …}, sheet=frame)
    batcher.results("jobs/welcome.yaml")

Nothing here prints. What the command line reports is returned; what it refuses is raised.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from batcher.consent import unapproved
from batcher.ending import Ending, Verbs
from batcher.errors import InputError, Stopped
from batcher.filenames import check_file_names
from batcher.job import Job, job_from_dict, load_job
from batcher.model import Json
from batcher.open_job import OpenJob
from batcher.opening import check_results_file, opened
from batcher.plan import Plan
from batcher.planner import leave_out_held, look
from batcher.results import result_rows
from batcher.run import SENDERS, Run
from batcher.senders import ThreadedSenders
from batcher.sheet.frame import sheet_of_frame
from batcher.surroundings import Surroundings, around_job

JobLike = str | Path | Mapping[str, Json]
"""A job file, or what one would hold; its paths are then relative to the working folder."""


def check(job: JobLike, sheet: Any = None, *, offline: bool = False) -> Plan:
    """
    Validate everything and return the plan; sends nothing.

    Args:
        job: Which job.
        sheet: A DataFrame in place of the job's file.
        offline: Use no network.

    Raises:
        InputError: The job or its sheet as a whole cannot be used.
    """
    with _opened(job, sheet, offline=offline) as at_hand:
        bound = at_hand.bind(checked=True)
        check_file_names(bound)
        plan = look(bound, at_hand.ledger)
        leave_out_held(plan, at_hand.ledger, account=at_hand.account_name, at=_around(job).clock())
        return plan


def run(job: JobLike, sheet: Any = None, *, agree: bool = False, rehearse: bool = False) -> Ending:
    """
    Send rows, watch them, and write the results.

    Args:
        agree: Go on although it may cost more than the job's `confirm_above`.
        rehearse: On a simulator: costs nothing.

    Raises:
        InputError: As `check`.
        NotFinished: Another run holds the job.
        Stopped: It may cost more than the job lets pass, and nobody has agreed.
    """
    return _work(job, sheet, Verbs.BOTH, agree=agree, rehearse=rehearse)


def submit(job: JobLike, sheet: Any = None, *, agree: bool = False) -> Ending:
    """Only send what may be sent now; raises as `run` does."""
    return _work(job, sheet, Verbs.SUBMIT, agree=agree, rehearse=False)


def reconcile(job: JobLike, sheet: Any = None) -> Ending:
    """Only look at what is in work, once; raises as `run` does."""
    return _work(job, sheet, Verbs.RECONCILE, agree=True, rehearse=False)


def results(job: JobLike, sheet: Any = None) -> Any:
    """
    The results as a DataFrame of texts, from the ledger alone.

    Raises:
        InputError: As `check`.
    """
    import pandas

    with _opened(job, sheet, offline=True) as at_hand:
        header = list(at_hand.bound.layout.header)
        return pandas.DataFrame(list(result_rows(at_hand.bound, at_hand.ledger)), columns=header, dtype=str)


def _work(job: JobLike, sheet: Any, verbs: Verbs, *, agree: bool, rehearse: bool) -> Ending:
    around = _around(job)
    with _opened(job, sheet, rehearse=rehearse) as at_hand:
        check_results_file(at_hand.job)
        with at_hand.held(around.tell):
            at_hand.check_results_file()
            plan = at_hand.plan(at=around.clock())
            if not agree and (why := unapproved(at_hand, tasks=plan.to_come, cost=plan.cost)):
                raise Stopped(f"{why}: agree with agree=True")
            if verbs is not Verbs.RECONCILE:
                at_hand.obey(plan, at=around.clock())
            return Run(opened=at_hand, around=around, senders=ThreadedSenders(SENDERS), verbs=verbs).go()


@contextmanager
def _opened(job: JobLike, sheet: Any, *, offline: bool = False, rehearse: bool = False) -> Iterator[OpenJob]:
    loaded = _load(job, has_sheet=sheet is not None)
    table = None if sheet is None else sheet_of_frame(sheet, name=loaded.name)
    with opened(loaded, _around(job), offline=offline, rehearse=rehearse, sheet=table) as at_hand:
        yield at_hand


def _load(job: JobLike, *, has_sheet: bool) -> Job:
    loaded = _loaded(job, has_sheet=has_sheet)
    if loaded.is_inbox:
        raise InputError(
            loaded.problem(("sheet", "file"), "an inbox is worked on by the command line; name one file here")
        )
    return loaded


def _loaded(job: JobLike, *, has_sheet: bool) -> Job:
    if not isinstance(job, Mapping):
        return load_job(Path(job))
    value = dict(job)
    name = str(value.get("job", "job"))
    if has_sheet:
        value["sheet"] = {"file": f"{name}.frame", **value.get("sheet", {})}
        value.setdefault("results", {"file": str(_around(job).state / "notebook" / f"{name}.csv")})
    return job_from_dict(value, folder=Path.cwd())


def _around(job: JobLike) -> Surroundings:
    job_file = None if isinstance(job, Mapping) else Path(job)
    return around_job(job_file, environ=os.environ, folder=Path.cwd())
