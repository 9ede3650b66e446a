"""Is a row one event of one customer: copies, a customer who is half of the shop, customers known too late."""

from __future__ import annotations

from collections.abc import Iterable

from features.contract.checks import sliced
from features.contract.findings import Finding, State
from features.contract.tables import TABLES
from features.usability.data import Data
from features.usability.rules import Rule, share

_LARGEST_SHARE = 0.05
_TIMES_THE_MEAN = 20
_KNOWN_LATE_SHARE = 0.05

DUPLICATES = Rule(
    "U301",
    "identical rows",
    "train",
    State.WARNING,
    "",
    "",
    "no two rows alike in every mapped column",
    "A file that was loaded twice doubles purchases and spend.",
    "Keep one of each with SELECT DISTINCT in 'from', or map the key (line_id, activity_id) that tells them apart.",
)
MANY_ROWS = Rule(
    "U302",
    "one customer with an absurd share of rows",
    "train",
    State.WARNING,
    "transactions",
    "customer_id",
    "less than 5% of the rows (in a small shop: 20 times the mean)",
    "Such an id is most often a cash desk, a default or a guest account, and no person.",
    "Leave the id out of customers; the finding does not name it, a GROUP BY customer_id does.",
)
MUCH_SPEND = Rule(
    "U303",
    "one customer with an absurd share of spend",
    "train",
    State.WARNING,
    "transactions",
    "amount",
    "less than 5% of the net spend (in a small shop: 20 times the mean)",
    "Value models follow this one customer, and every total is theirs.",
    "Leave the id out of customers where it is no person, or correct the amounts.",
)
KNOWN_LATE = Rule(
    "U307",
    "customers known only after they bought",
    "train",
    State.WARNING,
    "customers",
    "created_at",
    "less than 5% of the buyers created more than a day after their first transaction",
    "As of a date before created_at a customer does not exist: training and back-tests leave these out.",
    "Where created_at is the day of an import, leave it out, or map least(created_at, first purchase).",
)


def duplicates(data: Data) -> Iterable[Finding]:
    """U301. Rows of a table whose key is mapped are unique already."""
    for name, table in TABLES.items():
        mapped = data.profiles.mapped.get(name, frozenset())
        if not table.timed or not mapped or mapped.issuperset(table.key):
            continue
        columns = f"hash({', '.join(column.name for column in table.columns)})"
        total = int(data.row(f"SELECT count(*) FROM {name} WHERE {{seen}}")[0])
        # Short numbers instead of rows, and a part of them at a time: a fraction of the memory.
        copies = sum(
            int(
                data.row(
                    "SELECT coalesce(sum(n - 1), 0) FROM (SELECT count(*) AS n FROM "
                    f"{name} WHERE {{seen}} AND {part} GROUP BY {columns})"
                )[0]
            )
            for part in sliced(total, columns)
        )
        if copies:
            yield DUPLICATES.finding(
                f"{copies:,} rows repeat another row in every mapped column.",
                required="0 rows",
                actual=share(copies, total, "rows"),
                table=name,
            )


def largest(data: Data) -> Iterable[Finding]:
    """U302 and U303: the share of the largest customer."""
    customers, rows, most_rows, spend, most_spend, currency = (
        *data.row(
            "SELECT count(*), coalesce(sum(lines), 0), coalesce(max(lines), 0), "
            "CAST(coalesce(sum(spend) FILTER (spend > 0), 0) AS DOUBLE), CAST(coalesce(max(spend), 0) AS DOUBLE) "
            "FROM usability_buyers"
        ),
        data.settings.project.currency,
    )
    if customers < 2:
        return
    limit = max(_LARGEST_SHARE, min(0.5, _TIMES_THE_MEAN / customers))
    if most_rows > limit * rows:
        yield MANY_ROWS.finding(
            f"One of {customers:,} customers has {most_rows / rows:.1%} of all rows, "
            f"{most_rows * customers / rows:,.0f} times the mean.",
            required=f"at most {limit:.1%} of the rows",
            actual=share(most_rows, int(rows), "rows"),
        )
    if most_spend > limit * spend:
        yield MUCH_SPEND.finding(
            f"One of {customers:,} customers has {most_spend / spend:.1%} of all spend, "
            f"{most_spend * customers / spend:,.0f} times the mean.",
            required=f"at most {limit:.1%} of the spend",
            actual=f"{most_spend:,.2f} of {spend:,.2f} {currency} ({most_spend / spend:.1%})",
        )


def known_late(data: Data) -> Iterable[Finding]:
    """U307."""
    total, later, day, on_it = data.row(
        "WITH dated AS (SELECT CAST(created_at AS DATE) AS day, created_at > first_at + INTERVAL 1 DAY AS later "
        "FROM customers JOIN usability_buyers USING (customer_id) WHERE created_at IS NOT NULL), "
        "often AS (SELECT mode(day) AS usual FROM dated) "
        "SELECT count(*), count(*) FILTER (later), any_value(usual), count(*) FILTER (day = usual) FROM dated, often"
    )
    if later and later >= _KNOWN_LATE_SHARE * total:
        yield KNOWN_LATE.finding(
            f"{later:,} customers bought more than a day before their created_at; {on_it / total:.1%} were created on "
            f"one day, {day}.",
            required="less than 5.0% of the buyers",
            actual=share(later, total, "buyers"),
        )


RULES = (DUPLICATES, MANY_ROWS, MUCH_SPEND, KNOWN_LATE)
CHECKS = (duplicates, largest, known_late)
