"""Is there enough data: days, customers, positives, filled columns. Says how much more is needed."""

from __future__ import annotations

import re
from collections.abc import Iterable

from features.contract.findings import Finding, State
from features.contract.sources import quoted
from features.contract.tables import TABLES
from features.usability.data import Data
from features.usability.rules import Rule, share

_LEAST_CUSTOMERS = 500
_GOOD_CUSTOMERS = 1_000
_MOST_MISSING = 0.20
_LEAST_REPEATED = 0.50
_LEAST_OUTCOMES = 100
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
FEW_CUSTOMERS = Rule(
    "U103",
    "too few customers",
    "train",
    State.ERROR,
    "customers",
    "customer_id",
    "500 customers with a transaction",
    "Below it, a back-test cannot tell a good model from chance.",
    "Bring customers of more shops or channels, or a longer history.",
)
THIN_CUSTOMERS = Rule(
    "U104",
    "few customers",
    "train",
    State.WARNING,
    "customers",
    "customer_id",
    "1,000 customers with a transaction",
    "Models train, but their intervals are wide.",
    "Bring more customers where you can.",
)
MISSING_REQUIRED = Rule(
    "U105",
    "required values missing in many rows",
    "read",
    State.WARNING,
    "",
    "",
    "less than 20% missing",
    "Rows without a required value count nowhere (D101); where they are many, what remains is another shop.",
    "Find out why they are missing. Where guests buy without an account, know that totals leave them out.",
)
MISSING_OPTIONAL = Rule(
    "U106",
    "mapped values missing in many rows",
    "train",
    State.WARNING,
    "",
    "",
    "less than 20% missing",
    "What is missing is often not missing by chance: the model learns who filled the form.",
    "Fill the column, or leave it out of the mapping.",
)
REPEATED = Rule(
    "U107",
    "few customers with two transactions",
    "train",
    State.WARNING,
    "transactions",
    "transaction_id",
    "half of the customers with at least 2 transactions",
    "A customer with one purchase has no rhythm; churn and value of such customers are nearly guesses.",
    "Bring a longer history, and check that purchases of one customer carry one customer_id.",
)
CHURNERS = Rule(
    "U108",
    "few churners",
    "train",
    State.WARNING,
    "transactions",
    "customer_id",
    "100 customers who churned in the newest window",
    "A model learns from the rarer outcome; calibration needs it as well.",
    "Choose a shorter horizon_days, or longer active_days, or bring more customers.",
)
BUYERS = Rule(
    "U109",
    "few returning buyers",
    "train",
    State.WARNING,
    "transactions",
    "customer_id",
    "100 customers who bought again in the newest window",
    "A model learns from the rarer outcome, and the value of a window needs buyers in it.",
    "Choose a longer horizon_days, bring more customers, or check that the newest days are complete (U203).",
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
SUBSCRIBERS = Rule(
    "U111",
    "few activities of subscribers",
    "train",
    State.WARNING,
    "activities",
    "customer_id",
    "half of the subscribers with at least 2 activities",
    "Between renewals, activities are all that shows whether a subscription is used.",
    "Map logins, visits, support cases or payments as activities.",
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


def customers(data: Data) -> Iterable[Finding]:
    """U103, U104, U107: how many customers, and how many of them came back."""
    total, repeated = data.row("SELECT count(*), count(*) FILTER (repeated) FROM usability_buyers")
    needed = _LEAST_CUSTOMERS if total < _LEAST_CUSTOMERS else _GOOD_CUSTOMERS
    if total < needed:
        rule = FEW_CUSTOMERS if needed == _LEAST_CUSTOMERS else THIN_CUSTOMERS
        yield rule.finding(
            f"{total:,} customers have a transaction; {needed - total:,} more customers are needed.",
            required=f"{needed:,} customers",
            actual=f"{total:,} customers",
        )
    if total and repeated < _LEAST_REPEATED * total:
        wanted = -(-total // 2)
        yield REPEATED.finding(
            f"{repeated:,} customers have at least two transactions; {wanted - repeated:,} more of the {total:,} would "
            "need a second one.",
            required=f"{wanted:,} customers (50%)",
            actual=share(repeated, total, "customers"),
        )


def outcomes(data: Data) -> Iterable[Finding]:
    """U108 and U109: both outcomes of the newest complete label window."""
    active, churned = data.row(
        "SELECT count(*) FILTER (active), count(*) FILTER (active AND churned) FROM usability_buyers"
    )
    window = f"in the {data.settings.churn.horizon_days:,} days from {data.label_start:%Y-%m-%d}"
    for rule, number, word, unit in (
        (CHURNERS, churned, "bought nothing", "churners"),
        (BUYERS, active - churned, "bought again", "buyers"),
    ):
        if number < _LEAST_OUTCOMES:
            yield rule.finding(
                f"Of {active:,} active customers {number:,} {word} {window}; {_LEAST_OUTCOMES - number:,} more "
                f"{unit} are needed.",
                required=f"{_LEAST_OUTCOMES:,} {unit}",
                actual=f"{number:,} {unit}",
            )


def missing_required(data: Data) -> Iterable[Finding]:
    """U105: the rows are gone by now; the contract counted them."""
    for one in data.profiles.findings:
        counted = re.match(r"([\d,]+) of ([\d,]+) rows", one.actual)
        if one.code != "D101" or counted is None:
            continue
        rows, total = (int(figure.replace(",", "")) for figure in counted.groups())
        if rows >= _MOST_MISSING * total:
            yield MISSING_REQUIRED.finding(
                f"{rows / total:.1%} of the rows have no {one.column} and count nowhere; with "
                f"{rows - int(_MOST_MISSING * total) + 1:,} of them filled it would be less than 20%.",
                required="less than 20.0% of the rows",
                actual=share(rows, total, "rows"),
                table=one.table,
                column=one.column,
            )


# Missing says something else here: a contract is open, an activity has no number.
_MAY_BE_MISSING = frozenset({"end_date", "value", "detail", "sentiment", "consent", "account_id", "line_id"})


def missing_optional(data: Data) -> Iterable[Finding]:
    """U106: each mapped column and attribute that need not be filled."""
    for name, table in TABLES.items():
        mapped = data.profiles.mapped.get(name, frozenset())
        columns = [
            column.name
            for column in table.columns
            # A missing value takes the default while the tables are read: such a column has no gaps left.
            if column.name in mapped
            and not column.required
            and column.default == "NULL"
            and column.name not in _MAY_BE_MISSING
        ]
        columns += data.profiles.attributes if name == "customers" else []
        if not columns:
            continue
        kept = "{seen}" if table.timed else "consent IS NOT FALSE"
        counts = ", ".join(f"count({quoted(column)})" for column in columns)
        total, *filled = data.row(f"SELECT count(*), {counts} FROM {name} WHERE {kept}")
        for column, present in zip(columns, filled, strict=True):
            if total and total - present >= _MOST_MISSING * total:
                unit = "rows" if table.timed else "customers"
                yield MISSING_OPTIONAL.finding(
                    f"{total - present:,} {unit} have no {column}; with "
                    f"{total - present - int(_MOST_MISSING * total) + 1:,} of them filled it would be less than 20%.",
                    required=f"less than 20.0% of the {unit}",
                    actual=share(total - present, total, unit),
                    table=name,
                    column=column,
                )


def subscribers(data: Data) -> Iterable[Finding]:
    """U111, where there are subscriptions."""
    total, enough = data.row(
        "SELECT count(*), count(*) FILTER (n >= 2) FROM "
        "(SELECT DISTINCT customer_id FROM subscriptions WHERE {seen}) LEFT JOIN "
        "(SELECT customer_id, count(*) AS n FROM activities WHERE {seen} GROUP BY customer_id) USING (customer_id)"
    )
    if enough < _LEAST_REPEATED * total:
        wanted = -(-total // 2)
        yield SUBSCRIBERS.finding(
            f"{enough:,} subscribers have at least two activities; {wanted - enough:,} more would need them.",
            required=f"{wanted:,} subscribers (50%)",
            actual=share(enough, total, "subscribers"),
        )


def _days(data: Data) -> int:
    return int(data.row("SELECT coalesce(date_diff('day', min(day), max(day)) + 1, 0) FROM usability_days")[0])


RULES = (
    HISTORY,
    DAYS_NEEDED,
    FEW_CUSTOMERS,
    THIN_CUSTOMERS,
    MISSING_REQUIRED,
    MISSING_OPTIONAL,
    REPEATED,
    CHURNERS,
    BUYERS,
    VALUE_HISTORY,
    SUBSCRIBERS,
)
CHECKS = (history, customers, outcomes, missing_required, missing_optional, subscribers)
