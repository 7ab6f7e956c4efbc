"""Expressions of the catalogue: the short way and jmespath itself say the same of every answer."""

from __future__ import annotations

from typing import Any

import jmespath
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.catalog.pick import Pick

NAMES = st.sampled_from(["a", "b", "code"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2) | st.sampled_from(["", "x", 0.0]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
PATHS = st.lists(NAMES, min_size=1, max_size=3).map(".".join)


@given(ways=st.lists(PATHS, min_size=1, max_size=3), value=VALUES)
def test_names_dots_and_alternatives_mean_what_they_mean_in_jmespath(ways: list[str], value: Any) -> None:
    """The short way is only quicker: also for answers of quite another form."""
    source = " || ".join(ways)
    assert Pick(source).find(value) == jmespath.search(source, value)


TEXTS = st.sampled_from(["'x'", "''"])
TERMS = PATHS | PATHS.map("!{}".format) | st.tuples(PATHS, st.sampled_from(["==", "!="]), TEXTS).map(" ".join)
PREDICATES = st.recursive(
    TERMS,
    lambda inner: (
        st.tuples(inner, st.sampled_from(["&&", "||"]), inner).map(" ".join)
        | inner.map("({})".format)
        | inner.map("!({})".format)
    ),
    max_leaves=5,
)


@given(source=PREDICATES, value=VALUES)
def test_a_predicate_means_what_it_means_in_jmespath(source: str, value: Any) -> None:
    """It is asked of every item of every list, and is only quicker."""
    found, wanted = Pick(source).find(value), jmespath.search(source, value)
    assert (found, type(found)) == (wanted, type(wanted))


LIST_PATHS = st.tuples(PATHS, st.sampled_from(["", "[]"]), st.sampled_from(["", ".a", ".b.code"])).map("".join)


@given(places=st.lists(LIST_PATHS, min_size=1, max_size=3), value=VALUES)
def test_a_list_of_places_means_what_it_means_in_jmespath(places: list[str], value: Any) -> None:
    """It is asked of every row for its price, and is only quicker."""
    source = f"[{', '.join(places)}][]"
    assert Pick(source).find(value) == jmespath.search(source, value)


@pytest.mark.parametrize("source", ["a ||", "a..b", "a b", "1a", "|| a"])
def test_what_is_not_jmespath_is_refused(source: str) -> None:
    """When the catalogue is loaded, not when the first answer comes."""
    with pytest.raises(ValueError, match="JMESPath"):
        Pick(source)
