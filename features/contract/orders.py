"""What the report says of orders and of local days: nothing is changed here, only counted."""

from __future__ import annotations

import duckdb

from features.contract.checks import scalar, sliced
from features.contract.findings import Finding, State
from features.contract.sources import literal
from features.contract.tables import TRANSACTIONS


def order_findings(connection: duckdb.DuckDBPyConnection) -> list[Finding]:
    """Rows that share a transaction_id: how many, and whether they agree on customer and moment."""
    rows = scalar(connection, "SELECT count(*) FROM transactions")
    counted = [_counted(connection, part) for part in sliced(rows, "hash(transaction_id)")]
    orders, lines = map(sum, zip(*counted, strict=True))
    if not lines:
        return []
    disagreeing = [_disagreeing(connection, part) for part in sliced(orders, "hash(transaction_id)")]
    several, moments = map(sum, zip(*disagreeing, strict=True))
    findings = [
        _finding(
            "P205",
            "order lines",
            State.INFO,
            "transaction_id",
            f"{rows:,} rows are the lines of {orders:,} orders: rows that share a transaction_id are one order.",
            f"{lines:,} of {rows:,} rows share one",
        )
    ]
    if moments:
        findings.append(
            _finding(
                "P206",
                "orders with several moments",
                State.INFO,
                "event_time",
                f"The lines of {moments:,} orders are of different moments; an order is as old as its newest line.",
                f"{moments:,} of {orders:,} orders ({moments / orders:.1%})",
                required="one moment an order",
            )
        )
    if several:
        findings.append(
            _finding(
                "P207",
                "orders of several customers",
                State.WARNING,
                "customer_id",
                f"{several:,} orders have lines of more than one customer; each customer has an order of their own "
                "lines. If transaction_id repeats over shops or years, map it together with them.",
                f"{several:,} of {orders:,} orders ({several / orders:.1%})",
                required="one customer an order",
            )
        )
    return findings


# Short numbers instead of texts, and a part of them at a time: a fraction of the memory.
def _counted(connection: duckdb.DuckDBPyConnection, part: str) -> tuple[int, int]:
    return _pair(
        connection,
        "SELECT count(*), coalesce(sum(n) FILTER (n > 1), 0) FROM "
        f"(SELECT count(*) AS n FROM transactions WHERE {part} GROUP BY hash(transaction_id))",
    )


def _disagreeing(connection: duckdb.DuckDBPyConnection, part: str) -> tuple[int, int]:
    # A later line of negative amount is a return of the order, and no disagreement.
    return _pair(
        connection,
        "SELECT count(*) FILTER (several), count(*) FILTER (newest > oldest) FROM (SELECT "
        "min(hash(customer_id)) <> max(hash(customer_id)) AS several, "
        "min(event_time) FILTER (amount >= 0) AS oldest, max(event_time) FILTER (amount >= 0) AS newest "
        f"FROM transactions WHERE {part} GROUP BY hash(transaction_id))",
    )


def _pair(connection: duckdb.DuckDBPyConnection, sql: str) -> tuple[int, int]:
    row = connection.execute(sql).fetchone()
    assert row is not None
    return int(row[0]), int(row[1])


def day_findings(connection: duckdb.DuckDBPyConnection, timezone: str) -> list[Finding]:
    """Rows whose calendar day in the project's time zone is another one than in UTC."""
    if timezone == "UTC":
        return []
    # Offsets are whole quarters of an hour, so that one moment stands for all of its quarter: a zone is dear to ask.
    moved = scalar(
        connection,
        "SELECT coalesce(sum(n), 0) FROM (SELECT time_bucket(INTERVAL 15 minutes, event_time) AS moment, "
        "count(*) AS n FROM transactions GROUP BY 1) WHERE "
        f"CAST(timezone({literal(timezone)}, timezone('UTC', moment)) AS DATE) <> CAST(moment AS DATE)",
    )
    if not moved:
        return []
    total = scalar(connection, "SELECT count(*) FROM transactions")
    return [
        _finding(
            "P208",
            "local days",
            State.INFO,
            "event_time",
            f"{moved:,} rows are of another calendar day in {timezone} than in UTC; features count local days.",
            f"{moved:,} of {total:,} rows ({moved / total:.1%})",
        )
    ]


def _finding(code: str, name: str, state: State, column: str, details: str, actual: str, required: str = "") -> Finding:
    return Finding(code, name, "read", state, TRANSACTIONS.name, column, details, required=required, actual=actual)
