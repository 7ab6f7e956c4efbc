"""One step of a job held against the sheet's header: what it reads, and what it makes of a row."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from msgspec import Struct

from batcher.catalog.model import Operation, Provider
from batcher.errors import InputError, Problem, kept
from batcher.files import Files
from batcher.job import Job, Step
from batcher.mapping.choice import Choices
from batcher.mapping.expression import ExpressionError
from batcher.mapping.filter import RowFilter, compile_filter
from batcher.mapping.request import RequestMapping
from batcher.marks import Flaws
from batcher.model import Length, Row
from batcher.price import PriceTag
from batcher.schema import unknown_key
from batcher.sheet import normalise


class Header(Struct, frozen=True, kw_only=True):
    """The sheet's header, as steps look things up in it."""

    sheet_name: str
    texts: Sequence[str]
    index: Mapping[str, int]

    def find(self, text: str) -> int | None:
        return self.index.get(normalise(text))

    def require(self, text: str, owner: Job | Step, path: tuple[str, ...]) -> int:
        column = self.find(text)
        if column is None:
            said = unknown_key(text, [each for each in self.texts if each.strip()])
            said = said.replace("unknown key", "no column", 1).replace("known keys are", "columns are", 1)
            raise InputError(owner.problem(path, f"{said} (in {self.sheet_name})"))
        return column

    def condition(self, source: str, owner: Job | Step, path: tuple[str, ...]) -> RowFilter:
        try:
            return compile_filter(source, lookup=self.find, headers=self.texts)
        except ExpressionError as error:
            raise InputError(owner.problem(path, str(error))) from error


class BoundStep:
    """
    One step of a job, its operation and the sheet's header.

    Args:
        earlier: Outputs of the steps before it, by their names.
        later: The names of the step itself and of those after it.
        files: Finds local files; None where the provider takes none.
        length: What sample rows have shown of its work; None before there were any.

    Attributes:
        item_column: The column that holds the members of the fan-out; None without one.
        length: As above.
        columns: The columns that it uses.
    """

    def __init__(
        self,
        step: Step,
        *,
        provider: Provider,
        operation: Operation,
        header: Header,
        choices: Mapping[str, Choices],
        earlier: Mapping[str, Sequence[str]],
        later: Sequence[str],
        files: Files | None,
        length: Length | None,
    ) -> None:
        self.step = step
        self.operation = operation
        self._errors = provider.errors
        self.is_later = bool(earlier)
        self.length = length
        problems: list[Problem] = []
        mapping = kept(
            problems,
            lambda: RequestMapping(
                step,
                provider=provider,
                operation=operation,
                lookup=header.find,
                headers=header.texts,
                choices=choices,
                earlier=earlier,
                later=later,
                files=files,
            ),
        )
        fan = step.for_each
        self.item_column = None
        if fan and fan.column:
            self.item_column = kept(
                problems, lambda: header.require(fan.column, step, ("for_each", fan.name, "column"))
            )
        self.when = kept(problems, lambda: header.condition(step.when, step, ("when",))) if step.when else None
        if problems or mapping is None:
            raise InputError(*problems)
        self.mapping = mapping
        self.price = PriceTag(operation.price, estimate_s=step.estimate_s, length=length, is_fixed=mapping.is_fixed)
        used = {*mapping.columns, *(self.when.columns.values() if self.when else ())}
        self.columns = frozenset(used | ({self.item_column} if self.item_column is not None else set()))

    def items(self, row: Row, place: Callable[[int], str]) -> tuple[tuple[str, ...], Flaws]:
        """The members of the fan-out for a row, `("",)` without one; what is wrong with the cell that holds them."""
        fan = self.step.for_each
        if fan is None:
            return ("",), ()
        if self.item_column is None:
            return self._distinct(fan.members), ()
        if self.item_column in row.flaws:
            return ("",), ((place(self.item_column), row.flaws[self.item_column]),)
        members = re.split(f"[{re.escape(fan.separators)}]", row.cells[self.item_column].replace("\r\n", "\n"))
        items = self._distinct(member.strip() for member in members if member.strip())
        return (items, ()) if items else (("",), ((place(self.item_column), f"{fan.column} is empty"),))

    def columns_about(self, row: Row, *, item: str, code: str, error: str) -> tuple[int, ...]:
        """
        The columns of the cells that have caused a failure; none where it names none.

        Args:
            item: The member of the fan-out; empty without one.
            code, error: The failure, as the API tells it.
        """
        about = self._errors.about.get(code, ())
        return self.mapping.columns_about(error, cells=row.cells, item=item, about=about, item_column=self.item_column)

    def _distinct(self, members: Iterable[str]) -> tuple[str, ...]:
        """Each member once, by what is meant: `de`, `german` and `German` are one language, and paid once."""
        found: dict[str, str] = {}
        for member in members:
            meant = self.mapping.meant(member)
            found.setdefault(meant.casefold(), meant)
        return tuple(found.values())
