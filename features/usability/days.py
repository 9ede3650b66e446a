"""Do the days tell a steady story: gaps without any transaction, rows that stand alone at an end."""

from __future__ import annotations

from collections.abc import Iterable

from features.contract.findings import Finding, State
from features.usability.data import Data
from features.usability.rules import Rule, share

_USUAL = 0.80  # a weekday with transactions on so many of its dates is one on which the shop sells
_LEAST_GAP = 3  # such days
_LEAST_CHRISTMAS_GAP = 8
_LEAST_HISTORY = 28
_BY_CHANCE = 0.05  # gaps of this length that the shop's own rhythm would give by chance in the whole history
_STRAY_SHARE = 0.001
_STRAY_DAYS_AFTER = 14
_STRAY_DAYS_BEFORE = 180

GAPS = Rule(
    "U202",
    "days without any transaction",
    "train",
    State.WARNING,
    "transactions",
    "event_time",
    "no gap of 3 or more of the weekdays on which the shop sells (8 or more around Christmas)",
    "A tracking outage looks as if every customer had stopped to buy: labels and rhythms of those days are wrong.",
    "Load the days again. Where they are lost or the shop was closed, choose cut-offs whose windows miss them.",
)
STRAY_END = Rule(
    "U203",
    "newest rows stand alone",
    "train",
    State.WARNING,
    "transactions",
    "event_time",
    "the newest 0.1% of the rows within 14 days",
    "Windows are counted back from the newest transaction: in a window that is nearly empty everybody has churned.",
    "Correct the dates, leave these rows out, or name the end of the complete days with --as-of.",
)
STRAY_BEGIN = Rule(
    "U204",
    "oldest rows stand alone",
    "train",
    State.WARNING,
    "transactions",
    "event_time",
    "the oldest 0.1% of the rows within 180 days",
    "Dates such as 1970-01-01 stand for a missing one. They make customers old, and the history longer than it is.",
    "Correct the dates, or leave these rows out.",
)

# Per weekday, how often the shop sells on it, not counting the gap itself; then whether a gap is longer than this
# rhythm gives by chance. A closed weekend is no day on which it sells, so that it neither makes nor ends a gap.
_GAPS = f"""
WITH span AS (SELECT min(day) AS first, max(day) AS last FROM usability_days),
calendar AS (
    SELECT CAST(date AS DATE) AS day, isodow(date) AS weekday
    FROM span, LATERAL (SELECT unnest(generate_series(first, last, INTERVAL 1 DAY)) AS date)
),
marked AS (
    SELECT day, weekday, n IS NOT NULL AS sold, count(n) OVER (ORDER BY day) AS run
    FROM calendar LEFT JOIN usability_days USING (day)
),
weekdays AS (
    SELECT weekday, count(*) AS dates, count(*) FILTER (sold) AS selling FROM marked GROUP BY weekday
),
inside AS (SELECT run, weekday, count(*) AS missing FROM marked WHERE NOT sold GROUP BY run, weekday),
judged AS (
    SELECT run, missing, (selling + 1) / (dates - missing + 2) AS usual FROM inside JOIN weekdays USING (weekday)
),
unusual AS (
    SELECT run, sum(missing) AS selling_days, sum(missing * ln(1 - usual)) AS log_chance
    FROM judged WHERE usual >= {_USUAL} GROUP BY run
),
dated AS (
    SELECT run, min(day) AS first_day, max(day) AS last_day, count(*) AS days,
        bool_or(month(day) = 12 AND day(day) = 25) AS christmas
    FROM marked WHERE NOT sold GROUP BY run
),
gaps AS (
    SELECT dated.*, selling_days FROM unusual JOIN dated USING (run), span
    WHERE selling_days >= CASE WHEN christmas THEN {_LEAST_CHRISTMAS_GAP} ELSE {_LEAST_GAP} END
        AND date_diff('day', first, last) >= {_LEAST_HISTORY}
        AND exp(log_chance) * date_diff('day', first, last) < {_BY_CHANCE}
)
SELECT count(*), sum(days), max(days), arg_max(first_day, days), arg_max(last_day, days),
    (SELECT count(*) FROM calendar) FROM gaps
"""


def gaps(data: Data) -> Iterable[Finding]:
    """U202."""
    found, days, longest, first, last, calendar = data.row(_GAPS)
    if found:
        yield GAPS.finding(
            f"{_counted(found)} on days on which the shop usually sells; the longest is {longest:,} days, from {first} "
            f"to {last}.",
            required="no gap",
            actual=f"{_counted(found)}, {share(int(days), calendar, 'days')}",
        )


def _counted(found: int) -> str:
    return f"{found:,} gap{'' if found == 1 else 's'}"


_ENDS = f"""
WITH cumulative AS (
    SELECT day, sum(n) OVER (ORDER BY day) AS up_to, sum(n) OVER () AS total FROM usability_days
)
SELECT any_value(total), min(day), max(day),
    min(day) FILTER (up_to > {_STRAY_SHARE} * total), min(day) FILTER (up_to >= (1 - {_STRAY_SHARE}) * total),
    coalesce(sum(n) FILTER (up_to <= {_STRAY_SHARE} * total), 0),
    coalesce(sum(n) FILTER (up_to - n >= (1 - {_STRAY_SHARE}) * total), 0)
FROM cumulative JOIN usability_days USING (day)
"""


def ends(data: Data) -> Iterable[Finding]:
    """U203 and U204: a thousandth of the rows at one end, days away from all others."""
    total, first, last, begins, stops, before, after = data.row(_ENDS)
    if total is None:
        return
    if after and (last - stops).days > _STRAY_DAYS_AFTER:
        yield STRAY_END.finding(
            f"All but {after:,} rows lie before {stops} or on it; the newest is of {last}, "
            f"{(last - stops).days:,} days later.",
            required=f"at most {_STRAY_DAYS_AFTER} days",
            actual=f"{after:,} rows over {(last - stops).days:,} days",
        )
    if before and (begins - first).days > _STRAY_DAYS_BEFORE:
        yield STRAY_BEGIN.finding(
            f"All but {before:,} rows lie on {begins} or after it; the oldest is of {first}, "
            f"{(begins - first).days:,} days earlier.",
            required=f"at most {_STRAY_DAYS_BEFORE} days",
            actual=f"{before:,} rows over {(begins - first).days:,} days",
        )


RULES = (GAPS, STRAY_END, STRAY_BEGIN)
CHECKS = (gaps, ends)
