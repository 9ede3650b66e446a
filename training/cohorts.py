"""Who is at risk: the customers a prediction is made for."""

from __future__ import annotations

from datetime import datetime, timedelta

import pandas as pd

from features.contract.profiles import Profiles


def active_customers(profiles: Profiles, as_of: datetime, active_days: int) -> pd.Index:
    """Customers who may be profiled and bought in the ``active_days`` before ``as_of``, as known then.

    Returns:
        sorted customer ids (str).
    """
    rows = (
        profiles.connection.cursor()
        .execute(
            "SELECT DISTINCT customer_id FROM transactions SEMI JOIN (FROM customers WHERE consent) USING (customer_id) "
            "WHERE amount > 0 AND event_time >= $start AND event_time < $as_of AND ingested_at <= $as_of ORDER BY 1",
            {"start": _naive(as_of - timedelta(days=active_days)), "as_of": _naive(as_of)},
        )
        .fetchall()
    )
    return pd.Index([row[0] for row in rows], name="customer_id", dtype="object")


def _naive(moment: datetime) -> datetime:
    return moment.replace(tzinfo=None)
