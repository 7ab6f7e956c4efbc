"""The command `batcher`, and the one place where errors become exit codes."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from pathlib import Path

from batcher.errors import BatcherError, Exit, InputError
from batcher.version import VERSION

YOUNG = 100_000
"""
Objects that may be new before the collector looks for rings among them.

Rows leave no rings behind, but as many live at once as make the usual 700 hundreds of collections a second: of a million
rows a quarter of the time.
"""


def entry() -> None:
    """What the console script calls."""
    gc.set_threshold(YOUNG)
    _open_standard_streams()
    if sys.argv[1:] == ["--version"]:
        print(f"batcher {VERSION}")
        raise SystemExit(0)
    raise SystemExit(main(sys.argv[1:]))


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


def main(arguments: list[str]) -> int:
    """
    Run one command.

    Returns:
        The exit code; see the README.
    """
    import click

    from batcher.cli.commands import batcher
    from batcher.cli.say import hush

    try:
        code = batcher.main(args=arguments, prog_name="batcher", standalone_mode=False)
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
    except Exception as error:  # noqa: BLE001 - the one border where a bug gets its own exit code
        from batcher.fault import fault_of
        from batcher.surroundings import Surroundings

        _say(str(fault_of(error, state=Surroundings(environ=os.environ, folder=Path.cwd()).state)))
        return Exit.BUG


def _say(text: str) -> None:
    from batcher.cli.say import harmless

    with contextlib.suppress(OSError, ValueError):
        print(harmless(f"batcher: {text}" if "\n" not in text else text), file=sys.stderr)
