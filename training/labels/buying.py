"""When did customers buy again, and what have those who came in one month spent since?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np
import pandas as pd

from features.contract.checks import naive
from features.contract.profiles import Profiles
from features.engine.scope import last_day
from kernel.artefacts import Floats
from kernel.errors import NotEnoughDataError

WEEK = 7
MOST_COHORTS = 8
FEWEST_CUSTOMERS = 20
"""Of a cohort: what fewer spend on average is chance."""
_DAY = "CAST(timezone($zone, timezone('UTC', event_time)) AS DATE)"
_EPOCH = "DATE '1970-01-01'"
_FIRSTS = f"""
    SELECT customer_id, min({_DAY}) AS first FROM transactions
    WHERE amount > 0 AND event_time < $as_of AND ingested_at <= $as_of GROUP BY customer_id
"""
_NEW = f"SELECT first - {_EPOCH}, count(*) FROM ({_FIRSTS}) GROUP BY 1"
_AGAIN = f"""
WITH firsts AS ({_FIRSTS}), days AS (
    SELECT DISTINCT customer_id, {_DAY} AS day FROM transactions
    WHERE amount > 0 AND event_time < $until AND ingested_at <= $until
)
SELECT day - {_EPOCH}, count(*) FROM days JOIN firsts USING (customer_id) WHERE day > first GROUP BY 1
"""
# A cohort is known for so many months that its last possible customer has been there for; the newest come first.
_COHORTS = f"""
WITH firsts AS ({_FIRSTS})
SELECT
    CAST(date_trunc('month', first) AS DATE) AS month, count(*) AS customers,
    date_diff('month', month, {_EPOCH} + CAST($end AS INTEGER)) - 1 AS known
FROM firsts GROUP BY month HAVING known >= 0 AND customers >= $fewest ORDER BY month DESC LIMIT $most
"""
# Spend on the first day is of month 0, that of the month which then begins of month 1.
_SPEND = f"""
WITH firsts AS ({_FIRSTS}), lines AS (
    SELECT customer_id, amount, {_DAY} AS day FROM transactions WHERE event_time < $as_of AND ingested_at <= $as_of
)
SELECT
    CAST(date_trunc('month', first) AS DATE) AS cohort,
    CASE WHEN day = first THEN 0 ELSE 1 + datesub('month', first, day) END AS month, CAST(sum(amount) AS DOUBLE)
FROM lines JOIN firsts USING (customer_id) WHERE day >= first GROUP BY cohort, month
"""


@dataclass(frozen=True, slots=True)
class WeeklyPurchases:
    """Purchase days of the customers with a purchase known at a moment, before it and after it.

    Attributes:
        as_of: the moment; a week begins with the first day that was wholly unknown then.
        weeks: first day of each, of the project's time zone, as a midnight in UTC; rising, all over.
        repeats: purchase days in each week, the first one of each customer left out, shape (weeks,).
        firsts: first purchase days on each day of all weeks, as known at ``as_of``, shape (7 x weeks,).
    """

    as_of: datetime
    weeks: pd.DatetimeIndex
    repeats: Floats
    firsts: Floats


@dataclass(frozen=True, slots=True)
class Cohort:
    """The customers whose first purchase lies in one month.

    Attributes:
        month: its first day.
        customers: how many they are.
        spend: net, of one of them on average, until so many months after the first purchase; the first figure is of
            the first day, the last of the last month that is over for all of them; in the project's currency.
    """

    month: date
    customers: int
    spend: Floats


def weekly_purchases(profiles: Profiles, as_of: datetime, until: datetime) -> WeeklyPurchases:
    """Count purchases from the first transaction to ``until`` by week.

    Args:
        as_of: whose purchases: only customers and first purchase days known then count.
        until: the moment, not before ``as_of``, up to which purchase days are counted; a last week not over then is
            left out.

    Raises:
        NotEnoughDataError: no purchase is known at ``as_of``.
    """
    asked = {"zone": profiles.timezone, "as_of": naive(as_of)}
    new, again = _counts(profiles, _NEW, asked), _counts(profiles, _AGAIN, asked | {"until": naive(until)})
    if not new.size:
        raise NotEnoughDataError(
            f"No purchase is known at {as_of:%Y-%m-%d}.", where="transactions", fix="Name a later date."
        )
    turn = last_day(as_of, profiles.timezone) + 1
    start = turn - WEEK * -(-(turn - int(new[:, 0].min())) // WEEK)
    days = (_today(until, profiles.timezone) - start) // WEEK * WEEK
    by_day = _by_day(again, start, days)
    weeks = pd.to_datetime(np.arange(start, start + days, WEEK), unit="D", utc=True)
    return WeeklyPurchases(as_of, weeks, by_day.reshape(-1, WEEK).sum(axis=1), _by_day(new, start, days))


def cohort_spend(profiles: Profiles, as_of: datetime) -> list[Cohort]:
    """The newest cohorts of at least 20 customers whose month is over at ``as_of``, oldest first; 8 at most."""
    asked = {"zone": profiles.timezone, "as_of": naive(as_of)}
    chosen = {"end": _today(as_of, profiles.timezone), "fewest": FEWEST_CUSTOMERS, "most": MOST_COHORTS}
    cursor = profiles.connection.cursor()
    cohorts = cursor.execute(_COHORTS, asked | chosen).fetchall()
    spent = {(cohort, month): total for cohort, month, total in cursor.execute(_SPEND, asked).fetchall()}
    return [
        Cohort(first, customers, np.cumsum([spent.get((first, month), 0.0) for month in range(known + 1)]) / customers)
        for first, customers, known in reversed(cohorts)
    ]


def _today(moment: datetime, timezone: str) -> int:
    """The first local day that is not over at a moment, as days since 1970."""
    return last_day(moment + timedelta(microseconds=1), timezone)


def _counts(profiles: Profiles, sql: str, asked: Mapping[str, object]) -> np.ndarray:
    """Days since 1970 and how many there are of each, shape (days, 2)."""
    return np.array(profiles.connection.cursor().execute(sql, asked).fetchall(), dtype=int).reshape(-1, 2)


def _by_day(counts: np.ndarray, start: int, days: int) -> Floats:
    """How many there are on each of ``days`` days from ``start`` on."""
    found = np.zeros(days + 1)
    # What comes after the last week is put beside the days.
    found[np.minimum(counts[:, 0] - start, days)] = counts[:, 1]
    return found[:-1]
