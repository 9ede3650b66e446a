"""Money: which rows of transactions count as spend. Each policy is a setting, and its effect is a finding.

Applied once, when the tables are filled, so that features, labels and totals agree. What becomes of a row depends only
on that row and on rows that are known whenever it is: nothing that came later changes it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

import duckdb

from features.contract.checks import repeated_rows
from features.contract.currencies import convert, foreign
from features.contract.findings import Finding, State
from features.contract.sources import literal
from features.contract.tables import TRANSACTIONS
from kernel.errors import DataError
from kernel.settings import PoliciesSettings, Settings

_DEFAULT = PoliciesSettings()


@dataclass(frozen=True, slots=True)
class Policies:
    """``[policies]`` of a project, with its currency and its time zone.

    ``currency`` None: whatever the rows are in, which must then be one.
    """

    currency: str | None = None
    timezone: str = "UTC"
    returns: Literal["net", "ignore"] = _DEFAULT.returns
    zero_orders: Literal["keep", "drop"] = _DEFAULT.zero_orders
    cancelled: frozenset[str] = field(default_factory=lambda: frozenset(_DEFAULT.cancelled))
    lines: Literal["as_mapped", "orders"] = _DEFAULT.lines
    rates_max_age_days: int = _DEFAULT.rates_max_age_days

    @classmethod
    def of(cls, settings: Settings) -> Policies:
        """Those of ``foresight.toml``."""
        stated = settings.policies
        return cls(
            currency=settings.project.currency,
            timezone=settings.project.timezone,
            returns=stated.returns,
            zero_orders=stated.zero_orders,
            cancelled=frozenset(stated.cancelled),
            lines=stated.lines,
            rates_max_age_days=stated.rates_max_age_days,
        )

    @property
    def is_cancelled(self) -> str:
        """SQL: whether a row's status says that it does not count."""
        words = ", ".join(literal(word.strip().lower()) for word in sorted(self.cancelled))
        return f"coalesce(lower(status) IN ({words}), FALSE)" if words else "FALSE"


@dataclass(frozen=True, slots=True)
class _Found:
    """What there is in the table, in rows; ``returned`` is money (a negative one)."""

    rows: int
    cancelled: int
    foreign: int
    returns: int
    returned: Decimal
    zero: int


def apply_policies(
    connection: duckdb.DuckDBPyConnection, policies: Policies, where: str, *, has_rates: bool = False
) -> list[Finding]:
    """Bring the transactions to net spend in the project's currency.

    Args:
        connection: its table transactions is complete, without rows that lack a required value; with ``has_rates``
            it has the table ``rates`` as well.
        where: the file, for errors.

    Raises:
        DataError: a line in another currency has no usable rate, or an order has several rows although every row is
            said to be an order.
    """
    found = _look(connection, policies)
    if not found.rows:
        return []
    findings: list[Finding] = []
    if found.cancelled:
        findings += _cancelled(connection, policies, found)
        found = _look(connection, policies)
    if found.foreign:
        findings += convert(
            connection, policies.currency, policies.timezone, policies.rates_max_age_days, where, has_rates=has_rates
        )
        found = _look(connection, policies)
    if found.returns:
        findings.append(_returns(connection, policies, found))
    if found.zero:
        findings += _zero_orders(connection, policies, found)
    if policies.lines == "orders":
        _check_orders(connection, policies, where)
    return findings


def _look(connection: duckdb.DuckDBPyConnection, policies: Policies) -> _Found:
    cancelled = policies.is_cancelled
    row = connection.execute(
        f"SELECT count(*), count(*) FILTER ({cancelled}), count(*) FILTER ({foreign(policies.currency)}), "
        f"count(*) FILTER (amount < 0 AND NOT {cancelled}), "
        f"coalesce(sum(amount) FILTER (amount < 0 AND NOT {cancelled}), 0), "
        f"count(*) FILTER (amount = 0 AND NOT {cancelled}) FROM transactions"
    ).fetchone()
    assert row is not None
    return _Found(*row)


