"""Where things stand in an API's answer: JMESPath, compiled once; the only room that knows jmespath."""

from __future__ import annotations

from typing import Any

from batcher.model import Json


class Pick:
    """
    A compiled JMESPath expression.

    Args:
        source: The expression.

    Raises:
        ValueError: It is not JMESPath.
    """

    def __init__(self, source: str) -> None:
        import jmespath
        from jmespath.exceptions import JMESPathError

        self.source = source
        try:
            self._compiled: Any = jmespath.compile(source)
        except JMESPathError as error:
            raise ValueError(f"'{source}' is not a JMESPath expression") from error

    def find(self, value: Json) -> Json:
        """What stands there; None when nothing does, or when the answer has quite another form."""
        from jmespath.exceptions import JMESPathError

        try:
            return self._compiled.search(value)
        except JMESPathError:
            return None

    def holds(self, value: Json) -> bool:
        """Whether the expression is true of the value, in JMESPath's sense of truth."""
        found = self.find(value)
        return found is not None and found is not False and found not in ("", [], {})


def as_text(value: Json) -> str:
    """An output as the text of a cell: numbers without a needless `.0`, nothing for nothing, JSON for the rest."""
    if value is None or value == "":
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, int | float):
        return str(value)
    import json

    return json.dumps(value, ensure_ascii=False, sort_keys=True)
