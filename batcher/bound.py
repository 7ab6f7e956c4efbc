"""A job held against its operations and its sheet: from here on rows become tasks."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType

from msgspec.json import decode

from batcher.bound_step import BoundStep, Header
from batcher.catalog.model import Operation, Provider
from batcher.errors import InputError, Problem, kept
from batcher.files import SeenFile
from batcher.filing import columns_with_files, file_places
from batcher.job import CONTENT, Job
from batcher.layout import Layout, lay_out
from batcher.ledger.values import Blocked, Known, Need, Planned
from batcher.mapping.asset import NamedFile, files_of
from batcher.mapping.choice import Choices
from batcher.mapping.expression import ExpressionError
from batcher.mapping.filter import RowFilter
from batcher.mapping.request import Rendered
from batcher.marks import NOT_BEFORE, Flaws, Identified, Mark, MarkReader
from batcher.model import UNSENT, Length, Row, TaskKey
from batcher.sheet import Sheet, normalise

_NOTHING: Mapping[TaskKey, Known] = MappingProxyType({})

NAMED_DUPLICATES = 20
"""Of so many repeated ids the earlier row is looked up; each look-up reads the sheet again."""


class BoundJob:
    """
    A job, its operations and its opened sheet.

    Args:
        items: Members of the fan-out that the ledger knows already.
        seen: Local files as they were looked at earlier.
        lengths: What sample rows have shown, by step.
        clock: Unix seconds.
        trusts_ids: Ids that stand in our columns tell what was made; False in a rehearsal, where they are of no account.

    Attributes:
        local_files: The local files that rows name; None where the provider takes none.
        steps: By name, in order; one without a name for a job without `steps`.
        layout: Which columns of the sheet are the user's own, and which are ours.
        columns: The columns that the job uses.
        downloads: The files that are fetched for every finished row.
    """

    def __init__(
        self,
        job: Job,
        *,
        provider: Provider,
        operations: Sequence[Operation],
        sheet: Sheet,
        choices: Mapping[str, Choices],
        items: Sequence[str] = (),
        seen: Sequence[SeenFile] = (),
        lengths: Mapping[str, Length] = MappingProxyType({}),
        clock: Callable[[], float] = time.time,
        trusts_ids: bool = True,
    ) -> None:
        self.job = job
        self.clock = clock
        self.trusts_ids = trusts_ids
        self.provider = provider
        self.sheet = sheet
        self.local_files = files_of(job, provider, seen)
        texts = enumerate(sheet.header)
        index = {normalise(text): place for place, text in reversed(list(texts)) if text.strip()}
        header = Header(sheet_name=sheet.name, texts=sheet.header, index=index)
        problems: list[Problem] = []
        self.steps = self._bind_steps(operations, header, choices, lengths, problems)
        self._takes_every_row = any(step.when is None for step in self.steps.values())
        self._id_column: int | None = header.find(job.sheet.row_id)
        if self._id_column is None and job.sheet.row_id != CONTENT:
            kept(problems, lambda: header.require(job.sheet.row_id, job, ("sheet", "row_id")))
        where = job.sheet.where
        self._filter = kept(problems, lambda: header.condition(where, job, ("sheet", "where"))) if where else None
        self._takes_all = self._takes_every_row and self._filter is None
        day = kept(problems, lambda: _day_column(job, header))
        problems += [*self._budget_problems(), *self._batch_problems()]
        files = kept(problems, lambda: file_places(job, operations, lookup=header.find, headers=header.texts))
        if problems:
            raise InputError(*problems)
        self.downloads = files or ()
        used = {column for step in self.steps.values() for column in step.columns}
        self._content_columns = sorted(used)
        used |= set(self._filter.columns.values()) if self._filter else set()
        used |= {column for place in self.downloads for column in place.columns}
        self.columns: Sequence[int] = sorted(used | ({self._id_column} if self._id_column is not None else set()))
        outputs = {name: columns_with_files(step.operation, name, self.downloads) for name, step in self.steps.items()}
        known = list(dict.fromkeys([*items, *(self._all_items() if choices or not items else ())]))
        self.layout: Layout = lay_out(sheet, job, columns=outputs, items=known, used=self.columns)
        self.marks = MarkReader(own=self.layout.own, day_column=day)
        if day is not None:
            self.columns = sorted({*self.columns, day})

    def _budget_problems(self) -> list[Problem]:
        """A budget holds only where every step has a price, and in the same currency."""
        budget = self.job.limits.budget
        prices = [step.operation.price for step in self.steps.values()]
        if budget is None or all(price is not None and price.currency == budget.currency for price in prices):
            return []
        known = sorted({price.currency for price in prices if price is not None})
        message = (
            f"the work is priced in {', '.join(known)}" if None not in prices else "no price is known for this work"
        )
        return [
            self.job.problem(("limits", "budget"), f"{message}, so {budget} cannot be watched; leave the budget out")
        ]

    def _batch_problems(self) -> list[Problem]:
        """Batches are asked for only where some step has them."""
        if self.job.limits.batch == 1 or not self.steps or any(step.operation.batch for step in self.steps.values()):
            return []
        return [self.job.problem(("limits", "batch"), f"{self.title} has no batches; leave limits.batch out")]

    def _bind_steps(
        self,
        operations: Sequence[Operation],
        header: Header,
        choices: Mapping[str, Choices],
        lengths: Mapping[str, Length],
        problems: list[Problem],
    ) -> dict[str, BoundStep]:
        bound: dict[str, BoundStep] = {}
        earlier: dict[str, Sequence[str]] = {}
        names = [step.name for step in self.job.steps]
        for step, operation in zip(self.job.steps, operations, strict=True):
            known = dict(earlier)
            made = kept(
                problems,
                lambda step=step, operation=operation, known=known: BoundStep(  # type: ignore[misc]
                    step,
                    provider=self.provider,
                    operation=operation,
                    header=header,
                    choices=choices,
                    earlier=known,
                    later=names[len(known) :],
                    files=self.local_files,
                    length=lengths.get(step.name),
                ),
            )
            if made is not None:
                bound[step.name] = made
            earlier[step.name] = () if step.for_each else operation.output_names
        return bound

    def _all_items(self) -> Sequence[str]:
        """Every member of the fan-out, as far as a wide layout needs to know them beforehand."""
        step = next((each for each in self.steps.values() if each.step.for_each), None)
        if step is None or not self.job.results.is_wide:
            return ()
        if step.item_column is None:
            return step.step.for_each.members if step.step.for_each else ()
        lines = (row for row in self.sheet.rows() if row.number not in self.sheet.totals and not row.is_blank)
        rows = filter(self._wanted, lines)
        found = dict.fromkeys(item for row in rows for item in step.items(row, lambda _: "")[0] if item)
        return tuple(found)

    @property
    def has_ids(self) -> bool:
        """Whether rows have ids of their own, rather than being what their cells say."""
        return self._id_column is not None

    @property
    def title(self) -> str:
        """The operations in one phrase."""
        return " → ".join(step.operation.name for step in self.steps.values())

    @property
    def currency(self) -> str:
        """In which the work is priced; empty where no price is known."""
        return next((step.operation.price.currency for step in self.steps.values() if step.operation.price), "")

    def operation(self, step: str) -> Operation:
        """The operation of a step."""
        return self.steps[step].operation

    def operation_of(self, step: str, name: str) -> Operation:
        """
        The operation as which work was sent: that of its step, unless the job has been changed since.

        Raises:
            InputError: The job's catalogue does not have it any more.
        """
        own = self.steps.get(step)
        found = own.operation if own is not None and own.operation.name == name else self.provider.operations.get(name)
        if found is None:
            message = (
                f"work that was sent as {name} is not settled yet, and the catalogue no longer has it: put it back"
            )
            raise InputError(Problem(where=self.provider.title, message=message))
        return found

    def rows(self) -> Iterator[Identified]:
        """
        Every row of the sheet with its id, in order.

        Raises:
            InputError: As `Sheet.rows`, and when `where` fails for a row.
        """
        seen: set[int] = set()
        twins: Counter[str] = Counter()
        for row in self.sheet.rows():
            is_blank = self._is_blank(row)
            if is_blank or not (self._takes_all or self._wanted(row)):
                yield Identified(row=row, row_id="", is_blank=is_blank)
                continue
            row_id, flaws = self._identify(row)
            known = hash(row_id)
            if not flaws and known in seen:
                twins[row_id] += 1
                row_id, flaws = self._repeated(row, row_id, twin=twins[row_id], look=twins.total() <= NAMED_DUPLICATES)
                known = hash(row_id)
            seen.add(known)
            yield self._marked(row, row_id, flaws)

    def _is_blank(self, row: Row) -> bool:
        """Whether the user's own cells are blank: neither what we once wrote beside them nor a table's totals make a row."""
        if columns := self.sheet.totals.get(row.number):
            return not any(row.cells[i].strip() for i in self.layout.kept if i not in columns)
        if self._id_column is not None and row.cells[self._id_column].strip():
            return False
        return row.is_blank or (bool(self.layout.own) and not any(row.cells[i].strip() for i in self.layout.kept))

    def _marked(self, row: Row, row_id: str, flaws: Flaws) -> Identified:
        mark, not_before = self.marks.mark(row), 0.0
        if self.marks.day_column is None:
            return Identified(row=row, row_id=row_id, flaws=flaws, mark=mark)
        try:
            not_before = self.marks.not_before(row)
        except ValueError as error:
            flaws = (*flaws, (self.sheet.where(self.marks.day_column or 0, row.number), str(error)))
        return Identified(row=row, row_id=row_id, flaws=flaws, mark=mark, not_before=not_before)

    def _wanted(self, row: Row) -> bool:
        """Whether `where` takes the row, and any step is for it."""
        if self._filter is not None and not self._holds(self._filter, row, "where"):
            return False
        if self._takes_every_row:
            return True
        return any(self._holds(step.when, row, "when") for step in self.steps.values() if step.when is not None)

    def _holds(self, condition: RowFilter, row: Row, name: str) -> bool:
        try:
            return condition(row.cells)
        except ExpressionError as error:
            raise InputError(
                Problem(where=f"{self.sheet.name} row {row.number}", message=f"{name}: {error}")
            ) from error

    def _identify(self, row: Row) -> tuple[str, Flaws]:
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
        for column in self._content_columns:
            digest.update(b"\x1f" + row.cells[column].encode("utf-8", "surrogatepass"))
        return digest.hexdigest()

    def _repeated(self, row: Row, row_id: str, *, twin: int, look: bool) -> tuple[str, Flaws]:
        """A row whose id was met before: with `content` the next of equal twins, otherwise a mistake in the sheet."""
        if self._id_column is None:
            return f"{row_id}/{twin}", ()
        place = self.sheet.where(self._id_column, row.number)
        earlier = next((r.number for r in self.sheet.rows() if self._identify(r)[0] == row_id), None) if look else None
        also = (
            f"also in row {earlier}" if earlier is not None and earlier < row.number else "more than once in the sheet"
        )
        return _nameless(row), ((place, f"{self.job.sheet.row_id} '{row_id}' stands {also}; every row needs its own"),)

    def tasks(
        self, identified: Identified, *, with_bodies: bool = True, known: Mapping[TaskKey, Known] = _NOTHING
    ) -> list[Planned]:
        """
        The tasks of one row that is not skipped; at least one.

        Args:
            with_bodies: What would be sent is wanted as well, not only what it would cost: `body` is empty otherwise.
            known: What the ledger holds. Of a task that was made from just what its row holds now nothing else is worked
                out: path, body, cost and flaws are left out.
        """
        row = identified.row
        planned: list[Planned] = []
        for step in self.steps.values():
            if step.when is not None and not self._holds(step.when, row, "when"):
                continue
            items, flaws = step.items(row, lambda column: self.sheet.where(column, row.number))
            ready = not planned
            for item in items:
                key = TaskKey(job=self.job.name, row_id=identified.row_id, step=step.step.name, item=item)
                if known and not flaws and (made := self._as_made(step, key, identified, known.get(key))):
                    planned.append(made)
                    continue
                # nothing comes before the first step of a row: what it wants of one that `when` has left out is missing
                outputs: dict[str, dict[str, str]] | None = {} if ready else None
                rendered = step.mapping.render(row.cells, flaws=row.flaws, item=item, outputs=outputs)
                found = flaws or (self._places(step, rendered, row.number) if rendered.flaws else ())
                if identified.flaws:  # an empty id that is also in the title is one fault to a person, not two
                    told = dict(identified.flaws)
                    found = (*identified.flaws, *(each for each in found if each[0] not in told))
                body = rendered.body if with_bodies and ready and not found else ""
                planned.append(self._planned(step, key, identified, rendered, body=body, flaws=found, ready=ready))
        return planned

    def _as_made(self, step: BoundStep, key: TaskKey, identified: Identified, known: Known | None) -> Planned | None:
        """A task that was made from just what its row holds, and is not asked for again; None when it is another one."""
        if known is None or known.state in UNSENT or len(self.steps) > 1 or step.mapping.takes_files:
            return None
        row = identified.row
        if identified.mark is Mark.AGAIN or identified.flaws or row.flaws:
            return None
        if step.mapping.input_hash(row.cells, item=key.item) != known.made_hash:
            return None
        return Planned(
            key=key,
            row_number=row.number,
            operation=step.operation.name,
            input_hash=known.made_hash,
            held=identified.mark is Mark.HOLD,
            not_before=identified.not_before,
        )

    def items(self, step: str, identified: Identified) -> Sequence[str]:
        """The members of the fan-out that a step has for a row, `("",)` without one; none where it is not for the row."""
        found, row = self.steps[step], identified.row
        if found.when is not None and not self._holds(found.when, row, "when"):
            return ()
        return found.items(row, lambda _: "")[0]

    def _planned(
        self,
        step: BoundStep,
        key: TaskKey,
        identified: Identified,
        rendered: Rendered,
        *,
        body: str,
        flaws: Flaws,
        ready: bool,
    ) -> Planned:
        row = identified.row
        is_whole = ready and not flaws
        waits = not ready and not flaws
        return Planned(
            key=key,
            row_number=row.number,
            operation=step.operation.name,
            input_hash=rendered.input_hash,
            path=rendered.path if is_whole else "",
            body=body,
            ready=ready,
            flaws=flaws,
            estimate=None if flaws else step.price.estimate(rendered.content),
            cells={normalise(self.sheet.header[c]): row.cells[c] for c in step.columns} if waits else {},
            needs=() if flaws or not rendered.needs else self._needs(step, rendered, row.number),
            made_from=dict.fromkeys(sorted(step.mapping.sources), 0) if step.mapping.sources and is_whole else {},
            held=identified.mark is Mark.HOLD,
            not_before=identified.not_before,
        )

    @property
    def sources(self) -> Mapping[str, frozenset[str]]:
        """The steps in order, each with the earlier ones whose outputs it uses."""
        return {name: step.mapping.sources for name, step in self.steps.items()}

    def release(
        self, blocked: Blocked, outputs: Mapping[str, Mapping[str, str]], *, attempts: Mapping[str, int]
    ) -> Planned:
        """
        What a task that had to wait asks for now.

        Args:
            outputs: What the earlier steps of its row have made, by their names.
            attempts: The numbers of the attempts that have made it.
        """
        step = self.steps[blocked.key.step]
        cells = [blocked.cells.get(normalise(text), "") for text in self.sheet.header]
        rendered = step.mapping.render(cells, flaws={}, item=blocked.key.item, outputs=outputs)
        flaws = self._places(step, rendered, blocked.row_number)
        estimate = None if flaws else step.price.estimate(rendered.content)
        return Planned(
            key=blocked.key,
            row_number=blocked.row_number,
            operation=step.operation.name,
            input_hash=blocked.input_hash,
            path=rendered.path,
            body=rendered.body,
            flaws=flaws,
            estimate=estimate,
            needs=() if flaws else self._needs(step, rendered, blocked.row_number),
            made_from={name: attempts.get(name, 0) for name in sorted(step.mapping.sources)},
        )

    def _needs(self, step: BoundStep, rendered: Rendered, number: int) -> tuple[Need, ...]:
        """The files of a rendering, each with the place where it is named."""

        def place(need: NamedFile) -> str:
            if need.column is not None:
                return self.sheet.where(need.column, number)
            return step.step.problem(need.job_path, "").where

        return tuple(
            Need(digest=each.file.digest, path=str(each.file.path), size=each.file.size, place=place(each))
            for each in rendered.needs
        )

    def _places(self, step: BoundStep, rendered: Rendered, number: int) -> Flaws:
        """The flaws of a rendering with the places where a person mends them."""
        if not rendered.flaws:
            return ()
        whole_row = f"{self.sheet.tab or self.sheet.name} row {number}"
        usual = step.item_column

        def place(column: int | None) -> str:
            at = column if column is not None else usual
            return whole_row if at is None else self.sheet.where(at, number)

        return tuple((place(flaw.column), flaw.message) for flaw in rendered.flaws)

    def final_cost(self, step: str, name: str, body: str, *, duration_s: str) -> float | None:
        """What a finished piece of work cost; None where it was sent as an operation that its step no longer is."""
        own = self.steps.get(step)
        if own is None or own.operation.name != name:
            return None
        return own.price.final(decode(body), duration_s=duration_s)


def _day_column(job: Job, header: Header) -> int | None:
    """The column with the day before which a row is not sent; None when there is none."""
    if job.sheet.not_before:
        return header.require(job.sheet.not_before, job, ("sheet", "not_before"))
    return header.find(NOT_BEFORE)


def _nameless(row: Row) -> str:
    return f"\x00row {row.number}"
