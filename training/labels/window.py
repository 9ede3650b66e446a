"""The stretch of time a label looks at, and what may be known of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import pandas as pd

from features.contract.profiles import Profiles
from kernel.errors import NotEnoughDataError


@dataclass(frozen=True, slots=True)
class LabelWindow:
    """Events from ``gap_days`` after the cut-off on, for ``length_days``; the end is exclusive."""

    length_days: int
    gap_days: int = 0

    def start(self, cutoff: datetime) -> datetime:
        """First moment of the window."""
        return cutoff + timedelta(days=self.gap_days)

    def end(self, cutoff: datetime) -> datetime:
        """First moment after the window."""
        return self.start(cutoff) + timedelta(days=self.length_days)

    def is_ripe(self, cutoff: datetime, known_at: datetime) -> bool:
        """True when the whole window lies in what is known."""
        return self.end(cutoff) <= known_at


def future_rows(
    profiles: Profiles, aggregate: str, cutoff: datetime, window: LabelWindow, known_at: datetime
) -> pd.Series:
    """One aggregate of each customer's order lines in the label window, as known at ``known_at``.

    Args:
        aggregate: a SQL aggregate over transactions, written by a label definition.

    Returns:
        float64, index customer_id; customers without lines in the window are absent.

    Raises:
        NotEnoughDataError: the window is not over yet; an immature label never counts as zero.
    """
    if not window.is_ripe(cutoff, known_at):
        raise NotEnoughDataError(
            f"The label window of {cutoff:%Y-%m-%d} ends on {window.end(cutoff):%Y-%m-%d}, after {known_at:%Y-%m-%d}.",
            where="label",
            fix="Use an earlier cut-off, a shorter horizon or newer data.",
        )
    moments = {"start": window.start(cutoff), "end": window.end(cutoff), "known_at": known_at}
    rows = (
        profiles.connection.cursor()
        .execute(
            f"SELECT customer_id, CAST({aggregate} AS DOUBLE) FROM transactions "
            "WHERE event_time >= $start AND event_time < $end AND ingested_at <= $known_at GROUP BY ALL",
            {name: moment.replace(tzinfo=None) for name, moment in moments.items()},
        )
        .fetchall()
    )
    return pd.Series({row[0]: row[1] for row in rows}, dtype="float64", name="label")
