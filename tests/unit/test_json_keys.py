"""Keys that stand twice in an object of a JSON text."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.http.json_keys import repeated_key

VALUES = st.recursive(
    st.text(max_size=3) | st.integers() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=30,
)


@given(VALUES)
def test_what_was_an_object_repeats_nothing(value: Any) -> None:
    assert repeated_key(json.dumps(value).encode()) is None


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ('{"a": 1, "b": 2, "a": 1}', "a"),
        ('{"a": 1, "\\u0061": 2}', "a"),
        ('{"a": {"b": 1}, "b": [{"a": 1}, {"a": 1, "c": {"d": 1, "d": 2}}]}', "b.1.c.d"),
        ('{"a": {"x": 1, "x": 2}, "a": 1}', "a.x"),
        ('[[{"a": 1}], [{"a": 1, "a": 2}]]', "1.0.a"),
        ('{"": 1, "": 2}', ""),
        ('{"a": 1, "A": 2, "b": "\\"a\\": 1, \\"a\\": 2"}', None),
        ('[{"a": 1}, {"a": 1}]', None),
        ('{"a": {"a": {"a": 1}}}', None),
    ],
)
def test_the_path_is_that_of_the_second(body: str, path: str | None) -> None:
    assert repeated_key(body.encode()) == path


@pytest.mark.parametrize("body", [b"", b'{"a": 1, "a": 2', b'{"a": 1, "a": \xff}', b'\xef\xbb\xbf{"a": 1, "a": 2}'])
def test_what_is_no_json_is_left_to_the_parser(body: bytes) -> None:
    assert repeated_key(body) is None
