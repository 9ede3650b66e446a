"""The rows that features aggregate, built from scoped rows."""

from __future__ import annotations

import ibis

from features.engine.definition import Rows, View
from features.engine.scope import ScopedTables

GROUPED = frozenset({View.CATEGORIES, View.PRODUCTS, View.CHANNELS})
"""Views that group lines of all ages into one row: their windows choose lines before, not rows after."""
CONTACT = "campaign_received"
RESPONSES = ("campaign_opened", "campaign_clicked", "coupon_redeemed")
_DAYS_PER_MONTH = 365.25 / 12


def key_of(view: View) -> str:
    """Whose rows they are: ``customer_id``, or ``account_id`` for what the customers of an account share."""
    return "account_id" if view is View.ACCOUNT_LINES else "customer_id"


def view_rows(view: View, window_days: int | None, scoped: ScopedTables) -> Rows:
    """The rows of a view; every row has the column :func:`key_of` and ``days_ago``.

    Args:
        view: which rows; CUSTOMERS and FEATURES are no rows and are refused with a KeyError.
        window_days: for a GROUPED view: of lines at most this many days old, None for all.
        scoped: what is known.
    """
    if view is View.ORDERS and scoped.orders is not None:
        return scoped.orders
    if view is View.ACCOUNT_LINES and scoped.account_lines is not None:
        return scoped.account_lines
    if view in GROUPED and window_days is not None:
        scoped = scoped._replace(lines=scoped.lines.filter(scoped.lines.days_ago <= window_days))
    return _BUILDERS[view](scoped)


def _lines(scoped: ScopedTables) -> Rows:
    return scoped.lines


def _activities(scoped: ScopedTables) -> Rows:
    return scoped.activities


def _orders(scoped: ScopedTables) -> Rows:
    lines = scoped.lines
    return lines.group_by("customer_id", "transaction_id").agg(
        amount=lines.amount.sum(),
        discount=lines.discount.sum(),
        quantity=lines.quantity.cast("decimal(18, 4)").sum(),
        lines=lines.count(),
        returned_lines=lines.count(where=lines.amount < 0),
        products=lines.product_id.nunique(),
        categories=lines.category.nunique(),
        weekday=lines.weekday.min(),
        hour=lines.hour.min(),
        days_ago=lines.days_ago.min(),
        day_ago=lines.day_ago.min(),
    )


def _days(scoped: ScopedTables) -> Rows:
    # A purchase is a line with spend; a day with returns only is no purchase day.
    bought = scoped.lines.filter(scoped.lines.amount > 0)
    return bought.group_by("customer_id", "day_ago").agg(
        amount=bought.amount.sum(),
        orders=bought.transaction_id.nunique(),
        # The day's only channel where both are the same; a distinct count would cost ten times as much.
        channel=bought.channel.max(),
        least_channel=bought.channel.min(),
        days_ago=bought.days_ago.min(),
    )


def _gaps(scoped: ScopedTables) -> Rows:
    days = _days(scoped)
    newest_first = ibis.window(group_by="customer_id", order_by=days.day_ago)
    before = {name: days[name].lead().over(newest_first) for name in ("day_ago", "channel", "least_channel")}
    gaps = days.mutate(
        gap_days=before["day_ago"] - days.day_ago,
        rank=ibis.row_number().over(newest_first) + 1,
        switched=(days.channel == days.least_channel)
        & (before["channel"] == before["least_channel"])
        & (days.channel != before["channel"]),
    )
    return gaps.filter(gaps.gap_days.notnull())


def _categories(scoped: ScopedTables) -> Rows:
    return _bought_by(scoped.lines, "category")


def _products(scoped: ScopedTables) -> Rows:
    return _bought_by(scoped.lines, "product_id")


def _channels(scoped: ScopedTables) -> Rows:
    return _bought_by(scoped.lines, "channel")


def _bought_by(lines: Rows, column: str) -> Rows:
    bought = lines.filter((lines.amount > 0) & lines[column].notnull())
    return bought.group_by("customer_id", column).agg(
        amount=bought.amount.sum(),
        lines=bought.count(),
        first_days_ago=bought.days_ago.max(),
        days_ago=bought.days_ago.min(),
    )


