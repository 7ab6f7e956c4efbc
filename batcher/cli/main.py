"""The command `batcher`, and the one place where errors become exit codes."""

from __future__ import annotations

import gc
import os
import sys

from batcher.idle import idle_exit
from batcher.version import VERSION

YOUNG = 250_000
"""
Objects that may be new before the collector looks for rings among them.

Rows leave no rings behind, but as many live at once as make the usual 700 hundreds of collections a second: of a million
rows a quarter of the time.
"""

FILES = 128
"""So many files and connections are open at once at most: senders, fetchers, the ledger, sheet and results."""


def entry() -> None:
    """What the console script calls."""
    gc.set_threshold(YOUNG)
    _open_standard_streams()
    if sys.argv[1:] == ["--version"]:
        print(f"batcher {VERSION}")
        code = 0
    else:
        code = main(sys.argv[1:])
    _leave(code)


def _leave(code: int) -> None:
    """
    End the process as it is.

    Every file has been closed by whoever opened it, and no thread is one that must be waited for. To let Python take
    down object by object what the system takes back at once would be a thirtieth of a run over thousands of rows.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            continue  # nobody hears it
    os._exit(code)


def _open_standard_streams() -> None:
    """
    Make sure that the first three descriptors are taken.

    Called with a closed stdout (`>&-`), the ledger would otherwise be opened in its place, and written to by `print`.
    """
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(descriptor, "r" if name == "stdin" else "w", closefd=False))


def _make_room_for_files() -> None:
    """
    Let this process open as many files as it may need, as far as the machine allows it.

    Every sender holds a connection; that one more cannot be opened would otherwise be met in the middle of a run.

    Raises:
        InputError: It does not allow so many.
    """
    from batcher.errors import InputError, Problem

    try:
        import resource
    except ImportError:
        return  # a system that counts them otherwise
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= FILES:
        return
    if hard != resource.RLIM_INFINITY and hard < FILES:
        message = f"only {hard} files may be open at once here, and {FILES} may be needed: raise that limit (ulimit -n)"
        raise InputError(Problem(where="this machine", message=message))
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, hard))


def main(arguments: list[str]) -> int:
    """
    Run one command.

    Returns:
        The exit code; see the README.
    """
    known = idle_exit(arguments, os.environ)  # before anything that takes time is imported
    return _obeyed(arguments) if known is None else known


def _obeyed(arguments: list[str]) -> int:
    import click

    from batcher.cli.commands import batcher
    from batcher.cli.say import hush
    from batcher.errors import BatcherError, Exit, InputError

    try:
        _make_room_for_files()
        code = batcher.main(args=arguments, prog_name="batcher", standalone_mode=False, obj=arguments)
        return int(code or 0)
    except click.exceptions.Abort:
        _say("interrupted; running again is safe")
        return Exit.INTERRUPTED
    except click.ClickException as error:
        error.show()
        return Exit.EDIT
    except InputError as error:
        for problem in error.problems:
            _say(str(problem))
        return error.exit
    except BatcherError as error:
        _say(str(error))
        return error.exit
    except KeyboardInterrupt:
        _say("interrupted; running again is safe")
        return Exit.INTERRUPTED
    except BrokenPipeError:
        # whoever read our output has gone: the work is done and recorded, only the words are lost
        hush()
        return Exit.DONE
    except MemoryError:
        _say(
            "the memory did not suffice; what is recorded is safe. Free some, or raise the limit (ulimit -v), then run again"
        )
        return Exit.EDIT
    except Exception as error:  # noqa: BLE001 - the one border where a bug gets its own exit code
        from pathlib import Path

        from batcher.fault import fault_of
        from batcher.surroundings import Surroundings

        _say(str(fault_of(error, state=Surroundings(environ=os.environ, folder=Path.cwd()).state)))
        return Exit.BUG


def _say(text: str) -> None:
    from batcher.cli.say import harmless

    try:
        print(harmless(f"batcher: {text}" if "\n" not in text else text), file=sys.stderr)
    except (OSError, ValueError):
        return  # nobody hears it
