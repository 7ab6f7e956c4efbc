"""`where:`, the rows that a job is about."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from msgspec import Struct

from batcher.mapping.expression import Expression, ExpressionError, compile_expression
from batcher.mapping.leaf import Lookup
from batcher.schema import unknown_key

_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)\Z")


class Cell(str):
    """
    A cell as `where` compares it: trimmed and caseless, as numbers where both sides are numbers.
    """

    __slots__ = ()

    def _sides(self, other: object) -> tuple[str | float, str | float]:
        left, right = self.strip(), str(other).strip()
        if isinstance(other, bool):
            right = "true" if other else "false"
        if _NUMBER.match(left) and _NUMBER.match(right):
            return float(left), float(right)
        return left.casefold(), right.casefold()

    def __eq__(self, other: object) -> bool:
        left, right = self._sides(other)
        return left == right

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __lt__(self, other: object) -> bool:
        left, right = self._sides(other)
        return left < right if isinstance(left, float) and isinstance(right, float) else str(left) < str(right)

    def __le__(self, other: object) -> bool:
        return self == other or self < other

    def __gt__(self, other: object) -> bool:
        return not self <= other

    def __ge__(self, other: object) -> bool:
        return not self < other

    def __hash__(self) -> int:
        return hash(self.strip().casefold())

    def __contains__(self, part: object) -> bool:
        return str(part).strip().casefold() in self.casefold()

    def __bool__(self) -> bool:
        return bool(self.strip())


class RowFilter(Struct, frozen=True, kw_only=True):
    """
    A condition on rows.

    Attributes:
        columns: Jinja's name of each cell in the condition to its column.
    """

    expression: Expression
    columns: Mapping[str, int]

    def __call__(self, cells: Sequence[str]) -> bool:
        """
        Whether the row is meant.

        Raises:
            ExpressionError: The condition fails for these cells.
        """
        return bool(self.expression.value({name: Cell(cells[column]) for name, column in self.columns.items()}))


def compile_filter(source: str, *, lookup: Lookup, headers: Sequence[str]) -> RowFilter:
    """
    The condition as a function of a row's cells.

    Raises:
        ExpressionError: It cannot be read, or names a column that does not exist.
    """
    expression = compile_expression(source)
    columns: dict[str, int] = {}
    for variable, header in expression.names.items():
        column = lookup(header)
        if column is None:
            said = unknown_key(header, [each for each in headers if each.strip()])
            raise ExpressionError(
                said.replace("unknown key", "no column", 1).replace("known keys are", "columns are", 1)
            )
        columns[variable] = column
    return RowFilter(expression=expression, columns=columns)
