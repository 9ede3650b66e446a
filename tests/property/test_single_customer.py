"""One customer computed in NumPy has, to the last bit, what the tables' engine computes among all customers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta

import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from features.contract.profiles import profiles_from_frames
from features.definitions import feature_set
from features.engine.build import build_features
from features.engine.definition import FeatureSet, View
from features.engine.single.engine import SingleCustomer
from kernel.errors import DataError
from tests.histories import AS_OF, ATTRIBUTES, ZONES, History, Line, Person, bits, dense_history, histories

# What the others of an account did is not in one customer's rows.
FEATURES = feature_set(ATTRIBUTES)
OWN = [f.name for f in FEATURES if f.group != "accounts"]
SINGLE = {zone: SingleCustomer(FEATURES, ATTRIBUTES, zone) for zone in ZONES}


def columns(rows: Sequence[object], name: str) -> dict[str, list[object]]:
    mine = [asdict(row) for row in rows if row.customer_id == name]  # type: ignore[call-overload,attr-defined]
    return {key: [_plain(row[key]) for row in mine] for key in mine[0] if key != "customer_id"} if mine else {}


def _plain(value: object) -> object:
    return float(value) if value.__class__.__name__ == "Decimal" else value  # type: ignore[arg-type]


def single(history: History, person: Person, as_of: datetime = AS_OF) -> pd.DataFrame:
    events = {
        "transactions": columns(history.lines, person.customer_id),
        "activities": columns(history.deeds, person.customer_id),
        "subscriptions": columns(history.contracts, person.customer_id),
    }
    return SINGLE[history.timezone].features(person.customer_id, asdict(person), events, as_of)


def same(history: History, as_of: datetime = AS_OF) -> int:
    """Check every customer; the number of those who were known."""
    together = build_features(profiles_from_frames(history.frames(), ATTRIBUTES, history.timezone), FEATURES, as_of)
    for person in history.people:
        if person.customer_id not in together.index:
            with pytest.raises(DataError, match="became known at or after as_of"):
                single(history, person, as_of)
            continue
        wanted = together.loc[[person.customer_id], OWN]
        assert bits(single(history, person, as_of)[OWN]) == bits(wanted)
    return len(together)


@settings(
    max_examples=25,
    phases=(Phase.explicit, Phase.generate),
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(histories())
def test_a_random_history(history: History) -> None:
    same(history)


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("seed", [1, 2])
def test_a_dense_history(seed: int, zone: str) -> None:
    assert same(dense_history(seed, zone)) >= 3
    assert same(dense_history(seed, zone), AS_OF - timedelta(days=30, hours=7)) >= 3


def test_account_features_are_unknown_without_the_other_customers() -> None:
    history = dense_history(1)
    accounts = [feature.name for feature in FEATURES if feature.group == "accounts"]
    found = single(history, history.people[0])
    assert accounts
    assert found[accounts].isna().all(axis=None)


def test_a_line_whose_key_repeats_is_refused() -> None:
    rows = {"transaction_id": ["r1", "r1"], "line_id": ["1", "1"], "event_time": [AS_OF - timedelta(days=1)] * 2}
    events = {"transactions": rows | {"amount": [1.0, 2.0]}}
    with pytest.raises(DataError, match=r"2 of 2 rows share their key \(transaction_id, line_id\)"):
        SINGLE["UTC"].features("anna", {}, events, AS_OF)


def test_a_missing_column_is_named() -> None:
    events = {"transactions": {"transaction_id": ["r1"], "event_time": [AS_OF - timedelta(days=1)]}}
    with pytest.raises(DataError, match="The column 'amount'"):
        SINGLE["UTC"].features("anna", {}, events, AS_OF)


def test_a_line_of_a_very_large_amount_loses_no_digit() -> None:
    line = Line("anna", "r1", AS_OF - timedelta(days=1), AS_OF, amount=_decimal("87654321098.7654"))
    again = Line("anna", "r2", AS_OF - timedelta(days=2), AS_OF, amount=_decimal("99999999999.9999"))
    assert same(History((Person("anna"),), (line, again) * 1, ())) == 1


def _decimal(text: str) -> object:
    from decimal import Decimal

    return Decimal(text)


def test_a_feature_on_each_view_was_compared() -> None:
    compared = {FEATURES.named(name).view for name in OWN}
    assert compared == set(View) - {View.ACCOUNT_LINES}
    assert isinstance(FEATURES, FeatureSet)
