"""Subscription churn: the last contract ends in the window, and none follows in time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from features.contract.profiles import Profiles
from training.labels.window import LabelWindow

# The newest version of each contract; contracts that follow each other within the grace are one stretch. What is known
# later than the window and its grace says nothing of it.
_STRETCHES = """
WITH newest AS (
    SELECT customer_id, subscription_id, arg_max((start_date, end_date, end_reason), event_time) AS said
    FROM subscriptions WHERE event_time < $until AND ingested_at <= $known_at GROUP BY ALL
), contracts AS (
    SELECT customer_id, said[1] AS starts, coalesce(said[2], DATE '9999-12-31') AS ends, said[3] AS reason FROM newest
    WHERE said[1] <= coalesce(said[2], DATE '9999-12-31')
), ordered AS (
    SELECT *, max(ends) OVER (
        PARTITION BY customer_id ORDER BY starts, ends ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS covered FROM contracts
), numbered AS (
    SELECT *, count(*) FILTER (covered IS NULL OR date_diff('day', covered, starts) > $grace) OVER (
        PARTITION BY customer_id ORDER BY starts, ends ROWS UNBOUNDED PRECEDING
    ) AS stretch FROM ordered
)
SELECT
    customer_id, max(ends) < $end AS ended,
    coalesce(list_contains($competing, arg_max(reason, ends)), FALSE) AS other
FROM numbered GROUP BY customer_id, stretch HAVING min(starts) < $day AND max(ends) >= $day
"""


@dataclass(frozen=True, slots=True)
class SubscriptionChurn:
    """The outcomes of ``training.labels.label.Label``.

    Attributes:
        competing_ends: reasons (``subscriptions.end_reason``) of an end that is no churn, such as a death.
    """

    competing_ends: Sequence[str] = ()

    def __call__(
        self, profiles: Profiles, customers: pd.Index, cutoff: datetime, window: LabelWindow, known_at: datetime
    ) -> pd.Series:
        """1.0 where the customer's stretch of contracts at the cut-off ends in the window and no contract follows
        within ``window.maturity_days``; 0.0 where it goes on; NaN where it ends for a competing reason, or where there
        is none. Index = ``customers``.

        Raises:
            NotEnoughDataError: the window, or the grace after it, is not over at ``known_at``.
        """
        window.check_ripe(cutoff, known_at)
        zone = ZoneInfo(profiles.timezone)
        rows = profiles.connection.cursor().execute(
            _STRETCHES,
            {
                "until": window.certain(cutoff).replace(tzinfo=None),
                "known_at": known_at.replace(tzinfo=None),
                "grace": window.maturity_days,
                "day": window.start(cutoff).astimezone(zone).date(),
                "end": window.end(cutoff).astimezone(zone).date(),
                "competing": list(self.competing_ends),
            },
        )
        outcome = {customer: np.nan if ended and other else float(ended) for customer, ended, other in rows.fetchall()}
        return pd.Series(outcome, dtype="float64").reindex(customers).rename("churned")
