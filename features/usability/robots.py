"""Is every customer a person: test accounts, cash desks, robots."""

from __future__ import annotations

from collections.abc import Iterable

from features.contract.findings import Finding, State
from features.contract.sources import literal, quoted
from features.usability.data import Data
from features.usability.moments import rows_with_a_time
from features.usability.rules import Rule, share

# Whole words only: "contest" and "Testa" are no test. "qa" must be tied to something: alone it is Qatar.
_TEST_WORDS = r"(^|[^a-z])(test|tests|testing|tester|testuser|dummy|example|fake)([^a-z]|$)|(^|[^a-z])qa[_\-.@0-9]"
_MOST_TESTS = 0.05  # above, it is a column of test and control groups
_ORDERS_AN_HOUR = 60
_ORDERS_A_DAY = 200
_LEAST_REGULAR = 20
_AT_ONE_SECOND = 20

TEST_CUSTOMERS = Rule(
    "U501",
    "test customers",
    "read",
    State.WARNING,
    "customers",
    "",
    "no id or attribute with a word such as test, dummy, example, fake or qa_",
    "Test accounts buy when the shop is tested; they are in every mean, and get real recommendations.",
    "Leave them out in 'from'; the finding does not name them.",
)
INHUMAN_RATE = Rule(
    "U502",
    "more orders than a person can make",
    "read",
    State.WARNING,
    "transactions",
    "customer_id",
    "fewer than 60 orders in an hour and fewer than 200 in a day from one customer",
    "A robot, a cash desk or a shared account: its rhythm is nobody's.",
    "Leave these ids out of customers, or map the person instead of the desk.",
)
REGULAR = Rule(
    "U503",
    "perfectly regular purchases",
    "read",
    State.WARNING,
    "transactions",
    "event_time",
    "fewer than 20 purchases in a row at exactly the same distance, to the second",
    "A scheduled job, and no decision of a customer: it never churns until it is switched off.",
    "Map standing orders as subscriptions, and leave monitoring accounts out.",
)
ONE_SECOND = Rule(
    "U504",
    "activities at one second",
    "read",
    State.WARNING,
    "activities",
    "event_time",
    "fewer than 20 activities of one customer in the same second",
    "Link scanners of mail programs open and click everything at once; that is no interest.",
    "Leave such activities out in 'from', or map the moment of the activity instead of the moment of an import.",
)


def test_customers(data: Data) -> Iterable[Finding]:
    """U501: the id, the account and every word that is mapped."""
    columns = ["customer_id", "account_id", *data.text_attributes]
    parts = ", ".join(
        f"count({q}), count(*) FILTER (regexp_matches(lower({q}), {literal(_TEST_WORDS)}))"
        for q in map(quoted, columns)
    )
    total, *figures = data.row(f"SELECT count(*), {parts} FROM customers")
    for column, _, tests in zip(columns, figures[::2], figures[1::2], strict=True):
        if tests and tests <= max(1, _MOST_TESTS * total):
            yield TEST_CUSTOMERS.finding(
                f"{tests:,} customers have a {column} with a word such as test or dummy.",
                required="0 customers",
                actual=share(tests, total, "customers"),
                column=column,
            )


def inhuman_rate(data: Data) -> Iterable[Finding]:
    """U502. Dates without a time make no hours."""
    busy = f"SELECT customer_id FROM usability_buyers WHERE lines >= {_ORDERS_AN_HOUR}"
    timed = "event_time <> date_trunc('day', event_time)"
    customers, most, in_hours = data.row(
        "WITH hours AS (SELECT customer_id, date_trunc('hour', event_time) AS hour, "
        f"count(DISTINCT transaction_id) FILTER ({timed}) AS in_hour, count(DISTINCT transaction_id) AS n "
        f"FROM transactions WHERE {{seen}} AND customer_id IN ({busy}) GROUP BY 1, 2), "
        "days AS (SELECT customer_id, max(in_hour) AS in_hour, sum(n) AS in_day FROM hours "
        "GROUP BY customer_id, date_trunc('day', hour)) "
        "SELECT count(DISTINCT customer_id), coalesce(max(in_day), 0), coalesce(max(in_hour), 0) FROM days "
        f"WHERE in_hour >= {_ORDERS_AN_HOUR} OR in_day >= {_ORDERS_A_DAY}"
    )
    if customers:
        yield INHUMAN_RATE.finding(
            f"{customers:,} customers ordered up to {in_hours:,} times in an hour and {most:,} times in a day.",
            required=f"fewer than {_ORDERS_AN_HOUR} orders an hour and {_ORDERS_A_DAY} a day",
            actual=f"{customers:,} customers, up to {most:,} orders a day",
        )


def regular(data: Data) -> Iterable[Finding]:
    """U503. n different moments are evenly spaced exactly if each is a multiple of (last - first) / (n - 1) away."""
    if not rows_with_a_time(data, "transactions")[1]:
        return  # whole days are regular by their nature
    busy = f"SELECT customer_id FROM usability_buyers WHERE lines >= {_LEAST_REGULAR}"
    found, closest = data.row(
        "WITH moments AS (SELECT customer_id, epoch_us(event_time) AS moment FROM transactions "
        f"WHERE {{seen}} AND amount > 0 AND customer_id IN ({busy}) GROUP BY ALL), "
        "spans AS (SELECT customer_id, min(moment) AS first, count(*) AS n, max(moment) - min(moment) AS span "
        f"FROM moments GROUP BY 1 HAVING n >= {_LEAST_REGULAR} AND span % (n - 1) = 0), "
        "even AS (SELECT customer_id, any_value(span / (n - 1)) AS step FROM moments JOIN spans USING (customer_id) "
        "GROUP BY 1 HAVING bool_and((moment - first) % (span // (n - 1)) = 0)) "
        "SELECT count(*), min(step) / 3600e6 FROM even"
    )
    if found:
        yield REGULAR.finding(
            f"{found:,} customers bought at perfectly regular moments, the most often every {closest:,.2f} hours.",
            required="0 customers",
            actual=f"{found:,} customers with {_LEAST_REGULAR} or more such purchases",
        )


def one_second(data: Data) -> Iterable[Finding]:
    """U504. Midnight is a date without a time."""
    zone = literal(data.profiles.timezone)
    found, most = data.row(
        "WITH seconds AS (SELECT customer_id, date_trunc('second', event_time) AS second, count(*) AS n "
        f"FROM activities WHERE {{seen}} GROUP BY 1, 2 HAVING n >= {_AT_ONE_SECOND}) "
        "SELECT count(DISTINCT customer_id), coalesce(max(n), 0) FROM seconds "
        "WHERE CAST(second AS TIME) <> TIME '00:00' "
        f"AND CAST(timezone({zone}, timezone('UTC', second)) AS TIME) <> TIME '00:00'"
    )
    if found:
        yield ONE_SECOND.finding(
            f"{found:,} customers have up to {most:,} activities in one second.",
            required=f"fewer than {_AT_ONE_SECOND} activities a second",
            actual=f"{found:,} customers, up to {most:,} activities a second",
        )


RULES = (TEST_CUSTOMERS, INHUMAN_RATE, REGULAR, ONE_SECOND)
CHECKS = (test_customers, inhuman_rate, regular, one_second)
