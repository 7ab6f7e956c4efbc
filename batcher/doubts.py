"""The attempts of a run that may have been made and are not known to be: when each is settled, and how."""

from __future__ import annotations

import json
import random

from msgspec import Struct, field

from batcher.api.wire import WRITE_S
from batcher.bound import BoundJob
from batcher.catalog.model import Operation, Repeat
from batcher.doubt import MAX_SENDS, Way, settle_doubt
from batcher.job import Job
from batcher.model import Attempt


class Doubt(Struct, frozen=True, kw_only=True):
    """
    An attempt in *sending* that is not under way.

    Attributes:
        at: When it is due, unix seconds.
        sends: How often it was sent or searched for in this run.
    """

    attempt: Attempt
    at: float
    way: Way
    sends: int


class Doubts(Struct, kw_only=True):
    """
    Keeps attempts in doubt until they are due.

    Attributes:
        left: How many this run has given up on; the next run takes them over from the ledger.
    """

    bound: BoundJob
    rng: random.Random
    left: int = 0
    _open: dict[int, Doubt] = field(default_factory=dict)

    def add(self, attempt: Attempt, *, sends: int, now: float, server_now: float) -> bool:
        """
        Take an attempt in.

        Args:
            sends: How often it has been sent in this run.
            now: Unix seconds, by our clock.
            server_now: The same by the API's: a key is as old as it thinks it is.

        Returns:
            False when nothing but a person's word can settle it.
        """
        first = attempt.first_sent_at.timestamp() if attempt.first_sent_at else now
        verdict = settle_doubt(
            repeat_of(self.bound.operation_of(attempt.task.step, attempt.operation), attempt),
            first_sent_at=first,
            last_sent_at=now if sends else first,
            sends=sends,
            now=now,
            server_now=server_now,
            chance=self.rng.random(),
            searchable=self._is_searchable(attempt),
            deadline_s=WRITE_S,
        )
        if verdict.way is Way.ASK:
            return False
        self.put(Doubt(attempt=attempt, at=verdict.at, way=verdict.way, sends=sends))
        return True

    def put(self, doubt: Doubt) -> None:
        """Take a doubt back in, unless this run has tried often enough."""
        if doubt.sends >= MAX_SENDS:
            self.left += 1
        else:
            self._open[doubt.attempt.attempt_id] = doubt

    def due(self, way: Way, now: float) -> list[Doubt]:
        """Those that may be settled in this way now."""
        return [each for each in self._open.values() if each.way is way and each.at <= now]

    def take(self, attempt_id: int) -> Doubt | None:
        """Take one out; None when it is not among them."""
        return self._open.pop(attempt_id, None)

    @property
    def attempt_ids(self) -> frozenset[int]:
        """Those that are kept."""
        return frozenset(self._open)

    @property
    def due_at(self) -> float | None:
        """When the next one is due; None when there is none."""
        return min((each.at for each in self._open.values()), default=None)

    def _is_searchable(self, attempt: Attempt) -> bool:
        """Whether our token went out with it, in the field that a search looks at: by what was sent, not by today's job."""
        operation = self.bound.operation_of(attempt.task.step, attempt.operation)
        find = repeat_of(operation, attempt).find
        if find is None or not attempt.token or attempt.token not in attempt.body:
            return False
        if not find.in_title:
            return True
        title = json.loads(attempt.body).get(operation.title_field)
        return isinstance(title, str) and title.endswith(f"[{attempt.token}]")


def repeat_of(operation: Operation, attempt: Attempt) -> Repeat:
    """What may be done when the answer to the request is lost that carries an attempt."""
    return operation.batch.repeat if operation.batch and attempt.place is not None else operation.repeat


def titles_carry_token(operation: Operation, job: Job) -> bool:
    """Whether a short token is put into every title, so that lost work can be searched for."""
    repeat = operation.batch.repeat if operation.batch and job.limits.batch > 1 else operation.repeat
    if job.title_token is not None:
        return job.title_token
    return bool(repeat.find and repeat.find.in_title and not repeat.has_key and not repeat.free)
