"""A profile in a request: in NumPy, or through the contract's tables where something stands against that."""

from __future__ import annotations

import resource
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from features.contract.policies import Policies
from features.definitions import feature_set
from features.engine.definition import Feature, FeatureSet, Unit, View
from kernel.errors import DataError
from serving.profile import ProfileEngine, profile_features
from serving.schemas import CustomerInput, ProfileInput, TransactionInput
from tests.histories import bits

AS_OF = datetime(2024, 3, 1, tzinfo=UTC)
FEATURES = feature_set({"age": "float64"})
POLICIES = Policies(currency="EUR")


@pytest.fixture(scope="module")
def engine() -> ProfileEngine:
    return ProfileEngine(FEATURES, {"age": "float64"}, "Europe/Paris")


def line(number: int, amount: float, **more: object) -> TransactionInput:
    moment = AS_OF - timedelta(days=3 * number, hours=number)
    return TransactionInput(transaction_id=f"r{number}", event_time=moment, amount=amount, **more)  # type: ignore[arg-type]


def profile(*lines: TransactionInput, consent: bool = True) -> ProfileInput:
    customer = CustomerInput(
        customer_id="anna",
        consent=consent,
        account_id="acme",
        attributes={"age": 41.0},
        created_at=AS_OF - timedelta(90),
    )
    return ProfileInput(customer=customer, transactions=lines or (line(1, 12.5), line(2, -3.25), line(3, 0.0)))


def through_tables(engine: ProfileEngine) -> ProfileEngine:
    slow = ProfileEngine(engine.features, engine.attributes, engine.timezone)
    slow.single = None
    return slow


@pytest.mark.parametrize(
    "lines",
    [
        (),
        (line(1, 12.5, currency="EUR", status="paid"), line(2, 7.0)),
        (line(1, 12.5), line(2, 7.0, status=" Cancelled ")),
    ],
    ids=["plain", "own currency", "cancelled"],
)
def test_both_ways_give_the_same(engine: ProfileEngine, lines: tuple[TransactionInput, ...]) -> None:
    asked = profile(*lines)
    fast, slow = (profile_features(one, asked, AS_OF, POLICIES) for one in (engine, through_tables(engine)))
    assert bits(fast) == bits(slow)
    assert fast.at["anna", "age"] == 41.0


@pytest.mark.parametrize(
    ("policies", "net_spend", "orders"),
    [
        (POLICIES, 9.25, 1.0),
        (replace(POLICIES, returns="ignore"), 12.5, 1.0),
        (replace(POLICIES, zero_orders="drop"), 9.25, 1.0),
    ],
)
def test_policies_apply_to_a_request(
    engine: ProfileEngine, policies: Policies, net_spend: float, orders: float
) -> None:
    found = profile_features(engine, profile(), AS_OF, policies)
    assert (found.at["anna", "net_spend"], found.at["anna", "orders_90d"]) == (net_spend, orders)


def test_another_currency_is_refused(engine: ProfileEngine) -> None:
    with pytest.raises(DataError, match="USD"):
        profile_features(engine, profile(line(1, 12.5, currency="USD")), AS_OF, POLICIES)


def test_nothing_is_known_of_a_customer_without_consent(engine: ProfileEngine) -> None:
    found, slow = (
        profile_features(one, profile(consent=False), AS_OF, POLICIES) for one in (engine, through_tables(engine))
    )
    assert bits(found) == bits(slow)
    assert pd.isna(found.at["anna", "age"])
    assert found.at["anna", "net_spend"] == 0
    assert pd.isna(found.at["anna", "days_since_last_purchase"])


def test_an_operation_that_only_tables_know_goes_through_them() -> None:
    own = Feature("typical", "x", View.LINES, lambda lines: lines.amount.median(), "typical", Unit.MONEY)
    engine = ProfileEngine(FeatureSet([own]), {}, "UTC")
    assert engine.single is None
    asked = ProfileInput(
        customer=CustomerInput(customer_id="anna"), transactions=(line(1, 1.0), line(2, 2.0), line(3, 30.0))
    )
    assert profile_features(engine, asked, AS_OF, POLICIES).at["anna", "typical"] == 2.0


def test_however_deep_the_caller_is_frames_find_room(engine: ProfileEngine) -> None:
    many = profile(*(line(number, 1.0 + number, category=f"c{number % 7}") for number in range(1, 201)))
    for _ in range(3):  # the first ones make room
        profile_features(engine, many, AS_OF, POLICIES)
    asked: list[int] = []

    def ask(calls: int) -> None:
        if calls:
            ask(calls - 1)
        else:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
            profile_features(engine, many, AS_OF, POLICIES)
            asked.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)

    for calls in range(0, 400, 5):
        ask(calls)
    # At an unlucky depth, each call would ask the operating system for memory: 1,700 times a profile.
    assert max(asked) < 300
