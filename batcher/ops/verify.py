"""Whether what batcher promises holds for a job: ledger, results, sheet and the work that exists at the API, side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct

from batcher.layout import ERROR, STATUS
from batcher.ledger.values import Contradiction
from batcher.limits import limits_of
from batcher.model import Attempt
from batcher.open_job import OpenJob
from batcher.ops.comparing import Comparison, compare_results
from batcher.ops.existing import Existing, look_at_existing
from batcher.ops.secret import places_of, secrets_of


class Verdict(Struct, frozen=True, kw_only=True):
    """
    What was found about one promise.

    Attributes:
        name: `I1` to `I10`, as in docs/reliability.md.
        holds: None where it could not be decided; `found` says why.
        found: What speaks against it, with rows; remarks where it holds.
    """

    name: str
    promise: str
    holds: bool | None
    found: Sequence[str] = ()


def verify(opened: OpenJob) -> Iterator[Verdict]:
    """
    Judge every promise that can be judged from here; sends nothing and changes nothing.

    Args:
        opened: With a client, the API's lists are read as well.

    Raises:
        LedgerError: The ledger is damaged.
        InputError: The sheet can no longer be read.
    """
    ledger, name = opened.ledger, opened.job.name
    contradictions = ledger.examine(name)
    attempts = ledger.find(job=name)
    existing = look_at_existing(opened, attempts)
    compared = compare_results(opened)
    yield _judged("I1", "no row is paid twice", [*_of("I1", contradictions), *existing.twice])
    yield _nothing_forgotten(opened, contradictions, existing)
    yield _sheet_echoed(compared)
    yield _judged("I4", "what is done or failed stays so, but for a person's word", _of("I4", contradictions))
    yield _idle(compared)
    yield _judged("I6", "the limits were kept", list(_too_fast(opened, attempts)))
    yield _key_kept(opened)
    yield _judged("I8", "whatever did not become a video says why and what to do", list(_without_reason(compared)))
    yield _judged("I9", "ledger and results are whole", [compared.damage] if compared.damage else [])
    yield _words_agree(compared)
    yield _known_there(existing)


def _judged(name: str, promise: str, against: Sequence[str], *, remarks: Sequence[str] = ()) -> Verdict:
    return Verdict(name=name, promise=promise, holds=not against, found=[*against, *remarks])


def _of(name: str, contradictions: Sequence[Contradiction]) -> list[str]:
    return [f"row {each.row_number}: {each.message}" for each in contradictions if each.invariant == name]


def _nothing_forgotten(opened: OpenJob, contradictions: Sequence[Contradiction], existing: Existing) -> Verdict:
    kept = opened.unrecorded.read()
    waiting = [f"{len(kept)} ids wait in {opened.unrecorded.path} to be read back: run again"] if kept else []
    unknown = [
        f"line {number} of {opened.job.results.file.name} shows an id that the ledger does not know"
        for number in opened.forgotten()
    ]
    found = [*_of("I2", contradictions), *waiting, *unknown, *existing.orphans]
    return _judged("I2", "no payment is forgotten", found, remarks=existing.perhaps)


def _sheet_echoed(compared: Comparison) -> Verdict:
    promise = "every row of the sheet is in the results, in order, its cells unchanged"
    if compared.is_missing:
        return Verdict(name="I3", promise=promise, holds=None, found=["no results have been written yet"])
    return _judged("I3", promise, compared.foreign)


def _idle(compared: Comparison) -> Verdict:
    promise = "a run with nothing to do changes nothing"
    words = compared.tally.words
    if unfinished := words["waiting"] + words["in progress"]:
        return Verdict(name="I5", promise=promise, holds=None, found=[f"{unfinished} rows are not finished"])
    return _judged("I5", promise, ["a run now would write other results"] if compared.differs else [])


def _too_fast(opened: OpenJob, attempts: Sequence[Attempt]) -> Iterator[str]:
    """Windows that held more sends than today's limits allow, since the job was last planned under them."""
    record = opened.ledger.job(opened.job.name)
    since = (record.planned_at if record else None) or 0.0
    # rows that went together are one request, and what was adopted is none of ours
    requests = {
        each.submission_id: each.first_sent_at.timestamp() for each in attempts if each.first_sent_at and each.sends
    }
    sent = sorted(at for at in requests.values() if at >= since)
    for rate in limits_of(opened.job, opened.provider).windows:
        for first, last in zip(sent, sent[rate.count :], strict=False):
            if last - first < rate.window_s - 1e-3:
                yield f"{rate.count + 1} requests within {last - first:.2f} s, and {rate.count} in {rate.window_s:g} s are allowed"
                break


def _key_kept(opened: OpenJob) -> Verdict:
    promise = "the key is in nothing that was written"
    secrets = secrets_of(opened)
    if not secrets:
        return Verdict(name="I7", promise=promise, holds=None, found=["no key is at hand to search for"])
    return _judged("I7", promise, list(places_of(secrets, opened)))


def _without_reason(compared: Comparison) -> Iterator[str]:
    prefix = compared.prefix
    for number, line in compared.lines_of("failed", "invalid", "unsure"):
        for column in (ERROR, "what_to_do"):
            if not line.get(f"{prefix}{column}", "").strip():
                yield f"line {number}: {line[f'{prefix}{STATUS}']}, and its {column} is empty"


def _words_agree(compared: Comparison) -> Verdict:
    promise = "ledger and results tell the same story, and every row is counted once"
    against = [] if compared.tally.identity().endswith("✓") else [compared.tally.identity()]
    if compared.is_missing and not against:
        return Verdict(name="I10", promise=promise, holds=None, found=["no results have been written yet"])
    return _judged("I10", promise, [*against, *compared.ours])


def _known_there(existing: Existing) -> Verdict:
    promise = "what is known here exists at the API"
    if existing.unread:
        return Verdict(name="API", promise=promise, holds=None, found=existing.unread)
    return _judged("API", promise, existing.unknown)