def _contacts(scoped: ScopedTables) -> Rows:
    lines, activities = scoped.lines, scoped.activities
    contacts = activities.filter(activities.kind == CONTACT)
    purchases = _newest(lines.filter(lines.amount > 0), "purchase")
    responses = _newest(activities.filter(activities.kind.isin(RESPONSES)), "response")
    joined = contacts.left_join(purchases, [("customer_id", "purchase_of")])
    joined = joined.left_join(responses, [("customer_id", "response_of")])
    return joined.mutate(
        since_purchase=joined.purchase_days_ago.isnull() | (joined.days_ago < joined.purchase_days_ago),
        since_response=joined.response_days_ago.isnull() | (joined.days_ago < joined.response_days_ago),
    )


def _newest(rows: Rows, what: str) -> Rows:
    newest = rows.group_by("customer_id").agg(days_ago=rows.days_ago.min())
    return newest.rename({f"{what}_of": "customer_id", f"{what}_days_ago": "days_ago"})


def _sentiments(scoped: ScopedTables) -> Rows:
    felt = scoped.activities.filter(scoped.activities.sentiment.notnull())
    return felt.group_by("customer_id", "day_ago").agg(lowest=felt.sentiment.min(), days_ago=felt.days_ago.min())


def _subscriptions(scoped: ScopedTables) -> Rows:
    raw = scoped.subscriptions
    newest_first = ibis.window(group_by=["customer_id", "subscription_id"], order_by=raw.days_ago)
    known = raw.mutate(
        rank=ibis.row_number().over(newest_first) + 1,
        older_plan=raw["plan"].lead().over(newest_first),
        older=raw.days_ago.lead().over(newest_first),
        monthly_amount=(raw.amount.cast("float64") / raw.recurrence_months.nullif(0)).cast("decimal(18, 6)"),
    )
    newest, first = known["rank"] == 1, known.older.isnull()
    changed = known["plan"] != known.older_plan
    contracts = known.group_by("customer_id", "subscription_id").agg(
        plan=known["plan"].max(where=newest),
        amount=known.amount.max(where=newest),
        monthly_amount=known.monthly_amount.max(where=newest),
        first_monthly_amount=known.monthly_amount.max(where=first),
        recurrence_months=known.recurrence_months.max(where=newest),
        recurring=known.count(where=newest & known.is_recurring),
        started_days_ago=known.start_days_ago.max(where=newest),
        ends_in_days=known.ends_in_days.max(where=newest),
        open_versions=known.count(where=known.ends_in_days.isnull()),
        versions=known.count(),
        plan_changes=known.count(where=changed),
        plan_changed_days_ago=known.days_ago.min(where=changed),
        first_days_ago=known.days_ago.max(),
        days_ago=known.days_ago.min(),
    )
    period = (contracts.recurrence_months * _DAYS_PER_MONTH).nullif(0)
    age = contracts.started_days_ago
    return contracts.mutate(
        is_recurring=contracts.recurring > 0,
        was_open=contracts.open_versions > 0,
        is_active=(age >= 0) & (contracts.ends_in_days.isnull() | (contracts.ends_in_days > 0)),
        # A month is taken as a twelfth of a year: the day is about right, and no calendar is needed.
        renews_in_days=period * ((age / period).floor() + 1) - age,
    )


def _account_lines(scoped: ScopedTables) -> Rows:
    members = scoped.customers.filter(scoped.customers.account_id.notnull())
    members = members.select("account_id", buyer=members.customer_id)
    lines = scoped.lines.inner_join(members, [("customer_id", "buyer")])
    return lines.select("account_id", "buyer", "transaction_id", "amount", "product_id", "days_ago", "day_ago")


_BUILDERS = {
    View.LINES: _lines,
    View.ORDERS: _orders,
    View.DAYS: _days,
    View.GAPS: _gaps,
    View.CATEGORIES: _categories,
    View.PRODUCTS: _products,
    View.CHANNELS: _channels,
    View.ACTIVITIES: _activities,
    View.CONTACTS: _contacts,
    View.SENTIMENTS: _sentiments,
    View.SUBSCRIPTIONS: _subscriptions,
    View.ACCOUNT_LINES: _account_lines,
}
