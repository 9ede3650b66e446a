"""What an order is like: size, value, price level, discount."""

from features.definitions.parts import ratio, spread
from features.engine.definition import Expression, Feature, Rows, Unit, Value, View

_WINDOW = 90
_LAST = f"in the last {_WINDOW} days"


def _per_order(column: str) -> Expression:
    return lambda orders: ratio(orders[column].sum(), orders.count())


def _units(lines: Rows) -> Value:
    # Units may be fractions (kilograms): sums of decimals do not depend on the order of rows.
    return lines.quantity.cast("decimal(18, 4)").sum(where=lines.amount > 0)


def _unit_price(lines: Rows) -> Value:
    return ratio(lines.amount.sum(where=lines.amount > 0), _units(lines))


def _discount_share(orders: Rows) -> Value:
    paid = orders.amount.sum(where=orders.amount > 0)
    return ratio(orders.discount.sum(), orders.discount.sum() + paid)


FEATURES = (
    Feature(
        name="lines_per_order_90d",
        group="baskets",
        view=View.ORDERS,
        window_days=_WINDOW,
        expression=_per_order("lines"),
        phrase=f"lines per order {_LAST}",
        unit=Unit.COUNT,
        version=2,
    ),
    Feature(
        name="units_per_order_90d",
        group="baskets",
        view=View.ORDERS,
        window_days=_WINDOW,
        expression=_per_order("quantity"),
        phrase=f"units per order, net of returns, {_LAST}",
        unit=Unit.RATIO,
    ),
    Feature(
        name="products_per_order_90d",
        group="baskets",
        view=View.ORDERS,
        window_days=_WINDOW,
        expression=_per_order("products"),
        phrase=f"products per order {_LAST}",
        unit=Unit.COUNT,
        version=2,
    ),
    Feature(
        name="categories_per_order_90d",
        group="baskets",
        view=View.ORDERS,
        window_days=_WINDOW,
        expression=_per_order("categories"),
        phrase=f"categories per order {_LAST}",
        unit=Unit.COUNT,
        version=2,
    ),
    Feature(
        name="largest_order_90d",
        group="baskets",
        view=View.ORDERS,
        window_days=_WINDOW,
        # Of max_order_90d it differs where there are returns only.
        expression=lambda orders: orders.amount.max(),
        phrase=f"in the largest order {_LAST}, returns included",
        unit=Unit.MONEY,
        version=2,
    ),
    Feature(
        name="std_order_90d",
        group="baskets",
        view=View.ORDERS,
        window_days=_WINDOW,
        expression=lambda orders: spread(orders.amount, orders.count()),
        phrase=f"of spread between orders {_LAST}",
        unit=Unit.MONEY,
        version=2,
    ),
    Feature(
        name="order_variation_90d",
        group="baskets",
        view=View.FEATURES,
        expression=lambda wide: wide.std_order_90d / wide.mean_order_90d.nullif(0),
        phrase=f"times the mean: how much orders vary {_LAST}",
        unit=Unit.RATIO,
    ),
    Feature(
        name="units_90d",
        group="baskets",
        view=View.LINES,
        window_days=_WINDOW,
        expression=lambda lines: _units(lines),
        phrase=f"units bought {_LAST}",
        unit=Unit.COUNT,
        when_unknown=0,
    ),
    Feature(
        name="price_per_unit_90d",
        group="baskets",
        view=View.LINES,
        window_days=_WINDOW,
        expression=lambda lines: ratio(lines.amount.sum(where=lines.amount > 0), lines.count(where=lines.amount > 0)),
        phrase=f"per order line {_LAST}",
        unit=Unit.MONEY,
    ),
    Feature(
        name="unit_price_90d",
        group="baskets",
        view=View.LINES,
        window_days=_WINDOW,
        expression=_unit_price,
        phrase=f"paid for a unit on average {_LAST}",
        unit=Unit.MONEY,
        usual="unit_price_365d",
    ),
    Feature(
        name="unit_price_365d",
        group="baskets",
        view=View.LINES,
        window_days=365,
        expression=_unit_price,
        phrase="paid for a unit on average in the last 365 days",
        unit=Unit.MONEY,
    ),
    Feature(
        name="unit_price_90d_to_365d",
        group="baskets",
        view=View.FEATURES,
        expression=lambda wide: wide.unit_price_90d / wide.unit_price_365d.nullif(0),
        phrase="times the usual price level: a unit in the last 90 days against the last 365",
        unit=Unit.RATIO,
    ),
    Feature(
        name="discount_share_90d",
        group="baskets",
        view=View.ORDERS,
        window_days=_WINDOW,
        expression=_discount_share,
        phrase=f"of the list price saved by discounts {_LAST}",
        unit=Unit.SHARE,
        usual="discount_share_365d",
        version=2,
    ),
    Feature(
        name="discount_share_365d",
        group="baskets",
        view=View.ORDERS,
        window_days=365,
        expression=_discount_share,
        phrase="of the list price saved by discounts in the last 365 days",
        unit=Unit.SHARE,
    ),
    Feature(
        name="discounted_lines_share_90d",
        group="baskets",
        view=View.LINES,
        window_days=_WINDOW,
        expression=lambda lines: ratio(lines.count(where=lines.discount > 0), lines.count()),
        phrase=f"of the lines bought at a discount {_LAST}",
        unit=Unit.SHARE,
    ),
)
