"""Token buckets under a clock of the test's own."""

from __future__ import annotations

from serving.http import rate_limit
from serving.http.rate_limit import Allowance, RateLimiter


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_minutes_requests_pass_at_once_and_the_rest_evenly() -> None:
    clock = Clock()
    limiter = RateLimiter(clock)
    assert [limiter.take("crm", 3).is_granted for _ in range(4)] == [True, True, True, False]
    assert limiter.take("crm", 3) == Allowance(
        is_granted=False, per_minute=3, remaining=0, wait_seconds=20, full_seconds=60
    )
    clock.now += 19.5
    refused = limiter.take("crm", 3)
    assert (refused.is_granted, refused.wait_seconds) == (False, 1)
    clock.now += 0.5
    granted = limiter.take("crm", 3)
    assert (granted.is_granted, granted.remaining, granted.full_seconds) == (True, 0, 60)
    clock.now += 3600
    assert [limiter.take("crm", 3).is_granted for _ in range(4)] == [True, True, True, False]


def test_over_75_minutes_the_rate_holds_exactly() -> None:
    clock = Clock()
    limiter = RateLimiter(clock)
    passed = 0
    for _ in range(36_000):
        clock.now += 0.125
        passed += limiter.take("crm", 120).is_granted
    assert passed == 120 + 75 * 120 - 1  # what a full bucket would have gained before the first request is lost


def test_callers_and_limits_do_not_share() -> None:
    limiter = RateLimiter(Clock())
    assert [limiter.take(name, 1).is_granted for name in ("a", "b", "a", "b")] == [True, True, False, False]
    assert limiter.take("a", 2).is_granted


def test_headers() -> None:
    allowance = RateLimiter(Clock()).take("crm", 60)
    assert allowance.headers() == {"RateLimit-Policy": '"minute";q=60;w=60', "RateLimit": '"minute";r=59;t=1'}


def test_callers_who_came_once_are_forgotten() -> None:
    clock = Clock()
    limiter = RateLimiter(clock)
    for caller in range(rate_limit._MANY):
        limiter.take(str(caller), 60)
    clock.now += 1.0
    limiter.take("busy", 60)
    assert list(limiter._buckets) == [("busy", 60)]
