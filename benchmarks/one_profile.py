"""How fast are all features of one profile whose history comes in a request? Against DuckDB for the same profile."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, timedelta
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.measure import Figure, percentile
from benchmarks.sixty import AS_OF
from features.contract.policies import Policies
from features.definitions import feature_set
from serving.profile import ProfileEngine, profile_features
from serving.schemas import ActivityInput, CustomerInput, ProfileInput, SubscriptionInput, TransactionInput

LINES, ACTIVITIES, CONTRACTS = 150, 45, 5
EVENTS = LINES + ACTIVITIES + CONTRACTS
_KINDS = (
    "campaign_received",
    "campaign_opened",
    "campaign_clicked",
    "coupon_redeemed",
    "visit",
    "login",
    "support_case",
    "complaint",
    "review",
    "payment_failed",
)
_TOLERANCE = 1e-9


def figures(*, profiles: int = 400, against: int = 40) -> Iterator[Figure]:
    """Milliseconds of different profiles; the baseline, which is slow, answers some of the same."""
    features, policies = feature_set({}), Policies()
    engine, tables = (ProfileEngine(features, {}, "UTC") for _ in range(2))
    tables.single = None  # every profile goes through DuckDB

    def ours(profile: ProfileInput) -> pd.DataFrame:
        return profile_features(engine, profile, AS_OF, policies)

    def theirs(profile: ProfileInput) -> pd.DataFrame:
        return profile_features(tables, profile, AS_OF, policies)

    asked = [profile(number) for number in range(profiles)]
    for one in asked[:against]:  # also the first answers, which compile
        check_equal(ours(one), theirs(one))
    fast, slow = _milliseconds(ours, asked), _milliseconds(theirs, asked[:against])
    note = f"{profiles} different profiles, {against} of them through DuckDB; of those the values are equal within 1e-9"
    for label, share in (("p50", 0.5), ("p99", 0.99)):
        pair = (percentile(fast, share), percentile(slow, share))
        what = f"{len(features)} features of one profile, {EVENTS} events in the request: {label}"
        yield Figure("features", what, "the same through tables in DuckDB", *pair, "ms", note=note)


def _milliseconds(run: Callable[[ProfileInput], Any], asked: Sequence[ProfileInput]) -> list[float]:
    found: list[float] = []
    for one in asked:
        begin = time.perf_counter()
        run(one)
        found.append(1000 * (time.perf_counter() - begin))
    return found


def check_equal(ours: pd.DataFrame, baseline: pd.DataFrame) -> None:
    """Raise AssertionError unless all values are the same within the tolerance."""
    assert list(ours) == list(baseline), "other features"
    numbers = (frame.to_numpy(dtype="float64", na_value=np.nan) for frame in (ours, baseline))
    mine, theirs = numbers
    same = np.isclose(mine, theirs, rtol=_TOLERANCE, atol=_TOLERANCE, equal_nan=True)[0]
    assert same.all(), f"{[name for name, equal in zip(ours, same, strict=True) if not equal]} differ"


def profile(number: int) -> ProfileInput:
    """A made-up history of two years; each number gives another one, always the same."""
    chance = np.random.default_rng(number)

    def moments(count: int) -> list[Any]:
        ages = chance.exponential(200, count) % 730
        return [AS_OF - timedelta(days=float(age), seconds=1) for age in ages]

    def pick(words: Sequence[str]) -> str:
        return words[int(chance.integers(len(words)))]

    bought = moments(LINES // 2)
    lines = [
        TransactionInput(
            transaction_id=f"t{i // 2}",
            line_id=str(i),
            event_time=bought[i // 2],
            amount=round(float(chance.gamma(2, 10)), 2) * (1 if chance.random() > 0.03 else -1),
            discount=round(float(chance.random()), 2),
            quantity=float(chance.integers(1, 4)),
            product_id=f"p{chance.integers(60)}",
            category=f"k{chance.integers(12)}",
            channel=pick(("web", "shop", "phone")),
        )
        for i in range(LINES)
    ]
    deeds = [
        ActivityInput(
            activity_id=f"a{i}",
            event_time=moment,
            kind=pick(_KINDS),
            value=float(chance.integers(1, 6)),
            detail=f"d{chance.integers(5)}",
            sentiment=round(float(chance.uniform(-1, 1)), 3),
        )
        for i, moment in enumerate(moments(ACTIVITIES))
    ]
    contracts = [
        SubscriptionInput(
            subscription_id=f"s{i // 2}",
            event_time=moment,
            start_date=moment.astimezone(UTC).date(),
            amount=round(float(chance.uniform(5, 50)), 2),
            recurrence_months=1.0,
            plan=pick(("basic", "plus")),
            is_recurring=bool(chance.random() > 0.3),
        )
        for i, moment in enumerate(moments(CONTRACTS))
    ]
    created = AS_OF - timedelta(days=800)
    return ProfileInput(
        # Without an account: what its other customers did is in no profile.
        customer=CustomerInput(customer_id=f"c{number}", created_at=created),
        transactions=tuple(lines),
        activities=tuple(deeds),
        subscriptions=tuple(contracts),
    )
