"""The sheet again, with links and reasons beside every row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from urllib.parse import parse_qs, urlsplit

from batcher.bound import BoundJob, Identified
from batcher.ledger.protocol import Ledger, Standing
from batcher.model import WORST_FIRST, State
from batcher.sheet import clean, write_rows

GROUP = 400
SKIPPED = "skipped"
_RANK = {state: rank for rank, state in enumerate(WORST_FIRST)}
_SHOWN = {State.SENDING: State.IN_PROGRESS.value}


@dataclass(kw_only=True, slots=True)
class Tally:
    """
    The account of a results sheet: every row is in exactly one word.

    Attributes:
        rows: Rows of the sheet.
        words: Rows by their word; `skipped` among them.
    """

    rows: int = 0
    words: Counter[str] = field(default_factory=Counter)

    def identity(self) -> str:
        """`40 rows = 37 done + 1 failed + 2 invalid`, with a mark when it does not add up."""
        order = ("done", "failed", "invalid", "in progress", "unsure", "waiting", "held", SKIPPED)
        parts = [f"{self.words[word]} {word}" for word in order if self.words[word]]
        right = sum(self.words.values()) == self.rows
        return f"{self.rows} rows = {' + '.join(parts) or '0'} {'✓' if right else '✗ (these do not add up: please report it)'}"


def word_of(state: State) -> str:
    """The word that a person sees; *sending* is a moment of *in progress*."""
    return _SHOWN.get(state, state.value)


def write_results(bound: BoundJob, ledger: Ledger) -> Tally:
    """
    Write the results file whole, and count its rows.

    Raises:
        InputError: The sheet can no longer be read, or the file cannot be written in this format.
        OSError: The file cannot be written.
    """
    tally = Tally()
    layout, job = bound.layout, bound.job
    links = [index for index, name in enumerate(layout.header) if index >= layout.own_from and name.endswith("_url")]
    write_rows(
        job.results.file,
        layout.header,
        _lines(bound, ledger, tally),
        ours_from=layout.own_from,
        bom=job.results.bom,
        links=links,
    )
    return tally


def count_rows(bound: BoundJob, ledger: Ledger) -> Tally:
    """Count the rows of the sheet by their words, without writing anything."""
    tally = Tally()
    for _ in _lines(bound, ledger, tally):
        pass
    return tally


def result_rows(bound: BoundJob, ledger: Ledger) -> Iterator[Sequence[str]]:
    """The lines below the results header, as texts."""
    return _lines(bound, ledger, Tally())


def _lines(bound: BoundJob, ledger: Ledger, tally: Tally) -> Iterator[Sequence[str]]:
    rows = bound.rows()
    while some := list(islice(rows, GROUP)):
        ids = [identified.row_id for identified in some if identified.row_id]
        by_row: dict[str, list[Standing]] = {}
        for standing in ledger.standings(bound.job.name, ids):
            by_row.setdefault(standing.key.row_id, []).append(standing)
        for identified in some:
            tally.rows += 1
            yield from _row_lines(bound, identified, by_row.get(identified.row_id, []), tally)


def _row_lines(
    bound: BoundJob, identified: Identified, standings: list[Standing], tally: Tally
) -> Iterator[Sequence[str]]:
    cells = [identified.row.cells[index] for index in bound.layout.kept]
    width = len(bound.layout.header) - len(cells)
    if not identified.row_id or not standings:
        # without a standing the row is new to the ledger: the sheet has changed since the plan
        word = State.WAITING.value if identified.row_id else SKIPPED
        tally.words[word] += 1
        item = [""] if bound.layout.item else []
        yield [
            *cells,
            *item,
            "" if word == SKIPPED and identified.row.is_blank else word,
            *[""] * (width - 1 - len(item)),
        ]
        return
    worst = min((standing.state for standing in standings), key=_RANK.__getitem__)
    tally.words[word_of(worst)] += 1
    for standing in standings:
        yield [*cells, *_ours(bound, standing)]


def _ours(bound: BoundJob, standing: Standing) -> list[str]:
    """The texts of our columns, in the order of `layout`."""
    error, advice = standing.error, standing.advice
    if standing.state is State.INVALID:
        error = "; ".join(f"{place.rsplit('!', 1)[-1]}: {message}" for place, message in standing.flaws)
        advice = "correct the cell, then run again"
    if standing.state is State.UNSURE:
        advice = f"decide with: batcher settle {bound.job.path.name if bound.job.path else bound.job.name}"
    if standing.changed:
        note = "the row has changed since this was made"
        advice = f"{advice}; {note}" if advice else note
    expires = link_expiry(bound, standing)
    return [
        *([standing.key.item] if bound.layout.item else []),
        word_of(standing.state),
        *(clean(_output(standing, name)) for name in bound.layout.outputs),
        clean(standing.error_code),
        clean(error),
        clean(advice),
        str(standing.attempts) if standing.attempts else "0",
        _amount(
            standing.cost if standing.cost is not None or standing.state is not State.IN_PROGRESS else standing.estimate
        ),
        iso(standing.submitted_at),
        iso(standing.completed_at),
        iso(expires),
    ]


def _output(standing: Standing, name: str) -> str:
    if name in standing.outputs:
        return standing.outputs[name]
    return standing.remote_id if name.endswith("_id") and standing.remote_id else ""


def _amount(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}".rstrip("0").rstrip(".")


def iso(moment: float | None) -> str:
    """An instant as people and programs read it: `2026-11-20T19:24:16Z`; nothing for none."""
    return "" if moment is None else datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def link_expiry(bound: BoundJob, standing: Standing) -> float | None:
    """
    When the first of a row's links stops working, unix seconds.

    The link's own signature decides; where it says nothing, the catalogue's lifetime counts from the reading of it.
    """
    settle = bound.operation.settle
    if settle is None or standing.state is not State.DONE:
        return None
    links = [standing.outputs[name] for name in settle.link_columns if standing.outputs.get(name)]
    if not links:
        return None
    told = [expiry for link in links if (expiry := signed_until(link)) is not None]
    if told:
        return min(told)
    if settle.link_days is None or standing.links_at is None:
        return None
    return standing.links_at + settle.link_days * 86400


def signed_until(link: str) -> float | None:
    """The expiry that a signed link carries (CloudFront and S3 in both of its forms), unix seconds; None without one."""
    query = {name.lower(): values[0] for name, values in parse_qs(urlsplit(link).query).items()}
    try:
        if "expires" in query:
            return float(int(query["expires"]))
        for vendor in ("amz", "goog"):
            if f"x-{vendor}-expires" in query and f"x-{vendor}-date" in query:
                begun = datetime.strptime(query[f"x-{vendor}-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
                return begun.timestamp() + int(query[f"x-{vendor}-expires"])
    except ValueError:
        return None
    return None
