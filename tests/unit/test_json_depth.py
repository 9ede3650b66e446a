"""How deep JSON is nested, without parsing it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.http.json_depth import is_deeper_than


def depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth, value), default=0)
    return 0


TEXTS = st.text(st.sampled_from('ab"\\[]{}/'), max_size=8)
VALUES = st.recursive(
    TEXTS | st.integers() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=30,
)


@given(VALUES, st.integers(1, 6))
def test_it_is_the_depth_of_what_a_parser_finds(value: Any, most: int) -> None:
    body = json.dumps(value, ensure_ascii=False).encode()
    assert is_deeper_than(body, most) == (depth(value) > most)


@pytest.mark.parametrize(
    ("body", "is_deep"),
    [
        (b"[" * 32 + b"]" * 32, False),
        (b"[" * 33 + b"]" * 33, True),
        (b'{"a":' * 33 + b"1" + b"}" * 33, True),
        (b"[]" * 500_000, False),
        (b"[" * 2_000_000, True),
        (b'"' + b"[" * 2_000_000 + b'"', False),
        (b'"' + b'\\"[' * 600_000, False),
        (b'"\\\\"' + b"[" * 33, True),
        (b'"[' * 900_000 + b"\\", True),
        (b"]" * 40 + b"[" * 33, False),
        (b"", False),
    ],
)
def test_hostile_bodies(body: bytes, is_deep: bool) -> None:
    assert is_deeper_than(body, 32) is is_deep
