"""Reads sheets one after the other, each in a process of its own with bounds: megabytes and path in, a sentence out."""

from __future__ import annotations

import os
import resource
import signal
import sys
from pathlib import Path

import openpyxl  # noqa: F401 - what the readers import is there before the first fork
import pandas  # noqa: F401
import python_calamine  # noqa: F401

from batcher.errors import InputError
from batcher.sheet import SheetSpec, open_sheet

CPU_S = 10
HANGS_S = 120
"""Whoever waits for something takes no time of the processor."""


def _read(megabytes: int, path: Path) -> str:
    used = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + megabytes * 1_000_000,) * 2)
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    signal.alarm(HANGS_S)
    try:
        return f"read {sum(1 for _ in open_sheet(SheetSpec(path=path)).rows())}"
    except InputError:
        return "refused"


def _main() -> None:
    for line in sys.stdin:
        if child := os.fork():
            _, status = os.waitpid(child, 0)
            if status:
                print(f"ended with {os.waitstatus_to_exitcode(status)}", flush=True)
            continue
        try:
            megabytes, path = line.rstrip("\n").split(" ", maxsplit=1)
            print(_read(int(megabytes), Path(path)), flush=True)
        except BaseException as error:
            print(f"broke with {error!r}"[:300].replace("\n", " "), flush=True)
        os._exit(0)


if __name__ == "__main__":
    _main()
