"""What a run leaves for people besides its results: the report page, and a word to those who are to be told."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from batcher.api.account import Settings
from batcher.ending import Ending
from batcher.errors import BatcherError
from batcher.expiry import link_expiry
from batcher.job import Job
from batcher.ledger.values import Standing
from batcher.lines import sheet_advice, why_invalid, word_of
from batcher.model import HELD, UNSENT
from batcher.open_job import OpenJob
from batcher.ops.notify import Situation, address_problems, announce
from batcher.report import Report, ReportRow, write_report
from batcher.results import Tally
from batcher.stores import prepare
from batcher.surroundings import Surroundings
from batcher.units import Money


def report_run(at_hand: OpenJob, ending: Ending, *, at: float) -> None:
    """
    Write the page that the job asks for; nothing when it asks for none.

    Raises:
        InputError: It cannot be written.
    """
    path = at_hand.job.results.report
    if path is not None:
        prepare(path)
        report = _report(at_hand, ending.tally, spent=_spent(at_hand, ending), at=at)
        write_report(path, report, like=at_hand.job.sheet.file)


def _report(at_hand: OpenJob, tally: Tally, *, spent: str, at: float) -> Report:
    return Report(
        job=at_hand.job.name,
        operation=at_hand.bound.title,
        is_real=at_hand.is_real,
        identity=tally.identity(),
        counts=tally.words,
        spent=spent,
        rows=tuple(_rows(at_hand)),
        made_at=at,
    )


def _rows(at_hand: OpenJob) -> Iterator[ReportRow]:
    bound = at_hand.bound
    held = {each.row_id for each in bound.rows() if each.row_id and each.is_held(bound.clock())}
    for standing in at_hand.ledger.standings(at_hand.job.name):
        outputs, step = standing.outputs, bound.steps.get(standing.key.step)
        invalid = why_invalid(bound, standing)
        yield ReportRow(
            title=str(standing.key).replace("\x00", ""),
            word=HELD if standing.state in UNSENT and standing.key.row_id in held else word_of(standing.state),
            row_number=standing.row_number,
            video_url=outputs.get("video_url", ""),
            page_url=outputs.get("page_url", ""),
            thumbnail_url=outputs.get("thumbnail_url", ""),
            error=standing.error or invalid,
            advice=sheet_advice(at_hand.bound, standing),
            duration_s=_number(outputs.get("duration_s", "")),
            completed_at=standing.completed_at,
            took_s=_took(standing),
            links_expire_at=link_expiry(step.operation, standing) if step else None,
        )


def _took(standing: Standing) -> float | None:
    if standing.completed_at is None or standing.submitted_at is None:
        return None
    return standing.completed_at - standing.submitted_at


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _spent(at_hand: OpenJob, ending: Ending) -> str:
    currency = at_hand.bound.currency
    return str(Money(amount=ending.cost, currency=currency)) if currency else ""


def tell_ending(at_hand: OpenJob, ending: Ending, around: Surroundings) -> None:
    """Tell those whom the job names how a run ended; a rehearsal is nobody's business."""
    situation = Situation(
        job=at_hand.job.name,
        exit=ending.exit,
        words=ending.tally.words,
        identity=ending.tally.identity(),
        reason=ending.reason or ending.results_error,
        spent=_spent(at_hand, ending),
        results=at_hand.job.place_of(ending.results_file),
        is_real=at_hand.is_real,
    )
    _announce(at_hand.job, situation, around)


def tell_refusal(job: Job, error: BatcherError, around: Surroundings) -> None:
    """Tell those whom the job names that a run could not begin, or not go on."""
    _announce(job, Situation(job=job.name, exit=error.exit, words={}, reason=str(error)), around)


def _announce(job: Job, situation: Situation, around: Surroundings) -> None:
    if not job.notify:
        return
    for said in announce(job.notify, situation, folder=around.state / "told", setting=_setting(job, around)):
        around.tell(said)


def untellable(job: Job, around: Surroundings) -> list[str]:
    """What is wrong with the addresses of those who are to be told, as far as that can be seen without the network."""
    return address_problems(job.notify, setting=_setting(job, around)) if job.notify else []


def _setting(job: Job, around: Surroundings) -> Callable[[str], str]:
    """What a variable holds that an address names."""
    folders = [job.path.parent, job.path.parent.parent] if job.path else []
    return Settings(around.environ, [*folders, around.folder]).get
