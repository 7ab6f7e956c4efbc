"""The filler as a process: `python -m benchmarks.filler JOB` lets every row of a job be done."""

from __future__ import annotations

import hashlib
import os
import sys
import time
from pathlib import Path

from batcher.answers import accepted
from batcher.api.client import Receipt
from batcher.job import load_job
from batcher.ledger.identity import attempt_names
from batcher.ledger.protocol import Ledger
from batcher.ledger.values import Admission, Admitted, Candidate, Gate, News, Prepared
from batcher.model import Attempt, Source, State
from batcher.opening import opened
from batcher.surroundings import around_job

PER_REQUEST = 100
REQUESTS = 10
_LINK_LASTS_S = 7 * 86_400


def finish_rows(path: Path) -> None:
    """
    Let every row of a job be done; to run a million rows would take most of a bench, and gigabytes of the simulator.

    The plan is a real one. What is sent is admitted in batches of a hundred, accepted and finished by news as a run brings
    it, with ids and links as long as HeyGen's; only the wire, and the results, are left out.
    """
    around = around_job(path, environ=os.environ, folder=path.parent)
    with opened(load_job(path), around) as at_hand, at_hand.held(lambda _: None):
        at_hand.plan(at=around.clock())
        steps = at_hand.bound.steps.values()
        wish = Admission(
            job=at_hand.job.name,
            account=at_hand.account_name,
            now=time.time(),
            at_most=REQUESTS,
            batch={step.operation.name: PER_REQUEST for step in steps},
        )
        while _finish_some(at_hand.ledger, wish).gate is not Gate.NOTHING_WAITING:
            pass


def _finish_some(ledger: Ledger, wish: Admission) -> Admitted:
    """Some of the rows that wait are sent, accepted and done; returns what was admitted."""
    admitted = ledger.admit(wish, _prepared)
    receipts = [(each, Receipt(remote_id=_remote_id(each))) for each in admitted.attempts]
    ledger.record([accepted(each, receipt, cost=None, now=wish.now) for each, receipt in receipts])
    ledger.record([_made(each, wish.now) for each in admitted.attempts])
    return admitted


def _prepared(candidate: Candidate) -> Prepared:
    key, token = attempt_names(candidate.key, body=candidate.body, number=candidate.number)
    return Prepared(body=candidate.body, key=key, token=token)


def _remote_id(attempt: Attempt) -> str:
    return hashlib.blake2b(attempt.token.encode("ascii"), digest_size=16).hexdigest()


def _made(attempt: Attempt, at: float) -> News:
    remote_id = _remote_id(attempt)
    signed = f"?Expires={at + _LINK_LASTS_S:.0f}&Signature={remote_id}"
    files = {"video_url": "mp4", "thumbnail_url": "png", "subtitle_url": "srt"}
    links = {name: f"http://127.0.0.1:8000/files/{remote_id}.{suffix}{signed}" for name, suffix in files.items()}
    page = f"http://127.0.0.1:8000/videos/{remote_id}"
    return News(
        attempt_id=attempt.attempt_id,
        state=State.DONE,
        source=Source.LIST,
        cause="completed",
        at=at,
        checked=True,
        word="completed",
        outputs={"video_id": remote_id, "page_url": page, "duration_s": "1", **links},
        cost=attempt.estimate,
        completed_at=at,
    )


if __name__ == "__main__":
    finish_rows(Path(sys.argv[1]))
