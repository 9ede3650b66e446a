"""Several currencies become one: each line at the rate of its own local day, never at a later one."""

from __future__ import annotations

import re

import duckdb

from features.contract.checks import scalar
from features.contract.findings import Finding, State
from features.contract.sources import literal
from features.contract.tables import RATES, TRANSACTIONS, Kind
from kernel.errors import DataError

# Exact: 18 digits of money times 20 of a rate are the 38 that DuckDB has.
_RATE = "DECIMAL(20,12)"
_HIGHEST_RATE = 1e8


def foreign(currency: str | None) -> str:
    """SQL: whether a row has money in another currency than the project's (None: than the first one's)."""
    ours = "(SELECT min(upper(currency)) FROM transactions)" if currency is None else literal(currency)
    return f"(coalesce(upper(currency) <> {ours}, FALSE) AND (amount <> 0 OR discount <> 0))"


def check_rates(connection: duckdb.DuckDBPyConnection, where: str) -> None:
    """Write currencies in capital letters, and refuse rates that are no rates.

    Raises:
        DataError: some are not above 0, or absurdly high.
    """
    connection.execute("UPDATE rates SET currency = upper(currency)")
    wrong = scalar(connection, f"SELECT count(*) FROM rates WHERE NOT (rate > 0 AND rate < {_HIGHEST_RATE})")
    if wrong:
        total = scalar(connection, "SELECT count(*) FROM rates")
        raise DataError(
            f"{wrong:,} of {total:,} rates are not between 0 and 100,000,000.",
            where=f"{where}: tables.{RATES.name}.columns.rate",
            fix="A rate is what one unit of the currency costs in the project's currency.",
        )


def convert(
    connection: duckdb.DuckDBPyConnection,
    currency: str | None,
    timezone: str,
    max_age_days: int,
    where: str,
    *,
    has_rates: bool,
) -> list[Finding]:
    """Write amount and discount of every line in the project's currency; ``currency`` stays what it was paid in.

    Raises:
        DataError: there is no rates table, or a line has no rate on its day or in the ``max_age_days`` before.
    """
    day = "event_time" if timezone == "UTC" else f"timezone({literal(timezone)}, timezone('UTC', event_time))"
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE needed AS SELECT upper(currency) AS currency, CAST({day} AS DATE) AS day, "
        f"count(*) AS lines FROM transactions WHERE {foreign(currency)} GROUP BY ALL"
    )
    total = scalar(connection, "SELECT count(*) FROM transactions")
    place = f"{where}: tables.{TRANSACTIONS.name}.columns.currency"
    if not has_rates or currency is None:
        lines = scalar(connection, "SELECT sum(lines) FROM needed")
        raise DataError(
            f"{lines:,} of {total:,} transactions are in another currency than {currency or 'the rest'} "
            f"({_by_currency(connection, 'needed')}), and there is no rates table.",
            where=place,
            fix=f"Map [tables.rates] with day, currency and rate ({currency or 'money'} for one unit), or give amounts "
            "in the project's currency.",
        )
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE used AS SELECT needed.currency, needed.day, needed.lines, "
        f"CAST(rate AS {_RATE}) AS rate, date_diff('day', rates.day, needed.day) AS age FROM needed ASOF LEFT JOIN "
        "rates ON needed.currency = rates.currency AND needed.day >= rates.day"
    )
    unusable = f"used WHERE rate IS NULL OR age > {max_age_days}"
    lines = scalar(connection, f"SELECT coalesce(sum(lines), 0) FROM {unusable}")
    if lines:
        first, last = connection.execute(f"SELECT min(day), max(day) FROM {unusable}").fetchall()[0]
        raise DataError(
            f"{lines:,} of {total:,} transactions have no usable rate into {currency} "
            f"({_by_currency(connection, unusable)}), on days from {first} to {last}.",
            where=place,
            fix=f"Add rates of these days, or of at most {max_age_days} days before (rates_max_age_days), to "
            "[tables.rates]. A later rate never counts.",
        )
    kinds = _by_currency(connection, "used")
    converted, oldest = connection.execute("SELECT sum(lines), max(age) FROM used").fetchall()[0]
    _rewrite(connection, currency, f"CAST({day} AS DATE)")
    return [
        Finding(
            "P202",
            "currencies",
            "read",
            State.INFO,
            TRANSACTIONS.name,
            "currency",
            f"{converted:,} rows were converted to {currency} with the rate of their day ({kinds}); the oldest rate "
            f"was {oldest} days old.",
            required=f"rates at most {max_age_days} days old",
            actual=f"{converted:,} of {total:,} rows ({converted / total:.1%})",
        )
    ]


def _rewrite(connection: duckdb.DuckDBPyConnection, currency: str, day: str) -> None:
    # A new table is written: an update of most rows would keep both versions of each in memory.
    money = ", ".join(
        f"CASE WHEN used.rate IS NULL THEN t.{name} ELSE CAST(t.{name} * used.rate AS {Kind.MONEY}) END AS {name}"
        for name in ("amount", "discount")
    )
    connection.execute(
        f"CREATE TABLE converted AS SELECT t.* EXCLUDE (its_day) REPLACE ({money}) FROM "
        f"(SELECT *, CASE WHEN {foreign(currency)} THEN {day} END AS its_day FROM transactions) AS t "
        "LEFT JOIN used ON upper(t.currency) = used.currency AND t.its_day = used.day"
    )
    connection.execute("DROP TABLE transactions; ALTER TABLE converted RENAME TO transactions")
    connection.execute("DROP TABLE needed; DROP TABLE used")


def _by_currency(connection: duckdb.DuckDBPyConnection, rows: str) -> str:
    counts = connection.execute(
        f"SELECT currency, CAST(sum(lines) AS BIGINT) AS n FROM {rows} GROUP BY 1 ORDER BY n DESC, 1"
    ).fetchall()
    # A column that was mapped by mistake may hold anything about a person: only codes are shown.
    codes = [f"{name} {n:,}" for name, n in counts if re.fullmatch(r"[A-Z]{3}", name)]
    others = sum(n for name, n in counts if not re.fullmatch(r"[A-Z]{3}", name))
    return ", ".join([*codes, *([f"no ISO 4217 code {others:,}"] if others else [])])
