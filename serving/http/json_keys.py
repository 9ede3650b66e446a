"""A key that stands twice in one object of a JSON text: parsers differ in which of its values counts."""

from __future__ import annotations

import json
from typing import Any


class _RepeatedError(Exception):
    pass


class _Pairs(tuple[tuple[str, Any], ...]):
    """An object with all of its keys; lists stay lists."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _RepeatedError
    return found


_CHECKING = json.JSONDecoder(object_pairs_hook=_unique)
_LOCATING = json.JSONDecoder(object_pairs_hook=_Pairs)


def repeated_key(body: bytes) -> str | None:
    """The path of the first key that its object has already, such as ``profile.transactions.0.amount``.

    Args:
        body: JSON in UTF-8, of bounded depth.

    Returns:
        None where there is none, and of what is no JSON, which is left to the parser.
    """
    try:
        text = body.decode()
        try:
            _CHECKING.decode(text)
        except _RepeatedError:
            # A path costs much more than telling whether there is need of one.
            return _path(_LOCATING.decode(text))
    except ValueError:
        pass
    return None


def _path(value: object) -> str | None:
    items = value if isinstance(value, _Pairs) else enumerate(value) if isinstance(value, list) else ()
    seen: set[str] = set()
    for key, inner in items:
        name = str(key)
        if name in seen:
            return name
        seen.add(name)
        found = _path(inner)
        if found is not None:
            return f"{name}.{found}"
    return None
