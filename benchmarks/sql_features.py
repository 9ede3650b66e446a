"""A baseline: the 60 features as an expert would write them for DuckDB, by hand, over the contract's loaded tables.

Customers and orders become numbers in a table made first, a quarter faster than one statement over their text. Every
window is a FILTER of one GROUP BY; different products and categories are counted from the newest row of each.
"""

from __future__ import annotations

from datetime import datetime

import duckdb
import pyarrow as pa

from benchmarks.sixty import NAMES, PACES, WINDOWS, ZERO
from features.engine.scope import literal

_NUMBERS = """
    CREATE OR REPLACE TEMP TABLE numbers AS
    SELECT CAST(row_number() OVER () AS INTEGER) AS customer, customer_id, created_at FROM customers
"""
_KNOWN = """
    CREATE OR REPLACE TEMP TABLE known AS
    SELECT customer, hash(transaction_id) AS transaction_id, amount, product_id, category,
        (epoch_us({moment}) - epoch_us(event_time)) / 86400000000.0 AS days_ago,
        date_diff('day', event_time, {moment} - INTERVAL 1 MICROSECOND) AS day_ago
    FROM transactions JOIN numbers USING (customer_id) WHERE event_time < {moment} AND ingested_at <= {moment}
"""
_FEATURES = """
    WITH orders AS (
        SELECT customer, transaction_id, sum(amount) AS amount, min(days_ago) AS days_ago FROM known GROUP BY ALL
    ), by_order AS (
        SELECT customer, {orders} FROM orders GROUP BY customer
    ), by_product AS (
        SELECT customer, {products} FROM (
            SELECT customer, product_id, min(days_ago) AS days_ago FROM known
            WHERE product_id IS NOT NULL AND days_ago <= {longest} GROUP BY ALL
        ) GROUP BY customer
    ), by_category AS (
        SELECT customer, {categories} FROM (
            SELECT customer, category, min(days_ago) AS days_ago FROM known
            WHERE category IS NOT NULL AND amount > 0 AND days_ago <= {longest} GROUP BY ALL
        ) GROUP BY customer
    ), by_line AS (
        SELECT customer, sum(amount) AS net_spend, max(days_ago) FILTER (amount > 0) AS days_since_first_purchase
        FROM known GROUP BY customer
    ), days AS (
        SELECT customer, day_ago, sum(amount) AS amount, min(days_ago) AS days_ago FROM known WHERE amount > 0
        GROUP BY ALL
    ), gaps AS (
        SELECT *, day_ago - lag(day_ago) OVER (PARTITION BY customer ORDER BY day_ago) AS gap FROM days
    ), by_day AS (
        SELECT customer, min(days_ago) AS days_since_last_purchase, count(*) - 1 AS frequency,
            max(day_ago) - min(day_ago) AS recency_days, max(day_ago) AS T_days,
            CAST(sum(amount) - arg_max(amount, day_ago) AS DOUBLE) / nullif(count(*) - 1, 0) AS monetary_value,
            avg(gap) AS mean_gap_days, stddev_pop(gap) AS std_gap_days, max(gap) AS longest_gap_days
        FROM gaps GROUP BY customer
    ), wide AS (
        SELECT *, std_gap_days / nullif(mean_gap_days, 0) AS gap_variation,
            days_since_last_purchase / nullif(mean_gap_days, 0) AS overdue_ratio
        FROM numbers LEFT JOIN by_order USING (customer) LEFT JOIN by_product USING (customer)
        LEFT JOIN by_category USING (customer) LEFT JOIN by_line USING (customer) LEFT JOIN by_day USING (customer)
        WHERE created_at IS NULL OR created_at < {moment}
    ), filled AS (
        SELECT * REPLACE ({filled}) FROM wide
    ), complete AS (
        SELECT *, (frequency + 1) / (T_days + 7) * 7 AS purchase_days_per_week,
            net_spend / (T_days + 7) * 7 AS spend_per_week, {paces} FROM filled
    )
    SELECT customer_id, {names} FROM complete
"""


def sql_features(connection: duckdb.DuckDBPyConnection, as_of: datetime) -> pa.Table:
    """One row per customer known at ``as_of``, in no order: customer_id and one DOUBLE per feature."""
    cursor, moment = connection.cursor(), literal(as_of)
    cursor.execute(_NUMBERS)
    cursor.execute(_KNOWN.format(moment=moment))
    features = _FEATURES.format(
        orders=_each_window(
            "count(*) FILTER (days_ago <= {days} AND amount > 0) AS orders_{days}d",
            "sum(amount) FILTER (days_ago <= {days}) AS spend_{days}d",
            "avg(amount) FILTER (days_ago <= {days} AND amount > 0) AS mean_order_{days}d",
            "max(amount) FILTER (days_ago <= {days} AND amount > 0) AS max_order_{days}d",
        ),
        products=_each_window("count(*) FILTER (days_ago <= {days}) AS products_{days}d"),
        categories=_each_window("count(*) FILTER (days_ago <= {days}) AS categories_{days}d"),
        moment=moment,
        longest=max(WINDOWS),
        filled=", ".join(f"CAST(coalesce({name}, 0) AS DOUBLE) AS {name}" for name in ZERO),
        paces=", ".join(
            f"({of}_{short}d / {short}) / nullif({of}_{long}d / {long}, 0) AS {of}_{short}d_to_{long}d"
            for of, short, long in PACES
        ),
        names=", ".join(f"CAST({name} AS DOUBLE) AS {name}" for name in NAMES),
    )
    return cursor.execute(features).to_arrow_table()


def _each_window(*aggregates: str) -> str:
    return ", ".join(aggregate.format(days=days) for days in WINDOWS for aggregate in aggregates)
