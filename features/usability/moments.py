"""Are moments what they seem: rows that came late, dates without a time."""

from __future__ import annotations

from collections.abc import Iterable

from features.contract.findings import Finding, State
from features.contract.sources import literal
from features.contract.tables import TABLES
from features.usability.data import Data
from features.usability.rules import Rule, share

_LATE_DAYS = 7
_LATE_SHARE = 0.01
_LEAST_ROWS = 100

LATE = Rule(
    "U201",
    "late rows",
    "train",
    State.WARNING,
    "",
    "ingested_at",
    "less than 1% of the rows known more than 7 days after they happened",
    "What came late was not known at the moment of a score. Back-tests allow for it, and scores are that much blinder.",
    "Find out which source delivers late. Where ingested_at is the date of one import, leave it out of the mapping.",
)
DATES_ONLY = Rule(
    "U205",
    "dates without a time",
    "train",
    State.RECOMMENDATION,
    "",
    "event_time",
    "a time of day",
    "Hours tell nothing then, and the order of one day's rows is not known.",
    "Map the time of day where the source has it.",
)


def late(data: Data) -> Iterable[Finding]:
    """U201, where the moment of knowledge is mapped."""
    for name, table in TABLES.items():
        if not table.timed or "ingested_at" not in data.profiles.mapped.get(name, ()):
            continue
        slow = f"ingested_at > event_time + INTERVAL {_LATE_DAYS} DAY"
        days = "epoch(ingested_at - event_time) / 86400"
        total, rows, median, longest = data.row(
            f"SELECT count(*), count(*) FILTER ({slow}), median({days}) FILTER ({slow}), max({days}) "
            f"FROM {name} WHERE {{seen}}"
        )
        if rows and rows >= _LATE_SHARE * total:
            yield LATE.finding(
                f"{rows:,} rows were known more than {_LATE_DAYS} days after they happened: {median:,.1f} days at the "
                f"median of these, {longest:,.1f} days at most.",
                required="less than 1.0% of the rows",
                actual=share(rows, total, "rows"),
                table=name,
            )


def dates_only(data: Data) -> Iterable[Finding]:
    """U205, for each table of moments."""
    for name, table in TABLES.items():
        if not table.timed or name == "subscriptions":  # contracts are of days
            continue
        total, timed = rows_with_a_time(data, name)
        if total >= _LEAST_ROWS and not timed:
            yield DATES_ONLY.finding(
                f"All {total:,} rows are of midnight: the column holds dates.",
                actual=share(total, total, "rows at midnight"),
                table=name,
            )


def rows_with_a_time(data: Data, table: str) -> tuple[int, int]:
    """Rows of a table, and those of another time than midnight (local, or UTC where a source has no zone)."""
    zone = literal(data.profiles.timezone)
    total, timed = data.row(
        "SELECT coalesce(sum(n), 0), coalesce(sum(n) FILTER (odd OR (CAST(moment AS TIME) <> TIME '00:00' AND "
        f"CAST(timezone({zone}, timezone('UTC', moment)) AS TIME) <> TIME '00:00')), 0) FROM "
        "(SELECT moment, event_time <> moment AS odd, count(*) AS n FROM (SELECT event_time, "
        f"time_bucket(INTERVAL 15 minutes, event_time) AS moment FROM {table} WHERE {{seen}}) GROUP BY 1, 2)"
    )
    return int(total), int(timed)


RULES = (LATE, DATES_ONLY)
CHECKS = (late, dates_only)
