"""The codes that features/contract gives while the tables are read, described like those of this package."""

from __future__ import annotations

from features.contract.findings import State
from features.usability.rules import Rule

_T = "transactions"
_NET = (
    "Features, labels and totals count net spend by the same policy; its effect is counted so that nobody is surprised."
)


def _read(code: str, name: str, state: State, table: str, column: str, texts: tuple[str, str, str]) -> Rule:
    return Rule(code, name, "read", state, table, column, *texts)


RULES = (
    _read(
        "D101",
        "rows without a required value",
        State.WARNING,
        "",
        "",
        (
            "0 rows",
            "They are left out of every feature, label and total.",
            "Fill the column at its source. Guests without an account can stay as they are.",
        ),
    ),
    _read(
        "D102",
        "rows of unknown customers",
        State.WARNING,
        "",
        "customer_id",
        (
            "0 rows",
            "A row whose customer is not in customers counts nowhere. Many of them mean that two keys do not fit.",
            "Bring the customers, or map the key of the same system in both tables.",
        ),
    ),
    _read(
        "D103",
        "dates in the future",
        State.WARNING,
        "",
        "event_time",
        (
            "0 rows",
            "They count only once their moment has come; most often day and month are swapped.",
            "Correct the date's format in the mapping, or leave the rows out.",
        ),
    ),
    _read(
        "P201",
        "returns",
        State.INFO,
        _T,
        "amount",
        ("", _NET, 'Nothing, or returns = "ignore" under [policies].'),
    ),
    _read(
        "P202",
        "currencies",
        State.INFO,
        _T,
        "currency",
        (
            "rates at most rates_max_age_days old",
            "Amounts are converted with the rate of their local day; a later rate never counts.",
            "Keep [tables.rates] complete.",
        ),
    ),
    _read(
        "P203",
        "orders without value",
        State.INFO,
        _T,
        "amount",
        ("", "They count as orders although nothing was paid.", 'Nothing, or zero_orders = "drop" under [policies].'),
    ),
    _read(
        "P204",
        "cancelled orders",
        State.INFO,
        _T,
        "status",
        (
            "",
            "Cancelled lines are left out; a later cancellation takes the amount back from its own moment on.",
            "Check that cancelled under [policies] names your words.",
        ),
    ),
    _read(
        "P205",
        "order lines",
        State.INFO,
        _T,
        "transaction_id",
        (
            "",
            "Rows that share a transaction_id are one order: frequency and order value follow from it.",
            'Nothing; where every row is an order, write lines = "orders" under [policies].',
        ),
    ),
    _read(
        "P206",
        "orders with several moments",
        State.INFO,
        _T,
        "event_time",
        (
            "one moment an order",
            "An order is as old as its newest line.",
            "Nothing, where parts of an order are booked later; else check the key.",
        ),
    ),
    _read(
        "P207",
        "orders of several customers",
        State.WARNING,
        _T,
        "customer_id",
        (
            "one customer an order",
            "Each customer has an order of their own lines: there are more orders than receipts.",
            "Where transaction_id repeats over shops or years, map it together with them.",
        ),
    ),
    _read(
        "P208",
        "local days",
        State.INFO,
        _T,
        "event_time",
        (
            "",
            "Features count calendar days of the project's time zone, not of UTC.",
            "Check project.timezone, and that moments without a zone are local.",
        ),
    ),
    _read(
        "P209",
        "customers without consent",
        State.INFO,
        "customers",
        "consent",
        ("", "Their history is in no feature, label or total, and they get no number.", "Nothing."),
    ),
)
