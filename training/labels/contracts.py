"""How long contracts have lasted: what the model of retention learns from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from features.contract.profiles import Profiles
from kernel.value_predictor import MONTH_DAYS

# The newest version of each contract that is known. One that ended for a competing reason, or that another contract of
# the customer outlasts within the days of grace, or still may, was watched until then and says nothing of leaving.
_LIVES = """
WITH newest AS (
    SELECT customer_id, subscription_id,
        arg_max((start_date, end_date, end_reason, recurrence_months), event_time) AS said
    FROM subscriptions WHERE event_time < $as_of AND ingested_at <= $as_of GROUP BY ALL
), contracts AS (
    SELECT customer_id, said[1] AS starts, said[2] AS ends, said[3] AS reason,
        CASE WHEN said[4] > 0 THEN said[4] END AS months
    FROM newest WHERE said[1] < $day AND said[1] < coalesce(said[2], DATE '9999-12-31')
)
SELECT
    date_diff('day', starts, least(coalesce(ends, $day), $day)) AS days,
    coalesce(date_diff('day', ends, $day) >= $grace, FALSE)
        AND NOT coalesce(list_contains($competing, reason), FALSE)
        AND NOT EXISTS (
            FROM contracts AS other
            WHERE other.customer_id = one.customer_id AND coalesce(other.ends, DATE '9999-12-31') > one.ends
            AND date_diff('day', one.ends, other.starts) <= $grace
        ) AS ended,
    months
FROM contracts AS one
"""


@dataclass(frozen=True)
class ContractLives:
    """One row per contract: ``renewals`` it has seen, and ``churned``, 1.0 where it ended and 0.0 where it runs.

    Attributes:
        days_per_period: from one renewal to the next, of most contracts.
    """

    rows: pd.DataFrame
    days_per_period: float


def contract_lives(
    profiles: Profiles, as_of: datetime, competing_ends: Sequence[str] = (), *, grace_days: int = 0
) -> ContractLives:
    """All contracts that had begun by ``as_of``, as known then; a month each where nobody says how often they renew.

    Args:
        competing_ends: reasons of an end that is no leaving.
        grace_days: so long after an end another contract may begin, and the customer has not left.
    """
    found = (
        profiles.connection.cursor()
        .execute(
            _LIVES,
            {
                "as_of": as_of.replace(tzinfo=None),
                "day": as_of.astimezone(ZoneInfo(profiles.timezone)).date(),
                "competing": list(competing_ends),
                "grace": grace_days,
            },
        )
        .df()
    )
    months = np.nan_to_num(found["months"].to_numpy(dtype="float64", na_value=np.nan), nan=1.0)
    period = MONTH_DAYS * (float(np.median(months)) if len(months) else 1.0)
    periods, ended = found["days"].to_numpy() / period, found["ended"].fillna(False).to_numpy(dtype="float64")
    # Who leaves after n periods has been asked n times and renewed n - 1 of them.
    renewals = [max(round(n) - 1, 0) if churned else int(n) for n, churned in zip(periods, ended, strict=True)]
    return ContractLives(pd.DataFrame({"renewals": renewals, "churned": ended}), period)
