"""Is the history long enough, and how many more days are needed."""

from __future__ import annotations

from collections.abc import Iterable

from features.contract.findings import Finding, State
from features.usability.data import Data
from features.usability.rules import Rule

_LEAST_LOOK_BACK_DAYS = 30
_A_YEAR = 365

HISTORY = Rule(
    "U101",
    "history shorter than two windows",
    "train",
    State.ERROR,
    "transactions",
    "event_time",
    "2 x the prediction window",
    "A label window must follow a history at least as long; with less, models repeat one moment of the year.",
    "Bring older transactions, wait so many days, or choose a shorter horizon_days.",
)
DAYS_NEEDED = Rule(
    "U102",
    "too few days for look-back and window",
    "train",
    State.ERROR,
    "transactions",
    "event_time",
    "max(30 days, look-back) + the prediction window; look-back = the larger of history_days and active_days",
    "The first cut-off needs its look-back before it and its window after it.",
    "Bring older transactions, wait so many days, or lower history_days, active_days or horizon_days.",
)
VALUE_HISTORY = Rule(
    "U110",
    "short history for lifetime value",
    "train",
    State.RECOMMENDATION,
    "transactions",
    "event_time",
    "the larger of 365 days and 1.5 x value.horizon_days",
    "Less than a year does not show the season; a long horizon needs half as much again.",
    "Bring older transactions where you have them.",
)


def history(data: Data) -> Iterable[Finding]:
    """U101 and U110 speak of the same days."""
    have, window = _days(data), data.window_days
    if have < 2 * window:
        yield HISTORY.finding(
            f"The history has {have:,} days; {2 * window - have:,} more days are needed for a window of "
            f"{window:,} days.",
            required=f"{2 * window:,} days",
            actual=f"{have:,} days",
        )
    needed = max(_LEAST_LOOK_BACK_DAYS, data.look_back_days) + window
    if have < needed:
        yield DAYS_NEEDED.finding(
            f"The history has {have:,} days; {needed - have:,} more days are needed for a look-back of "
            f"{needed - window:,} days and a window of {window:,} days.",
            required=f"{needed:,} days",
            actual=f"{have:,} days",
        )
    horizon = data.settings.value.horizon_days
    wanted = max(_A_YEAR, -(-3 * horizon // 2))
    if have < wanted:
        yield VALUE_HISTORY.finding(
            f"The history has {have:,} days; {wanted - have:,} more days would show a whole year and one and a half "
            f"value horizons of {horizon:,} days.",
            required=f"{wanted:,} days",
            actual=f"{have:,} days",
        )


def _days(data: Data) -> int:
    return int(data.row("SELECT coalesce(date_diff('day', min(day), max(day)) + 1, 0) FROM usability_days")[0])


RULES = (
    HISTORY,
    DAYS_NEEDED,
    VALUE_HISTORY,
)
CHECKS = (history,)
