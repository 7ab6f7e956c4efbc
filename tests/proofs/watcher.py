"""A reader that opens the results again and again while runs go on, as a person with a spreadsheet does."""

from __future__ import annotations

import csv
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from proofs.books import read_table

OFTEN_S = 0.05


@contextmanager
def watching(results: Path, *, records: int) -> Iterator[list[str]]:
    """
    Read the results until the block ends.

    Args:
        records: How many a whole file holds, the header among them.

    Yields:
        A list that receives a sentence for every reading that met a file that was not whole.
    """
    complaints: list[str] = []
    over = threading.Event()

    def watch() -> None:
        while not over.wait(OFTEN_S):
            try:
                found = len(read_table(results))
            except FileNotFoundError:
                continue  # not written yet
            except (csv.Error, UnicodeDecodeError) as error:
                complaints.append(f"the results could not be read: {error}")
                continue
            if found != records:
                complaints.append(f"the results held {found} records instead of {records}")

    watcher = threading.Thread(target=watch, name="watcher")
    watcher.start()
    try:
        yield complaints
    finally:
        over.set()
        watcher.join()
