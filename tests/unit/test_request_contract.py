"""The contract of unified profiles, of a profile in a request."""

from __future__ import annotations

from datetime import date, datetime

import numpy as np
import pandas as pd
import pytest

from features.contract.profiles import profiles_from_frames
from kernel.errors import DataError
from tests.projects import codes, rows


def test_a_profile_in_a_request_keeps_the_same_contract() -> None:
    customers = pd.DataFrame({"customer_id": [" anna "], "city": ["  "], "age": [41]})
    sales = pd.DataFrame(
        {
            "customer_id": ["anna", "anna", None],
            "transaction_id": [1.0, 2.0, 3.0],
            "event_time": pd.to_datetime(["2024-01-05 10:00", "2024-01-06 00:00", "2024-01-06 00:00"]).tz_localize(
                "Europe/Paris"
            ),
            "amount": [1.5, np.nan, 2.0],
        }
    )
    made = profiles_from_frames(
        {"customers": customers, "transactions": sales}, {"city": "string", "age": "float64"}, "UTC"
    )
    assert rows(made, "SELECT * FROM customers") == [("anna", None, True, None, None, 41.0)]
    assert rows(made, "SELECT customer_id, transaction_id, event_time, ingested_at, quantity FROM transactions") == [
        ("anna", "1", datetime(2024, 1, 5, 9), datetime(2024, 1, 5, 9), 1.0)
    ]
    assert codes(made) == [
        ("D101", "transactions", "customer_id", "1 of 3 rows (33.3%)"),
        ("D101", "transactions", "amount", "1 of 3 rows (33.3%)"),
    ]


def test_what_is_mapped_is_what_the_frames_have() -> None:
    sales = pd.DataFrame(SALE | {"channel": ["web"], "note": ["x"]})
    deeds = pd.DataFrame(columns=["customer_id", "event_time", "kind"])
    made = profiles_from_frames({"transactions": sales, "activities": deeds}, {}, "UTC")
    assert made.mapped == {
        "transactions": {"customer_id", "transaction_id", "event_time", "amount", "channel"},
        "activities": {"customer_id", "event_time", "kind"},
    }


def test_a_subscription_in_a_request() -> None:
    contract = {"customer_id": "anna", "subscription_id": "s1", "event_time": datetime(2024, 1, 5)}
    rest = {"start_date": date(2024, 1, 1), "end_date": None, "recurrence_months": 12.0, "is_recurring": None}
    later = {"event_time": datetime(2024, 2, 5), "end_date": date(2024, 3, 1), "is_recurring": False}
    frame = pd.DataFrame([contract | rest, contract | rest | later])
    made = profiles_from_frames({"subscriptions": frame}, {}, "UTC")
    assert rows(made, "SELECT start_date, end_date, plan, is_recurring FROM subscriptions ORDER BY event_time") == [
        (date(2024, 1, 1), None, None, True),
        (date(2024, 1, 1), date(2024, 3, 1), None, False),
    ]
    with pytest.raises(DataError, match=r"share their key \(subscription_id, event_time\)"):
        profiles_from_frames({"subscriptions": pd.concat([frame, frame])}, {}, "UTC")


SALE = {"customer_id": ["anna"], "transaction_id": ["r1"], "event_time": [datetime(2024, 1, 5)], "amount": [1.0]}


@pytest.mark.parametrize("missing", list(SALE))
def test_a_request_that_lacks_a_required_column(missing: str) -> None:
    frame = pd.DataFrame({name: values for name, values in SALE.items() if name != missing})
    with pytest.raises(DataError) as caught:
        profiles_from_frames({"transactions": frame}, {}, "UTC")
    assert caught.value.what.startswith(f"The column '{missing}' (")
    assert caught.value.where == "profile: transactions"


def test_a_request_with_a_value_of_a_wrong_type() -> None:
    with pytest.raises(DataError) as caught:
        profiles_from_frames({"transactions": pd.DataFrame(SALE | {"amount": ["a lot"]})}, {}, "UTC")
    assert "a lot" not in str(caught.value)


def test_a_request_with_a_line_twice() -> None:
    frame = pd.DataFrame(SALE | {"line_id": ["1"]})
    with pytest.raises(DataError, match=r"2 of 2 rows share their key \(transaction_id, line_id\)"):
        profiles_from_frames({"transactions": pd.concat([frame, frame])}, {}, "UTC")
