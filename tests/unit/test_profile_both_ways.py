"""A profile in a request has the same features whichever way it goes: in NumPy, or through the tables of DuckDB."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pandas as pd
import pytest

from features.contract.policies import Policies
from features.definitions import feature_set
from features.engine.definition import Feature, FeatureSet, Unit, View
from features.engine.single.engine import SingleCustomer
from features.engine.single.program import NotCompiledError
from kernel.errors import DataError
from serving.profile import ProfileEngine, profile_features
from serving.schemas import ProfileInput
from tests.histories import bits

AS_OF = datetime(2024, 3, 31, 5, 30, tzinfo=UTC)
ATTRIBUTES = {"city": "string", "age": "float64"}
ZONE = "Europe/Paris"
FEATURES = feature_set(ATTRIBUTES)
BEYOND = Feature(
    name="spread_of_prices",
    group="own",
    view=View.LINES,
    expression=lambda lines: lines.quantity.std(),
    phrase="spread of the quantities",
    unit=Unit.COUNT,
)
EURO = Policies(currency="EUR", timezone=ZONE)


@pytest.fixture(scope="module")
def quick() -> ProfileEngine:
    return ProfileEngine(FEATURES, ATTRIBUTES, ZONE)


@pytest.fixture(scope="module")
def slow() -> ProfileEngine:
    return ProfileEngine(FeatureSet([*FEATURES, BEYOND]), ATTRIBUTES, ZONE)


def profile(lines: list[dict[str, Any]], **customer: Any) -> ProfileInput:
    """A customer with these lines (a day apart, the first the newest), an activity of each kind, and a contract."""
    person = {
        "customer_id": "anna",
        "created_at": AS_OF - timedelta(days=500),
        "attributes": {"city": " Lyon ", "age": 40},
    }
    kinds = ("campaign_received", "visit", "support_case", "complaint", "payment_failed")
    contract = {"subscription_id": "s1", "start_date": date(2023, 5, 1), "amount": 120.0, "recurrence_months": 12}
    return ProfileInput.model_validate(
        {
            "customer": person | customer,
            "transactions": [
                {
                    "transaction_id": f"r{i // 2}",
                    "line_id": str(i),
                    "event_time": AS_OF - timedelta(days=i, hours=i + 1),
                }
                | line
                for i, line in enumerate(lines)
            ],
            "activities": [
                {"event_time": AS_OF - timedelta(days=3 * i + 1), "kind": kind, "sentiment": 0.1 * i}
                for i, kind in enumerate(kinds)
            ],
            "subscriptions": [
                contract | {"event_time": AS_OF - timedelta(days=300), "plan": "basic"},
                contract | {"event_time": AS_OF - timedelta(days=20), "plan": "plus"},
            ],
        }
    )


def line(amount: float, **rest: Any) -> dict[str, Any]:
    kinds = {"product_id": f"p{amount % 3:.0f}", "category": f"c{amount % 2:.0f}", "channel": "web", "currency": "EUR"}
    return {"amount": amount, "discount": 0.25, "quantity": 1.5, **kinds, **rest}


SOLD = [line(amount) for amount in (19.99, 5.05, 12.3, 7.0, 30.1, 2.5, 11.0, 8.88, 41.0, 3.21)]


def by_tables(engine: ProfileEngine, given: ProfileInput, policies: Policies) -> pd.DataFrame:
    assert engine.single is None
    return profile_features(engine, given, AS_OF, policies)


def only_numpy(given: ProfileInput) -> pd.DataFrame:
    """What the lines give as they are."""
    engine = ProfileEngine(FEATURES, ATTRIBUTES, ZONE)
    assert engine.single is not None
    return profile_features(engine, given, AS_OF, EURO)


def test_an_operation_that_only_duckdb_knows_sends_every_profile_there(
    quick: ProfileEngine, slow: ProfileEngine
) -> None:
    assert quick.single is not None
    assert slow.single is None
    with pytest.raises(NotCompiledError, match="StandardDev"):
        SingleCustomer(slow.features, ATTRIBUTES, ZONE)
    given = profile(SOLD)
    found = by_tables(slow, given, EURO)
    assert found["spread_of_prices"].tolist() == [0.0]
    assert bits(found[FEATURES.names]) == bits(profile_features(quick, given, AS_OF, EURO))
    assert found["net_spend"].tolist() == [sum(round(100 * one["amount"]) for one in SOLD) / 100]


@pytest.mark.parametrize(
    ("policies", "lines", "counted"),
    [
        (EURO, [*SOLD, line(50.0, status=" Cancelled ")], SOLD),
        (Policies("EUR", ZONE, cancelled=frozenset({"Storniert"})), [*SOLD, line(50.0, status="storniert")], SOLD),
        (Policies("EUR", ZONE, returns="ignore"), [*SOLD, line(-4.0)], SOLD),
        (Policies("EUR", ZONE, zero_orders="drop"), [*SOLD, line(0.0)], SOLD),
        (EURO, [*SOLD, line(-4.0), line(0.0)], [*SOLD, line(-4.0), line(0.0)]),
        (EURO, [*SOLD, line(1.0, currency=None, status="paid")], [*SOLD, line(1.0, currency=None)]),
    ],
    ids=["cancelled", "cancelled in other words", "returns ignored", "zero dropped", "net and kept", "no currency"],
)
def test_policies(
    quick: ProfileEngine,
    slow: ProfileEngine,
    policies: Policies,
    lines: list[dict[str, Any]],
    counted: list[dict[str, Any]],
) -> None:
    given = profile(lines)
    found = profile_features(quick, given, AS_OF, policies)
    assert bits(found) == bits(by_tables(slow, given, policies)[FEATURES.names])
    assert bits(found) == bits(only_numpy(profile(counted)))


def test_a_foreign_currency_is_refused_both_ways(quick: ProfileEngine, slow: ProfileEngine) -> None:
    given = profile([*SOLD, line(9.0, currency="USD")])
    told = set()
    for engine in (quick, slow):
        with pytest.raises(DataError) as caught:
            profile_features(engine, given, AS_OF, EURO)
        told.add(str(caught.value))
    assert len(told) == 1
    assert "USD" in told.pop()


@pytest.mark.parametrize("lines", [SOLD, [*SOLD, line(50.0, status="cancelled")]], ids=["as they are", "changed"])
def test_without_consent_nothing_that_happened_counts(
    quick: ProfileEngine, slow: ProfileEngine, lines: list[dict[str, Any]]
) -> None:
    given = profile(lines, consent=False)
    found = profile_features(quick, given, AS_OF, EURO)
    assert bits(found) == bits(by_tables(slow, given, EURO)[FEATURES.names])
    assert found["orders_so_far"].tolist() == [0.0]
    assert found["net_spend"].tolist() == [0.0]
    assert found["days_since_last_purchase"].isna().all()


@pytest.mark.parametrize("lines", [SOLD, [*SOLD, line(50.0, status="cancelled")]], ids=["as they are", "changed"])
def test_what_others_of_the_account_did_is_unknown_both_ways(
    quick: ProfileEngine, slow: ProfileEngine, lines: list[dict[str, Any]]
) -> None:
    given = profile(lines, account_id="company")
    found = profile_features(quick, given, AS_OF, EURO)
    assert bits(found) == bits(by_tables(slow, given, EURO)[FEATURES.names])
    assert bits(found) == bits(profile_features(quick, profile(SOLD), AS_OF, EURO))


def test_a_profile_without_any_event(quick: ProfileEngine, slow: ProfileEngine) -> None:
    given = ProfileInput.model_validate({"customer": {"customer_id": "anna"}})
    assert bits(profile_features(quick, given, AS_OF, EURO)) == bits(by_tables(slow, given, EURO)[FEATURES.names])
