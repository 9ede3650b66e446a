"""How long are customers silent between purchases, and after how long do they hardly come back?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from features.contract.profiles import Profiles
from kernel.artefacts import Floats
from kernel.errors import NotEnoughDataError

RETURNED = 0.9
"""The share of all returns that have come when a customer counts as gone."""
_WEEK = 7
_FEWEST = 20
# Every silence of a customer, the last one unfinished; each customer counts once, however often they buy.
_SILENCES = """
WITH days AS (
    SELECT DISTINCT customer_id, CAST(timezone($zone, timezone('UTC', event_time)) AS DATE) AS day FROM transactions
    WHERE amount > 0 AND event_time < $as_of AND ingested_at <= $as_of
), silences AS (
    SELECT
        date_diff('day', day, lead(day) OVER (PARTITION BY customer_id ORDER BY day)) AS gap,
        date_diff('day', day, $last_day) AS so_far,
        1.0 / count(*) OVER (PARTITION BY customer_id) AS weight
    FROM days
)
SELECT
    coalesce(gap, so_far) AS days, coalesce(sum(weight) FILTER (gap IS NOT NULL), 0) AS returned, sum(weight) AS seen,
    count(gap) AS returns
FROM silences GROUP BY 1 ORDER BY 1
"""


@dataclass(frozen=True, slots=True)
class Rhythm:
    """The customers' own rhythm as of a moment.

    Attributes:
        as_of: nothing later was looked at.
        days: length of a silence, rising, shape (n,).
        returned: share of silences that have ended by then, of all that ever end, shape (n,), rising to 1.
        horizon_days: the whole weeks after which ``RETURNED`` of the returns have come: the horizon the data choose.
        returns: number of returns that were seen.
    """

    as_of: datetime
    days: Floats
    returned: Floats
    horizon_days: int
    returns: int

    def returned_by(self, days: float) -> float:
        """Share of the returns that have come after so many days of silence."""
        place = int(np.searchsorted(self.days, days, side="right"))
        return float(self.returned[place - 1]) if place else 0.0


def purchase_rhythm(profiles: Profiles, as_of: datetime) -> Rhythm:
    """Estimate the rhythm from every purchase known at ``as_of``.

    A silence that still lasts is no return that never came: the share is Kaplan and Meier's (1958), which counts it
    for as long as it was watched.

    Raises:
        NotEnoughDataError: fewer than 20 returns are known.
    """
    zone = ZoneInfo(profiles.timezone)
    rows = profiles.connection.cursor().execute(
        _SILENCES,
        {
            "zone": profiles.timezone,
            "as_of": as_of.replace(tzinfo=None),
            "last_day": (as_of - timedelta(microseconds=1)).astimezone(zone).date(),
        },
    )
    days, returned, seen, returns = np.array(rows.fetchall(), dtype="float64").reshape(-1, 4).T
    if returns.sum() < _FEWEST:
        raise NotEnoughDataError(
            f"Only {returns.sum():.0f} returns of customers are known at {as_of:%Y-%m-%d}.",
            where="churn.horizon_days",
            fix=f"Set the days yourself, or bring a history with at least {_FEWEST} returns.",
        )
    at_risk = np.cumsum(seen[::-1])[::-1]
    silent = np.cumprod(1 - np.minimum(returned / at_risk, 1))
    share = (1 - silent) / (1 - silent[-1])
    reached = float(days[np.searchsorted(share, RETURNED)])
    return Rhythm(as_of, days, share, _WEEK * max(1, int(np.ceil(reached / _WEEK))), int(returns.sum()))
