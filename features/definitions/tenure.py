"""How long the customer has been one, and how regularly they came since."""

from features.engine.definition import Feature, Unit, View

FEATURES = (
    Feature(
        name="days_since_created",
        group="tenure",
        view=View.CUSTOMERS,
        expression=lambda customers: customers.created_days_ago,
        phrase="days since the customer became known",
        unit=Unit.DAYS,
    ),
    Feature(
        name="days_since_first_purchase",
        group="tenure",
        view=View.LINES,
        expression=lambda lines: lines.days_ago.max(where=lines.amount > 0),
        phrase="days since the first purchase",
        unit=Unit.DAYS,
    ),
    Feature(
        name="purchase_days_per_week",
        group="tenure",
        view=View.FEATURES,
        expression=lambda wide: (wide.frequency + 1) / (wide.T_days + 7) * 7,
        phrase="purchase days a week since the first purchase",
        unit=Unit.RATIO,
    ),
    Feature(
        name="spend_per_week",
        group="tenure",
        view=View.FEATURES,
        expression=lambda wide: wide.net_spend / (wide.T_days + 7) * 7,
        phrase="spent a week since the first purchase",
        unit=Unit.MONEY,
    ),
)
