"""The last touch to a body before it is sent: our token and our key, where the API has fields for them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from batcher.catalog.body import schemas_at
from batcher.catalog.model import Operation
from batcher.model import Json


class Finish:
    """
    Puts into bodies what they can be found again by.

    A field that the job fills in itself stays as it is, and one that this form of the body may not hold is left out.

    Args:
        operation: Which fields those are.
        title: Of a body that has none, where titles end with the token; None where they do not.
    """

    def __init__(self, operation: Operation, *, title: str | None = None) -> None:
        self._schema = operation.body
        self._title, self._title_field = title, operation.title_field
        self._token_path = _path(operation.token_field)
        self._key_path = _path(operation.repeat.key_field)
        self._deciding = tuple(sorted(set(_deciding(operation.body))))
        self._allowed: dict[tuple[Any, ...], bool] = {}

    def body(self, content: Json, *, key: str, token: str) -> Json:
        """
        The finished body.

        Args:
            content: The body as the row asks for it; not changed.
            key: The idempotency key of the attempt.
            token: The text that a search can find.
        """
        for path, value in ((self._token_path, token), (self._key_path, key)):
            if path:
                content = self._with(content, path, value)
        if self._title_field and self._title is not None:
            title = content.get(self._title_field, self._title)
            content = {**content, self._title_field: f"{title} [{token}]"}
        return content

    def _with(self, content: Json, path: tuple[str, ...], value: str) -> Json:
        inner = content
        for part in path:
            if not isinstance(inner, dict):
                return content
            inner = inner.get(part, {} if part != path[-1] else None)
        if inner is not None or not self._allows(content, path):
            return content
        return _put(content, path, value)

    def _allows(self, content: dict[str, Json], path: tuple[str, ...]) -> bool:
        """Whether such a body may hold the field; what decides for one at the top decides for all that are alike there."""
        if len(path) > 1:
            return bool(schemas_at(self._schema, path, content))
        alike = (path, *[str(content.get(name)) for name in self._deciding])
        if alike not in self._allowed:
            self._allowed[alike] = bool(schemas_at(self._schema, path, content))
        return self._allowed[alike]


def _path(field: str) -> tuple[str, ...]:
    return tuple(field.split(".")) if field else ()


def _deciding(schema: Any) -> Iterator[str]:
    """The names of all fields whose constants tell the forms of a body apart."""
    if isinstance(schema, list):
        for each in schema:
            yield from _deciding(each)
    elif isinstance(schema, dict):
        for name, each in schema.items():
            if isinstance(each, dict) and "const" in each:
                yield name
            yield from _deciding(each)


def _put(content: Json, path: tuple[str, ...], value: str) -> Json:
    first, rest = path[0], path[1:]
    return {**content, first: _put(content.get(first, {}), rest, value) if rest else value}
