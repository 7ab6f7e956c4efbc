"""What a job names: the operations of its steps, and its sheet, opened."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from batcher.catalog.load import built_in_providers, provider_of
from batcher.catalog.model import Operation, Provider
from batcher.catalog.own import own_provider
from batcher.catalog.settings import WrongSetting, with_settings
from batcher.errors import InputError, Problem, kept
from batcher.job import CONTENT, Job, Step
from batcher.mapping.request import needed_headers
from batcher.price import at_own_prices
from batcher.schema import unknown_key
from batcher.sheet import Sheet, SheetSpec, open_sheet
from batcher.stores import local


def find_operations(
    job: Job, *, environ: Mapping[str, str] = os.environ, offline: bool = False
) -> tuple[Provider, list[Operation]]:
    """
    The operations that a job names, in the order of its steps, with its settings.

    Args:
        job: The job.
        environ: The environment: the host of a provider of the user's own must be allowed there.
        offline: Nothing is sent, so no host has to be allowed.

    Raises:
        InputError: There is none of that name, the job's catalogue or settings do not fit, or the steps belong to
            different providers: a job has one account.
    """
    own = [own_provider(job.catalog, base_url=job.base_url, environ=environ, offline=offline)] if job.catalog else []
    known = {name: provider for provider in own for name in provider.operations}
    asked = {step.operation: provider_of(step.operation) for step in job.steps if step.operation not in known}
    if all(asked.values()):
        known |= {name: provider for name, provider in asked.items() if provider is not None}
    else:  # to say what there is
        known |= {name: provider for provider in built_in_providers() for name in provider.operations}
    problems: list[Problem] = []
    found: list[tuple[Provider, Operation]] = []
    for step in job.steps:
        made = kept(problems, lambda step=step: _find(step, known))  # type: ignore[misc]
        if made is not None:
            found.append(made)
    if problems:
        raise InputError(*problems)
    provider = found[0][0]
    for step, (other, _) in zip(job.steps, found, strict=True):
        if other is not provider:
            message = f"belongs to {other.name}, the first step to {provider.name}; make two jobs of them"
            raise InputError(step.problem(("operation",), message))
    return provider, at_own_prices(job, [operation for _, operation in found])


def _find(step: Step, known: Mapping[str, Provider]) -> tuple[Provider, Operation]:
    provider = known.get(step.operation)
    if provider is None:
        said = unknown_key(step.operation, known).replace("unknown key", "unknown operation", 1)
        raise InputError(step.problem(("operation",), said.replace("known keys are", "there are", 1)))
    try:
        return provider, with_settings(provider.operations[step.operation], step.settings)
    except WrongSetting as error:
        raise InputError(step.problem(("settings", error.name), str(error))) from error


def open_job_sheet(job: Job, *, file: Path | None = None) -> Sheet:
    """
    Open the sheet of a job.

    Args:
        file: Its copy on this machine; None where the sheet itself is a file of this machine. Of a Google Sheet in CSV.

    Raises:
        InputError: It cannot be read as it should.
    """
    part = job.sheet
    if part.link is not None and file is not None:
        spec = SheetSpec(path=file, header_row=part.header_row, delimiter=",")
    else:
        spec = SheetSpec(
            path=file or local(part.file),
            tab=part.tab,
            header_row=part.header_row,
            encoding=part.encoding,
            delimiter=part.delimiter,
        )
    needs = needed_headers(job) | ({part.row_id} if part.row_id != CONTENT else set())
    return open_sheet(spec, needs=needs)
