"""How deep a JSON text is nested, told before anything parses it."""

from __future__ import annotations

import numpy as np

_STEPS = np.zeros(256, dtype=np.int32)
_STEPS[[ord("["), ord("{")]] = 1
_STEPS[[ord("]"), ord("}")]] = -1
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")


def is_deeper_than(body: bytes, most: int) -> bool:
    """Whether ``body``, JSON in UTF-8, nests more than ``most`` lists and objects; brackets in strings do not count.

    What is no JSON gets some answer; it is left to the parser. Takes time and memory linear in the body's length.
    """
    if body.count(b"[") + body.count(b"{") <= most:
        return False
    unescaped = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    brackets = b"".join(unescaped.split(b'"')[::2]).translate(None, _NO_BRACKETS)
    steps = _STEPS[np.frombuffer(brackets, np.uint8)]
    return int(steps.cumsum().max(initial=0)) > most
