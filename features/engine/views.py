"""The rows that features aggregate, built from scoped rows."""

from __future__ import annotations

import ibis

from features.engine.definition import Rows, View
from features.engine.scope import ScopedTables

GROUPED = frozenset({View.CATEGORIES})
"""Views that group lines of all ages into one row: their windows choose lines before, not rows after."""


def view_rows(view: View, window_days: int | None, scoped: ScopedTables) -> Rows:
    """The rows of a view; every row has a ``customer_id``, and ``days_ago`` unless the view is GROUPED.

    Args:
        view: which rows; CUSTOMERS and FEATURES are no rows and are refused with a KeyError.
        window_days: for a GROUPED view: of lines at most this many days old, None for all.
        scoped: what is known.
    """
    if view is View.ORDERS and scoped.orders is not None:
        return scoped.orders
    source = scoped.activities if view is View.ACTIVITIES else scoped.lines
    if view in GROUPED and window_days is not None:
        source = source.filter(source.days_ago <= window_days)
    return _BUILDERS[view](source)


def _as_they_are(rows: Rows) -> Rows:
    return rows


def _orders(lines: Rows) -> Rows:
    return lines.group_by("customer_id", "transaction_id").agg(
        amount=lines.amount.sum(),
        discount=lines.discount.sum(),
        quantity=lines.quantity.sum(),
        lines=lines.count(),
        products=lines.product_id.nunique(),
        categories=lines.category.nunique(),
        weekday=lines.weekday.min(),
        hour=lines.hour.min(),
        days_ago=lines.days_ago.min(),
        day_ago=lines.day_ago.min(),
    )


def _days(lines: Rows) -> Rows:
    # A purchase is a line with spend; a day with returns only is no purchase day.
    bought = lines.filter(lines.amount > 0)
    return bought.group_by("customer_id", "day_ago").agg(
        amount=bought.amount.sum(), orders=bought.transaction_id.nunique(), days_ago=bought.days_ago.min()
    )


def _gaps(lines: Rows) -> Rows:
    days = _days(lines)
    newest_first = ibis.window(group_by="customer_id", order_by=days.day_ago)
    gaps = days.mutate(
        gap_days=days.day_ago.lead().over(newest_first) - days.day_ago,
        rank=ibis.row_number().over(newest_first) + 1,
    )
    return gaps.filter(gaps.gap_days.notnull())


def _categories(lines: Rows) -> Rows:
    bought = lines.filter((lines.amount > 0) & lines.category.notnull())
    return bought.group_by("customer_id", "category").agg(amount=bought.amount.sum())


_BUILDERS = {
    View.LINES: _as_they_are,
    View.ORDERS: _orders,
    View.DAYS: _days,
    View.GAPS: _gaps,
    View.CATEGORIES: _categories,
    View.ACTIVITIES: _as_they_are,
}
