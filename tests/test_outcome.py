"""What an API says of its work, whatever that is: read, and never more than a word, a reason and texts."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.api.wire import parse_json
from batcher.catalog.load import built_in_providers
from batcher.catalog.model import Reading
from batcher.catalog.outcome import instant, read_outcome
from batcher.model import State

READINGS: dict[str, Reading] = {
    name: operation.reading
    for provider in built_in_providers()
    for name, operation in provider.operations.items()
    if operation.reading is not None
}
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=5)
    | st.sampled_from(
        [10**400, -(10**4000), math.inf, "completed", "failed", "\0", "\x1b[2J\n", "x" * 10_000, "0001-01-01"]
    )
)


def names(reading: Reading) -> Iterator[str]:
    """Every field that a reading may look for, at the top or further down."""
    sources = [pick.source for pick in (*reading.outputs.values(), reading.done, reading.failed, reading.word) if pick]
    sources += [pick.source for pick in (reading.error, reading.error_code, reading.completed_at) if pick]
    for source in sources:
        yield from (word for word in source.replace(".", " ").replace("|", " ").split() if word.isidentifier())


def items(reading: Reading) -> st.SearchStrategy[Any]:
    """Items with the right fields and any values in them, of any form."""
    fields = st.sampled_from(sorted({*names(reading), "status"}))
    return st.recursive(
        SCALARS,
        lambda inner: st.dictionaries(fields, inner, max_size=6) | st.lists(inner, max_size=3),
        max_leaves=12,
    )


@given(data=st.data())
def test_whatever_an_item_says_it_is_read(data: st.DataObject) -> None:
    """Odd values are no fault of ours: a state, one line for word and code and reason, an instant of a calendar."""
    reading = READINGS[data.draw(st.sampled_from(sorted(READINGS)))]
    item, is_json = parse_json(json.dumps(data.draw(items(reading))).replace("Infinity", "1e999").encode())
    assert is_json

    outcome = read_outcome(reading, item)

    assert outcome.state in (State.DONE, State.FAILED, State.IN_PROGRESS)
    for said in (outcome.word, outcome.error_code, outcome.error):
        assert said.isprintable()
        assert len(said) <= 500
    assert all(isinstance(text, str) for text in outcome.outputs.values())
    assert outcome.completed_at is None or 0 <= outcome.completed_at < 253_402_300_800


@pytest.mark.parametrize(
    "value", [10**400, math.inf, -math.inf, -1, 1e18, "0001-01-01T00:00:00+14:00", "10000-01-01", True, []]
)
def test_an_instant_that_no_calendar_holds_is_none(value: Any) -> None:
    """It would end a run later, when somebody wants to show it."""
    assert instant(value) is None


@pytest.mark.parametrize(("value", "seconds"), [(1_800_000_000, 1.8e9), ("2027-01-15T08:00:00Z", 1.8e9)])
def test_an_instant_is_a_number_or_a_date(value: Any, seconds: float) -> None:
    """The two forms that APIs use."""
    assert instant(value) == seconds