def _cancelled(connection: duckdb.DuckDBPyConnection, policies: Policies, found: _Found) -> list[Finding]:
    # A cancellation that came later than its order must not make the order vanish from the time before: it becomes a
    # line that takes the amount back, from its own moment on.
    cancelled = policies.is_cancelled
    connection.execute(
        "CREATE TEMP TABLE taken_back AS SELECT DISTINCT later.rowid AS id FROM "
        f"(SELECT *, rowid FROM transactions WHERE {cancelled}) AS later "
        f"JOIN (SELECT * FROM transactions WHERE NOT {cancelled}) AS earlier USING (customer_id, transaction_id) "
        "WHERE earlier.event_time <= later.event_time AND earlier.ingested_at < later.ingested_at "
        "AND (later.line_id IS NULL OR earlier.line_id = later.line_id)"
    )
    row = connection.execute("SELECT count(*) FROM taken_back").fetchone()
    later = 0 if row is None else int(row[0])
    connection.execute(f"DELETE FROM transactions WHERE {cancelled} AND rowid NOT IN (SELECT id FROM taken_back)")
    if later:
        # The line it takes back has the same key.
        connection.execute(
            "UPDATE transactions SET amount = -abs(amount), discount = 0, quantity = -abs(quantity), line_id = NULL "
            "WHERE rowid IN (SELECT id FROM taken_back)"
        )
    connection.execute("DROP TABLE taken_back")
    return [
        _finding(
            "P204",
            "cancelled orders",
            "status",
            f"{found.cancelled - later:,} rows are cancelled and left out; {later:,} cancel an order that was known "
            "before, and take its amount back from their own moment on.",
            _share(found.cancelled, found.rows),
        )
    ]


def _returns(connection: duckdb.DuckDBPyConnection, policies: Policies, found: _Found) -> Finding:
    ignored = policies.returns == "ignore"
    if ignored:
        connection.execute(f"DELETE FROM transactions WHERE amount < 0 AND NOT {policies.is_cancelled}")
    return _finding(
        "P201",
        "returns",
        "amount",
        f"{found.returns:,} rows have a negative amount; "
        + ("they are left out (returns = ignore)." if ignored else "they reduce spend (returns = net)."),
        f"{_share(found.returns, found.rows)}, {found.returned:,.2f} {policies.currency or ''}".strip(),
    )


def _zero_orders(connection: duckdb.DuckDBPyConnection, policies: Policies, found: _Found) -> list[Finding]:
    # Only rows that became known together are one order here: a line that came later changes nothing before it.
    connection.execute(
        "CREATE TEMP TABLE without_value AS SELECT zero.rowid AS id, transaction_id FROM "
        f"(SELECT *, rowid FROM transactions WHERE amount = 0 AND NOT {policies.is_cancelled}) AS zero "
        f"ANTI JOIN (SELECT * FROM transactions WHERE amount <> 0) AS paid "
        "USING (customer_id, transaction_id, event_time, ingested_at)"
    )
    row = connection.execute("SELECT count(*), count(DISTINCT transaction_id) FROM without_value").fetchone()
    lines, orders = row or (0, 0)
    dropped = policies.zero_orders == "drop"
    if dropped and lines:
        connection.execute("DELETE FROM transactions WHERE rowid IN (SELECT id FROM without_value)")
    connection.execute("DROP TABLE without_value")
    if not lines:
        return []
    return [
        _finding(
            "P203",
            "orders without value",
            "amount",
            f"{orders:,} orders have no amount in any of their {lines:,} rows; "
            + ("they are left out (zero_orders = drop)." if dropped else "they stay (zero_orders = keep)."),
            _share(lines, found.rows),
        )
    ]


def _check_orders(connection: duckdb.DuckDBPyConnection, policies: Policies, where: str) -> None:
    repeated = repeated_rows(connection, f"transactions WHERE NOT {policies.is_cancelled}", "transaction_id")
    if repeated:
        raise DataError(
            f"{repeated:,} rows share their transaction_id with another row, but every row is said to be an order.",
            where=f"{where}: tables.transactions.columns.transaction_id",
            fix='Write lines = "as_mapped" under [policies], or keep one row per order.',
        )


def _finding(code: str, name: str, column: str, details: str, actual: str) -> Finding:
    return Finding(code, name, "read", State.INFO, TRANSACTIONS.name, column, details, actual=actual)


def _share(rows: int, total: int) -> str:
    return f"{rows:,} of {total:,} rows ({rows / total:.1%})"
