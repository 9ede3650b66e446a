"""Purchases after decisions, from the project's tables: only what was known, within the window, after the policies."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from features.contract.profiles import load_profiles
from tests.projects import TABLES, TinyProject
from training.purchases import purchases_after

SALES = """id,receipt,at,paid,known
anna,r0,2024-01-05 10:00:00,1,2024-01-05
anna,r1,2024-01-05 10:00:01,10,2024-01-06
anna,r1,2024-01-08 10:00:00,-4,2024-01-08
anna,r2,2024-01-12 10:00:00,20,2024-01-12
anna,r3,2024-01-12 10:00:01,40,2024-01-12
bert,r4,2024-01-07 10:00:00,7,2024-01-30
bert,r5,2024-01-20 11:00:00,5,2024-01-20
"""
DECISIONS = pd.DataFrame(
    {
        "decision_id": ["1", "2"],
        "customer_id": ["anna", "bert"],
        "logged_at": pd.to_datetime(["2024-01-05 10:00:00", "2024-01-06 00:00:00"], utc=True),
    }
)


def test_lines_in_the_window(tmp_path: Path) -> None:
    tiny = TinyProject(tmp_path)
    tiny.write("customers.csv", "id\nanna\nbert\n")
    tiny.write("sales.csv", SALES)
    tables = TABLES.replace('amount = "paid"', 'amount = "paid", ingested_at = "known"')
    with load_profiles(tiny.settings(tables)) as profiles:
        found = purchases_after(profiles, DECISIONS, 7, datetime(2024, 1, 25, tzinfo=UTC))
        later = purchases_after(profiles, DECISIONS, 7, datetime(2024, 2, 1, tzinfo=UTC))
        early = purchases_after(profiles, DECISIONS, 7, datetime(2024, 1, 9, tzinfo=UTC))
    lines = found.lines.sort_values(["decision_id", "event_time"])
    # Not what came at the moment of the decision, after seven days, or was not known yet.
    assert list(zip(lines["decision_id"], lines["amount"], strict=True)) == [("1", 10.0), ("1", -4.0), ("1", 20.0)]
    assert set(later.lines["amount"]) == {10.0, -4.0, 20.0, 7.0}
    assert sorted(early.lines["amount"]) == [-4.0, 10.0]
    assert found.until == datetime(2024, 1, 21, tzinfo=UTC)
    assert early.until == datetime(2024, 1, 9, tzinfo=UTC)
