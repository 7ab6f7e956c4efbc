"""A job held against its operation and its sheet: from here on rows become tasks."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from batcher.catalog.load import built_in_providers, provider_of
from batcher.catalog.model import Operation, Provider
from batcher.errors import InputError, Problem
from batcher.job import CONTENT, Job
from batcher.layout import Layout, lay_out
from batcher.ledger.protocol import Planned
from batcher.mapping.choice import Choices
from batcher.mapping.expression import ExpressionError
from batcher.mapping.filter import RowFilter, compile_filter
from batcher.mapping.request import Rendered, RequestMapping, needed_headers
from batcher.model import Row, TaskKey
from batcher.price import PriceTag
from batcher.schema import unknown_key
from batcher.sheet import Sheet, SheetSpec, normalise, open_sheet

NAMED_DUPLICATES = 20
"""Of so many repeated ids the earlier row is looked up; each look-up reads the sheet again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Identified:
    """
    A row and who it is.

    Attributes:
        row_id: Empty when the row is skipped: blank, or left out by `where`. A row without a usable id of its own gets
            one that no cell can hold, so that it is accounted for.
        flaws: Why its id cannot be used, as (place, message).
    """

    row: Row
    row_id: str
    flaws: tuple[tuple[str, str], ...] = ()


class BoundJob:
    """
    A job, its operation and its opened sheet.

    Attributes:
        layout: Which columns of the sheet are the user's own, and which are ours.
        columns: The columns that the job uses.
    """

    def __init__(
        self, job: Job, *, provider: Provider, operation: Operation, sheet: Sheet, choices: Mapping[str, Choices]
    ) -> None:
        self.job = job
        self.provider = provider
        self.operation = operation
        self.sheet = sheet
        headers = _header_index(sheet.header)
        mapping = _attempt(lambda: RequestMapping(
            job, provider=provider, operation=operation, lookup=lambda text: headers.get(normalise(text)),
            headers=sheet.header, choices=choices,
        ))  # fmt: skip
        problems = list(mapping) if isinstance(mapping, tuple) else []
        self._id_column = self._column(headers, job.sheet.row_id, ("sheet", "row_id"), problems, unless=CONTENT)
        self._item_column = None
        if job.for_each and job.for_each.column:
            path = ("for_each", job.for_each.name, "column")
            self._item_column = self._column(headers, job.for_each.column, path, problems)
        self._filter = self._compile_filter(headers, problems)
        if problems or isinstance(mapping, tuple):
            raise InputError(*problems)
        self._mapping = mapping
        self._price = PriceTag(operation.price, estimate_s=job.estimate_s)
        used = {*mapping.columns, *(self._filter.columns.values() if self._filter else ())}
        used |= {column for column in (self._id_column, self._item_column) if column is not None}
        self.columns: Sequence[int] = sorted(used)
        self.layout: Layout = lay_out(sheet, operation=operation, job=job, used=self.columns)

    def _column(
        self, headers: Mapping[str, int], text: str, path: tuple[str, ...], problems: list[Problem], *, unless: str = ""
    ) -> int | None:
        column = headers.get(normalise(text))
        if column is None and text != unless:
            said = unknown_key(text, [each for each in self.sheet.header if each.strip()])
            said = said.replace("unknown key", "no column", 1).replace("known keys are", "columns are", 1)
            problems.append(self.job.problem(path, f"{said} (in {self.sheet.name})"))
        return column

    def _compile_filter(self, headers: Mapping[str, int], problems: list[Problem]) -> RowFilter | None:
        if not self.job.sheet.where:
            return None
        try:
            return compile_filter(
                self.job.sheet.where, lookup=lambda text: headers.get(normalise(text)), headers=self.sheet.header
            )
        except ExpressionError as error:
            problems.append(self.job.problem(("sheet", "where"), str(error)))
            return None

    @property
    def has_ids(self) -> bool:
        """Whether rows have ids of their own, rather than being what their cells say."""
        return self._id_column is not None

    def rows(self) -> Iterator[Identified]:
        """
        Every row of the sheet with its id, in order.

        Raises:
            InputError: As `Sheet.rows`, and when `where` fails for a row.
        """
        seen: set[int] = set()
        repeats = 0
        for row in self.sheet.rows():
            if row.is_blank or not self._wanted(row):
                yield Identified(row=row, row_id="")
                continue
            row_id, flaws = self._identify(row)
            if not flaws and hash(row_id) in seen:
                repeats += 1
                row_id, flaws = self._repeated(row, row_id, look=repeats <= NAMED_DUPLICATES)
            seen.add(hash(row_id))
            yield Identified(row=row, row_id=row_id, flaws=flaws)

    def _wanted(self, row: Row) -> bool:
        if self._filter is None:
            return True
        try:
            return self._filter(row.cells)
        except ExpressionError as error:
            raise InputError(Problem(where=f"{self.sheet.name} row {row.number}", message=f"where: {error}")) from error

    def _identify(self, row: Row) -> tuple[str, tuple[tuple[str, str], ...]]:
        if self._id_column is None:
            return self._content_id(row), ()
        if self._id_column in row.flaws:
            place = self.sheet.where(self._id_column, row.number)
            return _nameless(row), ((place, row.flaws[self._id_column]),)
        text = normalise(row.cells[self._id_column])
        if not text:
            place = self.sheet.where(self._id_column, row.number)
            return _nameless(row), ((place, f"{self.job.sheet.row_id} is empty, and it is what identifies the row"),)
        return text, ()

    def _content_id(self, row: Row) -> str:
        digest = hashlib.blake2b(digest_size=10)
        for column in self._mapping.columns:
            digest.update(b"\x1f" + row.cells[column].encode("utf-8", "surrogatepass"))
        return digest.hexdigest()

    def _repeated(self, row: Row, row_id: str, *, look: bool) -> tuple[str, tuple[tuple[str, str], ...]]:
        """A row whose id was met before: with `content` a twin, otherwise a mistake in the sheet."""
        if self._id_column is None:
            return f"{row_id}/{row.number}", ()
        place = self.sheet.where(self._id_column, row.number)
        earlier = next((r.number for r in self.sheet.rows() if self._identify(r)[0] == row_id), None) if look else None
        also = (
            f"also in row {earlier}" if earlier is not None and earlier < row.number else "more than once in the sheet"
        )
        return _nameless(row), ((place, f"{self.job.sheet.row_id} '{row_id}' stands {also}; every row needs its own"),)

    def tasks(self, identified: Identified) -> list[Planned]:
        """The tasks of one row that is not skipped; at least one."""
        row = identified.row
        items, flaws = self._items(row)
        flaws = (*identified.flaws, *flaws)
        planned = []
        for item in items or ("",):
            rendered = self._mapping.render(row.cells, flaws=row.flaws, item=item)
            planned.append(self._planned(identified, rendered, item, flaws))
        return planned

    def _planned(
        self, identified: Identified, rendered: Rendered, item: str, flaws: tuple[tuple[str, str], ...]
    ) -> Planned:
        row = identified.row
        flaws = (*flaws, *((self._place(flaw.column, row), flaw.message) for flaw in rendered.flaws))
        key = TaskKey(job=self.job.name, row_id=identified.row_id, item=item)
        if flaws:
            return Planned(key=key, row_number=row.number, input_hash=rendered.input_hash, flaws=flaws)
        return Planned(
            key=key,
            row_number=row.number,
            input_hash=rendered.input_hash,
            path=rendered.path,
            body=rendered.body,
            estimate=self._price.estimate(rendered.content),
        )

    def _place(self, column: int | None, row: Row) -> str:
        return (
            f"{self.sheet.tab or self.sheet.name} row {row.number}"
            if column is None
            else self.sheet.where(column, row.number)
        )

    def _items(self, row: Row) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
        fan = self.job.for_each
        if fan is None:
            return (), ()
        if self._item_column is None:
            return fan.members, ()
        members = re.split(f"[{re.escape(fan.separators)}]", row.cells[self._item_column].replace("\r\n", "\n"))
        items = tuple(dict.fromkeys(member.strip() for member in members if member.strip()))
        if items:
            return items, ()
        return (), ((self.sheet.where(self._item_column, row.number), f"{fan.column} is empty"),)

    def final_cost(self, body: str, *, duration_s: str) -> float | None:
        """What a finished piece of work cost."""
        import json

        return self._price.final(json.loads(body), duration_s=duration_s)


