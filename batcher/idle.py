"""
Whether a run would find everything as the last one has left it, told from the files' stamps alone.

A run from cron that has nothing to do should cost next to nothing, so this module imports nothing that takes time, and is
asked before anything else is imported. What it cannot tell at once it leaves to the run itself, which looks properly.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

from batcher.version import VERSION

STATE_VARIABLE = "BATCHER_STATE"
COMMANDS = ("run", "submit", "reconcile")

STILL_S = 2.0
"""For how long a file must have stood still: some file systems tell the time of a change no better than this."""

LONGEST_S = 86_400.0
"""After so long a run looks properly in any case."""

MOST_FILES = 2_000
"""Of more files nothing is remembered: looking at their stamps would take as long as a proper look."""

# What differs from one start to the next and says nothing about the work.
_PASSING = frozenset(
    {"_", "PWD", "OLDPWD", "SHLVL", "LINES", "COLUMNS", "INVOCATION_ID", "JOURNAL_STREAM", "SYSTEMD_EXEC_PID"}
)

_Stamp = Sequence[int]
"""Device, inode, size, and when content and entry were changed, in nanoseconds; empty where there is no file."""


class Kept:
    """
    What a run that had nothing to do leaves for the next one; nothing until `all_is_well` was called.

    Attributes:
        until: From when on there may be something to do although no file has changed, unix seconds.
    """

    def __init__(self) -> None:
        self.files: Collection[str] = ()
        self.exit = 0
        self.until = 0.0

    def all_is_well(self, files: Iterable[str], *, code: int, until: float | None) -> None:
        """
        Nothing was to be done, and as long as these files stay as they are nothing will be.

        Args:
            files: Every file that could change that, those included that are not there.
            code: The exit code of the run.
            until: When there may be something to do all the same, unix seconds; None where nothing is waited for.
        """
        self.files, self.exit = sorted(set(files)), code
        self.until = float("inf") if until is None else until


def idle_exit(arguments: Sequence[str], environ: Mapping[str, str]) -> int | None:
    """The exit code of a run that would have nothing to do and nothing to say; None when that is not known."""
    if not arguments or arguments[0] not in COMMANDS:
        return None
    if not _is_folder(environ):
        return None
    try:
        with open(_place(arguments, environ), encoding="ascii") as file:
            kept = json.load(file)
        if kept["who"] != _who(arguments, environ) or not kept["at"] <= time.time() < kept["until"]:
            return None
        return int(kept["exit"]) if all(_stamp(path) == stamp for path, stamp in kept["files"].items()) else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


@contextmanager
def remembering(arguments: Sequence[str], environ: Mapping[str, str]) -> Iterator[Kept]:
    """
    Keep what `idle_exit` needs, once everything that the run has opened is closed again.

    Nothing is kept of files that have changed since shortly before the run began: it may have read them before that.
    """
    began, kept = time.time(), Kept()
    yield kept
    if not _is_folder(environ) or not 0 < len(kept.files) <= MOST_FILES:
        return
    files = {path: _stamp(path) for path in kept.files}
    if any(stamp and max(stamp[3:]) > (began - STILL_S) * 1e9 for stamp in files.values()):
        return
    until = min(kept.until, began + LONGEST_S)
    content = {"who": _who(arguments, environ), "at": began, "until": until, "exit": kept.exit, "files": files}
    with suppress(OSError):  # it only saves time
        _write(_place(arguments, environ), json.dumps(content))


def _home(environ: Mapping[str, str]) -> str:
    """The user's state folder as the environment has it; which one a project names is known only when files are read."""
    if _is_folder(environ) and (told := environ.get(STATE_VARIABLE)):
        return os.path.join(os.getcwd(), os.path.expanduser(told))
    home = environ.get("HOME") or os.path.expanduser("~")
    return os.path.join(environ.get("XDG_STATE_HOME") or os.path.join(home, ".local", "state"), "batcher")


def _is_folder(environ: Mapping[str, str]) -> bool:
    """Whether the ledger is a file; a database is changed unseen, by other machines."""
    return "://" not in environ.get(STATE_VARIABLE, "")


def _place(arguments: Sequence[str], environ: Mapping[str, str]) -> str:
    name = hashlib.blake2b(repr((os.getcwd(), *arguments)).encode("utf-8", "surrogatepass"), digest_size=10)
    return os.path.join(_home(environ), "idle", f"{name.hexdigest()}.json")


def _who(arguments: Sequence[str], environ: Mapping[str, str]) -> str:
    """Program, call and environment in one word: the environment holds keys, so they are not to be read from it."""
    told = sorted((name, value) for name, value in environ.items() if name not in _PASSING)
    text = repr((VERSION, os.getcwd(), list(arguments), told))
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=20).hexdigest()


def _stamp(path: str) -> _Stamp:
    try:
        found = os.stat(path)
    except OSError:
        return []
    return [found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns]


def _write(path: str, text: str) -> None:
    """Put a file in its place whole, readable by its owner alone."""
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    new = f"{path}.{os.getpid()}"
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text)
    os.replace(new, path)
