"""`python -m benchmarks [ROW …] [--runs N]`: measure, print the table, and keep it in this folder."""

from __future__ import annotations

import argparse

from benchmarks.rows import ROWS, measured
from benchmarks.table import keep, show


def main() -> None:
    """Measure the rows that are named, all of them without a name."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("--runs", type=int, default=3, help="how often each is measured (default 3)")
    parser.add_argument("--no-keep", action="store_true", help="do not store the table")
    told = parser.parse_args()
    unknown = sorted(set(told.rows) - set(ROWS))
    if unknown:
        parser.error(f"no row {', '.join(unknown)}; rows are: {', '.join(ROWS)}")
    figures = measured(told.rows or list(ROWS), told.runs)
    if not told.no_keep:
        keep(figures)
    show(figures)


main()
