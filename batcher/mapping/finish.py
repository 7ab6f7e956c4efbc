"""The last touch to a body before it is sent: our token and our key, where the API has fields for them."""

from __future__ import annotations

from typing import Any

from batcher.catalog.body import schemas_at
from batcher.catalog.model import Operation
from batcher.model import Json


def finish_body(operation: Operation, content: Json, *, key: str, token: str) -> Json:
    """
    A body that carries what it can be found again by.

    A field that the job fills in itself stays as it is, and one that this form of the body may not hold is left out.

    Args:
        operation: Which fields those are.
        content: The body as the row asks for it; not changed.
        key: The idempotency key of the attempt.
        token: The text that a search can find.
    """
    for field, value in ((operation.token_field, token), (operation.repeat.key_field, key)):
        if field:
            content = _with(operation.body, content, tuple(field.split(".")), value)
    return content


def _with(schema: Any, content: Json, path: tuple[str, ...], value: str) -> Json:
    inner = content
    for part in path:
        if not isinstance(inner, dict):
            return content
        inner = inner.get(part, {} if part != path[-1] else None)
    if inner is not None or not schemas_at(schema, path, content):
        return content
    return _put(content, path, value)


def _put(content: Json, path: tuple[str, ...], value: str) -> Json:
    first, rest = path[0], path[1:]
    return {**content, first: _put(content.get(first, {}), rest, value) if rest else value}
