"""Consent is a hard gate: what happened to a customer who may not be profiled is not even kept.

The rows go while the tables are read, so that no feature, label, cut-off, percentile, account or total can hold them.
The customer's own row stays, with nothing on it but the id and since when it is known: whoever asks is answered
``no_consent``.
"""

from __future__ import annotations

from collections.abc import Iterable

import duckdb

from features.contract.checks import scalar
from features.contract.findings import Finding, State
from features.contract.sources import quoted
from features.contract.tables import CUSTOMERS, SemanticTable

_KEPT = frozenset({"customer_id", "created_at", "consent"})


def without_consent(connection: duckdb.DuckDBPyConnection, attributes: Iterable[str]) -> list[Finding]:
    """Empty the rows of customers who may not be profiled, and count them."""
    refused = scalar(connection, "SELECT count(*) FROM customers WHERE NOT consent")
    if not refused:
        return []
    total = scalar(connection, "SELECT count(*) FROM customers")
    words = [*(name for name in CUSTOMERS.mappable if name not in _KEPT), *attributes]
    emptied = ", ".join(f"{quoted(name)} = NULL" for name in words)
    connection.execute(f"UPDATE customers SET {emptied} WHERE NOT consent")
    return [
        Finding(
            "P209",
            "customers without consent",
            "read",
            State.INFO,
            CUSTOMERS.name,
            "consent",
            f"{refused:,} customers may not be profiled: their history is in no feature, label or total, and they get "
            "no number.",
            actual=f"{refused:,} of {total:,} customers ({refused / total:.1%})",
        )
    ]


def drop_without_consent(connection: duckdb.DuckDBPyConnection, table: SemanticTable) -> None:
    """Remove the rows of customers who may not be profiled from another table."""
    connection.execute(
        f"DELETE FROM {table.name} WHERE customer_id IN (SELECT customer_id FROM customers WHERE NOT consent)"
    )
