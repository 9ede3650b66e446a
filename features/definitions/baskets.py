"""What is in the basket: size, value, discount, day and hour, variety."""

from features.engine.definition import Feature, Unit, Value, View

_WINDOW = 90
_LAST = f"in the last {_WINDOW} days"


def _mean(total: Value, count: Value) -> Value:
    return total.cast("float64") / count.nullif(0)


FEATURES = (
    Feature(
        name="lines_per_order_90d",
        group="baskets",
        view=View.ORDERS,
        window_days=_WINDOW,
        expression=lambda orders: _mean(orders.lines.sum(), orders.count()),
        phrase=f"lines per order {_LAST}",
        unit=Unit.COUNT,
    ),
    Feature(
        name="products_per_order_90d",
        group="baskets",
        view=View.ORDERS,
        window_days=_WINDOW,
        expression=lambda orders: _mean(orders["products"].sum(), orders.count()),
        phrase=f"products per order {_LAST}",
        unit=Unit.COUNT,
    ),
    Feature(
        name="categories_per_order_90d",
        group="baskets",
        view=View.ORDERS,
        window_days=_WINDOW,
        expression=lambda orders: _mean(orders["categories"].sum(), orders.count()),
        phrase=f"categories per order {_LAST}",
        unit=Unit.COUNT,
    ),
    Feature(
        name="largest_order_90d",
        group="baskets",
        view=View.ORDERS,
        window_days=_WINDOW,
        expression=lambda orders: orders.amount.max(),
        phrase=f"in the largest order {_LAST}",
        unit=Unit.MONEY,
    ),
    Feature(
        name="std_order_90d",
        group="baskets",
        view=View.ORDERS,
        window_days=_WINDOW,
        # The difference of squares is exact in decimals: as floats, equal orders would seem to differ.
        expression=lambda orders: (
            ((orders.amount * orders.amount).sum() * orders.count() - orders.amount.sum() * orders.amount.sum())
            .cast("float64")
            .sqrt()
            / orders.count()
        ),
        phrase=f"of spread between orders {_LAST}",
        unit=Unit.MONEY,
    ),
    Feature(
        name="discount_share_90d",
        group="baskets",
        view=View.ORDERS,
        window_days=_WINDOW,
        expression=lambda orders: (
            orders.discount.sum().cast("float64")
            / (orders.discount.sum() + orders.amount.sum(where=orders.amount > 0)).cast("float64").nullif(0)
        ),
        phrase=f"of the list price saved by discounts {_LAST}",
        unit=Unit.SHARE,
    ),
    Feature(
        name="discounted_lines_share_90d",
        group="baskets",
        view=View.LINES,
        window_days=_WINDOW,
        expression=lambda lines: _mean(lines.count(where=lines.discount > 0), lines.count()),
        phrase=f"of the lines bought at a discount {_LAST}",
        unit=Unit.SHARE,
    ),
    Feature(
        name="weekend_share_90d",
        group="baskets",
        view=View.ORDERS,
        window_days=_WINDOW,
        expression=lambda orders: _mean(orders.count(where=orders.weekday >= 5), orders.count()),
        phrase=f"of the orders on a weekend {_LAST}",
        unit=Unit.SHARE,
    ),
    Feature(
        name="evening_share_90d",
        group="baskets",
        view=View.ORDERS,
        window_days=_WINDOW,
        expression=lambda orders: _mean(orders.count(where=orders.hour >= 17), orders.count()),
        phrase=f"of the orders after 5 pm {_LAST}",
        unit=Unit.SHARE,
    ),
    Feature(
        name="weekdays_used_90d",
        group="baskets",
        view=View.ORDERS,
        window_days=_WINDOW,
        expression=lambda orders: orders.weekday.nunique(),
        phrase=f"different weekdays with an order {_LAST}",
        unit=Unit.COUNT,
        when_unknown=0,
    ),
    Feature(
        name="products_90d",
        group="baskets",
        view=View.LINES,
        window_days=_WINDOW,
        expression=lambda lines: lines.product_id.nunique(),
        phrase=f"different products {_LAST}",
        unit=Unit.COUNT,
        when_unknown=0,
    ),
    Feature(
        name="products_365d",
        group="baskets",
        view=View.LINES,
        window_days=365,
        expression=lambda lines: lines.product_id.nunique(),
        phrase="different products in the last 365 days",
        unit=Unit.COUNT,
        when_unknown=0,
    ),
    Feature(
        name="channels_90d",
        group="baskets",
        view=View.LINES,
        window_days=_WINDOW,
        expression=lambda lines: lines.channel.nunique(),
        phrase=f"different channels or stores {_LAST}",
        unit=Unit.COUNT,
        when_unknown=0,
    ),
    Feature(
        name="price_per_unit_90d",
        group="baskets",
        view=View.LINES,
        window_days=_WINDOW,
        expression=lambda lines: (
            lines.amount.sum(where=lines.amount > 0).cast("float64") / lines.count(where=lines.amount > 0).nullif(0)
        ),
        phrase=f"per order line {_LAST}",
        unit=Unit.MONEY,
    ),
    Feature(
        name="categories_90d",
        group="baskets",
        view=View.CATEGORIES,
        window_days=_WINDOW,
        expression=lambda categories: categories.count(),
        phrase=f"different categories {_LAST}",
        unit=Unit.COUNT,
        when_unknown=0,
    ),
    Feature(
        name="top_category_share_90d",
        group="baskets",
        view=View.CATEGORIES,
        window_days=_WINDOW,
        expression=lambda categories: categories.amount.max().cast("float64") / categories.amount.sum().cast("float64"),
        phrase=f"of the spend in the top category {_LAST}",
        unit=Unit.SHARE,
    ),
    Feature(
        name="category_concentration_90d",
        group="baskets",
        view=View.CATEGORIES,
        window_days=_WINDOW,
        # Herfindahl index, from exact decimal sums.
        expression=lambda categories: (
            (categories.amount * categories.amount).sum().cast("float64")
            / (categories.amount.sum().cast("float64") * categories.amount.sum().cast("float64"))
        ),
        phrase=f"concentration of spend on few categories {_LAST} (1 = all in one)",
        unit=Unit.RATIO,
    ),
)
