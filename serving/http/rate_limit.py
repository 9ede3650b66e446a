"""How often a caller may ask: a token bucket for each, in the memory of one worker."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

_MANY = 10_000


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a caller may still do.

    Attributes:
        is_granted: whether this request may pass.
        per_minute: the limit.
        remaining: requests that would pass at once.
        wait_seconds: until the next request passes; 0 when one would now.
        full_seconds: until all of the limit is there again.
    """

    is_granted: bool
    per_minute: int
    remaining: int
    wait_seconds: int
    full_seconds: int

    def headers(self) -> dict[str, str]:
        """The RateLimit fields (draft-ietf-httpapi-ratelimit-headers)."""
        return {
            "RateLimit-Policy": f'"minute";q={self.per_minute};w=60',
            "RateLimit": f'"minute";r={self.remaining};t={self.full_seconds}',
        }


class RateLimiter:
    """A bucket for each caller: it holds a minute's requests, and fills evenly."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """``clock``: seconds, never going back."""
        self._clock = clock
        self._buckets: dict[tuple[str, int], tuple[float, float]] = {}

    def take(self, caller: str, per_minute: int) -> Allowance:
        """Count one request of ``caller``; one that is refused costs nothing."""
        now = self._clock()
        if len(self._buckets) >= _MANY:
            self._forget_full(now)
        level = self._level(caller, per_minute, now)
        is_granted = level >= 1
        if is_granted:
            level -= 1
        self._buckets[caller, per_minute] = (level, now)
        rate = per_minute / 60
        return Allowance(
            is_granted=is_granted,
            per_minute=per_minute,
            remaining=int(level),
            wait_seconds=math.ceil(max(1 - level, 0) / rate),
            full_seconds=math.ceil((per_minute - level) / rate),
        )

    def _level(self, caller: str, per_minute: int, now: float) -> float:
        level, then = self._buckets.get((caller, per_minute), (float(per_minute), now))
        return min(per_minute, level + (now - then) * per_minute / 60)

    def _forget_full(self, now: float) -> None:
        # A full bucket is as good as none.
        self._buckets = {key: bucket for key, bucket in self._buckets.items() if self._level(*key, now) < key[1]}
