"""Net spend of customers in windows of their own, such as the days after or before a decision."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np
import pandas as pd
import pyarrow as pa

from features.contract.checks import naive
from features.contract.profiles import Profiles
from kernel.part import Floats

_SPENT = """
SELECT asked.place, CAST(sum(amount) AS DOUBLE)
FROM asked JOIN transactions AS t ON t.customer_id = asked.customer_id
    AND t.event_time > asked.after AND t.event_time <= asked.until
WHERE t.ingested_at <= $known_at
GROUP BY asked.place
"""


def spend_between(
    profiles: Profiles, customers: Sequence[str], after: pd.DatetimeIndex, until: pd.DatetimeIndex, known_at: datetime
) -> Floats:
    """Sum of the amounts of each customer in ``(after, until]``, returns negative, 0.0 without any; shape (rows,).

    Args:
        customers: ids; one may occur in several rows.
        after, until: moments of the same length, UTC.
        known_at: rows that arrived later are not seen. Whether a window is over is for the caller to check.
    """
    asked = pa.table(
        {
            "place": np.arange(len(customers)),
            "customer_id": pa.array(customers, pa.string()),
            "after": _moments(after),
            "until": _moments(until),
        }
    )
    cursor = profiles.connection.cursor()
    cursor.register("asked", asked)
    found = cursor.execute(_SPENT, {"known_at": naive(known_at)}).fetchall()
    cursor.unregister("asked")
    spent = np.zeros(len(customers))
    for place, amount in found:
        spent[place] = amount
    return spent


def _moments(values: pd.DatetimeIndex) -> pa.Array:
    return pa.array(values.tz_convert("UTC").tz_localize(None).as_unit("us").to_numpy(), pa.timestamp("us"))
