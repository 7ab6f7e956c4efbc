"""What a person has agreed to, and what sample rows have shown."""

from __future__ import annotations

import json
from collections.abc import Mapping

from batcher.ledger.db import Db
from batcher.ledger.values import Approval, Sample
from batcher.model import Length

_SAMPLE = "SELECT row_ids, lengths, priced, charged FROM samples WHERE job = ?"
_KEEP_SAMPLE = """
INSERT INTO samples (job, row_ids, lengths, priced, charged) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (job) DO UPDATE SET row_ids = excluded.row_ids, lengths = excluded.lengths, priced = excluded.priced,
    charged = excluded.charged"""
_APPROVAL = "SELECT account, digest, tasks, cost, currency, approved_by, approved_at FROM approvals WHERE job = ?"
_APPROVE = """
INSERT INTO approvals (job, account, digest, tasks, cost, currency, approved_by, approved_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (job) DO UPDATE SET account = excluded.account, digest = excluded.digest, tasks = excluded.tasks,
    cost = excluded.cost, currency = excluded.currency, approved_by = excluded.approved_by,
    approved_at = excluded.approved_at"""
_WITHDRAW = "DELETE FROM approvals WHERE job = ?"
# A failed row is not charged, unless nobody knows: the same reckoning as that of the budget.
_SINCE = """
SELECT COUNT(*), COALESCE(SUM(CASE WHEN a.state <> 'failed' OR a.error_code IN ('given_up', 'lost')
    THEN COALESCE(a.cost, a.estimate, 0) ELSE 0 END), 0)
FROM attempts a JOIN tasks t USING (task_id) JOIN submissions s USING (submission_id)
WHERE t.job = ? AND s.first_sent_at >= ?"""


def sample(db: Db, job: str) -> Sample:
    """As `Ledger.sample`."""
    found = db.execute(_SAMPLE, (job,)).fetchone()
    if found is None:
        return Sample()
    row_ids, lengths, priced, charged = found
    return Sample(row_ids=tuple(json.loads(row_ids)), lengths=_lengths(lengths), priced=priced, charged=charged)


def _lengths(text: str) -> Mapping[str, Length]:
    return {step: Length(**values) for step, values in json.loads(text).items()}


def keep_sample(db: Db, job: str, kept: Sample) -> None:
    """As `Ledger.keep_sample`, inside the caller's transaction."""
    lengths = {
        step: {"rows": each.rows, "seconds": each.seconds, "characters": each.characters}
        for step, each in kept.lengths.items()
    }
    row_ids = json.dumps(list(kept.row_ids), ensure_ascii=False)
    db.execute(_KEEP_SAMPLE, (job, row_ids, json.dumps(lengths), kept.priced, kept.charged))


def approval(db: Db, job: str) -> Approval | None:
    """As `Ledger.approval`."""
    found = db.execute(_APPROVAL, (job,)).fetchone()
    if found is None:
        return None
    account, digest, tasks, cost, currency, by, at = found
    sent, spent = db.execute(_SINCE, (job, at)).fetchone()
    return Approval(
        account=account,
        digest=digest,
        tasks=tasks,
        cost=cost,
        currency=currency,
        by=by,
        at=at,
        sent=int(sent),
        spent=float(spent),
    )


def approve(db: Db, job: str, given: Approval | None) -> None:
    """As `Ledger.approve`, inside the caller's transaction."""
    if given is None:
        db.execute(_WITHDRAW, (job,))
        return
    values = (given.account, given.digest, given.tasks, given.cost, given.currency, given.by, given.at)
    db.execute(_APPROVE, (job, *values))
