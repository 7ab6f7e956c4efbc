"""worker, workers, and a run that others carry out: jobs on many machines."""

from __future__ import annotations

import json
import logging
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from types import FrameType

import click
from msgspec.structs import replace

from batcher.cli import show
from batcher.cli.options import JSON, polite_stop, surroundings, together
from batcher.cli.progress import Shown
from batcher.cli.say import say
from batcher.cli.sending import agree
from batcher.cluster.queue import Queue, Task, queue_at
from batcher.ending import Ending
from batcher.errors import Exit, InputError, LedgerError, Problem, Stopped
from batcher.job import Job
from batcher.ledger.place import is_address
from batcher.model import State
from batcher.open_job import OpenJob
from batcher.opening import check_results_file, opened
from batcher.ops.telling import tell_refusal
from batcher.surroundings import Surroundings
from batcher.units import show_duration


@click.command()
@together(
    click.option(
        "--queues", metavar="NAME,…", default="", help="Only these: tend, plan, dispatch, reconcile, fetch, …"
    ),
    click.option("--drain", is_flag=True, help="Do what is there and end: for cron and Kubernetes jobs."),
    click.option("--metrics", metavar="[HOST:]PORT", default="", help="Serve /metrics and /healthz there."),
)
def worker(*, queues: str, drain: bool, metrics: str) -> int:
    """
    Work on the jobs that were handed over with `batcher run --cluster`, until it is told to stop.

    What happens is said in lines of JSON on stderr. The first Ctrl-C or SIGTERM lets what is in the air come back.

    \b
    Examples:
      batcher worker
      batcher worker --queues fetch --metrics 0.0.0.0:9100
      batcher worker --drain
    """
    from batcher.cluster.metrics import Metrics, served
    from batcher.cluster.worker import Worker
    from batcher.cluster.workplace import Workplace

    around = replace(surroundings(), tell=lambda said: _note("said", {"message": said}))
    names, stop = _queues(queues), _stop_on_signals()
    logging.basicConfig(handlers=[_Lines()], level=logging.WARNING, force=True)
    for chatty in ("psycopg.pool", "urllib3"):  # each failed try of theirs, which are tried again by us or by them
        logging.getLogger(chatty).setLevel(logging.ERROR)
    counted = Metrics() if metrics else None
    with ExitStack() as held:
        work = Workplace(around=around, queue=held.enter_context(queue_at(_address(around))), note=_note)
        if counted is not None:
            work.report = counted.progress
        made = Worker(work=work, address=around.place, queues=names, metrics=counted, stop=stop)
        if counted is not None:
            address = held.enter_context(served(metrics, counted, is_well=made.is_well))
            _note("metrics", {"address": address})
        _note("worker begins", {"worker": work.name, "queues": list(names)})
        made.go(drains=drain)
        _note("worker ends", {"worker": work.name})
    return 0


