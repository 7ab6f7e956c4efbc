"""What a job may change about an operation, such as how long a text may be."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from batcher.catalog.model import Operation
from batcher.model import Json
from batcher.schema import unknown_key


class WrongSetting(ValueError):
    """
    A setting that an operation does not have, or a value that it cannot be.

    Attributes:
        name: As it stands in the job.
    """

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


def with_settings(operation: Operation, values: Mapping[str, Json]) -> Operation:
    """
    The operation as a job wants it.

    Raises:
        WrongSetting: There is no such setting, or its value is of another kind than the default.
    """
    if not values:
        return operation
    for name, value in values.items():
        setting = operation.settings.get(name)
        if setting is None:
            said = unknown_key(name, operation.settings).replace("unknown key", "unknown setting", 1)
            hint = "" if operation.settings else f"; {operation.name} has none"
            raise WrongSetting(name, said.replace("known keys are", "there are", 1) + hint)
        if type(value) is not type(setting.default):
            raise WrongSetting(name, f"'{value}' is not of the kind of its default, {setting.default}")
    chosen = {name: values.get(name, setting.default) for name, setting in operation.settings.items()}
    return replace(operation, body=filled_in(operation.open_body, chosen))


def filled_in(schema: Json, values: Mapping[str, Json]) -> Json:
    """A schema with every text `$name` of a setting replaced by its value."""
    if not values:
        return schema
    if isinstance(schema, dict):
        return {key: filled_in(each, values) for key, each in schema.items()}
    if isinstance(schema, list):
        return [filled_in(each, values) for each in schema]
    if isinstance(schema, str) and schema.startswith("$") and schema[1:] in values:
        return values[schema[1:]]
    return schema
