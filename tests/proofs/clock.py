"""Another time of day for a run: libfaketime, which shifts the wall clock and leaves the monotonic one alone."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path


@cache
def library() -> Path | None:
    """The library of the PyPI package `libfaketime`; None where it is not installed. (Debian's hangs Python 3.11.)"""
    spec = find_spec("libfaketime")
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / "vendor" / "libfaketime" / "src" / "libfaketime.so.1"
    return path if path.exists() else None


def why_not() -> str:
    """Why the clock cannot be moved here; empty where it can."""
    return "" if library() else "the package libfaketime is not installed"


def shifted(seconds: float) -> Mapping[str, str]:
    """Variables under which a run sees the wall clock so many seconds ahead, or behind when negative."""
    return {**_common(), "FAKETIME": f"{seconds:+.0f}s"}


def jumping(file: Path) -> Mapping[str, str]:
    """Variables under which a run reads the shift from a file at every look at the clock; see `jump`."""
    return {**_common(), "FAKETIME_TIMESTAMP_FILE": str(file), "FAKETIME_NO_CACHE": "1"}


def jump(file: Path, seconds: float) -> None:
    """Set the shift of all runs that look at the file; it changes in one step."""
    beside = file.with_suffix(".new")
    beside.write_text(f"{seconds:+.0f}s\n", encoding="ascii")
    beside.replace(file)


def _common() -> Mapping[str, str]:
    return {"LD_PRELOAD": str(library()), "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
