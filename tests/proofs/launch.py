"""The command `batcher` as the proofs start it: the same command, which can be asked to wait at a moment of its work."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import Any

WAIT_VARIABLE = "PROOF_WAIT_AT"
_PR_SET_PTRACER, _ANYBODY = 0x59616D61, -1


def _wait_at(wanted: str, number: int) -> None:
    """Stop before something happens for the so manieth time, so that a tracer counts from there on."""
    left = number

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal left
        if event == wanted:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGSTOP)

    sys.addaudithook(hook)


def _launch() -> None:
    if moment := os.environ.pop(WAIT_VARIABLE, ""):
        # where Yama restricts tracing to ancestors, this process lets anybody trace it
        ctypes.CDLL(None).prctl(_PR_SET_PTRACER, ctypes.c_ulong(_ANYBODY), 0, 0, 0)
        event, number = moment.split(":")
        _wait_at(event, int(number))
    from batcher.cli.main import entry

    entry()


if __name__ == "__main__":
    _launch()
