"""What was measured, as one table for people and one file for programs."""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from batcher.version import VERSION

FOLDER = Path(__file__).parent
LIBRARIES = ("requests", "urllib3", "aiohttp", "python-calamine", "openpyxl", "lxml", "jinja2", "jsonschema-rs")


@dataclass(frozen=True, kw_only=True)
class Figure:
    """
    One row of the table.

    Attributes:
        what: What was measured, and how.
        goal: What was hoped for, as `>= 0.95`.
        values: The figure of each run, in their order.
        unit: Behind the figure; `x` for a ratio.
        note: What else was seen, in one phrase.
        load: The machine's load average over one minute, as the measuring began.
    """

    what: str
    goal: str
    values: Sequence[float]
    unit: str = ""
    note: str = ""
    load: float = 0.0

    @property
    def median(self) -> float:
        """The run in the middle."""
        return statistics.median(self.values)

    @property
    def verdict(self) -> str:
        """`yes` or `no`, by the median; empty without a goal."""
        sign, _, amount = self.goal.partition(" ")
        if sign not in (">=", "<="):
            return ""
        holds = self.median >= float(amount) if sign == ">=" else self.median <= float(amount)
        return "yes" if holds else "no"


def machine() -> dict[str, str]:
    """Where and with what it was measured."""
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "batcher": VERSION,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processors": str(os.cpu_count()),
        **{name: version(name) for name in LIBRARIES},
    }


def markdown(figures: Sequence[Figure]) -> str:
    """The table as it is printed and kept."""
    about = machine()
    lines = [
        f"Measured {about['date']} with batcher {about['batcher']}, Python {about['python']}, {about['system']}, "
        f"{about['processors']} processors; {', '.join(f'{name} {about[name]}' for name in LIBRARIES)}.",
        "",
        "| what | median | min … max (runs) | goal | holds | load | seen beside it |",
        "|---|---|---|---|---|---|---|",
    ]
    for each in figures:
        spread = f"{min(each.values):.3g} … {max(each.values):.3g} ({len(each.values)})"
        cells = (each.what, f"{each.median:.3g} {each.unit}".strip(), spread, each.goal, each.verdict)
        lines.append(f"| {' | '.join((*cells, f'{each.load:.1f}', each.note))} |")
    return "\n".join(lines) + "\n"


def keep(figures: Sequence[Figure], *, stem: str = "last") -> None:
    """Store the table beside the scripts; rows that were not measured this time stay as they were."""
    path = FOLDER / f"{stem}.json"
    before = json.loads(path.read_text(encoding="utf-8"))["figures"] if path.exists() else []
    measured = {each.what for each in figures}
    kept = [Figure(**each) for each in before if each["what"] not in measured]
    together = [*kept, *figures]
    content = {"machine": machine(), "figures": [asdict(each) for each in together]}
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    path.with_suffix(".md").write_text(markdown(together), encoding="utf-8")


def show(figures: Sequence[Figure]) -> None:
    """Print the table."""
    sys.stdout.write(markdown(figures))
