"""The stretch of time a label looks at, and what may be known of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import pandas as pd

from features.contract.profiles import Profiles
from kernel.errors import NotEnoughDataError


@dataclass(frozen=True, slots=True)
class LabelWindow:
    """Events from ``gap_days`` after the cut-off on, for ``length_days``; the end is exclusive. What they mean is
    certain ``maturity_days`` later."""

    length_days: int
    gap_days: int = 0
    maturity_days: int = 0

    def start(self, cutoff: datetime) -> datetime:
        """First moment of the window."""
        return cutoff + timedelta(days=self.gap_days)

    def end(self, cutoff: datetime) -> datetime:
        """First moment after the window."""
        return self.start(cutoff) + timedelta(days=self.length_days)

    def certain(self, cutoff: datetime) -> datetime:
        """First moment at which the outcome is certain."""
        return self.end(cutoff) + timedelta(days=self.maturity_days)

    @property
    def days(self) -> int:
        """From the cut-off until the outcome is certain."""
        return self.gap_days + self.length_days + self.maturity_days

    def is_ripe(self, cutoff: datetime, known_at: datetime) -> bool:
        """True when the whole window, and what it takes to be certain, lies in what is known."""
        return self.certain(cutoff) <= known_at

    def check_ripe(self, cutoff: datetime, known_at: datetime) -> None:
        """Raise NotEnoughDataError when it is not: an immature label never counts as zero."""
        if not self.is_ripe(cutoff, known_at):
            raise NotEnoughDataError(
                f"What the label window of {cutoff:%Y-%m-%d} brings is certain on {self.certain(cutoff):%Y-%m-%d}, "
                f"after {known_at:%Y-%m-%d}.",
                where="label",
                fix="Use an earlier cut-off, a shorter horizon or newer data.",
            )


def future_rows(
    profiles: Profiles,
    aggregate: str,
    cutoff: datetime,
    window: LabelWindow,
    known_at: datetime,
    *,
    table: str = "transactions",
) -> pd.Series:
    """One aggregate of each customer's events in the label window, as known at ``known_at``.

    Args:
        aggregate: a SQL aggregate over the table, written by a label definition.
        table: of events.

    Returns:
        float64, index customer_id; customers without rows in the window are absent.

    Raises:
        NotEnoughDataError: the window is not over yet.
    """
    window.check_ripe(cutoff, known_at)
    moments = {"start": window.start(cutoff), "end": window.end(cutoff), "known_at": known_at}
    rows = (
        profiles.connection.cursor()
        .execute(
            f"SELECT customer_id, CAST({aggregate} AS DOUBLE) FROM {table} "
            "WHERE event_time >= $start AND event_time < $end AND ingested_at <= $known_at GROUP BY ALL",
            {name: moment.replace(tzinfo=None) for name, moment in moments.items()},
        )
        .fetchall()
    )
    return pd.Series({row[0]: row[1] for row in rows}, dtype="float64", name="label")