def _note(event: str, about: Mapping[str, object]) -> None:
    """One line of JSON for whoever collects the logs."""
    line = {"at": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": event, **about}
    with suppress(OSError):  # whoever collects them has gone: what is in the air is worth more than a log
        sys.stderr.write(json.dumps(line, ensure_ascii=False) + "\n")  # at once: other threads write as well
        sys.stderr.flush()


class _Lines(logging.Handler):
    """What the queue's library has to say, as lines like all others; tracebacks are kept elsewhere."""

    def emit(self, record: logging.LogRecord) -> None:
        """One line."""
        _note("said", {"message": " ".join(record.getMessage().split()), "by": record.name})


def _queues(told: str) -> tuple[str, ...]:
    names = tuple(each.strip() for each in told.split(",") if each.strip())
    for name in names:
        if name not in [task.value for task in Task]:
            there = ", ".join(task.value for task in Task)
            raise InputError(Problem(where="--queues", message=f"no queue '{name}'; there are {there}"))
    return names


def _stop_on_signals() -> threading.Event:
    """Set by the first signal; the second one stops at once."""
    stop = threading.Event()

    def handle(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        _note("worker stops", {"signal": signal.Signals(number).name})
        stop.set()

    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, handle)
    return stop


def _address(around: Surroundings) -> str:
    if not is_address(around.place):
        raise LedgerError(
            "workers share a ledger in PostgreSQL: set BATCHER_STATE=postgresql://user@host/database, or state: in "
            "batcher.yaml (see docs/cluster.md)"
        )
    return around.place


@click.command()
@JSON
def workers(*, as_json: bool) -> int:
    """
    Who is alive, and at what.

    \b
    Example:
      batcher workers
    """
    from batcher.cluster.queue import need_cluster

    address = _address(surroundings())
    need_cluster()
    from batcher.ledger.attendance import roster

    present = roster(address)
    if as_json:
        found = [
            {
                "worker": each.name,
                "alive": each.is_alive,
                "seen_s": round(each.seen_s, 1),
                "doing": list(each.doing),
                "holds": each.held,
            }
            for each in present
        ]
        say(json.dumps(found, ensure_ascii=False))
        return 0
    for each in present:
        if not each.is_alive:
            what = f"the {each.held} rows it was sending are" if each.held else "what it held is"
            say(f"{each.name}  no sign for {show_duration(each.seen_s)}: {what} taken over")
            continue
        takes = f", takes {each.queues}" if each.queues else ""
        holds = f", {each.held} rows on their way" if each.held else ""
        say(f"{each.name}  alive for {show_duration(each.since_s)}{takes}: {'; '.join(each.doing) or 'idle'}{holds}")
    if not present:
        say("no worker has been seen: start one with batcher worker")
    return 0


def run_in_cluster(
    job: Job,
    *,
    for_s: float | None,
    every_s: float | None,
    yes: bool,
    quiet: bool,
    verbose: bool,
    as_json: bool,
) -> int:
    """`batcher run --cluster`: plan and agree here, let workers do it, and show how they come on."""
    from batcher.cluster.handing import in_hands, require_shareable, watch

    around = surroundings(job.path, quiet=quiet)
    begun = around.clock()
    require_shareable(job)
    check_results_file(job)
    with queue_at(_address(around)) as queue, opened(job, around) as at_hand:
        if in_hands(at_hand) is None:
            _plan_and_hand_over(
                at_hand,
                around,
                queue,
                for_s=for_s,
                every_s=every_s,
                yes=yes,
                is_silent=quiet or as_json,
                verbose=verbose,
            )
        else:
            ignored = " and ".join(name for name, told in (("--for", for_s), ("--every", every_s)) if told)
            heeded = f"; {ignored} can be given when it is handed over anew" if ignored else ""
            around.tell(f"workers are at '{job.name}' already: this shows how they come on{heeded}")
        _tell_who_works(around)
        counts = at_hand.ledger.counts(job.name)
        total = sum(counts.get(state, 0) for state in (State.WAITING, State.SENDING, State.IN_PROGRESS))
        with polite_stop() as interrupted, Shown(total, quiet=quiet) as shown:
            ending = watch(at_hand, clock=around.clock, interrupted=interrupted, report=shown)
        if as_json:
            say(show.summary(at_hand, ending))
        else:
            lines = [*show.ending_lines(at_hand, ending, took_s=around.clock() - begun), *_again_lines(at_hand, ending)]
            say("\n".join(lines[1:2] if quiet else lines))
        return int(ending.exit)


def _plan_and_hand_over(
    at_hand: OpenJob,
    around: Surroundings,
    queue: Queue,
    *,
    for_s: float | None,
    every_s: float | None,
    yes: bool,
    is_silent: bool,
    verbose: bool,
) -> None:
    from batcher.cluster.handing import hand_over
    from batcher.cluster.workplace import handed_of

    with at_hand.held(around.tell):
        begun = around.clock()
        try:
            at_hand.check_results_file()
            plan = at_hand.plan(at=begun)
            if not is_silent:
                say(show.heading(at_hand, "RUN"))
                say("\n".join(show.plan_lines(at_hand, plan, verbose=verbose)) + "\n")
            agree(at_hand, tasks=plan.to_come, cost=plan.cost, yes=yes)
            at_hand.obey(plan, at=around.clock())
        except (InputError, Stopped) as error:
            tell_refusal(at_hand.job, error, around)
            raise
    before = handed_of(at_hand)
    if before is not None and before.every_s is not None and every_s is None:
        around.tell(
            f"from now on the sheet is not looked at every {show_duration(before.every_s)} any more: no --every"
        )
    now = around.clock()
    hand_over(at_hand, queue, at=now, until=now + for_s if for_s else None, every_s=every_s)


def _again_lines(at_hand: OpenJob, ending: Ending) -> Iterator[str]:
    """What happens next without anybody, and how that is ended."""
    from batcher.cluster.workplace import handed_of

    handed = handed_of(at_hand)
    if handed is not None and handed.every_s is not None and ending.exit is not Exit.INTERRUPTED:
        every = show_duration(handed.every_s)
        yield f"Again    workers look at the sheet every {every}, until it is handed over without --every"


def _tell_who_works(around: Surroundings) -> None:
    from batcher.ledger.attendance import roster

    alive = sum(each.is_alive for each in roster(around.place))
    if not alive:
        around.tell("no worker is alive: start some with batcher worker; the job waits for them")
