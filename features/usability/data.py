"""What the checks look at: the tables up to a moment, and two small tables that most checks share.

The shared tables (one row a buyer, one row a local day) are each one pass over the transactions, so that a check that
reads them costs next to nothing on any number of rows. They are temporary: only this cursor sees them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import duckdb

from features.contract.checks import naive
from features.contract.profiles import Profiles
from features.contract.sources import literal
from kernel.settings import Settings


@dataclass(frozen=True)
class Data:
    """The tables of a project as of a moment.

    Attributes:
        as_of: UTC, naive; rows of this moment and later are not looked at.
        cursor: sees the semantic tables, and ``usability_buyers`` and ``usability_days``.
    """

    profiles: Profiles
    settings: Settings
    as_of: datetime
    cursor: duckdb.DuckDBPyConnection

    @classmethod
    def open(cls, profiles: Profiles, settings: Settings, as_of: datetime) -> Data:
        """Prepare the shared tables."""
        data = cls(profiles, settings, naive(as_of), profiles.connection.cursor())
        data.cursor.execute(_BUYERS.format(**data._moments()))
        data.cursor.execute(_DAYS.format(**data._moments(), zone=literal(profiles.timezone)))
        return data

    @property
    def window_days(self) -> int:
        """The longest prediction window."""
        return max(self.settings.churn.horizon_days, self.settings.value.horizon_days)

    @property
    def look_back_days(self) -> int:
        """History that a customer's features and the cohort of churn need before a cut-off."""
        return max(self.settings.training.history_days, self.settings.churn.active_days)

    @property
    def label_start(self) -> datetime:
        """Where the newest complete label window begins."""
        return self.as_of - timedelta(days=self.settings.churn.horizon_days)

    @property
    def text_attributes(self) -> list[str]:
        """Customer attributes that are words."""
        return [name for name, kind in self.profiles.attributes.items() if kind == "string"]

    @property
    def number_attributes(self) -> list[str]:
        """Customer attributes that are numbers."""
        return [name for name, kind in self.profiles.attributes.items() if kind != "string"]

    def row(self, sql: str) -> tuple[Any, ...]:
        """The one row that a query gives; ``{seen}`` in it: the row is of a moment before ``as_of``."""
        found = self.cursor.execute(sql.replace("{seen}", self.seen)).fetchone()
        assert found is not None
        return found

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """All rows of a query whose result is a few lines, such as one per column."""
        return self.cursor.execute(sql.replace("{seen}", self.seen)).fetchall()

    @property
    def seen(self) -> str:
        """SQL: the row's moment lies before ``as_of``."""
        return f"event_time < TIMESTAMP '{self.as_of}'"

    def _moments(self) -> dict[str, str]:
        active = self.label_start - timedelta(days=self.settings.churn.active_days)
        return {
            "seen": self.seen,
            "start": f"TIMESTAMP '{self.label_start}'",
            "active": f"TIMESTAMP '{active}'",
        }


# The label of churn: no purchase in the horizon_days before as_of, among those with a purchase in the active_days
# before these. It is computed here and not in training/labels, because training imports features and not the other way
# round; tests/unit/test_usability_leaks.py compares both.
_BUYERS = """
CREATE TEMP TABLE usability_buyers AS SELECT
    customer_id,
    count(*) AS lines,
    sum(amount) AS spend,
    min(hash(transaction_id)) <> max(hash(transaction_id)) AS repeated,
    min(event_time) AS first_at,
    max(event_time) AS last_at,
    coalesce(bool_or(amount > 0 AND event_time >= {active} AND event_time < {start}), FALSE) AS active,
    NOT coalesce(bool_or(amount > 0 AND event_time >= {start}), FALSE) AS churned
FROM transactions SEMI JOIN customers USING (customer_id) WHERE {seen} GROUP BY customer_id
"""
# Offsets are whole quarters of an hour, so that one moment stands for all of its quarter: a zone is dear to ask.
_DAYS = """
CREATE TEMP TABLE usability_days AS SELECT
    CAST(timezone({zone}, timezone('UTC', moment)) AS DATE) AS day, CAST(sum(n) AS BIGINT) AS n
FROM (
    SELECT time_bucket(INTERVAL 15 minutes, event_time) AS moment, count(*) AS n
    FROM transactions WHERE {seen} GROUP BY 1
) GROUP BY 1
"""
