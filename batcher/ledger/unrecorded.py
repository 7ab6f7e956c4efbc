"""Answers that the ledger could not take: kept in a file beside it, and read back before anything else is sent."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from batcher.errors import LedgerError
from batcher.ledger.lock import label_hash
from batcher.ledger.protocol import Ledger
from batcher.ledger.values import News
from batcher.model import Attempt, Source, State, TaskKey


class Kept(Struct, frozen=True, kw_only=True):
    """
    An answer that is not in the ledger yet.

    Attributes:
        key: The idempotency key of its request; those of one batch share it.
        task: Whose attempt it is: with the key, that by which the ledger knows it.
        news: What it said; its `attempt_id` means nothing.
    """

    key: str
    task: TaskKey
    news: News


class Unrecorded:
    """
    The file of one job; whoever uses it holds the job's lock, alone or beside other workers of this machine.

    Args:
        ledger: The ledger's file, or where it would stand.
        job: The job's label.
    """

    def __init__(self, ledger: Path, job: str) -> None:
        self.ledger = ledger
        self.path = ledger.with_name(f"{ledger.name}-unrecorded-{label_hash(job)}.jsonl")

    def keep(self, lines: Sequence[str]) -> None:
        """
        Write lines down, on disk when it returns.

        Raises:
            OSError: They could not be written.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _alone(self.path.parent):
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write("".join(f"{line}\n" for line in lines).encode())
                file.flush()
                os.fsync(descriptor)
            _sync(self.path.parent)

    def read(self) -> list[Kept]:
        """
        What is kept, oldest first; nothing when there is no file.

        Raises:
            LedgerError: It cannot be read, or a line is not one of ours.
        """
        try:
            lines = self.path.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []
        except (OSError, UnicodeDecodeError) as error:
            raise LedgerError(f"{self.path}: ids of paid work are kept here, and cannot be read: {error}") from error
        kept = []
        for number, line in enumerate(lines, start=1):
            try:
                kept.append(_kept(json.loads(line)))
            except (ValueError, KeyError, TypeError) as error:
                message = "ids of paid work are kept here, and this line is none: mend or remove it"
                raise LedgerError(f"{self.path}:{number}: {message}") from error
        return kept

    def read_back(self, ledger: Ledger) -> int:
        """
        Give the ledger what is kept, and only then remove the file.

        Returns:
            How many answers there were.

        Raises:
            LedgerError: The ledger does not know their attempts, or still cannot be written; the file stays.
        """
        if not self.path.exists():
            return 0
        with _alone(self.path.parent):
            return self._read_back(ledger)

    def _read_back(self, ledger: Ledger) -> int:
        kept = self.read()
        if not kept:
            return 0
        found = ledger.find(keys=[each.key for each in kept])
        known = {(each.key, each.task): each.attempt_id for each in found}
        strange = [each.news.remote_id or each.key for each in kept if (each.key, each.task) not in known]
        if strange:
            raise LedgerError(
                f"{self.path}: {len(strange)} ids of paid work are kept here whose attempts the ledger does not know "
                f"({', '.join(strange[:5])}{' …' if len(strange) > 5 else ''}), so nothing is sent. Put the ledger back that "
                "they belong to; if it is lost, note the ids and move this file away: those rows are then sent again"
            )
        ledger.record([replace(each.news, attempt_id=known[each.key, each.task]) for each in kept])
        self.path.unlink()
        _sync(self.path.parent)
        return len(kept)


def line_of(attempt: Attempt, news: News) -> str:
    """One answer as a line of JSON: whose it is, the id, and everything else that the ledger should have been told."""
    value = {
        "job": attempt.task.job,
        "row_id": attempt.task.row_id,
        "step": attempt.task.step,
        "item": attempt.task.item,
        "attempt": attempt.number,
        "key": attempt.key,
        "batch_id": news.batch_id,
        "remote_id": news.remote_id,
        "at": news.at,
        "state": news.state.value,
        "source": news.source.value,
        "cause": news.cause,
        "word": news.word,
        "outputs": dict(news.outputs),
        "cost": news.cost,
        "completed_at": news.completed_at,
    }
    return json.dumps(value, ensure_ascii=True)


def _kept(value: Mapping[str, object]) -> Kept:
    outputs, cost, completed_at = value["outputs"], value["cost"], value["completed_at"]
    if not isinstance(outputs, dict):
        raise TypeError("outputs")
    news = News(
        attempt_id=0,
        state=State(value["state"]),
        source=Source(value["source"]),
        cause=str(value["cause"]),
        at=float(str(value["at"])),
        answered=True,
        batch_id=str(value.get("batch_id", "")),
        remote_id=str(value["remote_id"]),
        word=str(value["word"]),
        outputs={str(name): str(text) for name, text in outputs.items()},
        cost=None if cost is None else float(str(cost)),
        completed_at=None if completed_at is None else float(str(completed_at)),
    )
    if news.state is State.IN_PROGRESS and not news.remote_id:
        raise ValueError("no id")
    names = ("job", "row_id", "step", "item")
    return Kept(key=str(value["key"]), task=TaskKey(**{name: str(value[name]) for name in names}), news=news)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Nobody adds a line that another one is about to remove."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _sync(folder: Path) -> None:
    """Wait until the names in a folder are on disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
