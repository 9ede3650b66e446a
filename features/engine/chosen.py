"""Some customers' events, as temporary relations ``chosen_*`` of a cursor; their lines put together to orders."""

from __future__ import annotations

import duckdb
import ibis.expr.operations as ops

from features.engine.definition import FeatureSet, View
from features.engine.events import EVENTS
from features.engine.scope import ORDER_SCHEMA, SCHEMA, scoped_tables

_OF_ORDERS = {
    "amount": "sum(amount)",
    "discount": "sum(discount)",
    "quantity": "sum(CAST(quantity AS DECIMAL(18,4)))",
    "lines": "count(*)",
    "returned_lines": "count(*) FILTER (amount < 0)",
    "products": "count(product_id)",
    "categories": "count(category)",
    "weekday": "min(weekday)",
    "hour": "min(hour)",
}
# Counting different ones is dear, and needless where an order has one line.
_DIFFERENT = {"products": "product_id", "categories": "category"}


def choose(
    cursor: duckdb.DuckDBPyConnection, features: FeatureSet, customers: str, rows: str = "TRUE", *, copy: bool = False
) -> None:
    """Define ``chosen_*`` of this cursor: the prepared tables with some customers' rows.

    Args:
        features: whoever reads them; what they do not look at is not made.
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
    if View.ORDERS in features.views:
        _put_orders_together(cursor, order_columns(features))


def order_columns(features: FeatureSet) -> set[str]:
    """The columns of an order that features look at."""
    orders = scoped_tables({}, orders=True).orders
    expressions = [feature.expression(orders).op() for feature in features if feature.view is View.ORDERS]
    return {field.name for expression in expressions for field in expression.find(ops.Field)}


def _put_orders_together(cursor: duckdb.DuckDBPyConnection, columns: set[str]) -> None:
    # An order that happened and became known in one moment is the same for every as_of that knows it. The others
    # (``whole`` is false) are put together again for each.
    own = ", ".join(
        f"{value if name in columns else f'CAST(NULL AS {_sql_type(name)})'} AS {name}"
        for name, value in _OF_ORDERS.items()
    )
    cursor.execute(
        "CREATE OR REPLACE TEMP TABLE chosen_orders AS SELECT customer, transaction_id, max(event_time) AS event_time, "
        f"max(ingested_at) AS ingested_at, {own}, count(*) > 1 AS has_more, max(day) AS day, "
        "min(event_time) = max(event_time) AND min(ingested_at) = max(ingested_at) AS whole "
        "FROM chosen_transactions GROUP BY customer, transaction_id"
    )
    different = {name: column for name, column in _DIFFERENT.items() if name in columns}
    if different:
        counts = ", ".join(f"count(DISTINCT {column}) AS {name}" for name, column in different.items())
        cursor.execute(
            f"UPDATE chosen_orders SET {', '.join(f'{name} = v.{name}' for name in different)} FROM ("
            f"SELECT customer, transaction_id, {counts} "
            "FROM chosen_transactions SEMI JOIN (SELECT customer, transaction_id FROM chosen_orders WHERE has_more) "
            "USING (customer, transaction_id) GROUP BY customer, transaction_id) v "
            "WHERE chosen_orders.customer = v.customer AND chosen_orders.transaction_id = v.transaction_id"
        )


def _sql_type(column: str) -> str:
    return {"int64": "BIGINT"}.get(ORDER_SCHEMA[column], ORDER_SCHEMA[column])
