"""What customers bought after decisions about them, from the project's tables."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import numpy as np
import pandas as pd

from features.contract.checks import naive
from features.contract.profiles import Profiles
from training.action_log import Purchases

_LINES = """
SELECT d.decision_id, CAST(t.amount AS DOUBLE) AS amount, t.event_time, t.ingested_at AS received_at
FROM transactions t JOIN decisions_asked d USING (customer_id)
WHERE t.event_time > d.logged_at AND t.event_time <= d.logged_at + to_days($days)
    AND t.event_time < $now AND t.ingested_at <= $now
"""


def purchases_after(profiles: Profiles, decisions: pd.DataFrame, days: int, now: datetime) -> Purchases:
    """Lines in the ``days`` after each decision, as known at ``now``, after the project's policies on money and time.

    The tables end with the midnight after the last transaction known at ``now``: that is all that can be said of them.

    Args:
        decisions: decision_id, customer_id, logged_at (moments, UTC).

    Raises:
        NotEnoughDataError: no transaction was known then.
    """
    _, last = profiles.span(now)
    asked = pd.DataFrame(
        {
            "decision_id": decisions["decision_id"].to_numpy(object),
            "customer_id": decisions["customer_id"].to_numpy(object),
            "logged_at": np.asarray(pd.to_datetime(decisions["logged_at"], utc=True).dt.tz_localize(None)),
        }
    )
    cursor = profiles.connection.cursor()
    cursor.register("decisions_asked", asked)
    lines = cursor.execute(_LINES, {"days": days, "now": naive(now)}).df()
    cursor.unregister("decisions_asked")
    until = datetime.combine(last.date() + timedelta(days=1), time(), tzinfo=UTC)
    return Purchases(lines, min(until, now))
