"""Some customers' events, as temporary relations ``chosen_*`` of a cursor; their lines put together to orders."""

from __future__ import annotations

from collections.abc import Container

import duckdb

from features.engine.definition import View
from features.engine.events import EVENTS
from features.engine.scope import SCHEMA


def choose(
    cursor: duckdb.DuckDBPyConnection, views: Container[View], customers: str, rows: str = "TRUE", *, copy: bool = False
) -> None:
    """Define ``chosen_*`` of this cursor: the prepared tables with some customers' rows.

    Args:
        views: those that features look at.
        customers: a SQL condition on ``customer``.
        rows: a SQL condition on the events' ``event_time``; the orders are put together of these rows.
        copy: keep the rows, for statements that would look for them again and again.
    """
    made = "TABLE" if copy else "VIEW"
    cursor.execute(
        f"CREATE OR REPLACE TEMP VIEW chosen_customers AS SELECT * FROM {SCHEMA}.customers WHERE {customers}"
    )
    for table in EVENTS:
        cursor.execute(f"DROP {made} IF EXISTS chosen_{table}")
        cursor.execute(
            f"CREATE TEMP {made} chosen_{table} AS SELECT * FROM {SCHEMA}.{table} WHERE {customers} AND {rows}"
        )
    if View.ORDERS in views:
        _put_orders_together(cursor)


def _put_orders_together(cursor: duckdb.DuckDBPyConnection) -> None:
    # An order that happened and became known in one moment is the same for every as_of that knows it. The others
    # (``whole`` is false) are put together again for each.
    cursor.execute(
        "CREATE OR REPLACE TEMP TABLE chosen_orders AS SELECT customer, transaction_id, max(event_time) AS event_time, "
        "max(ingested_at) AS ingested_at, sum(amount) AS amount, sum(discount) AS discount, "
        "sum(CAST(quantity AS DECIMAL(18,4))) AS quantity, count(*) AS lines, "
        "count(*) FILTER (amount < 0) AS returned_lines, count(product_id) AS products, "
        "count(category) AS categories, min(weekday) AS weekday, min(hour) AS hour, max(day) AS day, "
        "min(event_time) = max(event_time) AND min(ingested_at) = max(ingested_at) AS whole "
        "FROM chosen_transactions GROUP BY customer, transaction_id"
    )
    # Counting different products is dear, and needless where an order has one line.
    cursor.execute(
        "UPDATE chosen_orders SET products = v.products, categories = v.categories FROM ("
        "SELECT customer, transaction_id, count(DISTINCT product_id) AS products, "
        "count(DISTINCT category) AS categories "
        "FROM chosen_transactions SEMI JOIN (SELECT customer, transaction_id FROM chosen_orders WHERE lines > 1) "
        "USING (customer, transaction_id) GROUP BY customer, transaction_id) v "
        "WHERE chosen_orders.customer = v.customer AND chosen_orders.transaction_id = v.transaction_id"
    )