def _attempt(build: Callable[[], RequestMapping]) -> RequestMapping | tuple[Problem, ...]:
    """The mapping, or its problems, so that they are told together with those of the sheet."""
    try:
        return build()
    except InputError as error:
        return tuple(error.problems)


def _header_index(header: Sequence[str]) -> dict[str, int]:
    return {normalise(text): index for index, text in reversed(list(enumerate(header))) if text.strip()}


def _nameless(row: Row) -> str:
    return f"\x00row {row.number}"


def find_operation(job: Job) -> tuple[Provider, Operation]:
    """
    The operation that a job names.

    Raises:
        InputError: There is none of that name.
    """
    provider = provider_of(job.operation)
    if provider is None:
        known = [name for each in built_in_providers() for name in each.operations]
        said = unknown_key(job.operation, known).replace("unknown key", "unknown operation", 1)
        raise InputError(job.problem(("operation",), said.replace("known keys are", "there are", 1)))
    return provider, provider.operations[job.operation]


def open_job_sheet(job: Job) -> Sheet:
    """
    Open the sheet of a job.

    Raises:
        InputError: It cannot be read as it should.
    """
    part = job.sheet
    spec = SheetSpec(
        path=part.file, tab=part.tab, header_row=part.header_row, encoding=part.encoding, delimiter=part.delimiter
    )
    needs = needed_headers(job) | ({part.row_id} if part.row_id != CONTENT else set())
    return open_sheet(spec, needs=needs)
