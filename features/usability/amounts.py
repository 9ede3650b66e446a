"""Is money what it seems: amounts of 0, amounts above all others, customers who returned more than they bought."""

from __future__ import annotations

from collections.abc import Iterable

from features.contract.findings import Finding, State
from features.usability.data import Data
from features.usability.rules import Rule, share

_ZERO_SHARE = 0.05
_NEGATIVE_SHARE = 0.005
_TIMES_THE_USUAL = 100

ZERO_AMOUNTS = Rule(
    "U304",
    "rows without an amount",
    "train",
    State.WARNING,
    "transactions",
    "amount",
    "less than 5% of the rows with amount 0",
    "Free samples, corrections and failed conversions count as purchases otherwise.",
    "Leave these rows out in 'from', or write zero_orders = \"drop\" under [policies].",
)
NEGATIVE_CUSTOMERS = Rule(
    "U305",
    "customers who returned more than they bought",
    "train",
    State.WARNING,
    "transactions",
    "amount",
    "less than 0.5% of the customers with a net spend below 0",
    "Their purchases lie before the history begins, or purchase and return carry different ids.",
    "Bring the older purchases, or leave returns out whose purchase is not there.",
)
EXTREME_AMOUNTS = Rule(
    "U306",
    "extreme amounts",
    "train",
    State.WARNING,
    "transactions",
    "amount",
    "no amount above 100 times the 99th percentile",
    "A wrong decimal point or a typing error outweighs thousands of customers.",
    "Look at the largest amounts; correct them, or leave them out together with their cancellation.",
)


def amounts(data: Data) -> Iterable[Finding]:
    """U304 and U306: amounts of 0, and amounts far above all others."""
    total, zero = data.row("SELECT count(*), count(*) FILTER (amount = 0) FROM transactions WHERE {seen}")
    if zero and zero >= _ZERO_SHARE * total:
        yield ZERO_AMOUNTS.finding(
            f"{zero:,} rows have an amount of 0.",
            required="less than 5.0% of the rows",
            actual=share(zero, total, "rows"),
        )
    # Amounts are grouped first: an exact quantile, the same in every run, and no more memory than there are prices.
    usual, extreme, most = data.row(
        "WITH prices AS (SELECT amount, count(*) AS n FROM transactions WHERE {seen} GROUP BY 1), "
        "paid AS (SELECT amount, sum(n) OVER (ORDER BY amount) AS up_to, sum(n) OVER () AS total "
        "FROM prices WHERE amount > 0), "
        "usual AS (SELECT min(amount) AS p99 FROM paid WHERE up_to >= 0.99 * total) "
        f"SELECT any_value(p99), coalesce(sum(n) FILTER (abs(amount) > {_TIMES_THE_USUAL} * p99), 0), max(abs(amount)) "
        "FROM prices, usual"
    )
    if extreme:
        currency = data.settings.project.currency
        yield EXTREME_AMOUNTS.finding(
            f"{extreme:,} rows are above {_TIMES_THE_USUAL} times the 99th percentile of {usual:,.2f} {currency}; the "
            f"largest is {most / usual:,.0f} times it.",
            required=f"at most {_TIMES_THE_USUAL * usual:,.2f} {currency}",
            actual=f"{extreme:,} rows, at most {most:,.2f} {currency}",
        )


def negative(data: Data) -> Iterable[Finding]:
    """U305."""
    total, below = data.row("SELECT count(*), count(*) FILTER (spend < 0) FROM usability_buyers")
    if below and below >= _NEGATIVE_SHARE * total:
        yield NEGATIVE_CUSTOMERS.finding(
            f"{below:,} customers have a net spend below 0.",
            required="less than 0.5% of the customers",
            actual=share(below, total, "customers"),
        )


RULES = (ZERO_AMOUNTS, NEGATIVE_CUSTOMERS, EXTREME_AMOUNTS)
CHECKS = (amounts, negative)
