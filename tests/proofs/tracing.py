"""Runs under strace: every system call that matters can be counted, read, or be the last one."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from proofs.launch import WAIT_VARIABLE
from proofs.scene import Ran, Scene, finish, kill

_CALL = re.compile(r"^(\d+)\s+(?:<\.\.\. )?(\w+)(?: resumed>|\()(.*)$")
_RESULT = re.compile(r"= (-?\d+|\?)[^=]*$")
_UNFINISHED = "<unfinished ...>"


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """
    One system call.

    Attributes:
        thread: Who made it.
        arguments: As strace shows them, file names and addresses behind the descriptors.
        begun, ended: Line numbers of its beginning and end, which order it among the others; `ended` is beyond every
            line when it never came back.
        succeeded: It came back, and not with an error.
    """

    thread: int
    name: str
    arguments: str
    begun: int
    ended: int
    succeeded: bool


@cache
def why_not() -> str:
    """Why nothing can be traced here; empty where it can."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    with subprocess.Popen(["sleep", "10"]) as sleeper:
        try:
            tracer = _attach(sleeper.pid, Path(os.devnull), ["-e", "trace=none"])
        except RuntimeError as error:
            return f"tracing is not permitted here: {error}"
        finally:
            sleeper.kill()
        tracer.communicate()
    return ""


LEDGER = "sqlite3.connect:1"
"""The moment before the ledger is opened; what imports do is not counted."""

SENDING = "socket.connect:2"
"""The moment before the first sender connects, after all look-ups of the plan went over the first connection."""

FETCHING = "socket.connect:3"
"""The moment before the first file is fetched, where files are."""

WORKING = "socket.connect:1"
"""The moment before a worker makes its first connection to an API."""


def traced(scene: Scene, options: Sequence[str], *, log: Path, since: str = LEDGER) -> Ran:
    """
    Do a run that is traced from a moment on, and wait for its end; the rest as `follow`.

    Args:
        since: The moment: an audit event of Python and which of them it is.
    """
    return follow(scene.begin(**{WAIT_VARIABLE: since}), options, log=log)


def follow(process: subprocess.Popen[str], options: Sequence[str], *, log: Path) -> Ran:
    """
    Trace a process that waits for that, and wait for its end.

    Args:
        process: Begun with `WAIT_VARIABLE`.
        options: Of strace: what to trace, what to inject.
        log: Where the calls are written.
    """
    _, status = os.waitpid(process.pid, os.WUNTRACED)
    if not os.WIFSTOPPED(status):
        process.returncode = os.waitstatus_to_exitcode(status)
        return finish(process)
    try:
        tracer = _attach(process.pid, log, options)
        process.send_signal(signal.SIGCONT)
        ran = finish(process)
        tracer.communicate(timeout=30)
    finally:
        kill(process)
    return ran


def _attach(pid: int, log: Path, options: Sequence[str]) -> subprocess.Popen[str]:
    """
    Let strace follow a process and all its threads; returns when it does.

    Raises:
        RuntimeError: It may not.
    """
    command = ["strace", "-f", "-y", "-s", "9000", "-o", str(log), *options, "-p", str(pid)]
    tracer = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    said = tracer.stderr.readline() if tracer.stderr else ""
    if "attached" not in said:
        tracer.kill()
        tracer.communicate()
        raise RuntimeError(said.strip() or "strace said nothing")
    return tracer


def numbered(calls: Sequence[Call]) -> Iterator[tuple[Call, int]]:
    """
    The calls before which a run can be killed, each with its number.

    strace counts by thread and kills whoever comes first: the third call of one thread hides the third of all others.
    """
    by_thread: Counter[tuple[str, int]] = Counter()
    seen: set[tuple[str, int]] = set()
    for call in calls:
        by_thread[call.name, call.thread] += 1
        point = (call.name, by_thread[call.name, call.thread])
        if point not in seen:
            seen.add(point)
            yield call, point[1]


def read_calls(log: Path) -> list[Call]:
    """All calls, in the order in which they began."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    never = len(lines) + 1
    calls: list[Call] = []
    pending: dict[tuple[int, str], int] = {}
    for number, line in enumerate(lines):
        match = _CALL.match(line)
        if match is None:
            continue
        thread, name, rest = int(match[1]), match[2], match[3]
        if "resumed>" in line:
            index = pending.pop((thread, name), None)
            if index is not None:
                calls[index] = _ended(calls[index], rest, number)
            continue
        call = Call(thread=thread, name=name, arguments=rest, begun=number, ended=never, succeeded=False)
        if line.endswith(_UNFINISHED):
            pending[thread, name] = len(calls)
            calls.append(call)
        else:
            calls.append(_ended(call, rest, number))
    return calls


def _ended(call: Call, rest: str, number: int) -> Call:
    result = _RESULT.search(rest)
    return Call(
        thread=call.thread,
        name=call.name,
        arguments=call.arguments,
        begun=call.begun,
        ended=number,
        succeeded=result is not None and not result[1].startswith(("-", "?")),
    )


def known(calls: Sequence[str]) -> str:
    """A set for strace, which leaves out what this processor does not have."""
    return ",".join(f"?{call}" for call in calls)
