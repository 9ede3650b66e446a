"""Are there enough customers, and enough of both outcomes; how many more are needed."""

from __future__ import annotations

from collections.abc import Iterable

from features.contract.findings import Finding, State
from features.usability.data import Data
from features.usability.rules import Rule, share

_LEAST_CUSTOMERS = 500
_GOOD_CUSTOMERS = 1_000
_LEAST_REPEATED = 0.50
_LEAST_OUTCOMES = 100

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


RULES = (
    FEW_CUSTOMERS,
    THIN_CUSTOMERS,
    REPEATED,
    CHURNERS,
    BUYERS,
    SUBSCRIBERS,
)
CHECKS = (
    customers,
    outcomes,
    subscribers,
)
